package keys

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/vectors"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func publishesStrongKeys(t *T) {
	eachKey(t, func(t *T, k jwk) {
		t.Expect(k).To(beLongEnough(), haveSoundNumbers(), resistFactoring(), useNoWeakCurve(), beNobodyElses())
		t.Expect(k).Ideally(useRegisteredCurve())
	})
}

// RFC 7518 sections 3.3, 3.5, 4.2 and 4.3.
func beLongEnough() expect.Matcher {
	return ofKey("an RSA key of 2048 bits or more (RFC 7518 section 3.3)", func(k jwk) string {
		if n := modulus(k); n != nil && n.BitLen() < 2048 {
			return fmt.Sprintf("the key has %d bits", n.BitLen())
		}
		return ""
	})
}

func haveSoundNumbers() expect.Matcher {
	return ofKey("an odd modulus and an odd exponent of 3 or more (RFC 8017 section 3.1)", func(k jwk) string {
		n, e := modulus(k), number(k, "e")
		switch {
		case n == nil || e == nil: // not an RSA key, or one that AS-KEYS-JWKS-SHAPE reports
		case n.Bit(0) == 0:
			return "the modulus is even"
		case e.Cmp(big.NewInt(3)) < 0 || e.Bit(0) == 0:
			return "the exponent is " + reportable(e)
		}
		return ""
	})
}

func reportable(n *big.Int) string {
	if n.BitLen() > 64 {
		return fmt.Sprintf("a number of %d bits", n.BitLen())
	}
	return n.String()
}

// longest is the size of a modulus, in bits, beyond which the check does not try to factor it.
const longest = 4096

func resistFactoring() expect.Matcher {
	return ofKey("a modulus of two large random primes", func(k jwk) string {
		n := modulus(k)
		if n == nil || n.BitLen() > longest || n.Bit(0) == 0 {
			return ""
		}
		if f := smallFactor(n); f != 0 {
			return fmt.Sprintf("the modulus can be divided by %d", f)
		}
		switch {
		case n.ProbablyPrime(1):
			return "the modulus is a prime itself"
		case hasCloseFactors(n):
			return "its two primes are so close that Fermat's method finds them (CVE-2022-26320)"
		case isROCA(n):
			return "the key was made by a faulty library of smart cards (ROCA, CVE-2017-15361)"
		}
		return ""
	})
}

// primes returns the primes below a limit.
func primes(limit int) []int64 {
	var out []int64
	for n := int64(2); n < int64(limit); n++ {
		if !slices.ContainsFunc(out, func(p int64) bool { return p*p <= n && n%p == 0 }) {
			out = append(out, n)
		}
	}
	return out
}

func smallFactor(n *big.Int) int64 {
	for _, p := range primes(1000) {
		if new(big.Int).Mod(n, big.NewInt(p)).Sign() == 0 {
			return p
		}
	}
	return 0
}

// hasCloseFactors makes a hundred steps of Fermat's method.
func hasCloseFactors(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	for range 100 {
		a.Add(a, big.NewInt(1))
		square := new(big.Int).Sub(new(big.Int).Mul(a, a), n)
		if root := new(big.Int).Sqrt(square); new(big.Int).Mul(root, root).Cmp(square) == 0 {
			return true
		}
	}
	return false
}

// isROCA reports that a modulus is a power of 65537 modulo each small prime. The moduli of the faulty library are; a random modulus is
// with a probability of 2^-27.
func isROCA(n *big.Int) bool {
	for _, p := range primes(168)[1:] {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power, found := int64(1), false
		for range p {
			found = found || power == rest
			power = power * (65537 % p) % p
		}
		if !found {
			return false
		}
	}
	return true
}

// weakCurves have fewer than 112 bits of security (NIST SP 800-57 part 1, table 2).
var weakCurves = []string{
	"P-192", "secp192r1", "prime192v1", "secp192k1", "secp160r1", "secp160k1", "secp112r1", "secp128r1", "sect163k1", "B-163", "K-163",
}

func useNoWeakCurve() expect.Matcher {
	return ofKey("a curve of 112 bits of security or more (NIST SP 800-57)", func(k jwk) string {
		if crv := k.String("crv"); slices.ContainsFunc(weakCurves, func(w string) bool { return strings.EqualFold(w, crv) }) {
			return "crv is " + crv
		}
		return ""
	})
}

// Others can be registered (RFC 7518 section 6.2.1.1), so that an unknown one is no more than a warning.
func useRegisteredCurve() expect.Matcher {
	return ofKey("a curve that RFC 7518, RFC 8037 or RFC 8812 registers, which clients know", func(k jwk) string {
		crv := k.String("crv")
		if kty := k.String("kty"); (kty == "EC" || kty == "OKP") && crv != "" && coordinates[crv] == 0 {
			return fmt.Sprintf("crv is %q", crv)
		}
		return ""
	})
}

func beNobodyElses() expect.Matcher {
	return ofKey("a key whose private half is not published", func(k jwk) string {
		own := k.String("n") + k.String("x")
		for line := range strings.Lines(vectors.PublishedKeys) {
			beginning, where, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.HasPrefix(own, beginning) {
				return "the key is the example of " + where + ": everybody can sign with it"
			}
		}
		return ""
	})
}

// modulus is the modulus of an RSA key; nil if the key has none that can be read (AS-KEYS-JWKS-SHAPE).
func modulus(k jwk) *big.Int {
	if k.String("kty") != "RSA" {
		return nil
	}
	return number(k, "n")
}

func number(k jwk, name string) *big.Int {
	b, err := base64.RawURLEncoding.DecodeString(k.String(name))
	if err != nil || len(b) == 0 {
		return nil
	}
	return new(big.Int).SetBytes(b)
}
