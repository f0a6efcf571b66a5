// Package login follows authorization requests through the pages of an authorization server: with a real browser, with plain HTML forms, or
// with the user's own browser.
package login

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// User is a user who can sign in.
type User struct {
	Name, Password string
	// OneTime is the base32 secret of an authenticator app, or empty.
	OneTime string
}

// Stage is where an authorization request ended.
type Stage string

// The stages.
const (
	Answered    Stage = "answered"          // the client's redirect URI got an answer
	Elsewhere   Stage = "redirected"        // the browser was redirected to an address of the request that is not the redirect URI
	AtLogin     Stage = "at the login page" // a login page, and no user to sign in, or an instruction to stop
	AtConsent   Stage = "at the consent page"
	ErrorPage   Stage = "at an error page"
	NeedsScript Stage = "at a page that needs scripts" // only a browser can continue
	Refused     Stage = "login refused"                // the login page came again
	Lost        Stage = "lost"                         // an unknown page, or a loop
	Failed      Stage = "without an answer"            // the browser failed, or there was a timeout: not evidence
)

// Decision is the user's decision on the consent page.
type Decision int

// The decisions.
const (
	Approve Decision = iota
	Deny
	Leave // stop there
)

// Route says how far to go, and how to decide.
type Route struct {
	RedirectURI string
	Decision    Decision
	// StopAtLogin stops at the login page.
	StopAtLogin bool
	// StopAtPassword stops at the page that asks for the password, after the page that asks for the name.
	StopAtPassword bool
	// Until, if set, stops before the browser opens an address for which it returns true.
	Until func(address string) bool
	// Submit may change the values of a form before they are sent.
	Submit func(p *Page, f *Form, values *oauth.Form)
}

// Hop is one redirect.
type Hop struct {
	Status   int
	Method   string // of the redirected request
	From, To string
	Carried  bool // the request had credentials or a decision
}

// Outcome is the end of an authorization request.
type Outcome struct {
	Stage Stage
	// Params are the parameters of the answer to the client, and Location is its address.
	Params   url.Values
	Location string
	// Posted says that the answer came in a form (form_post), and Fragment that it came after #.
	Posted, Fragment bool
	// InFragment are the parameters after #.
	InFragment    url.Values
	Exchange      *reports.Exchange
	Pages         []*Page // all pages, in order
	PageExchanges []*reports.Exchange
	Hops          []Hop
	// SignedIn and Consented say that the user did so, Named that the name was typed, and Typed that the password was.
	SignedIn, Consented, Named, Typed bool
	// PushError is the error of a refused pushed authorization request (RFC 9126 section 2.3); empty if there was none.
	PushError string
	// Barred says that the login page came and signing in is no longer allowed; Why says why.
	Barred bool
	Why    string
}

// Accepted reports whether the password was typed and the server continued: to a consent page, or to an answer other than access_denied.
func (o *Outcome) Accepted() bool {
	return o.Typed && (o.Consented || o.Stage == AtConsent || o.Stage == Answered && o.Params.Get("error") != "access_denied")
}

// Page returns the last page, or nil.
func (o *Outcome) Page() *Page {
	if len(o.Pages) == 0 {
		return nil
	}
	return o.Pages[len(o.Pages)-1]
}

// Agent is a browser without scripts that uses the guarded client.
type Agent struct {
	Jar     *Jar
	User    *User // nil: nobody signs in
	Send    func(wire.Request) *reports.Exchange
	Secrets *reports.Secrets
	// Recipe, if set, is for a browser: the agent stops at its pages.
	Recipe *target.Recipe
	// May says why signing in at the host of an address is not allowed; empty if it is. Nil: it is allowed everywhere.
	May func(address string) string
	// Record records an exchange of a browser. May be nil.
	Record func(*reports.Exchange)
	// Push, if set, pushes the parameters of an authorization request (RFC 9126), and returns the address for the browser, or "".
	Push func(start string) (address string, ex *reports.Exchange)
}

// mostSteps bounds the pages and redirects of one request.
const mostSteps = 20

// careless says why a form must not get a secret: it, or its page, is sent in clear text, or to a host where signing in is not allowed.
// Empty if it may.
func (a *Agent) careless(p *Page, f *Form) string {
	addresses := []string{p.URL.String(), f.Action}
	for _, b := range f.Buttons {
		if b.Action != "" {
			addresses = append(addresses, b.Action)
		}
	}
	for _, address := range addresses {
		to, err := url.Parse(address)
		if err != nil || to.Scheme != "https" && !(to.Scheme == "http" && document.LoopbackHost(to.Hostname())) {
			return fmt.Sprintf("the page %q would send the password in clear text to %s", p.Title, bare(address))
		}
	}
	if a.May == nil {
		return ""
	}
	for _, address := range addresses {
		if why := a.May(address); why != "" {
			return why
		}
	}
	return ""
}

// Walk sends an authorization request, and continues until the client gets its answer or nothing more is possible.
func (a *Agent) Walk(start string, r Route) *Outcome {
	address, refused := a.begin(start)
	if refused != nil {
		return refused
	}
	w := &walk{Agent: a, route: r, out: &Outcome{}, req: wire.Request{Method: "GET", URL: address}, scopes: scopesOf(start),
		homes: homesOf(start)}
	for range mostSteps {
		if w.step() {
			return w.out
		}
	}
	return w.end(Lost, "more than %d pages and redirects", mostSteps)
}

// Continue continues with the submission of a form, changed by the caller.
func (a *Agent) Continue(req wire.Request, r Route) *Outcome {
	w := &walk{Agent: a, route: r, out: &Outcome{}, req: req}
	for range mostSteps {
		if w.step() {
			return w.out
		}
	}
	return w.end(Lost, "more than %d pages and redirects", mostSteps)
}

type walk struct {
	*Agent
	route   Route
	out     *Outcome
	req     wire.Request
	carries bool // the next request has credentials or a decision
	names   int  // number of times the name, the password and the second factor were typed
	words   int
	codes   int
	decided int
	passed  int
	scopes  []string // the requested scopes
	homes   []string // hosts of the request's redirect URIs: nothing listens there
}

// scopesOf returns the scopes of an authorization request.
func scopesOf(request string) []string {
	u, err := url.Parse(request)
	if err != nil {
		return nil
	}
	return strings.Fields(u.Query().Get("scope"))
}

func (w *walk) end(s Stage, format string, args ...any) *Outcome {
	w.out.Stage = s
	if format != "" {
		w.out.Why = fmt.Sprintf(format, args...)
	}
	return w.out
}

// step sends one request and handles the answer; true means that the walk is over.
func (w *walk) step() bool {
	u, err := url.Parse(w.req.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		w.end(Lost, "an address that is not followed: %q", w.req.URL)
		return true
	}
	req := w.req
	req.Header = append([]reports.Field{
		{Name: "Accept", Value: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}, {Name: "Accept-Language", Value: "en"},
	}, req.Header...)
	req.Header = append(req.Header, w.Jar.Field(u)...)
	ex := w.Send(req)
	w.out.Exchange = ex
	if ex.Response == nil {
		w.end(Failed, "%s gave no answer: %s", w.req.URL, ex.Error)
		return true
	}
	w.Jar.Take(u, ex)
	status := ex.Response.Status
	if location := expect.Header(ex, "Location"); location != "" && status >= 300 && status <= 399 {
		return w.redirect(u, status, location)
	}
	if t := expect.MediaType(ex); t != "text/html" && t != "application/xhtml+xml" {
		stage := Lost
		if status >= 400 {
			stage = ErrorPage
		}
		w.end(stage, "%s", expect.Describe(ex))
		return true
	}
	w.out.Pages = append(w.out.Pages, ParsePage(u, ex.Response.Body))
	w.out.PageExchanges = append(w.out.PageExchanges, ex)
	w.out.Page().secretFields(w.Secrets)
	return w.page(ex)
}

func (w *walk) redirect(from *url.URL, status int, location string) bool {
	location = readByBrowsers(from.Scheme, location)
	to, err := from.Parse(location)
	target := location
	if relative, _ := url.Parse(location); err == nil && relative.Scheme == "" {
		target = to.String()
	}
	if to != nil {
		for name, values := range to.Query() { // whatever the address: a code is a secret
			w.hide(name, values...)
		}
	}
	w.out.Hops = append(w.out.Hops, Hop{status, w.req.Method, w.req.URL, target, w.carries})
	keeps := w.req.Method == "POST" && (status == 307 || status == 308) // method and body
	switch rest, ok := answers(w.route.RedirectURI, target); {
	case ok:
		w.answered(target, rest)
		return true
	case w.route.Until != nil && w.route.Until(target), err != nil || w.leaves(from, to):
		return w.elsewhere(target, "the browser is sent to %s", target)
	case keeps && to.Host != from.Host:
		return w.elsewhere(target, "a POST is redirected to another origin with %d", status)
	case keeps:
		w.req.URL = target
	default:
		w.req, w.carries = wire.Request{Method: "GET", URL: target}, false
	}
	return false
}

// leaves reports whether a redirect leads to an address where no login page can be.
func (w *walk) leaves(from, to *url.URL) bool {
	return to.Scheme != "http" && to.Scheme != "https" || to.Host != from.Host && (Reserved(to.Hostname()) || w.sameHostAsAnswer(to))
}

// elsewhere ends the walk at an address that it does not open.
func (w *walk) elsewhere(target, format string, args ...any) bool {
	w.out.Location = target
	w.end(Elsewhere, format, args...)
	return true
}

// sameHostAsAnswer prevents requests to the client's redirect host with a wrong address.
func (w *walk) sameHostAsAnswer(to *url.URL) bool {
	return to.Host != "" && (to.Host == hostOf(w.route.RedirectURI) || slices.Contains(w.homes, to.Host))
}

// homesOf returns the hosts of all redirect URIs of an authorization request.
func homesOf(request string) (hosts []string) {
	u, err := url.Parse(request)
	if err != nil {
		return nil
	}
	for _, uri := range u.Query()["redirect_uri"] {
		hosts = append(hosts, hostOf(uri))
	}
	return hosts
}

// hostOf returns the host of a URI. For an invalid URI, with a NUL byte for example, it returns the text in the place of the host.
func hostOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest[strings.LastIndex(rest, "@")+1:]
}

// Reserved reports whether a host cannot exist (RFC 6761): redirects to it are not followed.
func Reserved(host string) bool {
	for _, tld := range []string{".example", ".invalid", ".test"} {
		if strings.HasSuffix(host, tld) {
			return true
		}
	}
	return strings.HasSuffix(host, "example.com") || strings.HasSuffix(host, "example.net") || strings.HasSuffix(host, "example.org")
}

// answers reports whether an address is the redirect URI with added parameters. An empty path may have become "/" (RFC 3986 section 6.2.3).
func answers(redirectURI, address string) (rest string, ok bool) {
	rest, found := strings.CutPrefix(address, redirectURI)
	if strings.HasPrefix(redirectURI, "http") && strings.Count(redirectURI, "/") == 2 {
		rest = strings.TrimPrefix(rest, "/")
	}
	if !found || redirectURI == "" || rest != "" && !strings.ContainsRune("?&#", rune(rest[0])) {
		return "", false
	}
	return rest, true
}

func (w *walk) answered(location, rest string) {
	w.out.Location = location
	query, fragment, _ := strings.Cut(rest, "#")
	if fragment != "" && fragment != "_=_" && fragment != "_" {
		w.out.Fragment = true
	}
	if len(query) > 0 {
		query = query[1:]
	}
	w.out.Params, _ = url.ParseQuery(query)
	for name, values := range w.out.Params {
		w.hide(name, values...)
	}
	w.out.InFragment, _ = url.ParseQuery(fragment)
	for name, values := range w.out.InFragment {
		w.hide(name, values...)
	}
	w.end(Answered, "")
}

func (w *walk) hide(name string, values ...string) {
	switch name {
	case "code", "access_token", "id_token", "token":
		for _, v := range values {
			w.Secrets.Add(name, v)
		}
	}
}

// page does what a person would do on a page; true means that the walk is over.
func (w *walk) page(ex *reports.Exchange) bool {
	p := w.out.Page()
	for i := range p.Forms {
		if f := &p.Forms[i]; f.Method == "POST" && f.Action == w.route.RedirectURI {
			w.out.Params, w.out.Posted, w.out.Location = url.Values{}, true, f.Action
			for _, v := range f.Values() {
				w.out.Params.Add(v.Name, v.Value)
				w.hide(v.Name, v.Value)
			}
			w.end(Answered, "")
			return true
		}
	}
	if pageOf(w.Recipe, p.URL, p.Text) != nil {
		w.end(NeedsScript, "the login recipe has steps for the page %q", p.Title)
		return true
	}
	return w.act(p, ex)
}

// act performs the next action on a page that asks for something.
func (w *walk) act(p *Page, ex *reports.Exchange) bool {
	login := p.Login()
	if f, b, ok := w.account(p); ok {
		return w.pass(p, f, b)
	}
	if f, b, ok := p.Aside(); ok && (login == nil || !login.named()) {
		return w.pass(p, f, b)
	}
	if login != nil && !login.Scripted && (login.Password() == nil || login.Password().Name != "") {
		return w.login(p, login)
	}
	if login != nil {
		w.end(NeedsScript, "the form of the page %q is sent by a script: %s", p.Title, needsBrowser)
		return true
	}
	for i := range p.Forms {
		if f := &p.Forms[i]; p.Passes(f) && !f.Scripted {
			return w.pass(p, f, f.Submitter())
		}
	}
	if f, b, ok := p.Consent(); ok && !f.Scripted {
		return w.consent(p, f, b)
	}
	return w.unasked(p, ex)
}

const needsBrowser = "it needs a browser (--login auto or browser)"

// unasked ends at a page without a question, or follows its automatic redirect.
func (w *walk) unasked(p *Page, ex *reports.Exchange) bool {
	switch {
	case ex.Response.Status >= 400:
		w.end(ErrorPage, "HTTP %d, with the text %q", ex.Response.Status, Shorten(p.Text))
	case p.Refresh != "":
		return w.redirect(p.URL, ex.Response.Status, p.Refresh)
	case p.Faulty():
		w.end(ErrorPage, "HTTP %d, with the text %q", ex.Response.Status, Shorten(p.Text))
	case p.Scripts > 0:
		w.end(NeedsScript, "the page %q needs scripts: %s", p.Title, needsBrowser)
	default:
		w.end(Lost, "mcpauth does not understand the page: %q %s", p.Title, Shorten(p.Text))
	}
	return true
}

// account finds the button of an account chooser.
func (w *walk) account(p *Page) (*Form, Input, bool) {
	if w.User == nil || w.route.StopAtLogin {
		return nil, Input{}, false
	}
	return p.Account(w.User.Name)
}

// pass presses a button that does not affect the request.
func (w *walk) pass(p *Page, f *Form, b Input) bool {
	if w.passed++; w.passed > 5 {
		w.end(Lost, "the page %q comes again and again: %s", p.Title, Shorten(p.Text))
		return true
	}
	to, err := url.Parse(f.Action)
	if err == nil && to.Host != p.URL.Host && (Reserved(to.Hostname()) || w.sameHostAsAnswer(to)) {
		w.out.Location = f.Action
		w.end(Elsewhere, "a form of the page %q goes to %s", p.Title, f.Action)
		return true
	}
	values := f.Values()
	if b.Name != "" {
		values.Add(b.Name, b.Value)
	}
	w.req, w.carries = Submission(p, f.pressed(b), values), false
	return false
}

// Shorten returns the beginning of a text, for a message.
func Shorten(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func (w *walk) login(p *Page, f *Form) bool {
	if w.route.StopAtLogin || w.route.StopAtPassword && f.Password() != nil || w.User == nil {
		w.end(AtLogin, "the page %q asks for a user", p.Title)
		return true
	}
	if why := w.careless(p, f); why != "" {
		w.end(Lost, "%s", why)
		return true
	}
	values := f.Values()
	again := w.enterPassword(f, &values)
	if in := f.OneTime(); in != nil && f.Password() == nil {
		again = again || w.codes > 0
		if why := w.enterCode(p, in, &values); why != "" {
			w.end(Refused, "%s", why)
			return true
		}
	}
	if again {
		w.end(Refused, "the login page came again: %q", Shorten(p.Text))
		return true
	}
	pressed := f.Submitter()
	if pressed.Name != "" {
		values.Add(pressed.Name, pressed.Value)
	}
	w.out.SignedIn = true
	w.submit(p, f.pressed(pressed), values)
	return false
}

// enterPassword enters the name and the password if the page asks for them, and reports whether it asked before.
func (w *walk) enterPassword(f *Form, values *oauth.Form) (again bool) {
	if in := f.User(); in != nil {
		again = w.names > 1
		w.names++
		w.out.Named = true
		values.Set(in.Name, w.User.Name)
	}
	if in := f.Password(); in != nil {
		again = again || w.words > 0
		w.words++
		w.out.Typed = true
		values.Set(in.Name, w.User.Password)
	}
	return again
}

// enterCode enters the code of the second factor, or says why there is none.
func (w *walk) enterCode(p *Page, in *Input, values *oauth.Form) (why string) {
	if w.User.OneTime == "" {
		return fmt.Sprintf("the page %q asks for a second factor, and the user has none here", p.Title)
	}
	code, err := oneTimeCode(w.User.OneTime, time.Now())
	if err != nil {
		return fmt.Sprintf("the secret of the second factor cannot be used: %v", err)
	}
	w.codes++
	w.Secrets.Add("one_time_code", in.Name+"="+code)
	values.Set(in.Name, code)
	return ""
}

func (w *walk) consent(p *Page, f *Form, b Input) bool {
	if w.route.Decision == Leave {
		w.end(AtConsent, "")
		return true
	}
	if w.decided++; w.decided > 3 {
		w.end(Lost, "the consent page came again: %s", Shorten(p.Text))
		return true
	}
	if w.route.Decision == Deny {
		form, button, link, ok := p.Denial()
		if !ok {
			w.end(AtConsent, "the consent page offers no way to deny")
			return true
		}
		if link != "" {
			w.out.Consented = true
			w.req = wire.Request{Method: "GET", URL: link}
			return false
		}
		f, b = form, button
	}
	values := f.Values()
	if w.route.Decision == Approve {
		for _, in := range f.Tick(w.scopes) {
			values.Add(in.Name, in.Value)
		}
	}
	if b.Name != "" {
		values.Add(b.Name, b.Value)
	}
	w.out.Consented = true
	w.submit(p, f.pressed(b), values)
	return false
}

func (w *walk) submit(p *Page, f *Form, values oauth.Form) {
	if w.route.Submit != nil {
		w.route.Submit(p, f, &values)
	}
	w.req, w.carries = Submission(p, f, values), true
}

// lineBreaks converts line breaks to the form in which browsers send them: parsing has changed each to LF (HTML, constructing the entry
// list).
var lineBreaks = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n")

// Submission returns the request that sends a form with these values.
func Submission(p *Page, f *Form, values oauth.Form) wire.Request {
	values = slices.Clone(values)
	for i, v := range values {
		values[i].Value = lineBreaks.Replace(v.Value)
	}
	if f.Method == "GET" {
		bare, _, _ := strings.Cut(f.Action, "?")
		return wire.Request{Method: "GET", URL: bare + "?" + values.Encode()}
	}
	origin := p.URL.Scheme + "://" + p.URL.Host
	return wire.Request{Method: "POST", URL: f.Action, Body: values.Encode(), Header: []reports.Field{
		{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Origin", Value: origin},
		{Name: "Referer", Value: origin + p.URL.Path},
	}}
}
