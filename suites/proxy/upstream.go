package proxy

import (
	"cmp"
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
	Each(t, Cases[func(t *T) told]{
		{"the token response", func(*T) told { return told{expect.Body(tokens.Exchange), tokens.Exchange} }},
		{"the access token's claims", func(*T) told { return told{oauth.Payload(tokens.Access), tokens.Exchange} }},
		{"the ID token's claims", inIDToken},
		{"the answer to a refresh", atRefresh},
		{"the userinfo response", func(t *T) told { return mustTell(t, atUserinfo(t)) }},
		{"the introspection response", func(t *T) told { return mustTell(t, atIntrospection(t)) }},
	}, func(t *T, answer func(t *T) told) { t.Expect(answer(t)).To(holdNothingOf(t.Upstream.Issued())) })
}

// inIDToken are the claims of an ID token, which base64 hides in the token response.
func inIDToken(t *T) told {
	tokens := t.AS.MustGetTokens(Scope(withOpenID(t)...))
	if tokens.ID == "" {
		t.NotApplicable("the proxy issues no ID token")
	}
	return told{oauth.Payload(tokens.ID), tokens.Exchange}
}

// atRefresh is the answer to a refresh, with the claims of its access token.
func atRefresh(t *T) told {
	next := t.AS.MustRefresh(t.AS.MustGetRefreshToken())
	return told{expect.Body(next.Exchange) + oauth.Payload(next.Access), next.Exchange}
}

// withOpenID are the usual scopes, and openid where there is one.
func withOpenID(t *T) []string {
	scopes := slices.Clone(t.Session.RequestedScopes())
	if t.AS.Lists("scopes_supported", "openid") {
		scopes = append(scopes, "openid")
	}
	return scopes
}

// told is what an answer tells the client.
type told struct {
	text string
	*reports.Exchange
}

// Evidence is the answer.
func (a told) Evidence() *reports.Exchange { return a.Exchange }

// mustTell is the answer about a good token. The check does not apply if the server refuses that too.
func mustTell(t *T, good Attempt[string]) told {
	ex, _ := good.Send().(*reports.Exchange)
	if !good.Good.Judge(ex).Met {
		t.NotApplicable("%s is answered with %s", good.Name, expect.Describe(ex))
	}
	return told{expect.Body(ex), ex}
}

// atUserinfo is a request with a new token of the proxy, with the scope openid where there is one. An edit is another token.
func atUserinfo(t *T) Attempt[string] {
	if t.AS.Server().Userinfo == "" {
		t.NotApplicable("the proxy has no userinfo endpoint")
	}
	own := t.AS.MustGetTokens(Scope(withOpenID(t)...)).Access
	return Attempt[string]{Name: "userinfo with a token of the proxy", Good: beAnswered, Send: func(instead ...string) any {
		return t.Get(t.AS.Server().Userinfo, mcp.Bearer(append(instead, own)[0]))
	}}
}

var beAnswered = expect.Serving("HTTP 200", func(ex *reports.Exchange) string {
	if expect.Status(ex) == 200 {
		return ""
	}
	return expect.Describe(ex)
})

// atIntrospection is a question about a new token of the proxy, by a client that may ask about it. An edit is another token.
func atIntrospection(t *T) Attempt[string] {
	c := cmp.Or(t.Session.Introspector(), t.AS.Confidential())
	if c == nil || t.AS.Server().Introspection == "" {
		t.NotApplicable("the proxy has no introspection endpoint, or no client that may use it")
	}
	owner := c
	if !c.SignsIn() {
		owner = t.AS.AnyClient()
	}
	own := t.AS.MustGetTokens(As(owner)).Access
	return Attempt[string]{Name: "introspection of a token of the proxy", Good: expect.BeActive(), Send: func(instead ...string) any {
		return t.AS.Introspect(c, append(instead, own)[0])
	}}
}

var holdNothingOf = expect.Family("holdNothingOf", func(issued []string) expect.Matcher {
	return expect.That("an answer without any token or code of the upstream", func(a told) string {
		if slices.ContainsFunc(issued, func(secret string) bool { return len(secret) > 8 && strings.Contains(a.text, secret) }) {
			return "the answer has a token or code that the upstream issued"
		}
		return ""
	})
})

func acceptsOwnTokensOnly(t *T) {
	t.AS.MustGetTokens()
	issued := t.Upstream.Issued()
	rows := func() (out Cases[string]) {
		for i, v := range issued[max(0, len(issued)-3):] { // the tokens; before them is the code, which the proxy has redeemed
			out = out.And(fmt.Sprintf("what the upstream issued, number %d of 3", i+1), v)
		}
		return out
	}
	edits := func(parameter string) (out Cases[Edit]) {
		for _, r := range rows() {
			out = out.And(r.Name+", as "+parameter, With(parameter, r.Value))
		}
		return out
	}
	Refuses(t, t.AS.Redemption(), edits("code"), expect.RefuseGrant("invalid_grant"))
	if tokens := t.AS.MustGetTokens(As(t.AS.Refresher()), t.AS.ForRefresh()); tokens.Refresh != "" {
		Refuses(t, t.AS.RefreshGrant(), edits("refresh_token"), expect.RefuseGrant("invalid_grant"))
	}
	Each(t, Cases[func(t *T)]{
		{"an unused code of the upstream, as code", refusesUnusedCode},
		{"at userinfo", func(t *T) { refusesThere(t, atUserinfo(t), rows(), expect.RefusePreferably(401, 400, 403, 404)) }},
		{"at introspection", func(t *T) { refusesThere(t, atIntrospection(t), rows(), notBeActive) }},
	}, func(t *T, refuses func(t *T)) { refuses(t) })
}

// refusesUnusedCode sends a code of the upstream that the proxy has not got yet: a proxy that redeems foreign codes upstream would be
// refused there with a used one. That the proxy gets a client's code for it afterwards shows that it was good.
func refusesUnusedCode(t *T) {
	leg := t.Upstream.MustReach()
	callback := t.Upstream.SignIn(leg, leg.Jar)
	u, err := url.Parse(callback)
	if err != nil {
		t.Inconclusive("the upstream's answer is not a URL: %v", err)
	}
	ex := expect.ExchangeOf(t.AS.Redemption().Send(With("code", t.Hide(u.Query().Get("code")))))
	if refused := expect.RefuseGrant("invalid_grant"); t.Expect(ex).To(refused) {
		o := t.Upstream.Return(leg, callback, leg.Jar, login.Approve)
		t.Expect(ended{o}, "the same code of the upstream at the proxy's callback:").AsControl(bringCode)
	}
}

// refusesThere is Refuses at an endpoint that answers about a token of the proxy itself.
func refusesThere(t *T, good Attempt[string], rows Cases[string], m expect.Matcher) {
	mustTell(t, good)
	Refuses(t, good, rows, m)
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

// mayRender reports whether a browser may read an answer as markup, which it does not do with JSON and plain text.
func mayRender(ex *reports.Exchange) bool {
	return !slices.Contains([]string{"application/json", "text/plain"}, expect.MediaType(ex))
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
		case strings.Contains(expect.Body(o.Exchange), markup) && mayRender(o.Exchange):
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

// OpenID Connect Core section 3.1.3.7 has a MUST for issuer and audience (items 2 and 3), expiry (9), and the nonce where one was sent
// (11), and for the signature (6) if the token does not come directly over TLS. It has a SHOULD for azp (5) and iat (10).
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
		t.Inconclusive("a new upstream user is not signed in, or the subject of a token cannot be seen; %s", t.AS.ToSeeTokens())
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
	t.AS.MustGetRefreshToken(SignedOut()) // the control; EndGrants ends only the grants that begin after it
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
		t.Inconclusive("the subject of a token cannot be seen, so neither can whether the upstream's ID token decides who signs in; %s",
			t.AS.ToSeeTokens())
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
