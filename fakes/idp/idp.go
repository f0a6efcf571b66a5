// Package idp is a fake authorization server: one engine whose every defence is a named field of
// Behaviour, so that a flaw is one assignment.
package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/vectors"
)

// Behaviour is what an authorization server does. Ideal returns the right one.
type Behaviour struct {
	// Places are the well-known forms served: rfc8414, oidc-inserted, oidc-appended,
	// and the mistaken rfc8414-appended.
	Places []string
	// Metadata bends the document of a place before it is encoded.
	Metadata func(place string, doc map[string]any)
	// Encode replaces the encoding of the document.
	Encode       func(place string, doc map[string]any) string
	ContentType  string
	JWKS         func(doc map[string]any)
	CORS         bool
	FixedHost    bool   // false: URLs follow the request's Host and forwarded headers
	AnyVersion   bool   // false: an unknown MCP-Protocol-Version is answered 400
	NoFallback   bool   // false: unknown paths are answered 200 with HTML
	Redirect     string // answer well-known requests by a redirect to here
	Missing      []string
	HiddenRevoke bool   // a revocation endpoint that the metadata does not name
	UnknownError string // OAuth error for an unknown client
	CrashOnToken bool   // the token endpoint answers 500
	HSTS         bool   // Strict-Transport-Security over https
	Registration string // open, protected, closed, any-token
}

// Ideal is the behaviour that passes every requirement.
func Ideal() Behaviour {
	return Behaviour{
		Places: []string{"rfc8414", "oidc-inserted", "oidc-appended"}, ContentType: "application/json", CORS: true, FixedHost: true,
		AnyVersion: true, NoFallback: true, UnknownError: "invalid_client", Registration: "open", HSTS: true,
	}
}

// Server is a running authorization server: an http.Handler for everything at its origin.
type Server struct {
	Issuer    string
	Behaviour Behaviour
	Scopes    []string

	key     *rsa.PrivateKey
	ec      *ecdsa.PrivateKey
	mu      sync.Mutex
	clients map[string]string // client id -> registration access token
}

// New makes a server with the given issuer identifier.
func New(issuer string, b Behaviour) (*Server, error) {
	block, _ := pem.Decode(vectors.IssuerKey)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the issuer's key: %w", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Server{Issuer: issuer, Behaviour: b, Scopes: []string{"notes:read", "notes:write", "notes:admin", "offline_access"}, key: key, ec: ec, clients: map[string]string{}}, nil
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
	return s.Sign(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}, c)
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

// Public returns the key that verifies the server's tokens.
func (s *Server) Public() *rsa.PublicKey { return &s.key.PublicKey }

func encode(v any) string {
	b, _ := json.Marshal(v) // maps of plain values always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

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

var endpoints = []string{"/authorize", "/token", "/register", "/jwks", "/revoke"}

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
	if s.Behaviour.HSTS && r.TLS != nil {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	if s.Behaviour.CORS {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	path := r.URL.Path
	if place := s.place(path); place != "" && (slices.Contains(s.Behaviour.Places, place)) {
		s.metadata(w, r, place)
		return
	}
	endpoint := strings.TrimPrefix(path, s.path())
	if slices.Contains(s.Behaviour.Missing, endpoint) {
		http.NotFound(w, r)
		return
	}
	switch {
	case endpoint == "/jwks":
		s.jwks(w)
	case endpoint == "/authorize":
		s.authorize(w, r)
	case endpoint == "/token":
		s.token(w, r)
	case endpoint == "/revoke" && s.Behaviour.HiddenRevoke:
		writeError(w, http.StatusUnauthorized, "invalid_client", "the client is not known")
	case endpoint == "/register" || strings.HasPrefix(endpoint, "/register/"):
		s.register(w, r, strings.TrimPrefix(strings.TrimPrefix(endpoint, "/register"), "/"))
	case !s.Behaviour.NoFallback:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>App</title><div id=app></div>")
	default:
		http.NotFound(w, r)
	}
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
	if b.Metadata != nil {
		b.Metadata(place, doc)
	}
	body, _ := json.Marshal(doc)
	if b.Encode != nil {
		body = []byte(b.Encode(place, doc))
	}
	w.Header().Set("Content-Type", b.ContentType)
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(body)
}

// Document is the metadata of an issuer, RFC 8414 and OpenID Connect Discovery in one.
func (s *Server) Document(issuer string) map[string]any {
	base := strings.TrimSuffix(issuer, "/")
	return map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                base + "/authorize",
		"token_endpoint":                        base + "/token",
		"registration_endpoint":                 base + "/register",
		"jwks_uri":                              base + "/jwks",
		"scopes_supported":                      s.Scopes,
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"code_challenge_methods_supported":      []string{"S256"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}
}

func (s *Server) jwks(w http.ResponseWriter) {
	pub := s.key.PublicKey
	point, err := s.ec.PublicKey.Bytes() // 0x04, then both coordinates
	if err != nil {
		panic(err) // the key is on its curve
	}
	b64 := base64.RawURLEncoding.EncodeToString
	doc := map[string]any{"keys": []any{
		map[string]any{"kty": "RSA", "kid": "rsa-1", "use": "sig", "alg": "RS256", "n": b64(pub.N.Bytes()), "e": b64(big.NewInt(int64(pub.E)).Bytes())},
		map[string]any{"kty": "EC", "kid": "ec-1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}}
	if s.Behaviour.JWKS != nil {
		s.Behaviour.JWKS(doc)
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(doc)
}

// authorize refuses every request: the engine issues tokens by Mint only, and knows no login page.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusBadRequest)
	reason := "The request names no client."
	if r.URL.Query().Get("client_id") != "" {
		reason = "The client is not known here."
	}
	fmt.Fprintf(w, "<!doctype html><title>Error</title><p>%s", reason)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if s.Behaviour.CrashOnToken {
		http.Error(w, "panic: nil map", http.StatusInternalServerError)
		return
	}
	if err := r.ParseForm(); err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return
	}
	s.mu.Lock()
	_, known := s.clients[r.PostForm.Get("client_id")]
	s.mu.Unlock()
	grant := r.PostForm.Get("grant_type")
	switch {
	case grant == "":
		writeError(w, http.StatusBadRequest, "invalid_request", "grant_type is missing")
	case !known:
		writeError(w, http.StatusUnauthorized, s.Behaviour.UnknownError, "the client is not known")
	case grant != "authorization_code" && grant != "refresh_token":
		writeError(w, http.StatusBadRequest, "unsupported_grant_type", "")
	default:
		writeError(w, http.StatusBadRequest, "invalid_grant", "the grant is not known")
	}
}

func writeError(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	w.WriteHeader(status)
	doc := map[string]string{"error": code}
	if description != "" {
		doc["error_description"] = description
	}
	_ = json.NewEncoder(w).Encode(doc)
}

// register is RFC 7591, with deletion by RFC 7592.
func (s *Server) register(w http.ResponseWriter, r *http.Request, id string) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if id != "" {
		s.manage(w, r, id, token)
		return
	}
	switch s.Behaviour.Registration {
	case "closed":
		writeError(w, http.StatusForbidden, "access_denied", "registration is closed")
		return
	case "protected":
		w.Header().Set("WWW-Authenticate", `Bearer realm="registration"`)
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	case "any-token":
		if token == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="registration"`)
			writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
			return
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	var meta map[string]any
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&meta); err != nil {
		writeError(w, http.StatusBadRequest, "invalid_client_metadata", "the body is not a JSON object")
		return
	}
	if uris, _ := meta["redirect_uris"].([]any); len(uris) == 0 {
		writeError(w, http.StatusBadRequest, "invalid_redirect_uri", "redirect_uris is missing")
		return
	}
	s.mu.Lock()
	client, management := random(16), random(24)
	s.clients[client] = management
	s.mu.Unlock()
	meta["client_id"], meta["client_id_issued_at"] = client, time.Now().Unix()
	meta["token_endpoint_auth_method"] = "none"
	meta["registration_access_token"] = management
	meta["registration_client_uri"] = strings.TrimSuffix(s.Issuer, "/") + "/register/" + client
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(meta)
}

func writeErrorKeep(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

func (s *Server) manage(w http.ResponseWriter, r *http.Request, id, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want, ok := s.clients[id]; !ok || token != want {
		w.Header().Set("WWW-Authenticate", `Bearer realm="registration"`)
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	if r.Method != http.MethodDelete {
		w.Header().Set("Allow", "DELETE")
		http.Error(w, "DELETE only", http.StatusMethodNotAllowed)
		return
	}
	delete(s.clients, id)
	w.WriteHeader(http.StatusNoContent)
}

// Clients is the number of clients registered and not deleted.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
