// Package proxy contains the checks on an authorization server that signs its users in at another one, where the proxy is one client on
// behalf of all its own clients (MCP Security Best Practices: Confused Deputy Problem).
package proxy

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: Confused Deputy Problem, consent", consent)
	Describe("MCP Security Best Practices: Confused Deputy Problem, OAuth state parameter validation", state)
	Describe("MCP Authorization: Third-Party Authorization Flow", upstream)
	Describe("OpenID Connect Core section 3.1.3.7: ID tokens from browsers", fromBrowsers)
}

// ownPage is the proxy's own page that asks about a client; the check does not apply where there is none.
func ownPage(t *T, edits ...Edit) page {
	absent := "the proxy shows no page of its own before the upstream (AS-PROXY-CONSENT-BEFORE-UPSTREAM)"
	g, p, f, values := t.Pages.Consent(absent, append([]Edit{Until(t.Upstream.IsRequest)}, edits...)...)
	return page{g, p, f, values}
}

// page is a page that asks, with its form and what approving it sends.
type page struct {
	*Grant
	shown  *login.Page
	form   *login.Form
	values oauth.Form
}

// Evidence is the exchange with the page.
func (p page) Evidence() *reports.Exchange { return p.PageExchanges[len(p.PageExchanges)-1] }

// approval is the request that approving the page sends.
func (p page) approval() wire.Request { return login.Submission(p.shown, p.form, p.values) }

// ended says where a request of a browser ended.
type ended struct{ *login.Outcome }

// Evidence is the last exchange of the browser.
func (e ended) Evidence() *reports.Exchange { return e.Exchange }

func (e ended) code() bool { return e.Params.Get("code") != "" }

// signedIn completes a flow through the upstream in one browser.
func signedIn(t *T, edits ...Edit) *UpstreamRequest {
	leg := t.Upstream.MustReach(edits...)
	o := t.Upstream.Return(leg, t.Upstream.SignIn(leg, leg.Jar), leg.Jar, login.Approve)
	t.Expect(ended{o}, "an ordinary flow through the upstream").AsControl(bringCode)
	return leg
}

var bringCode = expect.Serving("a code for the client", func(o ended) string {
	if o.code() {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("ended %s: %s", o.Stage, o.Why), ": ")
})

func consent() {
	Must("AS-PROXY-CONSENT-BEFORE-UPSTREAM", asksBeforeUpstream)
	Must("AS-PROXY-CONSENT-PER-CLIENT", asksForEachClient)
	Must("AS-PROXY-CONSENT-CONTENT", saysWhatIsAsked)
	Must("AS-PROXY-CONSENT-CSRF", bindsFormToBrowser)
	Must("AS-PROXY-CONSENT-NOFRAME", forbidsFraming)
	Must("AS-PROXY-CONSENT-COOKIE", hardensApprovals)
}

func asksBeforeUpstream(t *T) {
	c := t.AS.MustRegister(nil)
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), SignedOut(), Leaving(), Until(t.Upstream.IsRequest)))
	leg := t.Upstream.RequestOf(g)
	switch {
	case leg != nil && identityOnly(leg): // only a login at another provider, not an API: a page afterwards protects as well
		t.Expect(leg, "for a login only").SeenIn(g.Exchange).Ideally(comeAfterPage)
	case leg != nil || g.Stage == login.AtConsent:
		t.Expect(leg).SeenIn(g.Exchange).To(comeAfterPage)
	default:
		t.Inconclusive("neither a page that asks nor the upstream is reached: %s", g.Describe())
	}
}

const pageFirst = "a page of the proxy's own that asks about the client, before the upstream is contacted"

var comeAfterPage = expect.That(pageFirst, func(leg *UpstreamRequest) string {
	if leg == nil {
		return ""
	}
	return "the browser is sent to " + origin(leg.Upstream) + " at once"
})

func asksForEachClient(t *T) {
	first := signedIn(t)
	c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{elsewhere(t.AS.AnyClient().RedirectURI)}})
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), InJar(first.Jar), Leaving(), Until(t.Upstream.IsRequest)))
	leg := t.Upstream.RequestOf(g)
	switch {
	case leg == nil && g.Stage != login.AtConsent && g.Code() == "":
		t.Inconclusive("another client is neither asked about nor sent upstream: %s", g.Describe())
	case leg == nil:
		t.Expect(ended{g.Outcome}).To(askUser)
		return
	}
	o := ended{t.Upstream.Return(leg, t.Upstream.SignIn(leg, first.Jar), first.Jar, login.Leave)}
	if !o.code() && o.Stage != login.AtConsent {
		t.Inconclusive("the browser is sent upstream without a page, and what follows ended %s: %s", o.Stage, o.Why)
	}
	if t.Expect(o, "after the upstream").To(askUser) && !identityOnly(leg) {
		t.Expect(leg, "though it is asked for more than a login").SeenIn(o.Exchange).To(comeAfterPage)
	}
}

// elsewhere is a redirect URI of another application: at another port of the same host.
func elsewhere(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "http://127.0.0.1:8767/callback"
	}
	u.Host = net.JoinHostPort(u.Hostname(), "8767")
	return u.String()
}

var askUser = expect.Refusing("a page of the proxy's own before a client that its user never approved", func(o ended) string {
	if o.code() {
		return "a code for another client is issued without any page"
	}
	return ""
})

func saysWhatIsAsked(t *T) {
	name := t.AS.ClientName(" " + Random(6) + " tester")
	p := ownPage(t, As(t.AS.MustRegister(map[string]any{"client_name": name})))
	t.Expect(p).To(say("the client's name", name))
	short := p.RedirectURI
	if u, err := url.Parse(p.RedirectURI); err == nil {
		short = u.Host + u.Path
	}
	t.Expect(p).To(say("the redirect URI", p.RedirectURI, short))
	_, leg := t.Upstream.Submit(p.Grant, p.approval(), p.Jar)
	if leg == nil {
		t.Inconclusive("the approval does not lead upstream, so what is asked for there cannot be compared")
	}
	scopes := strings.Fields(leg.Query.Get("scope"))
	if t.Expect(p).To(remindOfAny(scopes)) {
		t.Expect(p).Ideally(remindOfAll(scopes))
	}
}

// say expects a text on the page, in one of some forms.
var say = expect.Family("say", func(what string, forms ...string) expect.Matcher {
	return expect.That(what+" on the proxy's page", func(p page) string {
		if slices.ContainsFunc(forms, func(f string) bool { return strings.Contains(p.shown.Said(), f) }) {
			return ""
		}
		return forms[0] + " is absent"
	})
})

// remindOfAny expects at least one word of one of the scopes.
var remindOfAny = expect.Family("remindOfAny", func(scopes []string) expect.Matcher {
	return expect.That("the scopes that are asked of the upstream on the proxy's page: "+strings.Join(scopes, " "), func(p page) string {
		if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return Mentions(p.shown.Said(), s) }) {
			return ""
		}
		return "the page has no word of these scopes"
	})
})

// remindOfAll expects every word of every scope.
var remindOfAll = expect.Family("remindOfAll", func(scopes []string) expect.Matcher {
	return expect.That("each scope that is asked of the upstream on the proxy's page, or what it means", func(p page) string {
		said := strings.ToLower(p.shown.Said())
		var unsaid []string
		for _, scope := range scopes {
			words := strings.FieldsFunc(strings.ToLower(scope), func(r rune) bool { return strings.ContainsRune(":./_-", r) })
			if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(said, w) }) {
				unsaid = append(unsaid, scope)
			}
		}
		if len(unsaid) == 0 {
			return ""
		}
		return "not every word of " + strings.Join(unsaid, " ") + " is on the page"
	})
})

func bindsFormToBrowser(t *T) {
	control := ownPage(t)
	o, leg := t.Upstream.Submit(control.Grant, control.approval(), control.Jar)
	t.Expect(approved{ended{o}, leg != nil}, "an ordinary approval").AsControl(leadUpstream)
	foreign := ownPage(t)
	rows := Cases[forgery]{{"a form that another browser was shown", forgery{foreign, Foreign(foreign.approval()), login.NewJar()}}}
	if another := ownPage(t); !t.Pages.KeepsCookiesFrom(another.form) { // a server may accept a form once only
		rows = rows.And("a form that another browser was shown, in one with a page of its own",
			forgery{another, Foreign(another.approval()), t.Pages.Travelling(another.form, ownPage(t).Jar)})
	}
	rows = append(rows, ofOtherSites(t)...)
	get := ownPage(t)
	rows = rows.And("by GET", forgery{get, wire.Request{Method: "GET", URL: oauth.AtQuery(get.form.Action, get.values)}, get.Jar})
	Each(t, rows, func(t *T, f forgery) {
		o, leg := t.Upstream.Submit(f.page.Grant, f.request, f.jar)
		t.Expect(approved{ended{o}, leg != nil}).To(notApprove)
	})
}

// ofOtherSites are forms without their token that other sites send. Where there is no token, the cookies are those that browsers send.
func ofOtherSites(t *T) (rows Cases[forgery]) {
	sites := Cases[func(wire.Request) wire.Request]{
		{"from another site", Foreign},
		{"from a sandboxed frame of another site", Sandboxed},
	}
	for _, site := range sites {
		own := ownPage(t)
		jar := own.Jar
		if !DropToken(own.form, &own.values) && !DropSecrets(own.form, &own.values, ownPage(t).form) {
			if t.Pages.SameSite() {
				continue
			}
			jar = jar.CrossSite()
		}
		rows = rows.And("without the form's token, "+site.Name, forgery{own, site.Value(own.approval()), jar})
	}
	return rows
}

// forgery is an approval that the user of a browser did not give.
type forgery struct {
	page    page
	request wire.Request
	jar     *login.Jar
}

// approved is the result of an approval.
type approved struct {
	ended
	upstream bool
}

var leadUpstream = expect.Serving("a redirect of the browser to the upstream", func(a approved) string {
	if a.upstream {
		return ""
	}
	return "does not lead upstream"
})

var notApprove = expect.Refusing("approval only by the form that this very browser was shown", func(a approved) string {
	switch {
	case a.upstream:
		return "the browser is sent upstream"
	case a.code():
		return "a code is issued"
	}
	return ""
})

func forbidsFraming(t *T) {
	p := ownPage(t)
	if t.Expect(p, "the proxy's page").To(expect.ForbidFraming()) {
		t.Expect(p.Evidence(), "the proxy's page").Ideally(denyFraming)
	}
}

var denyFraming = expect.That("X-Frame-Options: DENY", func(ex *reports.Exchange) string {
	policy := expect.Directive(expect.Header(ex, "Content-Security-Policy"), "frame-ancestors")
	if !strings.EqualFold(expect.Header(ex, "X-Frame-Options"), "SAMEORIGIN") || policy != "" {
		return ""
	}
	return "SAMEORIGIN"
})

// hardensApprovals finds the cookie that records an approval, and sends forged ones.
func hardensApprovals(t *T) {
	ownPage(t)
	c := t.AS.AnyClient()
	first := signedIn(t, As(c))
	at, err := url.Parse(t.AS.Server().Authorization)
	if err != nil {
		t.Inconclusive("the authorization endpoint is not a URL")
	}
	record := recordOfApproval(t, c, first.Jar, at)
	if !t.Expect(record).SeenIn(first.Exchange).To(beRecorded) {
		return
	}
	if other := t.AS.MustRegister(sameName(c)); other != nil {
		t.Expect(skipsPage(t, other, first.Jar.Copy()), "%s, with another client", record).SeenIn(first.Exchange).To(askAgain)
	}
	Each(t, spoiledRecords(first.Jar.Value(at, record)), func(t *T, value string) {
		t.Expect(skipsPage(t, c, first.Jar.With(at, record, value)), record).SeenIn(first.Exchange).To(askAgain)
	})
	attributes(t, record)
}

// recordOfApproval is the cookie without which the proxy shows the page again; empty if there is none.
func recordOfApproval(t *T, c *oauth.Client, jar *login.Jar, at *url.URL) (record string) {
	if !skipsPage(t, c, jar.Copy()) {
		t.NotApplicable("no approval is remembered: the page comes again")
	}
	for _, name := range jar.Names(at) {
		if !skipsPage(t, c, jar.Without(at, name)) {
			record = name
		}
	}
	return record
}

// skipsPage reports that an authorization request leads upstream at once.
func skipsPage(t *T, c *oauth.Client, jar *login.Jar) bool {
	g := t.AS.Authorize(As(c), InJar(jar), Leaving(), Until(t.Upstream.IsRequest))
	return t.Upstream.RequestOf(g) != nil
}

// sameName is the metadata of another client with the same name: a server that identifies clients by name confuses the two.
func sameName(c *oauth.Client) map[string]any {
	if name := c.Registered.String("client_name"); name != "" {
		return map[string]any{"client_name": name}
	}
	return nil
}

// spoiledRecords are changed at their beginning, in the middle, and near their end, where the MAC is: some bits of the very last
// character may be unused.
func spoiledRecords(value string) Cases[string] {
	length := len(strings.TrimRight(strings.TrimSuffix(value, "%3D"), "="))
	return Cases[string]{
		{"the first character changed", flipped(value, 0)},
		{"a character in the middle changed", flipped(value, length/3)},
		{"a character near the end changed", flipped(value, max(0, length-2))},
	}
}

var beRecorded = expect.That("an approval remembered in a cookie, or for a user who has signed in", func(cookie string) string {
	if cookie != "" {
		return ""
	}
	return "the consent page is skipped with any cookie missing"
})

var askAgain = expect.That("the consent page again, since the user never approved this", func(skipped bool) string {
	if skipped {
		return "the consent page is skipped"
	}
	return ""
})

// attributes judges the Set-Cookie field of the cookie that records approvals.
func attributes(t *T, name string) {
	for _, ex := range t.Transcript() {
		for _, field := range expect.HeaderValues(ex, "Set-Cookie") {
			if strings.HasPrefix(field, name+"=") {
				secure := strings.HasPrefix(t.AS.Server().Authorization, "https://")
				t.Expect(strings.ToLower(field), "the cookie %s", name).SeenIn(ex).To(beHardened(secure))
				return
			}
		}
	}
}

var beHardened = expect.Family("beHardened", func(secure bool) expect.Matcher {
	return expect.That("HttpOnly, SameSite=Lax and, on https, Secure and the prefix __Host-", func(field string) string {
		lax := strings.Contains(field, "samesite=lax") || strings.Contains(field, "samesite=strict")
		rows := Cases[bool]{
			{"HttpOnly", strings.Contains(field, "httponly")},
			{"SameSite", lax},
			{"Secure", !secure || strings.Contains(field, "secure")},
			{"the prefix __Host-", !secure || strings.HasPrefix(field, "__host-")},
		}
		var missing []string
		for _, r := range rows.Where(func(there bool) bool { return !there }) {
			missing = append(missing, r.Name)
		}
		if len(missing) == 0 {
			return ""
		}
		return "the cookie lacks " + strings.Join(missing, ", ")
	})
})

// flipped is a value with another character at an index, or at its end if it is shorter. The character is in every usual alphabet.
func flipped(v string, at int) string {
	if v == "" {
		return "x"
	}
	return nearmiss.ChangedAt(v, min(at, len(v)-1))
}

// identityOnly reports that a proxy asks its upstream who the user is, and nothing else.
func identityOnly(leg *UpstreamRequest) bool {
	for _, scope := range strings.Fields(leg.Query.Get("scope")) {
		switch scope {
		case "openid", "profile", "email", "address", "phone", "offline_access":
		default:
			return false
		}
	}
	return leg.Query.Get("scope") != ""
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}
