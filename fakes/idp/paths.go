package idp

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Defences that some servers have on all paths but one.
const (
	VerifierOfConfidential Defence = "the code_verifier of a confidential client is compared"
	VerifierOfDocuments    Defence = "the code_verifier of a client with a metadata document is compared"
	VerifierOfPost         Defence = "the code_verifier of a client that sends its secret in the body is compared"
	VerifierOfKeys         Defence = "the code_verifier of a client with a key is compared"
	ChallengeOfPost        Defence = "a request without code_challenge of a client that sends its secret in the body is refused"
	ChallengeOfKeys        Defence = "a request of a client with a key without code_challenge is refused"
	PushedChallenge        Defence = "a pushed request without code_challenge is refused"
	AuthenticatePosted     Defence = "a user signs in before a code is issued for a request by POST"
	ChallengeOfDocuments   Defence = "a request of a client with a metadata document without code_challenge is refused"
	DocumentMethods        Defence = "a document whose authentication method needs a secret is refused, also without one"
	RedirectOfConfidential Defence = "the redirect_uri of a client with a secret is one that it registered"
	IssuerInForms          Defence = "a code in a form comes with iss"
	IssuerOfErrorsInForms  Defence = "an error in a form comes with iss"
	RightIssuerInForms     Defence = "the iss in a form is that of the issuer"
	StateInForms           Defence = "a code in a form comes with the state"
	StateOfErrorsInForms   Defence = "an error in a form comes with the state"
	PostedRedirect         Defence = "the redirect_uri of a request by POST is one that the client registered"
	LogoutAtServer         Defence = "signing out ends the session at the server, too"
	OwnSessionIDs          Defence = "an id of a session that a browser made up is not kept"
	PushedChallengeAlone   Defence = "the query does not change the code_challenge of a pushed request"
	PushedRedirect         Defence = "the redirect_uri of a pushed request is one that the client registered"
	RandomRequestURIs      Defence = "the request_uri of a pushed request is random"
	NoPushedRequestURI     Defence = "a request with request_uri cannot be pushed"
	ReplayKillsRefresh     Defence = "the refresh token of a replayed code ends"
	ReplayKillsRotated     Defence = "what a refresh brought ends when the code is replayed"
	WorkingRefreshed       Defence = "an access token that a refresh returns works"
	OldReuseRevokes        Defence = "the reuse of a refresh token that is two generations old revokes its family"
	RevokeEveryAccess      Defence = "revoking a refresh token kills every access token of the grant"
	ReuseKillsEveryAccess  Defence = "the reuse of a refresh token kills every access token of the grant"
	RefreshSecret          Defence = "the secret of a client that refreshes is compared"
	RevokeSecret           Defence = "the secret of a client that revokes is compared"
	IntrospectSecret       Defence = "the secret of a client that introspects is compared"
	DeviceClientToTheEnd   Defence = "a device code belongs to its client after its user has allowed it, too"
	DeviceDenial           Defence = "a device whose user has denied gets no token"
	ExchangeExpiry         Defence = "a token that has expired is not exchanged"
	ExchangeGrant          Defence = "a token whose grant has ended is not exchanged"
	CredentialsSecret      Defence = "a client with a secret authenticates when it acts for itself"
	ExchangeOwnScopes      Defence = "an exchange does not return the scopes that the subject token has not instead of those that it has"
	DeviceSecret           Defence = "a client with a secret authenticates when its device polls"
	ExchangeSecret         Defence = "a client with a secret authenticates when it exchanges a token"
	DecodedBasic           Defence = "the user name and password of Basic are form-decoded"
	AssertionNames         Defence = "client_id cannot name another client than the assertion"
	AssertionTypeNamed     Defence = "a client assertion without client_assertion_type is refused"
	AssertionOnce          Defence = "a client assertion counts once"
	AssertionAtRefresh     Defence = "a client assertion is verified at a refresh too"
	AssertionForCode       Defence = "a client assertion is verified with a code too"
	AssertionElsewhere     Defence = "a client assertion is verified at every endpoint"
	AudienceElsewhere      Defence = "the audience of a client assertion is compared at every endpoint"
	OnceForAllGrants       Defence = "a client assertion counts once, at whatever endpoint and with whatever grant"
	KeyElsewhere           Defence = "a client with a key authenticates at every endpoint"
	OwnRedirect            Defence = "a redirect URI of another client is refused"
	RedirectBeforeErrors   Defence = "no error is sent to a redirect URI that is not registered"
	RedirectBeforePrompt   Defence = "prompt=none sends nothing to a redirect URI that is not registered"
	ApprovalOfUser         Defence = "an approval counts for the user who gave it"
	ApprovalOfClient       Defence = "an approval counts for the client, not for its name"
	DenialIsNoApproval     Defence = "a denial is not remembered as an approval"
	CompareCSRF            Defence = "the token of the consent form is compared"
	NonEmptyCSRF           Defence = "an empty token of the consent form is refused"
	CompareLoginCSRF       Defence = "the token of the login form is compared"
	SecondFactor           Defence = "nobody is signed in before the second factor"
	OwnRegistration        Defence = "two registrations with the same metadata are two clients"
	IntrospectNoTokens     Defence = "an access token is not a credential for introspection"
	IntrospectNoIDTokens   Defence = "an ID token is not active"
	IntrospectNoPublic     Defence = "a public client cannot introspect"
	IntrospectSignature    Defence = "the signature of a JWT is verified before introspection answers"
	UserinfoSignature      Defence = "the signature of a JWT is verified before userinfo answers"
	UserinfoAccessOnly     Defence = "userinfo does not accept an ID token"
	UserinfoNoCodes        Defence = "userinfo does not accept an authorization code"
	UserinfoNoCookies      Defence = "userinfo does not accept a login session instead of a token"
	RevokeNamed            Defence = "a revocation that names no client is refused"
	RevokeBothKinds        Defence = "a token is found whatever the hint says"
	NoScopePatterns        Defence = "a scope with * stands for no other"
	NarrowedRefresh        Defence = "a refresh that names one of several resources is for that one"
	OwnResourceAtRefresh   Defence = "a refresh without resource is not for the first resource of the server instead of the granted one"
	LaterRefreshResources  Defence = "a second refresh selects among the resources of the grant"
	KnownResourceAtToken   Defence = "a resource that only the token request names is known"
	GrantedResourceAtToken Defence = "a token request names no other resource than its grant"
	UnknownResourceTold    Defence = "an unknown resource is refused, and no other takes its place in silence"
	ApprovalPerAddress     Defence = "an approval counts for one redirect URI of the client"
	ApprovalNotByName      Defence = "an approval in a cookie does not count for another client of the same name"
)

// approvalKey returns the key under which a user's approval of a client is stored.
func (s *Server) approvalKey(user string, c *client) string {
	b := &s.Behaviour
	switch {
	case !b.has(ApprovalOfUser):
		return c.id
	case !b.has(ApprovalOfClient):
		return user + " " + c.name
	}
	return user + " " + c.id
}

// openRedirect is a flaw: it sends an error to an unregistered redirect URI.
func (s *Server) openRedirect(w http.ResponseWriter, r *http.Request, q url.Values) bool {
	b := &s.Behaviour
	c, uri := s.find(q.Get("client_id")), q.Get("redirect_uri")
	if c == nil || uri == "" || s.matchRedirect(c, uri) {
		return false
	}
	get := func(name string) string { return q.Get(name) }
	code := ""
	if p := s.problem(q, get, &transaction{client: c, responseType: get("response_type"), mode: get("response_mode")}); p != nil {
		code = p.code
	}
	switch {
	case !b.has(RedirectBeforePrompt) && q.Get("prompt") == "none":
		http.Redirect(w, r, uri+"?error=login_required", http.StatusFound)
	case !b.has(RedirectBeforeErrors) && code != "":
		http.Redirect(w, r, uri+"?error="+code, http.StatusFound)
	default:
		return false
	}
	return true
}

// csrfMatches compares the token of the consent form.
func (s *Server) csrfMatches(t *transaction, form url.Values) bool {
	b, field := &s.Behaviour, s.tokenField()
	sent := form.Get(field)
	switch {
	case !b.has(CompareCSRF) && sent != "", !b.has(NonEmptyCSRF) && form.Has(field) && sent == "":
		return true
	}
	return sent == t.csrf
}

func (s *Server) tokenField() string { return cmp.Or(s.Behaviour.TokenField, "csrf") }

// sameRegistration is a flaw: it finds the client that was registered with the same metadata before.
func (s *Server) sameRegistration(c *client) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.clients {
		if other.management != "" && other.name == c.name && other.method == c.method && slices.Equal(other.redirectURIs, c.redirectURIs) {
			return other
		}
	}
	return nil
}

// orUnsigned returns t if it is set. Without the defence, it returns the access token with the jti of the JWT, whoever has signed that. The
// caller holds mu.
func (s *Server) orUnsigned(t *accessToken, token string, defence Defence) *accessToken {
	var claims struct{ Jti string }
	if parts := strings.Split(token, "."); t == nil && !s.Behaviour.has(defence) && len(parts) == 3 && decode(parts[1], &claims) {
		return s.live[claims.Jti]
	}
	return t
}

// bearerIsGood is a flaw: the bearer of any access token may introspect.
func (s *Server) bearerIsGood(r *http.Request) bool {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	return ok && s.access[value].alive(s.now())
}

// looseSecret is a flaw: one endpoint, or one grant, does not compare the client secret.
func (s *Server) looseSecret(r *http.Request) bool {
	b := &s.Behaviour
	refreshing := r.PostForm.Get("grant_type") == "refresh_token"
	return !b.has(RefreshSecret) && refreshing || !b.has(RevokeSecret) && strings.HasSuffix(r.URL.Path, "/revoke") ||
		!b.has(IntrospectSecret) && strings.HasSuffix(r.URL.Path, "/introspect")
}

// grantNeedsNoSecret is a flaw: one grant does not authenticate clients that have a secret.
func (s *Server) grantNeedsNoSecret(grant string) bool {
	b := &s.Behaviour
	return !b.has(CredentialsSecret) && grant == "client_credentials" || !b.has(ExchangeSecret) && grant == tokenExchange ||
		!b.has(DeviceSecret) && grant == deviceGrant
}

// spareAllButNewest is a flaw: only the newest access token of a grant ends. The caller holds mu.
func (s *Server) spareAllButNewest(g *grant) {
	var newest *accessToken
	for _, t := range s.access {
		if t.grant == g && (newest == nil || t.number > newest.number) {
			newest = t
		}
	}
	own := *g
	own.revoked = false
	for _, t := range s.access {
		if t.grant == g && t != newest {
			t.grant = &own
		}
	}
}

// reuseRevokes reports whether the reuse of a refresh token ends its grant. The caller holds mu.
func (s *Server) reuseRevokes(t *refreshToken) bool {
	b := &s.Behaviour
	if !b.has(ReuseKillsEveryAccess) {
		s.spareAllButNewest(t.grant)
	}
	return b.has(ReuseRevokesFamily) && (b.has(ReuseOfRefreshed) || !t.rotated) && (b.has(OldReuseRevokes) || t.next == nil || !t.next.used)
}

// endReplayed ends the grant of a replayed code.
func (s *Server) endReplayed(g *grant) {
	s.spareRefresh(g)
	s.revokeGrant(g)
}

// spareRefresh is a flaw: after the replay of a code, refresh tokens stay valid, or those issued at a refresh, with their access tokens.
func (s *Server) spareRefresh(g *grant) {
	rotated := s.Behaviour.has(ReplayKillsRefresh)
	if rotated && s.Behaviour.has(ReplayKillsRotated) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own := *g
	own.revoked = false
	for _, t := range s.refresh {
		if t.grant == g && (!rotated || t.rotated) {
			t.grant = &own
		}
	}
	for _, t := range s.access {
		if t.grant == g && rotated && t.rotated {
			t.grant = &own
		}
	}
}

// userOfIDToken is a flaw: an ID token of this server is accepted as an access token.
func (s *Server) userOfIDToken(value string) string {
	var claims struct {
		Sub   string
		Nonce any
		Azp   any
		Aud   any
	}
	s.mu.Lock()
	issued := slices.Contains(s.issued, value) && s.access[value] == nil
	s.mu.Unlock()
	if parts := strings.Split(value, "."); !issued || len(parts) != 3 || !decode(parts[1], &claims) {
		return ""
	}
	return claims.Sub
}

// userOfCode is a flaw: a code with the scope openid is accepted as an access token.
func (s *Server) userOfCode(value string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.codes[value]; c != nil && slices.Contains(c.grant.scopes, "openid") {
		return c.grant.user
	}
	return ""
}

// looseUserinfo is a flaw: userinfo accepts a token that is not an access token.
func (s *Server) looseUserinfo(w http.ResponseWriter, r *http.Request, value string) bool {
	b := &s.Behaviour
	user := ""
	if !b.has(UserinfoAccessOnly) {
		user = s.userOfIDToken(value)
	}
	if !b.has(UserinfoNoCodes) {
		user = cmp.Or(user, s.userOfCode(value))
	}
	if !b.has(UserinfoNoCookies) && value == "" {
		user = s.user(r)
	}
	if user == "" {
		return false
	}
	writeJSON(w, http.StatusOK, map[string]any{"sub": user})
	return true
}

// anybodysRedirect is a flaw: it accepts a redirect URI that any client has registered.
func (s *Server) anybodysRedirect(uri string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if slices.Contains(c.redirectURIs, uri) {
			return true
		}
	}
	return false
}

// matching is a flaw: it returns the scopes that match a pattern.
func (s *Server) matching(pattern string) []string {
	return slices.DeleteFunc(slices.Clone(s.Scopes), func(v string) bool { return !strings.HasPrefix(v, strings.TrimSuffix(pattern, "*")) })
}

// sameApproval reports whether an approval in the cookie covers a scope of a request.
func (s *Server) sameApproval(approval string, t *transaction, scope string) bool {
	b := &s.Behaviour
	parts := strings.SplitN(approval, " ", 4)
	if len(parts) != 4 || parts[2] != scope {
		return false
	}
	sameClient := parts[0] == t.client.id || !b.has(ApprovalNotByName) && parts[3] == url.QueryEscape(t.client.name)
	return sameClient && (parts[1] == t.redirectURI || !b.has(ApprovalPerAddress) || !b.has(ApprovalNotByName))
}

// needsNoVerifier is a flaw: the code_verifier of one kind of client is not compared.
func (b *Behaviour) needsNoVerifier(c *client) bool {
	return !b.has(VerifierOfConfidential) && !c.public() || !b.has(VerifierOfDocuments) && c.fromDocument ||
		b.exempt(c, VerifierOfPost, VerifierOfKeys)
}

// exempt is a flaw: PKCE does not apply to clients that authenticate in one way.
func (b *Behaviour) exempt(c *client, ofPost, ofKeys Defence) bool {
	return c.method == "client_secret_post" && !b.has(ofPost) || c.method == "private_key_jwt" && !b.has(ofKeys)
}
