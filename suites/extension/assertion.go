package extension

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func assertions() {
	Must("AS-CC-ASSERTION-ACCEPTED", acceptsAssertions)
	Must("AS-CC-ASSERTION-REJECTED", refusesBadAssertions)
}

// A server may accept either of the two audiences (RFC 7523 section 3, item 3).
func acceptsAssertions(t *T) {
	c := t.AS.MachineWithKey()
	var accepted []string
	var last *reports.Exchange
	audiences := Cases[string]{{"the issuer", t.AS.Server().Issuer}, {"the token endpoint", t.AS.Server().Token}}
	for _, a := range audiences {
		signed := c.Key.JWT(nil, ChangedClaims(c.Assertion(), map[string]any{"aud": a.Value}))
		last = t.AS.RequestForItself(c, With("client_assertion", signed))
		if t.AS.Tokens(last, c) != nil {
			accepted = append(accepted, a.Name)
		}
	}
	if len(accepted) == 0 {
		t.Expect(last, "neither the issuer nor the token endpoint as audience").To(expect.IssueTokens())
		return
	}
	t.Note("the audience may be %s", strings.Join(accepted, " or "))
	alone := t.AS.RequestForItself(c, Without("client_id"))
	t.Expect(alone, "without the parameter client_id (RFC 7521 section 4.2)").Ideally(expect.IssueTokens())
}

// byAssertion is a token request of a client with a key, for itself.
func byAssertion(t *T, c *oauth.Client) Attempt[Edit] {
	return ForItself(t, c, "a request with a valid assertion")
}

// usesAssertionOnce sends an accepted assertion again, and returns it if it is refused then.
func usesAssertionOnce(t *T, c *oauth.Client) (used string) {
	const again = "an assertion for the second time (RFC 7523 section 3, jti)"
	once := c.Key.JWT(nil, c.Assertion())
	if first := t.AS.RequestForItself(c, With("client_assertion", once)); t.AS.Tokens(first, c) == nil {
		t.Leave(again, "the first time is answered with "+expect.Describe(first))
		return ""
	}
	second := byAssertion(t, c).Send(With("client_assertion", once))
	if t.Expect(second, again).Ideally(expect.RefuseGrant()) {
		return once
	}
	return ""
}

func refusesBadAssertions(t *T) {
	c, trap := t.AS.MachineWithKey(), Listen(t)
	good, refused := byAssertion(t, c), expect.RefuseGrant("invalid_client", "invalid_request")
	Refuses(t, good, t.AS.ForgedAssertions(c, trap), refused)
	t.Expect(trap, "jku, x5u").Ideally(BeLeftAlone) // RFC 8725 section 3.10: "should"
	Refuses(t, good, t.AS.WrongAssertions(c), refused)
	if other := t.AS.Machine(); other != c {
		Refuses(t, byAssertion(t, other), Cases[Edit]{{"another client's assertion", AssertedBy(other, c)}}, refused)
	}
	used := usesAssertionOnce(t, c)
	if own := t.AS.Tokens(t.AS.RequestForItself(c), c); own != nil {
		t.AS.AuthenticatesElsewhere(c, used, t.AS.EndpointsOfTokens(own.Access))
	}
	tenYears := ChangedClaims(c.Assertion(), map[string]any{"exp": time.Now().Add(10 * 365 * 24 * time.Hour).Unix()})
	lasting := good.Send(With("client_assertion", c.Key.JWT(nil, tenYears)))
	t.Expect(lasting, "an assertion that is valid for ten years").Ideally(expect.RefuseGrant())
}
