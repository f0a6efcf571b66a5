package check

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// GoodAssertion is what an attacker knows about good assertions: their header with the algorithm, their claims, which are new each time,
// and the public key if it is published.
type GoodAssertion struct {
	Header mint.Header
	Claims func() mint.Claims
	Public map[string]any
}

// Forgeries make assertions with good claims and a signature by another key than the expected one. URLs in their headers lead to a
// listener that the server has no reason to contact. Each is new when it is sent: a server may remember the jti of those that it refuses.
func (g GoodAssertion) Forgeries(trap *listener.Listener) Cases[func() string] {
	attacker := mint.NewAttacker()
	alg, _ := g.Header["alg"].(string)
	other := func(h mint.Header) func() string { return func() string { return attacker.Sign(alg, h, g.Claims()) } }
	unsigned := func(alg string) func() string {
		return func() string { return mint.Unsigned(g.Header.With("alg", alg), g.Claims()) }
	}
	hashed := func(secret []byte) func() string {
		return func() string { return mint.HS256(g.Header.With("alg", "HS256"), g.Claims(), secret) }
	}
	out := Cases[func() string]{
		{"alg none", unsigned("none")},
		{"alg None", unsigned("None")},
		{"HS256 with an empty secret", hashed(nil)},
		{"another key", other(g.Header)},
		{"another key, by jku", other(g.Header.With("jku", trap.URL("/jwks")))},
		{"another key, by x5u", other(g.Header.With("x5u", trap.URL("/x5u")))},
		{"another key, kid with a path", other(g.Header.With("kid", "../../../../dev/null"))},
	}
	out = append(out, g.withOwnKey(attacker)...)
	if o, _, err := document.ParseObject(mint.JSON(g.Public)); err == nil && g.Public != nil {
		for _, s := range mint.Spellings(o) {
			out = out.And("HS256 with the public key, "+s.Name, hashed(s.Secret))
		}
	}
	return out
}

// withOwnKey are assertions that carry the key of an attacker.
func (g GoodAssertion) withOwnKey(attacker *mint.Attacker) (out Cases[func() string]) {
	without := g.Header.With("kid", nil)
	for _, alg := range attacker.Algorithms(g.Header) {
		signed := func(name string, key any) func() string {
			return func() string { return attacker.Sign(alg, without.With(name, key), g.Claims()) }
		}
		out = out.And("another key, as jwk, "+alg, signed("jwk", attacker.PublicKey(alg))).
			And("another key, as x5c, "+alg, signed("x5c", attacker.CertificateChain(alg)))
	}
	return out
}

// BeLeftAlone expects that the listener in the assertions got no request.
var BeLeftAlone = expect.That("no request to an address that an assertion names", func(l *listener.Listener) string {
	if l.Hits() == 0 {
		return ""
	}
	return reports.Count(l.Hits(), "request") + " to the address in the assertion"
})

// ChangedClaims returns claims with changes; nil removes a claim.
func ChangedClaims(c mint.Claims, changes map[string]any) mint.Claims {
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// AssertionsOf returns what an attacker knows about the assertions of a client.
func AssertionsOf(c *oauth.Client) GoodAssertion {
	return GoodAssertion{mint.Header{"alg": c.Key.Algorithm(), "typ": "JWT", "kid": c.Key.ID}, c.Assertion, c.Key.JWK()}
}

// AcceptedAudience returns the audience of a client's assertions: the issuer, or the token endpoint, where that alone is accepted
// (RFC 7523 section 3, item 3). It ends the check, or the row, if neither is.
func (t AuthorizationServer) AcceptedAudience(c oauth.Client) string {
	audience := t.AudienceIfAny(c)
	if audience == "" {
		t.Inconclusive("a client that authenticates with an assertion gets no token")
	}
	return audience
}

// AudienceIfAny is AcceptedAudience; empty where the client gets no token.
func (t AuthorizationServer) AudienceIfAny(c oauth.Client) string {
	for _, c.Audience = range []string{t.Server().Issuer, t.Server().Token} {
		if expect.IssueTokens().Judge(t.Redemption(As(&c)).Send()).Met {
			return c.Audience
		}
	}
	return ""
}

// ForgedMACs returns edits of a good token request of a client with client_secret_jwt: assertions by somebody who does not know the secret.
func (t AuthorizationServer) ForgedMACs(c *oauth.Client) Cases[Edit] {
	attacker, header := mint.NewAttacker(), mint.Header{"alg": "HS256", "typ": "JWT"}
	by := func(secret string) func() string {
		return func() string { return mint.HS256(header, c.Assertion(), []byte(secret)) }
	}
	unsigned := func() string { return mint.Unsigned(header.With("alg", "none"), c.Assertion()) }
	keyed := func() string {
		return attacker.Sign("ES256", header.With("jwk", attacker.PublicKey("ES256")), c.Assertion())
	}
	rows := Cases[func() string]{
		{"alg none", unsigned},
		{"HS256 with another secret", by("mcpauth-wrong-" + Random(24))},
		{"HS256 with an empty secret", by("")},
		{"HS256 with the client_id as the secret", by(c.ID)},
		{"ES256 by a key in the header", keyed},
	}
	var out Cases[Edit]
	for _, row := range rows {
		out = out.And(row.Name, func(d *draft) { With("client_assertion", row.Value())(d) })
	}
	return out
}

// ForgedAssertions returns edits of a good token request of any grant: another assertion, whose signature is not the client's.
func (t AuthorizationServer) ForgedAssertions(c *oauth.Client, trap *listener.Listener) Cases[Edit] {
	var out Cases[Edit]
	for _, row := range AssertionsOf(c).Forgeries(trap) {
		out = out.And(row.Name, func(d *draft) { With("client_assertion", row.Value())(d) })
	}
	return out
}

// WrongAssertions returns edits of a good token request of any grant: no assertion, one without its type, and assertions with a good
// signature and one wrong claim (RFC 7521 section 4.2, RFC 7523 section 3).
func (t AuthorizationServer) WrongAssertions(c *oauth.Client) Cases[Edit] {
	now := time.Now().Unix()
	signed := func(changes map[string]any) Edit { return signedWith(c, changes) }
	out := Cases[Edit]{
		{"no assertion", Without("client_assertion", "client_assertion_type")},
		{"an empty assertion", With("client_assertion", "")},
		{"a client_secret instead of an assertion", Edits(Without("client_assertion", "client_assertion_type"),
			With("client_secret", "mcpauth-"+Random(24)))},
		{"half of one", With("client_assertion", strings.Split(c.Sign(c.Assertion()), ".")[0]+".")},
		{"the signature of another assertion", func(d *draft) { With("client_assertion", resigned(c))(d) }},
		{"no client_assertion_type", Without("client_assertion_type")},
		{"another client_assertion_type", With("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")},
		{"iss of another", signed(map[string]any{"iss": "mcpauth-another"})},
		{"sub of another", signed(map[string]any{"sub": "mcpauth-another"})},
		{"aud of another", signed(map[string]any{"aud": "https://other.example"})},
		{"no aud", signed(map[string]any{"aud": nil})},
		{"expired", signed(map[string]any{"exp": now - 600, "iat": now - 1200})},
		{"no exp", signed(map[string]any{"exp": nil})},
		{"not valid yet", signed(map[string]any{"nbf": now + 3600})},
	}
	for _, m := range WrongAudiences(t.Server().Issuer) {
		out = out.And(m.Name, signed(map[string]any{"aud": m.Value}))
	}
	return out
}

// signedWith presents an assertion with a good signature and changed claims. It is new in each request: a server may remember the jti even
// of assertions that it refuses.
func signedWith(c *oauth.Client, changes map[string]any) Edit {
	return func(d *draft) { With("client_assertion", c.Sign(ChangedClaims(c.Assertion(), changes)))(d) }
}

// WrongAudiences are near misses of an issuer as aud, which is compared character by character (RFC 7523 section 3), also in a list.
func WrongAudiences(issuer string) Cases[any] {
	out := Cases[any]{
		{"aud is a list with another", []string{"https://other.example"}},
		{"aud is the issuer, ;x after it", issuer + ";x"},
		{"aud is the issuer, #x after it", issuer + "#x"},
	}
	for _, m := range nearmiss.OfURL(issuer, nearmiss.Host) {
		out = out.And("aud is the issuer, "+m.Name, m.Value)
	}
	return out
}

// resigned returns an assertion with the signature of another assertion by the same client.
func resigned(c *oauth.Client) string {
	one, other := c.Sign(c.Assertion()), c.Sign(c.Assertion())
	return one[:strings.LastIndexByte(one, '.')] + other[strings.LastIndexByte(other, '.'):]
}

// AssertedBy names one client in the request, and authenticates with the assertion of another (RFC 7521 section 4.2: client_id "MUST
// identify the same client as is identified by the client assertion").
func AssertedBy(named, signer *oauth.Client) Edit {
	return Edits(Unidentified(), With("client_id", named.ID), With("client_assertion_type", oauth.AssertionType),
		With("client_assertion", signer.Sign(signer.Assertion())))
}
