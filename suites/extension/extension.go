// Package extension holds the checks on MCP's authorization extensions, and on the OAuth features that some servers
// offer beside the code flow.
package extension

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP extension: OAuth Client Credentials", credentials)
	Describe("MCP extension: Enterprise-Managed Authorization", enterprise)
	Describe("RFC 9449: DPoP", binding)
	Describe("Identity Assertion JWT Authorization Grant", identityAssertions)
	Describe("RFC 8693: Token Exchange", exchange)
	Describe("RFC 8628: Device Authorization Grant", devices)
	Describe("RFC 9126: Pushed Authorization Requests", pushedRequests)
	Describe("RFC 7523 section 3: client assertions", assertions)
}

func credentials() {
	Must("AS-CC-METADATA", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			methods, _ := m.Object.Strings("token_endpoint_auth_methods_supported")
			algorithms, _ := m.Object.Strings("token_endpoint_auth_signing_alg_values_supported")
			key, basic := slices.Contains(methods, oauth.PrivateKey), slices.Contains(methods, oauth.Basic)
			switch {
			case key && len(algorithms) == 0:
				t.Unmet(m.Exchange, "token_endpoint_auth_signing_alg_values_supported beside private_key_jwt", "it is absent")
			case !key && !basic && slices.Contains(methods, oauth.Post):
				t.Advise(m.Exchange, "private_key_jwt or client_secret_basic in token_endpoint_auth_methods_supported", "client_secret_post only")
			case !key && !basic:
				t.Unmet(m.Exchange, "private_key_jwt or client_secret_basic in token_endpoint_auth_methods_supported", "%s", strings.Join(methods, " "))
			}
			if !t.AS.ClientCredentials() {
				t.Advise(m.Exchange, "client_credentials in grant_types_supported", "it is not listed, though a client may use it")
			}
		})
	})

	Must("AS-CC-SECRET-FLOW", func(t *T) {
		c := t.AS.Machine()
		ex := t.AS.RequestForItself(c)
		tokens := t.AS.Tokens(ex, c)
		if tokens == nil {
			t.Unmet(ex, "a token for a client that may act for itself", "%s %s", expect.Describe(ex), oauth.ErrorCode(ex))
			return
		}
		t.Controlled()
		if tokens.Refresh != "" {
			t.Advise(ex, "no refresh token (OAuth 2.1 section 4.2)", "there is one")
		}
		const invented = "mcpauth:invented.admin"
		ex = t.AS.RequestForItself(c, Scope(append(slices.Clone(c.Scopes), invented)...))
		if more := t.AS.Tokens(ex, c); more == nil {
			t.RefusedWith(ex, "scopes that the client has not", "invalid_scope")
		} else if real, seen := t.AS.RealScope(more); seen && slices.Contains(real, invented) {
			t.Finding(ex, "an invented scope", "error invalid_scope, or a token without it", "it is granted")
		}
		if !t.Session.SendResource {
			return // whether the parameter is understood at all is seen only after a login (AS-RES-ACCEPTED)
		}
		ex = t.AS.RequestForItself(c, With("resource", Attacker))
		if other := t.AS.Tokens(ex, c); other == nil {
			t.RefusedWith(ex, "a foreign resource", "invalid_target")
		} else if audience, _ := t.AS.Audience(other); Names(audience, Attacker) {
			t.Finding(ex, "a foreign resource", "error invalid_target", "a token is minted for it")
		}
	})

	Should("AS-CC-SUBJECT-DISTINCT", func(t *T) {
		c := t.AS.Machine()
		ex := t.AS.RequestForItself(c)
		tokens := t.AS.Tokens(ex, c)
		if tokens == nil {
			t.Inconclusive("the client gets no token (AS-CC-SECRET-FLOW): %s", expect.Describe(ex))
		}
		_, claims := oauth.Claims(tokens.Access)
		if claims == nil && t.AS.Server().Introspection != "" && !c.Public() {
			claims = oauth.Object(t.AS.Introspect(c, tokens.Access))
		}
		if claims == nil {
			t.Inconclusive("the content of the token cannot be seen")
		}
		kinds := []string{"gty", "grant_type", "token_use", "client_type", "idtyp", "act"}
		told := slices.ContainsFunc(kinds, func(name string) bool { _, there := claims.Get(name); return there })
		if sub := claims.String("sub"); sub != "" && sub != c.ID && !strings.Contains(sub, c.ID) && !told {
			t.Unmet(ex, "a subject that cannot be taken for a user (RFC 9068 section 5)", "sub=%q, the client is %q, and no claim tells the two kinds apart", sub, c.ID)
		}
		if t.AS.Server().Userinfo != "" {
			if ex := t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access)); expect.Status(ex) == 200 {
				t.Unmet(ex, "no user at the userinfo endpoint for a client's own token", "%s", expect.Describe(ex))
			}
		}
		t.Refused()
		t.Controlled()
	})

	Must("RS-EXT-CC-TOKEN", func(t *T) {
		machine := map[string]any{"sub": "mcpauth-machine", "client_id": "mcpauth-machine", "scope": strings.Join(t.MCP.OrdinaryScopes(), " ")}
		with := func(changes map[string]any) string {
			claims := maps.Clone(machine)
			maps.Copy(claims, changes)
			return t.Mint.Token(claims)
		}
		t.Mint.Control()
		if ex := t.MCP.Use(with(nil)); !t.MCP.Served(ex) {
			t.NotApplicable("tokens of clients that act for themselves are not served at all: %s", expect.Describe(ex))
		}
		past := time.Now().Add(-time.Hour).Unix()
		for about, changes := range Sorted(map[string]map[string]any{"another audience": {"aud": "https://other.example/mcp"}, "expired": {"exp": past, "iat": past - 3600}, "another issuer": {"iss": "https://attacker.example"}}) {
			t.Expect(t.MCP.Use(with(changes)), "a client's token, %s", about).To(expect.Refuse(401))
		}
		for _, tool := range t.MCP.ScopedTools() {
			if ex := t.MCP.CallTool(with(map[string]any{"scope": "mcpauth:none"}), tool); expect.Ran(ex) {
				t.Finding(ex, tool.Name, "a refusal with HTTP 403 without the scope "+tool.Needs(), "the tool runs")
			} else {
				t.RefusedBy(ex)
			}
		}
		for _, tool := range t.Tools {
			if tool.Private == "" {
				continue
			}
			if ex := t.MCP.CallTool(with(nil), tool); strings.Contains(Text(ex), tool.Private) {
				t.Finding(ex, tool.Name, "nothing of a user's for a client that acts for itself", "the result shows what only the first user may see")
			}
		}
	})
}

func enterprise() {
	Should("AS-EMA-METADATA", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			grants, _ := m.Object.Strings("grant_types_supported")
			profiles, _ := m.Object.Strings("authorization_grant_profiles_supported")
			listed := slices.Contains(grants, JWTBearer)
			profile := slices.ContainsFunc(profiles, func(p string) bool { return strings.Contains(p, "id-jag") })
			switch {
			case profile && !listed:
				t.Unmet(m.Exchange, JWTBearer+" in grant_types_supported beside the profile", "it is not listed")
			case !listed && !profile:
				t.NotApplicable("identity assertion grants are not offered")
			case !profile:
				t.Note("authorization_grant_profiles_supported does not name the profile, as earlier drafts did not")
			}
		})
	})

	Must("RS-EXT-EMA-IDJAG-REFUSED", func(t *T) {
		t.Mint.Control()
		h := t.Mint.Header().With("typ", "oauth-id-jag+jwt")
		t.Expect(t.MCP.Use(t.Mint.TokenWith(h, map[string]any{"aud": t.Issuer.Identifier(), "resource": t.MCP.Identifier()})), "an ID-JAG for the authorization server").To(expect.Refuse(401))
		t.Expect(t.MCP.Use(t.Mint.TokenWith(t.Mint.Header().With("typ", "JWT"), map[string]any{"aud": t.Mint.Claims(nil)["client_id"], "nonce": "n", "auth_time": time.Now().Unix()})), "an ID token of the enterprise").To(expect.Refuse(401))
		t.Expect(t.MCP.Use(t.Mint.TokenWith(h, nil)), "an ID-JAG whose audience is this resource").Ideally(expect.Refuse(401))
	})
}

// identityAssertions are the checks with assertions of an identity provider of ours (ID-JAG section 4.4).
func identityAssertions() {
	Must("AS-EMA-VALID-ACCEPTED", func(t *T) {
		c, tokens := asserted(t)
		ex := tokens.Exchange
		if tokens.Refresh != "" {
			t.Advise(ex, "no refresh token for an identity assertion (ID-JAG section 4.4.3)", "there is one")
		}
		within(t, tokens, "the assertion's scope")
		if audience, seen := t.AS.Audience(tokens); seen && !Names(audience, t.MCP.Identifier()) {
			t.Finding(ex, "the assertion's resource", "a token for "+t.MCP.Identifier(), "its audience is "+strings.Join(audience, " "))
		}
		if t.MCP.HasToken() && t.MCP.Served(t.MCP.Use(t.MCP.Token())) && !t.MCP.Works(tokens) {
			t.Finding(t.Last(), "the token", "to be accepted by the resource that the assertion names", expect.Describe(t.Last()))
		}
		wider := t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, nil))
		if more := t.AS.Tokens(t.AS.PresentAssertion(c, wider, Scope(t.AS.ScopePool()...)), c); more != nil {
			within(t, more, "a request for more than the assertion's scope")
		}
		if public, _ := t.Session.Client(t.Context(), session.Public); public != nil {
			ex := t.AS.PresentAssertion(public, t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(public, nil)))
			if t.AS.Tokens(ex, public) != nil {
				t.Advise(ex, "assertions taken of confidential clients only (ID-JAG section 8.1)", "a public client gets a token")
			}
		}
	})

	Must("AS-EMA-CLAIMS-REJECTED", func(t *T) {
		c, _ := asserted(t)
		now := time.Now().Unix()
		claims := func(changes map[string]any) string {
			return t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, changes))
		}
		for about, assertion := range Sorted(map[string]string{
			"typ JWT": t.Mint.Assertion(t.Mint.AssertionHeader().With("typ", "JWT"), t.Mint.AssertionClaims(c, nil)), "no typ": t.Mint.Assertion(t.Mint.AssertionHeader().With("typ", nil), t.Mint.AssertionClaims(c, nil)),
			"an ID token":                      t.Mint.Assertion(t.Mint.AssertionHeader().With("typ", "JWT"), t.Mint.AssertionClaims(c, map[string]any{"aud": c.ID, "client_id": nil, "resource": nil, "nonce": "n"})),
			"for another authorization server": claims(map[string]any{"aud": "https://attacker.example"}), "for the resource": claims(map[string]any{"aud": t.MCP.Identifier()}), "no aud": claims(map[string]any{"aud": nil}),
			"of another client": claims(map[string]any{"client_id": "mcpauth-another"}), "of no client": claims(map[string]any{"client_id": nil}),
			"expired": claims(map[string]any{"iat": now - 1200, "exp": now - 600}), "no exp": claims(map[string]any{"exp": nil}), "no sub": claims(map[string]any{"sub": nil}), "of tomorrow": claims(map[string]any{"iat": now + 86400, "exp": now + 86700, "nbf": now + 86400}),
		}) {
			t.RefusedWith(t.AS.PresentAssertion(c, assertion), about, "invalid_grant")
		}
		t.RefusedWith(t.AS.PresentAssertion(c, claims(map[string]any{"resource": Attacker})), "for a foreign resource", "invalid_target", "invalid_grant")
		advise := func(expected string, assertion string) {
			if ex := t.AS.PresentAssertion(c, assertion); t.AS.Tokens(ex, c) != nil {
				t.Advise(ex, expected, "a token is issued")
			}
		}
		advise("a resource in the assertion, as MCP's extension requires", claims(map[string]any{"resource": nil}))
		advise("a jti in the assertion", claims(map[string]any{"jti": nil}))
		advise("no assertion that is valid for ten years", claims(map[string]any{"exp": now + 10*365*86400}))
		once := claims(nil)
		t.AS.PresentAssertion(c, once)
		advise("an assertion to be taken once", once)
	})

	Must("AS-EMA-SIGNATURE-REJECTED", func(t *T) {
		c, _ := asserted(t)
		trap, stranger := Listen(t), t.Mint.RSAKey("mcpauth")
		h, ordinary := t.Mint.AssertionHeader(), func() mint.Claims { return t.Mint.AssertionClaims(c, nil) }
		foreign := t.Mint.AssertionClaims(c, map[string]any{"iss": strings.TrimSuffix(trap.URL("/"), "/")})
		for about, assertion := range Sorted(map[string]string{
			"alg none": mint.Unsigned(h.With("alg", "none"), ordinary()), "HS256 with an empty secret": mint.HS256(h.With("alg", "HS256"), ordinary(), nil),
			"another key": stranger.Seal(h, ordinary()), "another key, embedded": stranger.Seal(h.With("jwk", stranger.JWK()), ordinary()),
			"another key, by jku": stranger.Seal(h.With("jku", trap.URL("/jwks")), ordinary()), "another key, by x5u": stranger.Seal(h.With("x5u", trap.URL("/x5u")), ordinary()),
			"an issuer that nobody configured": stranger.Seal(h, foreign), "a look-alike of the issuer": t.Mint.Assertion(h, t.Mint.AssertionClaims(c, map[string]any{"iss": t.Enterprise.Identifier() + ".attacker.example"})),
			"no iss": t.Mint.Assertion(h, t.Mint.AssertionClaims(c, map[string]any{"iss": nil})),
		}) {
			t.RefusedWith(t.AS.PresentAssertion(c, assertion), about, "invalid_grant")
		}
		if trap.Hits() > 0 {
			t.Finding(nil, "an unknown issuer, jku, x5u", "no request to an address that the assertion names", "it is fetched")
		}
	})
}

// asserted is the client that assertions are for, and the token of an ordinary one.
func asserted(t *T) (*oauth.Client, *oauth.Tokens) {
	c := t.AS.ConfidentialClient()
	ex := t.AS.PresentAssertion(c, t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, nil)))
	tokens := t.AS.Tokens(ex, c)
	if tokens == nil {
		t.Inconclusive("an ordinary identity assertion is answered with %s %s: the authorization server does not trust %s, does not know the subject, or refuses what it should take", expect.Describe(ex), oauth.ErrorCode(ex), t.Enterprise.Identifier())
	}
	t.Controlled()
	return c, tokens
}

// within judges that a token has no scope but the assertion's.
func within(t *T, tokens *oauth.Tokens, about string) {
	granted, seen := t.AS.RealScope(tokens)
	if !seen || len(t.AS.ScopePool()) == 0 {
		return
	}
	for _, v := range granted {
		if v != t.AS.ScopePool()[0] {
			t.Finding(tokens.Exchange, about, "no scope beyond "+t.AS.ScopePool()[0], v+" is granted")
		}
	}
}

func assertions() {
	Must("AS-CC-ASSERTION-ACCEPTED", func(t *T) {
		c := t.AS.MachineWithKey()
		var taken []string
		var last *reports.Exchange
		for about, audience := range Sorted(map[string]string{"the issuer": t.AS.Server().Issuer, "the token endpoint": t.AS.Server().Token}) {
			claims := c.Assertion()
			claims["aud"] = audience
			last = t.AS.RequestForItself(c, With("client_assertion", c.Key.JWT(nil, claims)))
			if t.AS.Tokens(last, c) != nil {
				taken = append(taken, about)
			}
		}
		if len(taken) == 0 {
			t.Unmet(last, "a token for a valid assertion whose audience is the issuer or the token endpoint", "%s %s", expect.Describe(last), oauth.ErrorCode(last))
			return
		}
		t.Note("the audience may be %s", strings.Join(taken, " or "))
		if ex := t.AS.RequestForItself(c, Without("client_id")); t.AS.Tokens(ex, c) == nil {
			t.Advise(ex, "client_id taken from the assertion (RFC 7521 section 4.2)", "without the parameter: %s", expect.Describe(ex))
		}
	})

	Must("AS-CC-ASSERTION-REJECTED", func(t *T) {
		c := t.AS.MachineWithKey()
		if ex := t.AS.RequestForItself(c); t.AS.Tokens(ex, c) == nil {
			t.Inconclusive("the control failed: a valid assertion is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		now, trap := time.Now().Unix(), Listen(t)
		claims := func(changes map[string]any) mint.Claims {
			out := c.Assertion()
			for k, v := range changes {
				if out[k] = v; v == nil {
					delete(out, k)
				}
			}
			return out
		}
		stranger := &mint.Key{ID: c.Key.ID, Signer: mint.NewKey("").Signer}
		signed := func(changes map[string]any) string { return c.Key.JWT(nil, claims(changes)) }
		for about, assertion := range Sorted(map[string]string{
			"alg none": mint.Unsigned(mint.Header{"alg": "none"}, claims(nil)), "alg None": mint.Unsigned(mint.Header{"alg": "None"}, claims(nil)),
			"HS256 with an empty secret": mint.HS256(mint.Header{"alg": "HS256"}, claims(nil), nil), "HS256 with the public key": mint.HS256(mint.Header{"alg": "HS256"}, claims(nil), []byte(mint.JSON(c.Key.JWK()))),
			"another key": stranger.JWT(nil, claims(nil)), "another key, embedded": stranger.JWT(mint.Header{"jwk": stranger.JWK(), "kid": nil}, claims(nil)), "another key, by jku": stranger.JWT(mint.Header{"jku": trap.URL("/jwks")}, claims(nil)),
			"kid with a path": stranger.JWT(mint.Header{"kid": "../../../../dev/null"}, claims(nil)),
			"iss of another":  signed(map[string]any{"iss": "mcpauth-another"}), "sub of another": signed(map[string]any{"sub": "mcpauth-another"}),
			"aud of another": signed(map[string]any{"aud": "https://other.example"}), "no aud": signed(map[string]any{"aud": nil}), "expired": signed(map[string]any{"exp": now - 600, "iat": now - 1200}),
			"no exp": signed(map[string]any{"exp": nil}), "not valid yet": signed(map[string]any{"nbf": now + 3600}), "no assertion": "", "half of one": "eyJhbGciOiJFUzI1NiJ9.",
		}) {
			t.RefusedWith(t.AS.RequestForItself(c, With("client_assertion", assertion)), about, "invalid_client", "invalid_request")
		}
		if trap.Hits() > 0 {
			t.Finding(nil, "jku", "no request to an address that the assertion names", "it is fetched")
		}
		once := signed(nil)
		t.AS.RequestForItself(c, With("client_assertion", once))
		if ex := t.AS.RequestForItself(c, With("client_assertion", once)); t.AS.Tokens(ex, c) != nil {
			t.Advise(ex, "an assertion taken once (RFC 7523 section 3, jti)", "it is taken a second time")
		}
		if ex := t.AS.RequestForItself(c, With("client_assertion", signed(map[string]any{"exp": now + 10*365*24*3600}))); t.AS.Tokens(ex, c) != nil {
			t.Advise(ex, "no assertion that is valid for years", "one of ten years is taken")
		}
	})
}
