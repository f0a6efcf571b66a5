package check

import (
	"fmt"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
)

// needSession tries what a check needs of the authorization server, its clients and its users.
func (e *Engine) needSession(t *T, name string) *stop {
	absent := func(format string, args ...any) *stop {
		return &stop{reports.NotApplicable, fmt.Sprintf(format, args...)}
	}
	withheld := func(format string, args ...any) *stop {
		return &stop{reports.NotTested, fmt.Sprintf(format, args...)}
	}
	s := e.World.Session
	if s == nil {
		return absent("no authorization server with an authorization and a token endpoint was found (AS-META-PUBLISHED)")
	}
	if s.Barred != "" && s.Server.Token == "" {
		return withheld("%s", s.Barred)
	}
	client := func(kind string) *stop {
		if c, why := s.Client(t.ctx, kind); c == nil {
			return withheld("%s", why)
		}
		return nil
	}
	endpoint := func(address, name string) *stop {
		if why := s.Server.WhyWithheld(name); why != "" {
			return withheld("%s", why)
		}
		if address == "" {
			return absent("the metadata names no %s", name)
		}
		return nil
	}
	switch name {
	case "metadata-session": // that there is a server to speak with
	case "login", "id-token", "wrong-kind-of-token":
		return e.needLogin(t)
	case "login-2":
		if s.UserCount() < 2 {
			return withheld("it needs a second user; give one with --second-username")
		}
		if why := s.NoLogin(1); why != "" {
			return withheld("%s", why)
		}
		return e.needLogin(t)
	case "client-public":
		if c, _ := s.Client(t.ctx, session.Public); c == nil {
			return client(session.Confidential) // any client will do for most
		}
	case "client-public-2":
		return client(session.Second)
	case "client-confidential", "client-confidential-or-pkce-optional", "introspection-creds":
		return client(session.Confidential)
	case "dcr", "client-fresh", "client-two-redirects", "client-https-redirect", "client-loopback", "client-query-redirect":
		return e.needRegistration(t)
	case "dcr-mgmt":
		return e.needManagement(t)
	case "refresh-grant":
		if r := e.needLogin(t); r != nil {
			return r
		}
		if s.Tokens.Refresh == "" {
			return absent("the authorization server issues no refresh token")
		}
	case "revocation-endpoint", "revocable-token":
		return endpoint(s.Server.Revocation, "revocation_endpoint")
	case "introspection-endpoint":
		return endpoint(s.Server.Introspection, "introspection_endpoint")
	case "userinfo-endpoint":
		return endpoint(s.Server.Userinfo, "userinfo_endpoint")
	case "scopes-2":
		if len(t.AS.ScopePool()) < 2 {
			return withheld("it needs two scopes that the user may grant, and the target names %d", len(t.AS.ScopePool()))
		}
	case "consent-page":
		if s.Ready && !s.Consented {
			return absent("the authorization server shows no consent page (AS-CONSENT-REQUIRED)")
		}
	case "token-visible", "userinfo-or-introspection":
		return e.needVisible(t, name)
	case "user-credentials":
		if s.UserCount() == 0 {
			return withheld("it needs a user's name and password; give them with --username")
		}
		if why := s.NoLogin(0); why != "" {
			return withheld("%s", why)
		}
	}
	return nil
}

func (e *Engine) needLogin(t *T) *stop {
	s := e.World.Session
	if s.Ready {
		return nil
	}
	if why := s.NoLogin(0); why != "" {
		t.transcript = append(t.transcript, s.Exchanges()...)
		return &stop{reports.NotTested, why}
	}
	if s.UserCount() == 0 {
		return &stop{reports.NotTested, "it needs a user who signs in; give one with --username (" + s.Why + ")"}
	}
	t.transcript = append(t.transcript, s.Exchanges()...)
	return &stop{reports.Inconclusive, "no user could sign in: " + s.Why}
}

func (e *Engine) needRegistration(t *T) *stop {
	s := e.World.Session
	switch {
	case s.Server.WhyWithheld("registration_endpoint") != "":
		return &stop{reports.NotTested, s.Server.WhyWithheld("registration_endpoint")}
	case s.Server.Registration == "":
		return &stop{reports.NotApplicable, "the authorization server offers no dynamic registration"}
	case s.Barred != "":
		return &stop{reports.NotTested, s.Barred}
	case !s.Register:
		return &stop{reports.NotTested, "it needs clients registered at the authorization server; allow that with --register"}
	}
	for _, kind := range []string{session.Public, session.Confidential} {
		if c, _ := s.Client(t.ctx, kind); c != nil && c.Registered != nil {
			return nil
		}
	}
	_, why := s.Client(t.ctx, session.Public)
	return &stop{reports.NotTested, "registration is not open to everybody: " + why}
}

func (e *Engine) needManagement(t *T) *stop {
	if r := e.needRegistration(t); r != nil {
		return r
	}
	for _, kind := range []string{session.Public, session.Confidential} {
		if c, _ := e.World.Session.Client(t.ctx, kind); c != nil && c.Registered != nil {
			if _, _, ok := e.World.Session.Manageable(c); ok {
				return nil
			}
		}
	}
	return &stop{reports.NotApplicable, "the authorization server issues no registration_access_token (RFC 7592)"}
}

func (e *Engine) needVisible(t *T, name string) *stop {
	s := e.World.Session
	if s.Ready {
		if h, _ := oauth.Claims(s.Tokens.Access); h != nil {
			return nil
		}
	}
	if s.Server.Introspection != "" {
		if c, _ := s.Client(t.ctx, session.Confidential); c != nil {
			return nil
		}
	}
	if name == "userinfo-or-introspection" && s.Server.Userinfo != "" {
		return nil
	}
	return &stop{reports.NotTested, "the content of a token cannot be seen: it is no JWT, and there are no credentials for introspection"}
}

// ScopePool are the scopes that an ordinary user may grant: those the target speaks of, without those that
// mean something of their own to OpenID Connect.
func (t AuthorizationServer) ScopePool() []string {
	var out []string
	for _, v := range t.Session.Pool {
		switch v {
		case "openid", "profile", "email", "address", "phone", "offline_access":
			continue
		}
		out = append(out, v)
	}
	return out
}

// needScoped finds out whether tokens with chosen scopes can be had.
func (e *Engine) needScoped(t *T) *stop {
	if e.World.Issuer != nil && e.needIssuer(t) == nil {
		return nil
	}
	if e.World.Session == nil {
		return &stop{reports.NotTested, "it needs tokens with chosen scopes: a login (--username), or a target that trusts an issuer of ours"}
	}
	return e.needLogin(t)
}
