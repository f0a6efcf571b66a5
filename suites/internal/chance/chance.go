// Package chance has the random values of a run, which a seed makes repeat.
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

// Forget ends what Seed began.
func Forget() {
	source.Lock()
	source.seeded = false
	source.Unlock()
}

// Seeded reports that there is a seed.
func Seeded() bool {
	source.Lock()
	defer source.Unlock()
	return source.seeded
}

// Turn begins the values of a part of the run, which do not depend on how many others have drawn. It does nothing
// without a seed.
func Turn(part string) {
	source.Lock()
	defer source.Unlock()
	if source.seeded {
		source.stream = random.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "suites %d %s", source.seed, part)))
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

// Shuffle puts bytes into a random order.
func Shuffle(all []byte) {
	order := random.New(random.NewChaCha8([32]byte(Bytes(32))))
	order.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
}

// Address is one of loopback to listen at: any that is free, unless there is a seed.
func Address() string {
	b := Bytes(2)
	source.Lock()
	defer source.Unlock()
	if !source.seeded {
		return "127.0.0.1:0"
	}
	return fmt.Sprintf("127.0.0.1:%d", 10_000+(int(b[0])<<8|int(b[1]))%10_000)
}

// Key is a P-256 key.
func Key() *ecdsa.PrivateKey {
	for {
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), Bytes(32)); err == nil { // else it is beyond the order
			return key
		}
	}
}
