package check

import (
	"slices"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// basis is what a check has judged so far, step by step, if the run keeps it.
type basis struct {
	steps   []reports.BasisStep
	seen    []*reports.Exchange // the judged exchanges, cited or not
	judging bool                // a matcher is running: exchanges that it adds are part of its own step
	raw     *stop
	spoilt  bool // the findings do not follow from the steps alone
}

// step records an observation that the code of a check made itself.
func (t *T) step(s reports.BasisStep) {
	if t.World != nil && t.KeepBasis && !t.judging {
		t.steps = append(t.steps, s)
	}
}

// judged runs the part of an expectation that follows its judgement, and records both as one step.
func (a Assertion) judged(m expect.Matcher, outcome reports.StepOutcome, ex *reports.Exchange, advice bool, follow func()) {
	t := a.t
	findings, left := len(t.findings), len(t.undecided)
	t.judging = true
	follow()
	t.judging = false
	if ex != nil && t.World != nil && t.KeepBasis {
		t.seen = append(t.seen, ex)
	}
	s := reports.BasisStep{Outcome: outcome, About: t.about(a.about), Matcher: expect.CallOf(m), Subject: subject(t, m, a.actual),
		Exchange: numberOf(ex), Advice: advice, Kind: kindOf(m)}
	if len(t.findings) > findings {
		f := t.findings[len(t.findings)-1]
		s.Finding = &f
	}
	if len(t.undecided) > left {
		u := t.undecided[len(t.undecided)-1]
		s.About, s.Why, s.Verdict = u.row, u.why, u.verdict
	}
	t.step(s)
}

func subject(t *T, m expect.Matcher, actual any) *reports.Subject {
	if t.World == nil || !t.KeepBasis {
		return nil
	}
	s, exchanges := expect.SubjectOf(m, actual)
	t.seen = append(t.seen, exchanges...)
	return s
}

// uncited returns the exchanges that only the basis rests on.
func (t *T) uncited() []*reports.Exchange {
	var out []*reports.Exchange
	for _, ex := range t.seen {
		if !slices.Contains(t.transcript, ex) && !slices.Contains(out, ex) {
			out = append(out, ex)
		}
	}
	return out
}

// control records that an exchange shows a served request, and returns it.
func (t *T) control(ex *reports.Exchange) *reports.Exchange {
	if ex != nil {
		t.controls = append(t.controls, ex)
	}
	return ex
}

// controlledBy records that an exchange shows that the target served what it should.
func (t *T) controlledBy(ex *reports.Exchange, m expect.Matcher) { t.served("the control", ex, ex, m) }

// served records that the target served a value as it should, as an exchange shows.
func (t *T) served(about string, value any, ex *reports.Exchange, m expect.Matcher) {
	t.controlled = true
	t.control(ex)
	t.step(reports.BasisStep{Outcome: reports.StepMet, About: about, Matcher: expect.CallOf(m), Subject: subject(t, m, value),
		Exchange: numberOf(ex), Kind: kindOf(m)})
}

func numberOf(ex *reports.Exchange) int {
	if ex == nil {
		return 0
	}
	return ex.Number
}

func kindOf(m expect.Matcher) string {
	switch m.Kind() {
	case expect.Refusal:
		return "refusal"
	case expect.Control:
		return "control"
	}
	return ""
}

// amountsTo returns the effect of a judgement in a check. inside says that the target refuses with tool results. cited are the exchanges
// that the matcher compares with.
func (t *T) amountsTo(j expect.Judgement, k expect.Kind, ex *reports.Exchange, inside bool, cited []*reports.Exchange) reports.StepOutcome {
	switch {
	case j.Met && unseen(ex, k) && !t.isAbout(failure(ex)):
		return reports.StepUndecided
	case j.Met:
		return reports.StepMet
	case k == expect.Refusal && inside:
		return reports.StepRefusedInside
	case j.Undecided != "" && !t.isAbout(failure(ex)), t.anyShowsNothing(cited) != nil:
		return reports.StepUndecided
	}
	return reports.StepUnmet
}

// keptBasis returns the basis of an ended check.
func (t *T) keptBasis() *reports.Basis {
	if !t.KeepBasis || t.spoilt {
		return nil
	}
	b := &reports.Basis{Steps: t.steps, Rows: t.parts()}
	if t.raw != nil {
		b.Ended, b.Why = t.raw.verdict, t.raw.reason
	}
	return b
}

// evidenceOf returns the failures that a requirement is about; none if this catalogue does not contain it.
func evidenceOf(id string) []requirements.Failure {
	if r, ok := requirements.Lookup(id); ok {
		return r.Evidence
	}
	return nil
}
