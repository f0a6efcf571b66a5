package check

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// pulse detects that the target no longer answers. The run then ends, because later failures would not be the target's fault.
type pulse struct {
	mu sync.Mutex
	// row counts consecutive requests without a proper answer, by origin, and first is the one of them that was sent first.
	row   map[string]int
	first map[string]*reports.Exchange
	// asked is set while the probe is in progress.
	asked   map[string]bool
	stopped string
	silent  string        // the origin that stopped answering
	since   time.Time     // when its first request without a proper answer was sent
	gone    chan struct{} // closed when the run must end
	pace
}

func newPulse() *pulse {
	return &pulse{row: map[string]int{}, first: map[string]*reports.Exchange{}, asked: map[string]bool{}, gone: make(chan struct{})}
}

// inARow is the number of consecutive failures after which the target is probed.
const inARow = 5

// Stopped says that the target no longer answers; empty while it does.
func (w *World) Stopped() string {
	w.pulse.mu.Lock()
	defer w.pulse.mu.Unlock()
	return w.pulse.stopped
}

// sent records how requests ended.
func (w *World) sent(ctx context.Context, exchanges ...*reports.Exchange) {
	for _, ex := range exchanges {
		u, err := document.ParseURL(ex.Request.URL)
		if err != nil || ctx.Err() != nil || failure(ex) == ours {
			continue
		}
		origin := document.Origin(u)
		w.pulse.mu.Lock()
		switch {
		case unanswered(ex):
			w.pulse.row[origin]++
			w.pulse.blame(origin, ex)
		case ex.Request.Raw, slices.Contains(byTheFrontEnd, expect.Status(ex)):
		default:
			w.pulse.row[origin] = 0
			w.pulse.acquit(origin, ex)
		}
		due := w.pulse.row[origin] >= inARow && !w.pulse.asked[origin] && w.pulse.stopped == ""
		if due {
			w.pulse.asked[origin] = true
		}
		w.pulse.mu.Unlock()
		if due {
			w.ask(ctx, origin)
		}
	}
}

// unanswered reports whether a request has no proper answer.
func unanswered(ex *reports.Exchange) bool {
	return failure(ex) == requirements.NoAnswer || failure(ex) == requirements.ServerError
}

// byTheFrontEnd are the statuses with which a front end may refuse requests itself, whatever is behind it (RFC 9110 sections 15.5.1 and
// 15.5.15, RFC 6585 section 5).
var byTheFrontEnd = []int{http.StatusBadRequest, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}

// blame notes a request without a proper answer. The first of them may be what stopped the target, though the wait for another one that was
// sent later may end before.
func (p *pulse) blame(origin string, ex *reports.Exchange) {
	if first := p.first[origin]; first == nil || ex.Started.Before(first.Started) {
		p.first[origin] = ex
	}
}

// acquit forgets the first request without a proper answer if one that was sent later has one.
func (p *pulse) acquit(origin string, answered *reports.Exchange) {
	if first := p.first[origin]; first != nil && answered.Started.After(first.Started) {
		delete(p.first, origin)
	}
}

// ask sends the probe to an origin, and ends the run if there is no proper answer.
func (w *World) ask(ctx context.Context, origin string) (answers bool) {
	began := time.Now()
	answers = w.answersTheProbe(ctx, origin)
	w.pulse.mu.Lock()
	first := w.pulse.first[origin]
	w.pulse.asked[origin], w.pulse.row[origin] = false, 0
	if answers && first != nil && first.Started.Before(began) { // the probe was sent later
		delete(w.pulse.first, origin)
	}
	if !answers && w.pulse.stopped == "" {
		if w.pulse.silent, w.pulse.since = origin, began; first != nil {
			w.pulse.since = first.Started
		}
	}
	w.pulse.mu.Unlock()
	if !answers {
		w.stop(fmt.Sprintf("the target stopped answering after %s requests%s", thousands(w.Client.Sent()), blamed(first)))
	}
	return answers
}

// answersTheProbe reports whether an origin answers the probe, or the run ends for another reason.
func (w *World) answersTheProbe(ctx context.Context, origin string) (answers bool) {
	question, surveyed := w.plainest(origin)
	answers = !surveyed // nothing is known about an origin that the survey never reached
	for i := 0; i < len(pauses) && question != nil && !answers && ctx.Err() == nil; i++ {
		select {
		case <-time.After(pauses[i]):
		case <-ctx.Done():
		}
		one, cancel := context.WithTimeout(ctx, w.patienceFor(ctx, question))
		f := failure(w.Client.Do(one, survey.Check, *question))
		cancel()
		answers = f == "" || f == requirements.RateLimit
	}
	return answers || ctx.Err() != nil
}

// blamed names the first request without a proper answer, and the check that sent it. There is none if another one was answered meanwhile.
func blamed(ex *reports.Exchange) string {
	if ex == nil {
		return ""
	}
	address, _, _ := strings.Cut(ex.Request.URL, "?")
	return fmt.Sprintf("; the first without a proper answer is %s %s (%s)", ex.Request.Method, address, ex.Check)
}

// stop ends the run. The first reason counts.
func (w *World) stop(why string) {
	w.pulse.mu.Lock()
	defer w.pulse.mu.Unlock()
	if w.pulse.stopped == "" {
		w.pulse.stopped = why
		close(w.pulse.gone)
	}
}

// lostWithTheTarget reports whether a result is undecided because of requests that were sent when the target no longer answered, but the
// run had not noticed that yet.
func (w *World) lostWithTheTarget(r reports.Result, sent map[int]*reports.Exchange) bool {
	w.pulse.mu.Lock()
	defer w.pulse.mu.Unlock()
	return w.pulse.silent != "" && r.Verdict == reports.Inconclusive && slices.ContainsFunc(r.Evidence, func(number int) bool {
		ex := sent[number]
		return ex != nil && (ex.Response == nil || ex.Response.Status >= 500) && !ex.Ended().Before(w.pulse.since) &&
			strings.HasPrefix(ex.Request.URL, w.pulse.silent+"/")
	})
}

// pauses are the waits before each probe: a restart takes a moment.
var pauses = []time.Duration{0, 200 * time.Millisecond, 800 * time.Millisecond}

// patienceForOne is how long to wait for the answer to a probe.
const patienceForOne = 5 * time.Second

// patienceFor returns patienceForOne, or more for a host that is slow in everything.
func (w *World) patienceFor(ctx context.Context, question *wire.Request) time.Duration {
	u, err := document.ParseURL(question.URL)
	if err != nil {
		return patienceForOne
	}
	return w.Client.AtItsPace(ctx, u, patienceForOne)
}

// plainest returns the probe: the first request of the survey that an origin answered properly; nil if there is none. surveyed says whether
// it answered at all.
func (w *World) plainest(origin string) (question *wire.Request, surveyed bool) {
	var asked []*reports.Exchange
	for _, which := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if ex := w.Survey.Anonymous[which]; ex != nil {
			asked = append(asked, ex)
		}
	}
	for _, ex := range slices.Concat(asked, w.Survey.Exchanges()) {
		u, err := document.ParseURL(ex.Request.URL)
		if err != nil || document.Origin(u) != origin {
			continue
		}
		surveyed = surveyed || ex.Response != nil // a host that was never reached has not gone away
		if failure(ex) != "" || wire.Get(ex.Request.Header, "Authorization") != "" {
			continue
		}
		header := slices.DeleteFunc(slices.Clone(ex.Request.Header),
			func(f reports.Field) bool { return strings.EqualFold(f.Name, "User-Agent") })
		return &wire.Request{Method: ex.Request.Method, URL: ex.Request.URL, Header: header, Body: ex.Request.Body, Fresh: true,
			Peek: time.Second}, true
	}
	return nil, surveyed
}

// thousands formats a number with separators.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// lookAtSurvey probes the target if requests of the survey or of the first login failed: it may be gone already.
func (w *World) lookAtSurvey(ctx context.Context) {
	asked := w.Survey.Exchanges()
	if w.Session != nil {
		asked = slices.Concat(asked, w.Session.Exchanges())
	}
	if len(asked) > 0 && !slices.ContainsFunc(asked, func(ex *reports.Exchange) bool { return !unanswered(ex) }) {
		w.stop("the target answered no request properly: " + expect.Describe(asked[0]))
		return
	}
	var failing []string // origins
	for _, ex := range asked {
		u, err := document.ParseURL(ex.Request.URL)
		if err != nil || !unanswered(ex) {
			continue
		}
		w.pulse.mu.Lock()
		w.pulse.blame(document.Origin(u), ex)
		w.pulse.mu.Unlock()
		failing = append(failing, document.Origin(u))
	}
	slices.Sort(failing)
	for _, origin := range slices.Compact(failing) {
		w.ask(ctx, origin)
	}
}

// ofATargetThatIsThere returns the end of a check. If a failure is its evidence, it probes the target, and if that does not answer, nothing
// was decided.
func (t *T) ofATargetThatIsThere(ended *stop) *stop {
	for _, f := range t.findings {
		for _, ex := range t.transcript {
			if ex.Number != f.Exchange || failure(ex) == "" || t.Stopped() != "" {
				continue
			}
			if u, err := document.ParseURL(ex.Request.URL); err == nil {
				t.pulse.mu.Lock()
				t.pulse.blame(document.Origin(u), ex)
				t.pulse.mu.Unlock()
				t.ask(t.ctx, document.Origin(u))
			}
		}
	}
	if why := t.Stopped(); why != "" && (len(t.findings) > 0 || ended != nil && ended.verdict == reports.Inconclusive) {
		t.findings, t.spoilt = nil, true
		return &stop{reports.Inconclusive, why}
	}
	return ended
}
