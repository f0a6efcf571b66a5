package suites_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// Judging the report of a run again gives the same verdicts, and rejects a changed verdict.
func TestVerdictsAreJudgedAgain(t *testing.T) {
	t.Parallel()
	r := against.Start(t, reference.Ideal())
	cfg := against.SigningIn(r)
	cfg.KeepBasis = true
	cfg.Only = []string{"RS-CHALLENGE-*", "RS-DISC-*", "RS-TOKEN-SIG*", "RS-TOKEN-EXP*", "RS-AUD-WRONG", "AS-PKCE-*", "AS-AUTHZ-REDIRECT-*"}
	redacted, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, reportjson.Write(&text, redacted))
	read, err := reportjson.Read(bytes.NewReader(text.Bytes()))
	require.NoError(t, err)
	again := suites.JudgeAgain(read.Run())
	for _, c := range again.Contradictions {
		t.Errorf("%s: %s", c.ID, c.Says)
	}
	t.Logf("%d whole, %d partly, %d attested; %d of %d judgements", len(again.Whole), len(again.Partly), len(again.Attested), again.Recomputed,
		again.Steps)
	assert.NotEmpty(t, again.Whole)

	result := func(run *reports.Run, id string) *reports.Result {
		i := slices.IndexFunc(run.Results, func(r reports.Result) bool { return r.ID == id && r.Verdict == reports.Pass })
		require.GreaterOrEqual(t, i, 0, id)
		return &run.Results[i]
	}
	judged := func(r *reports.Result, kind string) *reports.BasisStep {
		i := slices.IndexFunc(r.Basis.Steps, func(s reports.BasisStep) bool {
			return s.Kind == kind && s.Matcher != nil && s.Exchange > 0 && s.Attested == ""
		})
		require.GreaterOrEqual(t, i, 0, r.ID)
		return &r.Basis.Steps[i]
	}
	for name, c := range map[string]struct {
		change func(run *reports.Run)
		says   string
	}{
		"a refusal becomes an answer": {func(run *reports.Run) {
			ex, _ := run.Exchange(judged(result(run, "RS-AUD-WRONG"), "refusal").Exchange)
			ex.Response.Status, ex.Response.Body = 200, `{"jsonrpc":"2.0","id":1,"result":{}}`
		}, "it is recorded as met, and what it judged gives unmet"},
		"a verdict is swapped": {func(run *reports.Run) { result(run, "RS-AUD-WRONG").Verdict = reports.NotTested },
			"give PASS, and the report says NOT_TESTED"},
		"a judgement is swapped": {func(run *reports.Run) { judged(result(run, "RS-AUD-WRONG"), "refusal").Outcome = reports.StepUnmet },
			"it is recorded as unmet, and what it judged gives met"},
		"an exchange is gone": {func(run *reports.Run) {
			n := judged(result(run, "RS-AUD-WRONG"), "refusal").Exchange
			run.Exchanges = slices.DeleteFunc(run.Exchanges, func(e reports.Exchange) bool { return e.Number == n })
		}, "the report holds no exchange"},
		"the controls are gone": {func(run *reports.Run) {
			r := result(run, "RS-AUD-WRONG")
			r.Basis.Steps = slices.DeleteFunc(r.Basis.Steps, func(s reports.BasisStep) bool {
				return s.Kind == "control" ||
					s.Outcome == reports.BodyControlled
			})
		}, "no control shows"},
		"a judgement is marked as resting on a secret": {func(run *reports.Run) {
			for i := range result(run, "RS-CHALLENGE-401-STATUS").Basis.Steps {
				result(run, "RS-CHALLENGE-401-STATUS").Basis.Steps[i].Attested = "it saw what is removed from the report"
			}
		}, "nothing is removed from what it judged"},
		"an observation is another": {func(run *reports.Run) {
			i := slices.IndexFunc(run.Results, func(r reports.Result) bool { return strings.HasPrefix(r.Observation, "exchange ") })
			require.GreaterOrEqual(t, i, 0)
			run.Results[i].Observation = strings.Replace(run.Results[i].Observation, "is answered with HTTP", "is answered with the words HTTP", 1)
		}, "shows something else than the observation says"},
	} {
		t.Run(name, func(t *testing.T) {
			var run reports.Run
			require.NoError(t, json.Unmarshal(text.Bytes(), &run)) // it was read above as a user's
			c.change(&run)
			again := suites.JudgeAgain(&run)
			require.NotEmpty(t, again.Contradictions)
			assert.Contains(t, again.Contradictions[0].Says, c.says)
		})
	}
}
