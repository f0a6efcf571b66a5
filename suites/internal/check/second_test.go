package check

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// Two findings are the same if they differ only in generated values, and different if they expect different things.
func TestAFindingIsSeenTwiceWhateverItsValues(t *testing.T) {
	first := []reports.Finding{{About: "the client of a refreshed token", Expected: "4Rr2op-dndEBvnyKe3qk7A"}}
	for about, c := range map[string]struct {
		second reports.Finding
		kept   int
	}{
		"another client":      {reports.Finding{About: first[0].About, Expected: "dXWmvhqwVHnte-mtrbAqOq"}, 1},
		"another expectation": {reports.Finding{About: first[0].About, Expected: "a refusal"}, 0},
		"another row":         {reports.Finding{About: "the user of a refreshed token", Expected: first[0].Expected}, 0},
		"advice only":         {reports.Finding{About: first[0].About, Expected: first[0].Expected, Advice: true}, 0},
	} {
		assert.Len(t, seenTwice(first, []reports.Finding{c.second}), c.kept, about)
	}
}

// A result counts if two tries have a finding in common, whatever the values in its name.
func TestAResultIsSeenTwice(t *testing.T) {
	with := func(verdict reports.Verdict, about ...string) reports.Result {
		r := reports.Result{Level: "MUST", Verdict: verdict}
		for _, a := range about {
			r.Findings = append(r.Findings, reports.Finding{About: a, Expected: "a refusal", Observed: "HTTP 200", Advice: verdict == reports.Warn})
		}
		return r
	}
	first := with(reports.Fail, "an unknown code", "the state k7VxQ2")
	for about, c := range map[string]struct {
		second reports.Result
		want   reports.Verdict
	}{
		"the same":                {first, reports.Fail},
		"one of both":             {with(reports.Fail, "an unknown code"), reports.Fail},
		"with another value":      {with(reports.Fail, "the state Zb31xy"), reports.Fail},
		"another finding":         {with(reports.Fail, "a used code"), reports.Inconclusive},
		"another finding, advice": {with(reports.Warn, "a used code"), reports.Inconclusive},
		"nothing":                 {with(reports.Pass), reports.Inconclusive},
	} {
		assert.Equal(t, c.want, both(first, c.second).Verdict, about)
	}
}

// A run repeats a bounded number of executions because of server errors, though its last checks have a second look of their own.
func TestRepetitionsAreBoundedInARun(t *testing.T) {
	const id = "RS-TOKEN-GARBAGE"
	executions := 0
	e := engine(t, id, func(t *T) {
		executions++
		t.Inconclusive("a server error")
	})
	e.Timeout = OrdinaryTimeout
	e.World.Begin()
	for range 2 {
		for range mostRepeated - 2 {
			e.doubts = append(e.doubts, &doubt{check: e.Registry.byID[id], job: job{wire: mcp.Stateful, revisions: []string{"2025-11-25"}},
				failed: true, results: []reports.Result{{Verdict: reports.Inconclusive}}, settle: func([]reports.Result, []*reports.Exchange) {}})
		}
		e.secondLook(t.Context())
	}
	assert.Equal(t, mostRepeated, executions)
}
