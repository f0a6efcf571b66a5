package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for tokens that must be refused
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"math/big"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Key is a private key of a client, with its id in a key set.
type Key struct {
	ID     string
	Signer crypto.Signer
}

// NewKey makes a P-256 key.
func NewKey(id string) *Key {
	return &Key{id, seeded.Suites.Key()}
}

// ParseKey parses a private key in PEM: RSA, P-256 or Ed25519, in PKCS #8 or an older form.
func ParseKey(id string, text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not in PEM")
	}
	var parsed any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	k := &Key{ID: id}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		k.Signer = key
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("the curve %s is not supported; use P-256", key.Curve.Params().Name)
		}
		k.Signer = key
	case ed25519.PrivateKey:
		k.Signer = key
	default:
		return nil, fmt.Errorf("a key of type %T is not supported", parsed)
	}
	return k, nil
}

// Algorithm returns the JWS algorithm of the key.
func (k *Key) Algorithm() string {
	switch key := k.Signer.(type) {
	case ed25519.PrivateKey:
		return "EdDSA"
	case *ecdsa.PrivateKey:
		return map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Params().BitSize]
	}
	return "RS256"
}

// JWT signs claims with a header that names the key; members of more replace the header's own.
func (k *Key) JWT(more Header, c Claims) string {
	h := Header{"alg": k.Algorithm(), "typ": "JWT"}
	if k.ID != "" {
		h["kid"] = k.ID
	}
	for name, v := range more {
		h = h.With(name, v)
	}
	input := Input(h, c)
	return input + "." + base64.RawURLEncoding.EncodeToString(k.sign(input))
}

func (k *Key) sign(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := k.Signer.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case *ecdsa.PrivateKey:
		signature, err = signEC(key, sum[:])
	}
	if err != nil {
		panic(err) // these keys sign any digest
	}
	return signature
}

// signEC returns a JWS signature: r and s with 32 bytes each (RFC 7518 section 3.4).
func signEC(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

// JWK returns the public key, for a key set.
func (k *Key) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]any{"use": "sig", "alg": k.Algorithm()}
	if k.ID != "" {
		out["kid"] = k.ID
	}
	switch key := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 0x04, then both coordinates
		if err != nil {
			panic(err) // the key is on its curve
		}
		middle := (len(point) + 1) / 2
		out["kty"], out["crv"], out["x"], out["y"] = "EC", key.Params().Name, b64(point[1:middle]), b64(point[middle:])
	}
	return out
}

// Signed signs with an RSA key and an algorithm, whatever the header says.
func (k *Key) Signed(h Header, c Claims, algorithm string) string {
	input := Input(h, c)
	sum := map[string]crypto.Hash{"RS1": crypto.SHA1, "RS256": crypto.SHA256, "RS384": crypto.SHA384, "PS256": crypto.SHA256}[algorithm]
	digest := sum.New()
	digest.Write([]byte(input))
	key, ok := k.Signer.(*rsa.PrivateKey)
	if !ok || sum == 0 {
		panic("mint: " + algorithm + " takes an RSA key")
	}
	signature, err := rsa.SignPKCS1v15(nil, key, sum, digest.Sum(nil))
	if algorithm == "PS256" {
		signature, err = rsa.SignPSS(rand.Reader, key, sum, digest.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		panic(err) // 2048 bits are enough for each algorithm
	}
	return input + "." + Base64(signature)
}

// Base64 returns base64url without padding.
func Base64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// HMACToken signs with a shared secret and HS256, HS384 or HS512, and names the algorithm in the header.
func HMACToken(algorithm string, h Header, c Claims, secret []byte) string {
	input := Input(h.With("alg", algorithm), c)
	return input + "." + HMAC(algorithm, input, secret)
}

// HMAC returns the signature segment of a signing input by HS256, HS384 or HS512; empty for another algorithm.
func HMAC(algorithm, input string, secret []byte) string {
	of := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[algorithm]
	if of == nil {
		return ""
	}
	m := hmac.New(of, secret)
	m.Write([]byte(input))
	return Base64(m.Sum(nil))
}
