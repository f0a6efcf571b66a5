// Package chance has the random values of the fakes, which a seed makes repeat. The suites have theirs apart: neither side
// hangs on the other.
package chance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	random "math/rand/v2"
	"sync"
)

// source is of the whole process: with a seed, it runs against one target at a time.
var source struct {
	sync.Mutex
	seeded bool
	seed   int64
	stream *random.ChaCha8
}

// Seed makes all values follow from a number, and thereby predictable: for targets on the own machine only.
func Seed(seed int64) {
	source.Lock()
	source.seeded, source.seed = true, seed
	source.Unlock()
	Turn("")
}

// Turn begins the values of a part of the run, which do not depend on how many others have drawn. It does nothing
// without a seed.
func Turn(part string) {
	source.Lock()
	defer source.Unlock()
	if source.seeded {
		source.stream = random.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "fakes %d %s", source.seed, part)))
	}
}

// Bytes are n random bytes: from the system, unless there is a seed.
func Bytes(n int) []byte {
	b := make([]byte, n)
	source.Lock()
	defer source.Unlock()
	if source.seeded {
		_, _ = source.stream.Read(b) // never fails
	} else {
		_, _ = rand.Read(b) // never fails
	}
	return b
}

// Text is n random bytes in base64url.
func Text(n int) string { return base64.RawURLEncoding.EncodeToString(Bytes(n)) }

// Key is a P-256 key.
func Key() *ecdsa.PrivateKey {
	for {
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), Bytes(32)); err == nil { // else it is beyond the order
			return key
		}
	}
}
