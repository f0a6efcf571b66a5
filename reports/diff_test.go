package reports_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/github"
)

func runOf(results ...reports.Result) reports.Redacted {
	return reports.Redact(reports.Run{Results: results}, &reports.Secrets{})
}

func judged(id string, v reports.Verdict, findings ...reports.Finding) reports.Result {
	return reports.Result{ID: id, Level: "MUST", Verdict: v, Findings: findings}
}

func TestDiff(t *testing.T) {
	finding := reports.Finding{Expected: "401", Observed: "200"}
	advice := reports.Finding{Expected: "401", Observed: "403", Advice: true}
	for name, c := range map[string]struct {
		before, after reports.Redacted
		want          string // the numbers of regressed, undecided, still failing and fixed ones
		exit          int
	}{
		"nothing changed":             {runOf(judged("A", reports.Pass)), runOf(judged("A", reports.Pass)), "0 0 0 0", 0},
		"a new failure":               {runOf(judged("A", reports.Pass)), runOf(judged("A", reports.Fail)), "1 0 0 0", 1},
		"a new warning":               {runOf(judged("A", reports.Pass)), runOf(judged("A", reports.Warn)), "1 0 0 0", 1},
		"a graver finding":            {runOf(judged("A", reports.Warn)), runOf(judged("A", reports.Fail)), "1 0 0 0", 1},
		"a milder finding":            {runOf(judged("A", reports.Fail)), runOf(judged("A", reports.Warn)), "0 0 1 0", 0},
		"a failure of a new check":    {runOf(), runOf(judged("A", reports.Fail)), "1 0 0 0", 1},
		"decided at last":             {runOf(judged("A", reports.Inconclusive)), runOf(judged("A", reports.Fail)), "1 0 0 0", 1},
		"fixed":                       {runOf(judged("A", reports.Fail)), runOf(judged("A", reports.Pass)), "0 0 0 1", 0},
		"not fixed, only not needed":  {runOf(judged("A", reports.Fail)), runOf(judged("A", reports.NotApplicable)), "0 0 0 0", 0},
		"not fixed, only not decided": {runOf(judged("A", reports.Fail)), runOf(judged("A", reports.Inconclusive)), "0 1 0 0", 3},
		"not fixed, only gone":        {runOf(judged("A", reports.Fail)), runOf(), "0 1 0 0", 3},
		"never decided":               {runOf(judged("A", reports.NotTested)), runOf(judged("A", reports.Inconclusive)), "0 0 0 0", 0},
		"accepted":                    {runOf(judged("A", reports.Fail, finding)), runOf(judged("A", reports.Suppressed, finding)), "0 0 1 0", 0},
		"accepted no more":            {runOf(judged("A", reports.Suppressed, finding)), runOf(judged("A", reports.Fail, finding)), "0 0 1 0", 0},
		"graver than was accepted":    {runOf(judged("A", reports.Suppressed, advice)), runOf(judged("A", reports.Fail, finding)), "1 0 0 0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := reports.Diff(c.before, c.after)
			assert.Equal(t, c.want, fmt.Sprint(len(d.Regressed), len(d.Undecided), len(d.Still), len(d.Fixed)))
			assert.Equal(t, c.exit, d.ExitCode())
		})
	}
}

// The protocols with and without sessions are judged, and compared, separately.
func TestDiffTellsWiresApart(t *testing.T) {
	stateful, stateless := judged("A", reports.Fail), judged("A", reports.Pass)
	stateful.Wire, stateless.Wire = "stateful", "stateless"
	before := runOf(stateful, stateless)
	stateless.Verdict = reports.Fail
	d := reports.Diff(before, runOf(stateful, stateless))
	require.Len(t, d.Regressed, 1)
	assert.Equal(t, "stateless", d.Regressed[0].New.Wire)
	assert.Len(t, d.Still, 1)
}

// A run has one result for several revisions, or one for each: equal verdicts are reported once.
func TestDiffTellsRevisionsApart(t *testing.T) {
	both, first, second := judged("A", reports.Pass), judged("A", reports.Pass), judged("A", reports.Fail)
	both.Revisions, first.Revisions, second.Revisions = []string{"2025-06-18", "2025-11-25"}, []string{"2025-06-18"}, []string{"2025-11-25"}
	d := reports.Diff(runOf(both), runOf(first, second))
	require.Len(t, d.Regressed, 1)
	assert.Equal(t, []string{"2025-11-25"}, d.Regressed[0].New.Revisions)
	both.Verdict = reports.Fail
	assert.Len(t, reports.Diff(runOf(both), runOf(both)).Still, 1)
}

// A workflow command in a text of the target would be executed by the CI system.
func TestAnnotationsAreOneCommandALine(t *testing.T) {
	line := regexp.MustCompile(`^::(error|warning) title=[^,:\n]*::.*$`)
	for _, p := range append([]string{"\n::set-output name=x::y", "%0A::stop-commands::x", "a,file=/etc/passwd", "::add-mask::x"},
		payloads...) {
		r := sample(p)
		r.Unreachable, r.Stale = p, []string{p}
		var b bytes.Buffer
		require.NoError(t, github.Write(&b, reports.Redact(r, &reports.Secrets{})))
		for _, l := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			assert.Regexp(t, line, l)
			assert.NotRegexp(t, `%0A|%0D`, strings.ReplaceAll(l, "%250A", ""), "a line break is not escaped")
		}
	}
}

func TestAnnotationsKeepToGitHubsBound(t *testing.T) {
	var results []reports.Result
	for i := range 25 {
		results = append(results, judged(fmt.Sprintf("RS-X-%d", i), reports.Fail, reports.Finding{Expected: "401", Observed: "200"}))
	}
	results = append(results, judged("RS-Y", reports.Warn))
	var b bytes.Buffer
	require.NoError(t, github.Write(&b, runOf(results...)))
	assert.Equal(t, 10, strings.Count(b.String(), "::error "))
	assert.Equal(t, 1, strings.Count(b.String(), "::warning "))
	assert.Contains(t, b.String(), "::error title=RS-X-0 FAIL::")
	assert.Contains(t, b.String(), "16 more in the other reports")
}

// A finding that the baseline accepts is new, but not a regression.
func TestAcceptedFindingsAreNoRegression(t *testing.T) {
	failed := runOf(judged("A", reports.Fail, reports.Finding{Expected: "401", Observed: "200"}))
	accepted := reports.Accept(failed, []reports.Accepted{{ID: "A", Reason: "known"}}, time.Now())
	d := reports.Diff(runOf(judged("A", reports.Pass)), accepted)
	assert.Empty(t, d.Regressed)
	assert.Len(t, d.Accepted, 1)
	assert.Zero(t, d.ExitCode())
	assert.Len(t, reports.Diff(failed, accepted).Still, 1)
	assert.Len(t, reports.Diff(accepted, runOf(judged("A", reports.Pass))).Fixed, 1)
}
