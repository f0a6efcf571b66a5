package credentials

import (
	"slices"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// samplesPerKind is how many answers are timed to each kind of wrong secret, and repeats how often a difference must show.
const (
	samplesPerKind = 30
	repeats        = 3
)

func timing() {
	Practice("RS-STATIC-TIMING", func(t *T) {
		if !document.LoopbackHost(t.Survey.URL.Hostname()) {
			t.NotApplicable("over a network, times say nothing about how secrets are compared")
		}
		for _, c := range append(t.MCP.StaticTokens(), t.MCP.APIKeys()...) {
			if len(c.Value) < 8 {
				continue
			}
			t.MCP.ControlOf(c)
			shown, last := 0, len(c.Value)-1
			var late, early time.Duration
			for range repeats {
				took := quick(t, c, last, 0, 0)
				late, early = took[0], max(took[1], took[2])
				noise := (took[1] - took[2]).Abs()
				if late-early > 5*noise+50*time.Microsecond {
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

// quick is the time within which the quickest tenth of the answers comes to a secret that is wrong at an index, for each of
// some indices. They are asked in turn: what else the machine does makes all of them late, and seldom the quickest.
func quick(t *T, c Credential, at ...int) []time.Duration {
	requests, took := make([]wire.Request, len(at)), make([][]time.Duration, len(at))
	for i, n := range at {
		requests[i] = t.MCP.Call().With(c.With(t.NearMiss(c.Value, n))).Request()
	}
	for range samplesPerKind {
		for i, r := range requests {
			took[i] = append(took[i], time.Duration(float64(t.IgnoringLimits(r).Duration)*float64(time.Millisecond)))
		}
	}
	out := make([]time.Duration, len(at))
	for i, all := range took {
		slices.Sort(all)
		out[i] = all[len(all)/10]
	}
	return out
}
