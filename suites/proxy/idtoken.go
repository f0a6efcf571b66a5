package proxy

import (
	"net/url"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// fromBrowsers are the checks on ID tokens that a login page's script sends.
func fromBrowsers() { Must("AS-PROXY-BROWSER-ID-TOKEN", verifiesTokensOfBrowsers) }

func verifiesTokensOfBrowsers(t *T) {
	claims := claimsOfNobody(t)
	Each(t, forgedTokens(t, claims), func(t *T, token string) { t.Expect(ended{handOver(t, token)}).To(letNobodyIn) })
	if t.World.Upstream == nil {
		t.Inconclusive("forged tokens are refused; whether a genuine one would be accepted there could not be seen (upstream in the target file)")
	}
	t.Expect(ended{handOver(t, t.World.Upstream.IDToken(claims(nil)))}, "a flow with a genuine token").AsControl(bringCode)
}

var letNobodyIn = expect.Refusing("a refusal", func(o ended) string {
	if o.code() {
		return "a code is sent to the client: with such a token, anybody signs in as any user"
	}
	return ""
})

// claimsOfNobody makes the claims of an ID token for the proxy, about a user who does not exist.
func claimsOfNobody(t *T) func(changes map[string]any) map[string]any {
	project := "mcpauth-project"
	issuer := "https://securetoken.google.com/" + project
	if t.World.Upstream != nil {
		project, issuer = t.Upstream.MustReach().Query.Get("client_id"), t.World.Upstream.Identifier()
	}
	now := time.Now().Unix()
	return func(changes map[string]any) map[string]any {
		return changed(map[string]any{
			"sub": "mcpauth-nobody", "aud": project, "iss": issuer, "email": "mcpauth-nobody@users.example", "email_verified": true,
			"iat": now, "exp": now + 300, "auth_time": now,
		}, changes)
	}
}

// forgedTokens are ID tokens that the provider has not signed, or not for the proxy.
func forgedTokens(t *T, claims func(changes map[string]any) map[string]any) Cases[string] {
	h, a := headerOfProvider(t, claims(nil)), mint.NewAttacker()
	out := Cases[string]{
		{"an unsigned token", mint.Unsigned(h.With("alg", "none"), claims(nil))},
		{"a token signed by a key of mcpauth", a.Sign(a.Algorithms(h)[0], h, claims(nil))},
		{"a token with a made-up signature", mint.Input(h, claims(nil)) + ".AAAA"},
		{"nothing", ""},
		{"no token", "mcpauth"},
	}
	if t.World.Upstream == nil {
		return out
	}
	past := time.Now().Unix() - 3600
	signed := t.World.Upstream.IDToken
	return out.And("a token for another client", signed(claims(map[string]any{"aud": "mcpauth-another"}))).
		And("a token of another issuer", signed(claims(map[string]any{"iss": "https://attacker.example"}))).
		And("an expired token", signed(claims(map[string]any{"iat": past - 3600, "exp": past})))
}

// headerOfProvider is the header of the provider's own ID tokens: a proxy may refuse another key id before it checks the signature.
func headerOfProvider(t *T, claims map[string]any) mint.Header {
	if t.World.Upstream == nil {
		return mint.Header{"alg": "RS256", "typ": "JWT", "kid": "mcpauth"}
	}
	head, _ := oauth.Claims(t.World.Upstream.IDToken(claims))
	h := mint.Header{}
	for _, name := range head.Names() {
		h[name], _ = head.Get(name)
	}
	return h
}

// handOver sends an ID token as the script of the login page does, with an ordinary authorization request, and approves the client.
func handOver(t *T, token string) *login.Outcome {
	c, pair := t.AS.AnyClient(), oauth.NewPKCE(43)
	t.Secrets.Add("code_verifier", pair.Verifier)
	if len(token) > 40 {
		t.Secrets.Add("id_token", token)
	}
	u, err := url.Parse(t.IDTokenCallback)
	if err != nil {
		t.Inconclusive("login.id_token_callback is not a URL: %v", err)
	}
	var body oauth.Form
	body.Set(t.IDTokenParameter, token)
	req := wire.Request{Method: "POST", URL: oauth.AtQuery(u.String(), t.Session.Request(c, pair)), Body: body.Encode(),
		Header: []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded")}}
	agent := &login.Agent{Jar: login.NewJar(), Secrets: t.Secrets, Send: t.Do}
	return t.Pages.Continue(agent, req, login.Route{RedirectURI: c.RedirectURI, Decision: login.Approve})
}
