// Package authorization contains the checks on the authorization endpoint: what it accepts, where it sends the browser, and what its pages
// contain (OAuth 2.1 sections 3.1 and 4.1, RFC 9207, RFC 9700).
package authorization

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.1.1: Authorization Request", request)
	Describe("OAuth 2.1 section 2.3: Client Redirection Endpoint", redirects)
	Describe("OAuth 2.1 section 4.1.2: Authorization Response", response)
	Describe("RFC 9207: Issuer Identification", issuer)
	Describe("OAuth 2.1 section 7: pages and errors", pages)
}

const attacker = "https://attacker.example/cb"

// post sends the authorization request as a form.
func post(t *T, g *Grant) *reports.Exchange {
	return t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Authorization, Body: g.Request.Encode(), Header: []reports.Field{
		mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "text/html"),
	}})
}

func request() {
	Must("AS-AUTHZ-GET", answersGET)

	Must("AS-AUTHZ-USER-AUTHENTICATED", authenticatesUsers)
	Must("AS-AUTHZ-UNKNOWN-CLIENT", refusesUnknownClients)
	Must("AS-AUTHZ-MISSING-CLIENT", refusesMissingClients)
	Must("AS-AUTHZ-RESPONSE-TYPE-UNSUPPORTED", refusesUnknownResponseTypes)
	Must("AS-AUTHZ-RESPONSE-TYPE-MISSING", refusesMissingResponseTypes)

	Must("AS-AUTHZ-NO-IMPLICIT", issuesNoTokenItself)
	Must("AS-AUTHZ-DUPLICATE-PARAMS", refusesRepeatedParameters)
	Must("AS-AUTHZ-UNKNOWN-PARAMS", ignoresUnknownParameters)
	Must("AS-AUTHZ-EMPTY-PARAMS", readsEmptyParametersAsAbsent)

	Practice("AS-AUTHZ-REQUEST-OBJECT", believesNoRequestObject)
}

// firstAnswer is the server's answer to the authorization request itself.
func firstAnswer(g *Grant) *reports.Exchange {
	if len(g.PageExchanges) > 0 && len(g.Hops) == 0 {
		return g.PageExchanges[0]
	}
	return g.Exchange
}

func answersGET(t *T) {
	ex := firstAnswer(t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving()))
	t.Expect(ex).To(answerABrowser)
}

var answerABrowser = expect.That("a page or a redirect for a GET request", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s == 0 || s >= 400 {
		return expect.Describe(ex)
	}
	return ""
})

func authenticatesUsers(t *T) {
	g := t.AS.Authorize(Nobody())
	if g.Stage == login.ErrorPage || g.Error() != "" {
		t.Inconclusive("the ordinary request fails: %s", g.Describe())
	}
	t.Expect(g).To(askForAUser)
	EachNoted(t, Cases[Edit]{{"the request by POST", Posted()}}, func(t *T, posted Edit) { // which is optional (OAuth 2.1 section 3.1)
		if g := t.AS.Authorize(Nobody(), posted, EvenUnanswered()); g.Code() != "" || g.IssuesToken() {
			t.Expect(g).To(askForAUser)
		}
	})
	refusesMadeUpUsers(t)
}

var askForAUser = expect.That("a page where the user signs in", func(g *Grant) string {
	if g.Code() == "" && !g.IssuesToken() {
		return ""
	}
	return "a code is issued to a browser without cookies, in which nobody signed in (is it a demo mode?)"
})

// issuesNoTokenItself asks as a client that is registered for the implicit grant, where one can be: the server may refuse any other.
func issuesNoTokenItself(t *T) {
	base := []Edit{With("nonce", Random(12))}
	types := []string{"code", "token", "id_token token", "code token"}
	if t.Session.Register {
		if c, _ := t.AS.Register(map[string]any{"grant_types": []string{"authorization_code", "implicit"}, "response_types": types}); c != nil {
			base = append(base, As(c))
		}
	}
	if t.AS.Lists("scopes_supported", "openid") { // without it, a server of OpenID Connect refuses id_token
		base = append(base, Scope(append(t.Session.RequestedScopes(), "openid")...))
	}
	var rows Cases[Edit]
	for _, v := range []string{"token", "id_token token", "code token", "code id_token token"} {
		rows = rows.And("response_type "+v, With("response_type", v))
		rows = rows.And("response_type "+v+" with response_mode fragment", Edits(With("response_type", v), With("response_mode", "fragment")))
	}
	Refuses(t, deciding(t, base...), rows, bringNoToken)
}

// deciding is an authorization request that ends the row if the server reaches no decision.
func deciding(t *T, base ...Edit) Attempt[Edit] {
	attempt := t.AS.AuthorizationRequest(base...)
	send := attempt.Send
	attempt.Send = func(edits ...Edit) any { return t.AS.MustReachDecision(send(edits...).(*Grant)) }
	return attempt
}

var bringNoToken = expect.Refusing("no access token from the authorization endpoint (OAuth 2.1 section 10.1)", func(g *Grant) string {
	if g.IssuesToken() || strings.Contains(g.Location, "access_token=") {
		return "an access token is in the answer"
	}
	return ""
})

// believesNoRequestObject sends a request object with the content of an ordinary request, and one change. An unsigned one may be
// accepted if its redirect URI is registered and the metadata lists the algorithm none (OpenID Connect Core section 6.1).
func believesNoRequestObject(t *T) {
	Each(t, Cases[requestObject]{
		{"an unsigned request object with another redirect_uri", requestObject{unsecured, "redirect_uri", attacker}},
		{"a request object with another redirect_uri and a made-up signature", requestObject{madeUpSignature, "redirect_uri", attacker}},
		{"an unsigned request object with another state", requestObject{unsecured, "state", stateOfObject}},
		{"a request object with another state and a made-up signature", requestObject{madeUpSignature, "state", stateOfObject}},
	}, func(t *T, o requestObject) {
		if o.header == unsecured && o.member == "state" && t.AS.Lists("request_object_signing_alg_values_supported", "none") {
			t.NotApplicable("the metadata lists the algorithm none for request objects")
		}
		pair := oauth.NewPKCE(43)
		g := t.AS.MustReachDecision(t.AS.Authorize(Pair(pair), With("request", o.of(t, pair))))
		t.Expect(g).To(stayHome, readNoObject)
	})
	Each(t, Cases[string]{{"an unregistered request_uri", "/request.jwt"}}, func(t *T, path string) {
		if u, err := document.ParseURL(t.AS.Server().Authorization); err != nil || !document.LoopbackHost(u.Hostname()) {
			t.NotTested("the authorization server cannot reach the listener of mcpauth, which is on this machine")
		}
		l := Listen(t)
		t.AS.Authorize(With("request_uri", l.URL(path)), Leaving())
		t.Expect(l).To(fetchNothing)
	})
}

var fetchNothing = expect.That("no fetch of an unregistered request_uri", func(l *listener.Listener) string {
	if l.Hits() == 0 {
		return ""
	}
	return "the server fetches it"
})

// requestObject is a request object in which one member has another value than in the request.
type requestObject struct{ header, member, value string }

// Values in request objects that a server must not accept.
const (
	unsecured       = `{"alg":"none"}`
	madeUpSignature = `{"alg":"RS256","kid":"mcpauth"}`
	stateOfObject   = "mcpauth-state-of-the-request-object-0000000"
)

// of is a request object for an ordinary request with a challenge.
func (o requestObject) of(t *T, pair oauth.PKCE) string {
	c := t.AS.AnyClient()
	claims := map[string]any{"iss": c.ID, "aud": t.AS.Server().Issuer, "exp": time.Now().Unix() + 300}
	for _, p := range t.Session.Request(c, pair) {
		if p.Name != "state" { // the request itself contains a state
			claims[p.Name] = p.Value
		}
	}
	claims[o.member] = o.value
	body, _ := json.Marshal(claims) // strings and numbers can always be encoded
	signature := ""
	if o.header == madeUpSignature {
		signature = document.Base64URL(strings.Repeat("a", 256))
	}
	return document.Base64URL(o.header) + "." + document.Base64URL(string(body)) + "." + signature
}

// An error may have the state of the refused object: RFC 9101 section 6.3.
var readNoObject = expect.That("a refusal, or the state of the request itself", func(g *Grant) string {
	if g.Error() == "" && slices.Contains(g.Answer("state"), stateOfObject) {
		return "the answer has the state of the request object"
	}
	return ""
})
var stayHome = expect.That("a refusal, or the parameters of the request itself", func(g *Grant) string {
	if strings.Contains(g.Location, nearmiss.Attacker) {
		return "the browser is sent to " + g.Location
	}
	return ""
})

func refusesUnknownClients(t *T) {
	known := t.AS.AnyClient()
	rows := Cases[Edit]{{"an unknown client_id", Edits(Stranger(), Leaving())}}
	for _, m := range nearmiss.Of(known.ID, nearmiss.Except(nearmiss.Empty, nearmiss.Twice)...) { // the empty one: AS-AUTHZ-MISSING-CLIENT
		rows = rows.And("the client_id of a known client: "+m.Name, With("client_id", m.Value))
	}
	rows = append(rows, InheritedAs("client_id").In("client_id")...)
	Refuses(t, t.AS.AuthorizationRequest(As(known), Leaving()), rows, expect.NotRedirect())
}

func refusesMissingClients(t *T) {
	Refuses(t, t.AS.AuthorizationRequest(Leaving()), Cases[Edit]{
		{"no client_id", Without("client_id")},
		{"an empty client_id", With("client_id", "")},
		{"client_id of one space", With("client_id", " ")},
	}, expect.NotRedirect())
}

func refusesUnknownResponseTypes(t *T) {
	var rows Cases[Edit]
	for _, v := range []string{"mcpauth_bogus", "CODE", "code bogus"} {
		rows = rows.And("response_type "+v, With("response_type", v))
	}
	Refuses(t, t.AS.AuthorizationRequest(), rows, expect.EndWithoutCode("unsupported_response_type", "unauthorized_client"))
}

func refusesMissingResponseTypes(t *T) {
	Refuses(t, t.AS.AuthorizationRequest(), Cases[Edit]{
		{"no response_type", Without("response_type")},
		{"an empty response_type", With("response_type", "")},
	}, expect.EndWithoutCode("invalid_request", "unsupported_response_type"))
}

// A server that reads only one of two values misses the bad value in the other place, so each value is sent in both places.
func refusesRepeatedParameters(t *T) {
	Refuses(t, t.AS.AuthorizationRequest(), Cases[Edit]{
		{"client_id twice, another one last", Also("client_id", "mcpauth-other")},
		{"client_id twice, another one first", Before("client_id", "mcpauth-other")},
		{"response_type twice, another one last", Also("response_type", "token")},
		{"response_type twice, another one first", Before("response_type", "token")},
		{"code_challenge twice", Also("code_challenge", oauth.NewPKCE(43).Challenge)},
		{"code_challenge_method twice, another one last", Also("code_challenge_method", "plain")},
		{"code_challenge_method twice, another one first", Before("code_challenge_method", "plain")},
	}, expect.EndWithoutCode("invalid_request"))
	Refuses(t, t.AS.AuthorizationRequest(), Cases[Edit]{
		{"redirect_uri twice, the second one not registered", Also("redirect_uri", attacker)},
		{"redirect_uri twice, the first one not registered", Edits(Before("redirect_uri", attacker), AnswersAt(t.AS.AnyClient().RedirectURI))},
	}, notRedirectBeyondAnError)
	Each(t, Cases[Edit]{
		{"state twice", Also("state", Random(9))},
		{"scope twice", Also("scope", "mcpauth:other")},
	}, func(t *T, edit Edit) {
		t.Expect(t.AS.MustReachDecision(t.AS.Authorize(edit))).Ideally(getAnError)
	})
}

// notRedirectBeyondAnError allows an error at the registered address: the server may use the good value of the two.
var notRedirectBeyondAnError = expect.Either(expect.That("an error at the registered address only", func(g *Grant) string {
	if len(g.Answer("error")) > 0 && g.Code() == "" && !strings.Contains(g.Location, nearmiss.Attacker) {
		return ""
	}
	return g.Describe()
}), expect.NotRedirect())

var getAnError = expect.That("error invalid_request", func(g *Grant) string {
	if g.Code() != "" {
		return "a code is issued"
	}
	return ""
})

func ignoresUnknownParameters(t *T) {
	atPlain(t)
	t.Expect(stopping(t, With("mcpauth_x", "1"), With("mcpauth_y[]", "2")), "a parameter that the server cannot know").To(goOn)
	t.Expect(stopping(t, With("ui_locales", "de"), With("login_hint", "x")), "hints of OpenID Connect").Ideally(goOn)
}

// readsEmptyParametersAsAbsent: "Parameters sent without a value MUST be treated as if they were omitted" (OAuth 2.1 section 3.1).
func readsEmptyParametersAsAbsent(t *T) {
	atPlain(t)
	Each(t, Cases[string]{{"an empty scope", "scope"}, {"an empty resource", "resource"}, {"an empty state", "state"},
		{"an empty response_mode", "response_mode"}, {"an empty prompt", "prompt"}, {"an empty nonce", "nonce"}}, func(t *T, name string) {
		if t.AS.Stopped(stopping(t, Without(name))) {
			t.NotApplicable("the server refuses requests without %s", name)
		}
		if t.Expect(stopping(t, With(name, ""))).To(goOn) && approves(t, Without(name)) {
			t.Expect(t.AS.Authorize(With(name, ""))).To(goOn) // a server may look at the value after the approval
		}
	})
	Each(t, Cases[string]{{"an empty code_challenge", "code_challenge"}}, func(t *T, name string) {
		if t.AS.Stopped(stopping(t, Without(name))) { // a request that is refused without the value is refused with an empty one
			t.Expect(stopping(t, With(name, ""))).Ideally(stop)
		}
	})
}

// approves reports whether a user can sign in, and whose approval of the request brings a code.
func approves(t *T, edits ...Edit) bool {
	return t.Session != nil && t.Session.Ready && t.AS.Authorize(edits...).Code() != ""
}

// stopping sends the request as far as the login page or the consent page.
func stopping(t *T, edits ...Edit) *Grant {
	g := t.AS.Authorize(append([]Edit{Leaving(), StoppingAtLogin()}, edits...)...)
	t.AS.Stopped(g) // ends undecided where a page is not understood
	return g
}

// atPlain ends the check where the ordinary request is stopped.
func atPlain(t *T) {
	if plain := stopping(t); t.AS.Stopped(plain) {
		t.Inconclusive("the ordinary request fails: %s", plain.Describe())
	}
}

var goOn = expect.That("the login page, the consent page or a code, as without it", func(g *Grant) string {
	if g.Stage == login.ErrorPage || g.Stage == login.Answered && g.Code() == "" {
		return g.Describe()
	}
	return ""
})

var stop = expect.That("the refusal that a request without it gets", func(g *Grant) string {
	if g.Stage == login.ErrorPage || g.Stage == login.Answered && g.Code() == "" {
		return ""
	}
	return g.Describe()
})
