// Package mint makes tokens with every kind of defect, without a library, because none would sign them.
package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Claims and headers are written in alphabetical order of their members.
type (
	// Header is a JOSE header.
	Header map[string]any
	// Claims is a JWT claims set.
	Claims map[string]any
)

// With returns the header with one member set; nil removes it.
func (h Header) With(name string, value any) Header {
	out := Header{}
	for k, v := range h {
		out[k] = v
	}
	if value == nil {
		delete(out, name)
	} else {
		out[name] = value
	}
	return out
}

// Raw is JSON that is written without changes, valid or not.
type Raw string

// MarshalJSON returns the text. encoding/json still validates it, so that only Object writes invalid JSON.
func (r Raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// RawInput returns a signing input with claims that are written without changes.
func RawInput(h Header, claims string) string {
	return segment(h) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
}

func segment(v any) string {
	b, _ := json.Marshal(v) // maps of plain values always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

// Input returns the signing input of a compact JWS (RFC 7515 section 5.1).
func Input(h Header, c Claims) string { return segment(h) + "." + segment(c) }

// Unsigned returns a JWT with an empty signature.
func Unsigned(h Header, c Claims) string { return Input(h, c) + "." }

// HS256 signs with a shared secret, which may be empty.
func HS256(h Header, c Claims, secret []byte) string {
	input := Input(h, c)
	return input + "." + HMAC("HS256", input, secret)
}

// Attacker has keys that no server trusts.
type Attacker struct {
	EC  *ecdsa.PrivateKey
	Ed  ed25519.PrivateKey
	RSA crypto.Signer
	// ofCurve has the key for each ECDSA algorithm: its curve is that of no other (RFC 7518 section 3.4).
	ofCurve map[string]*ecdsa.PrivateKey
}

// NewAttacker makes an attacker with new keys: a run must not know those of another one, which a seed may have disclosed.
func NewAttacker() *Attacker {
	a := &Attacker{EC: seeded.Suites.Key(), Ed: ed25519.NewKeyFromSeed(seeded.Suites.Bytes(ed25519.SeedSize)), RSA: attackers()}
	a.ofCurve = map[string]*ecdsa.PrivateKey{"ES256": a.EC, "ES384": seeded.Suites.KeyOn(elliptic.P384()),
		"ES512": seeded.Suites.KeyOn(elliptic.P521())}
	return a
}

// ES256 signs with the attacker's P-256 key.
func (a *Attacker) ES256(h Header, c Claims) string {
	input := Input(h, c)
	return input + "." + base64.RawURLEncoding.EncodeToString((&Key{Signer: a.EC}).sign(input))
}

// EdDSA signs with the attacker's Ed25519 key.
func (a *Attacker) EdDSA(h Header, c Claims) string {
	input := Input(h, c)
	sig, _ := a.Ed.Sign(nil, []byte(input), crypto.Hash(0)) // pure Ed25519 never fails
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// JWK returns the attacker's public P-256 key.
func (a *Attacker) JWK() map[string]any {
	point, err := a.EC.PublicKey.Bytes() // 0x04, then both coordinates
	if err != nil {
		panic(err) // the key is on its curve
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
}

// JSON encodes a value that can always be encoded: maps, lists and plain values, such as claims.
func JSON(v any) string {
	b, _ := json.Marshal(v) // maps of plain values always marshal
	return string(b)
}
