package idp

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Manners are what other right servers do, and Ideal does not.
type Manners struct {
	// EndsEarlierGrants ends the earlier grants of a user and client pair when the user authorizes the client again.
	EndsEarlierGrants bool
	// ReplayEndsAllGrants ends all grants of a user when one of the user's codes is used again.
	ReplayEndsAllGrants bool
	// OneRefreshToken keeps one refresh token for a user and client pair: a new one replaces that of an earlier grant.
	OneRefreshToken bool
	// OneCode lets a user and a client have one code at a time: a new one replaces it.
	OneCode bool
	// BindsUser binds a transaction to the user who was asked, in any browser.
	BindsUser bool
	// OneSession keeps one login session for a user: signing in ends the one in another browser.
	OneSession bool
	// HashTime is how long it takes to compare a password.
	HashTime time.Duration
	// RequestDefault is granted where a request names no scope; the first of Server.Scopes if nil.
	RequestDefault []string
	// OfflineOnly issues refresh tokens for the scope offline_access only, requested with prompt=consent.
	OfflineOnly bool
	// Introspector is the only client that may introspect tokens, those of all clients. If empty, each client sees its own.
	Introspector string
	// ReadOnlyRegistration lets a client read its registration, but not change or delete it.
	ReadOnlyRegistration bool
	// NativeLoopback lets the port of a loopback redirect URI vary for clients of application_type native only.
	NativeLoopback bool
	// CodeFirst looks up the code before it authenticates the client.
	CodeFirst bool
	// FragmentErrors sends errors about an unknown response_type in the fragment.
	FragmentErrors bool
	// ReuseInterval is how long a used refresh token still works.
	ReuseInterval time.Duration
	// MovedOpenID redirects the OpenID document to another path of the same origin.
	MovedOpenID bool
	// MovedDocuments redirects all documents in this way: a flaw.
	MovedDocuments bool
	// SamePassword compares a password with the right one: a flaw. Nil: they are compared as a whole.
	SamePassword func(typed, right string) bool
	// FixedToken is the token of every form: a flaw. Empty: each has its own.
	FixedToken string
	// ShowsRaw are the members of a client's registration that the consent page shows as they are: a flaw.
	ShowsRaw []string
	// DemoClient is the way in which the client of a guide authenticates, where it is registered: a flaw.
	DemoClient string
	// AnyName signs in under any name, and creates the account: a flaw.
	AnyName bool
	// BareForms leave out the token of the consent form, and do not tie it to a browser: SameSite cookies, or a comparison of Origin,
	// keep other sites from sending it.
	BareForms bool
	// CrossSiteCookies lets browsers send the cookies with forms of other sites: SameSite=None.
	CrossSiteCookies bool
	// GoesOn is where the server reads the address to which it redirects after the login: in the request, in the address of the login
	// page, or in a field of its form. A flaw without the defence OwnPaths: any address is accepted.
	GoesOn   string
	OwnPaths bool
	// PublishedSecret is the token_endpoint_auth_method of documents whose client_secret is accepted: a flaw. With "none", it is
	// accepted as client_secret_post.
	PublishedSecret string
	// IgnoresPublishedSecrets reads the clients of documents with a secret as public ones.
	IgnoresPublishedSecrets bool
	// RemembersFailure reports that a document that could not be fetched, or read, for a reason stays refused: a flaw.
	RemembersFailure func(reason string) bool
	// FollowsRedirect reports that a redirect to a document is followed: a flaw. Nil: none is.
	FollowsRedirect func(status int, to *url.URL) bool
	// ShowsOtherHost is the host that the consent page shows instead of that of the redirect URI: a flaw. Nil: none.
	ShowsOtherHost func(registered []string, requested string) string
	// RedirectsToDocumentHost accepts documents only whose redirect URIs are on their own host.
	RedirectsToDocumentHost bool
	// TrustedDocumentHost is a host whose documents are fetched from any address: an exception of the operator.
	TrustedDocumentHost string
	// DialsAnyway reports that the server connects to a host without a check of its address: a flaw. Nil: none is.
	DialsAnyway func(host string) bool
	// TakesDocumentURL fetches documents from addresses that are not valid client identifiers, and TakesDocumentID accepts a document
	// whose client_id is another address, or missing: flaws.
	TakesDocumentURL func(id string) bool
	TakesDocumentID  func(id, claimed string) bool
	// LimitsOnTheWire counts the bytes of a compressed document before they are decompressed: a flaw.
	LimitsOnTheWire bool
	// FragileCodes ends a code with the first token request that names it, even if the request fails.
	FragileCodes bool
	// RotatesPublicOnly leaves confidential clients their refresh tokens.
	RotatesPublicOnly bool
	// ScriptCookie sets a cookie for scripts, which is not the session cookie.
	ScriptCookie bool
}

// address is where the server redirects after the login; empty for the request itself.
func (m *Manners) address(t *transaction, form url.Values) string {
	to := t.goesOn
	if m.GoesOn == "field" {
		to = form.Get("continue")
	}
	if m.GoesOn == "" || to == "/" || m.OwnPaths {
		return ""
	}
	return to
}

// raw are the members of a client's registration that the consent page shows as they are.
func (m *Manners) raw(c *client) template.HTML {
	var out strings.Builder
	for _, name := range m.ShowsRaw {
		switch v := c.sent[name].(type) {
		case string:
			if name == "logo_uri" {
				fmt.Fprintf(&out, `<img src="%s">`, v)
			} else {
				fmt.Fprintf(&out, `<a href="%s">%s</a>`, v, name)
			}
		case []any:
			fmt.Fprint(&out, v...)
		}
	}
	return template.HTML(out.String())
}

// samePassword compares a password with the right one.
func (m *Manners) samePassword(typed, right string) bool {
	if m.SamePassword != nil {
		return m.SamePassword(typed, right)
	}
	return typed == right
}

// movedOpenID is where the OpenID document is if it has moved.
const movedOpenID = "/openid-configuration.json"

// endEarlier ends the grants of a user and client pair.
func (s *Server) endEarlier(user, client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.access {
		t.grant.revoked = t.grant.revoked || t.grant.user == user && t.grant.client == client
	}
	for _, t := range s.refresh {
		t.grant.revoked = t.grant.revoked || t.grant.user == user && t.grant.client == client
	}
}

// replaceRefresh forgets the refresh tokens that other grants have of the same user and client. The caller holds mu.
func (s *Server) replaceRefresh(g *grant) {
	for value, t := range s.refresh {
		if t.grant != g && t.grant.user == g.user && t.grant.client == g.client {
			delete(s.refresh, value)
		}
	}
}

// replaceCodes forgets the codes of the same user and client. The caller holds mu.
func (s *Server) replaceCodes(g *grant) {
	for value, c := range s.codes {
		if c.grant.user == g.user && c.grant.client == g.client {
			delete(s.codes, value)
		}
	}
}

// endSessions ends the login sessions of a user. The caller holds mu.
func (s *Server) endSessions(user string) {
	for id, u := range s.sessions {
		if u == user {
			delete(s.sessions, id)
		}
	}
}

// offline reports that a request asks for a refresh token as OpenID Connect Core section 11 has it.
func (m *Manners) offline(q url.Values, scopes []string) bool {
	return !m.OfflineOnly || slices.Contains(scopes, "offline_access") && slices.Contains(strings.Fields(q.Get("prompt")), "consent")
}

// inFragment reports that an answer belongs in the fragment.
func (m *Manners) inFragment(t *transaction) bool {
	return m.FragmentErrors && t.problem != nil && t.problem.code == "unsupported_response_type"
}

// unknownCode reports that a token request names a code that was never issued.
func (s *Server) unknownCode(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.PostForm.Get("grant_type") == "authorization_code" && s.codes[r.PostForm.Get("code")] == nil
}

// refuseCode refuses an unknown code before the client is authenticated: these errors count for the client that the request names.
func (s *Server) refuseCode(w http.ResponseWriter, r *http.Request) {
	name := r.PostForm.Get("client_id")
	if user, _, ok := r.BasicAuth(); ok {
		name = user
	}
	if s.Behaviour.has(LimitErrors) && s.locked("errors "+name) {
		s.overrun(w, r)
		return
	}
	s.failed("errors "+name, true, mostErrors)
	s.writeOAuthError(w, r, refuse("invalid_grant", "the code is not known"))
}

// mayIntrospect reports that a client sees a token.
func (s *Server) mayIntrospect(c *client, t *accessToken) bool {
	switch {
	case !s.Behaviour.has(IntrospectOwn), !s.Behaviour.has(IntrospectAuth):
		return true
	case s.Behaviour.Introspector != "":
		return c != nil && c.id == s.Behaviour.Introspector
	}
	return c != nil && t.grant.client == c.id
}

// spoil ends a code that a failed token request named, at a server that does so.
func (s *Server) spoil(code string, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed && s.Behaviour.FragileCodes {
		delete(s.codes, code)
	}
}

// rotates reports that the refresh tokens of this kind of client rotate.
func (s *Server) rotates(c *client) bool {
	return c == nil || c.public() || !s.Behaviour.RotatesPublicOnly
}
