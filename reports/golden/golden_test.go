package golden_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/golden"
)

func TestWhatDiffersIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "verdicts.txt")
	run := &reports.Run{Results: []reports.Result{{ID: "RS-A", Verdict: reports.Pass, Wire: "stateful"},
		{ID: "RS-B", Verdict: reports.NotApplicable}}}
	t.Setenv("MCPAUTH_GOLDEN", "")
	assert.ErrorContains(t, golden.Compare(file, run), "MCPAUTH_GOLDEN=write")
	t.Setenv("MCPAUTH_GOLDEN", "write")
	require.NoError(t, golden.Compare(file, run))
	t.Setenv("MCPAUTH_GOLDEN", "")
	assert.NoError(t, golden.Compare(file, run))
	run.Results[0].Verdict, run.Results[0].Reason = reports.Fail, "it answers 200"
	err := golden.Compare(file, run)
	assert.ErrorContains(t, err, "- PASS         RS-A stateful")
	assert.ErrorContains(t, err, "+ FAIL         RS-A stateful")
	assert.ErrorContains(t, err, "RS-A: it answers 200")
	run.Results[0].Verdict = reports.Pass
	run.Results = append(run.Results, run.Results[1])
	assert.ErrorContains(t, golden.Compare(file, run), "+ tier , 2 not applicable")
	run.Results = append(run.Results[:2], run.Results[0])
	assert.Error(t, golden.Compare(file, run), "a line that appears twice is accepted")
}
