package revocation

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func effects() {
	Must("AS-REVOKE-REFRESH-TOKEN", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		if revoked(t, t.AS.Revoke(tokens, tokens.Refresh, With("token_type_hint", "refresh_token")), "a refresh token") {
			t.RefusedWith(t.AS.Refresh(tokens), "a revoked refresh token", "invalid_grant")
		}
	})

	Should("AS-REVOKE-ACCESS-TOKEN", func(t *T) {
		tokens := t.AS.MustGetTokens()
		if !t.MCP.Works(tokens) {
			t.Inconclusive("the access token has no effect here that could end")
		}
		ex := t.AS.Revoke(tokens, tokens.Access, With("token_type_hint", "access_token"))
		if oauth.ErrorCode(ex) == "unsupported_token_type" {
			t.NotApplicable("the server does not revoke access tokens, and says so")
		}
		if !revoked(t, ex, "an access token") {
			return
		}
		last, dead := t.MCP.UntilRefused(tokens.Access)
		switch {
		case dead:
		case inactive(t, tokens):
			t.Advise(last, "the MCP server to notice the revocation", "introspection says inactive, but the MCP server still serves the token after %v: it looks at the signature only", t.Patience)
		default:
			t.Unmet(last, "a revoked access token refused", "it is still served after %v", t.Patience)
		}
	})

	Should("AS-REVOKE-REFRESH-KILLS-ACCESS", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		if !t.MCP.Works(tokens) {
			t.Inconclusive("the access token has no effect here that could end")
		}
		if !revoked(t, t.AS.Revoke(tokens, tokens.Refresh), "a refresh token") {
			return
		}
		if ex, dead := t.MCP.UntilRefused(tokens.Access); !dead {
			t.Advise(ex, "the access tokens of the grant revoked too (RFC 7009 section 2.1)", "it is still served after %v", t.Patience)
		}
	})

	Must("AS-REVOKE-WRONG-CLIENT", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		t.AS.Revoke(tokens, tokens.Refresh, As(t.AS.SecondClient()))
		ex := t.AS.Refresh(tokens)
		if t.AS.Tokens(ex, tokens.Client) == nil {
			t.Unmet(ex, "a client to revoke its own tokens only", "another client's request killed the refresh token")
		}
		access := t.AS.MustGetTokens()
		if !t.MCP.Works(access) {
			return
		}
		t.AS.Revoke(access, access.Access, As(t.AS.SecondClient()))
		if ex := t.MCP.Use(access.Access); !t.MCP.Served(ex) {
			t.Unmet(ex, "a client to revoke its own tokens only", "another client's request killed the access token")
		}
	})

	Must("AS-REVOKE-CLIENT-AUTH", func(t *T) {
		c := t.AS.ConfidentialClient()
		tokens := t.AS.MustGetTokens(As(c))
		if tokens.Refresh == "" {
			t.NotApplicable("a confidential client gets no refresh token, so the effect is not seen")
		}
		t.AS.RefreshMustWork()
		for about, edits := range Sorted(map[string][]Edit{
			"no credentials": {Unidentified()}, "client_id alone": {Unidentified(), With("client_id", c.ID)}, "a wrong secret": {Unidentified(), Header(oauth.BasicAuth(c.ID, "mcpauth-wrong"))},
		}) {
			t.RefusedWith(t.AS.Revoke(tokens, tokens.Refresh, edits...), about, "invalid_client", "invalid_request")
		}
		next := t.AS.Tokens(t.AS.Refresh(tokens), c)
		if next == nil {
			t.Unmet(tokens.Exchange, "tokens that live on, since nobody authenticated", "the refresh token is dead")
			return
		}
		if next.Refresh == "" {
			next.Refresh = tokens.Refresh
		}
		if revoked(t, t.AS.Revoke(next, next.Refresh), "a refresh token, with "+c.Method) {
			t.RefusedWith(t.AS.Refresh(next), "a revoked refresh token", "invalid_grant")
		}
		if p, _ := t.Session.Client(t.Context(), session.ConfidentialPost); p != nil {
			posted := t.AS.MustGetTokens(As(p))
			revoked(t, t.AS.Revoke(posted, posted.Refresh), "a refresh token, with client_secret_post")
		}
	})

	Must("AS-REVOKE-PUBLIC-CLIENT", func(t *T) {
		tokens := t.AS.MustGetRefreshToken(As(t.AS.PublicClient()))
		if revoked(t, t.AS.Revoke(tokens, tokens.Refresh), "a refresh token of a public client") {
			t.RefusedWith(t.AS.Refresh(tokens), "a revoked refresh token", "invalid_grant")
		}
	})

	Must("AS-REVOKE-HINTS", func(t *T) {
		for about, edit := range Sorted(map[string]Edit{"the hint access_token for a refresh token": With("token_type_hint", "access_token"), "an unknown hint": With("token_type_hint", "mcpauth_bogus"), "no hint": Unchanged}) {
			tokens := t.AS.MustGetRefreshToken()
			if revoked(t, t.AS.Revoke(tokens, tokens.Refresh, edit), about) {
				t.RefusedWith(t.AS.Refresh(tokens), "a refresh token revoked with "+about, "invalid_grant")
			}
		}
	})
}

// inactive reports that the authorization server itself takes a token for dead.
func inactive(t *T, tokens *oauth.Tokens) bool {
	if t.AS.Server().Introspection == "" || tokens.Client.Public() {
		return false
	}
	v, ok := oauth.Object(t.AS.Introspect(tokens.Client, tokens.Access)).Bool("active")
	return ok && !v
}

// revoked expects a revocation to be answered 200.
func revoked(t *T, ex *reports.Exchange, about string) bool {
	if s := expect.Status(ex); s != 200 {
		if s == 204 {
			t.Advise(ex, "HTTP 200", "%s: HTTP 204", about)
			return true
		}
		t.Finding(ex, "revoking "+about, "HTTP 200", expect.Describe(ex))
		return false
	}
	return true
}

func requests() {
	Must("AS-REVOKE-UNKNOWN-200", func(t *T) {
		tokens := &oauth.Tokens{Client: t.AS.AnyClient()}
		for about, v := range Sorted(map[string]string{"a token that was never issued": "mcpauth-" + Random(24), "a made-up JWT": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA"}) {
			ex := t.AS.Revoke(tokens, v)
			switch s := expect.Status(ex); {
			case oauth.ErrorCode(ex) == "unsupported_token_type": // self-contained tokens cannot be taken back
			case s == 204:
				t.Advise(ex, "HTTP 200", "%s: HTTP 204", about)
			case s != 200:
				t.Finding(ex, about, "HTTP 200 (RFC 7009 section 2.2)", expect.Describe(ex))
			}
		}
	})

	Must("AS-REVOKE-REQUEST-FORM", func(t *T) {
		tokens := t.AS.MustGetTokens()
		if tokens.Refresh == "" {
			tokens.Refresh = tokens.Access
		} else {
			t.AS.RefreshMustWork()
		}
		alive := func(ex *reports.Exchange, about string) {
			if next := t.AS.Tokens(t.AS.Refresh(tokens), tokens.Client); next != nil {
				if next.Refresh != "" {
					tokens.Refresh = next.Refresh
				}
				return
			}
			t.Finding(ex, about, "no revocation through a URL, which ends up in logs", "the token is revoked")
			tokens = t.AS.MustGetRefreshToken()
		}
		query := "?token=" + tokens.Refresh + "&client_id=" + tokens.Client.ID
		ex := t.Do(wire.Request{Method: "GET", URL: t.AS.Server().Revocation + query})
		if expect.Status(ex) >= 500 {
			t.Finding(ex, "GET", "HTTP 405 or 400", expect.Describe(ex))
		}
		if t.Session.Tokens.Refresh != "" {
			alive(ex, "GET with the token in the query")
			query = "?token=" + tokens.Refresh + "&client_id=" + tokens.Client.ID
			ex = t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Revocation + query, Header: []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded")}})
			alive(ex, "POST with the token in the query")
		}
		without := t.AS.Revoke(tokens, "", Without("token"))
		t.RefusedWith(without, "no token", "invalid_request", "invalid_client")
		odd := t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Revocation, Body: `{"token":"x"}`, Header: []reports.Field{mcp.Field("Content-Type", "application/json")}})
		if s := expect.Status(odd); s >= 500 || s == 0 {
			t.Finding(odd, "a JSON body", "HTTP 4xx, or 200", expect.Describe(odd))
		}
	})

	Practice("AS-REVOKE-CORS", func(t *T) {
		asked := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Revocation, Header: []reports.Field{
			mcp.Field("Origin", "http://localhost:6274"), mcp.Field("Access-Control-Request-Method", "POST"), mcp.Field("Access-Control-Request-Headers", "content-type"),
		}})
		if s := expect.Status(asked); s < 200 || s > 299 || expect.Header(asked, "Access-Control-Allow-Origin") == "" {
			t.Advise(asked, "a preflight that lets browser clients revoke (RFC 7009 section 2.3)", "%s", strings.TrimSpace(expect.Describe(asked)))
		}
	})
}
