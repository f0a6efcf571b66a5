package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// beside judges a value in a check that has received an HTTP 500.
func beside(t *testing.T, judge func(t *T)) reports.Verdict {
	t.Helper()
	return verdict(t, func(t *T) {
		failed := &reports.Exchange{Number: 2, Check: t.id, Response: &reports.Response{Status: 500}}
		t.transcript = append(t.transcript, failed)
		judge(t)
	}).Verdict
}

// A target that fetches a URL from a token and then answers 500 has still fetched it.
func TestWhatAListenerSawCountsWhateverFailed(t *testing.T) {
	none := expect.That("no request", func(seen []listener.Request) string { return seen[0].URL })
	assert.Equal(t, reports.Fail, beside(t, func(t *T) { t.Expect([]listener.Request{{URL: "/kid"}}).To(none) }))
}

// That nothing came is what the target did not do, or could not.
func TestWhatAListenerDidNotSeeCountsOnlyWhereNothingFailed(t *testing.T) {
	some := expect.That("a request", func([]listener.Request) string { return "none" })
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect([]listener.Request{}).To(some) }))
	one := expect.That("a request", func(*listener.Listener) string { return "none" })
	l, err := listener.OpenAt("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(l.Close)
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect(l).To(one) }))
}

// An exchange shows what is in it, and not what a value has from others.
func TestAValueThatOneOfSeveralAnswersShowsCountsOnlyWhereNothingFailed(t *testing.T) {
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect(1).SeenIn(good).To(never) }))
	assert.Equal(t, reports.Fail, verdict(t, func(t *T) { t.Expect(1).SeenIn(good).To(never) }).Verdict)
}

// A matcher that a check makes as it runs may know of other answers than that which it judges.
func TestAMatcherOfUnknownOriginCountsOnlyWhereNothingFailed(t *testing.T) {
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	judge := func(t *T) {
		t.Expect(good).To(expect.That("as before", func(*reports.Exchange) string { return "otherwise" }))
	}
	assert.Equal(t, reports.Inconclusive, beside(t, judge))
	assert.Equal(t, reports.Fail, verdict(t, judge).Verdict)
	assert.Equal(t, reports.Fail, beside(t, func(t *T) { t.Expect(good).To(expect.Refuse(401)) }))
}

// What several checks of a run use is sent by one of them, and must not decide whether that one finds something.
func TestWhatOtherChecksUseTooIsNoBasisOfAFinding(t *testing.T) {
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	got := verdict(t, func(t *T) {
		Once(t, "a crash that others see too", func() bool {
			t.transcript = append(t.transcript, &reports.Exchange{Number: 2, Check: t.id, Response: &reports.Response{Status: 500}})
			return true
		})
		t.Expect(good).To(expect.That("as before", func(*reports.Exchange) string { return "otherwise" }))
	})
	assert.Equal(t, reports.Fail, got.Verdict, got.Reason)
}

var alike = expect.Family("alike", func(*reports.Exchange) expect.Matcher {
	return expect.That("the same", func(*reports.Exchange) string { return "another" })
})

// A matcher of two rests on what both compare with.
func TestAMatcherOfTwoComparesWithWhatTheyDo(t *testing.T) {
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	bad := &reports.Exchange{Number: 4, Response: &reports.Response{Status: 500}}
	got := verdict(t, func(t *T) { t.Expect(good).To(expect.Either(expect.Refuse(401), alike(bad))) })
	assert.Equal(t, reports.Inconclusive, got.Verdict)
}

// An answer that a value holds is part of what it comes from, whenever it was obtained.
func TestAValueRestsOnTheAnswersThatItHolds(t *testing.T) {
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	bad := &reports.Exchange{Number: 4, Response: &reports.Response{Status: 500}}
	type two = struct{ shown, other *reports.Exchange }
	for _, c := range []struct {
		of   any
		want reports.Verdict
	}{
		{two{good, bad}, reports.Inconclusive},
		{[]*reports.Exchange{good, bad}, reports.Inconclusive},
		{map[string]*two{"x": {good, bad}}, reports.Inconclusive},
		{two{good, good}, reports.Fail},
		{two{good, nil}, reports.Fail},
	} {
		got := verdict(t, func(t *T) { t.Expect(c.of).SeenIn(good).To(expect.Be(1)) })
		assert.Equal(t, c.want, got.Verdict, c.of)
	}
}

// A number may come from a failed answer.
func TestAValueOfUnknownOriginCountsOnlyWhereNothingFailed(t *testing.T) {
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect(1).To(never) }))
	assert.Equal(t, reports.Fail, verdict(t, func(t *T) { t.Expect(1).To(never) }).Verdict)
}

// seenTogether is a value that knows its answers.
type seenTogether struct{ answers []*reports.Exchange }

func (s seenTogether) Evidence() *reports.Exchange { return s.answers[0] }
func (s seenTogether) Basis() []*reports.Exchange  { return s.answers }

// A server that answers a notification with 500 is still judged by its other answers.
func TestAValueThatKnowsItsAnswersCountsWhateverElseFailed(t *testing.T) {
	seen := expect.That("nothing", func(seenTogether) string { return "something" })
	good := &reports.Exchange{Number: 3, Response: &reports.Response{Status: 200}}
	bad := &reports.Exchange{Number: 4, Response: &reports.Response{Status: 500}}
	assert.Equal(t, reports.Fail, beside(t, func(t *T) { t.Expect(seenTogether{[]*reports.Exchange{good, good}}).To(seen) }))
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect(seenTogether{[]*reports.Exchange{good, bad}}).To(seen) }))
}

// Only failures of the target count against it.
func TestFailuresAreTold(t *testing.T) {
	answered := &reports.Response{Status: 200}
	for says, c := range map[string]struct {
		ex   reports.Exchange
		want requirements.Failure
	}{
		"an answer":            {reports.Exchange{Response: answered}, ""},
		"HTTP 500":             {reports.Exchange{Response: &reports.Response{Status: 500}}, requirements.ServerError},
		"HTTP 429":             {reports.Exchange{Response: &reports.Response{Status: 429}}, requirements.RateLimit},
		"closed":               {reports.Exchange{Error: wire.Closed}, requirements.NoAnswer},
		"reset":                {reports.Exchange{Error: wire.Reset}, requirements.NoAnswer},
		"closed in the answer": {reports.Exchange{Response: answered, Error: wire.ClosedWithin}, requirements.NoAnswer},
		"no room":              {reports.Exchange{Response: answered, Error: wire.ErrRoom.Error()}, ours},
		"no budget":            {reports.Exchange{Error: wire.ErrBudget.Error()}, ours},
		"the run ended":        {reports.Exchange{Error: wire.Canceled}, ours},
		"only reads":           {reports.Exchange{Error: wire.ErrPassive.Error()}, ours},
		"no port":              {reports.Exchange{Error: "mcpauth could not connect: no port of this machine is free for it"}, ours},
		"a private address":    {reports.Exchange{Error: (&wire.Refused{Host: "as.example"}).Error()}, ours},
		"the browser":          {reports.Exchange{Error: login.BrowserFailed + ": crashed"}, ours},
	} {
		assert.Equal(t, c.want, failure(&c.ex), says)
	}
}

// A requirement about crashes does not fail because mcpauth cut an answer, or because this machine could not send a request.
func TestTroublesOfThisMachineAreNoCrash(t *testing.T) {
	crash := expect.That("no crash", func(ex *reports.Exchange) string { return expect.Describe(ex) })
	for _, says := range []string{wire.ErrRoom.Error(), wire.ErrPassive.Error(), wire.Canceled, "mcpauth could not connect: x"} {
		got := verdict(t, func(t *T) {
			t.failures = []requirements.Failure{requirements.NoAnswer, requirements.ServerError}
			ex := &reports.Exchange{Number: 2, Check: t.id, Error: says}
			t.transcript = append(t.transcript, ex)
			t.Expect(ex).To(crash)
		})
		assert.Equal(t, reports.Inconclusive, got.Verdict, says)
	}
}

// Nothing is amiss in an answer that never came, and nothing is right. What mcpauth failed to send was not refused either.
func TestWhatWasNotSeenPassesNothing(t *testing.T) {
	calm := expect.That("nothing amiss", func(*reports.Exchange) string { return "" })
	served := expect.That("no server error", func(*reports.Exchange) string { return "" })
	for _, c := range []struct {
		fails string
		m     expect.Matcher
		want  reports.Verdict
	}{
		{wire.Closed, calm, reports.Inconclusive},
		{wire.TimedOut, served, reports.Inconclusive},
		{wire.ErrBudget.Error(), calm, reports.Inconclusive},
		{wire.ErrBudget.Error(), expect.RefuseAnyway(), reports.Inconclusive},
		{wire.ErrBudget.Error(), expect.NotBypass(), reports.Inconclusive},
		{wire.Silent, calm, reports.Pass},
	} {
		got := verdict(t, func(t *T) {
			t.controlled = true
			ex := &reports.Exchange{Number: 3, Check: t.id, Error: c.fails}
			t.transcript = append(t.transcript, ex)
			t.Expect(ex).To(c.m)
		})
		assert.Equal(t, c.want, got.Verdict, c.fails)
	}
}

// putTogether is a value that a check makes of several answers.
type putTogether struct{ shown *reports.Exchange }

func (p putTogether) Evidence() *reports.Exchange { return p.shown }

// A value from several answers counts only if none of the row's requests failed.
func TestAValueOfSeveralAnswersCountsOnlyWhereNoneFailed(t *testing.T) {
	bad := expect.That("another value", func(putTogether) string { return "this one" })
	for _, c := range []struct {
		failedIn string
		want     reports.Verdict
	}{
		{"the row", reports.Inconclusive},
		{"an earlier row", reports.Fail},
	} {
		got := verdict(t, func(t *T) {
			Each(t, Cases[string]{{"an earlier row", ""}, {"the row", ""}}, func(t *T, _ string) {
				ok := &reports.Exchange{Number: 3, Check: t.id, Response: &reports.Response{Status: 200}}
				t.transcript = append(t.transcript, ok)
				if RowOf(t) == c.failedIn {
					t.transcript = append(t.transcript, &reports.Exchange{Number: 4, Check: t.id, Response: &reports.Response{Status: 500}})
				}
				if RowOf(t) == "the row" {
					t.Expect(putTogether{ok}).To(bad)
				}
			})
		})
		assert.Equal(t, c.want, got.Verdict, c.failedIn)
	}
}

// A failed request does not show that a feature is absent. HTTP 501 is an answer: the server does not have the method.
func TestAnAbsenceRestsOnAnswers(t *testing.T) {
	for says, c := range map[string]struct {
		ex   reports.Exchange
		want reports.Verdict
	}{
		"HTTP 405":               {reports.Exchange{Response: &reports.Response{Status: 405}}, reports.NotApplicable},
		"HTTP 501":               {reports.Exchange{Response: &reports.Response{Status: 501}}, reports.NotApplicable},
		"HTTP 501, and no end":   {reports.Exchange{Response: &reports.Response{Status: 501}, Error: wire.ClosedWithin}, reports.Inconclusive},
		"HTTP 500":               {reports.Exchange{Response: &reports.Response{Status: 500}}, reports.Inconclusive},
		"a connection that ends": {reports.Exchange{Error: wire.Closed}, reports.Inconclusive},
	} {
		ending := func(end func(t *T)) reports.Verdict {
			return verdict(t, func(t *T) {
				ex := c.ex
				ex.Number, ex.Check = 2, t.id
				t.transcript = append(t.transcript, &ex)
				end(t)
			}).Verdict
		}
		assert.Equal(t, c.want, ending(func(t *T) { t.NotApplicable("clients cannot end sessions here") }), says)
		want := c.want
		if want == reports.NotApplicable {
			want = reports.NotTested
		}
		assert.Equal(t, want, ending(func(t *T) { t.NotTested("no tool was found: declare one") }), says)
	}
}
