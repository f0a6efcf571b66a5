package quirks_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// BenchmarkKeyCooldown runs the suite twice in a row against a target that fetches a key set once in 30 seconds, as common libraries do by
// default, with the default waits. It takes more than a minute:
// go test ./suites/tests/quirks -run '^$' -bench KeyCooldown -benchtime 1x
func BenchmarkKeyCooldown(b *testing.B) {
	for _, name := range []string{"key-cooldown", "key-cooldown-after-failures"} {
		i := slices.IndexFunc(quirks.All, func(q quirks.Quirk) bool { return q.Name == name })
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				twice(b, quirks.All[i])
			}
		})
	}
}

func twice(b *testing.B, q quirks.Quirk) {
	o := reference.Ideal()
	q.Bend(&o)
	r := against.Start(b, o)
	for _, which := range []string{"first", "second"} {
		cfg := against.Trusted(r, suites.Config{Target: target.At(r.URL)})
		cfg.Rate, cfg.MaxRequests = 100_000, 20_000
		cfg.FakeIDP = &target.FakeIDP{Issuer: r.IDP.Issuer, Listen: "127.0.0.1:0", Audience: cfg.URL} // its keys are not judged
		began := time.Now()
		run, err := suites.Run(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		undecided := 0
		for _, res := range run.Run().Results {
			switch res.Verdict {
			case reports.Pass, reports.NotApplicable, reports.NotTested:
			default:
				undecided++
				b.Logf("%s run: %s %s %s: %s", which, res.Verdict, res.ID, res.Wire, res.Reason)
			}
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/"+which)
		b.ReportMetric(float64(undecided), "undecided/"+which)
	}
}
