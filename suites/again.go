package suites

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
)

// Rejudged is what comes of judging the verdicts of a report again.
type Rejudged struct {
	// Verdicts counts those that were judged again, by how far that goes.
	Whole    []string // ids: each answer to the check's own requests was judged again
	Partly   []string // some judgements were made again; the code of the check looked at more
	Attested []string // nothing could be judged again
	// Steps are the judgements of all verdicts, and Recomputed those that were made again.
	Steps, Recomputed int
	// Contradictions are the verdicts that do not follow from what the report holds.
	Contradictions []Contradiction
}

// Contradiction is a verdict that does not follow from what the report holds.
type Contradiction struct{ ID, Says string }

// JudgeAgain judges each verdict of a report again, by the functions that judged it first, from the exchanges and facts that the
// report holds. The run must have been made with Config.KeepBasis.
func JudgeAgain(run *reports.Run) Rejudged {
	var out Rejudged
	for i := range run.Results {
		r := &run.Results[i]
		a := check.JudgeAgain(r, run.Exchange)
		out.Steps += a.Steps
		out.Recomputed += a.Recomputed
		switch {
		case a.Contradiction != "":
			out.Contradictions = append(out.Contradictions, Contradiction{r.ID, a.Contradiction})
		case a.Recomputed == 0:
			out.Attested = append(out.Attested, r.ID)
		case a.Recomputed == a.Steps && a.Looked == a.Own:
			out.Whole = append(out.Whole, r.ID)
		default:
			out.Partly = append(out.Partly, r.ID)
		}
	}
	return out
}

// attested is a run whose steps say which of them can only be attested, now that the secrets are gone.
func attested(r reports.Redacted) reports.Redacted {
	return reports.Rebased(r, func(run *reports.Run, result *reports.Result) *reports.Basis {
		return check.Attest(result, run.Exchange)
	})
}
