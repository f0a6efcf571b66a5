package token

import (
	"cmp"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// leeway is how much clocks may differ.
const leeway = time.Minute

func endsTokens(t *T) {
	tokens := t.AS.MustGetTokens(As(asker(t)), openID(t))
	lifetime, ok := oauth.Lifetime(tokens)
	if t.Lifetimes.Access > 0 {
		lifetime, ok = t.Lifetimes.Access, true
	}
	if !ok {
		t.Inconclusive("the token response says no expires_in (AS-TOKEN-EXPIRES-IN), and no lifetime is declared (lifetimes.access in the " +
			"target file)")
	}
	t.MCP.MustWork(tokens, "this proves nothing: the fresh token is not served")
	witnesses := witnessesOf(t, tokens)
	t.Elapse(lifetime + leeway + time.Second)
	after := "after the token's lifetime of " + expect.Span(lifetime)
	Each(t, witnesses, func(t *T, w witness) { t.Expect(w.ask(), "%s", after).To(w.ended) })
	// Whether the MCP server still serves it does not depend on the authorization server (RS-TOKEN-EXPIRED).
	refused := t.Expect(t.MCP.Use(tokens.Access), "the MCP server "+after).Ideally(expect.NotBypass())
	if refused && len(witnesses) == 0 {
		t.NotApplicable("no endpoint of the authorization server knew the fresh token: the MCP server alone judges what has expired")
	}
}

// witness is an endpoint of the authorization server that accepts a token, with its answer when the token has expired.
type witness struct {
	ask   func() *reports.Exchange
	ended expect.Matcher
}

// witnessesOf are the endpoints that accept a fresh token.
func witnessesOf(t *T, tokens *oauth.Tokens) (out Cases[witness]) {
	if t.AS.Server().Introspection != "" && !tokens.Client.Public() {
		introspect := func() *reports.Exchange { return t.AS.Introspect(tokens.Client, tokens.Access) }
		if active, _ := oauth.Object(introspect()).Bool("active"); active {
			out = out.And("introspection", witness{introspect, expect.BeInactive()})
		}
	}
	if t.AS.Server().Userinfo != "" {
		profile := func() *reports.Exchange { return t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access)) }
		if expect.Status(profile()) == 200 {
			out = out.And("userinfo", witness{profile, expect.RefuseAnyway()})
		}
	}
	return append(out, exchangers(t, tokens)...)
}

// exchangers has the token endpoint, if it exchanges a fresh token of a client with a secret (RFC 8693 section 2.2.2).
func exchangers(t *T, tokens *oauth.Tokens) (out Cases[witness]) {
	if tokens.Client.Public() || !t.AS.Lists("grant_types_supported", TokenExchange) {
		return nil
	}
	exchange := func() *reports.Exchange { return expect.ExchangeOf(Exchanging(t, tokens.Client, tokens.Access).Send()) }
	if !expect.IssueTokens().Judge(exchange()).Met {
		return nil
	}
	return out.And("token exchange", witness{exchange, expect.RefuseGrant("invalid_request", "invalid_grant")})
}

// asker is a client that may introspect its own tokens, or any client where there is none.
func asker(t *T) *oauth.Client {
	if c := t.AS.Confidential(); c != nil && t.AS.Server().Introspection != "" {
		return c
	}
	return t.AS.AnyClient()
}

// Codes expire shortly, and within ten minutes if the recommendation is followed (OAuth 2.1 section 4.1.2). What comes with an expires_in
// ends with it.
func endsCodes(t *T) {
	t.AS.MustGetTokens()
	others, g := announced(t), t.AS.MustAuthorize()
	lifetime := cmp.Or(t.Lifetimes.Code, 10*time.Minute) + 30*time.Second // the declared lifetime, if there is one
	t.Elapse(lifetime)
	late := t.Expect(t.AS.Redeem(g), "a code half a minute after its lifetime of %s", expect.Span(lifetime-30*time.Second))
	refused := late.Ideally(expect.RefuseGrant("invalid_grant"))
	Each(t, others, func(t *T, a announcement) { a.end(t, lifetime) })
	if refused || t.Clock == nil {
		return
	}
	g = t.AS.MustAuthorize()
	t.Elapse(31 * time.Minute)
	t.Expect(t.AS.Redeem(g), "a code after half an hour").To(expect.RefuseGrant("invalid_grant"))
}
