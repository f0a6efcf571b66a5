package idp

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"time"
)

// Identifier returns the issuer identifier.
func (s *Server) Identifier() string { return s.Issuer }

// Claims returns the claims of an ordinary access token for the first resource.
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

// Algorithms are the values that Server.Algorithm may have.
var Algorithms = []string{"RS256", "ES256", "EdDSA", "PS256"}

// keyID returns the kid of the key for an algorithm.
func keyID(algorithm string) string {
	return map[string]string{"": "rsa-1", "RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "ed-1", "PS256": "pss-1"}[algorithm]
}

// Header returns the JOSE header of an ordinary access token.
func (s *Server) Header() map[string]any {
	header := map[string]any{"alg": cmp.Or(s.Algorithm, "RS256"), "typ": "at+jwt", "kid": keyID(s.Algorithm)}
	if s.Behaviour.AccessToken != nil {
		s.Behaviour.AccessToken(header, map[string]any{})
	}
	return header
}

// Signature signs a JWS signing input with the key that Header names.
func (s *Server) Signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch s.Algorithm {
	case "ES256":
		r, v, err := ecdsa.Sign(rand.Reader, s.ec, sum[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...), nil
	case "EdDSA":
		return ed25519.Sign(s.ed, input), nil
	case "PS256":
		return rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
}
