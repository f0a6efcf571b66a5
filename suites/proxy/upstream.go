package proxy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func upstream() {
	Practice("AS-PROXY-UPSTREAM-REQUEST", func(t *T) {
		leg := t.Upstream.MustReach()
		q := leg.Query
		switch {
		case q.Get("response_type") != "code":
			t.Unmet(leg.Exchange, "the code flow upstream", "response_type=%q", q.Get("response_type"))
		case q.Get("code_challenge_method") != "S256":
			t.Advise(leg.Exchange, "PKCE with S256 upstream", "code_challenge_method=%q", q.Get("code_challenge_method"))
		case slices.Contains(strings.Fields(q.Get("scope")), "openid") && q.Get("nonce") == "":
			t.Advise(leg.Exchange, "a nonce with the scope openid", "there is none")
		}
		const invented = "mcpauth:invented.admin"
		g := t.AS.Authorize(SignedOut(), Until(t.Upstream.IsRequest), Scope(append(t.AS.ScopePool(), invented)...), With("prompt", "consent"), With("login_hint", "mcpauth"))
		if other := t.Upstream.RequestOf(g); other != nil {
			if strings.Contains(other.Query.Get("scope"), invented) {
				t.Unmet(g.Exchange, "upstream scopes that the server chooses", "a scope that the client invented is asked for: %s", other.Query.Get("scope"))
			}
			if other.Callback != leg.Callback {
				t.Unmet(g.Exchange, "one constant redirect URI upstream", "%s and %s", leg.Callback, other.Callback)
			}
		}
	})

	Must("AS-PROXY-UPSTREAM-TOKEN-HIDDEN", func(t *T) {
		tokens := t.AS.MustGetTokens()
		answers := map[string]string{"the token response": expect.Body(tokens.Exchange), "the access token's claims": oauth.Payload(tokens.Access)}
		if t.AS.Server().Userinfo != "" {
			answers["the userinfo response"] = expect.Body(t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access)))
		}
		if c, _ := t.Session.Client(t.Context(), "confidential"); c != nil && t.AS.Server().Introspection != "" {
			answers["the introspection response"] = expect.Body(t.AS.Introspect(c, tokens.Access))
		}
		for _, secret := range t.World.Upstream.Issued() {
			for where, text := range Sorted(answers) {
				if len(secret) > 8 && strings.Contains(text, secret) {
					t.Finding(tokens.Exchange, where, "nothing that the upstream issued", "a token or code of the upstream")
				}
			}
		}
	})

	Must("AS-PROXY-UPSTREAM-TOKEN-NOT-GRANT", func(t *T) {
		tokens := t.AS.MustGetTokens()
		issued := t.World.Upstream.Issued()
		for i, v := range issued[max(0, len(issued)-4):] {
			t.Hide(v)
			about := fmt.Sprintf("what the upstream issued, the %d. of 4", i+1)
			g := t.AS.MustAuthorize()
			t.RefusedWith(t.AS.Redeem(g, With("code", v)), about+", as a code", "invalid_grant")
			t.RefusedWith(t.AS.TokenRequest(tokens.Client, With("grant_type", "refresh_token"), With("refresh_token", v)), about+", as a refresh token", "invalid_grant")
			if t.AS.Server().Userinfo != "" {
				t.Expect(t.Get(t.AS.Server().Userinfo, mcp.Bearer(v)), "%s, at userinfo", about).To(expect.Refuse(401))
			}
			if c, _ := t.Session.Client(t.Context(), "confidential"); c != nil && t.AS.Server().Introspection != "" {
				if ex := t.AS.Introspect(c, v); expect.Status(ex) == 200 {
					if active, _ := oauth.Object(ex).Bool("active"); active {
						t.Finding(ex, about+", at introspection", "active: false", "it is active")
					}
				}
			}
		}
	})

	Must("AS-PROXY-UPSTREAM-ERROR", func(t *T) {
		signedIn(t)
		for about, q := range Sorted(map[string]url.Values{
			"the user cancels":         {"error": {"access_denied"}},
			"the upstream fails":       {"error": {"server_error"}, "error_description": {"<script>alert(1)</script>"}},
			"an answer without a code": {},
		}) {
			leg := t.Upstream.MustReach()
			q.Set("state", leg.Query.Get("state"))
			failed(t, leg, oauth.AtQuery(leg.Callback, parameters(q)), about)
		}
		defer t.World.Upstream.Answer(nil)
		for about, answer := range Sorted(map[string]func(map[string]any) (int, string, string){
			"the token endpoint crashes":    reply(500, "text/html", "<h1>Internal Server Error</h1>"),
			"the code is refused":           reply(400, "application/json", `{"error":"invalid_grant"}`),
			"an error with HTTP 200":        reply(200, "application/json", `{"error":"bad_verification_code"}`),
			"no JSON":                       reply(200, "application/json", `{"access_token":`),
			"a response without any tokens": reply(200, "application/json", `{"token_type":"Bearer"}`),
		}) {
			leg := t.Upstream.MustReach()
			callback := t.Upstream.SignIn(leg, login.NewJar())
			t.World.Upstream.Answer(answer)
			failed(t, leg, callback, about)
			t.World.Upstream.Answer(nil)
		}
	})

	Must("AS-PROXY-UPSTREAM-ID-TOKEN", func(t *T) {
		byIDToken(t)
		defer t.World.Upstream.Answer(nil)
		now := time.Now().Unix()
		for about, changes := range Sorted(map[string]map[string]any{
			"another issuer": {"iss": "https://attacker.example"}, "another audience": {"aud": "another-client"}, "a foreign azp": {"azp": "another-client"}, "expired": {"exp": now - 3600, "iat": now - 7200},
			"issued in the future": {"iat": now + 7200, "exp": now + 9000}, "another nonce": {"nonce": "mcpauth-wrong"}, "no nonce": {"nonce": nil},
		}) {
			o := withIDToken(t, func(claims map[string]any) string { return t.World.Upstream.IDToken(changed(claims, changes)) })
			if o.Params.Get("code") != "" {
				t.Finding(o.Exchange, about, "no code for an ID token that is not right", "a code is sent to the client")
				continue
			}
			t.RefusedBy(o.Exchange)
		}
		for about, sign := range Sorted(map[string]func(map[string]any) string{
			"alg none":            func(c map[string]any) string { return mint.Unsigned(mint.Header{"alg": "none"}, c) },
			"a changed signature": func(c map[string]any) string { v := t.World.Upstream.IDToken(c); return v[:len(v)-8] + "AAAAAAAA" },
		}) {
			o := withIDToken(t, sign)
			if o.Params.Get("code") != "" { // OpenID Connect Core section 3.1.3.7 item 6
				t.Advise(o.Exchange, "no code for an ID token whose signature is not good, though it may stay unchecked where it comes by TLS from the token endpoint", "%s: a code is sent to the client", about)
				continue
			}
			t.RefusedBy(o.Exchange)
		}
	})

	Practice("AS-PROXY-ACCOUNT-LINKING", func(t *T) {
		byIDToken(t)
		victim, mail := "mcpauth-v-"+Random(6), "mcpauth-victim-"+strings.ToLower(Random(6))+"@users.example"
		owner := subjectOf(t, map[string]any{"sub": victim, "email": mail, "email_verified": true})
		if owner == "" {
			t.Inconclusive("the subject of a token cannot be seen, or a new upstream user is not let in")
		}
		for about, verified := range Sorted(map[string]any{"an e-mail that is not verified": false, "an e-mail without email_verified": nil, "the same e-mail": true}) {
			if s := subjectOf(t, map[string]any{"sub": "mcpauth-a-" + Random(6), "email": mail, "email_verified": verified}); s == owner {
				t.Finding(nil, about, "accounts told apart by issuer and subject", "another upstream user with it gets the account "+owner)
			}
		}
		t.Refused()
		t.Controlled()
	})

	Practice("AS-PROXY-UPSTREAM-LIFECYCLE", func(t *T) {
		began := time.Now()
		tokens := t.AS.MustGetRefreshToken(SignedOut())
		t.World.Upstream.EndGrants(began)
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, tokens.Client) != nil {
			t.Unmet(ex, "a refusal of the refresh token, since the user's session at the upstream is over", "a new token is issued")
		} else {
			t.RefusedBy(ex)
		}
	})
}

// subjectOf signs a user in of whom the upstream's ID token says something else, and is the subject of the proxy's token
// then; empty where none is issued, or its subject cannot be seen.
func subjectOf(t *T, claims map[string]any) string {
	g := t.AS.Authorize(SignedOut(), Until(t.Upstream.IsRequest))
	leg := t.Upstream.RequestOf(g)
	if leg == nil {
		t.Inconclusive("the browser is not sent to the upstream: %s", g.Describe())
	}
	callback := t.Upstream.SignIn(leg, login.NewJar())
	t.World.Upstream.Answer(idToken(func(ordinary map[string]any) string { return t.World.Upstream.IDToken(changed(ordinary, claims)) }))
	defer t.World.Upstream.Answer(nil)
	g.Outcome = t.Upstream.Return(leg, callback, leg.Jar, login.Approve)
	if g.Code() == "" {
		return ""
	}
	return t.AS.Subject(t.AS.Tokens(t.AS.Redeem(g), g.Client))
}

// byIDToken ends the check unless the upstream's ID token decides who signs in: a proxy may go by userinfo, or by an API.
func byIDToken(t *T) {
	signedIn(t)
	ordinary := subjectOf(t, nil)
	switch {
	case ordinary == "":
		t.Inconclusive("the subject of a token cannot be seen, so neither can whether the upstream's ID token decides who signs in")
	case subjectOf(t, map[string]any{"sub": "mcpauth-" + Random(6)}) == ordinary:
		t.NotApplicable("who signs in is not known by the upstream's ID token")
	}
}

// failed expects that a failure upstream reaches the client as an error with its own state.
func failed(t *T, leg *UpstreamRequest, callback, about string) {
	o := t.Upstream.Return(leg, callback, leg.Jar, login.Approve)
	allowed := []string{"access_denied", "server_error", "temporarily_unavailable", "invalid_grant", "invalid_request"}
	const want = "error access_denied, server_error or temporarily_unavailable, with the client's state"
	switch code := o.Params.Get("error"); {
	case o.Params.Get("code") != "":
		t.Finding(o.Exchange, about, want, "a code is issued")
	case expect.Crashed(o.Exchange):
		t.Finding(o.Exchange, about, want, expect.Describe(o.Exchange))
	case o.Stage != login.Answered:
		t.Advise(o.Exchange, want, "%s: the request ended %s", about, o.Stage)
	case o.Params.Get("state") != leg.Request.Get("state"):
		t.Finding(o.Exchange, about, want, fmt.Sprintf("state=%q", o.Params.Get("state")))
	case strings.Contains(o.Params.Get("error_description"), "<script"):
		t.Finding(o.Exchange, about, "no markup of the upstream's in the description", o.Params.Get("error_description"))
	case !slices.Contains(allowed, code):
		t.Advise(o.Exchange, want, "%s: error=%s", about, code)
	}
	t.Refused()
}

func reply(status int, mediaType, body string) func(map[string]any) (int, string, string) {
	return func(map[string]any) (int, string, string) { return status, mediaType, body }
}

// idToken answers as ordinary, but for the ID token.
func idToken(sign func(claims map[string]any) string) func(map[string]any) (int, string, string) {
	return func(ordinary map[string]any) (int, string, string) {
		text, _ := ordinary["id_token"].(string)
		claims := map[string]any{}
		_ = json.Unmarshal([]byte(oauth.Payload(text)), &claims) // without one, the claims are empty
		ordinary["id_token"] = sign(claims)
		return 200, "application/json", mint.JSON(ordinary)
	}
}

// withIDToken completes a flow in which the upstream's ID token is another.
func withIDToken(t *T, sign func(claims map[string]any) string) *login.Outcome {
	leg := t.Upstream.MustReach()
	callback := t.Upstream.SignIn(leg, login.NewJar())
	t.World.Upstream.Answer(idToken(sign))
	defer t.World.Upstream.Answer(nil)
	return t.Upstream.Return(leg, callback, leg.Jar, login.Approve)
}

func changed(claims, changes map[string]any) map[string]any {
	for k, v := range changes {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	return claims
}

func parameters(q url.Values) oauth.Form {
	var f oauth.Form
	for name, value := range Sorted(q) {
		f.Set(name, value[0])
	}
	return f
}
