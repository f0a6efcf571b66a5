package extension

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func enterprise() {
	Must("AS-EMA-METADATA", advertisesAssertions)
	Must("RS-EXT-EMA-IDJAG-REFUSED", refusesAssertionsAsTokens)
}

// identityAssertions are the checks with assertions of an identity provider run by mcpauth (ID-JAG section 4.4).
func identityAssertions() {
	Must("AS-EMA-VALID-ACCEPTED", bindsTokensToAssertions)
	Must("AS-EMA-CLAIMS-REJECTED", refusesWrongAssertions)
	Must("AS-EMA-SIGNATURE-REJECTED", refusesForgedAssertions)
}

func advertisesAssertions(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		listed, profile := offersAssertions(m.Object)
		if !listed && !profile {
			t.NotApplicable("identity assertion grants are not offered")
		}
		if !profile {
			t.Note("authorization_grant_profiles_supported does not name the profile, as earlier drafts did not")
		}
		t.Expect(listed, "since the profile is listed").SeenIn(m.Exchange).To(listAssertionGrant)
	})
}

// offersAssertions reports whether metadata lists the grant of assertions, and the profile of identity assertions.
func offersAssertions(m *document.Object) (grant, profile bool) {
	grants, _ := m.Strings("grant_types_supported")
	profiles, _ := m.Strings("authorization_grant_profiles_supported")
	return slices.Contains(grants, JWTBearer), slices.ContainsFunc(profiles, func(p string) bool { return strings.Contains(p, "id-jag") })
}

var listAssertionGrant = expect.That(JWTBearer+" in grant_types_supported", func(listed bool) string {
	if listed {
		return ""
	}
	return "the grant is not listed"
})

// If no authorization server of the target exchanges assertions, no client has one that the target could confuse with a token.
func refusesAssertionsAsTokens(t *T) {
	offered := t.Enterprise != nil
	for i := range t.Survey.Servers {
		if m := t.Survey.Servers[i].Metadata(); m != nil {
			grant, profile := offersAssertions(m.Object)
			offered = offered || grant || profile
		}
	}
	if !offered {
		t.NotApplicable("no authorization server of the target exchanges identity assertions")
	}
	forServer := TokenEdits(Claim("aud", t.Issuer.Identifier()), Claim("resource", t.MCP.Identifier()))
	jag := HeaderParameter("typ", "oauth-id-jag+jwt")
	client := t.Mint.Claims(nil)["client_id"]
	idToken := TokenEdits(HeaderParameter("typ", "JWT"), Claim("aud", client), Claim("nonce", "n"), Claim("auth_time", time.Now().Unix()))
	Refuses(t, t.Mint.Presented(), Cases[TokenEdit]{
		{"an ID-JAG for the authorization server", TokenEdits(jag, forServer)},
		{"an ID token of the enterprise", idToken},
	}, expect.Refuse(401))
	t.Expect(t.Mint.Presented().Send(jag), "an ID-JAG whose audience is this resource").Ideally(expect.Refuse(401))
}

// byIdentityAssertion is a token request with an identity assertion of a client. An edit makes another assertion, new each
// time: a server may remember the jti of those that it refuses.
func byIdentityAssertion(t *T, c *oauth.Client, edits ...Edit) Attempt[func() string] {
	name := "a request with a valid identity assertion"
	return Attempt[func() string]{Name: name, Good: expect.IssueTokens(), Send: func(assertions ...func() string) any {
		signed := t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, nil))
		for _, a := range assertions {
			signed = a()
		}
		ex := t.AS.PresentAssertion(c, signed, edits...)
		t.AS.Tokens(ex, c)
		return ex
	}}
}

// mustExchange returns the client that assertions are for, and the token for an ordinary assertion.
func mustExchange(t *T) (*oauth.Client, *oauth.Tokens) {
	c := t.AS.ConfidentialClient()
	ex := expect.ExchangeOf(byIdentityAssertion(t, c).Send())
	tokens := t.AS.Tokens(ex, c)
	if tokens == nil {
		t.Inconclusive("an ordinary identity assertion is answered with %s %s: the authorization server does not trust %s, "+
			"does not know the subject, or refuses what it should accept", expect.Describe(ex), oauth.ErrorCode(ex), t.Enterprise.Identifier())
	}
	t.Expect(ex, "an ordinary identity assertion").AsControl(expect.IssueTokens())
	return c, tokens
}

func bindsTokensToAssertions(t *T) {
	c, tokens := mustExchange(t)
	t.Expect(tokens).Ideally(haveNoRefreshToken)
	within(t, tokens, "the assertion's scope")
	if audience, seen := t.AS.Audience(tokens); seen {
		t.Expect(audience, "the assertion's resource").SeenIn(tokens.Exchange).To(nameResource(t.MCP.Identifier()))
		t.Expect(audience, "the assertion's resource").SeenIn(tokens.Exchange).Ideally(nameNothingElse(t.MCP.Identifier()))
	}
	if t.MCP.HasToken() && t.MCP.Served(t.MCP.Use(t.MCP.Token())) {
		t.Expect(t.MCP.Use(tokens.Access), "the token at the resource that the assertion names").To(t.MCP.Serve())
	}
	wider := expect.ExchangeOf(byIdentityAssertion(t, c, Scope(t.AS.ScopePool()...)).Send())
	if more := t.AS.Tokens(wider, c); more != nil {
		within(t, more, "a request for more than the assertion's scope")
	}
	if public, _ := t.Session.Client(t.Context(), session.Public); public != nil {
		t.Expect(byIdentityAssertion(t, public).Send(), "an assertion of a public client (ID-JAG section 8.1)").Ideally(expect.RefuseGrant())
	}
}

// within expects a token to have no scope that the assertion does not have.
func within(t *T, tokens *oauth.Tokens, about string) {
	if granted, seen := t.AS.RealScope(tokens); seen && len(t.AS.ScopePool()) > 0 {
		t.Expect(granted, about).SeenIn(tokens.Exchange).To(haveOnlyScope(t.AS.ScopePool()[0]))
	}
}

var haveOnlyScope = expect.Family("haveOnlyScope", func(scope string) expect.Matcher {
	return expect.That("no scope beyond "+scope, func(granted []string) string {
		for _, v := range granted {
			if v != scope {
				return v + " is granted"
			}
		}
		return ""
	})
})

var nameResource = expect.Family("nameResource", func(id string) expect.Matcher {
	return expect.That("a token for "+id, func(audience []string) string {
		if Names(audience, id) {
			return ""
		}
		return "its audience is " + strings.Join(audience, " ")
	})
})

var nameNothingElse = expect.Family("nameNothingElse", func(id string) expect.Matcher {
	return expect.That("a token for "+id+" alone", func(audience []string) string {
		if len(audience) < 2 {
			return ""
		}
		return "its audience is " + strings.Join(audience, " ")
	})
})

func refusesWrongAssertions(t *T) {
	c, _ := mustExchange(t)
	good := byIdentityAssertion(t, c)
	claims := func(changes map[string]any) func() string {
		return func() string { return t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, changes)) }
	}
	Refuses(t, good, wrongIdentityClaims(t, c), expect.RefuseGrant("invalid_grant"))
	Refuses(t, good, Cases[func() string]{
		{"for a foreign resource", claims(map[string]any{"resource": Attacker})},
	}, expect.RefuseGrant("invalid_target", "invalid_grant"))
	Each(t, Cases[func() string]{
		{"without a resource, which MCP's extension requires", claims(map[string]any{"resource": nil})},
		{"without jti", claims(map[string]any{"jti": nil})},
		{"valid for ten years", claims(map[string]any{"exp": time.Now().Add(10 * 365 * 24 * time.Hour).Unix()})},
	}, func(t *T, assertion func() string) { t.Expect(good.Send(assertion)).Ideally(expect.RefuseGrant()) })
	once := claims(nil)()
	same := func() string { return once }
	Each(t, Cases[any]{{"for the second time", good.Send(same)}}, func(t *T, first any) {
		if !expect.IssueTokens().Judge(first).Met {
			t.Inconclusive("the first time is answered with %s", expect.Describe(expect.ExchangeOf(first)))
		}
		t.Expect(good.Send(same)).Ideally(expect.RefuseGrant())
	})
}

// wrongIdentityClaims are assertions with a good signature, of another type or with one claim that is wrong (ID-JAG section 4.4.1).
func wrongIdentityClaims(t *T, c *oauth.Client) Cases[func() string] {
	now := time.Now().Unix()
	typed := func(typ any, changes map[string]any) func() string {
		return func() string {
			return t.Mint.Assertion(t.Mint.AssertionHeader().With("typ", typ), t.Mint.AssertionClaims(c, changes))
		}
	}
	claims := func(changes map[string]any) func() string { return typed("oauth-id-jag+jwt", changes) }
	out := Cases[func() string]{
		{"typ JWT", typed("JWT", nil)},
		{"no typ", typed(nil, nil)},
		{"an ID token", typed("JWT", map[string]any{"aud": c.ID, "client_id": nil, "resource": nil, "nonce": "n"})},
		{"for another authorization server", claims(map[string]any{"aud": "https://attacker.example"})},
		{"for the resource", claims(map[string]any{"aud": t.MCP.Identifier()})},
		{"no aud", claims(map[string]any{"aud": nil})},
		{"of another client", claims(map[string]any{"client_id": "mcpauth-another"})},
		{"of no client", claims(map[string]any{"client_id": nil})},
		{"expired", claims(map[string]any{"iat": now - 1200, "exp": now - 600})},
		{"no exp", claims(map[string]any{"exp": nil})},
		{"no sub", claims(map[string]any{"sub": nil})},
		{"of tomorrow", claims(map[string]any{"iat": now + 86400, "exp": now + 86700, "nbf": now + 86400})},
	}
	for _, m := range WrongAudiences(t.AS.Server().Issuer) {
		out = out.And(m.Name, claims(map[string]any{"aud": m.Value}))
	}
	return out
}

func refusesForgedAssertions(t *T) {
	c, _ := mustExchange(t)
	trap := Listen(t)
	h := t.Mint.AssertionHeader()
	ordinary := func() mint.Claims { return t.Mint.AssertionClaims(c, nil) }
	with := func(issuer any) mint.Claims { return ChangedClaims(ordinary(), map[string]any{"iss": issuer}) }
	alg, _ := h["alg"].(string)
	attacker, unknown := mint.NewAttacker(), strings.TrimSuffix(trap.URL("/"), "/")
	named := func(issuer any) func() string { return func() string { return t.Mint.Assertion(h, with(issuer)) } }
	rows := GoodAssertion{Header: h, Claims: ordinary}.Forgeries(trap).
		And("an issuer that is not configured", func() string { return attacker.Sign(alg, h, with(unknown)) }).
		And("no iss", named(nil))
	for _, m := range nearmiss.OfURL(t.Enterprise.Identifier(), nearmiss.Host) {
		rows = rows.And("a look-alike of the issuer, "+m.Name, named(m.Value))
	}
	Refuses(t, byIdentityAssertion(t, c), rows, expect.RefuseGrant("invalid_grant"))
	t.Expect(trap, "an unknown issuer, jku, x5u").Ideally(BeLeftAlone) // RFC 8725 section 3.10: "should"
}
