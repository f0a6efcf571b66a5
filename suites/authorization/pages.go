package authorization

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func pages() {
	Must("AS-AUTHZ-ERROR-STATUS", answersErrorsWithAStatus)
	Practice("AS-AUTHZ-NO-SERVER-ERROR", survivesOddRequests)
	Must("AS-AUTHZ-ERROR-CHARSET", keepsErrorTextsClean)
	Must("AS-AUTHZ-REFLECTED-XSS", escapesRequestValues)
	Must("AS-AUTHZ-CORS-OFF", letsNoScriptsRead)
	Must("AS-AUTHZ-NO-307", redirectsNoForms)
	Practice("AS-AUTHZ-NO-STORE", keepsPagesOutOfCaches)
	Must("AS-AUTHZ-CLICKJACKING", forbidsFraming)
	Should("AS-AUTHZ-CSP", restrictsScripts)
	Should("AS-AUTHZ-OPEN-REDIRECT-PRELOGIN", asksBeforeErrors)
	Must("AS-AUTHZ-PARAM-TAMPERING", keepsTheRequestItself)
	Practice("AS-AUTHZ-TRANSACTION-BINDING", bindsTransactionsToBrowsers)
	Must("AS-AUTHZ-SUBJECT-CORRECT", keepsUsersApart)
}

func answersErrorsWithAStatus(t *T) {
	t.AS.Server() // ends the check where there is none
	rows := Cases[Edit]{{"an unknown client", Stranger()}, {"no client_id", Edits(Stranger(), Without("client_id"))}}
	if known, _ := t.Session.Client(t.Context(), session.Public); known != nil {
		rows = rows.And("a redirect_uri that is not registered", Edits(As(known), With("redirect_uri", attacker)))
	} else {
		Untried(t, "a redirect_uri that is not registered", "a client (--register or --client-id)")
	}
	Each(t, rows, func(t *T, edit Edit) {
		g := t.AS.Authorize(edit, Leaving(), StoppingAtLogin())
		switch g.Stage {
		case login.AtLogin, login.AtConsent, login.Answered, login.Elsewhere:
			t.NotApplicable("it is not answered with an error: %s", g.Describe()) // judged by the checks on redirects
		case login.NeedsScript:
			t.Inconclusive("a script decides what the page shows: %s", g.Describe())
		}
		if g.Stage == login.Lost && g.Page() != nil { // a server may check the request only after the login
			t.Inconclusive("%s", g.Describe())
		}
		if t.Expect(g).To(tellNoErrorWithSuccess) {
			t.Expect(g).Ideally(have4xx)
		}
	})
}

var tellNoErrorWithSuccess = expect.That("HTTP 400", func(g *Grant) string {
	if expect.Status(g.Exchange) == 200 && oauth.ErrorCode(g.Exchange) != "" {
		return expect.Describe(g.Exchange)
	}
	return ""
})

var have4xx = expect.That("an error page with HTTP 4xx", func(g *Grant) string {
	if s := expect.Status(g.Exchange); s < 400 || s > 499 { // a server error is evidence of nothing
		return expect.Describe(g.Exchange)
	}
	return ""
})

// odds are edits that may crash a careless server.
func odds() Cases[Edit] {
	return Cases[Edit]{
		{"a scope of 60 kB", With("scope", strings.Repeat("a", 60<<10))},
		{"a redirect_uri of 60 kB", With("redirect_uri", "https://client.example/"+strings.Repeat("a", 60<<10))},
		{"NUL in state", With("state", "a\x00b")},
		{"NUL in code_challenge", With("code_challenge", "a\x00")},
		{"a lone surrogate", Raw("&nonce=%ED%A0%80")},
		{"invalid percent-encoding", Raw("&nonce=%ZZ")},
		{"client_id[]", Raw("&client_id[]=x")},
		{"client_id[a]", Raw("&client_id[a]=b")},
		{"client_id __proto__", With("client_id", "__proto__")},
		{"a redirect_uri with an open bracket", With("redirect_uri", "http://[::1")},
		{"a resource with an open bracket", With("resource", "http://[::1")},
		{"a made-up cookie", Header(mcp.Field("Cookie", "session=%00%ff; sid=../../x"))},
		{"an odd Accept-Language", Header(mcp.Field("Accept-Language", strings.Repeat("x-", 500)))},
	}
}

func survivesOddRequests(t *T) {
	ordinary := []Edit{Nobody(), StoppingAtLogin(), EvenUnanswered()}
	Each(t, odds(), func(t *T, edit Edit) {
		t.Expect(t.AS.Authorize(append(slices.Clone(ordinary), edit)...).Exchange).To(notFail)
	})
	g := t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving())
	t.Expect(post(t, g), "the request by POST, which is optional").To(notFail)
	t.Expect(t.AS.Authorize(ordinary...).Exchange, "an ordinary request afterwards").To(notFail)
}

var notFail = expect.That("an answer below 500", func(ex *reports.Exchange) string {
	if ex.Response == nil || expect.Crashed(ex) {
		return expect.Describe(ex)
	}
	return ""
})

func keepsErrorTextsClean(t *T) {
	Each(t, Cases[Edit]{
		{"markup in scope", With("scope", `"><script>alert(1)</script>\`)},
		{"CR LF in response_type", With("response_type", "\"x\r\nX-Injected:1")},
		{"é as code_challenge_method", With("code_challenge_method", "é")},
	}, func(t *T, edit Edit) {
		g := t.AS.MustReachDecision(t.AS.Authorize(edit))
		t.Expect(g.Exchange).To(addNoField)
		code, text := errorOf(g)
		if code == "" {
			t.NotApplicable("the answer has no error code and no error_description: %s", g.Describe())
		}
		if oauth.Object(g.Exchange).String("error") != "" { // the grammar is that of an answer to the client
			t.Expect(code, "error").SeenIn(g.Exchange).Ideally(allowedCharacters)
			t.Expect(text, "error_description").SeenIn(g.Exchange).Ideally(noMarkup, allowedCharacters)
			return
		}
		if t.Expect(code, "error").SeenIn(g.Exchange).To(allowedCharacters) {
			describesCleanly(t, t.Expect(text, "error_description").SeenIn(g.Exchange), text)
		}
	})
}

// describesCleanly: the grammar of a description has < and >, but neither " nor \, which the markup of the request has, too.
func describesCleanly(t *T, description Assertion, text string) {
	if foreign(text) < 0 {
		description.Ideally(noMarkup)
	} else if description.To(noMarkup) {
		description.Ideally(allowedCharacters)
	}
}

// errorOf is the error with its description, of the answer to the client or of a page in JSON.
func errorOf(g *Grant) (code, text string) {
	if o := oauth.Object(g.Exchange); o.String("error") != "" {
		return o.String("error"), o.String("error_description")
	}
	return strings.Join(g.Answer("error"), " "), strings.Join(g.Answer("error_description"), " ")
}

var addNoField = expect.That("no header field of the client's making", func(ex *reports.Exchange) string {
	if expect.Header(ex, "X-Injected") != "" {
		return "a parameter adds the header field X-Injected"
	}
	return ""
})

// allowedCharacters are printable ASCII except " and \.
var allowedCharacters = expect.That("a text of the allowed characters (OAuth 2.1 section 4.1.2.1)", func(s string) string {
	if at := foreign(s); at >= 0 {
		return around(s, at)
	}
	return ""
})

// foreign is the index of the first character that no error text may have, or -1.
func foreign(s string) int {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' })
}

var noMarkup = expect.That("no markup of the request in an error text", func(s string) string {
	at := strings.Index(s, "<script")
	if at < 0 {
		return ""
	}
	return around(s, at)
})

const (
	payload = `mcpauth"><svg/onload=alert(1)>'{{7*7}}`
	script  = "javascript:alert('mcpauth')"
)

// quoted are the parameters that a page may quote.
var quoted = []string{
	"client_id", "redirect_uri", "scope", "state", "response_type", "error", "error_description", "login_hint", "ui_locales", "resource",
	"nonce", "acr_values", "prompt", "response_mode", "code_challenge", "code_challenge_method",
}

func escapesRequestValues(t *T) {
	t.AS.Server() // ends the check where there is none
	known, _ := t.Session.Client(t.Context(), session.Public)
	for _, name := range quoted {
		requests := Cases[[]Edit]{{name, []Edit{Stranger(), Nobody(), StoppingAtLogin()}}}
		if known != nil && name != "client_id" && name != "redirect_uri" {
			requests[0].Value[0] = As(known)
		}
		if t.Session.Ready { // follow the request as far as the consent page
			requests = requests.And(name+" of a signed-in user", []Edit{requests[0].Value[0]})
		}
		Each(t, requests, func(t *T, edits []Edit) { expectEscaped(t, append(edits, With(name, payload))) })
	}
	if !t.Session.Ready {
		Untried(t, "the pages of a signed-in user", ALogin)
	}
	escapesPostedState(t)
	escapesNames(t)
	Each(t, Cases[[]Edit]{
		{"a script as redirect_uri", []Edit{Stranger(), Nobody(), StoppingAtLogin(), With("redirect_uri", script)}},
	}, expectEscaped)
}

// escapesPostedState checks the page that posts the answer to the client (OAuth 2.0 Form Post Response Mode).
func escapesPostedState(t *T) {
	if !t.Session.Ready || !t.AS.Lists("response_modes_supported", "form_post") {
		return
	}
	g := t.AS.Authorize(With("response_mode", "form_post"), With("state", payload))
	if g.Posted {
		t.Expect(g.Exchange, "the state in the page of form_post").To(escapePayloadIn)
	}
}

var escapePayloadIn = expect.That("the state as text, escaped", func(ex *reports.Exchange) string {
	return injected(expect.Body(ex))
})

// escapesNames enters markup as the user name: the page that refuses the login may repeat it, and the request.
func escapesNames(t *T) {
	if !t.Session.Ready || t.Session.NoLogin(0) != "" {
		return
	}
	g := t.AS.AuthorizeAs(&login.User{Name: payload, Password: Random(12)}, Leaving())
	for i, p := range g.Pages {
		t.Expect(p, "the name of a user who could not sign in").SeenIn(g.PageExchanges[i]).To(escapePayload)
	}
	if g = failsToSignIn(t, With("state", payload), With("nonce", payload), With("login_hint", payload)); g == nil {
		return
	}
	for i, p := range g.Pages {
		t.Expect(p, "the request, on the page of a login that fails").SeenIn(g.PageExchanges[i]).To(escapePayload)
	}
}

func expectEscaped(t *T, edits []Edit) {
	g := t.Pages.Asked(append(edits, Leaving())...)
	if len(g.Pages) == 0 {
		if why := Unanswered(t, g.Exchange); why != "" {
			t.Inconclusive("%s", why)
		}
		t.NotApplicable("the answer is not an HTML page: %s", g.Describe())
	}
	for i, p := range g.Pages {
		t.Expect(p).SeenIn(g.PageExchanges[i]).To(escapePayload)
		LeaveIfFailed(t, g.PageExchanges[i])
	}
}

var escapePayload = expect.That("the content of the request as escaped text", func(p *login.Page) string {
	if strings.Contains(p.Source, "49") && strings.Contains(p.Text, "'49") {
		return "the page evaluates it as a template"
	}
	return injected(p.Source)
})

func letsNoScriptsRead(t *T) {
	origin := mcp.Field("Origin", "https://"+nearmiss.Attacker)
	stop := Edits(StoppingAtLogin(), Leaving(), Header(origin))
	g := t.AS.Authorize(Nobody(), stop)
	preflight := wire.Request{Method: "OPTIONS", URL: g.URL, Header: []reports.Field{
		origin, mcp.Field("Access-Control-Request-Method", "GET"),
	}}
	Each(t, Cases[func() *reports.Exchange]{
		{"a preflight request", func() *reports.Exchange { return t.Do(preflight) }},
		{"the authorization request", func() *reports.Exchange { return t.Cite(firstAnswer(g)) }},
	}, func(t *T, sent func() *reports.Exchange) { t.Expect(sent()).To(allowNoOrigin) })
	if u, err := url.Parse(t.AS.AnyClient().RedirectURI); err == nil && u.Host != "" { // an origin that a list of clients may contain
		own := t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving(), Header(mcp.Field("Origin", document.Origin(u))))
		t.Expect(firstAnswer(own), "the authorization request, with the origin of the redirect URI").To(allowNoOrigin)
	}
	allow := func(t *T, _ *login.Page, ex *reports.Exchange) { t.Expect(ex).To(allowNoOrigin) }
	eachOwnPage(t, g, allow)
	if t.Session.Ready {
		eachOwnPage(t, t.Pages.Asked(stop), allow) // the consent page
	}
}

var allowNoOrigin = expect.That("no Access-Control-Allow-Origin", func(ex *reports.Exchange) string {
	if v := expect.Header(ex, "Access-Control-Allow-Origin"); v != "" {
		return "Access-Control-Allow-Origin: " + v
	}
	return ""
})

// eachOwnPage judges the pages that an authorization request led to, if they are the authorization server's own.
func eachOwnPage(t *T, g *Grant, judge judgePage) {
	var rows Cases[int]
	for i, p := range g.Pages {
		if isOwn(t, p) {
			rows = rows.And(fmt.Sprintf("a request for the page %q", p.Title), i)
		}
	}
	Each(t, rows, func(t *T, i int) { judge(t, g.Pages[i], g.PageExchanges[i]) })
}

func redirectsNoForms(t *T) {
	for _, h := range t.Pages.Approved(SignedOut()).Hops {
		t.Expect(h, "a redirect after a form").To(repostNothing)
	}
}

var repostNothing = expect.That("302 or 303 after a form", func(h login.Hop) string {
	if (h.Status == 307 || h.Status == 308) && h.Method == "POST" && h.Carried {
		return fmt.Sprintf("%d: the form, with what the user typed, is sent on to %s", h.Status, h.To)
	}
	return ""
})

func keepsPagesOutOfCaches(t *T) {
	g := t.Pages.Approved(SignedOut())
	t.Expect(g.Exchange, "the redirect with the code").To(notBeStored)
	keep := func(t *T, p *login.Page, ex *reports.Exchange) {
		t.Expect(ex).Ideally(expect.HaveHeader("Cache-Control", expect.Holding("no-store")))
		t.Expect(ex).Ideally(limitReferrer(p))
	}
	eachOwnPage(t, g, keep)
	failedLogin(t, keep)
}

var notBeStored = expect.That("a redirect with the code that no cache stores", func(ex *reports.Exchange) string {
	c := strings.ToLower(expect.Header(ex, "Cache-Control"))
	stored := strings.Contains(c, "public") || strings.Contains(c, "max-age") && !strings.Contains(c, "max-age=0")
	if stored && !strings.Contains(c, "no-store") {
		return "Cache-Control: " + c
	}
	return ""
})

var limitReferrer = expect.Family("limitReferrer", func(p *login.Page) expect.Matcher {
	return expect.That("a Referrer-Policy", func(ex *reports.Exchange) string {
		r := expect.Header(ex, "Referrer-Policy")
		if strings.Contains(r, "no-referrer") || strings.Contains(r, "origin") || strings.Contains(p.Source, `name="referrer"`) {
			return ""
		}
		if r == "" {
			return "Referrer-Policy is absent"
		}
		return "Referrer-Policy " + printable(r)
	})
})

func forbidsFraming(t *T) {
	if g := t.AS.Authorize(SignedOut(), Leaving()); len(g.Pages) == 0 && g.Code() != "" {
		// The server asks no user here, so the page in a frame gets a code just as one in a window does.
		t.Expect(firstAnswer(g), "the authorization endpoint").Ideally(expect.ForbidFraming())
		return
	}
	forbid := func(t *T, _ *login.Page, ex *reports.Exchange) { t.Expect(ex).To(expect.ForbidFraming()) }
	eachForm(t, forbid)
	failedLogin(t, func(t *T, p *login.Page, ex *reports.Exchange) {
		if !isForm(p) {
			t.NotApplicable("the page has no form")
		}
		forbid(t, p, ex)
	})
}

// RFC 9700 section 4.16 names login pages and error pages, too.
func restrictsScripts(t *T) {
	allow := func(t *T, p *login.Page, ex *reports.Exchange) {
		policies := append(expect.HeaderValues(ex, "Content-Security-Policy"), policiesIn(p)...)
		t.Expect(policies).SeenIn(ex).To(restrict)
	}
	eachForm(t, allow)
	failedLogin(t, allow)
	failedRequest(t, allow)
}

// inPage is a policy in a meta element, where everything but framing can be restricted too.
var inPage = regexp.MustCompile(`(?is)<meta[^>]+http-equiv=["']?content-security-policy["']?[^>]+content="([^"]*)"`)

func policiesIn(p *login.Page) (out []string) {
	for _, m := range inPage.FindAllStringSubmatch(p.Source, -1) {
		out = append(out, m[1])
	}
	return out
}

// restrict is satisfied where one of several policies forbids such scripts: a browser obeys them all.
var restrict = expect.That("a Content-Security-Policy that forbids foreign and inline scripts", func(policies []string) string {
	if slices.ContainsFunc(policies, forbidsScripts) {
		return ""
	}
	if len(policies) == 0 {
		return "Content-Security-Policy is absent"
	}
	return "Content-Security-Policy " + printable(strings.Join(policies, " | "))
})

func forbidsScripts(policy string) bool {
	script := expect.Directive(policy, "script-src")
	if script == "" {
		script = expect.Directive(policy, "default-src")
	}
	inline := strings.Contains(script, "'unsafe-inline'") && !strings.Contains(script, "'sha") && !strings.Contains(script, "'nonce-")
	anywhere := slices.ContainsFunc(strings.Fields(script), ofEverySite) && !strings.Contains(script, "'strict-dynamic'")
	return script != "" && !inline && !anywhere
}

// ofEverySite reports that a source expression allows the scripts of every site. Next to 'strict-dynamic', browsers ignore it
// (Content Security Policy Level 3 section 8.2).
func ofEverySite(source string) bool {
	return slices.Contains([]string{"*", "https:", "http:", "data:"}, source) || strings.HasSuffix(source, "://*")
}

// eachForm judges the login page and the consent page, as far as they can be seen.
func eachForm(t *T, judge judgePage) {
	g := t.Pages.Asked(SignedOut(), Leaving())
	n := 0
	eachOwnPage(t, g, func(t *T, p *login.Page, ex *reports.Exchange) {
		if isForm(p) {
			n++
			judge(t, p, ex)
		}
	})
	if n == 0 {
		t.NotApplicable("the authorization server shows no page of its own with a form")
	}
}

// isForm reports whether a page has a form, or a script that may make one.
func isForm(p *login.Page) bool { return len(p.Forms) > 0 || p.Scripts > 0 }

// asksBeforeErrors registers as an attacker does, for an address on the web, or for loopback if only that can be registered.
func asksBeforeErrors(t *T) {
	c, _ := t.AS.Register(map[string]any{"redirect_uris": []string{"https://client.example/cb"}})
	if c == nil {
		c = t.AS.MustRegister(nil)
	}
	Each(t, Cases[Edit]{
		{"an unknown scope", Scope("mcpauth-invalid")},
		{"an unknown response_type", With("response_type", "mcpauth_bogus")},
	}, func(t *T, edit Edit) {
		t.Expect(t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving(), As(c), edit)).Ideally(showAPage)
	})
}

var showAPage = expect.That("a page before the browser is sent to a redirect URI that anybody may register", func(g *Grant) string {
	if g.Stage == login.Answered {
		return "the browser is redirected at once"
	}
	return ""
})

// Another browser sends the consent form that the first browser was shown, as if the page of another site had made it do so.
func bindsTransactionsToBrowsers(t *T) {
	Refuses(t, Attempt[func(*T, *login.Form) *login.Jar]{
		Name: "the consent form in the browser that began the request",
		Good: expect.EndWithCode(),
		Send: func(elsewhere ...func(*T, *login.Form) *login.Jar) any {
			g, p, f, values := t.Pages.Consent("there is no consent page whose form could be copied")
			jar, form := g.Jar, login.Submission(p, f, values)
			for _, other := range elsewhere {
				jar, form = other(t, f), Foreign(form)
			}
			// Users sign in whenever the server asks: a proxy asks after the approval.
			agent := &login.Agent{Jar: jar, User: t.Session.Identity(0).User, Secrets: t.Secrets, Send: t.Do}
			g.Outcome = t.Pages.Continue(agent, form, login.Route{RedirectURI: g.RedirectURI, Decision: login.Leave})
			return g
		},
	}, Cases[func(*T, *login.Form) *login.Jar]{
		{"the browser of another user who signed in", anotherUser},
		{"a browser without cookies", func(*T, *login.Form) *login.Jar { return login.NewJar() }},
	}, completeNothing)
}

// anotherUser is the browser of the second user.
func anotherUser(t *T, f *login.Form) *login.Jar {
	if t.Session.UserCount() < 2 {
		t.NotTested("it needs a second user (--second-username): a server may bind the form to the user instead of the browser")
	}
	if t.Pages.KeepsCookiesFrom(f) {
		t.NotApplicable("the form has no token of its own; SameSite keeps the other user's cookies from requests of other sites")
	}
	return t.Pages.Travelling(f, t.AS.Authorize(By(1), SignedOut(), Leaving()).Jar)
}

var completeNothing = expect.Refusing("a form that works only in the browser that began the request", func(g *Grant) string {
	if g.Code() != "" {
		return "the form leads to a code in another browser"
	}
	return ""
})

// Two users sign in at the same time, and approve in the other order.
func keepsUsersApart(t *T) {
	const absent = "there is no consent page, so the steps of two users cannot be interleaved"
	a, _, _, _ := t.Pages.Consent(absent)
	b, _, _, _ := t.Pages.Consent(absent, By(1), As(a.Client))
	if a.Client.ID != b.Client.ID { // the second user was asked for a new client only
		a, _, _, _ = t.Pages.Consent(absent, As(b.Client))
	}
	theirs, mine := approvedBy(t, b), approvedBy(t, a)
	if mine == "" || theirs == "" {
		t.Inconclusive("two logins at once did not lead to two tokens that name their users")
	}
	if !t.Expect(mine, "the token of the first of two users").SeenIn(a.Exchange).To(differFrom(theirs)) {
		return
	}
	first, second := t.AS.Subject(t.AS.MustGetTokens()), t.AS.Subject(t.AS.MustGetTokens(By(1)))
	switch {
	case first == "" || second == "":
		t.Inconclusive("the subject of a token cannot be seen: %q and %q; %s", first, second, t.AS.ToSeeTokens())
	case first == second:
		t.Inconclusive("the tokens of both users have the subject %q: declare users with accounts of their own (login.users)", first)
	}
	t.Expect(mine, "the token of the first of two users").SeenIn(a.Exchange).To(expect.Be(first))
	t.Expect(theirs, "the token of the second of two users").SeenIn(b.Exchange).To(expect.Be(second))
}

// approvedBy is the user that a token names after the consent page was approved.
func approvedBy(t *T, g *Grant) string {
	p := g.Page()
	f, button, _ := p.Consent()
	values := f.Values()
	if button.Name != "" {
		values.Add(button.Name, button.Value)
	}
	// The user is the same: a proxy signs users in after they have approved the client.
	agent := &login.Agent{Jar: g.Jar, User: t.Session.Identity(g.User).User, Secrets: t.Secrets, Send: t.Do}
	g.Outcome = t.Pages.Continue(agent, login.Submission(p, f, values), login.Route{RedirectURI: g.RedirectURI})
	if g.Code() == "" {
		t.Inconclusive("an approval leads to no code: %s", g.Describe())
	}
	return t.AS.Subject(t.AS.Tokens(t.AS.Redeem(g), g.Client))
}

var differFrom = expect.Family("differFrom", func(other string) expect.Matcher {
	return expect.That("in each token the user of its own browser", func(subject string) string {
		if subject == other {
			return "with two logins at once both tokens name " + subject
		}
		return ""
	})
})

// forged sets a parameter of the request wherever a form of the pages contains it: in a hidden field, or in the query of its address, by
// itself or in a JSON object, which may be encoded.
type forged struct {
	name, value string
	present     bool
}

func (v *forged) submit(_ *login.Page, f *login.Form, values *oauth.Form) {
	for _, in := range f.Inputs {
		if changed, ok := v.in(in.Name, in.Value); ok && in.Type == "hidden" {
			v.present = true
			values.Set(in.Name, changed)
		}
	}
	u, err := url.Parse(f.Action)
	if err != nil {
		return
	}
	query, found := u.Query(), false
	for name := range query {
		if changed, ok := v.in(name, query.Get(name)); ok {
			query.Set(name, changed)
			found = true
		}
	}
	if found {
		u.RawQuery, v.present = query.Encode(), true
		f.Action = u.String()
	}
}

// in returns the value of a field with the parameter changed; false if it does not contain it.
func (v *forged) in(name, value string) (changed string, ok bool) {
	if name == v.name {
		return v.value, true
	}
	return replaceInside(value, v.name, v.value)
}

// A form may contain the parameters of the request. The server must issue what the request asked for.
func keepsTheRequestItself(t *T) {
	Each(t, tamperings(t), func(t *T, c tampering) {
		g := t.Pages.Asked(SignedOut(), Submitting(c.submit))
		if !c.present {
			t.NotApplicable("no form of the pages contains a parameter of the request")
		}
		if c.ownRequest {
			t.Expect(g).Ideally(c.expected)
			return
		}
		t.Expect(g).To(c.expected)
	})
	deniesAtHome(t)
}

func tamperings(t *T) Cases[tampering] {
	pair := oauth.NewPKCE(43)
	verifier := With("code_verifier", pair.Verifier)
	rows := Cases[tampering]{
		{"redirect_uri", tampering{forged{name: "redirect_uri", value: attacker}, stayHome, false}},
		{"code_challenge", tampering{forged{name: "code_challenge", value: pair.Challenge}, redeemNothing(t, verifier), true}},
	}
	if _, seen := t.AS.Audience(t.Session.Tokens); seen {
		rows = rows.And("resource", tampering{forged{name: "resource", value: "https://attacker.example/mcp"}, keepAudience(t), true})
	} else {
		t.Note("resource: not tried, since the audience of a token cannot be seen; %s", t.AS.ToSeeTokens())
	}
	if other, _ := t.Session.Client(t.Context(), session.Second); other != nil {
		rows = rows.And("client_id", tampering{forged{name: "client_id", value: other.ID}, redeemNothing(t, As(other)), true})
	}
	return rows
}

// deniesAtHome denies in a form whose redirect URI is changed: other code may answer a denial.
func deniesAtHome(t *T) {
	Each(t, Cases[forged]{
		{"a denial, with another redirect URI in the form", forged{name: "redirect_uri", value: attacker}},
	}, func(t *T, c forged) {
		g := t.Pages.Asked(SignedOut(), Denying(), Submitting(c.submit))
		switch {
		case !c.present:
			t.NotApplicable("no form of the pages contains a redirect URI")
		case g.Stage == login.AtConsent:
			t.NotApplicable("the consent page offers no way to deny")
		case g.Code() != "" && !g.Consented:
			t.Pages.NoConsent(g, "this request is not asked about")
		}
		t.Expect(g).To(stayHome)
	})
}

type tampering struct {
	forged
	expected expect.Matcher
	// ownRequest says that the changed form is equivalent to the user's own request, whose parameters others cannot change.
	ownRequest bool
}

const ownParameters = "the parameters of the authorization request, not those of the form"

// redeemNothing expects that the code cannot be redeemed with the values of the form.
func redeemNothing(t *T, edit Edit) expect.Matcher {
	return expect.That(ownParameters, func(g *Grant) string {
		if g.Code() != "" && t.AS.Tokens(t.AS.Redeem(g, edit), g.Client) != nil {
			return "the code is redeemed by what the form said"
		}
		return ""
	})
}

func keepAudience(t *T) expect.Matcher {
	return expect.That(ownParameters, func(g *Grant) string {
		if g.Code() == "" {
			return ""
		}
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		if tokens == nil {
			return ""
		}
		if audience, _ := t.AS.Audience(tokens); slices.Contains(audience, "https://attacker.example/mcp") {
			return "the token is for the resource of the form"
		}
		return ""
	})
}
