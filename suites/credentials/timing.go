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
			shown := 0
			var late, early time.Duration
			for range repeats {
				late, early = median(t, c, wrongLast), median(t, c, wrongFirst)
				again := median(t, c, wrongFirst)
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

// wrongLast and wrongFirst change a character of a secret.
func wrongLast(s string) string  { return s[:len(s)-1] + other(s[len(s)-1]) }
func wrongFirst(s string) string { return other(s[0]) + s[1:] }

func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// median is the time of the middle one of the answers to a wrong secret.
func median(t *T, c Credential, wrong func(string) string) time.Duration {
	request := t.Call().With(c.With(t.Hide(wrong(c.Value)))).Request()
	var all []float64
	for range samplesPerKind {
		all = append(all, float64(t.Anyway(request).Duration))
	}
	slices.Sort(all)
	return time.Duration(all[len(all)/2] * float64(time.Millisecond))
}
