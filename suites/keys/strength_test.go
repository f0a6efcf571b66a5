package keys

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/vectors"
)

func TestSoundModulusIsNotSuspected(t *testing.T) {
	n := vectorModulus(t)
	assert.Zero(t, smallFactor(n))
	assert.False(t, hasCloseFactors(n))
	assert.False(t, isROCA(n))
}

func TestSquareHasCloseFactors(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))
	assert.True(t, hasCloseFactors(new(big.Int).Mul(p, p)))
}

// A power of 65537 is one modulo every prime.
func TestPowerOfTheGeneratorIsROCA(t *testing.T) {
	assert.True(t, isROCA(new(big.Int).Exp(big.NewInt(65537), big.NewInt(100), nil)))
}

func TestPrimes(t *testing.T) {
	assert.Equal(t, []int64{2, 3, 5, 7, 11, 13}, primes(14))
	assert.Len(t, primes(168), 39)
}

// vectorModulus returns the modulus of a real RSA key.
func vectorModulus(t *testing.T) *big.Int {
	t.Helper()
	block, _ := pem.Decode(vectors.IssuerKey)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.N
}
