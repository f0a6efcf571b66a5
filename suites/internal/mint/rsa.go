package mint

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"sync"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/fixtures/vectors"
)

// RSA returns a key of 2048 bits that a run publishes or registers, always the same one in a process. It is not the attacker's: a verifier
// may try every key of a set (in RFC 7515 section 4.1.4, kid is only a hint).
func RSA() crypto.Signer { return unlessSeeded(own) }

// EncryptionRSA and OperationRSA are like RSA, each another key: for a key that a set marks as not for signatures.
func EncryptionRSA() crypto.Signer { return unlessSeeded(ownForEncryption) }
func OperationRSA() crypto.Signer  { return unlessSeeded(ownForOperation) }

// unlessSeeded returns the process's key; with a seed, the next one of the seed.
func unlessSeeded(own func() crypto.Signer) crypto.Signer {
	if seeded.Suites.Seeded() {
		return NewRSA()
	}
	return own()
}

var own, ownForEncryption, ownForOperation = sync.OnceValue(NewRSA), sync.OnceValue(NewRSA), sync.OnceValue(NewRSA)

// attackers returns the attacker's RSA key, always the same one in a process; with a seed it is predictable.
func attackers() crypto.Signer {
	if seeded.Suites.Seeded() {
		return attackersKnown()
	}
	return attackersOwn()
}

var attackersOwn = sync.OnceValue(NewRSA)

var attackersKnown = sync.OnceValue(func() crypto.Signer {
	k, err := ParseKey("", vectors.AttackerKey)
	if err != nil {
		panic(err) // it is built in
	}
	return k.Signer
})

// NewRSA makes a new key of 2048 bits; with a seed, the next one of the seed.
func NewRSA() crypto.Signer {
	if seeded.Suites.Seeded() {
		return seededRSA()
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
}

// seededRSA makes a key from the seed: crypto/rsa only uses the system's randomness.
func seededRSA() crypto.Signer {
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, q := seededPrime(), seededPrime()
		totient := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e.Int64())}, Primes: []*big.Int{p, q}}
		if key.D = new(big.Int).ModInverse(e, totient); key.D == nil {
			continue
		}
		key.Precompute()
		if key.Validate() == nil {
			return key
		}
	}
}

// seededPrime returns the first prime of 1024 bits, with both upper bits set, after a number from the seed.
func seededPrime() *big.Int {
	text := seeded.Suites.Bytes(128)
	text[0] |= 0xc0
	text[127] |= 1
	p, two := new(big.Int).SetBytes(text), big.NewInt(2)
	for !p.ProbablyPrime(20) {
		p.Add(p, two)
	}
	return p
}
