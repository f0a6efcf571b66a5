package token

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func success() {
	Must("AS-TOKEN-SUCCESS-SHAPE", func(t *T) {
		for about, accept := range Sorted(map[string]Edit{"Accept: */*": Header(mcp.Field("Accept", "*/*")), "Accept: application/json": Unchanged}) {
			ex := t.AS.Redeem(t.AS.MustAuthorize(), accept)
			o := oauth.Object(ex)
			switch {
			case expect.Status(ex) != 200:
				t.Finding(ex, about, "HTTP 200", expect.Describe(ex))
			case expect.MediaType(ex) != "application/json" || o == nil:
				t.Finding(ex, about, "a JSON object as application/json", "Content-Type "+expect.Header(ex, "Content-Type"))
			case o.String("access_token") == "" || !visible(o.String("access_token")):
				t.Finding(ex, about, "access_token: a string of visible ASCII", "it is absent or something else")
			case !strings.EqualFold(o.String("token_type"), "Bearer") && !strings.EqualFold(o.String("token_type"), "DPoP"):
				t.Finding(ex, about, "token_type Bearer", fmt.Sprintf("token_type %q", o.String("token_type")))
			}
			t.AS.Tokens(ex, nil)
		}
	})

	Must("AS-TOKEN-NO-STORE", func(t *T) {
		tokens := t.AS.MustGetTokens()
		answers := map[string]*reports.Exchange{"code exchange": tokens.Exchange}
		if tokens.Refresh != "" {
			answers["refresh"] = t.AS.Refresh(tokens)
		}
		for about, ex := range Sorted(answers) {
			if c := expect.Header(ex, "Cache-Control"); !strings.Contains(strings.ToLower(c), "no-store") && expect.Status(ex) == 200 {
				t.Finding(ex, about, "Cache-Control: no-store", fmt.Sprintf("Cache-Control %q", c))
			}
		}
	})

	Should("AS-TOKEN-EXPIRES-IN", func(t *T) {
		tokens := t.AS.SharedTokens()
		v, ok := tokens.Body.Get("expires_in")
		seconds, number := expect.Number(v)
		switch {
		case !ok:
			t.Advise(tokens.Exchange, "expires_in", "it is absent")
		case !number:
			t.Unmet(tokens.Exchange, "expires_in: a number of seconds", "%v (%T)", v, v)
		case seconds <= 0 || seconds > 1e8:
			t.Unmet(tokens.Exchange, "expires_in: a number of seconds", "%v", v)
		default:
			if exp, iat, ok := lifetime(tokens); ok && math.Abs(exp-iat-seconds) > 60 {
				t.Unmet(tokens.Exchange, "expires_in that agrees with the token", "expires_in %v, while the token lives %v s", v, exp-iat)
			}
		}
	})

	Should("AS-TOKEN-SHORT-LIVED", func(t *T) {
		tokens := t.AS.SharedTokens()
		v, _ := tokens.Body.Get("expires_in")
		seconds, ok := expect.Number(v)
		if exp, iat, has := lifetime(tokens); has && !ok {
			seconds, ok = exp-iat, true
		}
		switch {
		case !ok:
			t.Inconclusive("nothing tells how long the token lives (AS-TOKEN-EXPIRES-IN)")
		case seconds > 86_400:
			t.Unmet(tokens.Exchange, "an access token for an hour at most (the number is ours; the specifications name none)", "%v s", seconds)
		case seconds > 3_600:
			t.Advise(tokens.Exchange, "an access token for an hour at most (the number is ours; the specifications name none)", "%v s", seconds)
		}
	})

	Must("AS-TOKEN-RANDOM", func(t *T) {
		var opaque []string
		ids := map[string]bool{}
		for range 4 {
			tokens := t.AS.MustGetTokens()
			if h, claims := oauth.Claims(tokens.Access); h != nil {
				if ids[tokens.Access] {
					t.Advise(tokens.Exchange, "tokens that are all different (jti)", "the same JWT twice: who revokes one revokes the other")
				}
				ids[tokens.Access] = true
				_ = claims // the signature is judged by AS-KEYS-JWT-SIGNATURE
				continue
			}
			opaque = append(opaque, tokens.Access)
		}
		if len(opaque) > 1 {
			t.ExpectUnguessable("access tokens", opaque)
		}
	})

	Must("AS-TOKEN-SCOPE-REPORTED", func(t *T) {
		pool := t.AS.ScopePool()
		for about, edits := range Sorted(map[string][]Edit{"one scope requested": {Scope(pool[0])}, "two scopes requested": {Scope(pool[0], pool[1])}, "no scope requested": {Without("scope")}}) {
			g := t.AS.MustReachDecision(t.AS.Authorize(edits...))
			if g.Code() == "" {
				continue // a server may refuse; what it may not do is to grant in silence
			}
			ex := t.AS.Redeem(g)
			tokens := t.AS.Tokens(ex, g.Client)
			if tokens == nil {
				continue
			}
			requested := strings.Fields(g.Request.Get("scope"))
			v, has := tokens.Body.Get("scope")
			s, isString := v.(string)
			real, seen := t.AS.RealScope(tokens)
			switch {
			case has && (!isString || strings.Contains(s, ",")):
				t.Finding(ex, about, "scope: a string of names, separated by spaces", fmt.Sprint(v))
			case !has && len(requested) == 0:
				t.Finding(ex, about, "scope in the answer, since none was requested", "it is absent")
			case seen && has && !sameSet(real, tokens.Scope):
				t.Finding(ex, about, "scope as the token has it: "+strings.Join(real, " "), "scope "+s)
			case seen && !has && !sameSet(real, requested):
				t.Finding(ex, about, "scope in the answer, since the token has another one than was requested", "it is absent")
			}
		}
	})

	Practice("AS-TOKEN-JWT-CLAIMS", func(t *T) {
		tokens := t.AS.SharedTokens()
		h, c := oauth.Claims(tokens.Access)
		if h == nil {
			t.NotApplicable("access tokens are opaque")
		}
		if iss := c.String("iss"); iss != t.AS.Server().Metadata.String("issuer") {
			t.Unmet(tokens.Exchange, "iss equal to the metadata's issuer", "iss %q", iss)
		}
		for _, name := range []string{"exp", "aud"} {
			if _, ok := c.Get(name); !ok {
				t.Unmet(tokens.Exchange, name+" in a JWT access token (RFC 9068 section 2.2)", "it is absent")
			}
		}
		for _, name := range []string{"sub", "client_id", "iat", "jti"} {
			if _, ok := c.Get(name); !ok {
				t.Advise(tokens.Exchange, name+" in a JWT access token (RFC 9068 section 2.2)", "it is absent")
			}
		}
		if typ := strings.ToLower(strings.TrimPrefix(h.String("typ"), "application/")); typ != "at+jwt" {
			t.Advise(tokens.Exchange, "typ at+jwt", "typ %q", h.String("typ"))
		}
		for _, m := range c.Members {
			if name := strings.ToLower(m.Name); strings.Contains(name, "password") || strings.Contains(name, "secret") {
				t.Unmet(tokens.Exchange, "no credential in a token", "it holds %s", m.Name)
			}
		}
	})
}

// Requests of an odd form.
func requests() {
	Must("AS-TOKEN-POST-ONLY", func(t *T) {
		g := t.AS.MustAuthorize()
		r := t.AS.BuildRedeem(g)
		t.RefusedWith(t.Do(wire.Request{Method: "GET", URL: r.URL + "?" + r.Body, Header: r.Header}), "GET with everything in the query")
		g = t.AS.MustAuthorize()
		r = t.AS.BuildRedeem(g)
		r.URL, r.Body = r.URL+"?"+r.Body, ""
		t.RefusedWith(t.Do(r), "POST with everything in the query")
		if c, _ := t.Session.Client(t.Context(), session.ConfidentialPost); c != nil {
			g = t.AS.MustAuthorize(As(c))
			r = t.AS.BuildRedeem(g, Without("client_secret"))
			r.URL += "?client_secret=" + c.Secret
			t.RefusedWith(t.Do(r), "client_secret in the query")
		}
	})

	Must("AS-TOKEN-CONTENT-TYPE", func(t *T) {
		for _, v := range []string{"application/x-www-form-urlencoded; charset=UTF-8", "application/x-www-form-urlencoded;charset=utf-8", "Application/X-WWW-Form-Urlencoded"} {
			r := t.AS.BuildRedeem(t.AS.MustAuthorize())
			for i := range r.Header {
				if r.Header[i].Name == "Content-Type" {
					r.Header[i].Value = v
				}
			}
			ex := t.Do(r)
			t.AS.Tokens(ex, nil)
			t.Expect(ex, "Content-Type: %s", v).To(expect.IssueTokens())
		}
	})

	Practice("AS-TOKEN-JSON-BODY", func(t *T) {
		for about, bend := range Sorted(map[string]func(m map[string]any){
			"a wrong verifier": func(m map[string]any) { m["code_verifier"] = oauth.NewPKCE(43).Verifier }, "a verifier of null": func(m map[string]any) { m["code_verifier"] = nil },
			"an array as verifier": func(m map[string]any) { m["code_verifier"] = []any{} }, "no verifier": func(m map[string]any) { delete(m, "code_verifier") },
		}) {
			g := t.AS.MustAuthorize()
			m := map[string]any{}
			for _, p := range t.Session.Redemption(g.Client, g.Code(), g.Pair) {
				m[p.Name] = p.Value
			}
			m["client_id"], m["client_secret"] = g.Client.ID, g.Client.Secret
			bend(m)
			body, _ := json.Marshal(m)
			ex := t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Token, Body: string(body), Header: []reports.Field{mcp.Field("Content-Type", "application/json"), mcp.Field("Accept", "application/json")}})
			t.RefusedWith(ex, "a JSON body with "+about)
		}
	})

	Must("AS-TOKEN-DUPLICATE-PARAMS", func(t *T) {
		for name, second := range Sorted(map[string]string{
			"code": "mcpauth-other", "code_verifier": oauth.NewPKCE(43).Verifier, "redirect_uri": "https://attacker.example/cb", "grant_type": "refresh_token", "client_id": "mcpauth-other",
		}) {
			for about, edit := range Sorted(map[string]Edit{"a wrong value last": Also(name, second), "the right value last": Before(name, second)}) {
				t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(), edit), name+" twice, "+about, "invalid_request")
			}
		}
	})

	Must("AS-TOKEN-UNKNOWN-AND-EMPTY", func(t *T) {
		ex := t.AS.Redeem(t.AS.MustAuthorize(), With("mcpauth_x", "1"), With("audience", ""), With("scope", ""))
		t.AS.Tokens(ex, nil)
		t.Expect(ex, "unknown and empty parameters").To(expect.IssueTokens())
		if g := t.AS.MustAuthorize(); g.Client.Public() {
			ex = t.AS.Redeem(g, With("client_secret", ""))
			t.AS.Tokens(ex, nil)
			t.Expect(ex, "an empty client_secret of a public client").Ideally(expect.IssueTokens())
		}
	})

	Must("AS-TOKEN-GRANT-TYPE-ERRORS", func(t *T) {
		c := t.AS.AnyClient()
		t.RefusedWith(t.AS.TokenRequest(c, With("code", "x")), "no grant_type", "invalid_request")
		t.RefusedWith(t.AS.TokenRequest(c, With("grant_type", "mcpauth_bogus")), "an unknown grant_type", "unsupported_grant_type")
		t.RefusedWith(t.AS.TokenRequest(c, Unidentified()), "an empty body", "invalid_request", "unsupported_grant_type", "invalid_client")
		t.RefusedWith(t.AS.TokenRequest(c, With("grant_type", "AUTHORIZATION_CODE")), "grant_type in upper case", "unsupported_grant_type")
	})

	Must("AS-TOKEN-PASSWORD-GRANT-OFF", func(t *T) {
		u := t.Session.Users[0]
		Each(t, t.AS.Clients(), func(t *T, c *oauth.Client) {
			ex := t.AS.TokenRequest(c, With("grant_type", "password"), With("username", u.Name), With("password", u.Password))
			t.RefusedWith(ex, "the password grant", "unsupported_grant_type", "unauthorized_client", "invalid_client")
		})
	})

	Must("AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC", func(t *T) {
		c := t.AS.PublicClient()
		for about, edit := range Sorted(map[string]Edit{"no secret": Unchanged, "an empty secret": With("client_secret", ""), "a made-up secret": With("client_secret", "mcpauth-made-up")}) {
			ex := t.AS.TokenRequest(c, With("grant_type", "client_credentials"), edit)
			t.RefusedWith(ex, "client_credentials of a public client, "+about, "unauthorized_client", "invalid_client", "unsupported_grant_type")
		}
	})

	Practice("AS-TOKEN-OVERSIZED", func(t *T) {
		c := t.AS.AnyClient()
		for about, ex := range Sorted(map[string]*reports.Exchange{
			"a code of 2 MiB":          t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", strings.Repeat("a", 2<<20))),
			"20,000 parameters":        t.AS.TokenRequest(c, With("grant_type", "authorization_code"), Raw(strings.Repeat("&a=b", 20_000))),
			"invalid percent-encoding": t.AS.TokenRequest(c, With("grant_type", "authorization_code"), Raw("&code=%ZZ")),
			"NUL in a value":           t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "a\x00b")),
		}) {
			if s := expect.Status(ex); s >= 500 && s != 501 || s >= 200 && s < 300 || s == 0 && !strings.Contains(ex.Error, "closed the connection") && !strings.Contains(ex.Error, "broken pipe") && !strings.Contains(ex.Error, "reset") {
				t.Finding(ex, about, "HTTP 4xx, or the connection closed", expect.Describe(ex))
			}
		}
		if ex := t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "x")); expect.Status(ex) >= 500 || ex.Response == nil {
			t.Unmet(ex, "an ordinary request to be answered afterwards", "%s", expect.Describe(ex))
		}
	})
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// lifetime reads exp and iat of a JWT access token.
func lifetime(tokens *oauth.Tokens) (exp, iat float64, ok bool) {
	_, c := oauth.Claims(tokens.Access)
	e, _ := c.Get("exp")
	exp, ok = expect.Number(e)
	i, _ := c.Get("iat")
	if iat, has := expect.Number(i); has {
		return exp, iat, ok
	}
	return exp, float64(time.Now().Unix()), ok
}

func sameSet(a, b []string) bool {
	in := func(x, y []string) bool {
		for _, v := range x {
			if !strings.Contains(" "+strings.Join(y, " ")+" ", " "+v+" ") {
				return false
			}
		}
		return true
	}
	return in(a, b) && in(b, a)
}
