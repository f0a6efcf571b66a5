package tokenvalidation

import (
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func kinds() {
	Must("RS-TOKEN-ID-TOKEN", func(t *T) {
		tokens := t.AS.SharedTokens()
		if tokens.ID == "" {
			supported, _ := t.AS.Server().Metadata.Strings("scopes_supported")
			for _, s := range supported {
				if s == "openid" {
					tokens = t.AS.MustGetTokens(Scope(append([]string{"openid"}, t.Session.RequestedScopes()...)...))
				}
			}
		}
		if tokens.ID == "" {
			t.NotApplicable("the authorization server issues no ID token")
		}
		t.Expect(t.MCP.Use(tokens.ID), "an ID token in place of an access token").To(expect.Refuse(401))
	})

	Must("RS-TOKEN-REFRESH-OR-CODE", func(t *T) {
		tokens := t.AS.MustGetTokens()
		if tokens.Refresh != "" {
			t.Expect(t.MCP.Use(tokens.Refresh), "a refresh token in place of an access token").To(expect.Refuse(401))
		}
		t.Expect(t.MCP.Use(t.AS.MustAuthorize().Code()), "an authorization code in place of an access token").To(expect.Refuse(401))
		if c := tokens.Client.Registered; c.String("registration_access_token") != "" {
			t.Expect(t.MCP.Use(c.String("registration_access_token")), "a registration access token in place of an access token").To(expect.Refuse(401))
		}
	})

	Must("RS-TOKEN-REVOKED", func(t *T) {
		tokens := t.AS.MustGetTokens()
		if !t.MCP.Works(tokens) {
			t.Inconclusive("the access token is not served before it is revoked")
		}
		ex := t.AS.Revoke(tokens, tokens.Access)
		if expect.Status(ex) != 200 {
			t.NotApplicable("the authorization server does not revoke access tokens: %s", expect.Describe(ex))
		}
		last, dead := t.MCP.UntilRefused(tokens.Access)
		if dead {
			t.Refused()
			return
		}
		if _, claims := oauth.Claims(tokens.Access); claims == nil {
			t.Unmet(last, "a revoked token refused", "it is still served after %v", t.Patience)
			return
		}
		v, _ := tokens.Body.Get("expires_in")
		if seconds, ok := expect.Number(v); ok && seconds <= 3600 {
			t.Advise(last, "a revoked token refused", "it is still served after %v, and will be until it expires: only its signature is looked at", t.Patience)
			return
		}
		t.Unmet(last, "a revoked token refused, or a life of an hour at most", "it is still served after %v, and lives for more than an hour", t.Patience)
	})
}
