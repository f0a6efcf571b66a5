package idp

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"time"
)

// Identifier is the issuer identifier.
func (s *Server) Identifier() string { return s.Issuer }

// Claims are those of an ordinary access token for the first resource.
func (s *Server) Claims(subject string, scopes []string) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": s.Issuer, "sub": subject, "aud": s.Resources[0], "client_id": "client-1", "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": random(16),
	}
	if s.Behaviour.AccessToken != nil {
		s.Behaviour.AccessToken(map[string]any{}, claims)
	}
	return claims
}

// Header is the JOSE header of an ordinary access token.
func (s *Server) Header() map[string]any {
	header := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}
	if s.Behaviour.AccessToken != nil {
		s.Behaviour.AccessToken(header, map[string]any{})
	}
	return header
}

// Signature signs a JWS signing input with the RSA key.
func (s *Server) Signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
}
