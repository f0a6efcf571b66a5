package check

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// Attempt is a good request that can be sent repeatedly, each time with edits. Each time it gets new values of what it uses up, such as a
// code or a token.
type Attempt[E any] struct {
	// Name describes it: "an ordinary token request".
	Name string
	// Send sends the request with edits, and returns the value for a matcher: an exchange, a grant, or a flow.
	Send func(edits ...E) any
	// Good is the expectation for the request without edits.
	Good expect.Matcher
}

// Refuses expects the target to refuse a good request for each of the edits. The control is the same request, with the same client, user,
// token, endpoint and form, without the edit. It follows all rows, so that it also shows that they have not made the target refuse
// everything. One control serves all rows, because only the edit distinguishes them. If it fails, no refusal counts, neither as a right
// one nor as a wrong one; an accepted row is a finding anyway.
func Refuses[E any](t *T, good Attempt[E], rows Cases[E], m expect.Matcher) {
	m, good.Good = t.asked(m), t.asked(good.Good)
	answers := make([]any, len(rows))
	refused := func(answer any) bool { return m.Judge(answer).Met || !good.Good.Judge(answer).Met }
	some := false
	for i, r := range rows {
		t.row(r.Name, func() {
			answers[i] = t.sendRow(func() any { return good.Send(r.Value) })
			some = some || refused(answers[i])
		})
	}
	broken := ""
	if some {
		broken = failing(t, good)
	}
	for i, r := range rows {
		if answers[i] == nil {
			continue // it ended while it was sent
		}
		t.row(r.Name, func() {
			if broken != "" && refused(answers[i]) {
				t.Inconclusive("%s", broken)
			}
			t.Expect(answers[i]).To(m)
		})
	}
}

// sendRow sends a row, and once more after a server error. A target that fails at both gets no second request for later rows.
func (t *T) sendRow(send func() any) any {
	if t.failedTwice >= mostTwice {
		return send()
	}
	answer, again, ended := t.orAgain(send)
	if again && (ended != nil || t.fails(expect.ExchangeOf(answer))) {
		t.failedTwice++
	}
	if ended != nil {
		panic(*ended)
	}
	return answer
}

// orAgain sends a request, and once more after a server error: a target may fail now and then. The second request is as new as the first.
// If it fails too, nothing is decided.
func (t *T) orAgain(send func() any) (answer any, again bool, ended *stop) {
	began := len(t.transcript)
	attempt := func() *stop { answer = send(); return nil }
	ended = t.guarded(attempt)
	if ended == nil && t.fails(expect.ExchangeOf(answer)) || ended != nil && t.endedByError(ended, began) {
		t.idle(beforeAgain)
		return answer, true, t.guarded(attempt)
	}
	return answer, false, ended
}

const (
	mostTwice   = 3 // rows of a check
	beforeAgain = 100 * time.Millisecond
)

// fails reports whether an answer is a server error that the requirement is not about.
func (t *T) fails(ex *reports.Exchange) bool {
	return failure(ex) == requirements.ServerError && !t.isAbout(requirements.ServerError) && !notImplemented(ex)
}

// endedByError reports whether an ordinary step of a row got a server error, which left the row undecided.
func (t *T) endedByError(ended *stop, began int) bool {
	return ended.verdict == reports.Inconclusive && slices.ContainsFunc(t.sentSince(began), t.fails)
}

// Offers reports whether the target serves a good request that it may always refuse, such as one by POST. A failure is not a refusal: the
// request is sent again. A target that refuses it, or answers it with a server error each time, does not offer it; this is noted. An answer
// that decides nothing leaves undecided what the request is for.
func Offers[E any](t *T, good Attempt[E], about string) bool {
	failed := ""
	for range 3 {
		answer := good.Send()
		j, ex := good.Good.Judge(answer), expect.ExchangeOf(answer)
		open, untried := undecidedAnswer(answer)
		failed = expect.NoAnswer(ex)
		switch {
		case j.Met:
			return true
		case expect.Status(ex) >= 500:
			continue
		case failed != "" || open != "":
			why := "the same request without the defect gets no answer that decides: " + cmp.Or(failed, open)
			t.leaveExchange(ex, about, expect.Judgement{Undecided: why, Untried: untried})
			return false
		}
		t.Note("%s: not tried, since the same request without the defect is refused: %s", about, j.Observed)
		return false
	}
	t.Note("%s: not tried, since the same request without the defect is answered each time with %s", about, failed)
	return false
}

// undecidedAnswer returns why an answer shows neither that a request is served nor that it is refused, and whether a login would help.
func undecidedAnswer(answer any) (why string, untried bool) {
	switch a := answer.(type) {
	case interface{ Unjudged() string }:
		return a.Unjudged(), false
	case expect.Ending:
		return a.Undecided()
	}
	return "", false
}

// failing sends the control, and says why it proves nothing; empty if it is good.
func failing[E any](t *T, good Attempt[E]) (why string) {
	ended := t.guarded(func() *stop {
		control, _, ended := t.orAgain(func() any { return good.Send() })
		if ended != nil {
			return ended
		}
		if ex := expect.ExchangeOf(control); ex != nil {
			t.control(t.Cite(ex))
		}
		why = judgeControl(t, good, control)
		return nil
	})
	if ended != nil && ended.verdict == reports.Errored {
		panic(*ended)
	}
	if ended != nil {
		why = "the same request without the defect could not be sent: " + ended.reason
	}
	return why
}

// judgeControl records a good control, and says why another one proves nothing.
func judgeControl[E any](t *T, good Attempt[E], control any) (why string) {
	j := good.Good.Judge(control)
	switch {
	case j.Met:
		t.controlled = true
		t.step(reports.BasisStep{Outcome: reports.StepMet, About: "the control: " + good.Name, Matcher: expect.CallOf(good.Good),
			Subject:  subject(t, good.Good, control),
			Exchange: numberOf(expect.ExchangeOf(control)), Kind: "control"})
		return ""
	case expect.NoAnswer(expect.ExchangeOf(control)) != "":
		return "the same request without the defect gets no answer that decides: " + j.Observed
	}
	came := " is answered with " + j.Observed
	if ended, is := strings.CutPrefix(j.Observed, "the request"); is { // ended at a page
		came = ended
	}
	return "your server also refuses the same request without the defect: " + good.Name + came
}

// asked gives a matcher access to what the target serves.
func (t *T) asked(m expect.Matcher) expect.Matcher {
	if asked, ok := m.(expect.Asked); ok {
		return asked.Ask(t.Survey.AsksForUnknownTool(t.wire()))
	}
	return m
}
