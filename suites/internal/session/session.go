// Package session holds what the checks of a run share when they act as clients: the authorization server,
// the clients registered there, and the users who sign in.
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

// Input is what the user gave and allowed.
type Input struct {
	Users []login.User
	// Sacrificial is a user whose account may be locked; nil without.
	Sacrificial *login.User
	Clients     []oauth.Client // registered by the user's hand
	Scopes      []string       // to request; empty: the challenge's, then scopes_supported
	Register    bool           // clients may be registered at the server
	Driver      login.Driver   // nil: plain forms
	// BrowserFirst has the driver do the first login of a user, even if plain forms might do.
	BrowserFirst bool
	// Recipe, if set, is what the driver does on pages that cannot be understood by themselves.
	Recipe   *target.Recipe
	Resource string   // resource indicator, or empty
	Pool     []string // scopes that the target speaks of
	Callback string   // redirect URI of the clients that are registered
	Name     string   // of the clients that are registered
	// May says why nobody may sign in at the host of an address; empty where they may.
	May func(address string) string
	// InTurn sends one request after another.
	InTurn bool
	// Publish makes a public client by a client ID metadata document; nil where the server cannot fetch it.
	Publish func(metadata map[string]any) string
}

// Session is shared by all checks of a run. Its exported fields do not change once Begin has returned.
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
	// SendResource says that the server takes a resource indicator.
	SendResource bool
	// Offline says that refresh tokens are issued for offline_access with prompt=consent only (OpenID Connect Core section 11).
	Offline bool
	First   *login.Outcome
	stuck   *login.Outcome
	// Barred says why nobody may sign in and no client be registered; empty where they may.
	Barred string

	client     *wire.Client
	secrets    *reports.Secrets
	identities []*Identity
	ordinary   ordinary
	mu         sync.Mutex
	clients    map[string]*entry
	made       []*oauth.Client
	kept       []*oauth.Client // the server did not let them be deleted
	later      []*Session      // made by Again
	// registered are the clients by the answer that made them.
	registered map[*reports.Exchange]*oauth.Client
	exchanges  []*reports.Exchange
}

// ordinary is what an ordinary registration looks like at this server. Begin learns it; no later refusal changes it.
type ordinary struct {
	withoutType bool // the server refuses application_type, and what it refuses with it, it accepts without
	withScope   bool // clients get no scopes but those that they register
}

// entry is a client that is registered when first asked for.
type entry struct {
	once   sync.Once
	client *oauth.Client
	why    string
}

// Identity is a user with the browsers in which they are signed in. A flow has a browser to itself while it
// runs: servers may rotate the session with every step, or keep one request for each browser.
type Identity struct {
	User  *login.User // nil: nobody
	mu    sync.Mutex
	idle  []*login.Jar
	lanes chan struct{}

	approvals sync.Map // of clients, by client_id: *approval

	proving  sync.Mutex
	proven   bool   // the password was accepted once
	rejected string // what the login page said to the one try; empty where that was not it
	spent    string // how the one try ended where it was not: the password is not typed again
}

// Proven reports whether the user's password was accepted once, or that there is none to type.
func (i *Identity) Proven() bool {
	i.proving.Lock()
	defer i.proving.Unlock()
	return i.proven || i.User == nil
}

// try makes one attempt at a flow. Until the user's password was accepted attempts follow one by one, and the password is
// typed in one of them only: more would lock the account. stop is whether the attempt ends at a login page.
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
		o.Stage, o.Barred, o.Why = login.Refused, true, i.spent
	case o.Accepted():
		i.proven, i.spent = true, ""
	case o.Typed && i.spent == "":
		why := ending(o)
		if o.Stage == login.Answered {
			why = fmt.Sprintf("the client got the error %q", o.Params.Get("error"))
		}
		i.spent = fmt.Sprintf("the password of %s was typed once, and is not typed again, so that the account is not locked: %s",
			i.User.Name, why)
		if o.Stage == login.Refused {
			i.rejected = o.Why
		}
		o.Barred, o.Why = true, i.spent
	}
	return o
}

// approval is whether a user has approved a client.
type approval struct {
	sync.Mutex
	given bool
}

// approve has the user's first approval of a client run alone: where two meet, a server may store both, and fail whenever it looks
// for one.
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
	if o.Barred || o.Stage == login.Refused { // which says all of it
		return o.Why
	}
	return fmt.Sprintf("the login ended %s: %s", o.Stage, o.Why)
}

// Rejected returns a paragraph on a login page that does not accept what the user gave; empty where none said so.
func (s *Session) Rejected() string {
	who := s.identities[0]
	who.proving.Lock()
	defer who.proving.Unlock()
	if who.rejected == "" || who.proven {
		return ""
	}
	return fmt.Sprintf("The login at %s failed: %s. The password of %s was typed once, and is not typed again, so that the "+
		"account is not locked. Check what you gave for this user, then run again.", s.Server.Issuer, who.rejected, who.User.Name)
}

// refused returns why the user's password is not typed again; empty where it may be.
func (i *Identity) refused() string {
	i.proving.Lock()
	defer i.proving.Unlock()
	return i.spent
}

// mostBrowsers is how many flows of one user run at once; only so many browsers are signed in.
const mostBrowsers = 16

func newIdentity(u *login.User) *Identity {
	return &Identity{User: u, lanes: make(chan struct{}, mostBrowsers)}
}

// Borrow gives a flow a browser's cookies: those of one that is signed in, or of a new one. The flow gives
// them back by Return.
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

// Return takes the cookies back, as the flow has left them.
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

// UserCount returns how many users can sign in.
func (s *Session) UserCount() int { return len(s.Input.Users) }

// Sacrificial returns a user whose account may be locked; nil without.
func (s *Session) Sacrificial() *login.User { return s.Input.Sacrificial }

// NoLogin says why the n-th user signs in no more: nobody may, or the password was not accepted. Empty where they may.
func (s *Session) NoLogin(n int) string {
	if s.Barred != "" {
		return s.Barred
	}
	return s.Identity(n).refused()
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

// Exchanges returns those of the login.
func (s *Session) Exchanges() []*reports.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// Begin completes one flow, to learn whether the user can sign in, what the server shows, and whether it
// takes a resource indicator.
func (s *Session) Begin(ctx context.Context) {
	c, why := s.firstClient(ctx)
	if c == nil {
		s.Why = why
		return
	}
	s.SendResource = s.Resource != ""
	s.learnType(ctx, c)
	s.begin(ctx, c)
	if !s.Ready && c.Registered != nil && s.First != nil && s.First.Params.Get("error") == "invalid_scope" && len(s.RequestedScopes()) > 0 {
		c = s.beginWithScope(ctx, c)
	}
	if !s.Ready && s.SendResource && s.requestRefused() {
		why := s.Why
		s.SendResource = false
		if s.begin(ctx, c); !s.Ready {
			s.Why = why
		}
	}
	s.seekRefresh(ctx)
}

// firstClient returns the client of the first flow: a public one, or else a confidential one. Where there is none, it says why no public
// one.
func (s *Session) firstClient(ctx context.Context) (*oauth.Client, string) {
	c, why := s.Client(ctx, Public)
	if c == nil && s.Register && len(s.Machines()) == len(s.Input.Clients) { // some servers know loopback by its name only
		s.Callback = strings.Replace(s.Callback, "127.0.0.1", "localhost", 1)
		s.clients = map[string]*entry{}
		c, why = s.Client(ctx, Public)
	}
	if c == nil {
		c, _ = s.Client(ctx, Confidential)
	}
	return c, why
}

// beginWithScope begins with a client that registers the scopes which it will request, as some servers demand. It returns the client
// that the flow was tried with.
func (s *Session) beginWithScope(ctx context.Context, without *oauth.Client) *oauth.Client {
	why := s.Why
	s.ordinary.withScope = true
	s.clients = map[string]*entry{}
	c, _ := s.Client(ctx, Public)
	if c == nil {
		c = without
	}
	if s.begin(ctx, c); !s.Ready {
		s.Why = why
		s.ordinary.withScope = false
		s.clients = map[string]*entry{}
	}
	return c
}

// seekRefresh tries whether a server that issued no refresh token does for offline_access, where it lists that scope.
func (s *Session) seekRefresh(ctx context.Context) {
	listed, _ := s.Server.Metadata.Strings("scopes_supported")
	if !s.Ready || s.Tokens.Refresh != "" || !slices.Contains(listed, OfflineAccess) {
		return
	}
	first, outcome, asked, consented := s.Tokens, s.First, s.Asked, s.Consented
	s.Offline = true
	s.begin(ctx, first.Client)
	s.Offline = s.Ready && s.Tokens.Refresh != ""
	s.Tokens, s.First, s.Asked, s.Consented, s.stuck, s.Ready, s.Why = first, outcome, asked, consented, nil, true, ""
}

// OfflineAccess is the scope for refresh tokens (OpenID Connect Core section 11).
const OfflineAccess = "offline_access"

// ForOffline adds to a request what a refresh token is issued for.
func ForOffline(f *oauth.Form) {
	if scopes := strings.Fields(f.Get("scope")); !slices.Contains(scopes, OfflineAccess) {
		f.Set("scope", strings.Join(append(scopes, OfflineAccess), " "))
	}
	f.Set("prompt", "consent")
}

// requestRefused reports whether the server refused the first request or its code, rather than the user.
func (s *Session) requestRefused() bool {
	return s.First != nil && (s.First.Stage == login.Answered || s.First.Stage == login.ErrorPage)
}

func (s *Session) begin(ctx context.Context, c *oauth.Client) {
	pair := oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	o := s.firstFlow(ctx, c, pair)
	if s.First = o; (o.Stage == login.Lost || o.Stage == login.Failed) && s.Driver != nil {
		s.stuck = o // what the driver cannot do once it need not try again for every check
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

// firstFlow carries the first user to an authorization, and keeps what was exchanged.
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

// whyNoCode returns why a flow brought no code; empty if it did.
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

// agent returns the browser of a user who signs in for a client.
func (s *Session) agent(ctx context.Context, jar *login.Jar, u *login.User, c *oauth.Client) *login.Agent {
	send := func(r wire.Request) *reports.Exchange { return s.send(ctx, r) }
	return &login.Agent{Jar: jar, User: u, Secrets: s.secrets, Send: send, Push: s.Pushing(c, send)}
}

// Carry takes a request through the pages, with the driver where one is set and plain forms cannot do it.
// first says that the driver's own way is wanted even if plain forms might do.
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
		r.StopAtLogin = r.StopAtLogin || o.Typed // the forms have typed the password: cookies tell whether it was right
		typed := o.Typed
		o = s.drive(ctx, agent, start, r, first)
		o.Typed = o.Typed || typed
	}
	return o
}

func (s *Session) drive(ctx context.Context, agent *login.Agent, start string, r login.Route, first bool) *login.Outcome {
	if s.stuck != nil && agent.User == s.identities[0].User {
		again := *s.stuck
		return &again
	}
	defer deadline.Pause(ctx)() // logins wait for each other, and a browser takes as long as the machine is busy
	o := s.Driver.Authorize(ctx, agent, start, r)
	if o.Stage == login.Failed && !first && ctx.Err() == nil { // a browser that fails once says nothing of the server
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
	f.Set("state", oauth.NewPKCE(43).Verifier) // servers were seen that refuse shorter ones (AS-AUTHZ-STATE-EXACT)
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

// The clients that checks share.
const (
	Public = "public"
	Second = "second public"
	// Confidential authenticates in a way that works; the others by the method of their names.
	Confidential      = "confidential"
	ConfidentialBasic = "confidential, client_secret_basic"
	ConfidentialPost  = "confidential, client_secret_post"
)

// SecretMethod returns how confidential clients authenticate: as the shared one does.
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

// findConfidential returns a client whose secret the server accepts in the way in which it is sent: by client_secret_basic, or by
// client_secret_post where only that is listed, or works. The checks on either way have clients of their own.
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

// authenticates reports whether a client's secret is accepted: the server complains of nothing but a made-up code.
func (s *Session) authenticates(ctx context.Context, c *oauth.Client) bool {
	pair := oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	form := s.Redemption(c, "mcpauth-made-up", pair)
	fields := c.Authenticate(&form)
	return oauth.ErrorCode(s.send(ctx, oauth.Request(s.Server.Token, form, fields...))) == "invalid_grant"
}

// Metadata returns what an ordinary client registers.
func (s *Session) Metadata(method string) map[string]any {
	m := map[string]any{
		"client_name": s.Name, "redirect_uris": []string{s.Callback},
		"grant_types":    []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": method,
	}
	if s.ordinary.withScope {
		m["scope"] = strings.Join(s.RequestedScopes(), " ")
	}
	if !s.ordinary.withoutType { // the redirect URI is on loopback (OpenID Connect Dynamic Client Registration section 2)
		m["application_type"] = "native"
	}
	return m
}

// metadataOf returns what a shared client registers. The second one has a name of its own: a server may issue one identifier for two
// registrations that are the same (RFC 7591 section 3.2.1).
func (s *Session) metadataOf(kind, method string) map[string]any {
	m := s.Metadata(method)
	if kind == Second {
		m["client_name"] = s.Name + ", second client"
	}
	return m
}

// RegistersScope reports whether clients ask for scopes when they are registered, since they get none otherwise.
func (s *Session) RegistersScope() bool { return s.ordinary.withScope }

// Introspector returns the resource server's client, which the owner of the target declared; nil where none is declared.
func (s *Session) Introspector() *oauth.Client {
	for i := range s.Input.Clients {
		if s.Input.Clients[i].Introspects {
			return &s.Input.Clients[i]
		}
	}
	return nil
}

// refused reports whether the server refused a registration for what it holds.
func refused(ex *reports.Exchange) bool {
	status := expect.Status(ex)
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests
}

// learnType finds out whether the server refuses application_type: a first client that was accepted without it is the control
// for one that differs in nothing else.
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

// Client returns one of the shared clients, or why there is none.
func (s *Session) Client(ctx context.Context, kind string) (*oauth.Client, string) {
	name := kind
	if check := OwnerOf(ctx); check != "" && s.EndsGrants && s.registers() {
		name += " of " + check
	}
	s.mu.Lock()
	e := s.clients[name]
	if e == nil {
		e = &entry{}
		s.clients[name] = e
	}
	s.mu.Unlock()
	made := deadline.Pause(ctx) // who waits for a client that another check registers spends none of its own time
	defer made()
	e.once.Do(func() { made(); e.client, e.why = s.find(ctx, kind) })
	return e.client, e.why
}

func (s *Session) find(ctx context.Context, kind string) (*oauth.Client, string) {
	if kind == Confidential {
		return s.findConfidential(ctx)
	}
	method := cmp.Or(map[string]string{ConfidentialBasic: oauth.Basic, ConfidentialPost: oauth.Post}[kind], oauth.None)
	if c := s.given(method, kind == Second); c != nil {
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

// given returns a client that the user gave, by its method; the second one that there is, or the first.
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

// mayNotRegister returns why no client is registered; empty if one may be.
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

// register registers a client; nil, and why, where the server does not give one of that method.
func (s *Session) register(ctx context.Context, kind, method string) (*oauth.Client, string) {
	send := func(r wire.Request) *reports.Exchange { return s.sendWithinLimit(ctx, r) }
	metadata := s.metadataOf(kind, method)
	c, ex := s.NewClient(send, metadata)
	if c == nil && !s.ordinary.withoutType && refused(ex) { // a server that knows no application_type is judged for that elsewhere
		delete(metadata, "application_type")
		c, _ = s.NewClient(send, metadata)
	}
	if c == nil {
		return nil, fmt.Sprintf("a client (%s) could not be registered: %s", method, expect.Describe(ex))
	}
	if c.Method != method {
		return nil, fmt.Sprintf("a client that asks for %s is registered with %s", method, c.Method)
	}
	return c, ""
}

// sendWithinLimit sends a request again, a few times, where the server limits requests (RFC 6585 section 4) for some seconds.
func (s *Session) sendWithinLimit(ctx context.Context, r wire.Request) *reports.Exchange {
	const tries, longest = 3, 5 * time.Second
	for i := 1; ; i++ {
		ex := s.send(ctx, r)
		wait, ok := expect.RetryAfter(ex)
		if expect.Status(ex) != 429 || i == tries || ok && wait > longest {
			return ex
		}
		select {
		case <-ctx.Done():
			return ex
		case <-time.After(max(wait, time.Second)):
		}
	}
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

// Registered reads the answer to a registration and takes charge of the client; nil if there is none.
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

// registeredClient returns the client that an answer names, with what was asked for where the answer does not tell; nil for none.
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

// Manageable reports whether a client can be managed by RFC 7592, at the server that issued it.
func (s *Session) Manageable(c *oauth.Client) (uri, token string, ok bool) {
	uri, token = c.Registered.String("registration_client_uri"), c.Registered.String("registration_access_token")
	u, err1 := document.ParseURL(uri)
	at, err2 := document.ParseURL(s.Server.Registration)
	return uri, token, token != "" && err1 == nil && err2 == nil && document.Origin(u) == document.Origin(at)
}

// Forget takes a client out of those to be deleted, since a check has deleted it.
func (s *Session) Forget(c *oauth.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = slices.DeleteFunc(s.made, func(m *oauth.Client) bool { return m == c })
}

// Again returns a session like this one with a login and clients of its own, as far as the server registers clients. Where nobody
// could sign in, or signs in again, it is this session.
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

// End deletes the registered clients where the server allows it, and returns the ids of the others.
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

// Release deletes the clients that a check has registered by these requests: servers limit how many there are, and others need
// theirs. What there was no time for is deleted at the end.
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

// remove deletes clients, and returns those that the server did not let it delete.
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

// delete deletes a client, and reports whether the server let it.
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
