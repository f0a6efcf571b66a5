package token

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func clientAuthentication() {
	Must("AS-TOKEN-INVALID-CLIENT-BASIC", func(t *T) {
		c := basicClient(t)
		for about, field := range Sorted(map[string]reports.Field{
			"a wrong secret": oauth.BasicAuth(c.ID, "mcpauth-wrong"), "an unknown client": oauth.BasicAuth("mcpauth-unknown-"+Random(9), "x"),
			"Basic with no base64": mcp.Field("Authorization", "Basic !!!"), "Basic without a colon": mcp.Field("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("nocolon"))),
		}) {
			ex := t.AS.TokenRequest(c, Unidentified(), Header(field), With("grant_type", "authorization_code"), With("code", "x"), With("code_verifier", oauth.NewPKCE(43).Verifier))
			garbage := strings.Contains(about, "Basic")
			if s := expect.Status(ex); garbage && s == 400 {
				continue
			} else if s != 401 {
				t.Finding(ex, about, "HTTP 401 with error invalid_client", expect.Describe(ex))
				continue
			}
			if code := oauth.ErrorCode(ex); code != "invalid_client" {
				t.Finding(ex, about, "error invalid_client", "error "+code)
			}
			if !slices.ContainsFunc(expect.Challenges(ex), isBasic) {
				t.Finding(ex, about, "WWW-Authenticate: Basic, the scheme that the client used (OAuth 2.1 section 3.2.4)", "it is absent; most clients do not care")
			}
		}
		t.Refused()
	})

	Must("AS-TOKEN-WRONG-SECRET", func(t *T) {
		c := t.AS.ConfidentialClient()
		for about, edits := range Sorted(map[string][]Edit{
			"client_id alone":                  {Unidentified(), With("client_id", c.ID)},
			"an empty secret":                  {Unidentified(), With("client_id", c.ID), With("client_secret", "")},
			"a wrong secret in the body":       {Unidentified(), With("client_id", c.ID), With("client_secret", "mcpauth-wrong-"+Random(16))},
			"a wrong secret by Basic":          {Unidentified(), Header(oauth.BasicAuth(c.ID, "mcpauth-wrong-"+Random(16)))},
			"the secret with a space":          {Unidentified(), Header(oauth.BasicAuth(c.ID, c.Secret+" "))},
			"the secret with the case changed": {Unidentified(), Header(oauth.BasicAuth(c.ID, t.Hide(swapped(c.Secret))))},
		}) {
			t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(As(c)), edits...), about, "invalid_client", "invalid_request")
		}
	})

	Practice("AS-TOKEN-METHOD-PINNED", func(t *T) {
		c := t.AS.ConfidentialClient()
		t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(As(c)), Unidentified(), With("client_id", c.ID)), "no authentication for a client registered with "+c.Method, "invalid_client", "invalid_request")
		if ex := t.AS.Redeem(t.AS.MustAuthorize(As(c)), Unidentified(), With("client_id", c.ID), With("client_secret", c.Secret)); t.AS.Tokens(ex, c) != nil && c.Method == oauth.Basic {
			t.Advise(ex, "the method that the client registered, "+c.Method, "client_secret_post is accepted too")
		}
	})

	Must("AS-TOKEN-SECRET-POST", func(t *T) {
		c, why := t.Session.Client(t.Context(), session.ConfidentialPost)
		if c == nil {
			t.NotApplicable("%s", why)
		}
		ex := t.AS.Redeem(t.AS.MustAuthorize(As(c)))
		t.AS.Tokens(ex, c)
		t.Expect(ex, "client_id and client_secret in the body").To(expect.IssueTokens())
	})

	May("AS-TOKEN-SECRET-BASIC", func(t *T) {
		c := basicClient(t)
		ex := t.AS.Redeem(t.AS.MustAuthorize(As(c)))
		t.AS.Tokens(ex, c)
		t.Expect(ex, "Basic, without client_id in the body").To(expect.IssueTokens())
	})

	Must("AS-TOKEN-TWO-METHODS", func(t *T) {
		c := basicClient(t)
		if ex := t.AS.Redeem(t.AS.MustAuthorize(As(c)), With("client_id", c.ID), With("client_secret", c.Secret)); c.Method == oauth.Basic {
			if t.AS.Tokens(ex, c) != nil {
				t.Advise(ex, "error invalid_request for two authentication methods (OAuth 2.1 section 2.4)", "tokens are issued")
			} else {
				t.RefusedWith(ex, "Basic and client_secret in one request", "invalid_request", "invalid_client")
			}
		}
		second := t.AS.SecondClient()
		g := t.AS.MustAuthorize(As(second))
		ex := t.AS.Redeem(g, Unidentified(), Header(oauth.BasicAuth(c.ID, c.Secret)), With("client_id", second.ID))
		t.RefusedWith(ex, "Basic of one client, client_id of another, and that other's code")
	})
}

// basicClient is the shared confidential client, where it authenticates by Basic.
func basicClient(t *T) *oauth.Client {
	methods, listed := t.AS.Server().Metadata.Strings("token_endpoint_auth_methods_supported")
	if listed && !slices.Contains(methods, oauth.Basic) {
		t.NotApplicable("client_secret_basic is not advertised")
	}
	c := t.AS.ConfidentialClient()
	if c.Method != oauth.Basic {
		t.NotTested("it needs a client registered for client_secret_basic")
	}
	return c
}

func isBasic(c document.Challenge) bool { return strings.EqualFold(c.Scheme, "Basic") }

func swapped(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	return strings.ToLower(s) + "x"
}

func errorResponses() {
	Must("AS-TOKEN-ERROR-SHAPE", func(t *T) {
		for about, ex := range Sorted(provoked(t)) {
			o, status := oauth.Object(ex), expect.Status(ex)
			v, _ := o.Get("error")
			code, isString := v.(string)
			switch {
			case status == 429 || status == 503:
			case status == 403 && code == "invalid_scope":
				t.Advise(ex, "HTTP 400", "%s: HTTP 403 with invalid_scope", about)
			case status != 400 && status != 401 && !(status == 413 || status == 415 || status == 405):
				t.Finding(ex, about, "HTTP 400 or 401", expect.Describe(ex))
			case o == nil || !isString || code == "":
				t.Finding(ex, about, "a JSON object with the member error", expect.Describe(ex))
			case !registered(code):
				t.Advise(ex, "a registered error code", "%s: error %q", about, code)
			}
			if d := o.String("error_description"); strings.ContainsAny(d, "\"\\\r\n") {
				t.Advise(ex, "error_description of the allowed characters", "%s: %q", about, d)
			}
		}
	})

	Practice("AS-TOKEN-ERROR-NO-LEAK", func(t *T) {
		secret := oauth.NewPKCE(43).Verifier
		refresh := "mcpauth-" + Random(24)
		c := t.AS.AnyClient()
		for _, ex := range []*reports.Exchange{
			t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth"), With("code_verifier", secret), With("redirect_uri", c.RedirectURI)),
			t.AS.TokenRequest(c, With("grant_type", "refresh_token"), With("refresh_token", refresh)),
			t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "'\"")),
		} {
			if ex.Response == nil {
				continue
			}
			body := ex.Response.Body
			if strings.Contains(body, secret) || strings.Contains(body, refresh) {
				t.Unmet(ex, "an error that repeats no secret", "the code verifier or refresh token is echoed")
			}
			for _, mark := range []string{"Traceback", "\tat com.", "    at ", "File \"", "SELECT ", "sqlalchemy", "pymongo", "goroutine "} {
				if strings.Contains(body, mark) {
					t.Unmet(ex, "an error without the inside of the server", "it holds %q", mark)
				}
			}
		}
	})

	Practice("AS-TOKEN-CORS", func(t *T) {
		origin := mcp.Field("Origin", "http://localhost:6274")
		asked := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Token, Header: []reports.Field{
			origin, mcp.Field("Access-Control-Request-Method", "POST"), mcp.Field("Access-Control-Request-Headers", "content-type,authorization,mcp-protocol-version"),
		}})
		if s := expect.Status(asked); s < 200 || s > 299 || expect.Header(asked, "Access-Control-Allow-Origin") == "" {
			t.Advise(asked, "a preflight that lets browser clients in", "%s", expect.Describe(asked))
		}
		answer := t.AS.TokenRequest(t.AS.AnyClient(), With("grant_type", "authorization_code"), With("code", "x"), Header(origin))
		if expect.Header(answer, "Access-Control-Allow-Origin") == "" {
			t.Advise(answer, "Access-Control-Allow-Origin on errors too, so that browser clients can read them", "it is absent")
		}
		foreign := t.AS.TokenRequest(t.AS.AnyClient(), With("grant_type", "authorization_code"), With("code", "x"), Header(mcp.Field("Origin", "https://attacker.example")))
		if expect.Header(foreign, "Access-Control-Allow-Origin") == "https://attacker.example" && expect.Header(foreign, "Access-Control-Allow-Credentials") == "true" {
			t.Unmet(foreign, "no credentials for any origin", "a foreign origin is reflected, with Access-Control-Allow-Credentials: true")
		}
	})
}

// provoked are errors of the token endpoint.
func provoked(t *T) map[string]*reports.Exchange {
	c := t.AS.AnyClient()
	return map[string]*reports.Exchange{
		"an unknown code":          t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth"), With("code_verifier", oauth.NewPKCE(43).Verifier), With("redirect_uri", c.RedirectURI)),
		"an unknown refresh token": t.AS.TokenRequest(c, With("grant_type", "refresh_token"), With("refresh_token", "mcpauth")),
		"an unknown grant type":    t.AS.TokenRequest(c, With("grant_type", "mcpauth_bogus")),
		"no grant type":            t.AS.TokenRequest(c),
	}
}

// registered reports that an error code stands in the IANA registry of OAuth extensions errors.
func registered(code string) bool {
	return slices.Contains([]string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target", "invalid_dpop_proof",
		"use_dpop_nonce", "server_error", "temporarily_unavailable", "slow_down", "authorization_pending", "expired_token", "access_denied", "interaction_required", "login_required",
	}, code)
}
