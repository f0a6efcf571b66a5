package metadata

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func behaviour() {
	Must("AS-META-GRANTS-MATCH-BEHAVIOUR", knowsTheListedGrants)
	Should("AS-META-AUTH-METHODS-LISTED", listsNone)
	Must("AS-META-AUTH-METHODS-TRUE", acceptsListedMethods)
}

// listed is a list of the metadata, or its default (RFC 8414 section 2).
func listed(t *T, name string, otherwise ...string) []string {
	if list, ok := t.AS.Server().Metadata.Strings(name); ok {
		return list
	}
	return otherwise
}

// unlisted are grants that a server may support without listing them.
var unlisted = []string{
	"password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
	"urn:ietf:params:oauth:grant-type:jwt-bearer",
}

func knowsTheListedGrants(t *T) {
	grants := listed(t, "grant_types_supported", "authorization_code", "implicit")
	c := t.AS.AnyClient()
	for _, grant := range grants {
		if grant != "implicit" { // the token endpoint does not serve the implicit grant
			t.Expect(t.AS.TokenRequest(c, With("grant_type", grant)), "%s, which is listed", grant).To(knowGrant())
		}
	}
	if slices.Contains(grants, "refresh_token") {
		issuesRefreshToken(t)
	}
	for _, grant := range unlisted {
		if !slices.Contains(grants, grant) {
			refusesGrant(t, c, grant, grant+", which is not listed")
		}
	}
	if slices.Contains(grants, "client_credentials") {
		return
	}
	if secret, _ := t.Session.Client(t.Context(), session.Confidential); secret != nil && secret.ID != c.ID { // a public one may not use it
		refusesGrant(t, secret, "client_credentials", "client_credentials of a client with a secret, which is not listed")
	}
}

// refusesGrant expects a grant that is not listed to issue no token.
func refusesGrant(t *T, c *oauth.Client, grant, about string) {
	ex := t.AS.TokenRequest(c, With("grant_type", grant))
	t.AS.Tokens(ex, c)
	seen := t.Expect(ex, "%s", about)
	if seen.To(expect.RefuseGrant()) {
		seen.Ideally(notReadGrant())
	}
}

var knowGrant = expect.Family("knowGrant", func() expect.Matcher {
	return expect.That("a grant type that the token endpoint knows", func(ex *reports.Exchange) string {
		if oauth.ErrorCode(ex) == "unsupported_grant_type" {
			return "error unsupported_grant_type"
		}
		return ""
	})
})

// notReadGrant expects the grant type itself to be refused, not another error in the request.
var notReadGrant = expect.Family("notReadGrant", func() expect.Matcher {
	return expect.That("error unsupported_grant_type", func(ex *reports.Exchange) string {
		switch code := oauth.ErrorCode(ex); code {
		case "invalid_request", "invalid_grant", "invalid_scope":
			return "error " + code
		}
		return ""
	})
})

// issuesRefreshToken looks at the first login. A server may issue refresh tokens for offline_access only, with prompt=consent
// (OpenID Connect Core section 11), so that the login asks for this where it is offered. It may issue them to confidential clients only.
func issuesRefreshToken(t *T) {
	if !t.Session.Ready || t.Session.Offline {
		return
	}
	tokens := t.Session.Tokens
	if c := t.AS.Refresher(); tokens.Refresh == "" && c != tokens.Client {
		tokens = t.AS.MustGetTokens(As(c))
	}
	t.Expect(tokens).Ideally(expect.That("a refresh token for a client that registered for them, since the grant type is listed",
		func(tokens *oauth.Tokens) string {
			if tokens.Refresh == "" {
				return "no refresh token is issued"
			}
			return ""
		}))
}

func listsNone(t *T) {
	methods := listed(t, "token_endpoint_auth_methods_supported", oauth.Basic)
	c, why := t.Session.Client(t.Context(), session.Public)
	if t.Session.Unanswered(why) {
		t.Inconclusive("%s", why)
	}
	if c == nil || c.Method != oauth.None {
		t.NotApplicable("no public client can be obtained: %s", why)
	}
	CiteIfAsked(t, c.Exchange)
	t.Expect(methods).SeenIn(c.Exchange).To(expect.That("none in token_endpoint_auth_methods_supported, since public clients are registered",
		func(methods []string) string {
			if !slices.Contains(methods, oauth.None) {
				return "token_endpoint_auth_methods_supported: [" + strings.Join(methods, ", ") + "]"
			}
			return ""
		}))
}

func acceptsListedMethods(t *T) {
	methods := listed(t, "token_endpoint_auth_methods_supported", oauth.Basic)
	tried := false
	for _, m := range []struct{ method, kind string }{{oauth.Basic, session.ConfidentialBasic}, {oauth.Post, session.ConfidentialPost}} {
		c, _ := t.Session.Client(t.Context(), m.kind)
		if !slices.Contains(methods, m.method) || c == nil {
			continue
		}
		tried = true
		Each(t, Cases[*oauth.Client]{{m.method, c}}, func(t *T, c *oauth.Client) {
			g := t.AS.MustAuthorize(As(c))
			ex := t.AS.Redeem(g)
			t.AS.Tokens(ex, c)
			t.Expect(ex).To(expect.IssueTokens())
		})
	}
	if !tried {
		t.NotApplicable("no client with a secret can be obtained for a listed method")
	}
}
