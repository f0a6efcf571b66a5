// Package audience holds the checks on what a token is meant for: resource indicators at the authorization
// server (RFC 8707) and the audience at the MCP server.
package audience

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 8707 section 2: Resource Parameter", indicators)
	Describe("RFC 8707 section 2.2: Access Token Request", siblings)
	Describe("MCP Authorization: Token Audience Binding and Validation", binding)
	Describe("RFC 7519 section 4.1.3: aud", minted)
}

func indicators() {
	Must("AS-RES-ACCEPTED", func(t *T) {
		resource := t.Session.Resource
		g := t.AS.MustReachDecision(t.AS.Authorize(With("resource", resource)))
		if g.Code() == "" {
			t.Unmet(g.Exchange, "the canonical URI of the MCP server as resource in the authorization request", "%s", g.Describe())
			return
		}
		if ex := t.AS.Redeem(g, With("resource", resource)); t.AS.Tokens(ex, g.Client) == nil {
			t.Finding(ex, "resource in both requests", "a token", expect.Describe(ex))
		}
		if g := t.AS.Authorize(With("resource", resource)); g.Code() != "" {
			if ex := t.AS.Redeem(g, Without("resource")); t.AS.Tokens(ex, g.Client) == nil {
				t.Finding(ex, "resource in the authorization request only", "a token", expect.Describe(ex))
			}
		}
		if g := t.AS.Authorize(Without("resource")); g.Code() != "" {
			if ex := t.AS.Redeem(g, With("resource", resource)); t.AS.Tokens(ex, g.Client) == nil && oauth.ErrorCode(ex) != "invalid_target" {
				t.Finding(ex, "resource in the token request only", "a token, or error invalid_target", expect.Describe(ex))
			}
		}
	})

	Should("AS-RES-AUDIENCE-BOUND", func(t *T) {
		tokens := t.AS.SharedTokens()
		aud, seen := t.AS.Audience(tokens)
		own := strings.TrimSuffix(t.Session.Resource, "/")
		match := slices.ContainsFunc(aud, func(a string) bool { return strings.TrimSuffix(a, "/") == own })
		switch {
		case !seen:
			boundByEffect(t)
		case !match:
			t.Unmet(tokens.Exchange, "the requested resource "+t.Session.Resource+" as audience", "aud %s", strings.Join(aud, " "))
		case !slices.Contains(aud, t.Session.Resource):
			t.Advise(tokens.Exchange, "the requested resource as it was written", "aud %s", strings.Join(aud, " "))
		}
	})

	Should("AS-RES-UNKNOWN-TARGET", func(t *T) {
		p := t.AS.Present(Attacker)
		if p.Tokens != nil && slices.Contains(p.Audience, Attacker) {
			t.Advise(p.Tokens.Exchange, "error invalid_target for a resource that nobody registered", "a token is minted for it")
		}
		switch {
		case p.Served: // who runs the other resource can use it here (RFC 9700 section 4.10.2)
			t.Unmet(p.At, "error invalid_target for "+Attacker+", or a token that the MCP server refuses",
				"the MCP server serves the token that was requested for %s", Attacker)
		case p.Tokens != nil:
		case expect.Status(p.Grant.Exchange) >= 500:
			t.Unmet(p.Grant.Exchange, "error invalid_target", "%s", expect.Describe(p.Grant.Exchange))
		default:
			t.Refused()
			t.Controlled()
		}
	})

	Must("AS-RES-MALFORMED", func(t *T) {
		own := t.Session.Resource
		ignored := t.AS.Present(Attacker).Served // then what happens says nothing of the form of a value
		for _, v := range []string{"mcp.example.com", own + "#frag", "/mcp", "javascript:x", own + " "} {
			p := t.AS.Present(v)
			g := p.Grant
			switch {
			case slices.Contains(p.Audience, v):
				t.Finding(p.Tokens.Exchange, v, "error invalid_target, since a resource is an absolute URI without fragment", "a token is minted for it")
			case p.Served && !ignored:
				t.Advise(p.At, "error invalid_target, since a resource is an absolute URI without fragment",
					"%s: a token is issued for it that the MCP server serves", v)
			case p.Tokens != nil:
			case expect.Status(g.Exchange) >= 500:
				t.Finding(g.Exchange, v, "error invalid_target", expect.Describe(g.Exchange))
			case g.Error() != "" && g.Error() != "invalid_target" && g.Error() != "invalid_request":
				t.Advise(g.Exchange, "error invalid_target", "%s: error %s", v, g.Error())
			}
		}
	})

	Should("AS-RES-CANONICAL-VARIANTS", func(t *T) {
		own := t.Session.Resource
		u, err := url.Parse(own)
		if err != nil || u.Host == "" {
			t.Inconclusive("the resource %q is no URL", own)
		}
		if _, other := t.AS.TokensFor("https://attacker.example/mcp"); other != nil {
			if aud, seen := t.AS.Audience(other); !seen || slices.Contains(aud, own) {
				t.NotApplicable("the server ignores resource: every token has the same audience")
			}
		}
		if g, tokens := t.AS.TokensFor(strings.ToUpper(u.Scheme) + strings.TrimPrefix(own, u.Scheme)); tokens == nil {
			t.Advise(g.Exchange, "scheme and host compared without case (RFC 3986 section 6.2.2.1)", "the scheme in upper case: %s", g.Describe())
		}
		for _, v := range []string{own[:len(own)-1], own + "x", u.Scheme + "://evil" + u.Host + u.Path, own + "/../other"} {
			if _, tokens := t.AS.TokensFor(v); tokens != nil {
				if aud, _ := t.AS.Audience(tokens); slices.Contains(aud, own) {
					t.Finding(tokens.Exchange, v, "a resource of its own, or error invalid_target", "a token for "+own+" is issued")
				}
			}
		}
		t.Refused()
		t.Controlled()
	})
}

// boundByEffect finds out by what happens whether a token whose audience cannot be seen is bound to its resource: one for another
// resource must not work at the target.
func boundByEffect(t *T) {
	p := t.AS.Present(Attacker)
	switch {
	case p.Tokens == nil:
		t.NotTestedWithout("two-resources", "the audience of the token cannot be seen, and no token is issued for another resource (target.other_resource)")
	case p.Served:
		t.Unmet(p.At, "a token that was requested for another resource, "+Attacker+", to be refused", "it is served")
	default:
		t.RefusedBy(p.At)
	}
}

func binding() {
	Must("RS-AUD-MATCHES-PRM", func(t *T) {
		resource := t.MCP.Resource().Object.String("resource")
		ex := t.MCP.Use(t.Session.Tokens.Access)
		if !t.MCP.Served(ex) {
			t.Unmet(ex, "a token that was requested for the published resource "+resource+" to be served", "%s", expect.Describe(ex))
		}
		if _, claims := oauth.Claims(t.Session.Tokens.Access); claims != nil {
			t.Note("the token is meant for %v", audOf(claims))
		}
	})
}

func audOf(claims interface{ Get(string) (any, bool) }) any {
	v, _ := claims.Get("aud")
	return v
}
