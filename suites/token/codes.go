package token

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func codes() {
	Must("AS-TOKEN-INVALID-CODE", func(t *T) {
		g := t.AS.MustAuthorize()
		for about, edit := range Sorted(map[string]Edit{
			"a code that was never issued": With("code", "mcpauth-"+Random(24)), "an empty code": With("code", ""), "no code": Without("code"),
			"a real code with its last character changed": With("code", t.NearMiss(g.Code(), len(g.Code())-1)),
			"a code of 32 kB": With("code", strings.Repeat("a", 32<<10)), "NUL and quotes": With("code", "a\x00'\"--"),
		}) {
			t.RefusedWith(t.AS.Redeem(g, edit), about, "invalid_grant", "invalid_request")
		}
		t.AS.Redeem(g) // use the real one up
	})

	Must("AS-TOKEN-CODE-SINGLE-USE", func(t *T) {
		g := t.AS.MustAuthorize()
		first := t.AS.Redeem(g)
		if t.AS.Tokens(first, g.Client) == nil {
			t.Inconclusive("an ordinary code could not be redeemed: %s", expect.Describe(first))
		}
		t.RefusedWith(t.AS.Redeem(g), "the same code again", "invalid_grant")
	})

	Must("AS-TOKEN-CODE-RACE", func(t *T) {
		for range 3 {
			g := t.AS.MustAuthorize()
			var same []Variant
			for i := range 10 {
				r := t.AS.BuildRedeem(g)
				r.Fresh = true
				same = append(same, Variant{About: fmt.Sprint(i), Request: r})
			}
			issued := 0
			for _, ex := range t.Race(same) {
				if t.AS.Tokens(ex, g.Client) != nil {
					issued++
				}
			}
			if issued > 1 {
				t.Unmet(nil, "one token response for one code", "%d of 10 requests sent at once got tokens", issued)
				return
			}
			if issued == 0 {
				t.Inconclusive("none of 10 requests sent at once got tokens")
			}
		}
	})

	Should("AS-TOKEN-CODE-REPLAY-REVOKES", func(t *T) {
		g := t.AS.MustAuthorize()
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		if tokens == nil {
			t.Inconclusive("an ordinary code could not be redeemed")
		}
		again := t.AS.Redeem(g)
		if more := t.AS.Tokens(again, g.Client); more != nil {
			t.NotApplicable("the code can be redeemed twice (AS-TOKEN-CODE-SINGLE-USE)")
		}
		if tokens.Refresh != "" {
			t.AS.RefreshMustWork()
			if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, g.Client) != nil {
				t.Unmet(ex, "the refresh token revoked, since its code was replayed", "it still works")
			}
		}
		if before := t.AS.MustGetTokens(); !t.MCP.Works(before) {
			if tokens.Refresh == "" {
				t.Inconclusive("there is no refresh token, and the access token has no effect here that could end")
			}
			return
		}
		if ex, dead := t.MCP.UntilRefused(tokens.Access); !dead {
			t.Advise(ex, "the access token revoked, since its code was replayed", "it is still served after %v", t.Patience)
		}
	})

	Should("AS-TOKEN-CODE-REPLAY-NO-DOS", func(t *T) {
		g := t.AS.MustAuthorize()
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		if tokens == nil || tokens.Refresh == "" {
			t.NotApplicable("no refresh token is issued, so what a replay revokes is not seen")
		}
		t.AS.RefreshMustWork()
		t.RefusedWith(t.AS.Redeem(g, With("code_verifier", oauth.NewPKCE(43).Verifier)), "the code again, with a wrong verifier")
		t.RefusedWith(t.AS.Redeem(g, As(t.AS.SecondClient())), "the code again, as another client")
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, g.Client) == nil {
			t.Unmet(ex, "tokens that survive a replay by somebody who cannot redeem the code", "the refresh token is dead: %s", expect.Describe(ex))
		}
	})

	Must("AS-TOKEN-CODE-BOUND-CLIENT", func(t *T) {
		t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(As(t.AS.AnyClient())), As(t.AS.SecondClient())), "a code of one public client, redeemed by another", "invalid_grant")
		if c := t.AS.Confidential(); c != nil {
			t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(As(t.AS.AnyClient())), As(c)), "a code of a public client, redeemed by a confidential one", "invalid_grant")
		}
		t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(As(t.AS.AnyClient())), Unidentified()), "a code without any client_id", "invalid_client", "invalid_request", "invalid_grant")
	})

	Must("AS-TOKEN-CODE-BOUND-REDIRECT", func(t *T) {
		base := t.AS.AnyClient().RedirectURI
		c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{base, base + "/second"}})
		// An OAuth 2.1 server may ignore the parameter; one that goes by RFC 6749 must compare it (OAuth 2.1 section
		// 10.2).
		ignores := t.AS.Tokens(t.AS.Redeem(t.AS.MustAuthorize(As(c), With("redirect_uri", base)), Without("redirect_uri")), c) != nil
		for about, uri := range Sorted(map[string]string{"the client's other redirect URI": base + "/second", "an unregistered redirect URI": "https://attacker.example/cb", "the redirect URI with a slash": base + "/"}) {
			g := t.AS.MustAuthorize(As(c), With("redirect_uri", base))
			ex := t.AS.Redeem(g, With("redirect_uri", uri))
			if ignores && t.AS.Tokens(ex, c) != nil {
				t.Advise(ex, "redirect_uri compared where a client sends it (OAuth 2.1 section 10.2, RFC 6749 section 4.1.3)", "%s is accepted", about)
				continue
			}
			t.RefusedWith(ex, about, "invalid_grant")
		}
		g := t.AS.MustAuthorize(As(c), With("redirect_uri", base))
		if ex := t.AS.Redeem(g, With("redirect_uri", strings.Replace(base, "127.0.0.1:", "127.0.0.1:1", 1))); t.AS.Tokens(ex, c) != nil {
			t.Advise(ex, "the redirect URI of the authorization request", "another port is accepted")
		}
	})

	Practice("AS-TOKEN-REDIRECT-OPTIONAL", func(t *T) {
		ex := t.AS.Redeem(t.AS.MustAuthorize(), Without("redirect_uri"))
		if t.AS.Tokens(ex, nil) != nil {
			t.Note("redirect_uri may be left out of the token request, as OAuth 2.1 has it")
			return
		}
		if t.RefusedWith(ex, "no redirect_uri") {
			t.Note("redirect_uri is demanded in the token request, as RFC 6749 has it")
		}
	})

	Should("AS-TOKEN-UNAUTHORIZED-GRANT", func(t *T) {
		c := t.AS.MustRegister(map[string]any{"grant_types": []string{"authorization_code"}})
		granted, _ := c.Registered.Strings("grant_types")
		if strings.Contains(strings.Join(granted, " "), "refresh_token") {
			t.NotApplicable("the server adds refresh_token to the client's grant types and says so")
		}
		tokens := t.AS.MustGetTokens(As(c))
		if tokens.Refresh == "" {
			return
		}
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, c) != nil {
			t.Unmet(ex, "no refresh for a client that registered authorization_code only", "it works")
		} else {
			t.RefusedWith(ex, "a refresh by a client that registered authorization_code only", "unauthorized_client", "unsupported_grant_type", "invalid_grant")
		}
	})

	Must("AS-TOKEN-TYPE-CONFUSION", func(t *T) {
		tokens := t.AS.MustGetTokens()
		g := t.AS.MustAuthorize()
		if tokens.Refresh != "" {
			t.RefusedWith(t.AS.Refresh(tokens, With("refresh_token", tokens.Access)), "an access token as refresh token", "invalid_grant")
			t.RefusedWith(t.AS.Refresh(tokens, With("refresh_token", g.Code())), "a code as refresh token", "invalid_grant")
			t.RefusedWith(t.AS.Redeem(g, With("code", tokens.Refresh)), "a refresh token as code", "invalid_grant")
		}
		t.RefusedWith(t.AS.Redeem(g, With("code", tokens.Access)), "an access token as code", "invalid_grant")
		if !t.MCP.Served(t.MCP.Use(tokens.Access)) {
			return // what is refused here proves nothing
		}
		for about, v := range Sorted(map[string]string{"a refresh token": tokens.Refresh, "a code": g.Code()}) {
			if v == "" {
				continue
			}
			if ex := t.MCP.Use(v); t.MCP.Served(ex) {
				t.Finding(ex, about+" as access token", "HTTP 401", "the MCP server serves it")
			}
		}
	})
}
