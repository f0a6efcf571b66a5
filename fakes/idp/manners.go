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

// Manners are the ways in which other right servers, and some defective ones, differ from Ideal.
type Manners struct {
	// EndsEarlierGrants ends the earlier grants of a user and client when the user authorizes the client again.
	EndsEarlierGrants bool
	// RaceOfEach is n if each nth code is marked as used in a second step.
	RaceOfEach int
	// ReplayEndsAllGrants ends all grants of a user when a client replays one of the user's codes.
	ReplayEndsAllGrants bool
	// OneRefreshToken keeps one refresh token for a user and client: a new one replaces that of an earlier grant.
	OneRefreshToken bool
	// OneCode keeps one code for a user and client: a new one replaces it.
	OneCode bool
	// SharesPublicClients gives two registrations with the same metadata and no secret one client.
	SharesPublicClients bool
	// RenewsSecrets gives a client another secret whenever it is registered again: a flaw.
	RenewsSecrets bool
	// BindsUser binds a transaction to the user who was asked, in any browser.
	BindsUser bool
	// OneSession keeps one login session for a user: a login ends the session in another browser.
	OneSession bool
	// HashTime is the duration of a password comparison.
	HashTime time.Duration
	// RequestDefault are the scopes granted to a request without scope; if nil, the first of Server.Scopes.
	RequestDefault []string
	// RefreshEndsAccess ends the earlier access tokens of a grant at each refresh.
	RefreshEndsAccess bool
	// ResourceAtRefresh demands the parameter resource in a refresh.
	ResourceAtRefresh bool
	// ProofNonce demands a nonce in DPoP proofs (RFC 9449 section 8).
	ProofNonce bool
	// DevicesRegister offers the device grant to clients that have registered it only.
	DevicesRegister bool
	// DeniedUnknown forgets a device code that its user has denied.
	DeniedUnknown bool
	// LoginAnywhere shows the login page where a device's user is not signed in, and after signing out.
	LoginAnywhere bool
	// ClockAhead is how far the clock, and the Date field, are ahead.
	ClockAhead time.Duration
	// ReusesTokens returns the opaque access token that a user and client hold already, and ReusesRefresh their refresh token.
	ReusesTokens, ReusesRefresh bool
	// OfflineOnly issues refresh tokens only for the scope offline_access, requested with prompt=consent.
	OfflineOnly bool
	// Introspector is the only client that may introspect tokens, those of all clients. If empty, each client introspects its own.
	Introspector string
	// ReadOnlyRegistration lets a client read its registration, but not change or delete it.
	ReadOnlyRegistration bool
	// NativeLoopback lets the port of a loopback redirect URI vary only for clients with application_type native.
	NativeLoopback bool
	// CodeFirst looks up the code before it authenticates the client.
	CodeFirst bool
	// FragmentErrors sends errors about an unknown response_type in the fragment.
	FragmentErrors bool
	// ReuseInterval is how long a used refresh token stays valid.
	ReuseInterval time.Duration
	// MovedOpenID redirects the OpenID document to another path of the same origin.
	MovedOpenID bool
	// MovedDocuments redirects all documents in the same way: a flaw.
	MovedDocuments bool
	// SamePassword compares a password with the right one: a flaw. Nil: they must be equal.
	SamePassword func(typed, right string) bool
	// FixedToken is the CSRF token of every form: a flaw. Empty: each form has its own.
	FixedToken string
	// ShowsRaw are the members of a client's registration that the consent page shows without escaping: a flaw.
	ShowsRaw []string
	// NameInAttribute shows the client's name in an attribute, too, without escaping quotation marks: a flaw.
	NameInAttribute bool
	// LoginNamesClient shows the client's name on the login page, without escaping: a flaw.
	LoginNamesClient bool
	// DemoClient is the authentication method of a guide's client, if that is registered: a flaw.
	DemoClient string
	// SecretAssertions says that clients may authenticate by client_secret_jwt.
	SecretAssertions bool
	// Queries is a field of the login form that is read as a query, with its operator, such as username[$ne]: a flaw.
	Queries string
	// AnyName signs in under any name, and creates the account: a flaw.
	AnyName bool
	// BareForms omit the token of the consent form, and do not bind it to a browser: SameSite cookies, or a comparison of Origin, prevent
	// other sites from sending it.
	BareForms bool
	// TokenField is the name of the hidden field that holds the token of the consent form; csrf if it is empty.
	TokenField string
	// TransactionBytes is the number of random bytes in the id of a transaction, which forms hold; 16 if it is 0.
	TransactionBytes int
	// CrossSiteCookies lets browsers send the cookies with forms of other sites: SameSite=None.
	CrossSiteCookies bool
	// GoesOn is where the server reads the address to which it redirects after the login: in the request, in the address of the login page,
	// or in a field of its form. Without the defence OwnPaths it accepts any address: a flaw.
	GoesOn   string
	OwnPaths bool
	// PublishedSecret is the token_endpoint_auth_method of documents whose client_secret is accepted: a flaw. With "none", it is accepted
	// as client_secret_post.
	PublishedSecret string
	// IgnoresPublishedSecrets treats clients with a secret in their document as public clients.
	IgnoresPublishedSecrets bool
	// RemembersFailure reports whether a document stays refused after a failure with this reason: a flaw.
	RemembersFailure func(reason string) bool
	// FollowsRedirect reports whether a redirect to a document is followed: a flaw. Nil: never.
	FollowsRedirect func(status int, to *url.URL) bool
	// ShowsOtherHost returns the host that the consent page shows instead of the redirect URI's: a flaw. Nil: no other.
	ShowsOtherHost func(registered []string, requested string) string
	// RedirectsToDocumentHost accepts only documents whose redirect URIs are on the document's host.
	RedirectsToDocumentHost bool
	// TrustedDocumentHost is a host whose documents are fetched from any address: an exception of the operator.
	TrustedDocumentHost string
	// DialsAnyway reports whether the server connects to a host without a check of its address: a flaw. Nil: never.
	DialsAnyway func(host string) bool
	// TakesDocumentURL fetches documents from addresses that are not valid client identifiers, and TakesDocumentID accepts a document whose
	// client_id is another address, or missing: flaws.
	TakesDocumentURL func(id string) bool
	TakesDocumentID  func(id, claimed string) bool
	// TakesStatus reads a document that is answered with another status than 200: a flaw. Nil: never.
	TakesStatus func(status int) bool
	// LimitsOnTheWire counts the bytes of a compressed document before they are decompressed: a flaw.
	LimitsOnTheWire bool
	// FragileCodes end with the first token request that names them, even if the request fails.
	FragileCodes bool
	// RotatesPublicOnly does not rotate the refresh tokens of confidential clients.
	RotatesPublicOnly bool
	// OwnAudiences accepts a client assertion at another endpoint than the token endpoint only if that endpoint is its audience.
	OwnAudiences bool
	// OldBrowsers sets a second session cookie, without attributes, that counts where the first is missing: a flaw.
	OldBrowsers bool
	// ScriptCookie sets a cookie for scripts that is not the session cookie.
	ScriptCookie bool
}

// address returns the address to which the server redirects after the login; empty: the request itself.
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

// raw returns the members of a client's registration that the consent page shows without escaping.
func (m *Manners) raw(c *client) template.HTML {
	var out strings.Builder
	if m.NameInAttribute {
		fmt.Fprintf(&out, `<img alt="%s">`, strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(c.name))
	}
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

// movedOpenID is the path of the moved OpenID document.
const movedOpenID = "/openid-configuration.json"

// endEarlier ends the grants of a user and client.
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

// replaceRefresh forgets the refresh tokens of other grants of the same user and client. The caller holds mu.
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

// offline reports whether a request asks for a refresh token as in OpenID Connect Core section 11.
func (m *Manners) offline(q url.Values, scopes []string) bool {
	return !m.OfflineOnly || slices.Contains(scopes, "offline_access") && slices.Contains(strings.Fields(q.Get("prompt")), "consent")
}

// inFragment reports whether an answer belongs in the fragment.
func (m *Manners) inFragment(t *transaction) bool {
	return m.FragmentErrors && t.problem != nil && t.problem.code == "unsupported_response_type"
}

// unknownCode reports whether a token request names a code that was never issued.
func (s *Server) unknownCode(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.PostForm.Get("grant_type") == "authorization_code" && s.codes[r.PostForm.Get("code")] == nil
}

// refuseCode refuses an unknown code before it authenticates the client: these errors count for the client that the request names.
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

// mayIntrospect reports whether a client may introspect a token.
func (s *Server) mayIntrospect(c *client, t *accessToken) bool {
	switch {
	case !s.Behaviour.has(IntrospectOwn), !s.Behaviour.has(IntrospectAuth):
		return true
	case s.Behaviour.Introspector != "":
		return c != nil && c.id == s.Behaviour.Introspector
	}
	return c != nil && t.grant.client == c.id
}

// spoil ends the code of a failed token request, if the server does so.
func (s *Server) spoil(code string, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed && s.Behaviour.FragileCodes {
		delete(s.codes, code)
	}
}

// heldAccess returns an access token that the user of a grant and its client hold already, or "".
func (s *Server) heldAccess(g *grant) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, t := range s.access {
		if t.grant.user == g.user && t.grant.client == g.client && t.alive(s.now()) {
			return value
		}
	}
	return ""
}

// heldRefresh returns the refresh token that the user of a grant and its client hold already, or else a new one. The caller holds mu.
func (s *Server) heldRefresh(g *grant, another string) string {
	for value, t := range s.refresh {
		if t.grant.user == g.user && t.grant.client == g.client && !t.grant.revoked {
			return value
		}
	}
	return another
}

// endAccess ends the access tokens of a grant, if the server does so.
func (s *Server) endAccess(g *grant, ends bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.access {
		t.revoked = t.revoked || ends && t.grant == g
	}
}

// rotates reports whether the refresh tokens of this client rotate.
func (s *Server) rotates(c *client) bool {
	return c == nil || c.public() || !s.Behaviour.RotatesPublicOnly
}
