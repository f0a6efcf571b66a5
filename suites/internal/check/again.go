package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// Again is the outcome of judging a result again from its basis.
type Again struct {
	Steps      int // on which the verdict rests
	Recomputed int // of them, computed again from exchanges and recorded facts
	// Why is the reason why a step was not computed again: that of the first one.
	Why string
	// Own counts the exchanges that the check itself sent, and Looked those of them that a recomputed step judges.
	Own, Looked int
	// Contradiction is the reason why the verdict does not follow; empty if it does.
	Contradiction string
}

// Lookup finds an exchange of a report.
type Lookup func(number int) (*reports.Exchange, bool)

// JudgeAgain judges a result again from the content of its basis, with the functions that judged it first. It trusts the records of what
// only the code of a check has seen.
func JudgeAgain(r *reports.Result, find Lookup) Again {
	if r.Verdict == reports.NotApplicable {
		if why := observationHolds(r.Observation, find); why != "" {
			return Again{Contradiction: why}
		}
	}
	if r.Basis == nil {
		return Again{Why: "what it rests on does not follow from single judgements"}
	}
	j := &rejudge{T: &T{World: &World{}, id: r.ID}, find: find, looked: map[int]bool{}}
	j.failures = evidenceOf(r.ID)
	for i := range r.Basis.Steps {
		j.take(i, &r.Basis.Steps[i])
	}
	switch j.out.Steps = len(r.Basis.Steps); {
	case r.Verdict == reports.NotApplicable:
		j.out.Why = "it does not apply, and only the exchange that shows it was looked at again"
	case j.out.Steps == 0:
		j.out.Why = "the code of the check decides without a judgement that is written down"
	}
	j.countExchanges(r)
	if j.out.Contradiction == "" {
		j.out.Contradiction = j.conclude(r)
	}
	return j.out
}

// countExchanges counts the exchanges that the check itself sent.
func (j *rejudge) countExchanges(r *reports.Result) {
	for _, n := range r.Evidence {
		if ex, ok := j.find(n); ok && ex.Check == r.ID {
			j.out.Own++
			if j.looked[n] {
				j.out.Looked++
			}
		}
	}
}

// rejudge is a check whose steps come from a report.
type rejudge struct {
	*T
	find   Lookup
	looked map[int]bool
	out    Again
}

func (j *rejudge) contradict(i int, s *reports.BasisStep, format string, args ...any) {
	if j.out.Contradiction == "" {
		about := fmt.Sprintf("judgement %d", i+1)
		if s.About != "" {
			about += " (" + s.About + ")"
		}
		j.out.Contradiction = about + ": " + fmt.Sprintf(format, args...)
	}
}

// take judges one step again, and applies its effect.
func (j *rejudge) take(i int, s *reports.BasisStep) {
	done := j.out.Recomputed
	switch {
	case s.Matcher != nil && s.Subject != nil && s.Attested == "":
		j.judge(i, s)
	case s.Attested != "" && !j.hidden(s):
		j.contradict(i, s, "it is marked as resting on a removed secret, and nothing is removed from what it judged")
	}
	if j.out.Recomputed == done && j.out.Why == "" {
		j.out.Why = notAgain(s)
	}
	if s.Finding != nil {
		j.findings = append(j.findings, *s.Finding)
	}
	if s.Verdict != "" {
		j.undecided = append(j.undecided, undecided{s.About, s.Why, s.Verdict})
	}
	good := s.Outcome == reports.StepMet || s.Outcome == reports.StepRefusedInside
	if s.Outcome == reports.BodyRefused || good && s.Kind == "refusal" {
		j.refusals++
	}
	if s.Outcome == reports.BodyControlled || good && s.Kind == "control" {
		j.controlled = true
	}
}

// notAgain returns the reason why a step is attested.
func notAgain(s *reports.BasisStep) string {
	switch {
	case s.Attested != "":
		return s.Attested
	case strings.HasPrefix(string(s.Outcome), "body-"):
		return "the code of the check sees something by itself"
	case s.Matcher == nil:
		return "what it expects depends on values that are not written down"
	case s.Subject == nil:
		return "what it judges is not written down"
	}
	return "this build does not know " + s.Matcher.Name
}

// all returns the exchanges with these numbers that the report contains.
func (j *rejudge) all(numbers []int) (out []*reports.Exchange) {
	for _, n := range numbers {
		if ex, ok := j.find(n); ok {
			out = append(out, ex)
		}
	}
	return out
}

func (j *rejudge) judge(i int, s *reports.BasisStep) {
	var seen []int
	find := func(n int) (*reports.Exchange, bool) {
		seen = append(seen, n)
		return j.find(n)
	}
	m, err := madeAgain(s.Matcher, find)
	cited := j.all(seen)
	if missing := expect.MissingError(0); err != nil && !errors.As(err, &missing) {
		return // made by a later build: it stays attested
	}
	var actual any
	if err == nil {
		actual, err = expect.Recall(m, s.Subject, find)
	}
	if err != nil {
		j.contradict(i, s, "%v", err)
		return
	}
	ex, held := j.find(s.Exchange)
	if s.Exchange != 0 && !held {
		j.contradict(i, s, "the report holds no exchange %d", s.Exchange)
		return
	}
	judgement, err := judgedAgain(m, actual)
	if err != nil {
		j.contradict(i, s, "%v", err)
		return
	}
	if j.agrees(i, s, m, judgement, ex, cited) {
		j.out.Recomputed++
		for _, n := range append(seen, s.Exchange) {
			j.looked[n] = true
		}
	}
}

// agrees compares a judgement with the recorded one.
func (j *rejudge) agrees(i int, s *reports.BasisStep, m expect.Matcher, again expect.Judgement, ex *reports.Exchange,
	cited []*reports.Exchange) bool {
	inside := s.Outcome == reports.StepRefusedInside && ex != nil && expect.RefusedInside(ex) && !strings.HasPrefix(j.id, "RS-CHALLENGE-")
	outcome := j.amountsTo(again, m.Kind(), ex, inside, cited)
	finding := j.findingOf(again, outcome, ex, s)
	switch {
	case outcome != s.Outcome:
		j.contradict(i, s, "it is recorded as %s, and what it judged gives %s: came: %s; should be: %s", s.Outcome, outcome,
			reports.OneLine(again.Observed+again.Undecided, 300), again.Expected)
	case kindOf(m) != s.Kind:
		j.contradict(i, s, "%s is recorded as a %q", s.Matcher.Name, s.Kind)
	case (finding == nil) != (s.Finding == nil) || finding != nil && *finding != *s.Finding:
		j.contradict(i, s, "what is recorded as found is not what its exchange shows")
	default:
		return true
	}
	return false
}

// madeAgain makes a matcher again. Its constructor may need something that no report contains.
func madeAgain(c *reports.Call, find expect.Lookup) (m expect.Matcher, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s cannot be made again from what is recorded", c.Name)
		}
	}()
	return expect.Again(c, find)
}

// judgedAgain judges recorded facts. They may lack something that a judge needs.
func judgedAgain(m expect.Matcher, actual any) (out expect.Judgement, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the recorded facts cannot be judged: %v", p)
		}
	}()
	return m.Judge(actual), nil
}

// findingOf returns the finding that follows from a judgement; nil for none.
func (j *rejudge) findingOf(judgement expect.Judgement, outcome reports.StepOutcome, ex *reports.Exchange,
	s *reports.BasisStep) *reports.Finding {
	f := &reports.Finding{About: s.About, Looked: s.Finding != nil && s.Finding.Looked, Exchange: numberOf(ex), Minor: judgement.Minor}
	switch {
	case outcome == reports.StepMet && judgement.Advice != nil:
		f.Expected, f.Observed, f.Advice = judgement.Advice.Expected, judgement.Advice.Observed, true
	case outcome == reports.StepUnmet:
		f.Expected, f.Observed, f.Advice = judgement.Expected, judgement.Observed, s.Advice
		if f.Observed == "" {
			f.Observed = judgement.Undecided
		}
	default:
		return nil
	}
	if failed := failure(ex); failed != "" && !j.isAbout(failed) {
		return nil // this leaves it undecided
	}
	return f
}

// conclude returns the reason why the verdict does not follow from the steps; empty if it does.
func (j *rejudge) conclude(r *reports.Result) string {
	var ended *stop
	if r.Basis.Ended != "" {
		ended = &stop{r.Basis.Ended, r.Basis.Why}
	}
	j.tried = make([]string, r.Basis.Rows)
	verdict, _ := grade(requirements.Level(r.Level), j.findings, j.endOfRows(ended))
	switch {
	case verdict != r.Verdict:
		return fmt.Sprintf("the recorded judgements give %s, and the report says %s", verdict, r.Verdict)
	case !slices.Equal(j.findings, r.Findings):
		return "the findings are not those of the recorded judgements"
	case verdict == reports.Pass && j.refusals > 0 && !j.controlled:
		return "it passes by refusals, and no control shows that the target serves anything"
	}
	return ""
}

// hidden reports whether redaction removed a part of what a step judged.
func (j *rejudge) hidden(s *reports.BasisStep) bool {
	texts := []string{reports.TextOf(s.Subject), reports.TextOf(s.Matcher)}
	for _, n := range exchangesOf(s) {
		if ex, ok := j.find(n); ok {
			if ex.Response != nil && ex.Response.Truncated {
				return true
			}
			texts = append(texts, reports.TextOf(ex))
		}
	}
	return strings.ContainsAny(strings.Join(texts, "\n"), "‹")
}

// holdsFacts reports whether a step judges facts that are not an exchange.
func holdsFacts(s *reports.BasisStep) bool {
	if s.Subject.Value != nil && s.Subject.Value.Facts != nil {
		return true
	}
	return slices.ContainsFunc(s.Matcher.Arguments, func(v reports.Value) bool { return v.Facts != nil })
}

func exchangesOf(s *reports.BasisStep) []int {
	out := []int{s.Exchange}
	if s.Subject != nil {
		out = append(out, s.Subject.Exchange)
		if s.Subject.Ending != nil {
			out = append(out, s.Subject.Ending.Exchange)
		}
	}
	return out
}

// observationHolds checks that an exchange shows the observation why a requirement does not apply.
func observationHolds(text string, find Lookup) string {
	var n int
	if _, err := fmt.Sscanf(text, "exchange %d:", &n); err != nil {
		return "" // a declaration
	}
	ex, ok := find(n)
	if !ok {
		return fmt.Sprintf("the report holds no exchange %d, which is to show that it does not apply", n)
	}
	if shows := observed(ex); shows != text {
		return fmt.Sprintf("exchange %d shows something else than the observation says: %s", n, reports.OneLine(shows, 300))
	}
	return ""
}

// Attest marks the steps of a redacted result whose outcome differs from that before redaction: they can only be attested. The function
// must see the report in its final form.
func Attest(r *reports.Result, find Lookup) *reports.Basis {
	if r.Basis == nil {
		return nil
	}
	out := *r.Basis
	out.Steps = slices.Clone(r.Basis.Steps)
	for i := range out.Steps {
		s := &out.Steps[i]
		if s.Matcher == nil || s.Subject == nil {
			continue
		}
		alone := &rejudge{T: &T{World: &World{}, id: r.ID}, find: find, looked: map[int]bool{}}
		alone.failures = evidenceOf(r.ID)
		alone.judge(i, s)
		switch {
		case alone.out.Contradiction == "":
		case alone.hidden(s):
			s.Attested = "it saw what is removed from the report"
		case holdsFacts(s):
			s.Subject = nil // they are only a part of what was judged
		}
	}
	return &out
}
