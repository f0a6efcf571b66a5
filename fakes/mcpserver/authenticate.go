package mcpserver

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type caller struct {
	user   string
	scopes []string
	acr    string // the authentication context of the login
	// thumbprint and certificate identify the key or certificate to which the token is bound; empty for a bearer token.
	thumbprint, certificate string
	expired                 bool // only a flaw returns a caller with an expired token

	static *Static // nil unless the credential is static
	also   *caller // a caller whose permissions it has too
}

// authenticate finds and verifies the credential of a request. The cause of a refusal is "missing", "malformed" or "invalid".
func (s *Server) authenticate(r *http.Request, body []byte) (*caller, string) {
	p := &s.Policy
	who, cause := s.authenticated(r, body)
	if !p.has(SurviveFloods) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if cause == "invalid" {
			s.bad++
		}
		if s.bad > 150 {
			return nil, "invalid"
		}
	}
	return who, cause
}

func (s *Server) authenticated(r *http.Request, body []byte) (*caller, string) {
	p := &s.Policy
	fields := r.Header.Values("Authorization")
	if !p.has(SurviveTwoFields) && len(fields) > 1 {
		panic(http.ErrAbortHandler) // the flaw
	}
	if p.has(OneCredential) && len(fields) > 1 {
		return nil, "malformed"
	}
	var m message
	_ = json.Unmarshal(body, &m)
	key, hasKey := s.apiKey(r, m.Method)
	if hasKey && len(fields) > 0 && p.has(BothCredentials) && p.has(NoAddedRights) {
		return nil, "malformed"
	}
	if hasKey && (len(fields) == 0 || !p.has(BothCredentials) && key != nil) {
		if key == nil {
			return nil, "invalid"
		}
		return key, ""
	}
	return s.byBearer(r, fields, key, &m)
}

// byBearer returns the caller of a token in the Authorization fields, or in other places where the server reads one. key is the caller of
// an API key that the request has too.
func (s *Server) byBearer(r *http.Request, fields []string, key *caller, m *message) (*caller, string) {
	p := &s.Policy
	cause := "missing"
	for _, f := range fields {
		if scheme, token, _ := strings.Cut(f, " "); p.DPoP && strings.EqualFold(scheme, "DPoP") {
			return s.proven(r, token)
		}
		token, ok := s.token(f)
		if !ok {
			continue
		}
		verified := s.passesFor(token)
		if who := s.verify(r, verified); who != nil && s.holds(r, who) && (!who.expired || s.lacksScope(who, m)) {
			s.mu.Lock()
			s.known[r.RemoteAddr] = true
			s.last = who.user
			s.mu.Unlock()
			who.also = key
			s.keep(verified)
			return who, ""
		}
		cause = "invalid"
	}
	if who := s.byOtherMeans(r, m); who != nil {
		return who, ""
	}
	return nil, cause
}

// byOtherMeans implements the flaws of a token in the query, in the body or in a cookie, and of a session cookie.
func (s *Server) byOtherMeans(r *http.Request, m *message) *caller {
	p := &s.Policy
	var elsewhere []string
	if !p.has(NoQueryToken) {
		elsewhere = append(elsewhere, r.URL.Query().Get("access_token"), r.URL.Query().Get("token"))
	}
	if !p.has(NoBodyToken) {
		auth, _ := m.Params["auth"].(map[string]any)
		t, _ := auth["access_token"].(string)
		elsewhere = append(elsewhere, t)
	}
	if !p.has(NoCookieToken) {
		if c, err := r.Cookie("access_token"); err == nil {
			elsewhere = append(elsewhere, c.Value)
		}
	}
	if !p.has(NoCookieCredential) {
		if c, err := r.Cookie("sid"); err == nil && c.Value == "session-cookie-1" {
			return &caller{user: "alice"}
		}
	}
	for _, t := range elsewhere {
		if t != "" {
			if who := s.verify(r, t); who != nil {
				return who
			}
		}
	}
	return nil
}

// token reads the token from an Authorization field.
func (s *Server) token(field string) (string, bool) {
	p := &s.Policy
	scheme, token, found := strings.Cut(field, " ")
	switch {
	case p.has(OnlyBearer) && !found:
		return "", false
	case !p.has(OnlyBearer):
		if !found {
			return field, true
		}
		if scheme == "Basic" {
			b, _ := base64.StdEncoding.DecodeString(token)
			return strings.Trim(string(b), ":"), true
		}
	case !p.has(SchemeAnyCase) && scheme != "Bearer", !strings.EqualFold(scheme, "Bearer"):
		return "", false
	}
	token = strings.TrimLeft(token, " ")
	if !p.has(StrictSyntax) {
		token = strings.Trim(token, `"<>,;`)
	}
	return token, token != ""
}

// verify checks a token and returns its caller, or nil.
func (s *Server) verify(r *http.Request, token string) *caller {
	p := &s.Policy
	if !p.has(VerifyEveryTime) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if who := s.verified[token]; who != nil {
			again := *who
			return &again
		}
		s.mu.Unlock()
		who := s.verifyAnew(r, token)
		s.mu.Lock()
		if who != nil {
			kept := *who
			s.verified[token] = &kept
		}
		return who
	}
	return s.verifyAnew(r, token)
}

// verifyAnew checks a token that is not cached.
func (s *Server) verifyAnew(r *http.Request, token string) *caller {
	p := &s.Policy
	if who := s.unverified(token); who != nil {
		return who
	}
	if len(token) > p.MostToken {
		return nil
	}
	parts := strings.Split(token, ".")
	if !p.has(SurviveJWE) && len(parts) == 5 && len(parts[0]) > 20 {
		panic(http.ErrAbortHandler) // the flaw
	}
	if len(parts) == 1 && !p.has(RefuseForeignTokens) && s.takenUpstream(token) {
		return &caller{user: "alice", scopes: []string{"notes:read"}}
	}
	if len(parts) == 4 && !p.has(ThreeSegments) {
		parts = parts[:3]
	}
	if len(parts) != 3 {
		return s.lookedUp(r, token, len(parts) == 1)
	}
	if p.overlooksSignature(r, parts) {
		return s.claims(r, parts[1])
	}
	return s.verifyJWT(r, parts)
}

// unverified returns the caller of a token whose signature does not matter: a static one, or one that a flaw accepts.
func (s *Server) unverified(token string) *caller {
	p := &s.Policy
	if !p.has(VerifyTokens) {
		return &caller{user: "anyone", scopes: []string{"notes:read"}}
	}
	if who := s.static(token, false); who != nil {
		return who
	}
	switch {
	case p.SampleToken != "" && token == p.SampleToken:
		return &caller{user: "sample"}
	case p.OpaquePrefix != "" && strings.HasPrefix(token, p.OpaquePrefix):
		return &caller{user: "alice"}
	}
	return nil
}

// lookedUp returns the caller of a token that its issuer verifies.
func (s *Server) lookedUp(r *http.Request, token string, opaque bool) *caller {
	if s.Lookup != nil {
		if c := s.Lookup(token); c != nil {
			return s.judgeClaims(r, c)
		}
	}
	if s.Introspection != "" && opaque {
		if who := s.introspect(r, token); who != nil || s.VerifyURL == "" {
			return who
		}
	}
	if s.VerifyURL != "" && opaque {
		return s.remotelyVerified(r, token)
	}
	return nil
}

// header is the header of a JWT.
type header struct {
	Alg any            `json:"alg"`
	Kid any            `json:"kid"`
	JKU string         `json:"jku"`
	X5U string         `json:"x5u"`
	JWK map[string]any `json:"jwk"`
	X5C []string       `json:"x5c"`
	Typ any            `json:"typ"`
	// Crit may have any value: an unknown extension is refused (RFC 7515 section 4.1.11).
	Crit any `json:"crit"`
}

// verifyJWT checks the signature of a token with three parts, and then its claims.
func (s *Server) verifyJWT(r *http.Request, parts []string) *caller {
	p := &s.Policy
	var h header
	if !decodeSegment(parts[0], &h) {
		return nil
	}
	if !p.has(FetchNoHeaderURLs) {
		h.fetch()
	}
	kid, _ := h.Kid.(string)
	alg, _ := h.Alg.(string)
	if who, is := s.bySecond(r, parts, alg); is {
		return who
	}
	if p.has(KnowKid) && p.has(RefuseKidPath) && h.Kid != nil && (p.KeyPause > 0 || kid != "rsa-1" && kid != "ec-1") {
		return s.verifyByKid(r, parts, &h, kid, alg)
	}
	if key := p.embedded(h.JWK, h.X5C); key != nil && verifiesWith(key, alg, parts) {
		return s.claims(r, parts[1])
	}
	if p.has(RefuseCritical) && p.critical(h.Crit) || !s.signed(parts, alg, kid, h.JWK) || !p.typed(h.Typ) {
		return nil
	}
	return s.claims(r, parts[1])
}

// The parts of a token that a flaw can leave unchecked.
const (
	Signature = "signature"
	Expiry    = "exp"
	Issuer    = "iss"
	Audience  = "aud"
	NotBefore = "nbf"
	Revoked   = "revocation"
)

// overlooksSignature is a flaw: some tokens are accepted by their claims, to which it adds the members of the header as "header".
func (p *Policy) overlooksSignature(r *http.Request, parts []string) bool {
	var head, claims map[string]any
	if p.Overlooks == nil || !decodeSegment(parts[0], &head) || !decodeSegment(parts[1], &claims) || claims == nil { // null is valid JSON too
		return false
	}
	claims["header"], claims["signature"] = head, parts[2]
	return p.Overlooks(r, Signature, claims)
}

// fetch is a flaw: it fetches the URLs in the header.
func (h *header) fetch() {
	for _, u := range []string{h.JKU, h.X5U} {
		if !strings.HasPrefix(u, "http://127.0.0.1:") {
			continue
		}
		if resp, err := http.Get(u); err == nil {
			resp.Body.Close()
		}
	}
}

// verifyByKid verifies the signature with the issuer's published key of a kid.
func (s *Server) verifyByKid(r *http.Request, parts []string, h *header, kid, alg string) *caller {
	p := &s.Policy
	k, failed := s.publishedKey(kid)
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if k != nil && err == nil && !(p.has(RefuseCritical) && p.critical(h.Crit)) && p.typed(h.Typ) &&
		p.verifies(k, alg, []byte(parts[0]+"."+parts[1]), sig) || failed && !p.has(KeysFailClosed) {
		return s.claims(r, parts[1])
	}
	return nil
}

// claims checks the claims of a token with a valid signature.
func (s *Server) claims(r *http.Request, segment string) *caller {
	p := &s.Policy
	raw, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil || p.has(RefuseDuplicates) && duplicated(raw) {
		return nil
	}
	var c map[string]any
	if json.Unmarshal(raw, &c) != nil {
		return nil
	}
	if !p.has(LastMemberCounts) {
		firstMembers(raw, c)
	}
	return s.judgeClaims(r, c)
}

// judgeClaims returns the caller if the claims are valid.
func (s *Server) judgeClaims(r *http.Request, c map[string]any) *caller {
	p := &s.Policy
	if !p.has(ClaimsWithCase) {
		for k, v := range c {
			if strings.EqualFold(k, "aud") && k != "aud" {
				c["aud"] = v
			}
		}
	}
	subject, _ := c["sub"].(string)
	scope, _ := c["scope"].(string)
	id, _ := c["jti"].(string)
	issuer, _ := c["iss"].(string)
	if !p.has(SurviveOddSubjects) && strings.Contains(subject, "'") {
		panic(http.ErrAbortHandler) // the flaw
	}
	overlooks := func(part string) bool { return p.Overlooks != nil && p.Overlooks(r, part, c) }
	revoked := p.has(CheckRevocation) && s.Revoked != nil && s.Revoked(id) && !overlooks(Revoked)
	if overlooks(NotBefore) {
		delete(c, "nbf")
	}
	late, inTime := s.inTime(c)
	if overlooks(Expiry) {
		late, inTime = false, true
	}
	switch {
	case !inTime, late && p.has(ExpiryFirst):
		return nil
	case p.Accepts != nil && !p.Accepts(c):
		return nil
	case p.has(CheckIssuer) && !s.knows(issuer) && !overlooks(Issuer):
		return nil
	case !s.meantFor(c, s.audience(r, c)) && !overlooks(Audience):
		return nil
	case subject == "" && p.has(RequireSubject), p.OnlyClient != "" && c["client_id"] != p.OnlyClient:
		return nil
	case revoked && p.has(RevocationFirst):
		return nil
	}
	if subject = cmp.Or(p.profileName(c), subject); p.UserOf != nil {
		subject = p.UserOf(subject)
	}
	client, _ := c["client_id"].(string)
	switch {
	case !p.has(UserIsSubject) && client != "":
		subject = client
	case client != "" && client == subject: // a client that acts for itself (RFC 9068 section 5) is not a user
		subject = "client " + subject
	}
	return (&caller{user: subject, scopes: p.scopes(scope, c), expired: late || revoked}).confirmation(c)
}

// inTime checks the times in a token. An expired token may get its own answer.
func (s *Server) inTime(c map[string]any) (late, good bool) {
	p := &s.Policy
	now, leeway := float64(s.now().Unix()), p.Leeway.Seconds()
	expires, hasExpiry := c["exp"].(float64)
	notBefore, hasNotBefore := c["nbf"].(float64)
	late = hasExpiry && p.has(CheckExpiry) && expires+leeway <= now
	switch {
	case !hasExpiry && (c["exp"] != nil || p.has(RequireExpiry)) && !(!p.has(NumericDates) && c["exp"] != nil):
		return late, false
	case hasExpiry && p.has(CheckExpiry) && expires > 1e11:
		return late, false
	case hasNotBefore && p.has(CheckNotBefore) && notBefore > now+leeway:
		return late, false
	case !hasNotBefore && c["nbf"] != nil && p.has(NumericNotBefore):
		return late, false
	}
	return late, true
}

// knows reports whether tokens of an issuer are accepted, as the server compares issuers.
func (s *Server) knows(issuer string) bool {
	p := &s.Policy
	return issuer == s.tokenIssuer() || s.isSecond(issuer) ||
		!p.has(WholeIssuer) && strings.HasPrefix(issuer, s.Issuer) || !p.has(IssuerCase) && strings.EqualFold(issuer, s.Issuer) ||
		!p.has(IssuerSlash) && strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(s.Issuer, "/")
}

// audience returns the audience that tokens must have. A flaw reads it from the request.
func (s *Server) audience(r *http.Request, c map[string]any) string {
	p := &s.Policy
	me := cmp.Or(p.Audience, s.Resource)
	text, _ := c["aud"].(string)
	if p.has(FixedAudience) || text == me {
		return me
	}
	host := cmp.Or(r.Header.Get("X-Forwarded-Host"), strings.TrimPrefix(r.Header.Get("Forwarded"), "host="),
		r.Header.Get("X-Original-Host"), r.Host)
	if text == "https://"+host+s.endpoint.Path || text == "http://"+host+s.endpoint.Path {
		return text
	}
	return me
}

// lacksScope reports whether a message calls a tool for which the caller lacks a scope.
func (s *Server) lacksScope(who *caller, m *message) bool {
	name, _ := m.Params["name"].(string)
	return m.Method == "tools/call" && slices.ContainsFunc(Tools, func(t Tool) bool {
		return t.Name == name && !s.permits(who, name, t.Scope)
	})
}

// firstMembers is a flaw: of two members with the same name the first one counts.
func firstMembers(raw []byte, c map[string]any) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	seen := map[string]bool{}
	for _, _ = dec.Token(); dec.More(); {
		t, err := dec.Token()
		name, _ := t.(string)
		var v any
		if err != nil || dec.Decode(&v) != nil {
			return
		}
		if !seen[name] {
			c[name], seen[name] = v, true
		}
	}
}

// embedded returns the key in a token's header that a flaw trusts; nil if there is none.
func (p *Policy) embedded(jwk map[string]any, x5c []string) crypto.PublicKey {
	if n, _ := jwk["n"].(string); n != "" && !p.has(RefuseEmbeddedRSA) {
		b, _ := base64.RawURLEncoding.DecodeString(n)
		return &rsa.PublicKey{N: new(big.Int).SetBytes(b), E: 65537}
	}
	if len(x5c) > 0 && !p.has(RefuseCertificates) {
		der, _ := base64.StdEncoding.DecodeString(x5c[0])
		if c, err := x509.ParseCertificate(der); err == nil {
			return c.PublicKey
		}
	}
	return nil
}

// verifiesWith verifies a signature with a key from the token itself.
func verifiesWith(key crypto.PublicKey, alg string, parts []string) bool {
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	pub, isRSA := key.(*rsa.PublicKey)
	return err == nil && isRSA && alg == "RS256" && rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig) == nil
}

// tokenIssuer returns the iss that tokens must have.
func (s *Server) tokenIssuer() string {
	if s.Policy.TokenIssuer != "" {
		return s.Policy.TokenIssuer
	}
	return s.Issuer
}

// meantFor compares the audience.
func (s *Server) meantFor(c map[string]any, me string) bool {
	p := &s.Policy
	aud := c["aud"]
	switch {
	case !p.has(MachineAudience) && c["sub"] != nil && c["sub"] == c["client_id"]:
		return true
	case !p.has(CheckAudience), aud == nil && !p.has(RequireAudience):
		return true
	case !p.has(AudiencePath):
		text, _ := aud.(string)
		u, err := url.Parse(text)
		return err == nil && u.Scheme == s.endpoint.Scheme && u.Host == s.endpoint.Host
	case !p.has(WholeAudience):
		text, _ := aud.(string)
		return strings.HasPrefix(text, me)
	case !p.has(AudienceCase):
		text, _ := aud.(string)
		return strings.EqualFold(text, me)
	case !p.has(AudienceClaim) && c["resource"] == me:
		return true
	}
	if !p.has(AudienceAlone) {
		if text, ok := aud.(string); ok && strings.Contains(text, me) {
			return true
		}
	}
	return audience(aud, me)
}

// scopes reads the scope claim.
func (p *Policy) scopes(scope string, c map[string]any) []string {
	if !p.has(ScopesAreStrings) {
		if m, ok := c["scope"].(map[string]any); ok {
			for k := range m {
				scope += " " + k
			}
		}
	}
	if p.ScopesOf != nil {
		return p.ScopesOf(c)
	}
	if scope == "" && !p.has(EmptyScopeIsNone) {
		return []string{"notes:read", "notes:write", "notes:admin"}
	}
	return strings.Split(scope, " ")
}

// typed reports whether the typ of a JWT can be that of an access token.
func (p *Policy) typed(typ any) bool {
	text, isString := typ.(string)
	if typ == nil || !p.has(CheckType) {
		return true
	}
	text = strings.ToLower(strings.TrimPrefix(strings.ToLower(text), "application/"))
	return isString && (text == "at+jwt" || text == "jwt")
}

// duplicated reports whether an object names a member twice.
func duplicated(raw []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return false
		}
		name, _ := t.(string)
		if seen[name] {
			return true
		}
		seen[name] = true
		var skip any
		if dec.Decode(&skip) != nil {
			return false
		}
	}
	return false
}

func (s *Server) signed(parts []string, alg, kid string, jwk map[string]any) bool {
	p := &s.Policy
	if !p.has(VerifySignature) {
		return true
	}
	encoding := base64.RawURLEncoding.Strict()
	if !p.has(StrictEncoding) {
		parts[2] = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(parts[2]), "=")
		encoding = base64.RawURLEncoding
	}
	sig, err := encoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	if !p.has(RefuseEmptySignature) && len(sig) == 0 {
		return true
	}
	if !p.has(RefuseZeroSignature) && len(sig) > 0 && bytes.Count(sig, []byte{0}) == len(sig) {
		return true
	}
	input := []byte(parts[0] + "." + parts[1])
	sum := sha256.Sum256(input)
	switch {
	case !p.has(RefuseNone) && strings.EqualFold(alg, "none"), !p.has(RefuseNoAlgorithm) && alg == "":
		return true
	case !p.has(KidIsNoProof) && (kid == "rsa-1" || kid == "ec-1"):
		return true
	case alg == "HS256" && s.SharedSecret != "" && kid == "" && s.shared(input, sig):
		return true
	case strings.HasPrefix(alg, "HS") && !p.has(CompareMAC) && s.SharedSecret != "":
		return true
	case alg == "HS256":
		return s.symmetric(input, sig, kid)
	case !p.has(RefuseEmbedded) && alg == "ES256" && jwk != nil:
		x, _ := jwk["x"].(string)
		y, _ := jwk["y"].(string)
		return verifyES256(x, y, sum[:], sig)
	case alg == "ES256" && s.KeyEC != nil && (kid == "ec-1" || kid == "" || !p.has(KnowKid)):
		return s.valid.verifies(s.KeyEC, sum[:], sig)
	case alg == "RS256" && s.Key != nil && (kid == "rsa-1" || kid == "" || !p.has(KnowKid)):
		return rsa.VerifyPKCS1v15(s.Key, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}

// shared verifies HS256 with the secret that the server shares with its issuer.
func (s *Server) shared(input, sig []byte) bool {
	m := hmac.New(sha256.New, []byte(s.SharedSecret))
	m.Write(input)
	return hmac.Equal(m.Sum(nil), sig)
}

func (s *Server) symmetric(input, sig []byte, kid string) bool {
	p := &s.Policy
	var keys [][]byte
	if !p.has(RefuseSymmetric) {
		der, _ := x509.MarshalPKIXPublicKey(s.Key)
		keys = append(keys, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	if !p.has(RefuseSymmetricEC) && s.KeyEC != nil {
		der, _ := x509.MarshalPKIXPublicKey(s.KeyEC)
		keys = append(keys, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	if !p.has(RefuseKidPath) && strings.Contains(kid, "/dev/null") {
		keys = append(keys, nil)
	}
	if !p.has(RefuseWeakSecret) {
		keys = append(keys, []byte("your-jwt-secret-key"))
	}
	return slices.ContainsFunc(keys, func(key []byte) bool {
		m := hmac.New(sha256.New, key)
		m.Write(input)
		return hmac.Equal(m.Sum(nil), sig)
	})
}

func audience(aud any, me string) bool {
	switch a := aud.(type) {
	case string:
		return a == me
	case []any:
		return slices.Contains(a, any(me))
	}
	return false
}

func decodeSegment(segment string, into any) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	return err == nil && json.Unmarshal(b, into) == nil
}

// critical reports whether crit names an extension; the server understands none.
func (p *Policy) critical(crit any) bool {
	if !p.CritUnknownOnly {
		return crit != nil
	}
	names, _ := crit.([]any)
	return slices.ContainsFunc(names, func(n any) bool { return n != "alg" })
}

// keep stores a token that was verified itself, for flaws that accept another one instead.
func (s *Server) keep(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Policy.SameToken != nil && !slices.Contains(s.good, token) {
		s.good = append(s.good, token)
	}
}

// passesFor returns the valid token that a flaw reads instead of another one, or else the token itself.
func (s *Server) passesFor(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range s.good {
		if s.Policy.SameToken(kept, token) {
			return kept
		}
	}
	return token
}

// profileName is the name of the user in one of the claims that count instead of the subject; empty if the token has none.
func (p *Policy) profileName(claims map[string]any) string {
	for _, claim := range p.UserClaims {
		switch v := claims[claim].(type) {
		case string:
			return v
		case map[string]any: // of who acts for the user
			name, _ := v["sub"].(string)
			return name
		}
	}
	return ""
}
