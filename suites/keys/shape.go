package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func publishesWellFormedKeys(t *T) {
	eachKeySet(t, func(t *T, set keySet) {
		if !t.Expect(set).To(beKeySet()) {
			return
		}
		t.Expect(set).To(tellUsesApart())
		t.Expect(set).Ideally(haveSignatureKey(), haveDistinctNames())
		Each(t, set.keys(), func(t *T, k jwk) {
			t.Expect(k).To(haveParameters(), haveConsistentUse(), matchItsCertificate())
			t.Expect(k).Ideally(nameFittingAlgorithm(), beThereToVerify())
		})
	})
}

// RFC 7517 section 5.1: an array of JWKs.
func beKeySet() expect.Matcher {
	return ofSet("a JSON object with keys, an array of JWKs, at HTTP 200", func(s keySet) string {
		if !s.Found() {
			return fmt.Sprint(s.Err)
		}
		v, _ := s.Object.Get("keys")
		list, ok := v.([]any)
		if !ok {
			return "keys is " + document.Kind(v)
		}
		for i, e := range list {
			if _, ok := e.(*document.Object); !ok {
				return fmt.Sprintf("entry %d of keys is %s", i+1, document.Kind(e))
			}
		}
		return ""
	})
}

// RFC 8414 section 2, jwks_uri: "When both signing and encryption keys are made available, a "use" parameter value is REQUIRED for
// all keys".
func tellUsesApart() expect.Matcher {
	return ofSet("use in every key, since there are encryption keys", func(s keySet) string {
		uses := map[string]int{}
		for _, k := range expect.Keys(s.Object) {
			uses[k.String("use")]++
		}
		if uses["enc"] > 0 && uses[""] > 0 {
			return fmt.Sprintf("keys without use: %d", uses[""])
		}
		return ""
	})
}

func haveSignatureKey() expect.Matcher {
	return ofSet("a signature key (RFC 8414 section 2)", func(s keySet) string {
		keys := expect.Keys(s.Object)
		if len(keys) == 0 {
			return "keys is empty"
		}
		if !slices.ContainsFunc(keys, func(k *document.Object) bool { return k.String("use") != "enc" }) {
			return "the set has encryption keys only"
		}
		return ""
	})
}

// RFC 7517 section 4.5: different keys SHOULD use distinct kids, except for equivalent ones of different types.
func haveDistinctNames() expect.Matcher {
	return ofSet("a kid of its own for each key of a type", func(s keySet) string {
		seen := map[string]bool{}
		for _, k := range expect.Keys(s.Object) {
			kid := k.String("kid")
			name := k.String("kty") + " " + k.String("use") + " " + kid
			if kid != "" && seen[name] {
				return fmt.Sprintf("two keys of type %s have the kid %q", k.String("kty"), kid)
			}
			seen[name] = true
		}
		return ""
	})
}

// coordinates are the octets of a coordinate or of a public key by curve (RFC 7518 section 6.2.1.2, RFC 8037 section 2).
var coordinates = map[string]int{
	"P-256": 32, "P-384": 48, "P-521": 66, "secp256k1": 32, "Ed25519": 32, "X25519": 32, "Ed448": 57, "X448": 56,
}

// Keys of unknown types are ignored (RFC 7517 section 5).
func haveParameters() expect.Matcher {
	return ofKey("the parameters of a public key (RFC 7518 section 6, RFC 8037 section 2)", func(k jwk) string {
		switch k.String("kty") {
		case "":
			return "kty is missing"
		case "RSA":
			return firstOf(badNumber(k, "n"), badNumber(k, "e"))
		case "EC":
			return firstOf(badText(k, "crv"), badCoordinate(k, "x"), badCoordinate(k, "y"), offTheCurve(k))
		case "OKP":
			return firstOf(badText(k, "crv"), badCoordinate(k, "x"))
		}
		return ""
	})
}

func firstOf(problems ...string) string {
	for _, p := range problems {
		if p != "" {
			return p
		}
	}
	return ""
}

func badText(k jwk, name string) string {
	if k.String(name) == "" {
		return name + " is missing"
	}
	return ""
}

// badNumber judges a Base64urlUInt: as few octets as possible (RFC 7518 section 2).
func badNumber(k jwk, name string) string {
	b, err := base64.RawURLEncoding.DecodeString(k.String(name))
	switch {
	case k.String(name) == "":
		return name + " is missing"
	case err != nil:
		return name + " is not base64url without padding"
	case b[0] == 0:
		return name + " begins with a zero octet (RFC 7518 section 2)"
	}
	return ""
}

func badCoordinate(k jwk, name string) string {
	b, err := base64.RawURLEncoding.DecodeString(k.String(name))
	crv := k.String("crv")
	size, known := coordinates[crv]
	switch {
	case k.String(name) == "":
		return name + " is missing"
	case err != nil:
		return name + " is not base64url without padding"
	case known && len(b) != size:
		return fmt.Sprintf("%s has %d octets, and %s has %d", name, len(b), crv, size)
	}
	return ""
}

func offTheCurve(k jwk) string {
	if strings.HasPrefix(k.String("crv"), "P-") && coordinates[k.String("crv")] > 0 && mint.PublicKey(k.Object) == nil {
		return "the point is not on " + k.String("crv")
	}
	return ""
}

// RFC 7517 section 4.3: no operation twice, and use and key_ops agree where both are there.
func haveConsistentUse() expect.Matcher {
	return ofKey("use and key_ops that agree, and no operation twice (RFC 7517 section 4.3)", func(k jwk) string {
		operations, _ := k.Strings("key_ops")
		for i, o := range operations {
			if slices.Contains(operations[:i], o) {
				return fmt.Sprintf("key_ops has %q twice", o)
			}
		}
		signs := slices.ContainsFunc(operations, func(o string) bool { return o == "verify" || o == "sign" })
		if use := k.String("use"); len(operations) > 0 && (use == "enc" && signs || use == "sig" && !signs) {
			return fmt.Sprintf("use is %q, and key_ops is %q", use, operations)
		}
		return ""
	})
}

// RFC 7517 section 4.7: the key of the first certificate MUST be that of the other members.
func matchItsCertificate() expect.Matcher {
	return ofKey("the key of its certificate (RFC 7517 section 4.7)", func(k jwk) string {
		chain, _ := k.Strings("x5c")
		own := mint.PublicKey(k.Object)
		if len(chain) == 0 || own == nil {
			return ""
		}
		der, err := base64.StdEncoding.DecodeString(chain[0])
		if err != nil {
			return "x5c is not base64"
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return "x5c holds no certificate: " + err.Error()
		}
		if !sameKey(own, certificate.PublicKey) {
			return "the first certificate of x5c is for another key"
		}
		return ""
	})
}

func sameKey(a, b crypto.PublicKey) bool {
	first, err := x509.MarshalPKIXPublicKey(a)
	second, other := x509.MarshalPKIXPublicKey(b)
	return err == nil && other == nil && bytes.Equal(first, second)
}

// typesOf are the key types of algorithms, by how these begin (RFC 7518 sections 3.1 and 4.1, RFC 8037 section 3).
var typesOf = map[string][]string{
	"RS":   {"RSA"},
	"PS":   {"RSA"},
	"RSA":  {"RSA"},
	"ES":   {"EC"},
	"Ed":   {"OKP"},
	"ECDH": {"EC", "OKP"},
}

func nameFittingAlgorithm() expect.Matcher {
	return ofKey("an alg that fits the type of the key (RFC 7518 section 3.1)", func(k jwk) string {
		alg, kty := k.String("alg"), k.String("kty")
		for beginning, types := range typesOf {
			if strings.HasPrefix(alg, beginning) && !slices.Contains(types, kty) && slices.Contains([]string{"RSA", "EC", "OKP"}, kty) {
				return fmt.Sprintf("alg is %q, and kty is %q", alg, kty)
			}
		}
		return ""
	})
}

// Libraries refuse a key for what its key_ops does not name.
func beThereToVerify() expect.Matcher {
	return ofKey("verify in key_ops of a signature key, if it has key_ops (RFC 7517 section 4.3)", func(k jwk) string {
		operations, _ := k.Strings("key_ops")
		if slices.Contains(operations, "sign") && !slices.Contains(operations, "verify") {
			return "key_ops has sign, which is for private keys, and not verify"
		}
		return ""
	})
}
