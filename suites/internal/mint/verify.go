package mint

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpauth/conformance/suites/internal/document"
)

// Limits of the keys that are tried: more keys, or larger ones, would waste the verifier's time.
const (
	mostCandidates = 20
	longestRSA     = 8192 // bits of a modulus
)

// ErrUntried is the error of a signature by a key that may not have been tried.
var ErrUntried = errors.New("not every key that may have made the signature is tried")

// Verify verifies the signature of a compact JWS with a set of public JWKs: with the one that its kid names, or, if kids do not decide,
// with any of its type. It checks only the signature.
func Verify(ctx context.Context, token string, keys []*document.Object) error {
	input, header, signature, err := parts(token)
	if err != nil {
		return err
	}
	alg, kid := header.String("alg"), header.String("kid")
	if !canVerify(alg) {
		return fmt.Errorf("%w: mcpauth cannot verify %q", ErrUntried, alg)
	}
	named, tried := false, 0
	for _, k := range keys {
		if kid != "" && k.String("kid") != "" && k.String("kid") != kid {
			continue
		}
		named = true
		if k.String("kty") != keyType(alg) {
			continue
		}
		tried++
		if err := mayTry(ctx, k, tried); err != nil {
			return err
		}
		if ok, err := verifies(k, alg, input, signature); ok || err != nil {
			return err
		}
	}
	if !named {
		return fmt.Errorf("the key set holds no key with the kid %q", kid)
	}
	return fmt.Errorf("no published key verifies the %s signature", alg)
}

// parts returns the signing input of a compact JWS, its header, and its signature.
func parts(token string) (input string, header *document.Object, signature []byte, err error) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return "", nil, nil, errors.New("it is not a compact JWS")
	}
	head, err := base64.RawURLEncoding.DecodeString(segments[0])
	if err != nil {
		return "", nil, nil, fmt.Errorf("the header is not base64url: %w", err)
	}
	header, _, err = document.ParseObject(string(head))
	if err != nil {
		return "", nil, nil, fmt.Errorf("the header is not a JSON object: %w", err)
	}
	signature, err = base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		return "", nil, nil, fmt.Errorf("the signature is not base64url: %w", err)
	}
	return segments[0] + "." + segments[1], header, signature, nil
}

// mayTry says why the n-th candidate is not tried.
func mayTry(ctx context.Context, k *document.Object, n int) error {
	switch crv := k.String("crv"); {
	case crv == "Ed448":
		return fmt.Errorf("%w: mcpauth cannot verify signatures by %s", ErrUntried, crv)
	case n > mostCandidates:
		return fmt.Errorf("%w: more than %d may have", ErrUntried, mostCandidates)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUntried, ctx.Err())
	}
	return nil
}

// canVerify reports whether signatures of an algorithm can be judged. Those of none and of shared secrets can: they are never valid for a
// public key.
func canVerify(alg string) bool {
	return alg == "" || strings.EqualFold(alg, "none") || alg == "Ed25519" || jwt.GetSigningMethod(alg) != nil
}

// keyType returns the kty of keys for an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1); empty for those without public keys.
func keyType(alg string) string {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return "RSA"
	case strings.HasPrefix(alg, "ES"):
		return "EC"
	case strings.HasPrefix(alg, "Ed"):
		return "OKP"
	}
	return ""
}

// rsaKey returns the RSA key of a JWK, unless a verification with it would be slow.
func rsaKey(k *document.Object) (*rsa.PublicKey, error) {
	n, e := number(k.String("n")), number(k.String("e"))
	if bits := n.BitLen(); bits > longestRSA {
		return nil, fmt.Errorf("%w: one has %d bits, more than %d", ErrUntried, bits, longestRSA)
	}
	if bits := e.BitLen(); bits > 31 {
		return nil, fmt.Errorf("%w: one has an exponent of %d bits, more than 31", ErrUntried, bits)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// verifies tries one key. The algorithm determines the curve (RFC 7518 section 3.4).
func verifies(k *document.Object, alg, input string, signature []byte) (bool, error) {
	key, err := publicKey(k, alg)
	if err != nil || key == nil {
		return false, err
	}
	if alg == "Ed25519" { // RFC 9864 section 2.2: the fully specified name
		alg = "EdDSA"
	}
	method := jwt.GetSigningMethod(alg)
	return method != nil && method.Verify(input, signature, key) == nil, nil
}

// PublicKey returns the key of a JWK; nil if it is invalid, or of an unsupported kind.
func PublicKey(k *document.Object) crypto.PublicKey {
	key, _ := publicKey(k, algorithmOf(k)) // nil if it is not one
	return key
}

// publicKey returns the key of a JWK for an algorithm, or nil.
func publicKey(k *document.Object, alg string) (crypto.PublicKey, error) {
	switch keyType(alg) {
	case "RSA":
		key, err := rsaKey(k)
		if err != nil || key.N.Sign() == 0 {
			return nil, err
		}
		return key, nil
	case "EC":
		if key := ecKey(k, alg); key != nil {
			return key, nil
		}
	case "OKP":
		key, err := base64.RawURLEncoding.DecodeString(k.String("x"))
		if err == nil && k.String("crv") == "Ed25519" && len(key) == ed25519.PublicKeySize {
			return ed25519.PublicKey(key), nil
		}
	}
	return nil, nil
}

// ecKey returns the key of a JWK on the curve of an algorithm, or nil.
func ecKey(k *document.Object, alg string) *ecdsa.PublicKey {
	curve, ok := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
	if !ok || k.String("crv") != curve.Params().Name {
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	x, y := number(k.String("x")), number(k.String("y"))
	if x.BitLen() > 8*size || y.BitLen() > 8*size {
		return nil
	}
	point := append([]byte{4}, append(x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size))...)...)
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil
	}
	return key
}

// number parses a Base64urlUInt (RFC 7518 section 2); zero if it is invalid. It parses only the beginning of a value that is longer than
// any key.
func number(s string) *big.Int {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(b[:min(len(b), 2048)])
}
