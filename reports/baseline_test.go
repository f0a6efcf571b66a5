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
			if c.accepts == reports.Inconclusive && c.verdict == reports.Fail {
				assert.Equal(t, []string{": A is decided now: take the entry out"}, run.Run().Stale)
			} else {
				assert.Empty(t, run.Run().Stale, "an undecided requirement makes an entry stale")
			}
		})
	}
}

// An entry that accepts findings is no longer needed where everything was decided without a finding, and one that accepts an undecided
// requirement where everything was decided.
func TestWhenAnEntryIsNotNeededAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		accepts reports.Verdict
		judged  []reports.Verdict
		want    string
	}{
		"one protocol is undecided":            {"", []reports.Verdict{reports.Pass, reports.Inconclusive}, ""},
		"no finding":                           {"", []reports.Verdict{reports.Pass, reports.NotApplicable}, "has no finding any more"},
		"a graver finding in one protocol":     {reports.Warn, []reports.Verdict{reports.Pass, reports.Fail}, ""},
		"undecided, and passed":                {reports.Inconclusive, []reports.Verdict{reports.Pass}, "is decided now"},
		"undecided, and failed":                {reports.Inconclusive, []reports.Verdict{reports.Fail, reports.Fail}, "is decided now"},
		"undecided, and warned":                {reports.Inconclusive, []reports.Verdict{reports.Warn}, "is decided now"},
		"undecided, and not tested":            {reports.Inconclusive, []reports.Verdict{reports.NotTested}, ""},
		"undecided in one protocol":            {reports.Inconclusive, []reports.Verdict{reports.Pass, reports.Inconclusive}, ""},
		"undecided, and an error of this tool": {reports.Inconclusive, []reports.Verdict{reports.Errored}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var results []reports.Result
			for _, v := range c.judged {
				results = append(results, reports.Result{ID: "A", Verdict: v})
			}
			run := reports.Redact(reports.Run{Results: results}, &reports.Secrets{})
			entry := reports.Accepted{ID: "A", Reason: "known", Verdict: c.accepts, Where: "b.yaml:3"}
			stale := reports.Accept(run, []reports.Accepted{entry}, time.Now()).Run().Stale
			if c.want == "" {
				assert.Empty(t, stale)
				return
			}
			assert.Equal(t, []string{"b.yaml:3: A " + c.want + ": take the entry out"}, stale)
		})
	}
}
