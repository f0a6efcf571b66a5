//go:build unix

package failing_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// together are ten flaws that a server can have at once.
var together = []string{"alg-none", "any-origin", "query-token", "body-token", "any-scheme", "consent-never", "authorize-no-iss",
	"error-without-token", "metadata-without-cors", "as-without-cors"}

// BenchmarkSecondLook runs everything against a reference with ten flaws, alternately with and without a second look at the findings. It
// reports the processor time of both, including the target's, and the time by the clock.
func BenchmarkSecondLook(b *testing.B) {
	o := reference.Ideal()
	all := flaws.All()
	for _, name := range together {
		i := slices.IndexFunc(all, func(f flaws.Flaw) bool { return f.Name == name })
		require.GreaterOrEqual(b, i, 0, name)
		all[i].Bend(&o)
	}
	var cpu, clock [2]float64
	requests, accusations := [2]int{}, 0
	for b.Loop() {
		for i, once := range []bool{false, true} {
			r := against.Start(b, o)
			before, began := processorTime(b), time.Now()
			redacted, err := suites.Run(faults.With(b.Context(), &faults.Plan{OneLook: once}), against.SigningIn(r))
			require.NoError(b, err)
			cpu[i] += processorTime(b) - before
			clock[i] += time.Since(began).Seconds()
			requests[i] += redacted.Run().Requests
			if !once {
				accusations = len(accused(redacted.Run()))
			}
			require.GreaterOrEqual(b, len(accused(redacted.Run())), len(together))
		}
	}
	n := float64(b.N)
	b.ReportMetric(cpu[0]/n, "CPU-s/with")
	b.ReportMetric(cpu[1]/n, "CPU-s/without")
	b.ReportMetric(100*(cpu[0]/cpu[1]-1), "%more")
	b.ReportMetric(100*(clock[0]/clock[1]-1), "%more-by-the-clock")
	b.ReportMetric(100*(float64(requests[0])/float64(requests[1])-1), "%more-requests")
	b.ReportMetric(float64(accusations), "findings")
}

// processorTime returns the processor time of the process in seconds.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
