package failing_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// oneWorker fails requests that come while another one of mcpauth is in progress at the same server, and the first alone of those that are
// sent to find that out.
func oneWorker(how func(http.ResponseWriter), alone int) func(http.Handler) http.Handler {
	var mu sync.Mutex
	busy := map[string]int{}
	failed := map[string]bool{}
	repeated := func(r *http.Request, overlaps bool) bool {
		mu.Lock()
		defer mu.Unlock()
		id := fmt.Sprint(r.Method, r.Host, r.URL, r.Header["Authorization"], r.ContentLength)
		again := failed[id] && !overlaps && alone > 0
		if failed[id] = failed[id] || overlaps; again {
			alone--
		}
		return again
	}
	work := func(host string, n int) int {
		mu.Lock()
		defer mu.Unlock()
		busy[host] += n
		return busy[host]
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stream := r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
			if stream || !strings.Contains(r.UserAgent(), "mcpauth") {
				h.ServeHTTP(w, r)
				return
			}
			overlaps := work(r.Host, 1) > 1
			if repeated(r, overlaps) || overlaps {
				work(r.Host, -1) // before the client sees the failure
				how(w)
				return
			}
			defer work(r.Host, -1)
			time.Sleep(time.Millisecond)
			h.ServeHTTP(w, r)
		})
	}
}

// A server that does one thing at a time is tested with one request at a time, and the report says so.
func TestOneWorker(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "500")
	for _, name := range []string{"500", "503", "closed"} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			o := reference.Ideal()
			o.Wrap = oneWorker(ways[name], 0)
			cfg := against.WithoutCost(against.SigningIn(against.Start(t, o)))
			if !whole.All(t) {
				cfg.Only = []string{"RS-CHALLENGE-*", "AS-TOKEN-*", "AS-PKCE-*"}
			}
			run := against.Run(t, cfg)
			assert.Empty(t, accused(run))
			assert.Contains(t, fmt.Sprint(run.Discovered), "one at a time")
			var undecided []string
			for _, r := range run.Results {
				if r.Verdict == reports.Inconclusive && r.Level == "MUST" {
					undecided = append(undecided, r.ID+": "+r.Reason)
				}
			}
			assert.LessOrEqual(t, len(undecided), mostUndecided, "%s", strings.Join(undecided, "\n"))
		})
	}
}

// A request that fails alone by chance hides no server that does one thing at a time.
func TestOneWorkerThatFailsOnceAlone(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Wrap = oneWorker(ways["closed"], 1)
	cfg := against.WithoutCost(against.SigningIn(against.Start(t, o)))
	cfg.Only = []string{"RS-CHALLENGE-401-*"}
	assert.Contains(t, fmt.Sprint(against.Run(t, cfg).Discovered), "one at a time")
}

// mostUndecided bounds the MUSTs that stay undecided: those that race, and so overlap anyway, and those of streams.
const mostUndecided = 10
