// Package idp is a fake authorization server: one engine whose every defence is a named field of
// Behaviour, so that a flaw is one assignment.
package idp

import (
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
	"math/big"
	"net/http"
	"net/url"
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

	// Resources are the identifiers of the protected resources that tokens may be meant for; the first is
	// the default.
	Resources []string
	// Users may sign in. Alice and Bob, unless replaced before the first request.
	Users []User

	// Upstream, if set, is where users sign in, in place of here.
	Upstream *Upstream
	// Privileged are scopes that some users only may grant.
	Privileged map[string][]string
	// Enterprise, if set, is whose identity assertions are accepted for tokens.
	Enterprise *Enterprise
	// CookiePrefix keeps the cookies of two servers on one host apart.
	CookiePrefix string

	// Algorithm signs ordinary access tokens that are minted: one of Algorithms; RS256 if empty.
	Algorithm string

	key *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
	state
	sealing sync.Once
	sealed  []byte

	lastSigned signedMetadata
}

// signedMetadata is what was signed last: the same text has the same RS256 signature (RFC 8017 section 8.2), and making one costs more
// than the rest of the answer.
type signedMetadata struct {
	sync.Mutex
	input, jws string
}

// signMetadata is Sign for metadata, which is asked for often and seldom changes.
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

// UseKey has the server sign RS256 with a key of its own, PKCS #1 or PKCS #8 in PEM. That of New is published with the
// source: it does for what is on loopback.
func (s *Server) UseKey(text []byte) error {
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("the key is not in PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes) // what it is, is looked at
		key, _ = parsed.(*rsa.PrivateKey)
	}
	if key == nil || key.N.BitLen() < 2048 {
		return errors.New("want an RSA key of at least 2048 bits, PKCS #1 or PKCS #8 in PEM")
	}
	s.key = key
	return nil
}

// UsePublishedKeys has the server sign ES256 and EdDSA with keys that are published with the source too, the same in each process, so
// that a target which keeps a key set serves its tokens in the next run. They do for what is on loopback.
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

// User is somebody who may sign in.
type User struct {
	Name, Password string
	// OneTime is the base32 secret of the second factor, or empty.
	OneTime string
	// Sacrificial says that the account may be locked by who tests.
	Sacrificial bool
}

// The users of a new server.
var (
	Alice = User{Name: "alice", Password: "alice-7-looking-glass"}
	Bob   = User{Name: "bob", Password: "bob-4-rabbit-hole"}
	Carol = User{Name: "carol", Password: "carol-9-tea-party", Sacrificial: true}
)

// New makes a server with the given issuer identifier.
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

// Mint issues an access token (RFC 9068) for audience, signed RS256, with the given scopes. Further claims
// replace the defaults; a nil value leaves one out.
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
		panic(err) // every one of the keys signs every input
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Sign makes a compact JWS with the server's RSA key.
func (s *Server) Sign(header map[string]any, claims Claims) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // a 2048-bit key signs every digest
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// SignES256 makes a compact JWS with the server's P-256 key, which is quicker.
func (s *Server) SignES256(header map[string]any, claims Claims) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.ec, sum[:])
	if err != nil {
		panic(err) // a P-256 key signs every digest
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

// path is the issuer's path without a trailing slash.
func (s *Server) path() string {
	u, err := url.Parse(s.Issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// Handles reports whether a path belongs to the authorization server; a bundling server asks.
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

// place tells which well-known form of this issuer a path is, or "".
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
	if s.Behaviour.HSTS && r.TLS != nil {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	path := r.URL.Path
	if place := s.place(path); place != "" && (slices.Contains(s.Behaviour.Places, place)) {
		switch {
		case s.allowOrigins(w, r, ""):
		case s.Behaviour.MovedDocuments, s.Behaviour.MovedOpenID && place != "rfc8414":
			http.Redirect(w, r, s.path()+movedOpenID, http.StatusFound)
		default:
			s.metadata(w, r, place)
		}
		return
	}
	endpoint := strings.TrimPrefix(path, s.path())
	if (s.Behaviour.MovedOpenID || s.Behaviour.MovedDocuments) && endpoint == movedOpenID && !s.allowOrigins(w, r, "") {
		s.metadata(w, r, "oidc-appended")
		return
	}
	if slices.Contains(s.Behaviour.Missing, endpoint) {
		http.NotFound(w, r)
		return
	}
	if s.allowOrigins(w, r, endpoint) {
		return
	}
	handler, ok := map[string]http.HandlerFunc{
		"/jwks": s.jwks, "/authorize": s.authorize, "/login": s.login, "/consent": s.consent, "/token": s.token,
		"/par": s.push, "/revoke": s.revoke, "/introspect": s.introspect, "/userinfo": s.userinfo, "/register": s.register,
		idTokenPath: s.byIDToken, grantsPage: s.grants, deviceEndpoint: s.deviceAuthorization, devicePage: s.deviceDecision,
		logoutEndpoint: s.logout,
	}[endpoint]
	switch {
	case ok:
		handler(w, r)
	case endpoint == callbackPath && s.Upstream != nil:
		s.callback(w, r)
	case strings.HasPrefix(endpoint, "/register/"):
		s.manage(w, r, strings.TrimPrefix(endpoint, "/register/"))
	case endpoint == "/refresh" && !s.Behaviour.has(NoSideDoor):
		s.sideDoor(w, r)
	case endpoint == "/tokeninfo" && !s.Behaviour.has(NoTokenInfo):
		s.tokenInfo(w, r)
	case !s.Behaviour.NoFallback:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>App</title><div id=app></div>")
	default:
		http.NotFound(w, r)
	}
}

// allowOrigins lets browser clients read everything but the pages, and reports that the request was a
// preflight.
func (s *Server) allowOrigins(w http.ResponseWriter, r *http.Request, endpoint string) bool {
	page := endpoint == "/authorize" || endpoint == "/login" || endpoint == "/consent"
	allow := s.Behaviour.CORS && !page || page && !s.Behaviour.has(NoCORSOnPages)
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
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && !b.AnyVersion && v != "2025-06-18" {
		http.Error(w, "unsupported version", http.StatusBadRequest)
		return
	}
	if b.Redirect != "" {
		http.Redirect(w, r, b.Redirect, http.StatusFound)
		return
	}
	issuer := s.Issuer
	if !b.FixedHost {
		host, scheme := r.Host, "http"
		if h := r.Header.Get("X-Forwarded-Host"); h != "" {
			host = h
		}
		if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
			scheme = p
		}
		issuer = scheme + "://" + host + s.path()
	}
	doc := s.Document(issuer)
	sign := func() {
		claims := Claims{"iss": doc["issuer"]}
		for k, v := range doc {
			claims[k] = v
		}
		doc["signed_metadata"] = s.signMetadata(claims)
	}
	if b.Metadata != nil {
		b.Metadata(place, doc)
	}
	if b.SignsMetadata {
		sign()
	}
	if b.SignedMetadata != nil {
		b.SignedMetadata(doc)
	}
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

// Document is the metadata of an issuer, RFC 8414 and OpenID Connect Discovery in one.
func (s *Server) Document(issuer string) map[string]any {
	base := strings.TrimSuffix(issuer, "/")
	doc := map[string]any{
		"issuer":                   issuer,
		"authorization_endpoint":   base + "/authorize",
		"token_endpoint":           base + "/token",
		"registration_endpoint":    base + "/register",
		"jwks_uri":                 base + "/jwks",
		"scopes_supported":         s.Scopes,
		"response_types_supported": []string{"code"},
		"response_modes_supported": []string{"query", "form_post"},
		"grant_types_supported": []string{"authorization_code", "refresh_token", "client_credentials", tokenExchange,
			deviceGrant},
		"token_endpoint_auth_methods_supported":            []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"ES256"},
		"revocation_endpoint":                              base + "/revoke",
		"revocation_endpoint_auth_methods_supported":       []string{"none", "client_secret_basic", "client_secret_post"},
		"introspection_endpoint":                           base + "/introspect",
		"introspection_endpoint_auth_methods_supported":    []string{"client_secret_basic", "client_secret_post"},
		"userinfo_endpoint":                                base + "/userinfo",
		"pushed_authorization_request_endpoint":            base + "/par",
		"authorization_response_iss_parameter_supported":   true,
		"claims_supported":                                 []string{"sub", "name", "email", "email_verified"},
		"request_uri_parameter_supported":                  false,
		"code_challenge_methods_supported":                 []string{"S256"},
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
	}
	doc["protected_resources"] = s.Resources
	if s.Upstream == nil { // a proxy signs nobody in itself
		doc["device_authorization_endpoint"], doc["end_session_endpoint"] = base+deviceEndpoint, base+logoutEndpoint
	}
	if s.Enterprise != nil {
		doc["grant_types_supported"] = []string{"authorization_code", "refresh_token", "client_credentials", tokenExchange, deviceGrant,
			jwtBearer}
		doc["authorization_grant_profiles_supported"] = []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
	}
	if s.Behaviour.has(DPoPOffered) {
		doc["dpop_signing_alg_values_supported"] = []string{dpop.Algorithm}
	}
	if s.Behaviour.DocumentRoots != nil {
		doc["client_id_metadata_document_supported"] = true
	}
	return doc
}

func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	pub := s.key.PublicKey
	point, err := s.ec.PublicKey.Bytes() // 0x04, then both coordinates
	if err != nil {
		panic(err) // the key is on its curve
	}
	b64 := base64.RawURLEncoding.EncodeToString
	doc := map[string]any{"keys": []any{
		map[string]any{"kty": "RSA", "kid": "rsa-1", "use": "sig", "alg": "RS256", "n": b64(pub.N.Bytes()),
			"e": b64(big.NewInt(int64(pub.E)).Bytes())},
		map[string]any{"kty": "EC", "kid": "ec-1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		map[string]any{"kty": "OKP", "kid": "ed-1", "use": "sig", "alg": "EdDSA", "crv": "Ed25519", "x": b64(s.ed.Public().(ed25519.PublicKey))},
	}}
	if s.Algorithm == "PS256" {
		pss := map[string]any{"kty": "RSA", "kid": keyID("PS256"), "use": "sig", "alg": "PS256", "n": b64(pub.N.Bytes()),
			"e": b64(big.NewInt(int64(pub.E)).Bytes())}
		doc["keys"] = append(doc["keys"].([]any), pss)
	}
	if s.Behaviour.Certificates {
		s.certify(doc["keys"].([]any))
	}
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
