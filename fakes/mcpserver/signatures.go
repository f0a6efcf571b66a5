package mcpserver

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"sync"
)

// signatures are those that were valid. Most requests carry a token that the server has seen: its signature stays valid, and verifying
// it costs more than the rest of the answer. All else about a token is judged at each request.
type signatures struct {
	mu    sync.Mutex
	valid map[[sha256.Size]byte]bool
}

// mostSignatures is how many signatures are kept.
const mostSignatures = 4096

// verifies reports that a signature of ES256 is valid.
func (s *signatures) verifies(public *ecdsa.PublicKey, sum, sig []byte) bool {
	point, err := public.Bytes()
	if err != nil || len(sig) != 64 {
		return false
	}
	key := sha256.Sum256(slices.Concat(point, sum, sig))
	s.mu.Lock()
	known := s.valid[key]
	s.mu.Unlock()
	if known {
		return true
	}
	if !ecdsa.Verify(public, sum, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return false
	}
	s.keep(key)
	return true
}

func (s *signatures) keep(key [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.valid) >= mostSignatures || s.valid == nil {
		s.valid = map[[sha256.Size]byte]bool{}
	}
	s.valid[key] = true
}
