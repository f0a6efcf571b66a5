package mint

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// publicMembers are those of a JWK that identify the key (RFC 7638 section 3.2).
var publicMembers = []string{"crv", "e", "kty", "n", "x", "y"}

// PublicJWK returns the public key with only the members that identify it.
func (k *Key) PublicJWK() map[string]any {
	whole, out := k.JWK(), map[string]any{}
	for _, name := range publicMembers {
		if v, ok := whole[name]; ok {
			out[name] = v
		}
	}
	return out
}

// Thumbprint returns the JWK SHA-256 thumbprint of the key (RFC 7638).
func (k *Key) Thumbprint() string {
	b, _ := json.Marshal(k.PublicJWK()) // maps are written in the order of their names
	sum := sha256.Sum256(b)
	return Base64(sum[:])
}

// ProofHeader returns the header of a DPoP proof with this key (RFC 9449 section 4.2).
func (k *Key) ProofHeader() Header {
	return Header{"typ": "dpop+jwt", "alg": k.Algorithm(), "jwk": k.PublicJWK()}
}

// ProofClaims returns the claims of a new DPoP proof for a request; token is empty for a token endpoint.
func ProofClaims(method, url, token, id string) Claims {
	c := Claims{"jti": id, "htm": method, "htu": url, "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		c["ath"] = Base64(sum[:])
	}
	return c
}

// Seal signs the header and claims without changes.
func (k *Key) Seal(h Header, c Claims) string {
	input := Input(h, c)
	return input + "." + Base64(k.sign(input))
}
