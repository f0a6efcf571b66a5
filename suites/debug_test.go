package suites_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

func TestDebug(t *testing.T) {
	o := reference.Ideal()
	cfg := signingIn(start(t, o))
	if v := os.Getenv("ONLY"); v != "" {
		cfg.Only = []string{v}
	}
	began := time.Now()
	run, err := suites.Evaluate(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	count := map[reports.Verdict]int{}
	for _, r := range run.Run().Results {
		count[r.Verdict]++
		if r.Verdict != reports.Pass || os.Getenv("V") != "" {
			fmt.Println(r.ID, r.Verdict, r.Reason, r.Duration)
			for _, f := range r.Findings {
				fmt.Println("     ", f.About, "|", f.Expected, "|", f.Observed)
			}
		}
	}
	fmt.Println(count, run.Run().Requests, time.Since(began))
}
