package token

import (
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func expiry() {
	Must("AS-TOKEN-EXPIRY-ENFORCED", func(t *T) {
		tokens := t.AS.MustGetTokens(As(asker(t)))
		lifetime, ok := oauth.Lifetime(tokens)
		if !ok {
			t.Inconclusive("the token response says no expires_in, so nobody knows when the token is over (AS-TOKEN-EXPIRES-IN)")
		}
		if !t.MCP.Works(tokens) {
			t.Inconclusive("the control failed: the fresh token is not served")
		}
		active := func() bool {
			v, _ := oauth.Object(t.AS.Introspect(tokens.Client, tokens.Access)).Bool("active")
			return v
		}
		profile := func() *reports.Exchange { return t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access)) }
		introspected := t.AS.Server().Introspection != "" && !tokens.Client.Public() && active()
		known := t.AS.Server().Userinfo != "" && expect.Status(profile()) == 200
		t.Elapse(lifetime + time.Minute + time.Second) // clocks may differ by a minute
		if introspected && active() {
			t.Finding(t.Last(), "introspection", "active: false after the token's lifetime of "+lifetime.String(), "it is active")
		}
		if known {
			if ex := profile(); expect.Status(ex) == 200 {
				t.Finding(ex, "userinfo", "a refusal after the token's lifetime of "+lifetime.String(), "it is served")
			}
		}
		if ex := t.MCP.Use(tokens.Access); t.MCP.Served(ex) { // not the authorization server's doing
			t.Advise(ex, "a refusal by the MCP server after the token's lifetime of "+lifetime.String(), "it is served (RS-TOKEN-EXPIRED)")
		}
		if !introspected && !known && t.Unmistaken() {
			t.NotApplicable("neither introspection nor userinfo knew the fresh token: the MCP server alone judges what has expired")
		}
		t.Refused()
		t.Controlled()
	})

	Must("AS-TOKEN-CODE-EXPIRES", func(t *T) {
		t.AS.MustGetTokens()
		g := t.AS.MustAuthorize()
		t.Elapse(10*time.Minute + 30*time.Second)
		ex := t.AS.Redeem(g)
		if t.AS.Tokens(ex, g.Client) == nil {
			t.RefusedWith(ex, "a code after ten and a half minutes", "invalid_grant")
			return
		}
		t.Advise(ex, "a code that expires within ten minutes (OAuth 2.1 section 4.1.2)", "it is redeemed after ten and a half")
		if t.Clock == nil {
			return
		}
		g = t.AS.MustAuthorize()
		t.Elapse(31 * time.Minute)
		if ex := t.AS.Redeem(g); t.AS.Tokens(ex, g.Client) != nil {
			t.Unmet(ex, "a code that expires shortly", "it is redeemed after half an hour")
		}
	})
}

// asker is a client that may introspect its own tokens, or any client where there is none.
func asker(t *T) *oauth.Client {
	if c, _ := t.Session.Client(t.Context(), session.Confidential); c != nil && t.AS.Server().Introspection != "" {
		return c
	}
	return t.AS.AnyClient()
}
