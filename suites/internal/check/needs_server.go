package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// needsOfTheServer are needs of the authorization server, and of its clients.
var needsOfTheServer = map[string]need{
	"issuer": {met: server(func(a *survey.Server) bool { return a.Err == nil },
		"no authorization server entry is a URL that could be asked (RS-DISC-AS-ENTRIES)")},
	"metadata": {met: server(func(a *survey.Server) bool { return a.Metadata() != nil },
		"no authorization server metadata was found (AS-META-PUBLISHED)")},
	"metadata-oidc": {met: server(servesOpenIDDiscovery, "no OpenID discovery document is served")},
	"issuer-tls": {met: server(func(a *survey.Server) bool { return strings.HasPrefix(a.Issuer, "https://") && !loopbackURL(a.Issuer) },
		"the authorization server is on loopback or not reached by https")},
	"issuer-with-path": {met: server(hasPath, "the issuer has no path")},
	"jwks":             {met: server(func(a *survey.Server) bool { return a.JWKS.URL != "" }, "the metadata names no jwks_uri")},

	"code-flow":              {met: (*T).hasCodeFlow},
	"revocation-endpoint":    endpointOf("revocation_endpoint", func(s *oauth.Server) string { return s.Revocation }),
	"introspection-endpoint": endpointOf("introspection_endpoint", func(s *oauth.Server) string { return s.Introspection }),
	"userinfo-endpoint":      endpointOf("userinfo_endpoint", func(s *oauth.Server) string { return s.Userinfo }),
	"revocable-token":        {signsIn: true, after: []string{"revocation-endpoint"}},
	"ext-cc": {after: codeFlow, met: has(func(t *T) bool { return t.AS.ClientCredentials() || len(t.Session.Machines()) > 0 },
		"grant_types_supported does not list client_credentials: the extension is not offered")},
	"ext-ema": {met: has(func(t *T) bool { return t.AS.Lists("grant_types_supported", JWTBearer) },
		"grant_types_supported does not list the grant of identity assertions: the extension is not offered")},
	"sign-in-seen": {give: "--username", met: has(func(t *T) bool { return t.Pages.signIn().known },
		"whether users sign in at another authorization server is seen only after a login (--username)")},
	"proxy": {give: "--username", after: []string{"client-public", "sign-in-seen"},
		met: has(func(t *T) bool { return t.Pages.signIn().elsewhere },
			"the authorization server signs users in itself: it is not a proxy")},
	"consent-page": {signsIn: true, after: codeFlow, met: has((*T).mayBeAsked,
		"the authorization server shows no consent page (AS-CONSENT-REQUIRED)")},
	"login-by-script": {signsIn: true, unless: func(t *T) bool { return t.IDTokenCallback != "" },
		met: has(func(t *T) bool { return !t.seenLoginForm() },
			"users sign in by an ordinary form, not by an ID token that a script hands over")},

	// Most checks can use any client.
	"client-public": {signsIn: true, give: "--register", after: codeFlow,
		met: client(session.Public, session.Confidential)},
	"client-public-2":                      {signsIn: true, give: "--register", after: codeFlow, met: client(session.Second)},
	"client-confidential":                  {signsIn: true, give: "--register", after: codeFlow, met: client(session.Confidential)},
	"client-confidential-or-pkce-optional": {signsIn: true, give: "--register", after: codeFlow, met: client(session.Confidential)},
	"introspection-creds": {signsIn: true, give: "client.clients in the target file", after: codeFlow,
		met: (*T).mayIntrospect},

	"registration-endpoint": {after: codeFlow, met: func(t *T) *lack {
		return t.endpoint("registration_endpoint", t.Session.Server.Registration, "the authorization server offers no dynamic registration")
	}},
	"registration-permitted": {give: "--register", after: codeFlow, met: (*T).mayRegister},
	"dcr": {signsIn: true, give: "--register", after: []string{"registration-endpoint", "registration-permitted"},
		met: (*T).canRegister},
	"client-fresh":          {signsIn: true, give: "--register", after: []string{"dcr"}},
	"client-two-redirects":  {signsIn: true, give: "--register", after: []string{"dcr"}},
	"client-https-redirect": {signsIn: true, give: "--register", after: []string{"dcr"}},
	"client-loopback":       {signsIn: true, give: "--register", after: []string{"dcr"}},
	"client-query-redirect": {signsIn: true, give: "--register", after: []string{"dcr"}},
	"dcr-mgmt": {signsIn: true, give: "--register", after: []string{"dcr"}, met: has((*T).canManage,
		"the authorization server issues no registration_access_token (RFC 7592)")},

	"client-machine": {signsIn: true, give: "client.clients in the target file", after: codeFlow,
		met: has(func(t *T) bool { return len(t.Session.Machines()) > 0 },
			"it needs a client that acts for itself (client.clients in the target file, machine: true)")},
	"client-jwt": {signsIn: true, give: "client.clients in the target file", after: codeFlow,
		met: has(func(t *T) bool { return t.AS.MachineWithKey() != nil },
			"it needs a client that acts for itself and authenticates by private_key_jwt (client.clients in the target file, machine: true, key)")},
	"cimd-host": {signsIn: true, give: "--cimd-listen", then: codeFlow, met: has(func(t *T) bool { return t.Documents != nil },
		"it needs an address of mcpauth that the authorization server can reach and trust (--cimd-listen)")},
}

var codeFlow = []string{"code-flow"}

// endpointOf returns the need for an endpoint in the metadata.
func endpointOf(member string, address func(*oauth.Server) string) need {
	return need{signsIn: true, after: codeFlow, met: func(t *T) *lack {
		return t.endpoint(member, address(&t.Session.Server), "the metadata names no "+member)
	}}
}

// endpoint is met by an address that may get secrets.
func (t *T) endpoint(member, address, absent string) *lack {
	if why := t.Session.Server.WhyWithheld(member); why != "" {
		return withheld("%s", why)
	}
	if address == "" {
		return missing("%s", absent)
	}
	return nil
}

func (t *T) hasCodeFlow() *lack {
	s := t.Session
	switch {
	case s == nil:
		return missing("no authorization server with an authorization and a token endpoint was found (AS-META-PUBLISHED)")
	case s.Barred != "" && s.Server.Token == "":
		return withheld("%s", s.Barred)
	}
	return nil
}

// server is met by one of the authorization servers that the target names.
func server(condition func(*survey.Server) bool, why string) func(*T) *lack {
	return func(t *T) *lack {
		if len(t.Survey.Servers) == 0 {
			return missing("no authorization server is named by the target")
		}
		if slices.ContainsFunc(t.judgedServers(), condition) {
			return nil
		}
		return missing("%s", why)
	}
}

func servesOpenIDDiscovery(a *survey.Server) bool {
	return slices.ContainsFunc(a.Documents, func(d survey.Document) bool { return d.Found() && strings.HasPrefix(d.Place, "oidc") })
}

func hasPath(a *survey.Server) bool {
	u, err := document.ParseURL(a.Issuer)
	return err == nil && strings.Trim(u.Path, "/") != ""
}

// client is met by a client of one of these kinds.
func client(kinds ...string) func(*T) *lack {
	return func(t *T) *lack {
		why := ""
		for _, kind := range kinds {
			c, reason := t.Session.Client(t.ctx, kind)
			if c != nil {
				return nil
			}
			why = reason
		}
		if t.Session.Unanswered(why) {
			return unusable("%s", why)
		}
		return missing("%s", why)
	}
}

// mayIntrospect is met by the resource server's client, or by one that can introspect its own tokens.
func (t *T) mayIntrospect() *lack {
	if t.Session.Introspector() != nil {
		return nil
	}
	return client(session.Confidential)(t)
}

// registered returns the self-registered clients.
func (t *T) registered() []*oauth.Client {
	var out []*oauth.Client
	for _, kind := range []string{session.Public, session.Confidential} {
		if c, _ := t.Session.Client(t.ctx, kind); c != nil && c.Registered != nil {
			out = append(out, c)
		}
	}
	return out
}

func (t *T) mayRegister() *lack {
	switch {
	case t.Session.Barred != "":
		return missing("%s", t.Session.Barred)
	case !t.Session.Register:
		return missing("it needs clients registered at the authorization server; allow that with --register")
	}
	return nil
}

func (t *T) canRegister() *lack {
	if len(t.registered()) > 0 {
		return nil
	}
	_, why := t.Session.Client(t.ctx, session.Public)
	if t.Session.Unanswered(why) {
		return unusable("%s", why)
	}
	return missing("no client could be registered: %s", why) // the answer says whether it is closed, absent or broken
}

func (t *T) canManage() bool {
	return slices.ContainsFunc(t.registered(), func(c *oauth.Client) bool { _, _, ok := t.Session.Manageable(c); return ok })
}

// seenLoginForm reports whether a page asked for a user name and a password.
func (t *T) seenLoginForm() bool {
	s := t.Session
	return s != nil && s.First != nil && slices.ContainsFunc(s.First.Pages, func(p *login.Page) bool { return p.Login() != nil })
}

// signInPlace is where users sign in.
type signInPlace struct {
	elsewhere bool // at another authorization server than the target's
	known     bool
}

// signIn finds out once whether the authorization server redirects users to another one to sign in.
func (t Pages) signIn() signInPlace {
	return Once(t.T, "proxy", func() signInPlace {
		if s := t.Session; s.Ready && s.First != nil {
			for _, hop := range s.First.Hops {
				if t.Upstream.IsRequest(hop.To) {
					return signInPlace{true, true}
				}
			}
			return signInPlace{false, true}
		}
		g := t.AS.Authorize(Nobody(), Until(t.Upstream.IsRequest))
		elsewhere := t.Upstream.RequestOf(g) != nil
		return signInPlace{elsewhere, elsewhere || g.Stage == login.AtLogin || g.Stage == login.Answered || g.Stage == login.Elsewhere}
	})
}

// mayBeAsked reports whether users may be asked for consent. A login without the page shows that they are not, unless the user may have
// approved the client before this run.
func (t *T) mayBeAsked() bool {
	return !t.Session.Ready || t.Session.Consented || t.Session.Tokens.Client.Registered == nil
}
