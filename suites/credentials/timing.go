package credentials

import (
	"fmt"
	"slices"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// samplesPerKind is how many answers are timed to each kind of wrong secret, and repeats how often a difference must show.
const (
	samplesPerKind = 30
	repeats        = 3
)

func timing() { Practice("RS-STATIC-TIMING", comparesInConstantTime) }

func comparesInConstantTime(t *T) {
	if !document.LoopbackHost(t.Survey.URL.Hostname()) {
		t.NotApplicable("over a network, times say nothing about how secrets are compared")
	}
	rows := rowsOf(slices.Concat(firstLong(t.MCP.StaticTokens()), firstLong(t.MCP.APIKeys())))
	if len(rows) == 0 {
		t.NotApplicable("no credential given has %d characters", comparable)
	}
	Each(t, rows, func(t *T, c Credential) {
		t.MCP.ControlOf(c)
		late := 0
		var last times
		for range repeats {
			last = timed(t, c)
			if last.tell() {
				late++
			} else if !t.Seeded() { // with a seed, all repeats are made
				break
			}
		}
		t.Expect(late == repeats).SeenIn(t.Last()).Ideally(tellNothing(last))
	})
}

// comparable is the minimum length of a secret for which response times can show a difference.
const comparable = 8

// firstLong is the first credential that is long enough. The server compares all of them in the same way, so one is enough.
func firstLong(all []Credential) []Credential {
	for _, c := range all {
		if len(c.Value) >= comparable {
			return []Credential{c}
		}
	}
	return nil
}

// times are the response times for a secret that is wrong at its end, and twice for one that is wrong at its beginning.
type times struct{ end, beginning, again time.Duration }

func timed(t *T, c Credential) times {
	took := quick(t, c, len(c.Value)-1, 0, 0)
	return times{took[0], took[1], took[2]}
}

// tell reports that the difference between two kinds of wrong secrets is clearly larger than that between two equal kinds.
func (x times) tell() bool {
	return x.end-max(x.beginning, x.again) > 5*(x.beginning-x.again).Abs()+50*time.Microsecond
}

var tellNothing = expect.Family("tellNothing", func(x times) expect.Matcher {
	return expect.That("a response time that does not depend on how much of a secret is right", func(told bool) string {
		if !told {
			return ""
		}
		return fmt.Sprintf("%v where only the last character is wrong, %v where the first is", x.end, max(x.beginning, x.again))
	})
})

// quick is, for each index, the response time of the quickest tenth of the answers to a secret that is wrong at that index. The
// requests alternate: other load on the machine delays all of them, and seldom the quickest.
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
