package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// Cases is a table. The order of its rows is the order of the requests, and the name of a row is the prefix of its findings.
type Cases[V any] []struct {
	Name  string
	Value V
}

// And returns the table with one more row.
func (c Cases[V]) And(name string, v V) Cases[V] {
	return append(slices.Clone(c), struct {
		Name  string
		Value V
	}{name, v})
}

// In returns the table with the place of its values before each name: "aud: the client".
func (c Cases[V]) In(place string) Cases[V] {
	out := slices.Clone(c)
	for i := range out {
		out[i].Name = place + ": " + out[i].Name
	}
	return out
}

// Where returns the table with only the chosen rows.
func (c Cases[V]) Where(chosen func(v V) bool) Cases[V] {
	var out Cases[V]
	for _, r := range c {
		if chosen(r.Value) {
			out = append(out, r)
		}
	}
	return out
}

// Each judges every row of a table. An undecided row ends alone, and is reported with the others.
func Each[V any](t *T, rows Cases[V], judge func(t *T, v V)) {
	for _, r := range rows {
		t.row(r.Name, func() {
			found, left := len(t.findings), len(t.undecided)
			judge(t, r.Value)
			if len(t.findings) == found && len(t.undecided) == left {
				t.rowRestsOnAnswers()
			}
		})
	}
}

// EachNoted is Each for rows that are noted only, because the target may do either. Failed answers leave nothing undecided.
func EachNoted[V any](t *T, rows Cases[V], note func(t *T, v V)) {
	for _, r := range rows {
		t.row(r.Name, func() { note(t, r.Value) })
	}
}

// rowRestsOnAnswers leaves a row undecided whose requests all failed: its judgements are of nothing.
func (t *T) rowRestsOnAnswers() {
	if failed, all := t.failedOf(t.sentSince(t.rowBegan)); all {
		t.spoilt = true
		t.leaveExchange(failed, "", expect.Judgement{Undecided: noAnswerShows(failed)})
	}
}

// undecided is a row, or a value in it, without a decision.
type undecided struct {
	row, why string
	verdict  reports.Verdict
}

// timeOfRow is the time that each row adds to a check: a table of sixty rows must be decided on a slow machine, too.
const timeOfRow = time.Second

// row runs a part of the check under a name.
func (t *T) row(name string, part func()) {
	deadline.Extend(t.ctx, timeOfRow)
	outer := t.about("")
	t.rows = append(t.rows, name)
	full := t.about("")
	t.tried = slices.DeleteFunc(t.tried, func(s string) bool { return s == outer }) // its inner rows replace it
	if !slices.Contains(t.tried, full) {
		t.tried = append(t.tried, full)
	}
	depth, outerBegan := len(t.rows), t.rowBegan
	t.rowBegan = len(t.transcript)
	defer func() {
		began := t.rowBegan
		t.rows, t.rowBegan = t.rows[:depth-1], outerBegan
		switch p := recover().(type) {
		case nil:
		case stop:
			if p.verdict == reports.Errored {
				panic(p)
			}
			p = t.absentInRow(p, began)
			t.undecided = append(t.undecided, undecided{full, p.reason, p.verdict})
			t.step(reports.BasisStep{Outcome: reports.BodyLeft, About: full, Why: p.reason, Verdict: p.verdict})
		default:
			panic(p)
		}
	}()
	part()
}

// absentInRow returns the end of a row. If one of its requests failed, it does not show that what the row needs is absent.
func (t *T) absentInRow(p stop, began int) stop {
	failed, _ := t.failedOf(t.sentSince(began))
	if p.verdict != reports.NotApplicable || failed == nil || t.declared != "" {
		return p
	}
	t.spoilt = true
	why := fmt.Sprintf("%s, or so it seems: a request failed (%s)", p.reason, expect.Describe(failed))
	return stop{reports.Inconclusive, Because(t, failed, why)}
}

// sentSince returns the requests of the check since a place in the transcript.
func (t *T) sentSince(began int) []*reports.Exchange {
	return slices.DeleteFunc(slices.Clone(t.transcript[began:]), func(ex *reports.Exchange) bool { return ex.Check != t.id })
}

// RowOf returns the name of the current row.
func RowOf(t *T) string { return t.about("") }

// about returns the name of the current row, with the name of a value in it.
func (t *T) about(value string) string {
	parts := slices.Clone(t.rows)
	if value != "" {
		parts = append(parts, value)
	}
	return strings.Join(parts, ", ")
}

// Leave records that a value decides nothing. The check continues, and ends undecided unless it finds something.
func (t *T) Leave(about, why string) { t.leave(about, why, reports.Inconclusive) }

// Like Leave, if a need of the catalogue is not met: the check ends not tested, unless it finds something.
func LeaveWithout(t *T, need, about, why string) {
	t.missing = needs[need].give
	t.leave(about, why, reports.NotTested)
}

// leave records that a value decides nothing; the check continues.
func (t *T) leave(about, why string, v reports.Verdict) {
	t.undecided = append(t.undecided, undecided{t.about(about), why, v})
	t.step(reports.BasisStep{Outcome: reports.BodyLeft, About: t.about(about), Why: why, Verdict: v})
}

// endOfRows returns the end of a check with undecided rows; ended is its own end, or nil. Findings outweigh undecided rows, which are then
// noted. An undecided row does not show an absence.
func (t *T) endOfRows(ended *stop) *stop {
	if len(t.undecided) == 0 {
		return ended
	}
	if ended != nil && (ended.verdict != reports.NotApplicable || len(t.left(reports.NotApplicable)) == len(t.undecided)) || t.isUnmet() {
		for _, u := range t.undecided {
			t.Note("%s: undecided: %s", u.row, u.why)
		}
		return ended
	}
	for _, v := range []reports.Verdict{reports.Inconclusive, reports.NotTested} {
		if rows := t.left(v); len(rows) > 0 {
			return &stop{v, t.summary(rows)}
		}
	}
	absent := t.left(reports.NotApplicable)
	if len(absent) >= t.parts() && !FoundAny(t) {
		return &stop{reports.NotApplicable, absent[0].why}
	}
	for _, u := range absent {
		t.Note("%s: not applicable: %s", u.row, u.why)
	}
	return nil
}

// parts is the number of rows, and one more if the check met an expectation outside its tables.
func (t *T) parts() int {
	if t.metAlone {
		return len(t.tried) + 1
	}
	return len(t.tried)
}

func (t *T) left(v reports.Verdict) []undecided {
	return slices.DeleteFunc(slices.Clone(t.undecided), func(u undecided) bool { return u.verdict != v })
}

// summary says which rows decided nothing, and why. It groups rows with one reason, and omits the rows if all have it, or if many other
// checks have it too.
func (t *T) summary(rows []undecided) string {
	if len(t.tried) <= 1 && len(rows) == 1 {
		return strings.TrimPrefix(rows[0].row+": ", ": ") + rows[0].why
	}
	var parts []string
	n := 0
	reasons, names := byReason(rows)
	for _, why := range reasons {
		n += len(names[why])
		parts = append(parts, strings.Join(names[why], "; ")+": "+why)
	}
	switch of := max(n, len(t.tried)); {
	case len(reasons) == 1 && n == of:
		return reasons[0]
	case len(reasons) == 1 && strings.HasSuffix(reasons[0], first):
		t.Note("%d of %d rows undecided: %s", n, of, strings.Join(names[reasons[0]], "; "))
		return reasons[0]
	default:
		return fmt.Sprintf("%d of %d rows undecided: %s", n, of, strings.Join(parts, ". "))
	}
}

// byReason returns the reasons of rows in their order, and the names of the rows with each.
func byReason(rows []undecided) (reasons []string, names map[string][]string) {
	names = map[string][]string{}
	for _, u := range rows {
		if names[u.why] == nil {
			reasons = append(reasons, u.why)
		}
		if !slices.Contains(names[u.why], u.row) {
			names[u.why] = append(names[u.why], u.row)
		}
	}
	return reasons, names
}

// isUnmet reports whether there is a finding that is more than advice.
func (t *T) isUnmet() bool {
	return slices.ContainsFunc(t.findings, func(f reports.Finding) bool { return !f.Advice })
}

// FoundAny reports whether the check has any finding, including advice.
func FoundAny(t *T) bool { return len(t.findings) > 0 }
