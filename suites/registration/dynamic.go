package registration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

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

func answer() {
	Must("AS-DCR-SUCCESS-SHAPE", func(t *T) {
		c, ex := t.AS.Register(nil)
		o := oauth.Object(ex)
		if s := expect.Status(ex); s != 201 {
			t.Unmet(ex, "HTTP 201 (RFC 7591 section 3.2.1)", "%s; most clients accept it", expect.Describe(ex))
		}
		if expect.MediaType(ex) != "application/json" || o == nil {
			t.Unmet(ex, "a JSON object as application/json", "Content-Type %s", expect.Header(ex, "Content-Type"))
			return
		}
		if c == nil || strings.ContainsFunc(c.ID, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Unmet(ex, "client_id: a string of visible ASCII", "it is absent or something else")
		}
		if v, ok := o.Get("client_id_issued_at"); ok {
			if _, number := expect.Number(v); !number {
				t.Unmet(ex, "client_id_issued_at: a number of seconds since 1970", "%v (%T)", v, v)
			}
		}
	})

	Must("AS-DCR-ECHO-METADATA", func(t *T) {
		uris := []string{t.Session.Callback, "https://client.example/cb?x=1"}
		c, ex := t.AS.Register(map[string]any{
			"redirect_uris": uris, "client_uri": "https://client.example/", "logo_uri": "https://client.example/logo.png", "software_id": "mcpauth", "software_version": "1",
		})
		if c == nil {
			t.Inconclusive("the registration is refused: %s", expect.Describe(ex))
		}
		for _, name := range []string{"redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method"} {
			if _, ok := c.Registered.Get(name); !ok {
				t.Unmet(ex, name+" in the answer: all registered metadata (RFC 7591 section 3.2.1)", "it is absent")
			}
		}
		if got, ok := c.Registered.Strings("redirect_uris"); ok && !slices.Equal(got, uris) {
			t.Unmet(ex, "the redirect URIs exactly as they were sent", "%s", strings.Join(got, " "))
		}
	})

	Practice("AS-DCR-NO-NULLS", func(t *T) {
		c, ex := t.AS.Register(nil)
		if c == nil {
			t.Inconclusive("the registration is refused: %s", expect.Describe(ex))
		}
		for _, m := range c.Registered.Members {
			if m.Value == nil || m.Value == "" {
				t.Unmet(ex, "absent metadata to be left out", "%s is %v", m.Name, jsonOf(m.Value))
			}
		}
	})

	Must("AS-DCR-PUBLIC-NO-SECRET", func(t *T) {
		c, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": oauth.None})
		switch {
		case c == nil:
			t.NotApplicable("public clients cannot be registered: %s", expect.Describe(ex))
		case c.Method == oauth.None && c.Secret != "":
			t.Unmet(ex, "no client_secret for a client with token_endpoint_auth_method none", "one is issued")
		case c.Method != oauth.None:
			t.Advise(ex, "token_endpoint_auth_method none, as requested", "%s, which a public client cannot use", c.Method)
		}
	})

	Must("AS-DCR-SECRET-EXPIRY", func(t *T) {
		issued := false
		for _, method := range []string{oauth.Post, oauth.Basic} {
			c, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": method})
			if c == nil || c.Secret == "" {
				continue
			}
			issued = true
			v, ok := c.Registered.Get("client_secret_expires_at")
			n, number := expect.Number(v)
			switch {
			case !ok || !number:
				t.Finding(ex, method, "client_secret_expires_at: a number, 0 for never (RFC 7591 section 3.2.1)", fmt.Sprintf("%v", jsonOf(v)))
			case n != 0 && n < float64(time.Now().Unix()) || n > 1e10:
				t.Finding(ex, method, "client_secret_expires_at in the future, in seconds", fmt.Sprint(v))
			}
		}
		if !issued {
			t.NotApplicable("registration issues no secrets")
		}
	})

	Must("AS-DCR-SECRET-WORKS", func(t *T) {
		c, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.Session.SecretMethod()})
		if c == nil || c.Secret == "" {
			t.NotApplicable("registration issues no secrets: %s", expect.Describe(ex))
		}
		try := func(secret string) *reports.Exchange {
			d := *c
			d.Secret = secret
			t.Secrets.Add("client_secret", secret)
			return t.AS.TokenRequest(&d, With("grant_type", "authorization_code"), With("code", "mcpauth-invalid"), With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
		}
		right, wrong := try(c.Secret), try(c.Secret[:len(c.Secret)-1]+"!")
		switch {
		case oauth.ErrorCode(right) == "invalid_client":
			t.Unmet(right, "the issued secret to authenticate the client", "error invalid_client")
		case oauth.ErrorCode(wrong) != "invalid_client" && t.Session.Ready:
			g := t.AS.MustAuthorize(As(c))
			d := *c
			d.Secret = c.Secret[:len(c.Secret)-1] + "!"
			t.RefusedWith(t.AS.Redeem(g, As(&d)), "a secret with its last character changed", "invalid_client")
		case oauth.ErrorCode(wrong) != "invalid_client":
			t.Inconclusive("a right and a wrong secret are answered alike (%s): only a login tells more", expect.Describe(wrong))
		}
	})

	Should("AS-DCR-DEFAULTS", appliesDefaults)

	Must("AS-DCR-UNKNOWN-IGNORED", func(t *T) {
		if c, ex := t.AS.Register(map[string]any{"x_mcpauth_unknown": map[string]any{"a": []int{1}}, "resource": t.Survey.Endpoint}); c == nil {
			t.Unmet(ex, "unknown metadata to be ignored (RFC 7591 section 2)", "%s", expect.Describe(ex))
		}
	})

	May("AS-DCR-APPLICATION-TYPE", func(t *T) {
		if c, _ := t.AS.Register(map[string]any{"application_type": nil}); c == nil {
			t.Inconclusive("a registration without application_type is refused too")
		}
		if c, ex := t.AS.Register(map[string]any{"application_type": "native"}); c == nil {
			t.Unmet(ex, "a native client with a loopback redirect URI", "%s", expect.Describe(ex))
		}
	})

	Must("AS-DCR-IDS-UNIQUE-RANDOM", func(t *T) {
		ids, secrets := map[string]bool{}, []string{}
		for i := range 3 {
			c, _ := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.Session.SecretMethod(), "client_name": fmt.Sprintf("mcpauth conformance %d", i)})
			if c == nil {
				continue
			}
			if ids[c.ID] {
				t.Unmet(c.Exchange, "an identifier of its own for every client", "two different registrations get the same client_id")
			}
			ids[c.ID] = true
			if c.Secret != "" {
				secrets = append(secrets, c.Secret)
			}
		}
		if len(secrets) > 1 {
			t.Expect(secrets).To(expect.BeUnguessable("client secrets"))
		}
	})

	Must("AS-DCR-NO-STORE", func(t *T) {
		c, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.Session.SecretMethod()})
		if c == nil {
			c, ex = t.AS.Register(nil)
		}
		if c == nil {
			t.Inconclusive("the registration is refused: %s", expect.Describe(ex))
		}
		if v := expect.Header(ex, "Cache-Control"); !strings.Contains(strings.ToLower(v), "no-store") {
			if c.Secret == "" && c.Registered.String("registration_access_token") == "" {
				t.Advise(ex, "Cache-Control: no-store", "Cache-Control %q, in an answer without credentials", v)
			} else {
				t.Unmet(ex, "Cache-Control: no-store on an answer with credentials", "Cache-Control %q", v)
			}
		}
	})

	Must("AS-DCR-CLIENT-USABLE", func(t *T) {
		c := t.AS.MustRegister(nil)
		for range 3 {
			g := t.AS.Authorize(As(c), StoppingAtLogin(), Leaving(), Nobody())
			if t.AS.Stopped(g) && g.Stage == login.ErrorPage {
				t.Unmet(g.Exchange, "a client that is known at the authorization endpoint at once", "%s", g.Describe())
				return
			}
			ex := t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-invalid"), With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
			if oauth.ErrorCode(ex) == "invalid_client" {
				t.Unmet(ex, "a client that is known at the token endpoint at once", "error invalid_client")
				return
			}
		}
	})

	Should("AS-DCR-LOOPBACK-ACCEPTED", acceptsLoopbackRedirects)

	Must("AS-DCR-NO-SHARED-UPSTREAM", func(t *T) {
		a := t.AS.MustRegister(map[string]any{"client_name": "mcpauth one", "redirect_uris": []string{t.Session.Callback + "/one"}})
		b := t.AS.MustRegister(map[string]any{"client_name": "mcpauth two", "redirect_uris": []string{t.Session.Callback + "/two"}})
		if a.ID == b.ID {
			t.Unmet(b.Exchange, "an identifier of its own for every client", "two different clients get the client_id %s", a.ID)
		}
		if a.Secret != "" && a.Secret == b.Secret {
			t.Unmet(b.Exchange, "a secret of its own for every client", "two different clients get the same secret")
		}
	})
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
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
		c, ex := t.AS.Register(map[string]any{"grant_types": privileged, "token_endpoint_auth_method": t.Session.SecretMethod()})
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
