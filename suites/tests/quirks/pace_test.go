package quirks_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// perUser serves a number of requests with credentials, whatever the token, and then refuses all for a pause.
func perUser(most int, pause time.Duration) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		var mu sync.Mutex
		var until time.Time
		served := 0
		left := func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if served == most {
				served, until = 0, time.Now().Add(pause)
			}
			wait := time.Until(until)
			if wait <= 0 {
				served++
			}
			return wait
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" && r.Header.Get("Authorization") != "" {
				if wait := left(); wait > 0 {
					w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
					http.Error(w, "too many requests", http.StatusTooManyRequests)
					return
				}
			}
			h.ServeHTTP(w, r)
		})
	}
}

// A run stays within the limit of a user: it waits as the target asks, decides what it can, and says how long it takes.
func TestRunPacesItself(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Wrap = perUser(100, 3*time.Second)
	cfg := against.WithToken(against.Start(t, o))
	cfg.Only = []string{"RS-RATE-BELOW-LIMIT", "RS-AUD-*", "RS-TOKEN-*", "RS-SCOPE-*"}
	var mu sync.Mutex
	var notices []string
	cfg.OnNotice = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		notices = append(notices, text)
	}
	run := against.Run(t, cfg)
	verdicts := map[reports.Verdict]int{}
	for _, r := range run.Results {
		verdicts[r.Verdict]++
		assert.Contains(t, []reports.Verdict{reports.Pass, reports.NotApplicable, reports.NotTested}, r.Verdict, "%s: %s", r.ID, r.Reason)
	}
	assert.Positive(t, verdicts[reports.Pass])
	assert.NotEmpty(t, notices)
	for _, text := range notices {
		assert.Regexp(t, `^your server limits requests to http://\S+: the run continues in \d+s`, text)
	}
}
