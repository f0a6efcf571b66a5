package check

import (
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// needsOfTheTester are the tester's permissions, and servers run by mcpauth that the target is configured to trust or to call.
var needsOfTheTester = map[string]need{
	"intrusive":    {give: allowIntrusive, met: (*T).mayBeIntrusive},
	"time-in-part": {met: always},                     // the part of the check without a clock is useful alone
	"clock":        {give: "--max-wait", met: always}, // the wait is short, or the result says that it is too long
	"time": {give: "--max-wait", met: has(func(t *T) bool { return t.Clock != nil || t.MaxWait > 0 },
		"it takes time for something to expire; let it wait with --max-wait")},
	"second-address": {met: has(func(t *T) bool { return t.MCP.Loopback() },
		"it needs a second address to send from, which there is for a target on loopback only")},
	"declared-size": {give: "target.body_limit in the target file", met: has(func(t *T) bool { return t.BodyLimit > 0 },
		"it needs the size of the largest message that the target is meant to accept (target.body_limit in the target file)")},
	"two-resources": {give: "target.other_resource in the target file", met: has(func(t *T) bool { return t.OtherResource != "" },
		"it needs another MCP endpoint under the same authorization server (target.other_resource in the target file)")},

	"fake-jwt": {give: "fake_idp in the target file", met: (*T).isTrusted},
	"fake-jwt-or-introspection": {give: "fake_idp or introspection in the target file", after: []string{"fake-jwt"},
		unless: func(t *T) bool { return t.isAskedAboutTokens() == nil }},
	"fake-jwks": {give: "fake_idp in the target file", after: []string{"fake-jwt"},
		met: has(func(t *T) bool { return t.Mint.KeyServer() != nil },
			"it needs an issuer whose published keys can be changed")},
	"fake-two-issuers": {give: "second_idp in the target file", then: []string{"fake-jwt"},
		met: has(func(t *T) bool { return t.SecondIssuer != nil },
			"it needs a target that trusts two issuers run by mcpauth (fake_idp and second_idp in the target file)")},
	"hmac-mode": {give: "shared_secret in the target file", met: has(func(t *T) bool { return t.SharedSecret.Value != "" },
		"it needs the secret with which the target verifies HS256 (shared_secret in the target file)")},
	"fake-introspection": {give: "introspection in the target file", met: (*T).isAskedAboutTokens},
	"fake-verify-url": {give: "verify in the target file", met: has(func(t *T) bool { return t.Verifier != nil && t.Verify.Accepts != "" },
		"it needs a target that asks mcpauth about tokens in its own way (verify in the target file)")},
	"fake-upstream": {give: "upstream_api in the target file", met: has(func(t *T) bool { return t.API != nil && len(t.Upstream.Tools()) > 0 },
		"it needs a target whose tools call an API run by mcpauth (upstream_api in the target file, and tools with upstream: true)")},
	"controlled-upstream": {give: "upstream in the target file", met: (*T).signsInUpstream},
	"controlled-idp": {give: "enterprise in the target file", met: has(func(t *T) bool { return t.Enterprise != nil },
		"it needs an authorization server that trusts an identity provider run by mcpauth (enterprise in the target file)")},
	"controlled-dns": {give: "rebinding in the target file", met: has(func(t *T) bool { return t.Rebinding != nil && t.Documents != nil },
		"it needs a DNS zone that mcpauth answers for, and an address of mcpauth for documents (rebinding in the target file, --cimd-listen)")},
}

const allowIntrusive = "--allow-intrusive"

// mayBeIntrusive asks for permission on the side that the check is about; every request asks again for its own host.
func (t *T) mayBeIntrusive() *lack {
	t.intrusive = true
	r, _ := requirements.Lookup(t.id)
	if r != nil && r.Role == requirements.AuthorizationServer && t.Session != nil {
		return t.forbidden(t.Session.Server.Token)
	}
	return t.forbidden(t.Survey.Endpoint)
}

func (t *T) isTrusted() *lack {
	switch {
	case t.Issuer == nil:
		return missing("it needs a target that trusts an issuer run by mcpauth (fake_idp in the target file)")
	case !t.Mint.Trusted():
		return unusable("%s", t.distrusted)
	}
	return nil
}

func (t *T) signsInUpstream() *lack {
	switch u := t.World.Upstream; {
	case u == nil:
		return missing("it needs a target whose users sign in at an authorization server run by mcpauth (upstream in the target file)")
	case len(u.Issued()) == 0:
		return unusable("the target sent no login to the configured upstream, %s", u.Identifier())
	}
	return nil
}

// isAskedAboutTokens finds out once whether the target introspects opaque tokens at all.
func (t *T) isAskedAboutTokens() *lack {
	if t.Introspector == nil {
		return missing("it needs a target that asks mcpauth about opaque tokens (introspection in the target file)")
	}
	why := Once(t, "introspection", func() string {
		token := t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
		switch ex := t.MCP.Use(token.Value); {
		case t.MCP.Served(ex):
			return ""
		case len(token.Asked()) == 0:
			return "the target does not ask at " + t.Introspector.URL() + " about an opaque token, and answers it with " + expect.Describe(ex)
		default:
			return "the target asks about an opaque token, is told that it is active, and answers it with " + expect.Describe(ex)
		}
	})
	if why != "" {
		return unusable("%s", why)
	}
	return nil
}
