package reports

import (
	"slices"
	"strings"
)

// How many of its last exchanges stay for a result. What passed is shown by its last one; where nothing could be decided, or
// something is wrong, what led there matters too.
const (
	keptOfPassed = 1
	keptOfOthers = 4
)

// keptBody is how much of a body stays in an exchange that shows only what passed, in bytes.
const keptBody = 1 << 10

// Cited returns the run with the exchanges that its results cite: those on which findings rest, the controls beside which they count,
// and the last ones of each result. The numbers of the others stay in Result.Evidence.
func Cited(redacted Redacted) Redacted {
	run := redacted.run
	kept := run.cites()
	out := []Exchange{} // a list in JSON, also where nothing is cited
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

// CitedOf returns the exchanges of a run that Cited keeps, whole: of a run that is not redacted yet, whose other exchanges nobody reads.
func CitedOf(run *Run) []Exchange {
	kept := run.cites()
	return slices.DeleteFunc(slices.Clone(run.Exchanges), func(e Exchange) bool {
		_, ok := kept[e.Number]
		return !ok
	})
}

// cites returns the exchanges that a run cites; true for those that have to stay whole.
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

// cited notes the exchanges that a result cites, and those of them that have to stay whole.
func (r *Result) cited(kept map[int]bool) {
	note := func(numbers ...int) {
		for _, n := range numbers {
			kept[n] = true
		}
	}
	switch r.Verdict {
	case Pass, NotApplicable, NotTested:
		for _, n := range r.Evidence[max(0, len(r.Evidence)-keptOfPassed):] {
			if !kept[n] { // it is there now, and whole if another result needs that
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
	if r.Basis != nil { // without them it cannot be judged again
		note(r.Evidence...)
	}
}
