// Package idp is a fake authorization server. A list of defences says what it does right; a flaw names one of them in Behaviour.Lacks.
package idp

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/fixtures/vectors"
)

// Server is a running authorization server: an http.Handler for everything at its origin.
type Server struct {
	Issuer    string
	Behaviour Behaviour
	Scopes    []string

	// Resources are the identifiers of the protected resources for which tokens are issued; the first is the default.
	Resources []string
	// Users may sign in. They are Alice and Bob unless replaced before the first request.
	Users []User

	// Upstream, if set, is where users sign in instead.
	Upstream *Upstream
	// Privileged are scopes that only some users may grant.
	Privileged map[string][]string
	// Enterprise, if set, is the issuer whose identity assertions are accepted.
	Enterprise *Enterprise
	// CookiePrefix separates the cookies of two servers on one host.
	CookiePrefix string

	// Algorithm signs ordinary minted access tokens: one of Algorithms; if empty, RS256.
	Algorithm string

	key *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
	state
	sealing sync.Once
	sealed  []byte

	lastSigned   signedMetadata
	certificates sync.Map // those of published keys, by kid
}

// signedMetadata caches the last signed text: the same text has the same RS256 signature (RFC 8017 section 8.2), and signing costs more
// than the rest of the answer.
type signedMetadata struct {
	sync.Mutex
	input, jws string
}

// signMetadata is Sign with a cache for metadata, which clients request often and which seldom changes.
func (s *Server) signMetadata(claims Claims) string {
	header := map[string]any{"alg": "RS256", "kid": "rsa-1"}
	input := encode(header) + "." + encode(claims)
	last := &s.lastSigned
	last.Lock()
	defer last.Unlock()
	if last.input != input {
		last.input, last.jws = input, s.Sign(header, claims)
	}
	return last.jws
}

// UseKey makes the server sign RS256 with its own key, PKCS #1 or PKCS #8 in PEM. The default key is published with the source, which is
// sufficient on loopback.
func (s *Server) UseKey(text []byte) error {
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("the key is not in PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes) // nil for another type
		key, _ = parsed.(*rsa.PrivateKey)
	}
	if key == nil || key.N.BitLen() < 2048 {
		return errors.New("want an RSA key of at least 2048 bits, PKCS #1 or PKCS #8 in PEM")
	}
	s.key = key
	return nil
}

// UsePublishedKeys makes the server sign ES256 and EdDSA with the keys that are published with the source, the same in each process. A
// target that caches a key set then accepts tokens of the next run. They are sufficient on loopback.
func (s *Server) UsePublishedKeys() error {
	ecBlock, _ := pem.Decode(vectors.IssuerKeyES256)
	edBlock, _ := pem.Decode(vectors.IssuerKeyEdDSA)
	ec, err1 := x509.ParseECPrivateKey(ecBlock.Bytes)
	parsed, err2 := x509.ParsePKCS8PrivateKey(edBlock.Bytes)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("the issuer's keys: %w", err)
	}
	s.ec, s.ed = ec, parsed.(ed25519.PrivateKey)
	return nil
}

// User is a user who may sign in.
type User struct {
	Name, Password string
	// OneTime is the base32 secret of the second factor, or empty.
	OneTime string
	// Sacrificial says that a test may lock the account.
	Sacrificial bool
}

// The users of a new server.
var (
	Alice = User{Name: "alice", Password: "alice-7-looking-glass"}
	Bob   = User{Name: "bob", Password: "bob-4-rabbit-hole"}
	Carol = User{Name: "carol", Password: "carol-9-tea-party", Sacrificial: true}
)

// New makes a server with an issuer identifier.
func New(issuer string, b Behaviour) (*Server, error) {
	block, _ := pem.Decode(vectors.IssuerKey)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the issuer's key: %w", err)
	}
	return &Server{Issuer: issuer, Behaviour: b, ed: ed25519.NewKeyFromSeed(seeded.Fakes.Bytes(ed25519.SeedSize)),
		Scopes: []string{"notes:read", "notes:write", "notes:admin", "mcp:tool:roll_dice", "mcp:tool:flip_coin", "offline_access", "openid",
			"profile", "email"}, Users: []User{Alice, Bob, Carol}, Privileged: map[string][]string{"notes:admin": {"alice"}}, key: key,
		ec: seeded.Fakes.Key(), state: newState()}, nil
}

// Claims are the claims of an access token.
type Claims map[string]any

// Mint issues an access token (RFC 9068) for audience with the scopes, signed with RS256. Further claims replace the defaults; a nil value
// removes one.
func (s *Server) Mint(subject, audience string, scopes []string, further Claims) string {
	now := time.Now()
	c := Claims{
		"iss": s.Issuer, "sub": subject, "aud": audience, "client_id": "client-1", "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": random(16),
	}
	for k, v := range further {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	if s.Behaviour.AccessToken != nil {
		s.Behaviour.AccessToken(map[string]any{}, c)
	}
	input := encode(s.Header()) + "." + encode(c)
	signature, err := s.Signature([]byte(input))
	if err != nil {
		panic(err) // each key signs any input
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Sign makes a compact JWS with the server's RSA key.
func (s *Server) Sign(header map[string]any, claims Claims) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // a 2048-bit key signs any digest
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// SignES256 makes a compact JWS with the server's P-256 key, which is faster.
func (s *Server) SignES256(header map[string]any, claims Claims) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.ec, sum[:])
	if err != nil {
		panic(err) // a P-256 key signs any digest
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

// PublicEC returns the key that verifies the access tokens of the code flow.
func (s *Server) PublicEC() *ecdsa.PublicKey { return &s.ec.PublicKey }

// Public returns the key that verifies the server's tokens.
func (s *Server) Public() *rsa.PublicKey { return &s.key.PublicKey }

func encode(v any) string {
	b, _ := json.Marshal(v) // maps of plain values always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

func random(n int) string { return seeded.Fakes.Text(n) }

// path returns the issuer's path without a trailing slash.
func (s *Server) path() string {
	_, rest, _ := strings.Cut(s.Issuer, "://")
	_, path, _ := strings.Cut(rest, "/")
	return strings.TrimSuffix("/"+path, "/")
}

// Handles reports whether a path belongs to the authorization server, for a server that bundles it.
func (s *Server) Handles(path string) bool {
	return s.place(path) != "" || slices.ContainsFunc(endpoints, func(e string) bool {
		return path == s.path()+e || strings.HasPrefix(path, s.path()+e+"/")
	})
}

var endpoints = []string{
	"/authorize", "/login", "/consent", "/token", "/register", "/jwks", "/revoke", "/introspect", "/userinfo", "/par", "/refresh",
	"/tokeninfo",
	callbackPath, idTokenPath, grantsPage, deviceEndpoint, devicePage, logoutEndpoint, movedOpenID,
}

// place returns the well-known form of this issuer to which a path belongs, or "".
func (s *Server) place(path string) string {
	p := s.path()
	switch path {
	case "/.well-known/oauth-authorization-server" + p:
		return "rfc8414"
	case p + "/.well-known/oauth-authorization-server":
		return "rfc8414-appended" // a common mistake
	case p + "/.well-known/openid-configuration":
		return "oidc-appended"
	case "/.well-known/openid-configuration" + p:
		return "oidc-inserted"
	}
	return ""
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Behaviour.Wrap != nil {
		s.Behaviour.Wrap(http.HandlerFunc(s.serve)).ServeHTTP(w, r)
		return
	}
	s.serve(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.Behaviour.ClockAhead != 0 {
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	}
	if s.Behaviour.has(HSTS) && r.TLS != nil {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	endpoint := strings.TrimPrefix(r.URL.Path, s.path())
	switch {
	case s.servedDocument(w, r, endpoint):
	case slices.Contains(s.Behaviour.Missing, endpoint):
		http.NotFound(w, r)
	case s.allowOrigins(w, r, endpoint):
	default:
		s.endpoint(endpoint)(w, r)
	}
}

// servedDocument answers requests for the metadata at any of its locations.
func (s *Server) servedDocument(w http.ResponseWriter, r *http.Request, endpoint string) bool {
	b := &s.Behaviour
	place := s.place(r.URL.Path)
	switch {
	case place != "" && slices.Contains(b.Places, place):
		switch {
		case s.allowOrigins(w, r, ""):
		case b.MovedDocuments, b.MovedOpenID && place != "rfc8414":
			http.Redirect(w, r, s.path()+movedOpenID, http.StatusFound)
		default:
			s.metadata(w, r, place)
		}
		return true
	case (b.MovedOpenID || b.MovedDocuments) && endpoint == movedOpenID:
		if !s.allowOrigins(w, r, "") {
			s.metadata(w, r, "oidc-appended")
		}
		return true
	}
	return false
}

// endpoint returns the handler of a path below the issuer's.
func (s *Server) endpoint(path string) http.HandlerFunc {
	handler, ok := map[string]http.HandlerFunc{
		"/jwks": s.jwks, "/authorize": s.authorize, "/login": s.login, "/consent": s.consent, "/token": s.token,
		"/par": s.push, "/revoke": s.revoke, "/introspect": s.introspect, "/userinfo": s.userinfo, "/register": s.register,
		idTokenPath: s.byIDToken, grantsPage: s.grants, deviceEndpoint: s.deviceAuthorization, devicePage: s.deviceDecision,
		logoutEndpoint: s.logout,
	}[path]
	switch {
	case ok:
		return handler
	case path == callbackPath && s.Upstream != nil:
		return s.callback
	case strings.HasPrefix(path, "/register/"):
		return func(w http.ResponseWriter, r *http.Request) { s.manage(w, r, strings.TrimPrefix(path, "/register/")) }
	case path == "/refresh" && !s.Behaviour.has(NoSideDoor):
		return s.sideDoor
	case path == "/tokeninfo" && !s.Behaviour.has(NoTokenInfo):
		return s.tokenInfo
	case !s.Behaviour.has(NoFallback):
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!doctype html><title>App</title><div id=app></div>")
		}
	}
	return http.NotFound
}

// allowOrigins lets browser clients read everything but the pages, and reports whether the request is a preflight.
func (s *Server) allowOrigins(w http.ResponseWriter, r *http.Request, endpoint string) bool {
	page := endpoint == "/authorize" || endpoint == "/login" || endpoint == "/consent"
	allow := s.Behaviour.has(CORS) && !page || page && !s.Behaviour.has(NoCORSOnPages)
	if endpoint == "/revoke" && !s.Behaviour.has(RevokeCORS) {
		allow = false
	}
	if allow {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if allow {
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	w.Header().Set("Allow", "GET, POST")
	w.WriteHeader(http.StatusMethodNotAllowed)
	return true
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request, place string) {
	b := &s.Behaviour
	switch v := r.Header.Get("MCP-Protocol-Version"); {
	case v != "" && !b.has(AnyVersion) && v != "2025-06-18":
		http.Error(w, "unsupported version", http.StatusBadRequest)
		return
	case b.Redirect != "":
		http.Redirect(w, r, b.Redirect, http.StatusFound)
		return
	}
	doc := s.publishedAs(place, s.issuerFor(r))
	body, _ := json.Marshal(doc)
	if b.Encode != nil {
		body = []byte(b.Encode(place, doc))
	}
	w.Header().Set("Content-Type", b.ContentType)
	if b.has(NoSniffing) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(body)
}

// issuerFor returns the issuer in the metadata for a request.
func (s *Server) issuerFor(r *http.Request) string {
	if s.Behaviour.has(FixedHost) {
		return s.Issuer
	}
	host, scheme := cmp.Or(r.Header.Get("X-Forwarded-Host"), r.Host), cmp.Or(r.Header.Get("X-Forwarded-Proto"), "http")
	return scheme + "://" + host + s.path()
}

// publishedAs returns the metadata of a location, with its signed copy.
func (s *Server) publishedAs(place, issuer string) map[string]any {
	b, doc := &s.Behaviour, s.Document(issuer)
	if b.Metadata != nil {
		b.Metadata(place, doc)
	}
	if b.has(SignMetadata) {
		claims := Claims{"iss": doc["issuer"]}
		maps.Copy(claims, doc)
		doc["signed_metadata"] = s.signMetadata(claims)
	}
	if b.SignedMetadata != nil {
		b.SignedMetadata(doc)
	}
	return doc
}

// Document returns the metadata of an issuer, for RFC 8414 and OpenID Connect Discovery.
func (s *Server) Document(issuer string) map[string]any {
	base := strings.TrimSuffix(issuer, "/")
	doc := map[string]any{
		"issuer":                issuer,
		"jwks_uri":              base + "/jwks",
		"scopes_supported":      s.Scopes,
		"protected_resources":   s.Resources,
		"grant_types_supported": []string{"authorization_code", "refresh_token", "client_credentials", tokenExchange, deviceGrant},
	}
	for name, path := range endpointMembers {
		doc[name] = base + path
	}
	maps.Copy(doc, abilities())
	s.addOptional(doc, base)
	if s.Behaviour.SecretAssertions {
		const methods, algorithms = "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported"
		doc[methods] = append(doc[methods].([]string), "client_secret_jwt")
		doc[algorithms] = append(doc[algorithms].([]string), "HS256")
	}
	return doc
}

// endpointMembers are the members of the metadata that name an endpoint, with their paths.
var endpointMembers = map[string]string{
	"authorization_endpoint":                "/authorize",
	"token_endpoint":                        "/token",
	"registration_endpoint":                 "/register",
	"revocation_endpoint":                   "/revoke",
	"introspection_endpoint":                "/introspect",
	"userinfo_endpoint":                     "/userinfo",
	"pushed_authorization_request_endpoint": "/par",
}

// abilities returns the members of the metadata that all servers share. The caller may change the map.
func abilities() map[string]any {
	return map[string]any{
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query", "form_post"},
		"token_endpoint_auth_methods_supported":            []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"ES256"},
		"revocation_endpoint_auth_methods_supported":       []string{"none", "client_secret_basic", "client_secret_post"},
		"introspection_endpoint_auth_methods_supported":    []string{"client_secret_basic", "client_secret_post"},
		"authorization_response_iss_parameter_supported":   true,
		"claims_supported":                                 []string{"sub", "name", "email", "email_verified"},
		"request_uri_parameter_supported":                  false,
		"code_challenge_methods_supported":                 []string{"S256"},
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
	}
}

// addOptional adds the members that depend on the kind of server.
func (s *Server) addOptional(doc map[string]any, base string) {
	if s.Upstream == nil { // a proxy does not sign users in itself
		doc["device_authorization_endpoint"], doc["end_session_endpoint"] = base+deviceEndpoint, base+logoutEndpoint
	}
	if s.Enterprise != nil {
		doc["grant_types_supported"] = append(doc["grant_types_supported"].([]string), jwtBearer)
		doc["authorization_grant_profiles_supported"] = []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
	}
	if s.Behaviour.has(DPoPOffered) {
		doc["dpop_signing_alg_values_supported"] = []string{dpop.Algorithm}
	}
	if s.Behaviour.DocumentRoots != nil {
		doc["client_id_metadata_document_supported"] = true
	}
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	doc := s.keySet()
	if s.Behaviour.JWKS != nil {
		s.Behaviour.JWKS(doc)
	}
	s.mu.Lock()
	s.keyFetches++
	replacement := s.keysAnswer
	s.mu.Unlock()
	if replacement != nil {
		status, mediaType, body := replacement(doc)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(doc)
}

// keySet returns the public half of every signing key.
func (s *Server) keySet() map[string]any {
	point, err := s.ec.PublicKey.Bytes() // 0x04, then both coordinates
	if err != nil {
		panic(err) // the key is on its curve
	}
	b64 := base64.RawURLEncoding.EncodeToString
	pub := s.key.PublicKey
	rsaKey := func(id, alg string) map[string]any {
		return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": alg, "n": b64(pub.N.Bytes()),
			"e": b64(big.NewInt(int64(pub.E)).Bytes())}
	}
	keys := []any{
		rsaKey("rsa-1", "RS256"),
		map[string]any{"kty": "EC", "kid": "ec-1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		map[string]any{"kty": "OKP", "kid": "ed-1", "use": "sig", "alg": "EdDSA", "crv": "Ed25519", "x": b64(s.ed.Public().(ed25519.PublicKey))},
	}
	if s.Algorithm == "PS256" {
		keys = append(keys, rsaKey(keyID("PS256"), "PS256"))
	}
	if s.Behaviour.Certificates {
		s.certify(keys)
	}
	return map[string]any{"keys": keys}
}
