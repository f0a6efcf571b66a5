package suites

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
)

// JudgeAgain judges each verdict of a report again, by the functions that judged it first, from the exchanges and facts that the
// report holds. The run must have been made with Config.KeepBasis.
func JudgeAgain(run *reports.Run) reports.Rejudged {
	out := reports.Rejudged{Because: map[string]string{}}
	for i := range run.Results {
		r := &run.Results[i]
		a := check.JudgeAgain(r, run.Exchange)
		out.Steps += a.Steps
		out.Recomputed += a.Recomputed
		out.Own, out.Looked = out.Own+a.Own, out.Looked+a.Looked
		switch {
		case a.Contradiction != "":
			out.Contradictions = append(out.Contradictions, reports.Contradiction{ID: r.ID, Says: a.Contradiction, OtherJudge: !sameJudges(run, r)})
		case a.Recomputed == 0:
			out.Attested, out.Because[r.ID] = append(out.Attested, r.ID), a.Why
		case a.Recomputed == a.Steps:
			out.Whole = append(out.Whole, r.ID)
		default:
			out.Partly, out.Because[r.ID] = append(out.Partly, r.ID), a.Why
		}
	}
	return out
}

// attested returns a run whose steps say which of them can only be attested, because what they judged was removed as secret.
func attested(r reports.Redacted) reports.Redacted {
	return reports.Rebased(r, func(run *reports.Run, result *reports.Result) *reports.Basis {
		return check.Attest(result, run.Exchange)
	})
}
