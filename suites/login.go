package suites

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// callback is the redirect URI of the clients that the suite registers. No server needs to listen there: the
// answer is read from the redirect.
const callback = "http://127.0.0.1:8765/callback"

// login lets the first user sign in at one of the target's authorization servers, and surveys the target again
// with the token of that login. If no user can sign in, it returns the survey unchanged.
func (s *preparation) login(ctx context.Context, sv *survey.Survey, secrets *reports.Secrets) *survey.Survey {
	server, ok := s.cfg.authorizationServer(sv, s.cfg.SignInAt)
	if !ok {
		return sv
	}
	s.sayWhereUsersSignIn(sv, server)
	register := s.mayRegister(ctx, server)
	in := s.sessionInput(ctx, sv, server, register)
	forbidden := s.forbidden(ctx, server)
	if forbidden != "" {
		in.Register, in.Clients = false, nil
	}
	s.session = session.New(s.client, secrets, server, in)
	if forbidden != "" {
		s.session.Why, s.session.Barred = forbidden, forbidden
		s.noLogin = "nobody could sign in: " + forbidden
		return sv
	}
	if !register && !slices.ContainsFunc(in.Clients, func(c oauth.Client) bool { return c.SignsIn() }) && in.Publish == nil {
		s.session.Why = "it needs a client at the authorization server; allow registration with --register, or give one with --client-id"
		return sv
	}
	if slices.ContainsFunc(in.Clients, func(c oauth.Client) bool { return c.Secret != "" || c.Key != nil }) {
		s.tellWhere(server.Token)
	}
	return s.surveyWith(ctx, sv, s.firstToken(ctx, sv))
}

// forbidden says why the run may not act as a client of an authorization server; empty if it may.
func (s *preparation) forbidden(ctx context.Context, server oauth.Server) string {
	endpoints := []string{"authorization_endpoint", "token_endpoint"}
	if server.PushesOnly() {
		endpoints = append(endpoints, "pushed_authorization_request_endpoint")
	}
	return cmp.Or(server.WhyWithheld(endpoints...), s.mayAct(ctx, server.Token),
		s.mayAct(ctx, server.Authorization), s.mayAct(ctx, cmp.Or(server.Registration, server.Token)))
}

// surveyWith surveys the target again with the token of a login, where the user gave none.
func (s *preparation) surveyWith(ctx context.Context, sv *survey.Survey, token string) *survey.Survey {
	if token == "" || s.cfg.Token != "" {
		return sv
	}
	again, err := survey.Take(ctx, s.client, survey.Input{Endpoint: sv.Endpoint, Revisions: s.cfg.Revisions, Token: token,
		Tools: s.cfg.guarded(), InTurn: s.cfg.Seed != nil})
	if err != nil {
		return sv
	}
	again.Earlier = sv
	return again
}

func (s *preparation) sayWhereUsersSignIn(sv *survey.Survey, server oauth.Server) {
	if why := server.WhyWithheld(oauth.Endpoints...); why != "" {
		s.say(why)
	}
	if somebody := len(s.cfg.Users) > 0 || s.cfg.Driver == "manual"; somebody && s.cfg.SignInAt == "" && len(s.cfg.usable(sv)) > 1 {
		s.say("the target names several authorization servers: users sign in at " + server.Issuer + "; choose another by --issuer")
	}
}

// mayRegister reports whether clients may be registered: where the user says so, or by default on loopback and where users sign in.
func (s *preparation) mayRegister(ctx context.Context, server oauth.Server) bool {
	if s.cfg.Register != nil {
		return *s.cfg.Register
	}
	return s.client.Reach(ctx, server.Token) == wire.Loopback || len(s.cfg.Users) > 0 || s.cfg.Driver == "manual"
}

// sessionInput returns what the user gave for acting as clients and users.
func (s *preparation) sessionInput(ctx context.Context, sv *survey.Survey, server oauth.Server, register bool) session.Input {
	in := session.Input{Register: register, InTurn: s.cfg.Seed != nil, Scopes: s.cfg.Scopes, Resource: sv.Endpoint, Callback: callback,
		Name: s.client.Name()}
	in.May = func(address string) string { return s.maySignIn(ctx, address) }
	if s.cfg.Documents != nil {
		in.Publish = s.cfg.Documents.server.Publish
	}
	in.BrowserFirst, in.Recipe = s.cfg.Driver == "browser" || s.cfg.Recipe != nil, s.cfg.Recipe
	if in.Driver = s.driver(); in.Driver != nil {
		s.closers = append(s.closers, in.Driver.Close)
	}
	s.addUsers(&in)
	s.addClients(&in, server)
	scopes(sv, &in)
	return in
}

func (s *preparation) addUsers(in *session.Input) {
	for _, u := range s.cfg.Users {
		user := login.User{Name: u.Name, Password: u.Password, OneTime: u.OneTime}
		if u.Sacrificial {
			in.Sacrificial = &user
			continue
		}
		in.Users = append(in.Users, user)
	}
}

func (s *preparation) addClients(in *session.Input, server oauth.Server) {
	for _, c := range s.cfg.Clients {
		client := oauth.Client{ID: c.ID, Secret: c.Secret, Method: c.Method, RedirectURI: c.RedirectURI, RedirectURIs: []string{c.RedirectURI},
			Audience: server.Issuer, Machine: c.Machine, Introspects: c.Introspects, Scopes: c.Scopes}
		if c.Key != "" {
			client.Key, _ = mint.ParseKey(c.KeyID, []byte(c.Key)) // validated before
		}
		in.Clients = append(in.Clients, client)
	}
}

// firstToken returns the token of the first login; empty if there is none.
func (s *preparation) firstToken(ctx context.Context, sv *survey.Survey) (token string) {
	switch {
	case s.cfg.Token != "" && s.cfg.Driver == "manual":
	case s.cfg.Driver == "manual":
		tokens, err := s.session.ByHand(ctx, func(address string) {
			s.say("sign in with a browser at this address, and come back:\n\n  " + address + "\n")
		})
		if err != nil {
			s.session.Why = "the login by hand failed: " + err.Error()
			s.noLogin = s.session.Why
			s.say(s.session.Why)
			return ""
		}
		// A person should sign in only once: checks with many logins are left out.
		s.session.Why, token = "the user signed in once, by hand", tokens.Access
	default:
		if s.session.Begin(ctx); s.session.Ready {
			s.session.Learn(ctx, func(access string) bool { return sv.Serves(ctx, s.client, access) })
			token = s.session.Tokens.Access
		}
	}
	return token
}

// asksForLogin reports whether the configuration asks for a login.
func (c *Config) asksForLogin() bool { return len(c.Users) > 0 || c.Driver == "manual" }

// notWorking says what the user gave or asked for that did not work. Ask when all checks are done.
func (s *preparation) notWorking() []string {
	var out []string
	if s.cfg.Token != "" {
		if why := s.world.Survey.TokenRefused(); why != "" {
			out = append(out, "the token given did not work: "+why)
		}
	}
	switch {
	case !s.cfg.asksForLogin():
	case s.session == nil:
		out = append(out, "nobody could sign in: the target names no authorization server with an authorization and a token endpoint")
	case s.noLogin != "":
		out = append(out, s.noLogin)
	case s.cfg.Driver != "manual" && !s.session.Ready:
		out = append(out, "nobody could sign in: "+s.session.Why)
	}
	if why := s.world.Distrusted(); why != "" {
		out = append(out, why)
	}
	return out
}

// authorizationServer returns the authorization server with an issuer identifier, or where that is empty the first, of those whose metadata
// name the endpoints of the code flow. One whose endpoints may be used goes first, and one that mcpauth does not run.
func (c *Config) authorizationServer(sv *survey.Survey, issuer string) (oauth.Server, bool) {
	servers := slices.DeleteFunc(c.usable(sv), func(s oauth.Server) bool { return issuer != "" && s.Issuer != issuer })
	if len(servers) == 0 {
		return oauth.Server{}, false
	}
	slices.SortStableFunc(servers, func(a, b oauth.Server) int { return cmp.Compare(c.reluctance(a), c.reluctance(b)) })
	return servers[0], true
}

// reluctance orders authorization servers: lower ones go first.
func (c *Config) reluctance(s oauth.Server) (n int) {
	if c.Runs(s.Issuer) {
		n += 2
	}
	if s.Authorization == "" || s.Token == "" {
		n++
	}
	return n
}

// usable returns the authorization servers whose metadata name the endpoints of the code flow. Metadata are accepted only from the
// places that RFC 8414 section 3 and OpenID Connect Discovery section 4 derive from the issuer, and an endpoint on another
// origin than the issuer's only if the user trusts it.
func (c *Config) usable(sv *survey.Survey) []oauth.Server {
	var out []oauth.Server
	for i := range sv.Servers {
		var documents []*document.Object
		for j := range sv.Servers[i].Documents {
			if d := &sv.Servers[i].Documents[j]; d.Found() {
				documents = append(documents, d.Object)
			}
		}
		if documents == nil {
			continue
		}
		issuer := sv.Servers[i].Issuer
		server := oauth.FromMetadata(issuer, func(endpoint string) bool { return c.trusts(issuer, endpoint) }, documents...)
		named := func(endpoint, name string) bool { return endpoint != "" || server.Withheld[name] != "" }
		if named(server.Authorization, "authorization_endpoint") && named(server.Token, "token_endpoint") {
			out = append(out, server)
		}
	}
	return out
}

// trusts reports whether an endpoint has the origin of its issuer, or that the user named it or its origin.
func (c *Config) trusts(issuer, endpoint string) bool {
	at := origin(endpoint)
	return at == origin(issuer) || slices.Contains(c.TrustEndpoints, endpoint) || slices.ContainsFunc(c.TrustEndpoints, func(t string) bool {
		return strings.TrimSuffix(t, "/") == at
	})
}

// signInAt says what is wrong with the choice of an authorization server, if anything is.
func (c *Config) signInAt(sv *survey.Survey) error {
	if _, ok := c.authorizationServer(sv, c.SignInAt); ok || c.SignInAt == "" {
		return nil
	}
	var named []string
	for _, s := range c.usable(sv) {
		named = append(named, s.Issuer)
	}
	if len(named) == 0 {
		return usage("no user can sign in at %s: the target names no authorization server with the endpoints of the code flow", c.SignInAt)
	}
	return usage("no user can sign in at %s: the target names %s", c.SignInAt, strings.Join(named, ", "))
}

// scopes follows MCP's scope selection strategy: the challenge's scope, else the resource's scopes_supported.
func scopes(sv *survey.Survey, in *session.Input) {
	var challenged, published []string
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if v, ok := expect.Param(sv.Refused[w], "scope"); ok && challenged == nil {
			challenged = strings.Fields(v)
		}
	}
	if d := sv.Resource(); d != nil {
		published, _ = d.Object.Strings("scopes_supported")
		in.Resource = cmp.Or(d.Object.String("resource"), in.Resource)
	}
	for _, strategy := range [][]string{challenged, published} {
		if len(in.Scopes) == 0 {
			in.Scopes = strategy
		}
	}
	in.Pool = unite(in.Scopes, challenged, published)
	if len(in.Pool) < 2 {
		for i := range sv.Servers {
			if m := sv.Servers[i].Metadata(); m != nil {
				more, _ := m.Object.Strings("scopes_supported")
				in.Pool = unite(in.Pool, more)
			}
		}
	}
}

func unite(lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		for _, v := range list {
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// unregister deletes what was registered, also after an interruption, and says what is left.
func (s *preparation) unregister(ctx context.Context) (facts []reports.Fact) {
	if s.session == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	left := s.session.End(ctx)
	for _, closer := range s.closers {
		closer()
	}
	switch {
	case s.session.Ready:
		facts = append(facts, reports.Fact{Name: "login", Value: "a code flow was completed"})
	case len(s.cfg.Users) > 0, s.cfg.Driver == "manual":
		facts = append(facts, reports.Fact{Name: "login", Value: s.session.Why})
	}
	if len(left) > 0 {
		facts = append(facts, reports.Fact{Name: "clients not deleted", Value: strings.Join(left, ", ")})
	}
	return facts
}

// longestNotice bounds what a target may have put into a notice, in bytes. The longest address to open fits.
const longestNotice = 20 << 10

// say tells the user something about the run itself, without what a target may have put into it: secrets, and characters that
// control a terminal.
func (s *preparation) say(notice string) {
	if s.cfg.OnNotice != nil {
		notice = s.secrets.Remove(notice)
		if len(notice) > longestNotice {
			notice = strings.ToValidUTF8(notice[:longestNotice], "") + "…"
		}
		s.cfg.OnNotice(reports.Printable(notice))
	}
}

// driver returns the login driver for pages that plain forms cannot handle.
func (s *preparation) driver() login.Driver {
	if s.cfg.Driver == "form" || s.cfg.Driver == "manual" || len(s.cfg.Users) == 0 {
		return nil
	}
	return &login.Browser{NoSandbox: s.cfg.BrowserNoSandbox, Client: s.client, Say: s.say, Recipe: s.cfg.Recipe, Picture: s.picture}
}

// picture keeps a picture of a page for the report.
func (s *preparation) picture(shot reports.Screenshot) {
	s.picturing.Lock()
	defer s.picturing.Unlock()
	s.pictures = append(s.pictures, shot)
}

// BrowserFound returns an error if no browser is installed in which users can sign in. The error says how to get
// one.
func BrowserFound() error {
	_, err := login.FindBrowser("")
	return err
}
