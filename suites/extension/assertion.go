package extension

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func assertions() {
	Must("AS-CC-ASSERTION-ACCEPTED", acceptsAssertions)
	Must("AS-CC-ASSERTION-REJECTED", refusesBadAssertions)
}

// Which of the two audiences a server accepts is its own affair (RFC 7523 section 3, item 3).
func acceptsAssertions(t *T) {
	c := t.AS.MachineWithKey()
	var accepted []string
	var last *reports.Exchange
	audiences := Cases[string]{{"the issuer", t.AS.Server().Issuer}, {"the token endpoint", t.AS.Server().Token}}
	for _, a := range audiences {
		signed := c.Key.JWT(nil, changedClaims(c.Assertion(), map[string]any{"aud": a.Value}))
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

// byAssertion is a token request of a client with a key. An edit is another assertion.
func byAssertion(t *T, c *oauth.Client) Attempt[string] {
	return Attempt[string]{Name: "a request with a valid assertion", Good: expect.IssueTokens(), Send: func(edits ...string) any {
		signed := c.Key.JWT(nil, c.Assertion())
		for _, e := range edits {
			signed = e
		}
		ex := t.AS.RequestForItself(c, With("client_assertion", signed))
		t.AS.Tokens(ex, c)
		return ex
	}}
}

func refusesBadAssertions(t *T) {
	c, trap := t.AS.MachineWithKey(), Listen(t)
	h := mint.Header{"alg": c.Key.Algorithm(), "typ": "JWT", "kid": c.Key.ID}
	forged := genuine{h, func() mint.Claims { return c.Assertion() }, c.Key.JWK()}.forgeries(trap)
	Refuses(t, byAssertion(t, c), forged, expect.RefuseGrant("invalid_client", "invalid_request"))
	t.Expect(trap.Hits(), "jku, x5u").To(notAsked)
	Refuses(t, byAssertion(t, c), wrongClaims(t, c), expect.RefuseGrant("invalid_client", "invalid_request"))
	once := c.Key.JWT(nil, c.Assertion())
	byAssertion(t, c).Send(once)
	t.Expect(byAssertion(t, c).Send(once), "an assertion for the second time (RFC 7523 section 3, jti)").Ideally(expect.RefuseGrant())
	lasting := c.Key.JWT(nil, changedClaims(c.Assertion(), map[string]any{"exp": time.Now().Add(10 * 365 * 24 * time.Hour).Unix()}))
	t.Expect(byAssertion(t, c).Send(lasting), "an assertion that is valid for ten years").Ideally(expect.RefuseGrant())
}

// wrongClaims are assertions with a good signature, and one claim that is wrong (RFC 7523 section 3).
func wrongClaims(t *T, c *oauth.Client) Cases[string] {
	now := time.Now().Unix()
	signed := func(changes map[string]any) string { return c.Key.JWT(nil, changedClaims(c.Assertion(), changes)) }
	out := Cases[string]{
		{"iss of another", signed(map[string]any{"iss": "mcpauth-another"})},
		{"sub of another", signed(map[string]any{"sub": "mcpauth-another"})},
		{"aud of another", signed(map[string]any{"aud": "https://other.example"})},
		{"no aud", signed(map[string]any{"aud": nil})},
		{"expired", signed(map[string]any{"exp": now - 600, "iat": now - 1200})},
		{"no exp", signed(map[string]any{"exp": nil})},
		{"not valid yet", signed(map[string]any{"nbf": now + 3600})},
		{"no assertion", ""},
		{"half of one", strings.Split(signed(nil), ".")[0] + "."},
	}
	for _, m := range nearmiss.OfURL(t.AS.Server().Issuer, nearmiss.Host) {
		out = out.And("aud is the issuer, "+m.Name, signed(map[string]any{"aud": m.Value}))
	}
	return out
}
