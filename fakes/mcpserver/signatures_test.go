package mcpserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A signature that was valid once proves nothing of another key, another text or another signature.
func TestKeptSignatures(t *testing.T) {
	key, other := newKey(t), newKey(t)
	sum, otherSum := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	require.NoError(t, err)
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	changed := append([]byte{sig[0] ^ 1}, sig[1:]...)
	var kept signatures
	for range 2 {
		assert.True(t, kept.verifies(&key.PublicKey, sum[:], sig))
		assert.False(t, kept.verifies(&other.PublicKey, sum[:], sig), "a signature verifies with another key")
		assert.False(t, kept.verifies(&key.PublicKey, otherSum[:], sig), "a signature verifies for another text")
		assert.False(t, kept.verifies(&key.PublicKey, sum[:], changed), "a changed signature verifies")
		assert.False(t, kept.verifies(&key.PublicKey, sum[:], sig[:63]), "a part of a signature verifies")
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}
