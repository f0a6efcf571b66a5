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

// fromBrowsers are the checks on ID tokens that a login page's script hands over.
func fromBrowsers() {
	Must("AS-PROXY-BROWSER-ID-TOKEN", func(t *T) {
		stranger, project := t.Mint.RSAKey("mcpauth"), "mcpauth-project"
		if t.World.Upstream != nil {
			project = t.Upstream.MustReach().Query.Get("client_id")
		}
		now := time.Now().Unix()
		claims := func(changes map[string]any) map[string]any {
			out := map[string]any{"sub": "mcpauth-nobody", "aud": project, "iss": "https://securetoken.google.com/" + project, "email": "mcpauth-nobody@users.example", "email_verified": true, "iat": now, "exp": now + 300, "auth_time": now}
			if t.World.Upstream != nil {
				out["iss"] = t.World.Upstream.Identifier()
			}
			return changed(out, changes)
		}
		forged := map[string]string{
			"an unsigned token": mint.Unsigned(mint.Header{"alg": "none", "typ": "JWT"}, claims(nil)), "a token signed by a key of ours": stranger.JWT(nil, claims(nil)),
			"a token with a made-up signature": mint.Input(mint.Header{"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}, claims(nil)) + ".AAAA", "nothing": "", "no token": "mcpauth",
		}
		if t.World.Upstream != nil {
			forged["a token for another client"] = t.World.Upstream.IDToken(claims(map[string]any{"aud": "mcpauth-another"}))
			forged["a token of another issuer"] = t.World.Upstream.IDToken(claims(map[string]any{"iss": "https://attacker.example"}))
			forged["an expired token"] = t.World.Upstream.IDToken(claims(map[string]any{"iat": now - 7200, "exp": now - 3600}))
		}
		for about, token := range Sorted(forged) {
			if o := handOver(t, token); o.Params.Get("code") != "" {
				t.Finding(o.Exchange, about, "a refusal", "a code is sent to the client: whoever makes such a token is anybody")
			} else {
				t.RefusedBy(o.Exchange)
			}
		}
		if t.World.Upstream == nil {
			t.Inconclusive("forged tokens are refused; whether a genuine one would be taken there could not be seen (upstream in the target file)")
		}
		if o := handOver(t, t.World.Upstream.IDToken(claims(nil))); o.Params.Get("code") == "" {
			t.Inconclusive("the control failed: a genuine token is answered with %s", expect.Describe(o.Exchange))
		}
		t.Controlled()
	})
}

// handOver sends an ID token in place of the login page's script, with an ordinary authorization request, and approves.
func handOver(t *T, token string) *login.Outcome {
	c, pair := t.AS.AnyClient(), oauth.NewPKCE(43)
	t.Secrets.Add("code_verifier", pair.Verifier)
	if len(token) > 40 {
		t.Secrets.Add("id_token", token)
	}
	u, err := url.Parse(t.IDTokenCallback)
	if err != nil {
		t.Inconclusive("login.id_token_callback is no URL: %v", err)
	}
	var body oauth.Form
	body.Set(t.IDTokenParameter, token)
	req := wire.Request{Method: "POST", URL: oauth.AtQuery(u.String(), t.Session.Request(c, pair)), Body: body.Encode(), Header: []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded")}}
	agent := &login.Agent{Jar: login.NewJar(), Secrets: t.Secrets, Send: t.Do}
	return t.Pages.Continue(agent, req, login.Route{RedirectURI: c.RedirectURI, Decision: login.Approve})
}
