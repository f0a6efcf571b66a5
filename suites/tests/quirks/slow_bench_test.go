package quirks_test

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A run with the default limits signs in at a server that takes 1 to 3 seconds for each answer, for pages, tokens and calls alike. It
// reports each verdict that differs from those of the same server without the delay. It takes more than 20 minutes:
// go test ./suites/tests/quirks -run '^$' -bench SlowSignIn -benchtime 1x -timeout 1h
// MCPAUTH_SLOW_ONLY selects requirements, and MCPAUTH_SLOW_DELAY=500ms halves the delay.
func BenchmarkSlowSignIn(b *testing.B) {
	for b.Loop() {
		quick, _ := withDefaults(b, func(h http.Handler) http.Handler { return h })
		began := time.Now()
		slow, requests := withDefaults(b, late)
		b.ReportMetric(time.Since(began).Seconds(), "s/run")
		b.ReportMetric(float64(requests), "requests/run")
		b.ReportMetric(float64(differences(b, quick, slow)), "differ/run")
	}
}

// differences shows the verdicts that differ from what is expected, and returns their number.
func differences(b *testing.B, expected, seen map[string]reports.Result) (differ int) {
	b.Helper()
	for at, verdict := range expected {
		if seen[at].Verdict != verdict.Verdict {
			differ++
			b.Logf("%s: %s instead of %s: %s", at, seen[at].Verdict, verdict.Verdict, seen[at].Reason)
		}
	}
	return differ
}

// late delays each answer by 1 to 3 times a delay.
func late(h http.Handler) http.Handler {
	delay, err := time.ParseDuration(cmp.Or(os.Getenv("MCPAUTH_SLOW_DELAY"), "1s"))
	if err != nil {
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(delay + time.Duration(rand.Int64N(int64(2*delay)))):
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// withDefaults runs everything against a reference that is wrapped at both servers, with the limits that a run has by default.
func withDefaults(b *testing.B, wrap func(http.Handler) http.Handler) (results map[string]reports.Result, requests int) {
	b.Helper()
	o := reference.Ideal()
	o.Wrap, o.Behaviour.Wrap = wrap, wrap
	r := against.Start(b, o)
	full := against.SigningIn(r)
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo}
	cfg.Users, cfg.Only = full.Users, strings.Fields(os.Getenv("MCPAUTH_SLOW_ONLY"))
	return everything(b, cfg)
}

// everything returns the results of a run.
func everything(b *testing.B, cfg suites.Config) (results map[string]reports.Result, requests int) {
	b.Helper()
	run, err := suites.Run(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	results = map[string]reports.Result{}
	for _, res := range run.Run().Results {
		results[res.ID+" "+res.Wire+" "+res.Level] = res
	}
	return results, run.Run().Requests
}
