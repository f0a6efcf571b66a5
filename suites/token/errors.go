package token

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Clients whose registration was lost learn from invalid_client that they must register again. With a login, the code and
// the refresh token are good, so that the client is the only reason to refuse them.
func saysThatClientIsUnknown(t *T) {
	if t.Session != nil && t.Session.Ready {
		saysSoOfGoodGrants(t)
		return
	}
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		endpoint := m.Object.String("token_endpoint")
		if endpoint == "" {
			t.NotApplicable("the metadata names no token_endpoint (AS-META-REQUIRED-FIELDS)")
		}
		Each(t, Cases[oauth.Form]{
			{"grant_type authorization_code", oauth.Form{{Name: "grant_type", Value: "authorization_code"}, {Name: "code", Value: "mcpauth"},
				{Name: "code_verifier", Value: Random(32)}, {Name: "redirect_uri", Value: "http://127.0.0.1:8765/callback"}}},
			{"grant_type refresh_token", oauth.Form{{Name: "grant_type", Value: "refresh_token"}, {Name: "refresh_token", Value: "mcpauth"}}},
		}, func(t *T, f oauth.Form) {
			f.Set("client_id", "mcpauth-unknown-"+Random(9))
			ex := t.Do(oauth.Request(endpoint, f))
			if oauth.ErrorCode(ex) == "invalid_grant" {
				t.NotTestedWithout("login", "the server looks at the code first, and a good one needs a login (--username)")
			}
			refusesAsUnknown(t, ex)
		})
	})
}

func saysSoOfGoodGrants(t *T) {
	unknown := *t.AS.AnyClient()
	unknown.ID, unknown.Secret, unknown.Method = "mcpauth-unknown-"+Random(9), "", oauth.None
	goods := Cases[Attempt[Edit]]{{"a good code", t.AS.Redemption()}}
	if t.Session.Tokens.Refresh != "" || t.Session.Offline {
		goods = goods.And("a good refresh token", t.AS.RefreshGrant())
	}
	Each(t, goods, func(t *T, good Attempt[Edit]) { refusesAsUnknown(t, expect.ExchangeOf(good.Send(As(&unknown)))) })
}

func refusesAsUnknown(t *T, ex *reports.Exchange) {
	if t.Expect(ex).To(expect.RefuseGrant("invalid_client")) {
		t.Expect(ex).Ideally(expect.HaveStatus(400, 401))
	}
}

func answersErrorsInJSON(t *T) {
	c := t.AS.AnyClient()
	Each(t, Cases[Edit]{
		{"an unknown code", Edits(With("grant_type", "authorization_code"), With("code", "mcpauth"),
			With("code_verifier", oauth.NewPKCE(43).Verifier), With("redirect_uri", c.RedirectURI))},
		{"an unknown refresh token", Edits(With("grant_type", "refresh_token"), With("refresh_token", "mcpauth"))},
		{"an unknown grant type", Edits(With("grant_type", "mcpauth_bogus"))},
		{"no grant type", Unchanged},
	}, func(t *T, request Edit) {
		ex := t.AS.TokenRequest(c, request)
		switch status := expect.Status(ex); {
		case status == 429 || status == 503: // a limit on requests sends these
		case status == 403 && oauth.ErrorCode(ex) == "invalid_scope":
			t.Expect(ex).Ideally(expect.HaveStatus(400))
		case t.Expect(ex).To(expect.HaveStatus(400, 401, 405, 413, 415), expect.HaveMediaType("application/json"),
			expect.HaveMember("error", expect.NotEmpty)):
			t.Expect(ex).Ideally(expect.NameError(registered...), describedInASCII)
		}
	})
}

// registered are the error codes in the IANA registry "OAuth Extensions Error" that a token endpoint may use.
var registered = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"invalid_target", "invalid_dpop_proof", "use_dpop_nonce", "server_error", "temporarily_unavailable", "slow_down",
	"authorization_pending", "expired_token", "access_denied", "interaction_required", "login_required",
}

var describedInASCII = expect.That("error_description of the allowed characters", func(ex *reports.Exchange) string {
	other := func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }
	if d := oauth.Object(ex).String("error_description"); strings.ContainsFunc(d, other) {
		return d
	}
	return ""
})

func leaksNothingInErrors(t *T) {
	verifier, refresh := oauth.NewPKCE(43).Verifier, "mcpauth-"+Random(24)
	c := t.AS.AnyClient()
	Each(t, Cases[Edit]{
		{"an unknown code", Edits(With("grant_type", "authorization_code"), With("code", "mcpauth"),
			With("code_verifier", verifier), With("redirect_uri", c.RedirectURI))},
		{"an unknown refresh token", Edits(With("grant_type", "refresh_token"), With("refresh_token", refresh))},
		{"quotes as code", Edits(With("grant_type", "authorization_code"), With("code", "'\""))},
	}, func(t *T, request Edit) {
		ex := t.AS.TokenRequest(c, request)
		if ex.Response != nil {
			t.Expect(expect.Body(ex)).SeenIn(ex).To(lack("an error that repeats no secret", verifier, refresh),
				showNoInternals)
		}
		LeaveIfFailed(t, ex)
	})
}

var showNoInternals = expect.That("an error without the inside of the server", func(body string) string {
	if shown := expect.Internals(body); shown != "" {
		return "the answer has " + shown
	}
	return ""
})

// lack expects a text that contains none of the parts.
var lack = expect.Family("lack", func(expected string, parts ...string) expect.Matcher {
	return expect.That(expected, func(body string) string {
		i := slices.IndexFunc(parts, func(p string) bool { return strings.Contains(body, p) })
		if i < 0 {
			return ""
		}
		return "the answer has " + strings.TrimSpace(parts[i])
	})
})

// Clients in a browser, such as inspectors, call the endpoint with fetch.
func letsBrowserClientsIn(t *T) {
	const inspector = "http://localhost:6274"
	origin := mcp.Field("Origin", inspector)
	asked := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Token, Header: []reports.Field{
		origin, mcp.Field("Access-Control-Request-Method", "POST"),
		mcp.Field("Access-Control-Request-Headers", "content-type,authorization,mcp-protocol-version"),
	}})
	t.Expect(asked, "a preflight").Ideally(expect.AllowPreflight(inspector, "POST"))
	failing := func(origin reports.Field) *reports.Exchange {
		return t.AS.TokenRequest(t.AS.AnyClient(), With("grant_type", "authorization_code"), With("code", "x"), Header(origin))
	}
	t.Expect(failing(origin), "a request that gets an error, which browser clients have to read").Ideally(expect.BeReadable(inspector))
	Each(t, Cases[string]{
		{"a foreign origin", "https://attacker.example"},
		{"the origin of a sandboxed page", "null"},
	}, func(t *T, foreign string) {
		t.Expect(failing(mcp.Field("Origin", foreign))).To(allowNoCredentials(foreign))
	})
}

var allowNoCredentials = expect.Family("allowNoCredentials", func(origin string) expect.Matcher {
	return expect.That("no credentials for any origin", func(ex *reports.Exchange) string {
		reflected := expect.Header(ex, "Access-Control-Allow-Origin") == origin
		if reflected && expect.Header(ex, "Access-Control-Allow-Credentials") == "true" {
			return "Access-Control-Allow-Origin: " + origin + " with Access-Control-Allow-Credentials: true"
		}
		return ""
	})
})
