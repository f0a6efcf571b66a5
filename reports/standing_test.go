package reports

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
)

func judged(results ...Result) *Run {
	for i := range results {
		if results[i].Revisions == nil {
			results[i].Revisions = []string{"2025-11-25"}
		}
	}
	return &Run{Results: results, Revisions: []RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken"}}}
}

func TestAThreatIsMitigatedOnlyByWhatPassed(t *testing.T) {
	standing := func(r *Run) Standing {
		for _, s := range r.Threats() {
			if s.ID == "replay-code" {
				return s.Standing
			}
		}
		return ""
	}
	of := func(v Verdict) Result { return Result{ID: "AS-TOKEN-CODE-SINGLE-USE", Level: "MUST", Verdict: v} }
	assert.Equal(t, Irrelevant, standing(judged()))
	assert.Equal(t, Irrelevant, standing(judged(of(NotApplicable))))
	assert.Equal(t, Undetermined, standing(judged(of(NotTested))))
	assert.Equal(t, Undetermined, standing(judged(of(Inconclusive))))
	assert.Equal(t, Met, standing(judged(of(Pass))))
	assert.Equal(t, SoFar, standing(judged(of(Pass), Result{ID: "AS-TOKEN-CODE-RACE", Level: "MUST", Verdict: NotTested})))
	assert.Equal(t, Unmet, standing(judged(of(Pass), of(Fail))))
	assert.Equal(t, Unmet, standing(judged(of(Suppressed))), "an accepted finding does not count as unmet")
	assert.Equal(t, Partly, standing(judged(of(Pass), Result{ID: "AS-TOKEN-CODE-REPLAY-REVOKES", Level: "SHOULD", Verdict: Warn})))
}

func TestAClientConnectsIfEveryNeedIsMet(t *testing.T) {
	standing := func(r *Run) ClientStanding {
		for _, s := range r.ClientStandings() {
			if s.ID == "inspector" {
				return s
			}
		}
		return ClientStanding{}
	}
	all := []Result{{ID: "RS-DISC-CORS", Verdict: Pass}, {ID: "AS-META-CORS", Verdict: Pass}, {ID: "AS-TOKEN-CORS", Verdict: Pass},
		{ID: "RS-TRANSPORT-CORS-EXPOSE", Verdict: Pass}}
	assert.Equal(t, Met, standing(judged(all...)).Standing)
	all[1].Verdict = Warn
	assert.Equal(t, Unmet, standing(judged(all...)).Standing)
	assert.Len(t, standing(judged(all...)).Unmet, 1)
	all[1].Verdict = NotTested
	assert.Equal(t, Undetermined, standing(judged(all...)).Standing)
}

func TestAProfileIsMetOnlyAsAWhole(t *testing.T) {
	i := slices.IndexFunc(profiles.Sets(), func(s profiles.Set) bool { return s.Profile == "resource-server" && s.Revision == "2025-11-25" })
	require.GreaterOrEqual(t, i, 0)
	set := profiles.Sets()[i]
	standing := func(r *Run) ProfileStanding {
		for _, s := range r.Profiles() {
			if s.Profile == set.Profile && s.Revision == set.Revision {
				return s
			}
		}
		return ProfileStanding{}
	}
	var all []Result
	for _, id := range set.Musts {
		all = append(all, Result{ID: id, Level: "MUST", Role: "resource-server", Verdict: Pass})
	}
	assert.Equal(t, Met, standing(judged(all...)).Standing)
	assert.Equal(t, Undetermined, standing(judged(all[1:]...)).Standing, "a part of a run decides the whole set")
	newer := standing(judged(append(all, Result{ID: "RS-SOMETHING-NEW", Level: "MUST", Role: "resource-server", Verdict: Fail})...))
	assert.Equal(t, Met, newer.Standing)
	assert.Equal(t, 1, newer.NotScored)
	require.NotEmpty(t, set.Shoulds)
	raised := standing(judged(append(all, Result{ID: set.Shoulds[0], Level: "MUST", Role: "resource-server", Verdict: Fail})...))
	assert.Equal(t, Met, raised.Standing, "the level is not that of the set")
	assert.Equal(t, set.Shoulds[:1], raised.ShouldsWarned)
	hinge := slices.IndexFunc(all, func(r Result) bool { return r.ID == "RS-CHALLENGE-401-STATUS" })
	all[hinge].Verdict = NotApplicable
	assert.Empty(t, standing(judged(all...)).Profile, "an open server has a profile of protected resource servers")
	all[hinge].Verdict = Pass
	all[0].Verdict = Suppressed
	assert.Equal(t, Unmet, standing(judged(all...)).Standing, "an accepted finding does not count as unmet")
	assert.Empty(t, judged().Profiles())
}

// An accepted finding changes neither the standings nor the clients that can connect.
func TestABaselineChangesNoStanding(t *testing.T) {
	run := Run{Revisions: []RevisionStatus{{Revision: "2025-11-25", Status: "spoken"}}}
	for i, r := range requirements.All() {
		level, ok := r.LevelAt("2025-11-25")
		if !ok {
			continue
		}
		verdict := []Verdict{Pass, Fail, Warn, Inconclusive}[i%4]
		run.Results = append(run.Results, Result{ID: r.ID, Level: string(level), Role: string(r.Role), Verdict: verdict,
			Revisions: []string{"2025-11-25"}})
	}
	plain := Redact(run, &Secrets{})
	var baseline []Accepted
	for i := range run.Results {
		if run.Results[i].Verdict != Pass {
			baseline = append(baseline, Accepted{ID: run.Results[i].ID, Reason: "known"})
		}
	}
	accepted := Accept(plain, baseline, time.Now())
	assert.NotEqual(t, plain.Run().Counts(), accepted.Run().Counts())
	assert.Equal(t, plain.Run().Profiles(), accepted.Run().Profiles())
	assert.Equal(t, plain.Run().Threats(), accepted.Run().Threats())
	assert.Equal(t, plain.Run().ClientStandings(), accepted.Run().ClientStandings())
}
