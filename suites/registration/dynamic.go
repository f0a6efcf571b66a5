package registration

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// send posts a body to the registration endpoint as it is, and takes charge of a client that comes of it.
func send(t *T, body string, fields ...reports.Field) *reports.Exchange {
	ex := t.Do(post(t, t.AS.Server().Registration, body, fields...))
	t.Session.Registered(ex, nil)
	return ex
}

// refusesRegistration expects a registration to be refused in the form of RFC 7591 section 3.2.2.
func refusesRegistration(t *T, ex *reports.Exchange, about string) bool {
	s, code := expect.Status(ex), oauth.ErrorCode(ex)
	switch {
	case s >= 200 && s <= 299:
		t.Finding(ex, about, "a refusal with HTTP 400", "it is registered")
		return false
	case s >= 500 || s == 0:
		t.Finding(ex, about, "a refusal with HTTP 400", expect.Describe(ex))
		return false
	case s == 429 || s == 403 && code != "invalid_redirect_uri":
		t.Inconclusive("registration is limited: %s", expect.Describe(ex))
	}
	t.Refused()
	t.Controlled() // the shared client was registered at the same endpoint
	return true
}

func metadata() {
	Practice("AS-DCR-NO-PRIVILEGED-GRANTS", func(t *T) {
		privileged := []string{"authorization_code", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"}
		c, ex := t.AS.Register(map[string]any{"grant_types": privileged, "token_endpoint_auth_method": t.AS.SecretMethod()})
		if c == nil {
			refusesRegistration(t, ex, "privileged grant types")
			return
		}
		ex = t.AS.TokenRequest(c, With("grant_type", "client_credentials"))
		tokens := t.AS.Tokens(ex, c)
		switch {
		case tokens == nil:
			t.RefusedWith(ex, "client_credentials of a client that registered itself", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request")
		case t.MCP.Served(t.MCP.Use(tokens.Access)):
			t.Unmet(ex, "no token for a client that anybody can register", "the token works at the MCP server: registration is all that access takes")
		default:
			t.Advise(ex, "no token for a client that anybody can register", "one is issued, though the MCP server refuses it")
		}
	})

	Practice("AS-DCR-SCOPE-LIMITS", func(t *T) {
		pool := t.AS.ScopePool()
		c, _ := t.AS.Register(map[string]any{"scope": pool[0]})
		if c == nil || c.Registered.String("scope") != pool[0] {
			t.NotApplicable("the server makes no promise about a client's registered scope")
		}
		if g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Scope(pool[0], pool[1]))); g.Code() != "" {
			ex := t.AS.Redeem(g)
			if tokens := t.AS.Tokens(ex, c); tokens != nil {
				if real, _ := t.AS.RealScope(tokens); slices.Contains(real, pool[1]) || slices.Contains(tokens.Scope, pool[1]) {
					t.Unmet(ex, "no scope that the client did not register", "the token has %s", pool[1])
				}
			}
		}
		if odd, ex := t.AS.Register(map[string]any{"scope": pool[0] + " mcpauth-no-such-scope"}); odd != nil && strings.Contains(odd.Registered.String("scope"), "mcpauth-no-such-scope") {
			t.Advise(ex, "unknown scopes left out", "mcpauth-no-such-scope is registered")
		}
	})

	Practice("AS-DCR-NO-CLIENT-CHOSEN-IDS", func(t *T) {
		victim := t.AS.AnyClient()
		c, ex := t.AS.Register(map[string]any{"client_id": victim.ID, "client_secret": "mcpauth-chosen-secret", "registration_access_token": "mcpauth-chosen-token", "client_name": "mcpauth intruder"})
		if c == nil {
			return
		}
		if c.ID == victim.ID {
			t.Unmet(ex, "identifiers of the server's choice", "the client_id of another client can be taken over")
		}
		if c.Secret == "mcpauth-chosen-secret" || c.Registered.String("registration_access_token") == "mcpauth-chosen-token" {
			t.Unmet(ex, "secrets of the server's choice", "a secret sent by the client is kept")
		}
	})

	Practice("AS-DCR-METHODS", func(t *T) {
		for _, address := range []string{t.AS.Server().Registration, t.AS.Server().Registration + "?client_id=" + t.AS.AnyClient().ID} {
			ex := t.Get(address)
			if ex.Response != nil && strings.Contains(ex.Response.Body, t.AS.AnyClient().ID) && expect.Status(ex) == 200 {
				t.Unmet(ex, "no client data for GET", "clients are listed to anybody")
			}
		}
		asked := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Registration, Header: []reports.Field{
			mcp.Field("Origin", "http://localhost:6274"), mcp.Field("Access-Control-Request-Method", "POST"), mcp.Field("Access-Control-Request-Headers", "content-type,mcp-protocol-version"),
		}})
		if s := expect.Status(asked); s < 200 || s > 299 || expect.Header(asked, "Access-Control-Allow-Origin") == "" {
			t.Advise(asked, "a preflight that lets browser clients register", "%s", expect.Describe(asked))
		}
	})

	Practice("AS-DCR-SSRF-METADATA-URLS", func(t *T) {
		l := Listen(t)
		c, _ := t.AS.Register(map[string]any{"jwks_uri": l.URL("/jwks"), "logo_uri": l.URL("/logo"), "sector_identifier_uri": l.URL("/sector"), "policy_uri": l.URL("/policy"), "tos_uri": l.URL("/tos")})
		if c != nil {
			t.AS.Authorize(As(c), StoppingAtLogin(), Leaving())
		}
		if l.Hits() > 0 {
			t.Unmet(nil, "no fetch from a loopback address of what a stranger registers", "%d requests arrived", l.Hits())
		}
	})

	May("AS-DCR-SOFTWARE-STATEMENT", func(t *T) {
		const statement = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmlzIjpbImh0dHBzOi8vYXR0YWNrZXIuZXhhbXBsZS9jYiJdLCJjbGllbnRfbmFtZSI6IlRydXN0ZWQgQ29ycCJ9."
		c, ex := t.AS.Register(map[string]any{"software_statement": statement})
		if c != nil && (slices.Contains(c.RedirectURIs, "https://attacker.example/cb") || c.Registered.String("client_name") == "Trusted Corp") {
			t.Unmet(ex, "nothing taken from an unsigned software statement", "its values are registered")
		}
	})
}

func management() {
	Must("AS-DCRM-TOKEN-REQUIRED", requiresTheManagementToken)

	Must("AS-DCRM-UPDATE-REVALIDATES", func(t *T) {
		c := t.AS.MustRegister(nil)
		uri, token, _ := t.Session.Manageable(c)
		put := func(changes map[string]any) *reports.Exchange {
			m := t.AS.ClientMetadata()
			m["client_id"] = c.ID
			for k, v := range changes {
				m[k] = v
			}
			ex := t.Do(wire.Request{Method: "PUT", URL: uri, Body: jsonOf(m), Header: []reports.Field{mcp.Bearer(token), mcp.Field("Content-Type", "application/json")}})
			if fresh := oauth.Object(ex).String("registration_access_token"); fresh != "" {
				t.Secrets.Add("registration_access_token", fresh)
				token = fresh
			}
			return ex
		}
		if ex := put(map[string]any{"client_name": "mcpauth renamed"}); expect.Status(ex) != 200 {
			t.NotApplicable("clients cannot be updated: %s", expect.Describe(ex))
		}
		t.Controlled()
		put(map[string]any{"redirect_uris": []string{"javascript:alert(1)"}})
		ex := t.Get(uri, mcp.Bearer(token))
		if uris, _ := oauth.Object(ex).Strings("redirect_uris"); slices.Contains(uris, "javascript:alert(1)") {
			t.Unmet(ex, "an update validated like a registration", "the redirect URI javascript:alert(1) is stored")
		}
		if other := put(map[string]any{"client_id": "mcpauth-chosen"}); oauth.Object(other).String("client_id") == "mcpauth-chosen" {
			t.Unmet(other, "client_id to stay", "it is changed")
		}
		if chosen := put(map[string]any{"client_secret": "mcpauth-chosen-secret"}); oauth.Object(chosen).String("client_secret") == "mcpauth-chosen-secret" {
			t.Unmet(chosen, "secrets of the server's choice", "a secret sent by the client is kept")
		}
		t.Refused()
	})

	Should("AS-DCRM-DELETE", func(t *T) {
		c := t.AS.MustRegister(nil)
		uri, token, _ := t.Session.Manageable(c)
		tokens := t.AS.MustGetTokens(As(c))
		ex := t.Do(wire.Request{Method: "DELETE", URL: uri, Header: []reports.Field{mcp.Bearer(token)}})
		if s := expect.Status(ex); s == 403 || s == 404 || s == 405 || s == 501 {
			t.NotApplicable("clients cannot be deleted: %s", expect.Describe(ex))
		} else if s != 204 {
			t.Advise(ex, "HTTP 204", "%s", expect.Describe(ex))
		}
		t.Session.Forget(c)
		if g := t.AS.Authorize(As(c), Leaving()); g.Stage == login.Answered || g.Stage == login.AtConsent {
			t.Unmet(g.Exchange, "a deleted client unknown at the authorization endpoint", "%s", g.Describe())
		}
		if tokens.Refresh != "" {
			if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, c) != nil {
				t.Unmet(ex, "a deleted client's refresh token refused", "it works")
			}
		}
		t.Refused()
	})
}
