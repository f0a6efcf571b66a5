package mint

import (
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

	"github.com/mcpauth/conformance/suites/internal/document"
)

// Verify checks the signature of a compact JWS with one of a set of public JWKs: the one that its kid names,
// or, where kids do not tell, any. It judges the signature only.
func Verify(token string, keys []*document.Object) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("it is no compact JWS")
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return fmt.Errorf("the header is no base64url: %w", err)
	}
	header, _, err := document.ParseObject(string(head))
	if err != nil {
		return fmt.Errorf("the header is no JSON object: %w", err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("the signature is no base64url: %w", err)
	}
	alg, kid := header.String("alg"), header.String("kid")
	named := false
	for _, k := range keys {
		if kid != "" && k.String("kid") != "" && k.String("kid") != kid {
			continue
		}
		named = true
		if verifies(k, alg, parts[0]+"."+parts[1], signature) {
			return nil
		}
	}
	if !named {
		return fmt.Errorf("the key set holds no key with the kid %q", kid)
	}
	return fmt.Errorf("no published key verifies the %s signature", alg)
}

func verifies(k *document.Object, alg, input string, signature []byte) bool {
	var hash crypto.Hash
	switch {
	case strings.HasSuffix(alg, "256"):
		hash = crypto.SHA256
	case strings.HasSuffix(alg, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(alg, "512"):
		hash = crypto.SHA512
	}
	var sum []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(input))
		sum = h.Sum(nil)
	}
	switch {
	case strings.HasPrefix(alg, "RS") && hash != 0, strings.HasPrefix(alg, "PS") && hash != 0:
		key := &rsa.PublicKey{N: number(k.String("n")), E: int(number(k.String("e")).Int64())}
		if k.String("kty") != "RSA" || key.N.Sign() == 0 {
			return false
		}
		if strings.HasPrefix(alg, "PS") {
			return rsa.VerifyPSS(key, hash, sum, signature, nil) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, sum, signature) == nil
	case strings.HasPrefix(alg, "ES") && hash != 0:
		curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.String("crv")]
		if !ok || len(signature)%2 != 0 {
			return false
		}
		size := (curve.Params().BitSize + 7) / 8
		x, y := number(k.String("x")), number(k.String("y"))
		if x.BitLen() > 8*size || y.BitLen() > 8*size {
			return false
		}
		point := append([]byte{4}, append(x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size))...)...)
		key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		half := len(signature) / 2
		return err == nil && ecdsa.Verify(key, sum, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	case alg == "EdDSA" || alg == "Ed25519":
		key, err := base64.RawURLEncoding.DecodeString(k.String("x"))
		return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(input), signature)
	}
	return false
}

// number reads a Base64urlUInt (RFC 7518 section 2); zero if it is none, or longer than any key.
func number(s string) *big.Int {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) > 2048 {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(b)
}
