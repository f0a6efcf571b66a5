package credentials

import (
	"math"
	"slices"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// samplesPerKind is how many answers are timed to each kind of wrong secret, and repeats how often a difference must show.
const (
	samplesPerKind = 60
	repeats        = 3
)

func timing() {
	Practice("RS-STATIC-TIMING", func(t *T) {
		if !document.LoopbackHost(t.Survey.URL.Hostname()) {
			t.NotApplicable("over a network, times say nothing about how secrets are compared")
		}
		for _, c := range append(t.StaticTokens(), t.APIKeys()...) {
			if len(c.Value) < 8 {
				continue
			}
			t.ControlOf(c)
			shown, last := 0, len(c.Value)-1
			var late, early time.Duration
			for range repeats {
				late, early = quick(t, c, last), quick(t, c, 0)
				again := quick(t, c, 0)
				noise := time.Duration(math.Abs(float64(again - early)))
				if late-max(early, again) > 5*noise+50*time.Microsecond {
					shown++
				} else if !t.Seeded() { // with a seed, all repeats are made
					break
				}
			}
			if shown == repeats {
				t.Advise(t.Last(), "an answer that takes no longer the more of a secret is right", "%s: %v where only the last character is wrong, %v where the first is", c.Name, late, early)
			}
			t.Refused()
			return // what holds for one credential holds for all that are compared so
		}
	})
}

// quick is the time within which the quickest tenth of the answers comes to a secret that is wrong at an index. What else the
// machine does makes others late, and seldom these.
func quick(t *T, c Credential, at int) time.Duration {
	request := t.Call().With(c.With(t.NearMiss(c.Value, at))).Request()
	var all []float64
	for range samplesPerKind {
		all = append(all, float64(t.Anyway(request).Duration))
	}
	slices.Sort(all)
	return time.Duration(all[len(all)/10] * float64(time.Millisecond))
}
