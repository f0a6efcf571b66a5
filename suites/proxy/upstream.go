package proxy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func upstream() {
	Practice("AS-PROXY-UPSTREAM-REQUEST", asksUpstreamWell)
	Must("AS-PROXY-UPSTREAM-TOKEN-HIDDEN", hidesUpstreamTokens)
	Must("AS-PROXY-UPSTREAM-TOKEN-NOT-GRANT", acceptsOwnTokensOnly)
	Must("AS-PROXY-UPSTREAM-ERROR", passesErrorsOn)
	Must("AS-PROXY-UPSTREAM-ID-TOKEN", verifiesIDTokens)
	Practice("AS-PROXY-ACCOUNT-LINKING", keepsAccountsApart)
	Practice("AS-PROXY-UPSTREAM-LIFECYCLE", followsUpstream)
}

const invented = "mcpauth:invented.admin"

func asksUpstreamWell(t *T) {
	leg := t.Upstream.MustReach()
	t.Expect(leg.Query).SeenIn(leg.Exchange).To(parameter("response_type", "code"))
	t.Expect(leg.Query).SeenIn(leg.Exchange).Ideally(parameter("code_challenge_method", "S256"), nonceWithOpenID)
	bold := []Edit{SignedOut(), Until(t.Upstream.IsRequest), Scope(append(t.AS.ScopePool(), invented)...), With("prompt", "consent"),
		With("login_hint", "mcpauth")}
	g := t.AS.Authorize(bold...)
	if other := t.Upstream.RequestOf(g); other != nil {
		t.Expect(other.Query, "a client that invents a scope").SeenIn(g.Exchange).To(lackInvented)
		t.Expect(other.Query, "a client that asks for more").SeenIn(g.Exchange).To(parameter("redirect_uri", leg.Callback))
	}
}

// parameter expects a parameter of the upstream request to have a value.
var parameter = expect.Family("parameter", func(name, want string) expect.Matcher {
	return expect.That(name+"="+want+" upstream", func(q url.Values) string {
		if q.Get(name) == want {
			return ""
		}
		return fmt.Sprintf("%s=%q", name, q.Get(name))
	})
})

var nonceWithOpenID = expect.That("a nonce with the scope openid", func(q url.Values) string {
	if q.Get("nonce") != "" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") {
		return ""
	}
	return "the upstream request has no nonce"
})

var lackInvented = expect.That("an upstream request with the scopes that the proxy chooses", func(q url.Values) string {
	if !strings.Contains(q.Get("scope"), invented) {
		return ""
	}
	return "the invented scope is passed on: " + q.Get("scope")
})

func hidesUpstreamTokens(t *T) {
	tokens := t.AS.MustGetTokens()
	answers := Cases[string]{{"the token response", expect.Body(tokens.Exchange)}, {"the access token's claims", oauth.Payload(tokens.Access)}}
	if t.AS.Server().Userinfo != "" {
		answers = answers.And("the userinfo response", expect.Body(t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access))))
	}
	if c := introspecting(t); c != nil {
		answers = answers.And("the introspection response", expect.Body(t.AS.Introspect(c, tokens.Access)))
	}
	Each(t, answers, func(t *T, text string) {
		t.Expect(text).SeenIn(tokens.Exchange).To(holdNothingOf(t.Upstream.Issued()))
	})
}

// introspecting is the client that may introspect tokens at the proxy; nil if there is none.
func introspecting(t *T) *oauth.Client {
	if t.AS.Server().Introspection == "" {
		return nil
	}
	c, _ := t.Session.Client(t.Context(), session.Confidential)
	return c
}

var holdNothingOf = expect.Family("holdNothingOf", func(issued []string) expect.Matcher {
	return expect.That("an answer without any token or code of the upstream", func(text string) string {
		if slices.ContainsFunc(issued, func(secret string) bool { return len(secret) > 8 && strings.Contains(text, secret) }) {
			return "the answer has a token or code that the upstream issued"
		}
		return ""
	})
})

func acceptsOwnTokensOnly(t *T) {
	t.AS.MustGetTokens()
	rows := Cases[string]{}
	issued := t.Upstream.Issued()
	for i, v := range issued[max(0, len(issued)-4):] {
		rows = rows.And(fmt.Sprintf("what the upstream issued, number %d of 4", i+1), v)
	}
	edits := func(parameter string) (out Cases[Edit]) {
		for _, r := range rows {
			out = out.And(r.Name+", as "+parameter, With(parameter, r.Value))
		}
		return out
	}
	Refuses(t, t.AS.Redemption(), edits("code"), expect.RefuseGrant("invalid_grant"))
	if tokens := t.AS.MustGetTokens(); tokens.Refresh != "" {
		Refuses(t, t.AS.RefreshGrant(), edits("refresh_token"), expect.RefuseGrant("invalid_grant"))
	}
	Each(t, rows, func(t *T, v string) {
		if t.AS.Server().Userinfo != "" {
			t.Expect(t.Get(t.AS.Server().Userinfo, mcp.Bearer(v)), "at userinfo").To(expect.RefusePreferably(401, 400, 403, 404))
		}
		if c := introspecting(t); c != nil {
			t.Expect(t.AS.Introspect(c, v), "at introspection").To(notBeActive)
		}
	})
}

var notBeActive = expect.Refusing("active: false", func(ex *reports.Exchange) string {
	if active, _ := oauth.Object(ex).Bool("active"); active && expect.Status(ex) == 200 {
		return "active: true"
	}
	return ""
})

const markup = "<script>alert(1)</script>"

func passesErrorsOn(t *T) {
	signedIn(t)
	Each(t, Cases[url.Values]{
		{"the user cancels", url.Values{"error": {"access_denied"}}},
		{"the upstream fails", url.Values{"error": {"server_error"}, "error_description": {markup}}},
		{"an answer without a code", url.Values{}},
	}, func(t *T, q url.Values) {
		leg := t.Upstream.MustReach()
		q.Set("state", leg.Query.Get("state"))
		judgeFailure(t, leg, oauth.AtQuery(leg.Callback, parameters(q)))
	})
	defer t.World.Upstream.Answer(nil)
	Each(t, Cases[func(map[string]any) (int, string, string)]{
		{"the token endpoint crashes", reply(500, "text/html", "<h1>Internal Server Error</h1>")},
		{"the code is refused", reply(400, "application/json", `{"error":"invalid_grant"}`)},
		{"an error with HTTP 200", reply(200, "application/json", `{"error":"bad_verification_code"}`)},
		{"no JSON", reply(200, "application/json", `{"access_token":`)},
		{"a response without any tokens", reply(200, "application/json", `{"token_type":"Bearer"}`)},
	}, func(t *T, answer func(map[string]any) (int, string, string)) {
		leg := t.Upstream.MustReach()
		callback := t.Upstream.SignIn(leg, login.NewJar())
		t.World.Upstream.Answer(answer)
		defer t.World.Upstream.Answer(nil)
		judgeFailure(t, leg, callback)
	})
}

// judgeFailure expects that a failure upstream reaches the client as an error with its own state.
func judgeFailure(t *T, leg *UpstreamRequest, callback string) {
	o := ended{t.Upstream.Return(leg, callback, leg.Jar, login.Approve)}
	if t.Expect(o).To(failProperly(leg.Request.Get("state"))) {
		t.Expect(o).Ideally(redirectError)
	}
}

const properError = "a redirect to the client with an OAuth error and the state that the client sent"

var failProperly = expect.Family("failProperly", func(state string) expect.Matcher {
	return expect.That(properError, func(o ended) string {
		switch {
		case o.code():
			return "a code is issued"
		case expect.Crashed(o.Exchange):
			return expect.Describe(o.Exchange)
		case o.Stage == login.Answered && o.Params.Get("state") != state:
			return fmt.Sprintf("the redirect has state=%q, where the client sent %q", o.Params.Get("state"), state)
		case strings.Contains(o.Params.Get("error_description"), "<script"):
			return "error_description repeats markup of the upstream: " + o.Params.Get("error_description")
		case strings.Contains(expect.Body(o.Exchange), markup):
			return "the page holds the error_description of the upstream as markup"
		}
		return ""
	})
})

var redirectError = expect.That(properError+": access_denied, server_error, temporarily_unavailable, invalid_grant or invalid_request",
	func(o ended) string {
		allowed := []string{"access_denied", "server_error", "temporarily_unavailable", "invalid_grant", "invalid_request"}
		switch code := o.Params.Get("error"); {
		case o.Stage != login.Answered:
			return fmt.Sprintf("the request ended %s", o.Stage)
		case !slices.Contains(allowed, code):
			return "error=" + code
		}
		return ""
	})

// What must be checked, and what should, is OpenID Connect Core section 3.1.3.7: issuer and audience (items 2 and 3), expiry (9), and
// the nonce where one was sent (11) must; azp (5) and iat (10) should; the signature (6) if the token does not come directly over TLS.
func verifiesIDTokens(t *T) {
	byIDToken(t)
	defer t.World.Upstream.Answer(nil)
	now := time.Now().Unix()
	must := Cases[claimChanges]{
		{"another issuer", claimChanges{"iss": "https://attacker.example"}},
		{"another audience", claimChanges{"aud": "another-client"}},
		{"expired", claimChanges{"exp": now - 3600, "iat": now - 7200}},
	}
	if t.Upstream.MustReach().Query.Get("nonce") != "" {
		must = must.And("another nonce", claimChanges{"nonce": "mcpauth-wrong"}).And("no nonce", claimChanges{"nonce": nil})
	}
	with := func(t *T, changes claimChanges) ended {
		return withIDToken(t, func(claims map[string]any) string { return t.World.Upstream.IDToken(changed(claims, changes)) })
	}
	Each(t, must, func(t *T, changes claimChanges) { t.Expect(with(t, changes)).To(bringNoCodeForToken) })
	Each(t, Cases[claimChanges]{
		{"a foreign azp", claimChanges{"azp": "another-client"}},
		{"issued in the future", claimChanges{"iat": now + 7200, "exp": now + 9000}},
	}, func(t *T, changes claimChanges) { t.Expect(with(t, changes)).Ideally(bringNoCodeForToken) })
	Each(t, Cases[func(map[string]any) string]{
		{"alg none", func(c map[string]any) string { return mint.Unsigned(mint.Header{"alg": "none"}, c) }},
		{"a changed signature", func(c map[string]any) string { v := t.World.Upstream.IDToken(c); return v[:len(v)-8] + "AAAAAAAA" }},
	}, func(t *T, sign func(map[string]any) string) {
		t.Expect(withIDToken(t, sign)).Ideally(bringNoCodeForToken)
	})
}

// claimChanges are claims that replace others; nil leaves one out.
type claimChanges map[string]any

var bringNoCodeForToken = expect.Refusing("no code for an invalid ID token", func(o ended) string {
	if o.code() {
		return "a code is sent to the client"
	}
	return ""
})

func keepsAccountsApart(t *T) {
	byIDToken(t)
	victim, mail := "mcpauth-v-"+Random(6), "mcpauth-victim-"+strings.ToLower(Random(6))+"@users.example"
	owner := subjectOf(t, map[string]any{"sub": victim, "email": mail, "email_verified": true})
	if owner == "" {
		t.Inconclusive("the subject of a token cannot be seen, or a new upstream user is not signed in")
	}
	Each(t, Cases[any]{
		{"an e-mail that is not verified", false},
		{"an e-mail without email_verified", nil},
		{"the same e-mail", true},
	}, func(t *T, verified any) {
		subject := subjectOf(t, map[string]any{"sub": "mcpauth-a-" + Random(6), "email": mail, "email_verified": verified})
		t.Expect(subject).SeenIn(t.Last()).To(differFrom(owner))
	})
}

var differFrom = expect.Family("differFrom", func(owner string) expect.Matcher {
	return expect.That("an account of its own for each upstream subject", func(subject string) string {
		if subject != owner {
			return ""
		}
		return "another upstream user with this e-mail address gets the account " + owner
	})
})

func followsUpstream(t *T) {
	t.AS.RefreshMustWork()
	began := time.Now()
	tokens := t.AS.MustGetRefreshToken(SignedOut())
	t.World.Upstream.EndGrants(began)
	ex := t.AS.Refresh(tokens)
	t.AS.Tokens(ex, tokens.Client)
	t.Expect(ex, "the refresh token of a user whose session at the upstream is over").To(expect.RefuseGrant())
}

// subjectOf signs a user in with a changed ID token of the upstream, and returns the subject of the proxy's token; empty if none is
// issued, or if its subject cannot be seen.
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

// byIDToken ends the check unless the upstream's ID token decides who signs in: a proxy may use userinfo or an API instead.
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

func reply(status int, mediaType, body string) func(map[string]any) (int, string, string) {
	return func(map[string]any) (int, string, string) { return status, mediaType, body }
}

// idToken answers as usual, except for the ID token.
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
func withIDToken(t *T, sign func(claims map[string]any) string) ended {
	leg := t.Upstream.MustReach()
	callback := t.Upstream.SignIn(leg, login.NewJar())
	t.World.Upstream.Answer(idToken(sign))
	defer t.World.Upstream.Answer(nil)
	return ended{t.Upstream.Return(leg, callback, leg.Jar, login.Approve)}
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
