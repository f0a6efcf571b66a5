package check

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// pace is what the target has said about its limits. All checks respect it.
type pace struct {
	mu     sync.Mutex
	until  map[place]time.Time // the time before which the target wants no more requests
	waits  int                 // that the user knows
	said   time.Time           // the end of the wait that the user knows
	served func() (done, all int)
}

// errLimited is the error of a request that is not sent because the target asked for a wait.
var errLimited = errors.New("the target limits requests")

// withinLimits sends a request when the target accepts one. If the target asks for a wait, and no other token of the user works, the check
// waits.
func (t *T) withinLimits(req wire.Request) *reports.Exchange {
	place := t.placeOf(req.URL, req.Header)
	req.Turn = func() error { return t.mayPass(place) }
	if !t.replaceable(req) {
		req.Limited = func(limit *reports.Exchange) { t.pace.closeAfter(place, limit) }
	}
	for tries := 1; ; tries++ {
		t.awaitTurn(place)
		t.mustBeThere()
		ex, wait, told := t.orWithAnother(req, t.Client.Do(t.ctx, t.id, req))
		switch {
		case ex.Error == errLimited.Error(): // the place was closed in the meantime
			continue
		case !retryable(ex), !told && tries > 1:
			return ex
		case !told || wait <= shortWait:
			t.idle(wait)
		default:
			t.pace.close(place, time.Now().Add(wait))
		}
		if tries >= triesFor(ex) || t.ctx.Err() != nil {
			return ex
		}
	}
}

// mayPass returns an error if a place is closed: another request may have been told so in the meantime.
func (t *T) mayPass(at place) error {
	if !t.opens(at).IsZero() {
		return errLimited
	}
	return nil
}

// orWithAnother repeats a request whose answer asks for a long wait with another token of the user, if there is one. It returns the last
// answer, and the wait that it asks for.
func (t *T) orWithAnother(req wire.Request, ex *reports.Exchange) (last *reports.Exchange, wait time.Duration, told bool) {
	if !retryable(ex) {
		return ex, 0, false
	}
	wait, told = retryAfter(ex)
	if wait <= shortWait {
		return ex, wait, told
	}
	other, ok := t.withAnother(req, ex)
	if !ok {
		return ex, wait, told
	}
	its := t.placeOf(other.URL, other.Header)
	other.Turn = func() error { return t.mayPass(its) }
	again := t.Client.Do(t.ctx, t.id, other)
	switch {
	case again.Error == errLimited.Error(): // it has to wait, too
		return ex, wait, told
	case !retryable(again):
		return again, 0, false
	}
	if wait, told = retryAfter(again); told {
		t.pace.close(its, time.Now().Add(wait))
	}
	return again, wait, told
}

const (
	shortWait = 2 * time.Second // a wait that other checks need not know
	mostTries = 5               // for a request beyond a limit
)

// triesFor returns how often a request is sent. A limit is retried several times, and an unavailable server once.
func triesFor(ex *reports.Exchange) int {
	if expect.Status(ex) == http.StatusTooManyRequests {
		return mostTries
	}
	return 2
}

// place is the scope of a limit: an endpoint for one credential, or for all.
type place struct{ endpoint, credential string }

// everybody is a credential that no header field can have.
const everybody = "\n"

// cleaned returns an address without its query and in its plainest spelling, since a limit holds for all spellings of a path.
func cleaned(address string) string {
	u, err := document.ParseURL(address)
	if err != nil {
		return endpoint(address)
	}
	return document.Origin(u) + path.Clean("/"+u.Path)
}

// placeOf returns the place of a request.
func (w *World) placeOf(address string, header []reports.Field) place {
	p := place{endpoint: cleaned(address)}
	for _, f := range header {
		isKey := slices.ContainsFunc(w.Credentials, func(c Credential) bool { return strings.EqualFold(c.Header, f.Name) })
		if isKey || strings.EqualFold(f.Name, "Authorization") {
			p.credential += f.Value + "\n"
		}
	}
	return p
}

// close blocks a place until a time. If two credentials meet a limit, it is not that of a token: the endpoint is closed for all until the
// first of the two is served again.
func (p *pace) close(at place, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[place]time.Time{}
	}
	p.extend(at, until)
	for other, its := range p.until {
		if other.endpoint == at.endpoint && other.credential != at.credential && other.credential != everybody && time.Now().Before(its) {
			p.extend(place{at.endpoint, everybody}, earlier(its, until))
			return
		}
	}
}

// closeAfter blocks a place if an answer asks for a long wait.
func (p *pace) closeAfter(at place, limit *reports.Exchange) {
	if wait, told := retryAfter(limit); told && wait > shortWait {
		p.close(at, time.Now().Add(wait))
	}
}

// extend closes a place until a time, unless it is already closed for longer. The caller holds the lock.
func (p *pace) extend(at place, until time.Time) {
	if until.After(p.until[at]) {
		p.until[at] = until
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// opens returns when a place accepts requests again; zero if it does.
func (p *pace) opens(at place) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.until[at]
	if all := p.until[place{at.endpoint, everybody}]; all.After(until) {
		until = all
	}
	if time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// awaitTurn waits until a place accepts requests again. It ends the check if the run ends first.
func (t *T) awaitTurn(at place) {
	until := t.opens(at)
	if until.IsZero() {
		return
	}
	wait := time.Until(until).Round(time.Second)
	if end, ok := t.ctx.Deadline(); ok && until.After(end) {
		t.Inconclusive("the target limits requests to %s, and asked to wait for %v, which is longer than the run may take: raise --timeout, "+
			"lift the limit for the test, or run fewer checks at a time with --only", at.endpoint, wait)
	}
	t.sayPace(at, until)
	t.idle(time.Until(until))
	if t.ctx.Err() != nil {
		t.Inconclusive("the time for this run is over; the target limits requests to %s: raise --timeout, "+
			"or lift the limit for the test", at.endpoint)
	}
}

// AwaitLimit waits as long as an answer asks; so do all other requests to the same endpoint with the same credential.
func (t MCPServer) AwaitLimit(limit *reports.Exchange) {
	wait, told := retryAfter(limit)
	if !told {
		return
	}
	at := t.placeOf(limit.Request.URL, limit.Request.Header)
	t.pace.close(at, time.Now().Add(wait))
	t.awaitTurn(at)
}

// sayPace tells the user once for each wait how long it takes, and how long the run takes approximately. Waits of several tokens overlap.
func (t *T) sayPace(at place, until time.Time) {
	p := &t.pulse.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if !until.After(p.said.Add(shortWait)) || t.Say == nil {
		return
	}
	if time.Now().After(p.said) {
		p.waits++
	}
	p.said = until
	wait := time.Until(until)
	sent := t.Client.Sent()
	window := max(sent/p.waits, 1) // on average: two tokens may meet their limits at about the same time
	text := fmt.Sprintf("your server limits requests to %s: the run continues in %v", at.endpoint, wait.Round(time.Second))
	if p.served != nil {
		if done, all := p.served(); done > 0 {
			left := float64(sent) / float64(done) * float64(all-done)
			minutes := (1 + left/float64(window)) * wait.Minutes()
			text += fmt.Sprintf("; it serves about %d requests before each wait, %d of %d checks are done: about %.0f minutes more",
				window, done, all, max(minutes, 1))
		}
	}
	t.Say(text)
}

func retryable(ex *reports.Exchange) bool {
	s := expect.Status(ex)
	return s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable
}

// retryAfter returns how long the target asks to wait: by Retry-After (RFC 9110 section 10.2.3), or by the field with the reset of its
// limit. If told is false, it is a guess.
func retryAfter(ex *reports.Exchange) (wait time.Duration, told bool) {
	v := strings.TrimSpace(expect.Header(ex, "Retry-After"))
	if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at)), true
	}
	for _, prefix := range []string{"RateLimit-", "X-RateLimit-"} {
		left := strings.TrimSpace(expect.Header(ex, prefix+"Remaining"))
		n, err := strconv.ParseInt(strings.TrimSpace(expect.Header(ex, prefix+"Reset")), 10, 64)
		if err == nil && n >= 0 && (left == "" || left == "0") {
			return sinceReset(n), true
		}
	}
	if wait, ok := untilRefilled(expect.Header(ex, "RateLimit")); ok {
		return wait, true
	}
	return 100 * time.Millisecond, false
}

// untilRefilled reads the field RateLimit if no request is left: a 429 with requests left has another cause.
func untilRefilled(field string) (wait time.Duration, ok bool) {
	for _, parameter := range strings.Split(field, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		n, err := strconv.Atoi(value)
		switch {
		case err != nil || n < 0:
		case name == "r" && n > 0:
			return 0, false
		case name == "t":
			wait, ok = time.Duration(n)*time.Second, true
		}
	}
	return wait, ok
}

// sinceReset reads the time of a reset: in seconds from now, or since 1970 as some servers write it.
func sinceReset(n int64) time.Duration {
	if year2000 := int64(946_684_800); n > year2000 {
		return max(0, time.Until(time.Unix(n, 0)))
	}
	return time.Duration(n) * time.Second
}
