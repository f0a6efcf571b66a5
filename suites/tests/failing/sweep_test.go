package failing_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/broken"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// way is a way in which a request fails.
type way struct {
	name  string
	fault faults.Fault
}

// silence is how long the test waits for an answer that never comes. No verdict depends on it.
const silence = 100 * time.Millisecond

// overPlain returns the failures of a server without TLS, and those of mcpauth itself.
func overPlain(t *testing.T) []way {
	say := func(text string) string {
		return misbehaving(t, func(c net.Conn) {
			if !head(reading(c)) {
				_, _ = io.WriteString(c, text)
			}
			finish(c)
		})
	}
	answer := func(text string) string { return say("HTTP/1.1 " + text) }
	silent := misbehaving(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	stalled := misbehaving(t, func(c net.Conn) {
		if !head(reading(c)) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":")
		}
		_, _ = io.Copy(io.Discard, c)
	})
	reset := misbehaving(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
	return []way{
		{"refused", faults.Fault{Dial: "127.0.0.1:1"}}, // a closed port
		{"closed", faults.Fault{Dial: misbehaving(t, hangingUp)}},
		{"reset", faults.Fault{Dial: reset}},
		{"broken off", faults.Fault{Dial: answer("200 OK\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":")}},
		{"timeout", faults.Fault{Dial: silent, Within: silence}},
		{"timeout within the body", faults.Fault{Dial: stalled, Within: silence}},
		{"not HTTP", faults.Fault{Dial: say("220 ready\r\n")}},
		{"an odd chunk", faults.Fault{Dial: answer("200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{")}},
		{"not packed", faults.Fault{Dial: answer("200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n{}")}},
		{"500", faults.Fault{Dial: answer("500 Internal Server Error\r\nConnection: close\r\n\r\nthe database is gone")}},
		{"502", faults.Fault{Dial: answer("502 Bad Gateway\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Bad Gateway</h1>")}},
		{"503", faults.Fault{Dial: answer("503 Service Unavailable\r\nRetry-After: 0\r\nConnection: close\r\n\r\n")}},
		{"429", faults.Fault{Dial: answer("429 Too Many Requests\r\nRetry-After: 0\r\nConnection: close\r\n\r\n")}},
		{"limit of requests", faults.Fault{Err: wire.ErrBudget}},
		{"no port is free", faults.Fault{Err: syscall.EADDRNOTAVAIL}},
	}
}

// overTLS returns the failures of a server with TLS and HTTP/2.
func overTLS(t *testing.T, own tls.Certificate) []way {
	foreign := httptest.NewTLSServer(http.NotFoundHandler())
	foreign.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail
	t.Cleanup(foreign.Close)
	config := &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	resetting := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	go func() { _ = resetting.Serve(l) }()
	t.Cleanup(func() { _ = resetting.Close() })
	clear := misbehaving(t, func(c net.Conn) { reading(c); _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); finish(c) })
	writing := func(frames ...byte) string {
		return misbehaving(t, func(c net.Conn) {
			secure := tls.Server(c, config)
			_, _ = secure.Read(make([]byte, 1)) // the connection preface (RFC 9113 section 3.4)
			_, _ = secure.Write(append([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, frames...))
			_ = c.SetReadDeadline(time.Now().Add(silence))
			_, _ = io.Copy(io.Discard, secure)
		})
	}
	leaving := writing(append([]byte{0, 0, 8, 7, 0, 0, 0, 0, 0}, make([]byte, 8)...)...)
	refusing := writing(0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7)
	breaking := writing(0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return []way{
		{"TLS: none", faults.Fault{Dial: clear}},
		{"TLS: closed", faults.Fault{Dial: misbehaving(t, hangingUp)}},
		{"TLS: another authority", faults.Fault{Dial: foreign.Listener.Addr().String()}},
		{"HTTP/2: stream reset", faults.Fault{Dial: l.Addr().String()}},
		{"HTTP/2: GOAWAY", faults.Fault{Dial: leaving, Within: 5 * silence}},
		{"HTTP/2: refused stream", faults.Fault{Dial: refusing, Within: 5 * silence}},
		{"HTTP/2: a frame that breaks a rule", faults.Fault{Dial: breaking, Within: 5 * silence}},
	}
}

// misbehaving returns the address of a server that runs does on each connection.
func misbehaving(t *testing.T, does func(net.Conn)) string {
	t.Helper()
	address, end, err := broken.Serve(func(c *net.TCPConn) { does(c) })
	require.NoError(t, err)
	t.Cleanup(end)
	return address
}

// reading reads a request.
func reading(c net.Conn) (request string) {
	buffer := make([]byte, 64<<10)
	n, _ := c.Read(buffer)
	return string(buffer[:n])
}

// head reports whether the answer to a request must not have a body.
func head(request string) bool { return strings.HasPrefix(request, "HEAD ") }

// finish closes a connection so that the written text arrives: closing with unread input resets the connection.
func finish(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, c)
}

// hangingUp closes the connection without an answer.
func hangingUp(c net.Conn) {
	reading(c)
	finish(c)
}

// sweep makes the n-th request fail in each execution of each check.
type sweep struct {
	ways    []way
	calm    map[string]reports.Verdict // by execution, without a failure
	number  int                        // of the failing request; 0: none
	turn    int                        // the first way
	onwards bool                       // all requests after it fail, too
	mu      sync.Mutex
	sent    map[string]int // by execution
	struck  int
}

// way returns the way in which an execution fails; executions have different ones.
func (s *sweep) way(execution string) *way {
	return &s.ways[(int(whole.Number(execution)%1000)+s.number+s.turn)%len(s.ways)]
}

func (s *sweep) request(ctx context.Context, check string) *faults.Fault {
	execution := session.OwnerOf(ctx)
	if execution == "" {
		return nil // the survey, or a shared login
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[execution]++
	if n := s.sent[execution]; s.number == 0 || n < s.number || n > s.number && !s.onwards {
		return nil
	}
	s.struck++
	return &s.way(execution).fault
}

// run runs the checks with the faults, and fails the test for each finding without another cause.
func (s *sweep) run(t *testing.T, cfg suites.Config) {
	t.Helper()
	s.sent = map[string]int{}
	redacted, err := suites.Run(faults.With(t.Context(), &faults.Plan{Request: s.request, OneLook: true}), cfg)
	require.NoError(t, err)
	run := redacted.Run()
	require.NotEmpty(t, run.Results)
	for _, lost := range noLongerApply(run, s.calm) {
		t.Errorf("request %d (onwards: %v) fails: %s", s.number, s.onwards, lost)
	}
	for _, r := range run.Results {
		if r.Verdict != reports.Fail && r.Verdict != reports.Warn && r.Verdict != reports.Errored {
			continue
		}
		w := s.way(executionOf(r))
		if about, ok := requirements.Lookup(r.ID); ok && isAbout(about, run, r) {
			continue
		}
		t.Errorf("request %d (onwards: %v) fails, %s: %s %s %s: %s\n%+v",
			s.number, s.onwards, w.name, r.Verdict, r.ID, r.Wire, r.Reason, r.Findings)
	}
}

// executionOf returns the execution of a result.
func executionOf(r reports.Result) string {
	if q, ok := requirements.Lookup(r.ID); ok && q.Judged == requirements.PerRevision {
		return r.ID + r.Wire + r.Revisions[0]
	}
	return r.ID + r.Wire
}

// isAbout reports whether each finding of a result is a failure that its requirement is about.
func isAbout(about *requirements.Requirement, run *reports.Run, r reports.Result) bool {
	return len(r.Findings) > 0 && !slices.ContainsFunc(r.Findings, func(f reports.Finding) bool {
		ex, _ := run.Exchange(f.Exchange)
		return !slices.Contains(about.Evidence, failureOf(ex))
	})
}

// failureOf returns the failure of an exchange; none if mcpauth itself failed.
func failureOf(ex *reports.Exchange) requirements.Failure {
	switch {
	case ex == nil || wire.Ours(ex.Error) || strings.HasPrefix(ex.Error, "the browser failed"):
		return ""
	case ex.Response == nil || ex.Error != "":
		return requirements.NoAnswer
	case ex.Response.Status == http.StatusTooManyRequests:
		return requirements.RateLimit
	case ex.Response.Status >= 500:
		return requirements.ServerError
	}
	return ""
}

// withAtLeast returns the checks with an execution that sent at least n requests.
func withAtLeast(sent map[string]int, n int) []string {
	ids := map[string]bool{}
	for execution, its := range sent {
		if its >= n {
			id, _, _ := strings.Cut(execution, "state") // stateful or stateless
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// Where mcpauth itself sends nothing, no check passes for what it would have sent.
func TestNothingPassesUnsent(t *testing.T) {
	ways := []way{{"limit of requests", faults.Fault{Err: wire.ErrBudget}}, {"no port is free", faults.Fault{Err: syscall.EADDRNOTAVAIL}}}
	for turn := range ways {
		s := &sweep{ways: ways, number: 1, turn: turn, onwards: true, sent: map[string]int{}}
		cfg := against.Part(t, against.SigningIn(against.Start(t, reference.Ideal())))
		redacted, err := suites.Run(faults.With(t.Context(), &faults.Plan{Request: s.request, OneLook: true}), cfg)
		require.NoError(t, err)
		for _, r := range redacted.Run().Results {
			if r.Verdict == reports.Pass && s.sent[executionOf(r)] > 0 {
				t.Errorf("%s: %s %s passes after %d", s.way(executionOf(r)).name, r.ID, r.Wire, s.sent[executionOf(r)])
			}
		}
	}
}

// No check fails because any one of its requests fails in any way, even without a second look. MCPAUTH_SWEEP=TURN goes through every
// request of every check: it fails alone, and with all requests after it, in one way. The turn selects the ways; n turns test everything.
// MCPAUTH_SWEEP=TURN:FIRST-LAST does so for these numbers of requests, and TURN:FIRST-LAST/STEP for each STEPth. The default is a sample.
func TestEachRequestOfEachCheckFails(t *testing.T) {
	sampled := whole.Sample(t, "plain")
	for name, start := range map[string]func(t *testing.T) (suites.Config, []way){
		"plain": startPlain,
		"TLS":   startSecure,
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			numbers, turn := []int{2}, 0
			if whole.All(t) {
				numbers = []int{1, 2, 3, 5, 8, 13}
			}
			var most map[string]int
			if all := os.Getenv("MCPAUTH_SWEEP"); all != "" {
				most = requestsOf(t, start)
				turn, numbers = chosenOf(t, all, slices.Max(slices.Collect(maps.Values(most))))
			}
			calm := calmVerdicts(t, start)
			var struck atomic.Int64
			t.Cleanup(func() { t.Logf("%d requests failed", struck.Load()) })
			for _, n := range numbers {
				for _, onwards := range []bool{false, true} {
					if !whole.All(t) && most == nil && onwards {
						continue
					}
					t.Run(fmt.Sprintf("request %d, onwards %v", n, onwards), func(t *testing.T) {
						t.Parallel()
						cfg, ways := start(t)
						cfg = against.Part(t, cfg)
						if most != nil {
							cfg.Skip, cfg.Only = nil, withAtLeast(most, n)
						}
						s := &sweep{ways: ways, calm: calm, number: n, turn: turn, onwards: onwards}
						s.run(t, cfg)
						struck.Add(int64(s.struck))
						assert.NotZero(t, s.struck)
					})
				}
			}
		})
	}
}

// A client whose deletion got a truncated answer may still exist.
func TestAnAnswerThatBreaksOffIsNoSuccess(t *testing.T) {
	cfg, ways := startPlain(t)
	cfg.Only, cfg.Skip = []string{"AS-DCRM-DELETE"}, nil
	i := slices.IndexFunc(ways, func(w way) bool { return w.name == "broken off" })
	for n := range 12 {
		s := &sweep{ways: ways[i : i+1], number: n + 1}
		s.run(t, cfg)
	}
}

// chosenOf parses TURN or TURN:FIRST-LAST, up to most requests.
func chosenOf(t *testing.T, chosen string, most int) (turn int, numbers []int) {
	t.Helper()
	first, last, step := 1, most, 1
	text, span, bounded := strings.Cut(chosen, ":")
	_, err := fmt.Sscan(text, &turn)
	if bounded {
		span, every, stepped := strings.Cut(span, "/")
		_, wrong := fmt.Sscanf(span, "%d-%d", &first, &last)
		err = cmp.Or(err, wrong)
		if stepped {
			_, wrong = fmt.Sscan(every, &step)
			err = cmp.Or(err, wrong)
		}
	}
	require.NoError(t, err, "MCPAUTH_SWEEP=%s is neither TURN nor TURN:FIRST-LAST nor TURN:FIRST-LAST/STEP", chosen)
	for n := first; n <= min(last, most); n += step {
		numbers = append(numbers, n)
	}
	return turn, numbers
}

// calmVerdicts returns the verdicts without a failure.
func calmVerdicts(t *testing.T, start func(t *testing.T) (suites.Config, []way)) map[string]reports.Verdict {
	cfg, _ := start(t)
	out := map[string]reports.Verdict{}
	for _, r := range against.Run(t, against.Part(t, cfg)).Results {
		out[executionOf(r)] = r.Verdict
	}
	return out
}

// noLongerApply returns the checks that pass without failures, and that claim here that the target lacks the feature, or that the user did
// not declare what they need.
func noLongerApply(run *reports.Run, calm map[string]reports.Verdict) (out []string) {
	for _, r := range run.Results {
		absent := r.Verdict == reports.NotApplicable || r.Verdict == reports.NotTested
		if absent && calm[executionOf(r)] == reports.Pass {
			out = append(out, fmt.Sprintf("%s %s: %s", r.ID, r.Wire, r.Reason))
		}
	}
	return out
}

// requestsOf returns the number of requests of each execution without a failure.
func requestsOf(t *testing.T, start func(t *testing.T) (suites.Config, []way)) map[string]int {
	cfg, ways := start(t)
	s := &sweep{ways: ways}
	s.run(t, cfg)
	return s.sent
}

// startPlain starts a reference without TLS.
func startPlain(t *testing.T) (suites.Config, []way) {
	return against.SigningIn(against.Start(t, reference.Ideal())), overPlain(t)
}

// startSecure starts a reference with HTTP/2 over TLS.
func startSecure(t *testing.T) (suites.Config, []way) {
	o := reference.Ideal()
	o.Host = "mcp.example.com"
	o.Server = func(s *http.Server) { s.ErrorLog = log.New(io.Discard, "", 0) } // some checks make handshakes fail
	var own tls.Certificate
	o.TLS = func(c *tls.Config) { own, c.NextProtos = c.Certificates[0], []string{"h2", "http/1.1"} }
	r := against.Start(t, o)
	return against.SigningIn(r), overTLS(t, own)
}

// A failing browser is not evidence, at any login of a check.
func TestTheBrowserFails(t *testing.T) {
	numbers := []int{1}
	if whole.All(t) {
		numbers = []int{1, 2, 3, 4, 6, 9}
	}
	for _, n := range numbers {
		t.Run(fmt.Sprintf("sign-in %d", n), func(t *testing.T) {
			t.Parallel()
			s := &sweep{ways: []way{{name: "the browser"}}}
			var mu sync.Mutex
			signedIn, failed := map[string]int{}, 0
			plan := &faults.Plan{OneLook: true, Request: s.request, Browser: func(ctx context.Context) string {
				execution := session.OwnerOf(ctx)
				mu.Lock()
				defer mu.Unlock()
				if signedIn[execution]++; execution == "" || signedIn[execution] != n {
					return ""
				}
				failed++
				return "the browser failed: context deadline exceeded"
			}}
			s.sent = map[string]int{}
			redacted, err := suites.Run(faults.With(t.Context(), plan), against.Part(t, against.SigningIn(against.Start(t, reference.Ideal()))))
			require.NoError(t, err)
			assert.Empty(t, accused(redacted.Run()))
			assert.NotZero(t, failed)
		})
	}
}

// A failed request of the survey or of the login is not evidence against the target in any check.
func TestEachRequestOfTheSurveyFails(t *testing.T) {
	numbers := []int{9}
	if whole.All(t) {
		numbers = []int{1, 2, 3, 5, 7, 9, 12, 17, 23, 31}
	}
	calm := calmVerdicts(t, startPlain)
	for _, n := range numbers {
		t.Run(fmt.Sprintf("request %d", n), func(t *testing.T) {
			t.Parallel()
			ways := overPlain(t)
			w := ways[n%len(ways)]
			var sent atomic.Int64
			plan := &faults.Plan{OneLook: true, Request: func(ctx context.Context, check string) *faults.Fault {
				if _, own := requirements.Lookup(check); own || session.OwnerOf(ctx) != "" || sent.Add(1) != int64(n) {
					return nil
				}
				return &w.fault
			}}
			redacted, err := suites.Run(faults.With(t.Context(), plan), against.Part(t, against.SigningIn(against.Start(t, reference.Ideal()))))
			require.NoError(t, err)
			assert.Empty(t, accused(redacted.Run()), w.name)
			assert.Empty(t, noLongerApply(redacted.Run(), calm), w.name)
			assert.GreaterOrEqual(t, sent.Load(), int64(n), "the request was not sent")
		})
	}
}

// brokenClock is a clock that fails once.
type brokenClock struct {
	suites.Clock
	at, moved atomic.Int64
}

func (c *brokenClock) Advance(d time.Duration) error {
	if c.moved.Add(1) == c.at.Load() {
		return errors.New("the clock service is gone")
	}
	return c.Clock.Advance(d)
}

// A clock of the target that cannot be moved, forward or back, is not evidence.
func TestTheClockFails(t *testing.T) {
	var timed []string
	for _, q := range requirements.All() {
		if slices.ContainsFunc(q.Needs, func(n string) bool { return n == "clock" || n == "time" || n == "time-in-part" }) {
			timed = append(timed, q.ID)
		}
	}
	most := int64(1)
	if whole.All(t) {
		most = 24
	}
	for at := int64(1); at <= most; at++ {
		t.Run(fmt.Sprintf("move %d", at), func(t *testing.T) {
			t.Parallel()
			cfg := against.SigningIn(against.Start(t, reference.Ideal()))
			broken := &brokenClock{Clock: cfg.Clock}
			broken.at.Store(at)
			cfg.Clock, cfg.Only = broken, timed
			redacted, err := suites.Run(faults.With(t.Context(), &faults.Plan{OneLook: true}), cfg)
			require.NoError(t, err)
			assert.Empty(t, accused(redacted.Run()))
			assert.NotZero(t, broken.moved.Load())
		})
	}
}

// No check fails because the requests or the time of a run are used up.
func TestTheLimitsOfARunEnd(t *testing.T) {
	sampled := whole.Sample(t, "300 requests, 0s")
	for _, c := range []struct {
		requests int
		time     time.Duration
	}{{40, 0}, {300, 0}, {2000, 0}, {0, 150 * time.Millisecond}, {0, 700 * time.Millisecond}, {0, 1500 * time.Millisecond}} {
		name := fmt.Sprintf("%d requests, %v", c.requests, c.time)
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			t.Parallel()
			cfg := against.Part(t, against.SigningIn(against.Start(t, reference.Ideal())))
			cfg.MaxRequests, cfg.Timeout = cmp.Or(c.requests, cfg.MaxRequests), cmp.Or(c.time, cfg.Timeout)
			redacted, err := suites.Run(faults.With(t.Context(), &faults.Plan{OneLook: true}), cfg)
			require.NoError(t, err)
			assert.Empty(t, accused(redacted.Run()))
		})
	}
}
