package session

import (
	"context"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Overlap describes how logins affect each other. No clause requires a server to support two grants of a user and a client at a time, or
// two login sessions of a user.
type Overlap struct {
	// EndsGrants says that a login ends an earlier grant of the same user and client, or its refresh token.
	EndsGrants bool
	// EndsOthers says that it ends the grants of other clients too.
	EndsOthers bool
	// EndsSessions says that a login ends the login session in another browser.
	EndsSessions bool
}

// InTurns reports whether logins of a user must not overlap.
func (s *Session) InTurns() bool {
	return s.EndsSessions || s.EndsGrants && (s.EndsOthers || !s.registers())
}

// registers reports whether every check can register its own clients.
func (s *Session) registers() bool { return s.Register && s.Server.Registration != "" }

// Apart registers a client for one grant, which no other login ends; nil if grants do not end each other, or if that does not help.
func (s *Session) Apart(ctx context.Context) *oauth.Client {
	if s == nil || !s.EndsGrants || s.EndsOthers || !s.registers() || s.mayNotRegister() != "" {
		return nil
	}
	c, _ := s.register(ctx, Public, oauth.None)
	return c
}

type owner struct{}

// OwnedBy marks a context with the check that needs clients: it gets its own if grants end each other.
func OwnedBy(ctx context.Context, check string) context.Context {
	return context.WithValue(ctx, owner{}, check)
}

// separates reports whether a check registers its own clients, instead of those that are shared or declared: their grants end each other.
func (s *Session) separates(ctx context.Context) bool {
	return OwnerOf(ctx) != "" && s.EndsGrants && s.registers() && s.mayNotRegister() == ""
}

// OwnerOf returns the check of OwnedBy, or "".
func OwnerOf(ctx context.Context) string {
	check, _ := ctx.Value(owner{}).(string)
	return check
}

// Learn finds out how logins affect each other; serves reports whether a token is accepted. The session's tokens are valid afterwards.
func (s *Session) Learn(ctx context.Context, serves func(access string) bool) {
	if !s.Ready || s.identities[0].User == nil {
		return
	}
	first, outcome := s.Tokens, s.First
	defer func() { s.First, s.Ready, s.Why = outcome, true, "" }()
	refreshed := s.refresh(ctx, first)
	s.learnSessions(ctx)
	served := serves(first.Access)
	if s.begin(ctx, first.Client); s.Tokens == first {
		return // a second login fails
	}
	s.EndsGrants = served && !serves(first.Access) && serves(s.Tokens.Access) || refreshed != nil && s.refresh(ctx, refreshed) == nil
	if !s.EndsGrants || !s.registers() {
		return
	}
	mine := s.Tokens
	if other, _ := s.Client(ctx, Second); other != nil && other.ID != mine.Client.ID {
		s.begin(ctx, other)
		s.EndsOthers = !serves(mine.Access)
		s.begin(ctx, mine.Client)
	}
}

// learnSessions signs in with a second browser, and tests whether the first one is still signed in.
func (s *Session) learnSessions(ctx context.Context) {
	who := s.identities[0]
	if !s.Asked || who.User.OneTime != "" { // a code of an authenticator app works only once
		return
	}
	jar := who.Borrow(ctx)
	defer who.Return(jar)
	if !s.signedIn(ctx, jar) {
		return // the server always asks for a login
	}
	s.walk(ctx, login.NewJar(), who.User, login.Route{Decision: login.Leave})
	s.EndsSessions = !s.signedIn(ctx, jar)
}

// signedIn reports whether a browser needs no login.
func (s *Session) signedIn(ctx context.Context, jar *login.Jar) bool {
	o := s.walk(ctx, jar, nil, login.Route{Decision: login.Leave, StopAtLogin: true})
	return o.Stage == login.AtConsent || o.Stage == login.Answered
}

// walk follows an ordinary request of the first flow's client through the pages, with plain forms.
func (s *Session) walk(ctx context.Context, jar *login.Jar, u *login.User, r login.Route) *login.Outcome {
	c := s.Tokens.Client
	r.RedirectURI = c.RedirectURI
	agent := s.agent(ctx, jar, u, c)
	return agent.Walk(oauth.AtQuery(s.Server.Authorization, s.Request(c, oauth.NewPKCE(43))), r)
}

// refresh uses a refresh token; nil without a new access token.
func (s *Session) refresh(ctx context.Context, t *oauth.Tokens) *oauth.Tokens {
	if t.Refresh == "" {
		return nil
	}
	f := oauth.Form{{Name: "grant_type", Value: "refresh_token"}, {Name: "refresh_token", Value: t.Refresh}}
	if s.SendResource {
		f.Set("resource", s.Resource)
	}
	fields := t.Client.Authenticate(&f)
	ex := s.send(ctx, oauth.Request(s.Server.Token, f, fields...))
	next := oauth.ReadTokens(ex)
	if next == nil || expect.Status(ex) != 200 {
		return nil
	}
	if next.Client = t.Client; next.Refresh == "" {
		next.Refresh = t.Refresh
	}
	s.Remember(next)
	return next
}

// Another returns a further grant of the first user for the first flow's client; nil if that would end others, or fails.
func (s *Session) Another(ctx context.Context) *oauth.Tokens {
	if s == nil || !s.Ready || s.EndsGrants || s.EndsSessions || s.identities[0].User == nil {
		return nil
	}
	who, c, pair := s.identities[0], s.Tokens.Client, oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	jar := who.Borrow(ctx)
	defer who.Return(jar)
	agent := s.agent(ctx, jar, who.User, c)
	o := s.Carry(ctx, agent, oauth.AtQuery(s.Server.Authorization, s.Request(c, pair)), login.Route{RedirectURI: c.RedirectURI}, false)
	if o.Stage != login.Answered || o.Params.Get("code") == "" {
		return nil
	}
	form := s.Redemption(c, o.Params.Get("code"), pair)
	fields := c.Authenticate(&form)
	t := oauth.ReadTokens(s.send(ctx, oauth.Request(s.Server.Token, form, fields...)))
	if t == nil {
		return nil
	}
	t.Client = c
	s.Remember(t)
	return t
}
