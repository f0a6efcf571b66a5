package extension

import (
	"fmt"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// genuine is what an attacker knows of good assertions: their header with its algorithm, their claims, which are new each time,
// and the public key, if it is published.
type genuine struct {
	header mint.Header
	claims func() mint.Claims
	public map[string]any
}

// forgeries are assertions with good claims, whose signature is not that of the expected key. Addresses in their headers lead to
// a listener, which nobody has a reason to ask.
func (g genuine) forgeries(trap *listener.Listener) Cases[string] {
	attacker := mint.NewAttacker()
	alg, _ := g.header["alg"].(string)
	other := func(h mint.Header) string { return attacker.Sign(alg, h, g.claims()) }
	without := g.header.With("kid", nil)
	out := Cases[string]{
		{"alg none", mint.Unsigned(g.header.With("alg", "none"), g.claims())},
		{"alg None", mint.Unsigned(g.header.With("alg", "None"), g.claims())},
		{"HS256 with an empty secret", mint.HS256(g.header.With("alg", "HS256"), g.claims(), nil)},
		{"another key", other(g.header)},
		{"another key, by jku", other(g.header.With("jku", trap.URL("/jwks")))},
		{"another key, by x5u", other(g.header.With("x5u", trap.URL("/x5u")))},
		{"another key, kid with a path", other(g.header.With("kid", "../../../../dev/null"))},
	}
	for _, a := range attacker.Algorithms(g.header) {
		out = out.And("another key, as jwk, "+a, attacker.Sign(a, without.With("jwk", attacker.PublicKey(a)), g.claims())).
			And("another key, as x5c, "+a, attacker.Sign(a, without.With("x5c", attacker.CertificateChain(a)), g.claims()))
	}
	if o, _, err := document.ParseObject(mint.JSON(g.public)); err == nil && g.public != nil {
		for _, s := range mint.Spellings(o) {
			out = out.And("HS256 with the public key, "+s.Name, mint.HS256(g.header.With("alg", "HS256"), g.claims(), s.Secret))
		}
	}
	return out
}

// notAsked expects that nobody has come to the listener.
var notAsked = expect.That("no request to an address that an assertion names", func(hits int) string {
	if hits == 0 {
		return ""
	}
	return fmt.Sprintf("%d requests arrive there", hits)
})

// changedClaims are claims with some changed; nil leaves one out.
func changedClaims(c mint.Claims, changes map[string]any) mint.Claims {
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}
