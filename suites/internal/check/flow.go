package check

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Edit changes an ordinary request before it is sent.
type Edit func(*draft)

type draft struct {
	t        *T
	atToken  []Edit // of the token request of a CodeFlow
	client   *oauth.Client
	user     int
	who      *login.User // an unknown user, who ignores limits
	signedIn bool        // send the cookies of the first login
	nobody   bool
	pair     oauth.PKCE
	route    login.Route
	jar      *login.Jar
	changes  []func(*oauth.Form)
	header   []reports.Field
	atServer []reports.Field
	identify bool
	raw      string
	judged   bool // the check judges a missing answer itself
	posted   bool // send the authorization request as a form
	plain    bool // do not push the authorization request, even if the server requires that
}

func change(f func(*oauth.Form)) Edit {
	return func(d *draft) { d.changes = append(d.changes, f) }
}

// With sets a parameter.
func With(name, value string) Edit { return change(func(f *oauth.Form) { f.Set(name, value) }) }

// Also adds a second value of a parameter.
func Also(name, value string) Edit { return change(func(f *oauth.Form) { f.Add(name, value) }) }

// Before adds a value of a parameter before the existing one.
func Before(name, value string) Edit {
	return change(func(f *oauth.Form) { *f = append(oauth.Form{{Name: name, Value: value}}, *f...) })
}

// Without removes parameters.
func Without(names ...string) Edit {
	return change(func(f *oauth.Form) {
		for _, n := range names {
			f.Del(n)
		}
	})
}

// Instead replaces all parameters of an ordinary request.
func Instead(f oauth.Form) Edit {
	return change(func(whole *oauth.Form) { *whole = slices.Clone(f) })
}

// Scope requests scopes.
func Scope(scopes ...string) Edit { return With("scope", strings.Join(scopes, " ")) }

// As sends the request as another client than the shared public one.
func As(c *oauth.Client) Edit { return func(d *draft) { d.client = c } }

// Stranger sends the request with the identifier of an unregistered client.
func Stranger() Edit {
	return func(d *draft) {
		d.client = &oauth.Client{ID: "mcpauth-unknown-" + Random(9), Method: oauth.None, RedirectURI: "http://127.0.0.1:8765/callback"}
	}
}

// By signs in as the n-th user, from 0.
func By(n int) Edit { return func(d *draft) { d.user = n } }

// Pair uses this code verifier and challenge instead of new ones.
func Pair(p oauth.PKCE) Edit { return func(d *draft) { d.pair = p } }

// SignedOut starts without the cookies of the first login.
func SignedOut() Edit { return func(d *draft) { d.signedIn = false } }

// Nobody starts without cookies, and signs no user in.
func Nobody() Edit { return func(d *draft) { d.signedIn, d.nobody = false, true } }

// Denying denies on the consent page.
func Denying() Edit { return func(d *draft) { d.route.Decision = login.Deny } }

// Leaving stops at the consent page.
func Leaving() Edit { return func(d *draft) { d.route.Decision = login.Leave } }

// StoppingAtLogin stops at the login page.
func StoppingAtLogin() Edit { return func(d *draft) { d.route.StopAtLogin = true } }

// StoppingAtPassword stops at the page that asks for the password.
func StoppingAtPassword() Edit { return func(d *draft) { d.route.StopAtPassword = true } }

// InJar keeps the cookies in a separate jar.
func InJar(j *login.Jar) Edit { return func(d *draft) { d.jar = j } }

// Posted sends the authorization request as a form.
func Posted() Edit { return func(d *draft) { d.posted = true } }

// Unpushed sends the authorization request directly, even if the server requires pushed requests.
func Unpushed() Edit { return func(d *draft) { d.plain = true } }

// AnswersAt expects the answer at an address, whatever redirect_uri the request has.
func AnswersAt(uri string) Edit { return func(d *draft) { d.route.RedirectURI = uri } }

// Submitting changes the values that are sent from a page.
func Submitting(f func(p *login.Page, form *login.Form, values *oauth.Form)) Edit {
	return func(d *draft) { d.route.Submit = f }
}

// EvenUnanswered lets the check judge a request without an answer, which otherwise ends the check undecided.
func EvenUnanswered() Edit { return func(d *draft) { d.judged = true } }

// Unidentified sends a token request without client identification.
func Unidentified() Edit { return func(d *draft) { d.identify = false } }

// Header adds a header field.
func Header(f reports.Field) Edit { return func(d *draft) { d.header = append(d.header, f) } }

// HeaderAtServer adds a header field to requests at the origin of the authorization endpoint, and at no other provider.
func HeaderAtServer(f reports.Field) Edit {
	return func(d *draft) { d.atServer = append(d.atServer, f) }
}

// Raw appends bytes to the encoded parameters.
func Raw(s string) Edit { return func(d *draft) { d.raw += s } }

// Grant is an authorization request and where it ended.
type Grant struct {
	*login.Outcome
	Client      *oauth.Client
	Pair        oauth.PKCE
	Request     oauth.Form
	RedirectURI string
	Jar         *login.Jar
	User        int
	URL         string
}

// Code returns the authorization code, or "".
func (g *Grant) Code() string { return g.Params.Get("code") }

// Error returns the error code that the client got, at its redirect URI or for a pushed request, or "".
func (g *Grant) Error() string { return cmp.Or(g.Params.Get("error"), g.PushError) }

// Answer returns all values of a parameter of the answer: in the query, a form, or the fragment, depending on the response type and the
// response mode (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1).
func (g *Grant) Answer(name string) []string {
	return slices.Concat(g.Params[name], g.InFragment[name])
}

// Redirected returns the address to which the browser was sent with an answer or an error, if it is the requested or an attacker's one;
// else "".
func (g *Grant) Redirected() string {
	wanted, err := url.Parse(g.RedirectURI)
	switch {
	case g.Stage == login.Answered && g.Location == "":
		return g.RedirectURI
	case g.Stage == login.Answered, strings.Contains(g.Location, nearmiss.Attacker):
		return g.Location
	case g.Stage == login.Elsewhere && err == nil && wanted.Host != "" && strings.Contains(g.Location, wanted.Hostname()):
		return g.Location
	}
	return ""
}

// Describe says where the request ended.
func (g *Grant) Describe() string {
	switch {
	case g.Stage != login.Answered:
		return ended(g.Stage, g.Why)
	case g.Error() != "":
		return fmt.Sprintf("the client gets error=%s", g.Error())
	case g.Code() != "":
		return "the client gets a code"
	}
	return "the client gets an answer without code and without error"
}

// ended says on which page a request ended, and why.
func ended(at login.Stage, why string) string {
	if why == "" {
		return fmt.Sprintf("the request ended %s", at)
	}
	return fmt.Sprintf("the request ended %s: %s", at, why)
}

// Evidence returns the exchange that shows where the request ended.
func (g *Grant) Evidence() *reports.Exchange { return g.Exchange }

// IssuesToken reports whether the client gets an access token without a token request.
func (g *Grant) IssuesToken() bool { return len(g.Answer("access_token")) > 0 }

// AsksUser reports whether the request ended at the consent page.
func (g *Grant) AsksUser() bool { return g.Stage == login.AtConsent }

// Undecided says why the server did not decide, and whether a login would help; empty if it did.
func (g *Grant) Undecided() (why string, untried bool) {
	if g.Barred {
		return g.Why, true
	}
	switch g.Stage {
	case login.AtLogin:
		return loginFirst, true
	case login.NeedsScript, login.Refused, login.Lost, login.Failed:
		return g.Describe(), false
	}
	if g.Stage == login.Answered || g.namesErrorInAddress() {
		return "", false
	}
	return expect.NoAnswer(g.Exchange), false
}

// namesErrorInAddress reports whether the server redirected the browser to an error page whose address names what is wrong with the
// request. No clause says which status this page has.
func (g *Grant) namesErrorInAddress() bool {
	if g.Stage != login.ErrorPage || len(g.Hops) == 0 || expect.Status(g.Exchange) < 500 {
		return false
	}
	u, err := document.ParseURL(g.Hops[len(g.Hops)-1].To)
	return err == nil && slices.Contains(refusals, u.Query().Get("error"))
}

// refusals are the errors that refuse a request, and do not say that the server failed (RFC 6749 sections 4.1.2.1 and 5.2).
var refusals = []string{
	"invalid_request", "invalid_client", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target",
}

// Server returns the authorization server that the checks use.
func (t AuthorizationServer) Server() *oauth.Server {
	if t.Session == nil {
		t.NotApplicable("no authorization server metadata was found (AS-META-PUBLISHED)")
	}
	if t.Session.Barred != "" && t.Session.Server.Token == "" {
		t.NotTested("%s", t.Session.Barred)
	}
	return &t.Session.Server
}

// Endpoint returns the address in a member of the server's metadata; empty if it is missing. It ends the check if the endpoint must not get
// secrets.
func (t AuthorizationServer) Endpoint(name string) string {
	s := t.Server()
	if why := s.WhyWithheld(name); why != "" {
		t.NotTested("%s", why)
	}
	return s.Endpoint(name)
}

// sharedClient returns one of the clients that checks share.
func (t AuthorizationServer) sharedClient(kind string) *oauth.Client {
	t.Server()
	c, why := t.Session.Client(t.ctx, kind)
	if c == nil && t.Session.Unanswered(why) {
		t.Inconclusive("%s", why)
	}
	if c == nil {
		t.NotTested("%s", why)
	}
	return c
}

// PublicClient returns the shared public client; SecondClient another one; ConfidentialClient one with a secret.
func (t AuthorizationServer) PublicClient() *oauth.Client { return t.sharedClient(session.Public) }
func (t AuthorizationServer) SecondClient() *oauth.Client {
	second := t.sharedClient(session.Second)
	if first, _ := t.Session.Client(t.ctx, session.Public); first != nil && first.ID == second.ID {
		t.NotTested("there is no second client: two registrations get the client_id %s (AS-DCR-IDS-UNIQUE-RANDOM)", first.ID)
	}
	return second
}

func (t AuthorizationServer) ConfidentialClient() *oauth.Client {
	return t.sharedClient(session.Confidential)
}

// SecretMethod returns how clients with a secret authenticate here.
func (t AuthorizationServer) SecretMethod() string { return t.Session.SecretMethod(t.ctx) }

// AnyClient returns the shared public client, or the confidential one if there is no public client.
func (t AuthorizationServer) AnyClient() *oauth.Client {
	t.Server()
	if c, _ := t.Session.Client(t.ctx, session.Public); c != nil {
		return c
	}
	return t.sharedClient(session.Confidential)
}

// ClientMetadata returns the metadata of an ordinary public client, with the id of the check in its name.
func (t AuthorizationServer) ClientMetadata() map[string]any {
	m := t.Session.Metadata(oauth.None)
	m["client_name"] = t.ClientName(" (" + t.id + ")")
	if t.Client.Neutral() { // without the id of the check
		m["client_name"] = t.ClientName(fmt.Sprintf(" %08x", crc32.ChecksumIEEE([]byte(t.id))))
	}
	return m
}

// ClientName returns a name for a client to register.
func (t AuthorizationServer) ClientName(more string) string { return t.Client.Name() + more }

// Register registers a client for this check, with changes to its metadata (nil removes a member). The client is nil if the server refuses,
// or has no registration endpoint, or if the user does not permit registrations.
func (t AuthorizationServer) Register(changes map[string]any) (*oauth.Client, *reports.Exchange) {
	if t.Server().Registration == "" || !t.Session.Register {
		return nil, nil
	}
	m := t.ClientMetadata()
	if uris, ok := changes["redirect_uris"].([]string); ok &&
		!slices.ContainsFunc(uris, func(u string) bool { return strings.HasPrefix(u, "http://") }) {
		delete(m, "application_type")
	}
	for k, v := range changes {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	return t.Session.NewClient(t.Do, m)
}

// MustRegister is Register, and ends the check if the server refuses.
func (t AuthorizationServer) MustRegister(changes map[string]any) *oauth.Client {
	c, ex := t.Register(changes)
	if c == nil {
		t.Inconclusive("a client could not be registered: %s", expect.Describe(ex))
	}
	return c
}

func (t AuthorizationServer) draft(edits []Edit) *draft {
	d := &draft{t: t.T, signedIn: true, identify: true}
	for _, e := range edits {
		e(d)
	}
	if d.pair == (oauth.PKCE{}) {
		d.pair = oauth.NewPKCE(43)
	}
	return d
}

// Authorize sends an authorization request of the shared public client, and follows the pages. If no answer comes because the browser or
// the network fails, the check ends undecided: that is not evidence about the server.
func (t AuthorizationServer) Authorize(edits ...Edit) *Grant {
	t.Server()
	d := t.draft(edits)
	g := t.authorize(d)
	if d.who == nil && !d.judged { // the checks on login limits judge a missing answer
		t.mustBeAnswered(g.Outcome)
	}
	return g
}

// mustBeAnswered ends the check if a request in a browser got no answer.
func (t *T) mustBeAnswered(o *login.Outcome) {
	if t.ctx.Err() != nil {
		t.timeIsOver()
	}
	if o.Stage == login.Failed {
		t.Inconclusive("%s", ended(o.Stage, o.Why))
	}
}

// Continue sends a request in a browser, and follows the pages as far as possible. Like Authorize, it needs an answer.
func (t Pages) Continue(agent *login.Agent, req wire.Request, r login.Route) *login.Outcome {
	o := agent.Continue(req, r)
	t.mustBeAnswered(o)
	return o
}

func (t AuthorizationServer) authorize(d *draft) *Grant {
	if d.client == nil {
		d.client = t.AnyClient()
	}
	t.Secrets.Add("code_verifier", d.pair.Verifier)
	f := t.Session.Request(d.client, d.pair)
	for _, c := range d.changes {
		c(&f)
	}
	agent, giveBack := t.agentOf(d)
	defer giveBack()
	d.route.RedirectURI = cmp.Or(d.route.RedirectURI, f.Get("redirect_uri"), d.client.RedirectURI)
	start := oauth.AtQuery(t.Server().Authorization, f) + d.raw
	g := &Grant{Client: d.client, Pair: d.pair, Request: f, RedirectURI: d.route.RedirectURI, Jar: agent.Jar, User: d.user, URL: start}
	if d.posted {
		g.Outcome = t.post(agent, d, f)
	} else {
		g.Outcome = t.Session.Carry(t.ctx, agent, start, d.route, false)
	}
	t.keepBrowsed(g)
	return g
}

// post sends an authorization request as a form. Plain forms follow it, so where the login page needs scripts, an ordinary request signs
// the user in first.
func (t AuthorizationServer) post(agent *login.Agent, d *draft, f oauth.Form) *login.Outcome {
	agent.May = t.Session.May
	request := wire.Request{Method: "POST", URL: t.Server().Authorization, Body: f.Encode(), Header: []reports.Field{
		mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "text/html"),
	}}
	o := agent.Continue(request, d.route)
	if o.Stage == login.NeedsScript && d.signedIn && t.Session.Driver != nil {
		ordinary := oauth.AtQuery(t.Server().Authorization, t.Session.Request(d.client, d.pair))
		t.Session.Carry(t.ctx, agent, ordinary, login.Route{RedirectURI: d.client.RedirectURI, Decision: login.Leave}, false)
		o = agent.Continue(request, d.route)
	}
	return o
}

// agentOf returns the browser for a draft; giveBack returns borrowed objects.
func (t AuthorizationServer) agentOf(d *draft) (agent *login.Agent, giveBack func()) {
	who := t.Session.Identity(d.user)
	agent, giveBack = &login.Agent{Jar: d.jar, User: who.User, Secrets: t.Secrets, Send: t.Do}, func() {}
	agent.Record = func(ex *reports.Exchange) { t.browsed(ex) }
	switch {
	case agent.Jar == nil && d.signedIn:
		agent.Jar = who.Borrow(t.ctx)
		giveBack = func() { who.Return(agent.Jar) }
	case agent.Jar == nil:
		agent.Jar = login.NewJar()
	}
	t.adjust(agent, d)
	if !d.plain && !d.posted {
		if why := t.Session.CannotPush(); why != "" {
			giveBack()
			t.NotTested("%s", why)
		}
		agent.Push = t.Session.Pushing(d.client, agent.Send)
	}
	return agent, giveBack
}

// adjust makes the browser of a draft that of another user, or of nobody, and adds header fields.
func (t AuthorizationServer) adjust(agent *login.Agent, d *draft) {
	switch {
	case d.nobody:
		agent.User = nil
	case d.who != nil:
		t.Secrets.Add("password", d.who.Password)
		agent.User, agent.Send = d.who, t.IgnoringLimits
	}
	for _, h := range d.header {
		agent.Send = withField(agent.Send, h)
	}
	for _, h := range d.atServer {
		anywhere, with := agent.Send, withField(agent.Send, h)
		agent.Send = func(r wire.Request) *reports.Exchange {
			if document.SameOrigin(r.URL, t.Server().Authorization) {
				return with(r)
			}
			return anywhere(r)
		}
	}
}

// keepBrowsed adds the requests of a browser to the check's evidence.
func (t AuthorizationServer) keepBrowsed(g *Grant) {
	t.browser.Lock()
	t.transcript = append(t.transcript, t.inBrowser...)
	t.inBrowser = nil
	t.browser.Unlock()
	if g.Exchange == nil || g.Stage == login.Failed { // the last request of a failed browser is not an answer
		g.Exchange = &reports.Exchange{Number: t.World.Client.Number(), Check: t.id, Request: reports.Request{Method: "GET", URL: g.URL},
			Error: g.Why}
		t.transcript = append(t.transcript, g.Exchange)
	}
}

// browsed records the requests of a browser for the check.
func (t *T) browsed(ex *reports.Exchange) {
	t.browser.Lock()
	defer t.browser.Unlock()
	ex.Check = t.id
	t.inBrowser = append(t.inBrowser, ex)
}

func withField(send func(wire.Request) *reports.Exchange, f reports.Field) func(wire.Request) *reports.Exchange {
	return func(r wire.Request) *reports.Exchange {
		r.Header = append(slices.Clone(r.Header), f)
		return send(r)
	}
}

const loginFirst = "the authorization server shows its login page first; what it decides is seen only after a login (--username)"

// MustReachDecision ends the check if the pages stopped the request before the server had to decide.
func (t AuthorizationServer) MustReachDecision(g *Grant) *Grant {
	if g.Barred {
		t.NotTested("%s", g.Why)
	}
	switch g.Stage {
	case login.AtLogin:
		t.NotTested("%s", loginFirst)
	case login.NeedsScript, login.Refused, login.Lost, login.Failed:
		t.Inconclusive("%s", g.Describe())
	}
	return g
}

// Stopped reports whether the server stopped a request before login, consent and code: with an error page, or with an answer without a
// code. An unknown page ends the check undecided.
func (t AuthorizationServer) Stopped(g *Grant) bool {
	if g.Stage == login.Lost || g.Stage == login.Failed {
		t.Inconclusive("%s", g.Describe())
	}
	return g.Stage == login.ErrorPage || g.Stage == login.Answered && g.Code() == ""
}

// MustAuthorize is Authorize that must yield a code; anything else ends the check undecided.
func (t AuthorizationServer) MustAuthorize(edits ...Edit) *Grant {
	t.Server()
	g := t.authorize(t.draft(edits))
	switch g.Stage {
	case login.ErrorPage, login.Lost, login.Failed: // the server may have forgotten the first login
		g = t.Authorize(append(slices.Clone(edits), SignedOut())...)
	}
	t.MustReachDecision(g)
	if g.Code() == "" {
		t.Inconclusive("an ordinary authorization request gives no code: %s", g.Describe())
	}
	return g
}

// Push pushes an ordinary authorization request, with edits, to an endpoint (RFC 9126 section 2.1).
func (t AuthorizationServer) Push(endpoint string, c *oauth.Client, pair oauth.PKCE, edits ...Edit) *reports.Exchange {
	d := t.draft(edits)
	if d.client == nil {
		d.client = c
	}
	f := t.Session.Request(c, pair)
	r := t.tokenRequest(d, f)
	r.URL = endpoint
	return t.Do(r)
}

// Redeem sends the token request for a grant.
func (t AuthorizationServer) Redeem(g *Grant, edits ...Edit) *reports.Exchange {
	return t.Do(t.BuildRedeem(g, edits...))
}

// BuildRedeem returns the token request for a grant.
func (t AuthorizationServer) BuildRedeem(g *Grant, edits ...Edit) wire.Request {
	d := t.draft(edits)
	if d.client == nil {
		d.client = g.Client
	}
	f := t.Session.Redemption(d.client, g.Code(), g.Pair)
	f.Set("redirect_uri", g.RedirectURI)
	return t.tokenRequest(d, f)
}

func (t AuthorizationServer) tokenRequest(d *draft, f oauth.Form) wire.Request {
	var fields []reports.Field
	if d.identify {
		fields = d.client.Authenticate(&f)
	}
	for _, c := range d.changes {
		c(&f)
	}
	for _, p := range f {
		if (p.Name == "code_verifier" || p.Name == "client_secret") && len(p.Value) > tellsNothing { // known already
			t.Secrets.Add(p.Name, p.Value)
		}
	}
	r := oauth.Request(t.Server().Token, f, append(fields, d.header...)...)
	r.Body += d.raw
	return r
}

// TokenRequest sends a token request that consists of edits, identified as the given client.
func (t AuthorizationServer) TokenRequest(c *oauth.Client, edits ...Edit) *reports.Exchange {
	d := t.draft(edits)
	if d.client == nil {
		d.client = c
	}
	return t.Do(t.tokenRequest(d, nil))
}

// BuildTokenRequest returns the request of TokenRequest.
func (t AuthorizationServer) BuildTokenRequest(c *oauth.Client, edits ...Edit) wire.Request {
	d := t.draft(edits)
	d.client = c
	t.Secrets.Add("client_secret", c.Secret)
	return t.tokenRequest(d, nil)
}

// AuthorizeAs is Authorize in a new browser of an unknown user, ignoring the target's limits.
func (t AuthorizationServer) AuthorizeAs(u *login.User, edits ...Edit) *Grant {
	return t.Authorize(append([]Edit{func(d *draft) { d.who, d.signedIn = u, false }}, edits...)...)
}

// Tokens reads a token response, and keeps its secrets out of reports. Nil if it is not one.
func (t AuthorizationServer) Tokens(ex *reports.Exchange, c *oauth.Client) *oauth.Tokens {
	tokens := oauth.ReadTokens(ex)
	if tokens != nil {
		tokens.Client = c
		t.Session.Remember(tokens)
	}
	return tokens
}

// MustGetTokens completes an ordinary flow, with edits of the authorization request; a failure ends the check undecided. After a server
// error it tries a second flow, because a server may fail now and then.
func (t AuthorizationServer) MustGetTokens(edits ...Edit) *oauth.Tokens {
	return t.mustBeTokens(t.ordinaryFlow(edits))
}

// ordinaryFlow redeems a new code, and another one if that fails for a reason outside of the flow.
func (t AuthorizationServer) ordinaryFlow(edits []Edit) (*Grant, *reports.Exchange) {
	g := t.MustAuthorize(edits...)
	ex := t.Redeem(g)
	switch {
	case oauth.ErrorCode(ex) == "invalid_grant": // another check may have ended this browser's login
		g = t.MustAuthorize(append(slices.Clone(edits), SignedOut())...)
	case failure(ex) == requirements.ServerError:
		g = t.MustAuthorize(edits...)
	default:
		return g, ex
	}
	return g, t.Redeem(g)
}

// MustRedeem redeems the code of a grant; a failure ends the check undecided.
func (t AuthorizationServer) MustRedeem(g *Grant) *oauth.Tokens {
	return t.mustBeTokens(g, t.Redeem(g))
}

func (t AuthorizationServer) mustBeTokens(g *Grant, ex *reports.Exchange) *oauth.Tokens {
	tokens := t.Tokens(ex, g.Client)
	if tokens == nil {
		t.Inconclusive("an ordinary code could not be redeemed: %s", expect.Describe(ex))
	}
	if why := tokens.TooLong(); why != "" {
		t.Inconclusive("%s", why)
	}
	t.controlledBy(ex, expect.IssueTokens())
	return tokens
}

// SharedTokens returns the tokens of the run's first flow, for checks that only inspect them.
func (t AuthorizationServer) SharedTokens() *oauth.Tokens {
	t.Cite(t.Session.Tokens.Exchange)
	t.controlledBy(t.Session.Tokens.Exchange, expect.IssueTokens())
	return t.Session.Tokens
}

// RefreshMustWork ends the check if an ordinary refresh fails, because the refusal of a refresh token then proves nothing. The first answer
// counts for all checks. If a check gets none for its own reason, another check tries. If the shared client gets no refresh token, a client
// in the edits may; if that gets none either, the check does not apply.
func (t AuthorizationServer) RefreshMustWork(edits ...Edit) {
	why := t.unrefreshed.Load()
	if why == nil {
		found := t.whyUnrefreshed()
		t.unrefreshed.CompareAndSwap(nil, &found)
		why = t.unrefreshed.Load()
	}
	reason := *why
	if c := t.draft(edits).client; reason == noRefreshToken && c != nil && !c.Public() {
		reason = Once(t.T, "an ordinary refresh of "+c.ID, func() string { return t.whyUnrefreshed(As(c)) })
	}
	switch reason {
	case "":
	case noRefreshToken:
		t.NotApplicable("the authorization server issues no refresh token to clients as these")
	default:
		t.Inconclusive("%s", reason)
	}
}

const noRefreshToken = "an ordinary flow returned no refresh token"

// Refresher returns the client that gets refresh tokens: the shared one, or one with a secret where only such clients get any.
func (t AuthorizationServer) Refresher() *oauth.Client {
	return cmp.Or(t.refresher(), t.AnyClient())
}

// refresher is Refresher, or nil if no client gets a refresh token.
func (t AuthorizationServer) refresher() *oauth.Client {
	c := t.AnyClient()
	if s := t.Session; s.Offline || s.Tokens != nil && s.Tokens.Refresh != "" {
		return c
	}
	return Once(t.T, "the client that refreshes", func() *oauth.Client {
		for _, c := range []*oauth.Client{c, t.Confidential()} {
			if c != nil && t.whyUnrefreshed(As(c)) != noRefreshToken {
				return c
			}
		}
		return nil
	})
}

// whyUnrefreshed says why an ordinary refresh fails; empty if it works. It ends the check if no flow completes.
func (t AuthorizationServer) whyUnrefreshed(edits ...Edit) string {
	tokens := t.MustGetTokens(append(edits, t.ForRefresh())...)
	if tokens.Refresh == "" {
		return noRefreshToken
	}
	ex := t.ordinaryRefresh(tokens, edits)
	if t.Tokens(ex, tokens.Client) == nil {
		return "an ordinary refresh fails (AS-REFRESH-WORKS): " + expect.Describe(ex)
	}
	return ""
}

// ordinaryRefresh uses a new refresh token, and that of another flow with the same edits if the grant has ended: another check may have
// ended this browser's login.
func (t AuthorizationServer) ordinaryRefresh(tokens *oauth.Tokens, edits []Edit) *reports.Exchange {
	ex := t.Refresh(tokens)
	if oauth.ErrorCode(ex) != "invalid_grant" {
		return ex
	}
	again := t.MustGetTokens(append(slices.Clone(edits), t.ForRefresh(), As(tokens.Client), SignedOut())...)
	if again.Refresh == "" {
		return ex
	}
	return t.Refresh(again)
}

// MustGetRefreshToken is MustGetTokens with a refresh token in the response, at a server where refreshing works.
func (t AuthorizationServer) MustGetRefreshToken(edits ...Edit) *oauth.Tokens {
	if t.draft(edits).client == nil {
		edits = append(slices.Clone(edits), As(t.Refresher()))
	}
	t.RefreshMustWork(edits...)
	tokens := t.MustGetTokens(append(slices.Clone(edits), t.ForRefresh())...)
	if tokens.Refresh == "" {
		t.Inconclusive("this flow returned no refresh token, though an earlier one did")
	}
	return tokens
}

// ForRefresh adds what the server requires for a refresh token, if that is more than an ordinary request.
func (t AuthorizationServer) ForRefresh() Edit {
	switch {
	case t.Session == nil:
		return Unchanged
	case t.Session.Offline:
		return change(session.ForOffline)
	case slices.Contains(t.Session.RequestedScopes(), session.OfflineAccess):
		return change(session.KeepOffline)
	}
	return Unchanged
}

// Refresh sends a refresh request.
func (t AuthorizationServer) Refresh(tokens *oauth.Tokens, edits ...Edit) *reports.Exchange {
	return t.Do(t.BuildRefresh(tokens, edits...))
}

// BuildRefresh returns the request that uses a refresh token.
func (t AuthorizationServer) BuildRefresh(tokens *oauth.Tokens, edits ...Edit) wire.Request {
	d := t.draft(edits)
	if d.client == nil {
		d.client = tokens.Client
	}
	var f oauth.Form
	f.Set("grant_type", "refresh_token")
	f.Set("refresh_token", tokens.Refresh)
	if t.Session.SendResource {
		f.Set("resource", t.Session.Resource)
	}
	return t.tokenRequest(d, f)
}

// MustRefresh refreshes, and ends the check if that fails.
func (t AuthorizationServer) MustRefresh(tokens *oauth.Tokens, edits ...Edit) *oauth.Tokens {
	ex := t.Refresh(tokens, edits...)
	next := t.Tokens(ex, tokens.Client)
	if next == nil {
		t.Inconclusive("an ordinary refresh fails (AS-REFRESH-WORKS): %s", expect.Describe(ex))
	}
	if next.Refresh == "" {
		next.Refresh = tokens.Refresh
	}
	return next
}

// Revoke sends a revocation request, identified as the client of the tokens unless edited.
func (t AuthorizationServer) Revoke(tokens *oauth.Tokens, token string, edits ...Edit) *reports.Exchange {
	return t.tokenQuestion(t.Server().Revocation, tokens.Client, token, edits)
}

// EndsWithRefresh revokes the refresh token of a grant, and reports whether the MCP server, which has served its access token, refuses that
// at once.
func (t AuthorizationServer) EndsWithRefresh(tokens *oauth.Tokens) bool {
	if t.Server().Revocation == "" || tokens.Refresh == "" || !t.MCP.Works(tokens) {
		return false
	}
	return expect.Confirmed(t.Revoke(tokens, tokens.Refresh)) && t.MCP.Refuses(tokens.Access)
}

// Introspect introspects a token as the given client.
func (t AuthorizationServer) Introspect(c *oauth.Client, token string, edits ...Edit) *reports.Exchange {
	return t.tokenQuestion(t.Server().Introspection, c, token, edits)
}

func (t AuthorizationServer) tokenQuestion(endpoint string, c *oauth.Client, token string, edits []Edit) *reports.Exchange {
	d := t.draft(edits)
	if d.client == nil {
		d.client = c
	}
	var f oauth.Form
	f.Set("token", token)
	r := t.tokenRequest(d, f)
	r.URL = endpoint
	return t.Do(r)
}

// Use sends the protected request with a token.
func (t MCPServer) Use(token string) *reports.Exchange {
	return t.Send(t.Call().With(mcp.Bearer(token)))
}

// Now returns the time of the target's clock, by the Date field of its answers. The duration of an answer does not count as a difference.
func (t MCPServer) Now() time.Time {
	ahead := Once(t.T, "how far the target's clock is ahead", func() time.Duration {
		ex := t.Send(t.Call())
		date, ok := expect.Date(ex)
		if ahead := date.Sub(ex.Started); ok && ahead.Abs() > 5*time.Second {
			return ahead
		}
		return 0
	})
	return time.Now().Add(ahead)
}

// Served reports whether the protected request got past authorization.
func (t MCPServer) Served(ex *reports.Exchange) bool { return t.Survey.Served(t.wire(), ex) }

// GotPast reports whether an odd form of the protected request got past authorization. Another complaint than that about its tool shows
// nothing: the server may have it before it looks at the caller.
func (t MCPServer) GotPast(ex *reports.Exchange) bool {
	return expect.Accepted(ex) || t.Survey.AsksForUnknownTool(t.wire()) && expect.LooksUpTool(ex)
}

// Works reports whether the MCP endpoint accepts a token; false if it serves everybody.
func (t MCPServer) Works(tokens *oauth.Tokens) bool {
	return !t.open(t.wire()) && t.Served(t.Use(tokens.Access))
}

// MustBeGuarded ends the check if the MCP endpoint serves everybody, because tokens then show nothing.
func (t MCPServer) MustBeGuarded() {
	if t.open(t.wire()) {
		t.Unguarded(t.Survey.Refused[t.wire()])
	}
}

// MustWork ends the check if a token does not work; why says what cannot be tested then.
func (t MCPServer) MustWork(tokens *oauth.Tokens, why string) {
	t.MustBeGuarded()
	if !t.Works(tokens) {
		t.Inconclusive("%s", why)
	}
}

// Refuses reports whether the MCP endpoint refuses a token.
func (t MCPServer) Refuses(token string) bool {
	ex := t.Use(token)
	return expect.Status(ex) >= 400 && expect.Status(ex) < 500 || t.RefusedInside(ex)
}

// UntilRefused waits for the refusal of a token, for the user's patience (Config.Patience).
func (t MCPServer) UntilRefused(token string) (last *reports.Exchange, dead bool) {
	deadline := time.Now().Add(t.Patience)
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		if last = t.Use(token); expect.Status(last) >= 400 && expect.Status(last) < 500 || t.RefusedInside(last) {
			return last, true
		}
		if rest := time.Until(deadline); rest <= 0 {
			if !t.Served(last) {
				t.Inconclusive("the token is neither served nor refused: %s", expect.Describe(last))
			}
			return last, false
		} else if wait > rest {
			wait = rest
		}
		t.idle(wait)
		if t.ctx.Err() != nil { // the token was not tried for as long as the user wants
			t.timeIsOver()
		}
	}
}

// citeFirstFlow makes the run's first flow the control of a refusal.
func (t *T) citeFirstFlow(refused bool) {
	if refused && t.Session != nil && t.Session.Ready {
		t.controlledBy(t.Cite(t.Session.Tokens.Exchange), expect.IssueTokens())
	}
}

// Sorted iterates over a table in the order of its names, so that runs agree.
func Sorted[V any](table map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !yield(name, table[name]) {
				return
			}
		}
	}
}

// Subject returns the user of a token: by its claims, the ID token, userinfo, introspection, or what the declared tool says about its
// caller; empty if none of these names one.
func (t AuthorizationServer) Subject(tokens *oauth.Tokens) string {
	if tokens == nil {
		return ""
	}
	for _, jwt := range []string{tokens.Access, tokens.ID} {
		if _, claims := oauth.Claims(jwt); claims.String("sub") != "" {
			return claims.String("sub")
		}
	}
	if t.Server().Userinfo != "" {
		if sub := oauth.Object(t.Get(t.Server().Userinfo, mcp.Bearer(tokens.Access))).String("sub"); sub != "" {
			return sub
		}
	}
	if sub := t.Introspected(tokens).String("sub"); sub != "" {
		return sub
	}
	if tool, declared := t.MCP.WhoAmI(); declared {
		if ex := t.MCP.CallTool(tokens.Access, tool); expect.Ran(ex) {
			return strings.TrimSpace(Text(ex))
		}
	}
	return ""
}

// Listen opens a listener that counts requests of the target until the check ends.
func Listen(t *T) *listener.Listener {
	l, err := listener.OpenAt(seeded.Suites.Address())
	for tries := 1; err != nil && tries < 5; tries++ { // with a seed, another program may use the address
		l, err = listener.OpenAt(seeded.Suites.Address())
	}
	if err != nil {
		t.Inconclusive("no listener could be opened: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// Unchanged does not change the request.
func Unchanged(*draft) {}

// Context returns a context that ends with the check.
func (t *T) Context() context.Context { return t.ctx }

// Clients returns the existing shared clients: the public and the confidential one.
func (t AuthorizationServer) Clients() Cases[*oauth.Client] {
	var out Cases[*oauth.Client]
	for _, kind := range []string{session.Public, session.Confidential} {
		if c, _ := t.Session.Client(t.ctx, kind); c != nil {
			out = out.And(kind+" client", c)
		}
	}
	return out
}

// KindsOfClients returns Clients, and the client of a metadata document if its requests yield codes.
func (t AuthorizationServer) KindsOfClients() Cases[*oauth.Client] {
	out := t.Clients()
	if c := t.DocumentClient(); c != nil {
		out = out.And("client of a metadata document", c)
	}
	return out
}

// FurtherKinds returns clients of the kinds that a server may handle apart, and that get tokens: one that sends its secret in the body
// beside one with Basic, and one that authenticates with a key.
func (t AuthorizationServer) FurtherKinds() Cases[*oauth.Client] {
	var out Cases[*oauth.Client]
	post, _ := t.Session.Client(t.ctx, session.ConfidentialPost)
	listed := t.Lists("token_endpoint_auth_methods_supported", oauth.Post)
	if listed && post != nil && post.Method == oauth.Post && post != t.Confidential() && t.getsTokens(post) {
		out = out.And("client with client_secret_post", post)
	}
	if keyed := t.clientWithKey(); keyed != nil {
		out = out.And("client with a key", keyed)
	} else if t.Lists("token_endpoint_auth_methods_supported", oauth.PrivateKey) {
		Untried(t.T, "a client with a key", "one with a key, with which users sign in (client.clients in the target file)")
	}
	return out
}

// clientWithKey returns a declared client with a key with which users sign in, or one whose metadata document has a key; nil if none gets
// tokens.
func (t AuthorizationServer) clientWithKey() *oauth.Client {
	for i := range t.Session.Input.Clients {
		if c := &t.Session.Input.Clients[i]; c.Key != nil && c.SignsIn() && t.getsTokens(c) {
			return c
		}
	}
	if !t.takesDocuments() {
		return nil
	}
	c := t.documentClient(t.KeyForAssertions())
	for _, c.Audience = range []string{t.Server().Issuer, t.Server().Token} {
		if t.getsTokens(c) {
			return c
		}
	}
	return nil
}

// ClientWithKey returns a client with which users sign in and that authenticates with a key: a declared one, or one that registers itself;
// nil if there is none.
func (t AuthorizationServer) ClientWithKey() *oauth.Client {
	for i := range t.Session.Input.Clients {
		if c := &t.Session.Input.Clients[i]; c.Key != nil && c.SignsIn() {
			return c
		}
	}
	key := t.KeyForAssertions()
	c, _ := t.Register(map[string]any{"token_endpoint_auth_method": oauth.PrivateKey, "token_endpoint_auth_signing_alg": key.Algorithm(),
		"jwks": map[string]any{"keys": []any{key.JWK()}}})
	if c == nil || c.Method != oauth.PrivateKey {
		return nil
	}
	c.Key = key
	return c
}

// getsTokens reports whether a flow of a client ends with tokens.
func (t AuthorizationServer) getsTokens(c *oauth.Client) bool { return t.TokensIfAny(As(c)) != nil }

// TokensIfAny returns the tokens of a flow that no check needs; nil if it ends without, which leaves nothing undecided.
func (t AuthorizationServer) TokensIfAny(edits ...Edit) *oauth.Tokens {
	g := t.Authorize(append(slices.Clone(edits), EvenUnanswered())...)
	if g.Code() == "" {
		return nil
	}
	ex := t.Redeem(g)
	tokens := t.Tokens(ex, g.Client)
	if !expect.IssueTokens().Judge(ex).Met {
		return nil
	}
	return tokens
}

// KeyForAssertions is a key of an algorithm that the server lists.
func (t AuthorizationServer) KeyForAssertions() *mint.Key {
	listed, ok := t.Server().Metadata.Strings("token_endpoint_auth_signing_alg_values_supported")
	if ok && !slices.Contains(listed, "ES256") && slices.Contains(listed, "RS256") {
		return &mint.Key{ID: "mcpauth-1", Signer: mint.RSA()}
	}
	return mint.NewKey("mcpauth-1")
}

// DocumentClient returns a client with a metadata document; nil if the server does not accept any.
func (t AuthorizationServer) DocumentClient() *oauth.Client {
	if !t.takesDocuments() {
		return nil
	}
	c := t.documentClient(nil)
	if g := t.Authorize(As(c), EvenUnanswered()); g.Code() == "" {
		return nil
	}
	return c
}

// takesDocuments reports whether the server claims to accept metadata documents, and one can be served.
func (t AuthorizationServer) takesDocuments() bool {
	supported, _ := t.Server().Metadata.Bool("client_id_metadata_document_supported")
	return supported && t.Documents != nil
}

// documentClient publishes the metadata document of a client, with a key if that is not nil.
func (t AuthorizationServer) documentClient(key *mint.Key) *oauth.Client {
	page, uri := t.Documents.Put(documents.NotFound), t.AnyClient().RedirectURI
	metadata := map[string]any{"client_id": page.URL, "client_name": t.ClientName(" of a document"), "redirect_uris": []string{uri},
		"grant_types": []string{"authorization_code"}, "response_types": []string{"code"}, "token_endpoint_auth_method": oauth.None}
	c := &oauth.Client{ID: page.URL, Method: oauth.None, RedirectURI: uri, RedirectURIs: []string{uri}}
	if key != nil {
		c.Method, c.Key, c.Audience = oauth.PrivateKey, key, t.Server().Issuer
		metadata["token_endpoint_auth_method"], metadata["token_endpoint_auth_signing_alg"] = c.Method, key.Algorithm()
		metadata["jwks"] = map[string]any{"keys": []any{key.JWK()}}
	}
	body, _ := json.Marshal(metadata)
	page.Serve(documents.Answer{Type: "application/json", Body: string(body)})
	return c
}

// NoteDocuments notes that no client of a metadata document was tried, if the server accepts such clients and no document can be served.
func (t AuthorizationServer) NoteDocuments() {
	if supported, _ := t.Server().Metadata.Bool("client_id_metadata_document_supported"); supported && t.Documents == nil {
		const address = "an address of mcpauth that the authorization server can reach and trust (--cimd-listen)"
		Untried(t.T, "the client of a metadata document", address)
	}
}

// PushedOnly reports whether the server announces that it accepts only pushed authorization requests (RFC 9126 section 5).
func (t AuthorizationServer) PushedOnly() bool { return t.Session != nil && t.Session.PushesAll() }

// Confidential returns the shared confidential client, or nil.
func (t AuthorizationServer) Confidential() *oauth.Client {
	c, _ := t.Session.Client(t.ctx, session.Confidential)
	return c
}

// Last returns the last exchange.
func (t *T) Last() *reports.Exchange { return t.transcript[len(t.transcript)-1] }

// Transcript returns the exchanges of the check so far.
func (t *T) Transcript() []*reports.Exchange { return slices.Clone(t.transcript) }
