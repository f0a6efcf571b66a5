package reports_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// An entry of a baseline accepts what it names: no graver finding, and nothing that was not decided, unless it says so.
func TestABaselineAcceptsWhatItNames(t *testing.T) {
	for name, c := range map[string]struct {
		accepts, verdict reports.Verdict
		want             reports.Verdict
	}{
		"a finding":                           {"", reports.Fail, reports.Suppressed},
		"a lesser finding":                    {reports.Fail, reports.Warn, reports.Suppressed},
		"what was not decided":                {"", reports.Inconclusive, reports.Inconclusive},
		"what was not decided, beside a FAIL": {reports.Fail, reports.Inconclusive, reports.Inconclusive},
		"a warning":                           {reports.Warn, reports.Warn, reports.Suppressed},
		"a graver finding":                    {reports.Warn, reports.Fail, reports.Fail},
		"what is declared undecided":          {reports.Inconclusive, reports.Inconclusive, reports.Suppressed},
		"a finding, of what is declared to be undecided": {reports.Inconclusive, reports.Fail, reports.Fail},
		"a failure of the tool":                          {"", reports.Errored, reports.Errored},
	} {
		t.Run(name, func(t *testing.T) {
			run := reports.Redact(reports.Run{Results: []reports.Result{{ID: "A", Level: "MUST", Verdict: c.verdict}}}, &reports.Secrets{})
			run = reports.Accept(run, []reports.Accepted{{ID: "A", Reason: "known", Verdict: c.accepts}}, time.Now())
			assert.Equal(t, c.want, run.Run().Results[0].Verdict)
			assert.Empty(t, run.Run().Stale, "an undecided requirement makes an entry stale")
		})
	}
}

// An entry is no longer needed only where everything was decided without a finding.
func TestAnEntryIsNeededWhileSomethingIsUndecided(t *testing.T) {
	for want, wires := range map[int][]reports.Verdict{
		0: {reports.Pass, reports.Inconclusive},
		1: {reports.Pass, reports.NotApplicable},
	} {
		var results []reports.Result
		for _, v := range wires {
			results = append(results, reports.Result{ID: "A", Verdict: v})
		}
		run := reports.Redact(reports.Run{Results: results}, &reports.Secrets{})
		assert.Len(t, reports.Accept(run, []reports.Accepted{{ID: "A", Reason: "known"}}, time.Now()).Run().Stale, want)
	}
}
