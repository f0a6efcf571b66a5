package idp

import (
	"encoding/base64"
	"net/http"

	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Second is another issuer that a resource server trusts. Its key has the same id as the first issuer's.
type Second struct {
	Issuer, Audience string
	key              *ecdsa.PrivateKey
}

// NewSecond makes an issuer with its own key.
func NewSecond(issuer, audience string) *Second {
	return &Second{issuer, audience, seeded.Fakes.Key()}
}

// Public returns the key that verifies the issuer's tokens.
func (s *Second) Public() *ecdsa.PublicKey { return &s.key.PublicKey }

// Identifier returns the issuer identifier.
func (s *Second) Identifier() string { return s.Issuer }

// Claims returns the claims of an ordinary access token.
func (s *Second) Claims(subject string, scopes []string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": s.Issuer, "sub": subject, "aud": s.Audience, "client_id": "client-2", "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": random(16),
	}
}

// Header returns the JOSE header of an ordinary access token.
func (s *Second) Header() map[string]any {
	return map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "rsa-1"}
}

// Signature signs a JWS signing input.
func (s *Second) Signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...), nil
}

// ServeHTTP serves the metadata and the key at the addresses that a resource server uses.
func (s *Second) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/jwks"):
		point, err := s.key.PublicKey.Bytes() // 0x04, then both coordinates
		if err != nil {
			panic(err) // the key is on its curve
		}
		b64 := base64.RawURLEncoding.EncodeToString
		w.Header().Set("Cache-Control", "max-age=5")
		writeJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{"kty": "EC", "kid": "rsa-1", "use": "sig", "alg": "ES256",
			"crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}}})
	case strings.Contains(path, "/.well-known/"):
		base := strings.TrimSuffix(s.Issuer, "/")
		writeJSON(w, http.StatusOK, map[string]any{"issuer": s.Issuer, "jwks_uri": base + "/jwks", "authorization_endpoint": base +
			"/authorize", "token_endpoint": base + "/token", "response_types_supported": []string{"code"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"}})
	default:
		http.NotFound(w, r)
	}
}
