package reports

import (
	"slices"
	"strings"
)

// The numbers of last exchanges that are kept for a result. The last one shows what passed; the path to an undecided result or a finding
// matters too.
const (
	keptOfPassed = 1
	keptOfOthers = 4
)

// keptBody bounds the body of an exchange that shows only what passed, in bytes.
const keptBody = 1 << 10

// Cited returns the run with only the exchanges that its results cite: those of findings, their controls, and the last ones of each result.
// Result.Evidence keeps the numbers of the others.
func Cited(redacted Redacted) Redacted {
	run := redacted.run
	kept := run.cites()
	out := []Exchange{} // a list in JSON, even if it is empty
	for _, e := range run.Exchanges {
		whole, ok := kept[e.Number]
		if ok && !whole && e.Response != nil && len(e.Response.Body) > keptBody {
			response := *e.Response
			response.Body, response.Truncated = strings.ToValidUTF8(response.Body[:keptBody], "")+"…", true
			e.Response = &response
		}
		if ok {
			out = append(out, e)
		}
	}
	run.Exchanges = out
	return Redacted{run}
}

// CitedOf returns the complete exchanges that Cited keeps, from a run that is not redacted yet.
func CitedOf(run *Run) []Exchange {
	kept := run.cites()
	return slices.DeleteFunc(slices.Clone(run.Exchanges), func(e Exchange) bool {
		_, ok := kept[e.Number]
		return !ok
	})
}

// cites returns the exchanges that a run cites; true: complete.
func (r *Run) cites() map[int]bool {
	kept := map[int]bool{}
	for i := range r.Results {
		r.Results[i].cited(kept)
	}
	for _, s := range r.Sequence() {
		kept[s.Exchange] = true
	}
	return kept
}

// cited adds the exchanges that a result cites, with those that must stay complete.
func (r *Result) cited(kept map[int]bool) {
	note := func(numbers ...int) {
		for _, n := range numbers {
			kept[n] = true
		}
	}
	switch r.Verdict {
	case Pass, NotApplicable, NotTested:
		for _, n := range r.Evidence[max(0, len(r.Evidence)-keptOfPassed):] {
			if !kept[n] { // it is included, and complete if another result needs that
				kept[n] = false
			}
		}
	default:
		note(r.Controls...)
		note(r.Evidence[max(0, len(r.Evidence)-keptOfOthers):]...)
	}
	for _, f := range r.Findings {
		note(f.Exchange)
	}
	if r.Basis != nil { // it cannot be judged again without them
		note(r.Evidence...)
	}
}
