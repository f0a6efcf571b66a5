package idp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 is defined over SHA-1
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// lifetime is that of access tokens.
const lifetime = time.Hour

// refreshLifetime is how long a refresh token may stay unused.
const refreshLifetime = 30 * 24 * time.Hour

// OneTime returns the one-time code (RFC 6238) for a time.
func OneTime(secret string, now time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return ""
	}
	m := hmac.New(sha1.New, key)
	_ = binary.Write(m, binary.BigEndian, uint64(now.Unix()/30))
	sum := m.Sum(nil)
	offset := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)%1_000_000)
}

// oauthError is an error of the token endpoint, or of a similar one.
type oauthError struct {
	status            int
	code, description string
}

func refuse(code, description string) *oauthError {
	return &oauthError{http.StatusBadRequest, code, description}
}

func (s *Server) writeOAuthError(w http.ResponseWriter, r *http.Request, e *oauthError) {
	b := &s.Behaviour
	if !b.has(CORSOnErrors) {
		w.Header().Del("Access-Control-Allow-Origin")
	}
	if !b.has(SilentErrors) {
		e.description += " (" + r.PostForm.Get("code_verifier") + r.PostForm.Get("refresh_token") + ")"
	}
	status := e.status
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	s.writeProofNonce(w, e)
	if b.UnauthorizedGrants && e.code == "invalid_grant" {
		status = http.StatusUnauthorized
	}
	if !b.has(ErrorShape) {
		status = http.StatusOK
	}
	if e.status == http.StatusUnauthorized && !b.has(BasicChallenge) {
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, status, map[string]string{"error": e.code})
		return
	}
	writeError(w, status, e.code, e.description)
}

// form reads the body of a token request into r.PostForm.
func (s *Server) form(w http.ResponseWriter, r *http.Request) *oauthError {
	b := &s.Behaviour
	if r.Method != http.MethodPost && (b.has(PostOnly) || r.Method != http.MethodGet) {
		w.Header().Set("Allow", "POST")
		return &oauthError{http.StatusMethodNotAllowed, "invalid_request", "POST only"}
	}
	limit := int64(64 << 10)
	if !b.has(BoundedInput) && r.ContentLength > limit {
		return &oauthError{http.StatusInternalServerError, "server_error", "out of memory"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !b.has(MediaTypeParameters) && r.Header.Get("Content-Type") != mediaType {
		return refuse("invalid_request", "the media type is not supported")
	}
	if mediaType == "application/json" && !b.has(FormOnly) {
		return s.jsonForm(r)
	}
	if (err != nil || mediaType != "application/x-www-form-urlencoded") &&
		(r.Method == http.MethodPost && b.has(PostOnly) || mediaType != "") {
		return &oauthError{http.StatusUnsupportedMediaType, "invalid_request", "the body is not a form"}
	}
	if err := r.ParseForm(); err != nil {
		return refuse("invalid_request", "the form cannot be read")
	}
	if !b.has(PostOnly) {
		r.PostForm = r.Form
	}
	if b.has(RefuseRepeated) {
		for name, values := range r.PostForm {
			if len(values) > 1 && name != "resource" {
				return refuse("invalid_request", "a parameter is repeated")
			}
		}
	} else { // the last value wins
		for name, values := range r.PostForm {
			r.PostForm[name] = values[len(values)-1:]
		}
	}
	return nil
}

// jsonForm is a flaw: it reads JSON, and treats null as "not needed".
func (s *Server) jsonForm(r *http.Request) *oauthError {
	var members map[string]any
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &members) != nil {
		return refuse("invalid_request", "the body cannot be read")
	}
	r.PostForm = url.Values{}
	for k, v := range members {
		if text, ok := v.(string); ok {
			r.PostForm.Set(k, text)
		} else if k == "code_verifier" {
			r.PostForm.Set("skip_pkce", "1")
		}
	}
	return nil
}

// shown is the authentication that a client sends to an endpoint.
type shown struct{ id, secret, method string }

// authenticate finds the client of a request and verifies its secret.
func (s *Server) authenticate(r *http.Request) (*client, *oauthError) {
	if takes := s.Behaviour.TakesAssertion; takes != nil && takes(r.PostForm) {
		if named := s.find(r.PostForm.Get("client_id")); named != nil {
			return named, nil // the flaw
		}
	}
	if r.PostForm.Has("client_assertion") {
		return s.authenticateByAssertion(r)
	}
	by := shown{r.PostForm.Get("client_id"), r.PostForm.Get("client_secret"), "none"}
	if by.secret != "" {
		by.method = "client_secret_post"
	}
	if r.Header.Get("Authorization") != "" {
		other, e := s.readBasic(r, &by)
		if other != nil || e != nil {
			return other, e
		}
	}
	if by.id == "" {
		by.id = s.unnamed(r.PostForm)
	}
	c := s.find(by.id)
	if c == nil {
		return nil, s.unauthenticated()
	}
	if s.Behaviour.has(LimitSecrets) && s.locked("client "+by.id) {
		return nil, &oauthError{http.StatusTooManyRequests, "temporarily_unavailable", "too many wrong secrets"}
	}
	if c.public() && by.method != "client_secret_basic" || !c.public() && (s.waivesSecret(r, c, by) || s.rightSecret(c, by)) {
		return c, nil
	}
	return nil, s.unauthenticated()
}

func (s *Server) unauthenticated() *oauthError {
	return &oauthError{http.StatusUnauthorized, s.Behaviour.UnknownError, "the client is not known, or its authentication failed"}
}

func (s *Server) authenticateByAssertion(r *http.Request) (*client, *oauthError) {
	c := s.byAssertion(r)
	if named := s.find(r.PostForm.Get("client_id")); c != nil && named != nil && !s.Behaviour.has(AssertionNames) {
		return named, nil
	}
	if c != nil && r.Header.Get("Authorization") == "" && r.PostForm.Get("client_secret") == "" {
		return c, nil
	}
	return nil, s.unauthenticated()
}

// readBasic reads the Authorization field. It returns a client only if the field authenticates one and the body names another.
func (s *Server) readBasic(r *http.Request, by *shown) (*client, *oauthError) {
	b := &s.Behaviour
	user, password, ok := r.BasicAuth()
	if ok && b.has(DecodedBasic) {
		var err1, err2 error
		user, err1 = url.QueryUnescape(user)
		password, err2 = url.QueryUnescape(password)
		ok = err1 == nil && err2 == nil
	}
	switch {
	case !ok:
		return nil, s.unauthenticated()
	case by.method == "client_secret_post" && b.has(OneClient):
		return nil, refuse("invalid_request", "two authentication methods are used")
	case by.id != "" && by.id != user && b.has(OneClient):
		return nil, refuse("invalid_request", "two clients are named")
	case by.id == "" && !b.has(SecretByBasic):
		return nil, refuse("invalid_request", "client_id is missing")
	case !b.has(OneClient) && by.id != user: // the flaw
		return s.otherClient(user, password, by.id)
	}
	*by = shown{user, password, "client_secret_basic"}
	return nil, nil
}

// otherClient returns the client that a body names, if the secret is that of the client in the header field.
func (s *Server) otherClient(user, password, named string) (*client, *oauthError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[user]; c != nil && c.secret == password && s.clients[named] != nil {
		return s.clients[named], nil
	}
	return nil, s.unauthenticated()
}

// waivesSecret implements the flaws that accept a confidential client with any secret.
func (s *Server) waivesSecret(r *http.Request, c *client, by shown) bool {
	b := &s.Behaviour
	switch {
	case !b.has(CheckSecret) && (by.secret == "" || by.method == "none"):
		return true
	case !b.has(RefreshNeedsSecret) && by.method == "none" && r.PostForm.Get("grant_type") == "refresh_token":
		return true
	case !b.has(RegisteredKeys) && c.method == "private_key_jwt" && by.method == "none":
		return true
	case c.method == "private_key_jwt":
		elsewhere := r.PostForm.Get("grant_type") == "" && !b.has(KeyElsewhere)
		return elsewhere || !b.has(NoSecretForKeys) && by.method != "none"
	case s.grantNeedsNoSecret(r.PostForm.Get("grant_type")):
		return true
	case by.method != "none" && s.looseSecret(r):
		return true
	}
	return b.TakesSecret != nil && b.TakesSecret(c.secret, by.secret, by.method) || !b.has(OwnSecret) && s.anybodysSecret(by.secret)
}

// rightSecret verifies the secret of a confidential client, and counts the wrong ones.
func (s *Server) rightSecret(c *client, by shown) bool {
	b := &s.Behaviour
	if c.method == "private_key_jwt" {
		return false
	}
	right := subtle.ConstantTimeCompare([]byte(by.secret), []byte(c.secret)) == 1
	s.failed("client "+by.id, !right, mostSecrets)
	if by.method == "none" {
		return !b.has(PinMethod)
	}
	pinned := b.has(PinMethod) && !b.SecretAnywhere
	return right && (by.method == c.method || !pinned) && (by.method != "client_secret_post" || b.has(SecretByPost))
}

// unnamed is a flaw: it returns the client to which the code or refresh token of a request was issued.
func (s *Server) unnamed(form url.Values) string {
	b := &s.Behaviour
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[form.Get("refresh_token")]; t != nil && !b.has(RefreshNamed) {
		return t.grant.client
	}
	if c := s.codes[form.Get("code")]; c != nil && !b.has(CodeNamed) {
		return c.grant.client
	}
	return ""
}

// anybodysSecret reports whether a secret is that of some client.
func (s *Server) anybodysSecret(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if c.secret != "" && c.secret == secret {
			return true
		}
	}
	return false
}

// knownAtToken are the parameters that the token endpoint reads, for all grants.
var knownAtToken = []string{
	"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "client_assertion", "client_assertion_type",
	"refresh_token",
	"username", "password", "scope", "resource", "assertion", "subject_token", "subject_token_type", "device_code", "audience",
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	if !b.has(AnswerAtToken) {
		http.Error(w, "panic: nil map", http.StatusInternalServerError)
		return
	}
	if e := s.form(w, r); e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	grantType := r.PostForm.Get("grant_type")
	if grantType == "" {
		s.writeOAuthError(w, r, refuse("invalid_request", "grant_type is missing"))
		return
	}
	if !b.has(GrantErrors) && grantType != "authorization_code" && grantType != "refresh_token" {
		http.Error(w, "KeyError", http.StatusInternalServerError)
		return
	}
	if grantType == "password" && !b.has(NoPasswordGrant) {
		s.passwordGrant(w, r)
		return
	}
	if b.CodeFirst && s.unknownCode(r) {
		s.refuseCode(w, r)
		return
	}
	s.answerGrant(w, r, grantType)
}

// answerGrant answers an authenticated client's request for tokens.
func (s *Server) answerGrant(w http.ResponseWriter, r *http.Request, grantType string) {
	b := &s.Behaviour
	c, e := s.authenticate(r)
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	if b.has(LimitErrors) && s.locked("errors "+c.id) {
		s.overrun(w, r)
		return
	}
	if e := s.limitOfOthers(); e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	members, e := s.grantMembers(r, c, grantType)
	s.failed("errors "+c.id, e != nil, mostErrors)
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	s.writeToken(w, r, members)
}

// grantMembers returns the members of the response to a grant.
func (s *Server) grantMembers(r *http.Request, c *client, grantType string) (map[string]any, *oauthError) {
	switch form := r.PostForm; {
	case !s.Behaviour.has(IgnoreUnknownAtToken) && (unknown(form, knownAtToken) || form.Has("scope") && form.Get("scope") == ""):
		return nil, refuse("invalid_scope", "unknown parameter")
	case grantType == "authorization_code":
		members, e := s.redeem(r, c)
		s.spoil(form.Get("code"), e != nil)
		return members, e
	case grantType == "refresh_token":
		return s.refreshGrant(r, c)
	case grantType == "client_credentials":
		return s.credentialsGrant(r, c)
	case grantType == jwtBearer && s.Enterprise != nil:
		return s.assertionGrant(r, c)
	case grantType == deviceGrant:
		return s.deviceToken(r, c)
	case grantType == tokenExchange:
		return s.exchangeGrant(r, c)
	}
	return nil, refuse("unsupported_grant_type", "the grant type is not supported")
}

func (s *Server) writeToken(w http.ResponseWriter, r *http.Request, members map[string]any) {
	b := &s.Behaviour
	s.respond("/token", members)
	s.mu.Lock()
	replacement := s.replacement
	s.mu.Unlock()
	if replacement != nil {
		status, mediaType, body := replacement(members)
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return
	}
	if b.has(TokenNoStore) {
		w.Header().Set("Cache-Control", "no-store")
	}
	if !b.has(TokenJSON) {
		w.Header().Set("Content-Type", "text/html")
		_ = json.NewEncoder(w).Encode(members)
		return
	}
	if b.FormAnswers && !strings.Contains(r.Header.Get("Accept"), "json") {
		form := url.Values{}
		for name, value := range members {
			form.Set(name, fmt.Sprint(value))
		}
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, _ = io.WriteString(w, form.Encode())
		return
	}
	writeJSON(w, http.StatusOK, members)
}

func (s *Server) passwordGrant(w http.ResponseWriter, r *http.Request) {
	u, ok := s.account(r.PostForm.Get("username"))
	if !ok || u.Password != r.PostForm.Get("password") {
		s.writeOAuthError(w, r, refuse("invalid_grant", ""))
		return
	}
	g := &grant{client: r.PostForm.Get("client_id"), user: u.Name, scopes: []string{"notes:read"}, resources: s.Resources}
	s.writeToken(w, r, s.answerToken(g, g.scopes, nil, ""))
}

// redeem redeems a code (OAuth 2.1 section 4.1.3).
func (s *Server) redeem(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	form := r.PostForm
	value := form.Get("code")
	if value == "" && b.has(KnowCodes) && b.TakesCode == nil {
		return nil, refuse("invalid_request", "code is missing")
	}
	if members := s.redeemForeign(value, c); members != nil {
		return members, nil
	}
	found := s.presentedCode(form, c)
	if e := s.usable(found, c, form.Get("redirect_uri")); e != nil {
		return nil, e
	}
	if used := s.seen(found); used != nil && !b.has(ReplayNeedsProof) {
		s.revokeGrant(found.grant)
	}
	if e := s.verify(found, c, form); e != nil {
		return nil, e
	}
	resources, e := s.resourcesOfCode(form, found)
	if e != nil {
		return nil, e
	}
	if e := s.bind(r, c, found.grant, false); e != nil {
		return nil, e
	}
	if e := s.use(found); e != nil {
		return nil, e
	}
	return s.answerCode(form, c, found, resources), nil
}

// presentedCode returns the code of a request, or a value that the server accepts as one.
func (s *Server) presentedCode(form url.Values, c *client) *code {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.codeOf(form, c)
	if found == nil && s.issuedUpstream(form.Get("code")) {
		return &code{grant: &grant{client: c.id, user: "alice", resources: s.Resources}, redirectURI: form.Get("redirect_uri"),
			expires: s.now().Add(time.Minute), method: "any", challenge: "x"}
	}
	if other := s.refresh[form.Get("code")]; found == nil && !s.Behaviour.has(KnowTokenType) && other != nil {
		return &code{grant: other.grant, redirectURI: form.Get("redirect_uri"), expires: s.now().Add(time.Minute), method: "none",
			challenge: "x"}
	}
	return found
}

// usable returns an error if a client may not redeem a code with a redirect URI.
func (s *Server) usable(found *code, c *client, redirectURI string) *oauthError {
	b := &s.Behaviour
	switch {
	case found == nil && !b.has(KnowCodes):
		return &oauthError{http.StatusInternalServerError, "server_error", "nil pointer"}
	case found == nil:
		return refuse("invalid_grant", "the code is not known")
	case s.foreignCode(found, c):
		if s.seen(found) != nil && !b.has(ReplayNeedsClient) {
			s.revokeGrant(found.grant)
		}
		return refuse("invalid_grant", "the code is not known")
	case s.now().After(found.expires) && b.has(CodesExpire):
		return refuse("invalid_grant", "the code has expired")
	case redirectURI == "" && !b.has(OptionalRedirect):
		return &oauthError{http.StatusInternalServerError, "server_error", "NoneType has no attribute rstrip"}
	case redirectURI != "" && !s.sameRedirect(found.redirectURI, redirectURI):
		return refuse("invalid_grant", "the redirect URI is not that of the request")
	}
	return nil
}

func (s *Server) resourcesOfCode(form url.Values, found *code) ([]string, *oauthError) {
	unchecked := KnownResourceAtToken
	if !found.grant.untargeted {
		unchecked = GrantedResourceAtToken
	}
	if !s.Behaviour.has(unchecked) && form.Get("resource") != "" {
		return form["resource"], nil
	}
	return s.narrowResources(form["resource"], found.grant.resources, CodeResources)
}

// answerCode returns the response to a valid code.
func (s *Server) answerCode(form url.Values, c *client, found *code, resources []string) map[string]any {
	b := &s.Behaviour
	scopes := found.grant.scopes
	if requested := form.Get("scope"); requested != "" && !b.has(NoScopeAtToken) {
		scopes = strings.Fields(requested)
	}
	refreshable := slices.Contains(c.grantTypes, "refresh_token") || !b.has(RegisteredGrants)
	refreshable = refreshable && !(b.NoPublicRefresh && c.secret == "")
	next := ""
	if refreshable && !b.NoRefreshTokens && !found.grant.online {
		next = s.newRefresh(found.grant, found.grant.scopes)
	}
	return s.answerToken(found.grant, scopes, resources, next, found.nonce)
}

// codeOf returns the code that a request presents. The caller holds mu.
func (s *Server) codeOf(form url.Values, c *client) *code {
	sent := form.Get("code")
	if found := s.codes[sent]; found != nil || s.Behaviour.TakesCode == nil {
		return found
	}
	if !form.Has("code") {
		sent = NotSent
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	for issued, found := range s.codes { // the flaw; the verifier selects one of several codes
		if found.grant.client == c.id && !found.used && found.challenge == challenge && s.Behaviour.TakesCode(issued, sent) {
			return found
		}
	}
	return nil
}

// foreignCode reports whether a code was issued to another client.
func (s *Server) foreignCode(found *code, c *client) bool {
	b := &s.Behaviour
	switch {
	case found.grant.client == c.id, !b.has(CodeClient), !b.has(CodeOfDocuments) && strings.HasPrefix(found.grant.client, "https://"):
		return false
	case c.public():
		return b.has(CodePublic)
	}
	return b.has(CodeConfidential)
}

func (s *Server) sameRedirect(right, sent string) bool {
	b := &s.Behaviour
	return right == sent || !b.has(CodeRedirect) || b.TakesCodeRedirect != nil && b.TakesCodeRedirect(right, sent)
}

func (s *Server) seen(c *code) *code {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.used {
		return c
	}
	return nil
}

// use marks a code as used; a second use revokes the tokens of the first (OAuth 2.1 section 4.1.3).
func (s *Server) use(c *code) *oauthError {
	b := &s.Behaviour
	s.mu.Lock()
	used, atomic := c.used, b.has(AtomicCodes) && !s.losesRace(c)
	if atomic {
		c.used = true
	}
	s.mu.Unlock()
	if !atomic {
		time.Sleep(30 * time.Millisecond)
		s.mu.Lock()
		c.used = true
		s.mu.Unlock()
	}
	if !used || !b.has(SingleUse) {
		return nil
	}
	if b.has(ReplayRevokes) {
		if !b.has(ReplayKillsAccess) {
			s.mu.Lock()
			s.spareAccess(c.grant)
			s.mu.Unlock()
		}
		s.endReplayed(c.grant)
		if b.ReplayEndsAllGrants {
			s.endAllGrants(c.grant.user)
		}
	}
	return refuse("invalid_grant", "the code was used")
}

// losesRace reports whether this code is one of those that are marked in a second step. The caller has the lock.
func (s *Server) losesRace(c *code) bool {
	if s.Behaviour.RaceOfEach == 0 {
		return false
	}
	if c.turn == 0 {
		s.turns++
		c.turn = s.turns
	}
	return c.turn%s.Behaviour.RaceOfEach == 0
}

func (s *Server) revokeGrant(g *grant) {
	s.mu.Lock()
	g.revoked = true
	s.mu.Unlock()
}

// verify implements PKCE (RFC 7636 section 4.6).
func (s *Server) verify(c *code, client *client, form url.Values) *oauthError {
	b := &s.Behaviour
	verifier, challenge := form.Get("code_verifier"), s.challengeOf(c, client)
	wrong := refuse("invalid_grant", "the code verifier is wrong")
	if !b.has(PKCEErrors) {
		wrong = &oauthError{http.StatusUnauthorized, "invalid_client", "the code verifier is wrong"}
	}
	switch {
	case form.Has("skip_pkce"), b.TakesVerifier != nil && b.TakesVerifier(challenge, c.method, form):
		return nil
	case b.RefusesVerifier != nil && b.RefusesVerifier(verifier):
		return wrong
	case b.needsNoVerifier(client):
		return nil
	case challenge == "" && verifier != "" && b.has(NoDowngrade) && b.has(PushedChallenge):
		return refuse("invalid_grant", "the request had no code challenge")
	case challenge == "", verifier == "" && !b.has(RequireVerifier), c.method == "none" && verifier == "", c.method == "any":
		return nil
	case b.has(CheckVerifierFormat) && !legalVerifier(verifier), !b.has(LongVerifiers) && len(verifier) > 64:
		return wrong
	case !b.has(CheckVerifier), (c.method == "plain" || !b.has(HashVerifier)) && verifier == challenge:
		return nil
	case !s.hashesTo(verifier, challenge):
		return s.gaveWrong(c, wrong)
	}
	return nil
}

// gaveWrong refuses a wrong verifier. A flaw accepts the next one, whatever it is.
func (s *Server) gaveWrong(c *code, wrong *oauthError) *oauthError {
	if !s.Behaviour.has(VerifierEachTime) {
		c.method = "any"
	}
	return wrong
}

// challengeOf returns the challenge that a code is bound to.
func (s *Server) challengeOf(c *code, client *client) string {
	if s.Behaviour.has(ChallengePerCode) {
		return c.challenge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastPKCE[client.id]
}

// hashesTo compares the hash of a verifier with a challenge, as the server does.
func (s *Server) hashesTo(verifier, challenge string) bool {
	b := &s.Behaviour
	sum := sha256.Sum256([]byte(verifier))
	good := base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
	if !b.has(Base64URLChallenge) {
		good = good || fmt.Sprintf("%x", sum) == challenge
	}
	if !b.has(URLAlphabet) {
		good = base64.StdEncoding.EncodeToString(sum[:]) == challenge+"="
	}
	if !b.has(WholeVerifier) {
		short := sha256.Sum256([]byte(strings.TrimSpace(verifier)))
		good = good || base64.RawURLEncoding.EncodeToString(short[:]) == challenge
		for n := range verifier { // a prefix of the verifier is enough
			part := sha256.Sum256([]byte(verifier[:n]))
			good = good || base64.RawURLEncoding.EncodeToString(part[:]) == challenge
		}
	}
	return good
}

func legalVerifier(v string) bool {
	if len(v) < 43 || len(v) > 128 {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	})
}

// narrowResources reads the resource indicators of a token request, which must be in the grant.
func (s *Server) narrowResources(requested, granted []string, defence Defence) ([]string, *oauthError) {
	if s.Behaviour.IgnoresResource || len(requested) == 0 || len(requested) == 1 && requested[0] == "" {
		return granted, nil
	}
	if !s.Behaviour.has(KnowResource) {
		return nil, refuse("invalid_request", "unknown parameter resource")
	}
	resources, p := s.resources(requested)
	if p != nil {
		return nil, refuse(p.code, p.description)
	}
	for _, v := range resources {
		if !slices.Contains(granted, v) && s.Behaviour.has(defence) {
			return nil, refuse("invalid_target", "the resource was not granted")
		}
	}
	return resources, nil
}

func (s *Server) newRefresh(g *grant, scopes []string) string {
	value := "rt_" + random(32)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Behaviour.has(RandomRefresh) {
		s.counter++
		value = fmt.Sprintf("refresh-%08d", s.counter)
	}
	if s.Behaviour.RefreshToken != nil {
		value = s.Behaviour.RefreshToken()
	}
	if s.Behaviour.ReusesRefresh {
		value = s.heldRefresh(g, value)
	}
	s.issued = append(s.issued, value)
	if s.Behaviour.OneRefreshToken {
		s.replaceRefresh(g)
	}
	s.refresh[value] = &refreshToken{grant: g, scopes: scopes, expires: s.now().Add(refreshLifetime)}
	return value
}

// refreshGrant rotates a refresh token (OAuth 2.1 section 4.3).
func (s *Server) refreshGrant(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	form := r.PostForm
	value := form.Get("refresh_token")
	if value == "" && b.TakesRefresh == nil {
		return nil, refuse("invalid_request", "refresh_token is missing")
	}
	old := s.presentedRefresh(form, c)
	if e := s.refreshable(old, c); e != nil {
		return nil, e
	}
	scopes, e := s.narrowScopes(form, old)
	if e != nil {
		return nil, e
	}
	resources, e := s.refreshedResources(form["resource"], old)
	if e != nil {
		return nil, e
	}
	if !b.has(SameResourceLater) && old.rotated {
		resources = []string{c.id}
	}
	if e := s.bind(r, c, old.grant, true); e != nil {
		return nil, e
	}
	if e := s.rotate(old); e != nil {
		return nil, e
	}
	if !s.upstreamLives(old.grant) {
		s.revokeGrant(old.grant)
		return nil, refuse("invalid_grant", "the user has to sign in again")
	}
	return s.answerRefresh(c, old, scopes, resources), nil
}

// presentedRefresh returns the refresh token of a request, or a value that the server accepts as one.
func (s *Server) presentedRefresh(form url.Values, c *client) *refreshToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.refreshOf(form, c)
	if old == nil && s.issuedUpstream(form.Get("refresh_token")) {
		return &refreshToken{grant: &grant{client: c.id, user: "alice", resources: s.Resources}, expires: s.now().Add(lifetime)}
	}
	if other := s.access[form.Get("refresh_token")]; old == nil && !s.Behaviour.has(KnowTokenType) && other != nil {
		return &refreshToken{grant: other.grant, scopes: other.scopes, expires: s.now().Add(lifetime)}
	}
	return old
}

// refreshable returns an error if a client may not refresh with a token.
func (s *Server) refreshable(old *refreshToken, c *client) *oauthError {
	b := &s.Behaviour
	switch {
	case !b.has(KnowRefresh) && old == nil:
		return &oauthError{http.StatusInternalServerError, "server_error", "nil pointer"}
	case old == nil, s.now().After(old.expires) && b.has(RefreshExpires):
		return refuse("invalid_grant", "the refresh token is not known")
	case s.foreign(old, c):
		if !b.has(RefreshUnharmed) {
			s.revokeGrant(old.grant)
		}
		return refuse("invalid_grant", "the refresh token is not known")
	case !slices.Contains(c.grantTypes, "refresh_token") && b.has(RegisteredGrants):
		return refuse("unauthorized_client", "the client may not refresh")
	case !b.has(WorkingRefresh):
		return refuse("invalid_grant", "the refresh token is not known")
	case !b.has(ManyRefreshes) && s.tooMany(old.grant):
		return &oauthError{http.StatusTooManyRequests, "temporarily_unavailable", "too many refreshes"}
	}
	return nil
}

// answerRefresh returns the response to a rotated refresh token.
func (s *Server) answerRefresh(c *client, old *refreshToken, scopes, resources []string) map[string]any {
	b := &s.Behaviour
	granted := s.refreshedGrant(old.grant)
	next := ""
	switch {
	case !s.rotates(c):
	case b.has(RotateRefresh) && b.has(NarrowOnce):
		next = s.newRefresh(granted, old.scopes)
	case b.has(RotateRefresh):
		next = s.newRefresh(granted, scopes)
	}
	if !b.has(FreshAccess) {
		if again := s.sameAccess(granted); again != "" {
			return map[string]any{"access_token": again, "token_type": "Bearer", "expires_in": 3600, "scope": strings.Join(scopes, " "),
				"refresh_token": next}
		}
	}
	s.endAccess(granted, b.RefreshEndsAccess)
	out := s.answerToken(granted, scopes, resources, next)
	s.endAccess(granted, !b.has(WorkingRefreshed))
	s.link(old, next, fmt.Sprint(out["access_token"]))
	s.respond("refresh", out)
	if b.RefreshedSeconds > 0 {
		out["expires_in"] = b.RefreshedSeconds
	}
	return out
}

// link records the tokens that replaced an old refresh token.
func (s *Server) link(old *refreshToken, next, access string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old.next = s.refresh[next]; old.next != nil {
		old.next.rotated = true
	}
	if t := s.access[access]; t != nil {
		t.rotated = true
	}
}

// NotSent means, where values are compared, that the parameter was not sent.
const NotSent = "\x00"

// refreshOf returns the refresh token that a request presents. The caller holds mu.
func (s *Server) refreshOf(form url.Values, c *client) *refreshToken {
	sent := form.Get("refresh_token")
	if found := s.refresh[sent]; found != nil || s.Behaviour.TakesRefresh == nil {
		return found
	}
	if !form.Has("refresh_token") {
		sent = NotSent
	}
	for issued, t := range s.refresh { // the flaw
		if t.grant.client == c.id && !t.used && !t.grant.revoked && s.Behaviour.TakesRefresh(issued, sent) {
			return t
		}
	}
	return nil
}

// foreign reports whether a refresh token was issued to another client.
func (s *Server) foreign(t *refreshToken, c *client) bool {
	b := &s.Behaviour
	switch {
	case t.grant.client == c.id, !b.has(RefreshClient):
		return false
	case c.public():
		return b.has(RefreshPublic)
	}
	return b.has(RefreshConfidential)
}

// refreshedGrant returns the grant of a refreshed token.
func (s *Server) refreshedGrant(g *grant) *grant {
	b := &s.Behaviour
	if b.has(SameUserOnRefresh) && b.has(SameClientOnRefresh) {
		return g
	}
	s.mu.Lock()
	another := *g
	s.mu.Unlock()
	if !b.has(SameUserOnRefresh) {
		another.user = "somebody else"
	}
	if !b.has(SameClientOnRefresh) {
		another.client = "another client"
	}
	return &another
}

// refreshedResources returns the resources of a refreshed token.
func (s *Server) refreshedResources(requested []string, old *refreshToken) ([]string, *oauthError) {
	b, granted := &s.Behaviour, old.grant.resources
	switch {
	case !b.has(NarrowedRefresh) && len(granted) > 1:
		return granted, nil
	case !b.has(OwnResourceAtRefresh) && len(requested) == 0:
		return s.Resources[:1], nil
	case !b.has(LaterRefreshResources) && old.rotated && len(requested) == 1 && slices.Contains(s.Resources, requested[0]):
		return requested, nil
	case b.ResourceAtRefresh && len(requested) == 0:
		return nil, refuse("invalid_target", "resource is missing")
	case b.Retargets != nil && len(requested) == 1 && b.Retargets(requested[0]):
		return requested, nil
	case !b.has(RefreshNoResource) && len(requested) == 0:
		return s.Resources, nil
	case !b.has(RefreshSameResource) && slices.Equal(requested, granted):
		return s.Resources, nil
	}
	return s.narrowResources(requested, granted, RefreshResources)
}

func (s *Server) sameAccess(g *grant) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, t := range s.access {
		if t.grant == g {
			return value
		}
	}
	return ""
}

func (s *Server) narrowScopes(form url.Values, old *refreshToken) ([]string, *oauthError) {
	requested := strings.Fields(form.Get("scope"))
	if len(requested) == 0 {
		return old.scopes, nil
	}
	if s.Behaviour.Widens != nil && s.Behaviour.Widens(old.scopes, requested) {
		return requested, nil
	}
	for _, v := range requested {
		if !slices.Contains(old.scopes, v) && s.Behaviour.has(NoWidening) && (s.Behaviour.has(NoWideningLater) || !old.rotated) {
			return nil, refuse("invalid_scope", "the scope was not granted")
		}
	}
	return requested, nil
}

// rotate marks a refresh token as used; a second use revokes its family.
func (s *Server) rotate(t *refreshToken) *oauthError {
	b := &s.Behaviour
	if !b.has(OneLineage) {
		time.Sleep(30 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reused := t.used && s.now().After(t.usedAt.Add(b.ReuseInterval))
	if b.has(RotateRefresh) && !t.used && s.rotates(s.clients[t.grant.client]) {
		t.used, t.usedAt = true, s.now()
	}
	switch {
	case t.grant.revoked:
		return refuse("invalid_grant", "the refresh token is revoked")
	case reused && b.has(OldRefreshDies) && b.has(OneLineage):
		t.grant.revoked = t.grant.revoked || s.reuseRevokes(t)
		if !b.has(ReuseKillsAccess) {
			s.spareAccess(t.grant)
		}
		return refuse("invalid_grant", "the refresh token was used")
	}
	return nil
}

// spareAccess is a flaw: the access tokens of a revoked family stay valid.
func (s *Server) spareAccess(g *grant) {
	own := *g
	own.revoked = false
	for _, t := range s.access {
		if t.grant == g {
			t.grant = &own
		}
	}
}

// issue makes an access token and remembers it.
func (s *Server) issue(g *grant, scopes, resources []string) string {
	b := &s.Behaviour
	if resources == nil {
		resources = g.resources
	}
	t := &accessToken{grant: g, jti: random(16), scopes: scopes, aud: resources, issued: s.now(), expires: s.now().Add(lifetime)}
	if held := s.heldAccess(g); b.ReusesTokens && held != "" {
		return held
	}
	value := b.Opaque + random(24)
	if b.Opaque == "" {
		value = s.sign(t)
	}
	if !b.has(UniqueTokens) {
		value = base64.RawURLEncoding.EncodeToString([]byte(g.user + ":token:0123456789"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.number = len(s.issued)
	s.access[value], s.live[t.jti] = t, t
	s.issued = append(s.issued, value)
	return value
}

func (s *Server) sign(t *accessToken) string {
	b := &s.Behaviour
	var aud any = t.aud
	if len(t.aud) == 1 {
		aud = t.aud[0]
	}
	if !b.has(BindAudience) {
		aud = "account"
	}
	claims := Claims{
		"iss": s.Issuer, "sub": t.grant.user, "aud": aud, "client_id": t.grant.client, "scope": strings.Join(t.scopes, " "),
		"iat": t.issued.Unix(), "exp": t.expires.Unix(), "jti": t.jti,
	}
	if key := s.boundKey(t.grant); key != "" && b.has(DPoPBinding) {
		claims["cnf"] = map[string]any{"jkt": key}
	}
	if t.grant.leak != "" {
		claims["upstream_token"] = t.grant.leak
	}
	if !b.has(TokenClaims) {
		delete(claims, "client_id")
		delete(claims, "iat")
		claims["password_hash"] = "$2b$12$abcdefghijklmnopqrstuv"
	}
	switch {
	case b.AccessToken != nil:
		b.AccessToken(map[string]any{}, claims)
		header := s.Header()
		header["alg"], header["kid"] = "RS256", keyID("RS256")
		return s.Sign(header, claims)
	case !b.has(SignedTokens):
		return s.Sign(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "rsa-unpublished"}, claims)
	case !b.has(StrongKeys):
		input := encode(map[string]any{"alg": "HS256", "typ": "at+jwt"}) + "." + encode(claims)
		m := hmac.New(sha256.New, []byte("your-jwt-secret-key"))
		m.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	return s.SignES256(map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "ec-1"}, claims)
}

// answerToken returns a successful token response.
func (s *Server) answerToken(g *grant, scopes, resources []string, refresh string, nonce ...string) map[string]any {
	b := &s.Behaviour
	access := s.issue(g, scopes, resources)
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime.Seconds()),
		"scope": strings.Join(scopes, " ")}
	if s.boundKey(g) != "" {
		out["token_type"] = "DPoP"
	}
	if refresh != "" {
		out["refresh_token"] = s.renamed(refresh, access)
	}
	if slices.Contains(scopes, "openid") && len(nonce) > 0 {
		out["id_token"] = s.idToken(g, nonce[0])
	}
	if !b.has(NumericExpiry) {
		out["expires_in"] = "3600"
	}
	if !b.has(ShortLived) {
		out["expires_in"] = 365 * 24 * 3600
	}
	if !b.has(ReportScope) {
		out["scope"] = "read,write"
	}
	return out
}

// renamed is a flaw: it gives a refresh token a value that is derived from an access token.
func (s *Server) renamed(refresh, access string) string {
	if s.Behaviour.RefreshFrom == nil {
		return refresh
	}
	name := s.Behaviour.RefreshFrom(access)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh[name] = s.refresh[refresh]
	delete(s.refresh, refresh)
	s.issued = append(s.issued, name)
	return name
}

func (s *Server) idToken(g *grant, nonce string) string {
	now := s.now()
	claims := Claims{"iss": s.Issuer, "sub": g.user, "aud": g.client, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"auth_time": now.Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if !s.Behaviour.has(RightIDToken) {
		claims["aud"] = s.Resources
		delete(claims, "nonce")
	}
	claims["jti"] = random(12) // unique within a second
	s.tellUpstream("ID token", claims)
	token := s.IDToken(claims)
	s.mu.Lock()
	s.issued = append(s.issued, token)
	s.mu.Unlock()
	return token
}

// IDToken signs claims as an ID token.
func (s *Server) IDToken(claims map[string]any) string {
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}
	if s.Behaviour.IDToken != nil {
		s.Behaviour.IDToken(header, claims)
	}
	return s.Sign(header, claims)
}

func decode(segment string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(b, into) == nil
}

// sideDoor is a second refresh endpoint, which may lack defences of the token endpoint.
func (s *Server) sideDoor(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	var body struct {
		RefreshToken string `json:"refresh_token"`
		ClientID     string `json:"client_id"`
	}
	_ = json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body)
	s.mu.Lock()
	t := s.refresh[body.RefreshToken]
	if t == nil && !b.has(SideDoorKnows) {
		t = &refreshToken{scopes: s.Scopes[:1]}
		t.grant = &grant{client: body.ClientID, user: "somebody", scopes: t.scopes, resources: s.Resources}
	}
	s.mu.Unlock()
	if t == nil || t.grant.client != body.ClientID && b.has(SideDoorClient) {
		writeError(w, http.StatusBadRequest, "invalid_grant", "")
		return
	}
	next := ""
	if b.has(SideDoorRotates) {
		if e := s.rotate(t); e != nil {
			writeError(w, e.status, e.code, e.description)
			return
		}
		next = s.newRefresh(t.grant, t.scopes)
	}
	s.writeToken(w, r, s.answerToken(t.grant, t.scopes, nil, next))
}
