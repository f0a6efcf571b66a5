package certify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/suites"
)

// resultsOf returns the results of a bundle. The caller may change them.
func resultsOf(t *testing.T, s *sample) *reports.Run {
	t.Helper()
	var run reports.Run
	require.NoError(t, json.Unmarshal(s.text, &run))
	return &run
}

// At least half of the passed MUSTs are judged again, and each of the others says why not.
func TestMostVerdictsAreJudgedAgain(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	run := resultsOf(t, s)
	again := suites.JudgeAgain(run)
	require.Empty(t, again.Contradictions)
	musts, whole := 0, 0
	for _, r := range run.Results {
		if r.Level == "MUST" && r.Verdict == reports.Pass {
			musts++
			if slices.Contains(again.Whole, r.ID) {
				whole++
			} else {
				assert.NotEmpty(t, again.Because[r.ID], r.ID)
			}
		}
	}
	t.Logf("%d of %d MUSTs", whole, musts)
	assert.GreaterOrEqual(t, 2*whole, musts)
	v := s.verified(t)
	for _, id := range v.Attested {
		assert.NotEmpty(t, v.Because[id], id)
	}
}

// forgery is a change that a vendor makes before it signs.
type forgery struct {
	id, what string
	change   func(run *reports.Run)
}

// forgeries change each verdict that is judged again as a whole: the verdict alone, the outcome of a judgement, and the judged value.
func forgeries(run *reports.Run, whole []string) (out []forgery) {
	for _, r := range run.Results {
		if r.Verdict != reports.Pass || !slices.Contains(whole, r.ID) {
			continue
		}
		id := r.ID
		out = append(out, forgery{id, "the verdict is another", func(run *reports.Run) {
			resultOf(run, id).Verdict, resultOf(run, id).Reason = reports.Inconclusive, "it could not be decided"
		}}, forgery{id, "a judgement is another", func(run *reports.Run) {
			resultOf(run, id).Basis.Steps[0].Outcome = reports.StepUnmet
		}}, forgery{id, "the finding is hidden", func(run *reports.Run) {
			steps := resultOf(run, id).Basis.Steps
			steps[0].Finding = &reports.Finding{Expected: "x", Observed: "y", Advice: true}
			resultOf(run, id).Findings = append(resultOf(run, id).Findings, *steps[0].Finding)
		}})
		if i := slices.IndexFunc(r.Basis.Steps, func(s reports.BasisStep) bool {
			return s.Kind == "refusal" && s.Exchange > 0 && !strings.Contains(s.Matcher.Name, ":") // others may be about something else
		}); i >= 0 {
			n := r.Basis.Steps[i].Exchange
			out = append(out, forgery{id, "what is refused is served", func(run *reports.Run) {
				ex, _ := run.Exchange(n)
				ex.Response = &reports.Response{Status: 200, Header: []reports.Field{{Name: "Content-Type", Value: "application/json"}}}
				ex.Response.Body = `{"jsonrpc":"2.0","id":1,"result":{"tools":[]},` +
					`"access_token":"x","token_type":"Bearer","active":true,"client_id":"x"}`
			}})
		}
	}
	return out
}

// alone returns a run with one result of another. The caller may change it.
func alone(run *reports.Run, id string) *reports.Run {
	out := *run
	r := *resultOf(run, id)
	basis := *r.Basis
	basis.Steps, r.Basis, r.Findings = slices.Clone(basis.Steps), &basis, slices.Clone(r.Findings)
	out.Results, out.Exchanges = []reports.Result{r}, slices.Clone(run.Exchanges)
	return &out
}

// A changed verdict that is judged again, or a change of its evidence, is rejected although all digests and the signature are valid.
func TestNoJudgedVerdictCanBeChanged(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	run := resultsOf(t, s)
	whole := suites.JudgeAgain(run).Whole
	all := forgeries(run, whole)
	require.GreaterOrEqual(t, len(all), 3*len(whole))
	served := 0
	for _, f := range all {
		changed := alone(run, f.id)
		f.change(changed)
		again := suites.JudgeAgain(changed)
		about := slices.ContainsFunc(again.Contradictions, func(c reports.Contradiction) bool { return c.ID == f.id })
		assert.True(t, about, "%s: %s", f.id, f.what)
		if strings.HasPrefix(f.what, "what is refused") {
			served++
		}
	}
	assert.Greater(t, served, 20)
}

// The same with complete bundles: each kind of change is made, signed and verified.
func TestSignedForgeriesAreContradicted(t *testing.T) {
	whole.Only(t) // TestForgeriesAreRefused has one of them
	t.Parallel()
	s := aBundle(t)
	all := forgeries(resultsOf(t, s), suites.JudgeAgain(resultsOf(t, s)).Whole)
	kinds := map[string]bool{}
	for _, f := range all {
		if kinds[f.what] || f.what == "the verdict is another" { // this one is detected earlier: see TestForgeriesAreRefused
			continue
		}
		kinds[f.what] = true
		v := verify(t, forged(t, s, f.change), by(s.public))
		assert.Contains(t, reasons(v), bundle.Contradicted, "%s: %s", f.id, f.what)
		assert.Equal(t, "verified", v.Signature)
	}
	assert.Len(t, kinds, 3)
}
