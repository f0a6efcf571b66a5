// Package failing_test runs the suite against references that fail, for good from some request on or temporarily, and against servers that
// answer everything alike or not at all.
package failing_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// ways are the ways in which a target fails.
var ways = map[string]func(w http.ResponseWriter){
	"closed": hangUp,
	"reset": func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"jsonrpc":`))
		hangUp(w)
	},
	"500": func(w http.ResponseWriter) { http.Error(w, "the database is gone", http.StatusInternalServerError) },
	"503": func(w http.ResponseWriter) { http.Error(w, "no backend", http.StatusServiceUnavailable) },
	"429": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
}

func hangUp(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// failing returns a reference that fails the requests for which when is true. It counts them from 1.
func failing(t *testing.T, how func(http.ResponseWriter), when func(n int64, r *http.Request) bool) (*reference.Reference, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	o := reference.Ideal()
	o.Wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if when(n.Add(1), r) {
				how(w)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	return against.Start(t, o), &n
}

// accused returns the results with a finding.
func accused(run *reports.Run) []string {
	var out []string
	for _, r := range run.Results {
		if r.Verdict == reports.Fail || r.Verdict == reports.Warn {
			out = append(out, fmt.Sprintf("%s %s: %s", r.Verdict, r.ID, r.Reason))
		}
	}
	return out
}

// No check fails at a target that fails for good from any request on. CI tests one request of 173 in each way; elsewhere a few are enough.
func TestFailureFromSomeRequestOn(t *testing.T) {
	t.Parallel()
	from := []int64{3, 12, 30, 90, 400, 1500}
	if !whole.All(t) {
		from = []int64{400}
	}
	if os.Getenv("MCPAUTH_KILL") == "all" {
		from = nil
		for n := int64(1); n < 5000; n += 173 { // a prime, to avoid resonance with the run
			from = append(from, n)
		}
	}
	names := []string{"closed", "reset", "500", "503", "429"}
	for i, first := range from {
		for j, name := range names {
			if len(from) < 10 && i%len(names) != j { // each number fails in one way, and each way at one number
				continue
			}
			t.Run(fmt.Sprintf("%s from %d", name, first), func(t *testing.T) {
				r, _ := failing(t, ways[name], func(n int64, _ *http.Request) bool { return n >= first })
				redacted, err := suites.Run(t.Context(), against.WithoutCost(against.SigningIn(r)))
				require.NoError(t, err)
				run := redacted.Run()
				assert.Empty(t, accused(run))
				if len(run.Results) == 0 {
					assert.NotEmpty(t, run.Unreachable)
					return
				}
				if name == "429" {
					return
				}
				gone := slices.DeleteFunc(slices.Clone(run.Results), func(r reports.Result) bool {
					return !strings.HasPrefix(r.Reason, "the target stopped answering after ") &&
						!strings.HasPrefix(r.Reason, "the target answered no request properly")
				})
				require.NotEmpty(t, gone, "no reason says that the target stopped answering")
				for _, g := range gone {
					assert.Equal(t, reports.Inconclusive, g.Verdict)
					assert.Equal(t, gone[0].Reason, g.Reason, "the reasons differ")
				}
				assert.LessOrEqual(t, len(apart(run, gone[0].Reason)), 2, "undecided after a failure, for a reason of its own: %v",
					apart(run, gone[0].Reason)) // one or two at the moment when the target fails first
				assert.Equal(t, reports.ExitUndecided, run.Outcome().Code)
			})
		}
	}
}

// apart returns the undecided results with a failed request that have another reason.
func apart(run *reports.Run, reason string) (out []string) {
	for _, res := range run.Results {
		failed := func(ex reports.Exchange) bool {
			return slices.Contains(res.Evidence, ex.Number) && (ex.Response == nil || ex.Response.Status >= 500)
		}
		if res.Verdict == reports.Inconclusive && res.Reason != reason && slices.ContainsFunc(run.Exchanges, failed) {
			out = append(out, res.ID+": "+res.Reason)
		}
	}
	return out
}

// No check fails at a target that fails temporarily, except a check about failures, which may see one at the same row in both attempts.
func TestFailureNowAndThen(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "closed")
	for _, name := range []string{"closed", "500"} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			r, _ := failing(t, ways[name], func(n int64, _ *http.Request) bool { return n > 40 && n%97 == 0 })
			run := against.Run(t, against.Part(t, against.WithoutCost(against.SigningIn(r))))
			run.Results = slices.DeleteFunc(run.Results, func(r reports.Result) bool {
				about, ok := requirements.Lookup(r.ID)
				return ok && len(about.Evidence) > 0
			})
			assert.Empty(t, accused(run))
		})
	}
}

// An observation in only one of two attempts is not a finding; one in both is, with both.
func TestSecondLook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accepts func(n int64) bool
		want    reports.Verdict
	}{
		"once":  {func(n int64) bool { return n == 1 }, reports.Inconclusive},
		"again": {func(int64) bool { return true }, reports.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			var r *reference.Reference
			var n atomic.Int64
			o := reference.Ideal()
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Header.Get("Authorization") == "Bearer admin" && c.accepts(n.Add(1)) {
						req.Header.Set("Authorization", "Bearer "+r.Token())
					}
					h.ServeHTTP(w, req)
				})
			}
			r = against.Start(t, o)
			cfg := against.SigningIn(r)
			cfg.Only, cfg.Revisions = []string{"RS-TOKEN-GARBAGE"}, []string{"2025-11-25"}
			run := against.Run(t, cfg)
			require.Len(t, run.Results, 1)
			result := run.Results[0]
			assert.Equal(t, c.want, result.Verdict, result.Reason)
			tries := 0
			for _, ex := range run.Exchanges {
				if slices.Contains(result.Evidence, ex.Number) && ex.Request.Method == http.MethodPost &&
					strings.Contains(fmt.Sprint(ex.Request.Header), "Bearer admin") {
					tries++
				}
			}
			assert.Equal(t, 2, tries, "one of the two tries is not in the evidence")
			if c.want == reports.Inconclusive {
				assert.Contains(t, result.Reason, "seen once in two tries")
				assert.Empty(t, result.Findings)
			}
		})
	}
}

// A row that gets one server error is sent again, with a new request. After two errors the check is repeated when nothing else runs, and
// then decides. So it is with the control, and with requests outside of tables.
func TestARowIsSentAgain(t *testing.T) {
	t.Parallel()
	row := func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer admin" }
	everything := func(*http.Request) bool { return true }
	codes := func(r *http.Request) bool {
		return strings.Contains(string(answer.Peek(r)), "grant_type=authorization_code")
	}
	for name, c := range map[string]struct {
		check string
		fails func(r *http.Request) bool
		when  func(n int64) bool
		want  reports.Verdict
	}{
		"a token, once":              {"RS-TOKEN-GARBAGE", row, func(n int64) bool { return n == 1 }, reports.Pass},
		"a token, twice":             {"RS-TOKEN-GARBAGE", row, func(n int64) bool { return n <= 2 }, reports.Pass},
		"a token, six times":         {"RS-TOKEN-GARBAGE", row, func(n int64) bool { return n <= 6 }, reports.Inconclusive},
		"a token, always":            {"RS-TOKEN-GARBAGE", row, func(int64) bool { return true }, reports.Inconclusive},
		"a code, one request of two": {"AS-PKCE-REJECT-MISSING-VERIFIER", codes, func(n int64) bool { return n%2 == 0 }, reports.Pass},
		"a code, always":             {"AS-PKCE-REJECT-MISSING-VERIFIER", codes, func(n int64) bool { return n > 1 }, reports.Inconclusive},
		"a code that must be good":   {"AS-TOKEN-SECRET-POST", codes, func(n int64) bool { return n == 2 }, reports.Pass},
		"one request of seven":       {"RS-TOKEN-ALG-NONE", everything, func(n int64) bool { return n > 40 && n%7 == 0 }, reports.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			r, _ := failing(t, ways["500"], func(_ int64, r *http.Request) bool { return c.fails(r) && c.when(n.Add(1)) })
			cfg := against.SigningIn(r)
			cfg.Only, cfg.Revisions = []string{c.check}, []string{"2025-11-25"}
			run := against.Run(t, cfg)
			require.Len(t, run.Results, 1)
			assert.Equal(t, c.want, run.Results[0].Verdict, run.Results[0].Reason)
			assert.Empty(t, suites.JudgeAgain(run).Contradictions)
		})
	}
}
