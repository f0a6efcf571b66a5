// Package session has what the checks of a run share as clients: the authorization server, the registered clients, and the users.
package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// Check is the name under which the session's own requests are recorded.
const Check = "login"

// Input is what the user has supplied and allowed.
type Input struct {
	Users []login.User
	// Sacrificial is a user whose account may be locked; nil without.
	Sacrificial *login.User
	Clients     []oauth.Client // registered by hand
	Scopes      []string       // to request; empty: the challenge's, then scopes_supported
	Register    bool           // clients may be registered
	Driver      login.Driver   // nil: plain forms
	// BrowserFirst uses the driver for the first login of a user, even if plain forms may be enough.
	BrowserFirst bool
	// Recipe, if set, is for pages that the driver does not understand.
	Recipe   *target.Recipe
	Resource string   // resource indicator, or empty
	Pool     []string // scopes that the target names
	Callback string   // redirect URI of registered clients
	Name     string   // of registered clients
	// May says why signing in at the host of an address is not allowed; empty if it is.
	May func(address string) string
	// InTurn sends requests in sequence.
	InTurn bool
	// Publish makes a public client with a client ID metadata document; nil if the server cannot fetch it.
	Publish func(metadata map[string]any) string
}

// Session is shared by all checks of a run. Its exported fields do not change after Begin.
type Session struct {
	Input
	Overlap
	Server oauth.Server

	// Ready says that a flow was completed; Why says why not.
	Ready bool
	Why   string
	// Tokens are those of the first flow.
	Tokens *oauth.Tokens
	// Asked and Consented say that the server showed a login page and a consent page.
	Asked, Consented bool
	// SendResource says that the server accepts a resource indicator.
	SendResource bool
	// Offline says that refresh tokens need offline_access with prompt=consent (OpenID Connect Core section 11).
	Offline bool
	First   *login.Outcome
	stuck   *login.Outcome
	// Barred says why logins and registrations are not allowed; empty if they are.
	Barred string

	client     *wire.Client
	secrets    *reports.Secrets
	identities []*Identity
	ordinary   ordinary
	mu         sync.Mutex
	again      sync.Mutex // held while a registration over a limit is repeated
	clients    map[string]*entry
	made       []*oauth.Client
	kept       []*oauth.Client // the server refused to delete these
	unanswered sync.Map        // reasons why there is no client: registrations without an answer, or with a failed one
	later      []*Session      // made by Again
	// registered are the clients by the answer to their registration.
	registered map[*reports.Exchange]*oauth.Client
	exchanges  []*reports.Exchange
}

// ordinary describes an ordinary registration at this server. Begin learns it; later refusals do not change it.
type ordinary struct {
	withoutType bool     // the server refuses application_type, and accepts the same registration without it
	scopes      []string // the scopes that clients register, because they get fewer or none otherwise; nil: they register none
}

// entry is a client that is registered at its first use.
type entry struct {
	mu     sync.Mutex // held while a check looks for the client
	found  bool
	client *oauth.Client
	why    string
}

// find looks for the client, once. A check whose time ends meanwhile leaves the search to the next one.
func (e *entry) find(ctx context.Context, search func() (*oauth.Client, string)) (*oauth.Client, string) {
	waited := deadline.Pause(ctx) // waiting for a client that another check registers does not count
	defer waited()
	e.mu.Lock()
	defer e.mu.Unlock()
	waited()
	if !e.found {
		e.client, e.why = search()
		e.found = e.client != nil || ctx.Err() == nil
	}
	return e.client, e.why
}

// Identity is a user with signed-in browsers. A flow has a browser to itself: servers may rotate the session at every step, or keep one
// request for each browser.
type Identity struct {
	User  *login.User // nil: nobody signs in
	mu    sync.Mutex
	idle  []*login.Jar
	lanes chan struct{}

	approvals sync.Map // of clients, by client_id: *approval

	proving  sync.Mutex
	proven   bool   // the password was accepted once
	rejected string // the text of the login page after the only try, if it refused the password
	spent    string // the end of the only try, if the password was not accepted: it is not typed again
	lost     bool   // a request of that try failed: nothing shows whether it was accepted
}

// Proven reports whether the user's password was accepted once, or is not needed.
func (i *Identity) Proven() bool {
	i.proving.Lock()
	defer i.proving.Unlock()
	return i.proven || i.User == nil
}

// try makes one attempt at a flow. Until the user's password was accepted, attempts run in sequence, and only one of them types the
// password: more would lock the account. stop says whether the attempt ends at a login page.
func (i *Identity) try(ctx context.Context, attempt func(stop bool) *login.Outcome) *login.Outcome {
	waited := deadline.Pause(ctx)
	i.proving.Lock()
	waited()
	if i.proven || i.User == nil {
		i.proving.Unlock()
		return attempt(false)
	}
	defer i.proving.Unlock()
	o := attempt(i.spent != "")
	switch {
	case i.spent != "" && o.Stage == login.AtLogin:
		o.Stage = login.Refused
		i.bar(o)
	case o.Accepted():
		i.proven, i.spent = true, ""
	case o.Typed && i.spent == "":
		why := ending(o)
		if o.Stage == login.Answered {
			why = fmt.Sprintf("the client got the error %q", o.Params.Get("error"))
		}
		i.spent = fmt.Sprintf("the password of %s was sent once, and is not sent again, so that the account is not locked: %s",
			i.User.Name, why)
		i.lost = o.Stage == login.Failed || o.Exchange != nil && (o.Exchange.Error != "" || expect.Status(o.Exchange) == 429 ||
			expect.Status(o.Exchange) >= 500)
		if o.Stage == login.Refused {
			i.rejected = o.Why
		}
		i.bar(o)
	}
	return o
}

// bar ends an attempt whose password is not typed, or not typed again. It decides nothing if a request of the only try failed.
func (i *Identity) bar(o *login.Outcome) {
	o.Barred, o.Why = !i.lost, i.spent
	if i.lost {
		o.Stage = login.Lost
	}
}

// approval says whether a user has approved a client.
type approval struct {
	sync.Mutex
	given bool
}

// approve runs the user's first approval of a client alone: if two overlap, a server may store both, and fail when it looks for one.
func (i *Identity) approve(ctx context.Context, start string, flow func() *login.Outcome) *login.Outcome {
	u, err := url.Parse(start)
	if err != nil {
		return flow()
	}
	stored, _ := i.approvals.LoadOrStore(u.Query().Get("client_id"), &approval{})
	a := stored.(*approval)
	waited := deadline.Pause(ctx)
	a.Lock()
	waited()
	if a.given {
		a.Unlock()
		return flow()
	}
	defer a.Unlock()
	o := flow()
	a.given = o.Stage == login.Answered && o.Params.Get("code") != ""
	return o
}

// ending says how a flow ended without an answer to the client.
func ending(o *login.Outcome) string {
	if o.Barred || o.Stage == login.Refused { // this says all of it
		return o.Why
	}
	return fmt.Sprintf("the login ended %s: %s", o.Stage, o.Why)
}

// Rejected returns a paragraph about a login page that rejects what the user supplied, or "".
func (s *Session) Rejected() string {
	who := s.identities[0]
	who.proving.Lock()
	defer who.proving.Unlock()
	if who.rejected == "" || who.proven {
		return ""
	}
	return fmt.Sprintf("The login at %s failed: %s. The password of %s was sent once, and is not sent again, so that the "+
		"account is not locked. Check what you gave for this user, then run again.", s.Server.Issuer, who.rejected, who.User.Name)
}

// refused says why the user's password is not typed again; empty if it may be.
func (i *Identity) refused() string {
	i.proving.Lock()
	defer i.proving.Unlock()
	return i.spent
}

// mostBrowsers is the maximum number of concurrent flows of one user, and of signed-in browsers.
const mostBrowsers = 16

func newIdentity(u *login.User) *Identity {
	return &Identity{User: u, lanes: make(chan struct{}, mostBrowsers)}
}

// Borrow gives a flow the cookies of a signed-in browser, or of a new one. The flow gives them back with Return.
func (i *Identity) Borrow(ctx context.Context) *login.Jar {
	defer deadline.Pause(ctx)()
	select {
	case i.lanes <- struct{}{}:
	case <-ctx.Done():
		return login.NewJar()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.idle); n > 0 {
		jar := i.idle[n-1]
		i.idle = i.idle[:n-1]
		return jar
	}
	return login.NewJar()
}

// Return takes back the cookies after a flow.
func (i *Identity) Return(jar *login.Jar) {
	i.mu.Lock()
	i.idle = append(i.idle, jar)
	i.mu.Unlock()
	select {
	case <-i.lanes:
	default: // borrowed after the end of the run
	}
}

// New makes a session with an authorization server.
func New(client *wire.Client, secrets *reports.Secrets, server oauth.Server, in Input) *Session {
	s := &Session{Input: in, Server: server, client: client, secrets: secrets, clients: map[string]*entry{}}
	for i := range in.Users {
		secrets.Add("password", in.Users[i].Password)
		secrets.Add("one_time_secret", in.Users[i].OneTime)
		s.identities = append(s.identities, newIdentity(&in.Users[i]))
	}
	if len(s.identities) == 0 {
		s.identities = []*Identity{newIdentity(nil)}
	}
	if in.Sacrificial != nil {
		secrets.Add("password", in.Sacrificial.Password)
	}
	for i := range in.Clients {
		secrets.Add("client_secret", in.Clients[i].Secret)
	}
	return s
}

// UserCount returns the number of users who can sign in.
func (s *Session) UserCount() int { return len(s.Input.Users) }

// Sacrificial returns a user whose account may be locked, or nil.
func (s *Session) Sacrificial() *login.User { return s.Input.Sacrificial }

// NoLogin says why the n-th user no longer signs in: it is not allowed, or the password was rejected. Empty if it may.
func (s *Session) NoLogin(n int) string {
	if s.Barred != "" {
		return s.Barred
	}
	return s.Identity(n).refused()
}

// LoginLost reports whether the n-th user no longer signs in because a request of the only try failed.
func (s *Session) LoginLost(n int) bool {
	i := s.Identity(n)
	i.proving.Lock()
	defer i.proving.Unlock()
	return s.Barred == "" && i.spent != "" && i.lost
}

// Identity returns the n-th user, from 0.
func (s *Session) Identity(n int) *Identity {
	if n >= len(s.identities) {
		return s.identities[0]
	}
	return s.identities[n]
}

func (s *Session) send(ctx context.Context, req wire.Request) *reports.Exchange {
	ex := s.client.Do(ctx, Check, req)
	s.mu.Lock()
	s.exchanges = append(s.exchanges, ex)
	s.mu.Unlock()
	return ex
}

// Exchanges returns the exchanges of the login.
func (s *Session) Exchanges() []*reports.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// Begin completes one flow, to learn whether the user can sign in, which pages the server shows, and whether it accepts a resource
// indicator.
func (s *Session) Begin(ctx context.Context) {
	c, why := s.firstClient(ctx)
	if c == nil {
		s.Why = why
		return
	}
	s.SendResource = s.Resource != ""
	s.learnType(ctx, c)
	c = s.learnScope(ctx, c)
	s.begin(ctx, c)
	if !s.Ready && c.Registered != nil && s.First != nil && s.First.Params.Get("error") == "invalid_scope" && len(s.RequestedScopes()) > 0 {
		c = s.beginWithScope(ctx, c)
	}
	if !s.Ready && s.SendResource && s.requestRefused() {
		s.beginWithoutResource(ctx, c)
	}
	s.learnGrant(ctx)
	s.learnIdentity(ctx)
	s.seekRefresh(ctx)
}

// beginWithoutResource starts without a resource indicator. Where the server demands one (RFC 8707 section 2), requests keep it: the first
// flow failed for another reason.
func (s *Session) beginWithoutResource(ctx context.Context, c *oauth.Client) {
	why, first := s.Why, s.First
	s.SendResource = false
	if s.begin(ctx, c); s.Ready {
		return
	}
	s.Why = why
	if s.First.Params.Get("error") == "invalid_target" {
		s.SendResource, s.First = true, first
	}
}

// firstClient returns the client of the first flow: a public one, or else a confidential one. If there is none, it says why there is no
// public one.
func (s *Session) firstClient(ctx context.Context) (*oauth.Client, string) {
	c, why := s.Client(ctx, Public)
	if c == nil && s.Register && len(s.Machines()) == len(s.Input.Clients) { // some servers accept loopback only by its name
		s.Callback = strings.Replace(s.Callback, "127.0.0.1", "localhost", 1)
		s.clients = map[string]*entry{}
		c, why = s.Client(ctx, Public)
	}
	if c == nil {
		c, _ = s.Client(ctx, Confidential)
	}
	return c, why
}

// learnScope returns a client that registers the scopes of the target, if a client that names none is registered with only some of them.
// If such a registration gives it no more, the first client stays.
func (s *Session) learnScope(ctx context.Context, first *oauth.Client) *oauth.Client {
	before := s.unregistered(first)
	if before == 0 {
		return first
	}
	kind := Public
	if first.Method != oauth.None {
		kind = Confidential
	}
	kept := s.clients
	for _, scopes := range [][]string{append(s.namedScopes(), s.identityScopes()...), s.namedScopes()} {
		s.registerScopes(scopes)
		if wide, _ := s.Client(ctx, kind); wide != nil && s.unregistered(wide) < before {
			return wide
		}
	}
	s.ordinary.scopes, s.clients = nil, kept
	return first
}

// learnGrant signs in again with a client that registers the scopes of its requests, if the token lacks one of them: some servers leave out
// what a client did not register. If that gives no more, the first client stays.
func (s *Session) learnGrant(ctx context.Context) {
	before := s.ungranted()
	if before == 0 || s.Tokens.Client.Registered == nil || len(s.ordinary.scopes) > 0 {
		return
	}
	s.signInAgain(ctx, s.namedScopes(), func() bool { return s.ungranted() < before })
}

// learnIdentity signs in again with a client that also registers the scopes of OpenID Connect, where the server lists them, and says that
// the first client did not get them: a request for openid may be refused otherwise.
func (s *Session) learnIdentity(ctx context.Context) {
	if !s.Ready || s.Tokens.Client.Registered == nil || len(s.ordinary.scopes) > 0 {
		return
	}
	has := strings.Fields(s.Tokens.Client.Registered.String("scope"))
	if lacking := missing(has, s.identityScopes()); len(has) > 0 && slices.Contains(lacking, "openid") {
		s.signInAgain(ctx, append(has, lacking...), func() bool { return s.ungranted() == 0 })
	}
}

// missing returns the wanted values that a list does not have.
func missing(has, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(v string) bool { return slices.Contains(has, v) })
}

// signInAgain signs in with a client that registers scopes. If that is no better, the first client stays.
func (s *Session) signInAgain(ctx context.Context, scopes []string, better func() bool) {
	kind, kept, restore := Public, s.clients, s.firstGrant()
	if s.Tokens.Client.Method != oauth.None {
		kind = Confidential
	}
	s.registerScopes(scopes)
	if c, _ := s.Client(ctx, kind); c != nil {
		if s.begin(ctx, c); s.Ready && better() {
			return
		}
	}
	restore()
	s.ordinary.scopes, s.clients = nil, kept
}

// ungranted returns how many of the requested scopes the first grant lacks, as the token response tells (RFC 6749 section 5.1).
func (s *Session) ungranted() (n int) {
	if !s.Ready || !s.Tokens.HasScope {
		return 0
	}
	for _, v := range s.RequestedScopes() {
		if !slices.Contains(s.Tokens.Scope, v) {
			n++
		}
	}
	return n
}

// firstGrant returns a function that restores what is known of the first flow.
func (s *Session) firstGrant() func() {
	tokens, outcome, asked, consented := s.Tokens, s.First, s.Asked, s.Consented
	return func() {
		s.Tokens, s.First, s.Asked, s.Consented, s.stuck, s.Ready, s.Why = tokens, outcome, asked, consented, nil, true, ""
	}
}

// identityScopes returns the scopes of OpenID Connect (Core sections 5.4 and 11) that the server lists and the target does not name.
func (s *Session) identityScopes() []string {
	listed, _ := s.Server.Metadata.Strings("scopes_supported")
	return slices.DeleteFunc([]string{"openid", "profile", "email", "address", "phone", OfflineAccess}, func(v string) bool {
		return !slices.Contains(listed, v) || slices.Contains(s.namedScopes(), v)
	})
}

// unregistered returns how many of the target's scopes the server left out of a registration whose scopes it tells (RFC 7591 section 2).
func (s *Session) unregistered(c *oauth.Client) (n int) {
	if c.Registered == nil || c.Registered.String("scope") == "" {
		return 0
	}
	has := strings.Fields(c.Registered.String("scope"))
	for _, v := range s.namedScopes() {
		if !slices.Contains(has, v) {
			n++
		}
	}
	return n
}

// namedScopes returns the scopes of ordinary requests, and the other ones that the target names.
func (s *Session) namedScopes() []string {
	return append(slices.Clone(s.RequestedScopes()), slices.DeleteFunc(slices.Clone(s.Pool), func(v string) bool {
		return slices.Contains(s.RequestedScopes(), v)
	})...)
}

// registerScopes makes later registrations name scopes, and forgets the clients so far.
func (s *Session) registerScopes(scopes []string) {
	s.ordinary.scopes, s.clients = scopes, map[string]*entry{}
}

// RegisteredScopes returns the scopes that clients register, because they get fewer or none otherwise.
func (s *Session) RegisteredScopes() []string { return s.ordinary.scopes }

// beginWithScope starts with a client that registers the scopes of its later requests, as some servers require. It returns the client of
// the flow.
func (s *Session) beginWithScope(ctx context.Context, without *oauth.Client) *oauth.Client {
	why := s.Why
	for i, scopes := range [][]string{s.namedScopes(), s.RequestedScopes()} {
		if i > 0 && len(scopes) == len(s.namedScopes()) {
			break
		}
		s.registerScopes(scopes)
		c, _ := s.Client(ctx, Public)
		if c == nil {
			c = without
		}
		if s.begin(ctx, c); s.Ready {
			return c
		}
	}
	s.Why = why
	s.registerScopes(nil)
	return without
}

// seekRefresh tries whether a server that issued no refresh token issues one for offline_access, if it lists that scope.
func (s *Session) seekRefresh(ctx context.Context) {
	listed, _ := s.Server.Metadata.Strings("scopes_supported")
	if !s.Ready || s.Tokens.Refresh != "" || !slices.Contains(listed, OfflineAccess) {
		return
	}
	restore := s.firstGrant()
	s.Offline = true
	s.begin(ctx, s.Tokens.Client)
	s.Offline = s.Ready && s.Tokens.Refresh != ""
	restore()
}

// OfflineAccess is the scope for refresh tokens (OpenID Connect Core section 11).
const OfflineAccess = "offline_access"

// ForOffline adds what the server requires for a refresh token.
func ForOffline(f *oauth.Form) {
	addOffline(f)
	f.Set("prompt", "consent")
}

// KeepOffline adds offline_access to a request for fewer scopes than the ordinary one, which has it. A request without scope stays so.
func KeepOffline(f *oauth.Form) {
	if f.Get("scope") != "" {
		addOffline(f)
	}
}

func addOffline(f *oauth.Form) {
	if scopes := strings.Fields(f.Get("scope")); !slices.Contains(scopes, OfflineAccess) {
		f.Set("scope", strings.Join(append(scopes, OfflineAccess), " "))
	}
}

// requestRefused reports whether the server refused the first request or its code, and not the user.
func (s *Session) requestRefused() bool {
	return s.First != nil && (s.First.Stage == login.Answered || s.First.Stage == login.ErrorPage)
}

func (s *Session) begin(ctx context.Context, c *oauth.Client) {
	pair := oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	o := s.firstFlow(ctx, c, pair)
	if s.First = o; (o.Stage == login.Lost || o.Stage == login.Failed) && s.Driver != nil {
		s.stuck = o // if the driver fails once, it does not try again for every check
	}
	s.Asked, s.Consented = s.Asked || o.SignedIn || o.Stage == login.AtLogin, s.Consented || o.Consented
	if s.Why = whyNoCode(o); s.Why != "" {
		return
	}
	form := s.Redemption(c, o.Params.Get("code"), pair)
	fields := c.Authenticate(&form)
	ex := s.send(ctx, oauth.Request(s.Server.Token, form, fields...))
	t := oauth.ReadTokens(ex)
	if t == nil {
		s.Why = fmt.Sprintf("the code could not be redeemed: %s", expect.Describe(ex))
		return
	}
	t.Client = c
	s.Remember(t)
	if s.Why = t.TooLong(); s.Why != "" {
		return
	}
	s.Tokens, s.Ready, s.Why = t, true, ""
}

// firstFlow runs the first user's flow up to the answer, and keeps the exchanges.
func (s *Session) firstFlow(ctx context.Context, c *oauth.Client, pair oauth.PKCE) *login.Outcome {
	who := s.identities[0]
	f := s.Request(c, pair)
	if s.Offline {
		ForOffline(&f)
	}
	jar := who.Borrow(ctx)
	defer who.Return(jar)
	agent := s.agent(ctx, jar, who.User, c)
	agent.Record = func(ex *reports.Exchange) {
		s.mu.Lock()
		s.exchanges = append(s.exchanges, ex)
		s.mu.Unlock()
	}
	return s.Carry(ctx, agent, oauth.AtQuery(s.Server.Authorization, f), login.Route{RedirectURI: c.RedirectURI}, true)
}

// whyNoCode says why a flow yielded no code; empty if it did.
func whyNoCode(o *login.Outcome) string {
	switch {
	case o.Stage != login.Answered:
		return ending(o)
	case len(o.InFragment["code"]) > 0:
		return "the authorization server put the code into the fragment of the redirect URI, where no client of response_type code " +
			"looks for it (RFC 6749 section 4.1.2)"
	case o.Params.Get("code") == "":
		return fmt.Sprintf("the authorization server answered with the error %q %s", o.Params.Get("error"), o.Params.Get("error_description"))
	}
	return ""
}

// agent returns the browser of a user for a client.
func (s *Session) agent(ctx context.Context, jar *login.Jar, u *login.User, c *oauth.Client) *login.Agent {
	send := func(r wire.Request) *reports.Exchange { return s.send(ctx, r) }
	return &login.Agent{Jar: jar, User: u, Secrets: s.secrets, Send: send, Push: s.Pushing(c, send)}
}

// Carry follows a request through the pages, with the driver if there is one and plain forms are not enough. first says that the driver
// comes first even if plain forms may be enough.
func (s *Session) Carry(ctx context.Context, agent *login.Agent, start string, r login.Route, first bool) *login.Outcome {
	agent.May = s.May
	carry := func(stop bool) *login.Outcome {
		route := r
		route.StopAtLogin = r.StopAtLogin || stop || s.Barred != ""
		o := s.carry(ctx, agent, start, route, first)
		if s.Barred != "" && o.Stage == login.AtLogin {
			o.Barred, o.Why = true, s.Barred
		}
		return o
	}
	for _, i := range s.identities {
		if i.User == agent.User {
			return i.approve(ctx, start, func() *login.Outcome { return i.try(ctx, carry) })
		}
	}
	return carry(false)
}

func (s *Session) carry(ctx context.Context, agent *login.Agent, start string, r login.Route, first bool) *login.Outcome {
	if why := faults.OfBrowser(ctx); why != "" {
		return &login.Outcome{Stage: login.Failed, Why: why}
	}
	if s.Driver == nil || agent.User == nil {
		return agent.Walk(start, r)
	}
	if first && s.BrowserFirst {
		return s.drive(ctx, agent, start, r, first)
	}
	agent.Recipe = s.Recipe
	o := agent.Walk(start, r)
	if o.Stage == login.NeedsScript || o.Stage == login.Lost && s.Recipe != nil {
		r.StopAtLogin = r.StopAtLogin || o.Typed // plain forms have typed the password: the cookies show whether it was right
		named, typed := o.Named, o.Typed
		o = s.drive(ctx, agent, start, r, first)
		o.Named, o.Typed = o.Named || named, o.Typed || typed
	}
	return o
}

func (s *Session) drive(ctx context.Context, agent *login.Agent, start string, r login.Route, first bool) *login.Outcome {
	if s.stuck != nil && agent.User == s.identities[0].User {
		again := *s.stuck
		return &again
	}
	defer deadline.Pause(ctx)() // logins wait for each other, and the browser depends on the load of the machine
	o := s.Driver.Authorize(ctx, agent, start, r)
	if o.Stage == login.Failed && !first && ctx.Err() == nil { // one failure of the browser says nothing about the server
		o = s.Driver.Authorize(ctx, agent, start, r)
	}
	return o
}

// Remember keeps the secrets of a token response out of reports.
func (s *Session) Remember(t *oauth.Tokens) {
	for _, secret := range []struct{ kind, value string }{{"access_token", t.Access}, {"refresh_token", t.Refresh}, {"id_token", t.ID}} {
		v := secret.value
		s.secrets.Add(secret.kind, v)
		if i := strings.LastIndexByte(v, '.'); i > 0 && strings.Count(v, ".") == 2 {
			s.secrets.Add("signature", v[i+1:])
		}
	}
}

// RequestedScopes returns the scopes of an ordinary request.
func (s *Session) RequestedScopes() []string {
	if len(s.Input.Scopes) > 0 {
		return s.Input.Scopes
	}
	return s.Pool
}

// Request returns an ordinary authorization request.
func (s *Session) Request(c *oauth.Client, pair oauth.PKCE) oauth.Form {
	var f oauth.Form
	f.Set("response_type", "code")
	f.Set("client_id", c.ID)
	f.Set("redirect_uri", c.RedirectURI)
	if scopes := s.RequestedScopes(); len(scopes) > 0 {
		f.Set("scope", strings.Join(scopes, " "))
	}
	f.Set("state", oauth.NewPKCE(43).Verifier) // some servers refuse a shorter state (AS-AUTHZ-STATE-EXACT)
	f.Set("code_challenge", pair.Challenge)
	f.Set("code_challenge_method", "S256")
	if s.SendResource {
		f.Set("resource", s.Resource)
	}
	return f
}

// Redemption returns an ordinary token request for a code, without the client's identification.
func (s *Session) Redemption(c *oauth.Client, code string, pair oauth.PKCE) oauth.Form {
	var f oauth.Form
	f.Set("grant_type", "authorization_code")
	f.Set("code", code)
	f.Set("redirect_uri", c.RedirectURI)
	f.Set("code_verifier", pair.Verifier)
	if s.SendResource {
		f.Set("resource", s.Resource)
	}
	return f
}

// The shared clients.
const (
	Public = "public"
	Second = "second public"
	// Confidential authenticates with a method that works; the others with the method in their names.
	Confidential      = "confidential"
	ConfidentialBasic = "confidential, client_secret_basic"
	ConfidentialPost  = "confidential, client_secret_post"
	ConfidentialJWT   = "confidential, client_secret_jwt"
)

// SecretMethod returns how confidential clients authenticate: like the shared one.
func (s *Session) SecretMethod(ctx context.Context) string {
	if c, _ := s.Client(ctx, Confidential); c != nil {
		return c.Method
	}
	return s.listedSecretMethod()
}

// listedSecretMethod returns client_secret_basic, unless the server lists client_secret_post only (RFC 8414 section 2).
func (s *Session) listedSecretMethod() string {
	methods, listed := s.Server.Metadata.Strings("token_endpoint_auth_methods_supported")
	if listed && !slices.Contains(methods, oauth.Basic) && slices.Contains(methods, oauth.Post) {
		return oauth.Post
	}
	return oauth.Basic
}

// findConfidential returns a client whose secret the server accepts in the way in which it is sent: with client_secret_basic, or with
// client_secret_post if only that is listed, or works. The checks of either method have their own clients.
func (s *Session) findConfidential(ctx context.Context) (*oauth.Client, string) {
	if s.listedSecretMethod() == oauth.Post {
		return s.Client(ctx, ConfidentialPost)
	}
	basic, why := s.Client(ctx, ConfidentialBasic)
	if basic != nil && (basic.Registered == nil || s.authenticates(ctx, basic)) {
		return basic, why
	}
	if post, _ := s.Client(ctx, ConfidentialPost); post != nil && (basic == nil || s.authenticates(ctx, post)) {
		return post, ""
	}
	return basic, why
}

// authenticates reports whether a client's secret is accepted: the server rejects only an invalid code.
func (s *Session) authenticates(ctx context.Context, c *oauth.Client) bool {
	pair := oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	form := s.Redemption(c, "mcpauth-made-up", pair)
	fields := c.Authenticate(&form)
	return oauth.ErrorCode(s.send(ctx, oauth.Request(s.Server.Token, form, fields...))) == "invalid_grant"
}

// Metadata returns the metadata of an ordinary client.
func (s *Session) Metadata(method string) map[string]any {
	m := map[string]any{
		"client_name": s.Name, "redirect_uris": []string{s.Callback},
		"grant_types":    []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": method,
	}
	if len(s.ordinary.scopes) > 0 {
		m["scope"] = strings.Join(s.ordinary.scopes, " ")
	}
	if !s.ordinary.withoutType { // the redirect URI is on loopback (OpenID Connect Dynamic Client Registration section 2)
		m["application_type"] = "native"
	}
	return m
}

// metadataOf returns the metadata of a shared client. The second one has another name: a server may issue one identifier for two equal
// registrations (RFC 7591 section 3.2.1).
func (s *Session) metadataOf(kind, method string) map[string]any {
	m := s.Metadata(method)
	if kind == Second {
		m["client_name"] = s.Name + ", second client"
	}
	return m
}

// Introspector returns the resource server's client that the owner of the target has declared, or nil.
func (s *Session) Introspector() *oauth.Client {
	for i := range s.Input.Clients {
		if s.Input.Clients[i].Introspects {
			return &s.Input.Clients[i]
		}
	}
	return nil
}

// refused reports whether the server refused a registration because of its content.
func refused(ex *reports.Exchange) bool {
	status := expect.Status(ex)
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests
}

// learnType finds out whether the server refuses application_type: a first client that was accepted without it is the control for one that
// differs only in that.
func (s *Session) learnType(ctx context.Context, first *oauth.Client) {
	if first.Exchange == nil || first.Registered == nil || strings.Contains(first.Exchange.Request.Body, "application_type") {
		return
	}
	c, ex := s.NewClient(func(r wire.Request) *reports.Exchange { return s.send(ctx, r) }, s.Metadata(first.Method))
	s.ordinary.withoutType = c == nil && refused(ex)
}

// Machines returns the clients that act for themselves.
func (s *Session) Machines() []*oauth.Client {
	var out []*oauth.Client
	for i := range s.Input.Clients {
		if s.Input.Clients[i].Machine {
			out = append(out, &s.Input.Clients[i])
		}
	}
	return out
}

// Client returns one of the shared clients, or the reason why there is none.
func (s *Session) Client(ctx context.Context, kind string) (*oauth.Client, string) {
	name := kind
	if s.separates(ctx) {
		name += " of " + OwnerOf(ctx)
	}
	s.mu.Lock()
	e := s.clients[name]
	if e == nil {
		e = &entry{}
		s.clients[name] = e
	}
	s.mu.Unlock()
	return e.find(ctx, func() (*oauth.Client, string) { return s.find(ctx, kind) })
}

// Unanswered reports whether there is no client, for this reason, because a registration got no answer, or a failed one.
func (s *Session) Unanswered(why string) bool {
	_, unanswered := s.unanswered.Load(why)
	return unanswered
}

func (s *Session) find(ctx context.Context, kind string) (*oauth.Client, string) {
	if kind == Confidential {
		return s.findConfidential(ctx)
	}
	method := cmp.Or(map[string]string{ConfidentialBasic: oauth.Basic, ConfidentialPost: oauth.Post,
		ConfidentialJWT: oauth.SecretJWT}[kind], oauth.None)
	if c := s.given(method, kind == Second); c != nil && !s.separates(ctx) {
		return c, ""
	}
	documents, _ := s.Server.Metadata.Bool("client_id_metadata_document_supported")
	if documents && s.Publish != nil && s.Server.Registration == "" && method == oauth.None {
		id := s.Publish(s.metadataOf(kind, method))
		return &oauth.Client{ID: id, Method: method, RedirectURI: s.Callback, RedirectURIs: []string{s.Callback}}, ""
	}
	if why := s.mayNotRegister(); why != "" {
		return nil, why
	}
	return s.register(ctx, kind, method)
}

// given returns a client that the user supplied, by its method: the second one, or the first.
func (s *Session) given(method string, second bool) *oauth.Client {
	for i := range s.Input.Clients {
		switch c := &s.Input.Clients[i]; {
		case c.Method != method || !c.SignsIn():
		case second:
			second = false
		default:
			return c
		}
	}
	return nil
}

// mayNotRegister says why clients are not registered; empty if they may be.
func (s *Session) mayNotRegister() string {
	switch {
	case s.Barred != "":
		return s.Barred
	case s.Server.WhyWithheld("registration_endpoint") != "":
		return s.Server.WhyWithheld("registration_endpoint")
	case s.Server.Registration == "":
		return "the authorization server offers no dynamic registration; give a client with --client-id"
	case !s.Register:
		return "it needs a client registered at the authorization server; allow that with --register, or give a client with --client-id"
	}
	return ""
}

// register registers a client; nil, with the reason, if the server does not issue one with that method.
func (s *Session) register(ctx context.Context, kind, method string) (*oauth.Client, string) {
	send := func(r wire.Request) *reports.Exchange { return s.sendAgain(ctx, r) }
	metadata := s.metadataOf(kind, method)
	c, ex := s.NewClient(send, metadata)
	if c == nil && !s.ordinary.withoutType && refused(ex) { // other checks judge a server that refuses application_type
		delete(metadata, "application_type")
		c, _ = s.NewClient(send, metadata)
	}
	if c == nil {
		why := fmt.Sprintf("a client (%s) could not be registered: %s", method, expect.Describe(ex))
		if expect.NoAnswer(ex) != "" || ex.Error != "" {
			s.unanswered.Store(why, true)
		}
		return nil, why
	}
	if c.Method != method {
		return nil, fmt.Sprintf("a client that asks for %s is registered with %s", method, c.Method)
	}
	return c, ""
}

// sendAgain repeats a request once after a failed answer, and a few times if the server limits requests (RFC 6585 section 4) for some
// seconds. Requests over the limit are repeated one at a time: together they would exceed it again.
func (s *Session) sendAgain(ctx context.Context, r wire.Request) *reports.Exchange {
	ex := s.send(ctx, r)
	if unanswered(ex) && ex.Error != wire.TimedOut && ctx.Err() == nil {
		ex = s.send(ctx, r)
	}
	wait, again := pauseAfter(ex, 1)
	if !again {
		return ex
	}
	resume := deadline.Pause(ctx) // waiting for others does not count
	defer resume()
	s.again.Lock()
	defer s.again.Unlock()
	resume()
	for try := 2; again && slept(ctx, wait-time.Since(ex.Ended())); try++ {
		ex = s.send(ctx, r)
		wait, again = pauseAfter(ex, try)
	}
	return ex
}

// slept waits; false if the context ends before.
func slept(ctx context.Context, wait time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// pauseAfter returns how long to wait after this answer to a try before the next one, and whether there is a next one.
func pauseAfter(ex *reports.Exchange, try int) (wait time.Duration, again bool) {
	const tries, longest = 3, 5 * time.Second
	wait, _ = expect.RetryAfter(ex)
	return max(wait, time.Second), expect.Status(ex) == 429 && try < tries && wait <= longest
}

// unanswered reports whether a request got no proper answer: none, a part of one, or a server error.
func unanswered(ex *reports.Exchange) bool {
	return ex.Error != "" || expect.NoAnswer(ex) != "" && expect.Status(ex) != 429
}

// NewClient registers a client (RFC 7591); nil if the server refuses.
func (s *Session) NewClient(send func(wire.Request) *reports.Exchange, metadata map[string]any) (*oauth.Client, *reports.Exchange) {
	ex := send(s.Registration(metadata))
	return s.Registered(ex, metadata), ex
}

// Registration returns the request that registers a client (RFC 7591 section 3.1).
func (s *Session) Registration(metadata map[string]any) wire.Request {
	body, _ := json.Marshal(metadata) // plain values always marshal
	return wire.Request{Method: "POST", URL: s.Server.Registration, Body: string(body), Header: []reports.Field{
		{Name: "Content-Type", Value: "application/json"}, {Name: "Accept", Value: "application/json"},
	}, Done: func(ex *reports.Exchange) { s.Registered(ex, metadata) }}
}

// Registered parses the answer to a registration, and keeps the client for deletion; nil if there is none.
func (s *Session) Registered(ex *reports.Exchange, metadata map[string]any) *oauth.Client {
	s.mu.Lock()
	known := s.registered[ex]
	s.mu.Unlock()
	if known != nil {
		return known
	}
	c := registeredClient(ex, metadata)
	if c == nil {
		return nil
	}
	s.secrets.Add("client_secret", c.Secret)
	s.secrets.Add("registration_access_token", c.Registered.String("registration_access_token"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, c)
	if s.registered == nil {
		s.registered = map[*reports.Exchange]*oauth.Client{}
	}
	s.registered[ex] = c
	return c
}

// registeredClient returns the client in an answer, with the requested values where the answer is silent, or nil.
func registeredClient(ex *reports.Exchange, asked map[string]any) *oauth.Client {
	o := oauth.Object(ex)
	id := o.String("client_id")
	if st := expect.Status(ex); id == "" || st < 200 || st > 299 {
		return nil
	}
	c := &oauth.Client{ID: id, Secret: o.String("client_secret"), Method: o.String("token_endpoint_auth_method"), Registered: o, Exchange: ex}
	if c.Method == "" {
		c.Method, _ = asked["token_endpoint_auth_method"].(string)
	}
	c.RedirectURIs, _ = asked["redirect_uris"].([]string)
	if uris, ok := o.Strings("redirect_uris"); ok && len(uris) > 0 {
		c.RedirectURIs = uris
	}
	if len(c.RedirectURIs) > 0 {
		c.RedirectURI = c.RedirectURIs[0]
	}
	return c
}

// Manageable reports whether a client can be managed with RFC 7592, at the server that issued it.
func (s *Session) Manageable(c *oauth.Client) (uri, token string, ok bool) {
	uri, token = c.Registered.String("registration_client_uri"), c.Registered.String("registration_access_token")
	u, err1 := document.ParseURL(uri)
	at, err2 := document.ParseURL(s.Server.Registration)
	return uri, token, token != "" && err1 == nil && err2 == nil && document.Origin(u) == document.Origin(at)
}

// Forget removes a client from those to delete, because a check has deleted it.
func (s *Session) Forget(c *oauth.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = slices.DeleteFunc(s.made, func(m *oauth.Client) bool { return m == c })
}

// Again returns a session like this one with a new login and new clients, if the server registers clients. If nobody could sign in, or
// signs in again, it returns this session.
func (s *Session) Again(ctx context.Context) *Session {
	if s == nil || !s.Ready {
		return s
	}
	again := New(s.client, s.secrets, s.Server, s.Input)
	again.SendResource, again.Overlap, again.Offline = s.SendResource, s.Overlap, s.Offline
	again.ordinary = s.ordinary
	s.mu.Lock()
	s.later = append(s.later, again)
	s.mu.Unlock()
	c, _ := again.Client(ctx, Public)
	if c == nil {
		c, _ = again.Client(ctx, Confidential)
	}
	if c == nil {
		return s
	}
	if again.begin(ctx, c); !again.Ready {
		return s
	}
	return again
}

// End deletes the registered clients if the server allows it, and returns the ids of the others.
func (s *Session) End(ctx context.Context) (left []string) {
	s.mu.Lock()
	made, kept := s.made, s.kept
	s.made, s.kept = nil, nil
	later := s.later
	s.mu.Unlock()
	for _, again := range later {
		left = append(left, again.End(ctx)...)
	}
	for _, c := range append(s.remove(ctx, made), kept...) {
		left = append(left, c.ID)
	}
	slices.Sort(left)
	return left
}

// Release deletes the clients that a check has registered with these requests: servers limit their number, and other checks need theirs.
// Clients for which there is no time are deleted at the end.
func (s *Session) Release(ctx context.Context, registrations []*reports.Exchange) {
	var mine []*oauth.Client
	s.mu.Lock()
	s.made = slices.DeleteFunc(s.made, func(c *oauth.Client) bool {
		released := slices.Contains(registrations, c.Exchange)
		if released {
			mine = append(mine, c)
		}
		return released
	})
	s.mu.Unlock()
	left := s.remove(ctx, mine)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		s.made = append(s.made, left...)
		return
	}
	s.kept = append(s.kept, left...)
}

// remove deletes clients, and returns those that the server refused to delete.
func (s *Session) remove(ctx context.Context, clients []*oauth.Client) (left []*oauth.Client) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	remove := func(c *oauth.Client) {
		if !s.delete(ctx, c) {
			mu.Lock()
			defer mu.Unlock()
			left = append(left, c)
		}
	}
	seen := map[string]bool{}
	for _, c := range clients {
		switch {
		case seen[c.ID]:
		case s.InTurn:
			remove(c)
		default:
			wg.Go(func() { remove(c) })
		}
		seen[c.ID] = true
	}
	wg.Wait()
	return left
}

// delete deletes a client, and reports whether the server allowed it.
func (s *Session) delete(ctx context.Context, c *oauth.Client) bool {
	uri, token, ok := s.Manageable(c)
	if !ok {
		return false
	}
	ex := s.send(ctx, wire.Request{Method: "DELETE", URL: uri, Cleanup: true,
		Header: []reports.Field{{Name: "Authorization", Value: "Bearer " + token}}})
	st := expect.Status(ex)
	return st >= 200 && st <= 299
}
