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

func redirectURIs() {
	Must("AS-DCR-REJECT-DANGEROUS-SCHEME", refusesDangerousSchemes)
	Must("AS-DCR-REJECT-PLAIN-HTTP", refusesPlainHTTP)
	Must("AS-DCR-REJECT-LOOPBACK-LOOKALIKE", refusesLoopbackLookalikes)
	Must("AS-DCR-REJECT-FRAGMENT", refusesFragments)
	Must("AS-DCR-REJECT-NON-ABSOLUTE", refusesURIsThatAreNotAbsolute)
	Must("AS-DCR-REDIRECTS-REQUIRED", requiresRedirectURIs)

	Must("AS-DCR-WILDCARD", func(t *T) {
		for pattern, expanded := range Sorted(map[string]string{"https://*.client.example/cb": "https://evil.client.example/cb", "https://client.example/*": "https://client.example/evil"}) {
			c, _ := t.AS.Register(map[string]any{"redirect_uris": []string{pattern}})
			if c == nil {
				t.Refused()
				t.Controlled()
				continue
			}
			g := t.AS.Authorize(As(c), With("redirect_uri", expanded))
			switch {
			case g.Stage == login.Answered || g.Stage == login.AtConsent || strings.Contains(g.Location, expanded):
				t.Finding(g.Exchange, pattern, "redirect URIs compared as strings", "the pattern is registered, and the browser is sent to "+expanded)
			case g.Stage == login.AtLogin:
				t.Inconclusive("the pattern %s is registered; whether it works is seen only after a login", pattern)
			}
		}
	})

	Should("AS-DCR-PRIVATE-SCHEME", func(t *T) {
		for _, uri := range []string{"myapp:/cb", "myapp://cb"} {
			if c, ex := t.AS.Register(map[string]any{"redirect_uris": []string{uri}}); c != nil {
				t.Advise(ex, "private schemes in reverse domain form only (RFC 8252 section 7.1)", "%s is registered; some desktop clients need that", uri)
			}
		}
	})
}

func metadata() {
	Must("AS-DCR-ERROR-SHAPE", func(t *T) {
		for about, changes := range Sorted(map[string]map[string]any{"a redirect URI with a fragment": {"redirect_uris": []string{"https://client.example/cb#frag"}}, "an unknown grant type": {"grant_types": []string{"no_such_grant"}}}) {
			c, ex := t.AS.Register(changes)
			if c != nil {
				continue // judged by AS-DCR-REJECT-FRAGMENT
			}
			code := oauth.ErrorCode(ex)
			known := slices.Contains([]string{"invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement", "invalid_request"}, code)
			switch {
			case expect.Status(ex) != 400 || expect.MediaType(ex) != "application/json" || !known:
				t.Finding(ex, about, "HTTP 400 with error invalid_redirect_uri or invalid_client_metadata as JSON (RFC 7591 section 3.2.2)", expect.Describe(ex))
			case strings.Contains(about, "redirect") && code != "invalid_redirect_uri":
				t.Advise(ex, "error invalid_redirect_uri", "error %s", code)
			}
		}
	})

	Practice("AS-DCR-MALFORMED-BODY", func(t *T) {
		deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
		for about, body := range Sorted(map[string]string{
			"half an object": "{", "an array": "[]", "null": "null", "a string": `"x"`, "nothing": "", "a form": "redirect_uris=http%3A%2F%2F127.0.0.1%2Fcb", "deep nesting": deep,
			"invalid UTF-8": "{\"client_name\":\"\xff\xfe\",\"redirect_uris\":4}", "1 MiB": `{"client_name":"` + strings.Repeat("a", 1<<20) + `"}`,
		}) {
			ex := send(t, body)
			s := expect.Status(ex)
			if s >= 200 && s <= 299 && about != "a form" || s >= 500 || s == 0 && !strings.Contains(ex.Error, "closed the connection") && !strings.Contains(ex.Error, "reset") && !strings.Contains(ex.Error, "broken pipe") {
				t.Finding(ex, about, "HTTP 400", expect.Describe(ex))
			}
		}
		t.Refused()
		if c, ex := t.AS.Register(nil); c == nil {
			t.Unmet(ex, "an ordinary registration to work afterwards", "%s", expect.Describe(ex))
		}
		t.Controlled()
	})

	Should("AS-DCR-CONSISTENT-TYPES", confirmsConsistentTypes)

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
