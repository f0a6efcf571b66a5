// Package ratelimit contains the checks on limits of requests.
package ratelimit

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Tools: Security Considerations, rate limits", enforced)
	Describe("RFC 6585 section 4: 429 Too Many Requests", answered)
	Describe("OWASP Denial of Service Cheat Sheet: which callers a limit affects", counted)
	Describe("RateLimit header fields for HTTP", announced)
	Describe("MCP Completion, RFC 7591 section 5: floods", floods)
	Describe("OAuth 2.1 section 2.4.1: brute force attacks", guessing)
}

func enforced() {
	Must("RS-RATE-ENFORCED", enforcesDeclaredLimits)
	Practice("RS-RATE-BELOW-LIMIT", servesOrdinaryUse)
	Practice("RS-RATE-PER-AUTH-TYPE", appliesTheLimitOfEachKind)
	Practice("RS-RATE-CONCURRENCY", countsConcurrentRequests)
}

// eachBurst judges the result of using up the limit of each credential.
func eachBurst(t *T, judge func(t *T, b *burst)) {
	rows := Cases[*burst]{}
	for _, b := range bursts(t) {
		rows = rows.And(b.of.Name, b)
	}
	Each(t, rows, func(t *T, b *burst) {
		decided(t, b)
		b.control(t)
		judge(t, b)
	})
}

// "Servers MUST: ... Rate limit tool invocations"
func enforcesDeclaredLimits(t *T) {
	eachBurst(t, func(t *T, b *burst) {
		if b.served > most(b.of.Limit) && b.served <= 2*b.of.Limit && b.ended && b.of.Window > longestWindow {
			t.Expect(b).Ideally(endBy(most(b.of.Limit))) // only advice, because a window may have ended meanwhile
			return
		}
		if t.Expect(b).To(endBy(most(b.of.Limit))) {
			t.Expect(b).Ideally(serveAtLeast(b.of.Limit * 8 / 10))
		}
	})
}

// endBy expects a refusal after so many served requests at the latest.
var endBy = expect.Family("endBy", func(n int) expect.Matcher {
	return expect.That("a refusal after the declared number of requests", func(b *burst) string {
		switch {
		case !b.ended:
			return fmt.Sprintf("%d were served, where %d in %v are declared", b.served, b.of.Limit, b.of.Window)
		case b.served > n:
			return fmt.Sprintf("the first is refused after %d, where %d in %v are declared", b.served, b.of.Limit, b.of.Window)
		}
		return ""
	})
})

var serveAtLeast = expect.Family("serveAtLeast", func(n int) expect.Matcher {
	return expect.That("acceptance of as many requests as are declared", func(b *burst) string {
		if b.served >= n {
			return ""
		}
		return fmt.Sprintf("the first is refused after %d, where %d in %v are declared", b.served, b.of.Limit, b.of.Window)
	})
})

// The check uses a new token, so that the requests of other checks do not count.
func servesOrdinaryUse(t *T) {
	token := t.MCP.FirstToken()
	limit := listOften(t, token)
	if limit == nil {
		return
	}
	t.MCP.AwaitLimit(limit) // other checks may have used up the limit, with the same token or as the same user
	t.Expect(listOften(t, token), "a handshake and a dozen lists").To(beNoLimit)
}

// listOften opens a session and asks for a dozen lists; it returns the first answer that is a limit.
func listOften(t *T, token string) *reports.Exchange {
	call := t.MCP.MustOpenSession(token)
	for range 3 {
		for _, method := range []string{"tools/list", "resources/list", "prompts/list", "tools/list"} {
			ex := t.IgnoringLimits(call.Method(method, nil).Request())
			if expect.Status(ex) == 429 {
				return ex
			}
			t.Expect(ex, method).AsControl(beAnswered)
		}
	}
	return nil
}

var beAnswered = expect.Serving("an answer", func(ex *reports.Exchange) string { return expect.NoAnswer(ex) })

var beNoLimit = expect.That("ordinary use not to meet a limit", func(ex *reports.Exchange) string {
	if ex == nil {
		return ""
	}
	return expect.Describe(ex)
})

func appliesTheLimitOfEachKind(t *T) {
	kinds := map[bool]bool{}
	for _, b := range bursts(t) {
		kinds[b.of.Header == ""] = true
	}
	if len(kinds) < 2 {
		t.NotTested("it needs a bearer token and an API key, each with a limit (credentials in the target file, limit)")
	}
	eachBurst(t, func(t *T, b *burst) {
		if t.Expect(b).To(endBy(b.of.Limit*3/2), serveAtLeast(b.of.Limit/2)) {
			t.Expect(b).Ideally(endBy(most(b.of.Limit)))
		}
	})
}

func countsConcurrentRequests(t *T) {
	b := bursts(t)[len(t.MCP.Metered())-1]
	decided(t, b)
	if !b.together {
		t.NotTested("it needs a second credential with a limit, which has not been used before (credentials in the target file, limit)")
	}
	b.control(t)
	if t.Expect(b, "%d requests at once", b.sent).To(serveAtMost(b.of.Limit * 12 / 10)) {
		t.Expect(b, "%d requests at once", b.sent).Ideally(serveAtMost(b.of.Limit * 11 / 10))
	}
}

var serveAtMost = expect.Family("serveAtMost", func(n int) expect.Matcher {
	return expect.That("acceptance of no more requests than are declared", func(b *burst) string {
		if b.served <= n {
			return ""
		}
		return fmt.Sprintf("%d were served, where %d are declared", b.served, b.of.Limit)
	})
})

// decided ends the check where a burst says nothing about a limit.
func decided(t *T, b *burst) {
	t.Cite(b.last)
	switch {
	case b.crashed:
		t.Inconclusive("call %d is answered with %s, which is not a refusal (RS-RATE-429)", b.served+1, expect.Describe(b.last))
	case b.took > b.of.Window && (!b.ended || b.served > b.of.Limit):
		t.Inconclusive("%d calls took %v, more than the window of %v: declare a limit that can be reached from here", b.sent,
			b.took.Round(time.Millisecond), b.of.Window)
	}
}

func answered() {
	Practice("RS-RATE-429", answersWith429)
	Practice("RS-RATE-RETRY-AFTER", saysWhenToComeBack)
	Practice("RS-RATE-RECOVERS", servesAgainAfterTheWindow)
}

// RFC 6585 section 4; 503 with Retry-After says the same less precisely.
func answersWith429(t *T) {
	ex := throttled(t)
	if expect.Status(ex) == 503 && expect.Header(ex, "Retry-After") != "" {
		t.Expect(ex, "the first request over the limit").Ideally(expect.HaveStatus(429))
		return
	}
	t.Expect(ex, "the first request over the limit").To(expect.HaveStatus(429))
}

// RFC 9110 section 10.2.3: whole seconds, or a date.
func saysWhenToComeBack(t *T) {
	ex := throttled(t)
	if expect.Header(ex, "Retry-After") == "" {
		t.Expect(ex).Ideally(expect.HaveHeader("Retry-After", expect.NotEmpty))
		return
	}
	if t.Expect(ex).To(waitProperly) {
		t.Expect(ex).Ideally(waitAtMost(time.Hour))
	}
}

var waitProperly = expect.That("Retry-After in whole seconds, or as a date (RFC 9110 section 10.2.3)", func(ex *reports.Exchange) string {
	if _, ok := expect.RetryAfter(ex); ok {
		return ""
	}
	return fmt.Sprintf("%q", expect.Header(ex, "Retry-After"))
})

var waitAtMost = expect.Family("waitAtMost", func(most time.Duration) expect.Matcher {
	return expect.That(fmt.Sprintf("Retry-After of at most %v", most), func(ex *reports.Exchange) string {
		if wait, _ := expect.RetryAfter(ex); wait > most {
			return fmt.Sprintf("%q", expect.Header(ex, "Retry-After"))
		}
		return ""
	})
})

func servesAgainAfterTheWindow(t *T) {
	s := exhausted(t)
	if s.after == nil {
		t.NotTested("the window of %v is longer than a check may wait: declare a shorter one on a test instance", s.bursts[0].of.Window)
	}
	window := s.bursts[0].of.Window
	if t.Expect(t.Cite(s.after), "the same request after the window of %v, and %v in all", window, s.waited).To(expect.Run()) &&
		s.waited > 2*window {
		t.Note("it is served only after %v in all, where the window is declared as %v", s.waited, window)
	}
}

func counted() {
	Practice("RS-RATE-PER-PRINCIPAL", countsPerPrincipal)
	Practice("RS-RATE-SPOOFED-ADDRESS", ignoresForwardedAddresses)
}

func countsPerPrincipal(t *T) {
	s := exhausted(t)
	s.bursts[0].control(t)
	Each(t, Cases[*reports.Exchange]{{"somebody else meanwhile", s.stranger}}, func(t *T, ex *reports.Exchange) {
		switch {
		case ex == nil:
			t.NotTested("it needs another credential (credentials in the target file)")
		case !t.MCP.Served(ex) && expect.Status(ex) != expect.Status(s.bursts[0].last):
			t.Inconclusive("another credential is answered with %s, which is not about the limit", expect.Describe(ex))
		}
		t.Expect(t.Cite(ex)).To(t.MCP.Serve())
	})
	evaded(t, s, "a new connection", "another User-Agent", "another X-Client-Id", "another X-User-Id")
}

func ignoresForwardedAddresses(t *T) { evaded(t, exhausted(t), forwarded...) }

// evaded expects that no disguise helped the throttled caller.
func evaded(t *T, s *scenario, disguises ...string) {
	CiteIfAsked(t, s.bursts[0].last)
	s.bursts[0].control(t)
	rows := Cases[*reports.Exchange]{}
	for _, about := range disguises {
		rows = rows.And(about, s.evasions[about])
	}
	Each(t, rows, func(t *T, ex *reports.Exchange) {
		if ex == nil && slices.Contains(s.undecided, RowOf(t)) {
			t.Inconclusive("the window of %v ended each time it was tried: declare a longer one on a test instance", s.bursts[0].of.Window)
		}
		t.Expect(ex).To(holdTheLimit)
	})
}

var holdTheLimit = expect.That("a refusal, because the limit is reached", func(ex *reports.Exchange) string {
	if ex == nil {
		return ""
	}
	return "the request is served, and one without it is refused"
})

var forwarded = []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"}

// most is how many requests may be served before a limit counts as not enforced.
func most(limit int) int { return int(math.Ceil(float64(limit)*1.2)) + 2 }

// burst is the result of using up the limit of a credential.
type burst struct {
	of           Credential
	sent, served int
	ended        bool              // by a refusal, or by a crash
	crashed      bool              // by a crash, not by a refusal
	first        *reports.Exchange // the first served call, or the first call: those that are sent at once have no order
	last         *reports.Exchange // the first refusal, or the last answer
	together     bool              // all requests were sent at once
	took         time.Duration
}

// Evidence is the first refusal, or the last answer.
func (b *burst) Evidence() *reports.Exchange { return b.last }

// control ends the check where no call was served: this says nothing about a limit.
func (b *burst) control(t *T) {
	t.Expect(b.first, "the first call with %s", b.of.Name).AsControl(expect.Run())
}

// scenario is what all checks of the area judge: the limits are used up once in a run.
type scenario struct {
	bursts    []*burst
	evasions  map[string]*reports.Exchange // requests of the throttled caller that were served
	undecided []string                     // disguises whose answer the end of a window may explain
	stranger  *reports.Exchange            // a request of another caller meanwhile
	after     *reports.Exchange            // a request of the throttled caller after the window; nil if that wait is too long
	waited    time.Duration                // in total, before that request
}

func bursts(t *T) []*burst { return play(t).bursts }

// throttled is the answer to a request above the limit.
func throttled(t *T) *reports.Exchange {
	for _, b := range bursts(t) {
		if b.ended {
			return t.Cite(b.last)
		}
	}
	t.Inconclusive("nothing was throttled (RS-RATE-ENFORCED)")
	return nil
}

// exhausted is the scenario, where the first credential was throttled.
func exhausted(t *T) *scenario {
	s := play(t)
	if !s.bursts[0].ended {
		t.Inconclusive("nothing was throttled (RS-RATE-ENFORCED)")
	}
	return s
}

// longestWindow is the longest wait of a check.
const longestWindow = 15 * time.Second

func play(t *T) *scenario {
	return Once(t, "ratelimit", func() *scenario {
		s := &scenario{evasions: map[string]*reports.Exchange{}}
		metered := t.MCP.Metered()
		first, tool := metered[0], invocation(t, metered[0])
		b := spend(t, first, tool, 4, most(first.Limit))
		s.bursts = append(s.bursts, b)
		if b.served == 0 {
			t.Inconclusive("%s is refused from the first call on: %s", first.Name, expect.Describe(b.last))
		}
		if b.ended {
			s.meanwhile(t)
			s.disguise(t, first, tool)
			s.wait(t, tool, b)
		}
		for _, c := range metered[1:] {
			limit := c.Limit
			s.bursts = append(s.bursts, spend(t, c, invocation(t, c), limit*3/2, limit*11/10))
			s.bursts[len(s.bursts)-1].together = true
		}
		return s
	})
}

// invocation is a call of a tool with a credential: the limit is about these.
func invocation(t *T, c Credential) mcp.Call {
	call, refused := t.MCP.SessionAs(c.Field())
	if refused != nil {
		t.Inconclusive("no session opens for %s: %s", c.Name, expect.Describe(refused))
	}
	for _, tool := range t.Tools {
		if !tool.DeniedOnly && c.Permits(tool.Name) {
			return call.Method("tools/call", tool.Params()).With(c.Field())
		}
	}
	t.NotTested("it needs a tool that %s may call (tools in the target file)", c.Name)
	return mcp.Call{}
}

// spend calls a tool until a call is refused, some at once. If more calls are served than the limit allows, it waits and tries again: a
// window that ended in the middle lets up to twice as many through.
func spend(t *T, c Credential, tool mcp.Call, atOnce, due int) *burst {
	b := spendOnce(t, c, tool, atOnce)
	for range 2 {
		if b.served <= due || b.served > 2*c.Limit || c.Window > longestWindow {
			return b
		}
		t.Sleep(c.Window + 50*time.Millisecond)
		b = spendOnce(t, c, tool, atOnce)
	}
	return b
}

func spendOnce(t *T, c Credential, tool mcp.Call, atOnce int) *burst {
	b := &burst{of: c}
	began := time.Now()
	defer func() { b.took = time.Since(began) }()
	request := tool.Request()
	for b.sent < 2*c.Limit+4 && !b.ended {
		requests := slices.Repeat([]wire.Request{request}, atOnce)
		for _, ex := range t.AllIgnoringLimits(requests) {
			if b.sent == 0 || b.served == 0 && expect.Ran(ex) {
				b.first = ex
			}
			if b.sent++; expect.Ran(ex) {
				b.served++
			} else if !b.ended {
				b.ended, b.last = true, ex
				b.crashed = expect.Crashed(ex) && (expect.Status(ex) != 503 || expect.Header(ex, "Retry-After") == "")
			}
			if !b.ended {
				b.last = ex
			}
		}
	}
	return b
}

// meanwhile immediately sends a request of another caller: later, the window of the throttled caller may have ended.
func (s *scenario) meanwhile(t *T) {
	for _, other := range append(t.MCP.Bearers(), t.MCP.APIKeys()...) {
		s.stranger = t.IgnoringLimits(t.MCP.CallFor(other).With(other.Field()).Request())
		break
	}
}

// disguise sends more requests of the throttled caller, each with another value by which a careless limit counts callers.
func (s *scenario) disguise(t *T, c Credential, call mcp.Call) {
	fresh := call.OnFreshConnection()
	variants := Cases[mcp.Call]{
		{"a new connection", fresh},
		{"another User-Agent", call.With(mcp.Field("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"))},
		{"another X-Client-Id", call.With(mcp.Field("X-Client-Id", Random(6)))},
		{"another X-User-Id", call.With(mcp.Field("X-User-Id", Random(6)))},
	}
	for i, name := range forwarded {
		value := fmt.Sprintf("198.51.100.%d", 10+i)
		if name == "Forwarded" {
			value = "for=" + value
		}
		variants = variants.And(name, call.With(mcp.Field(name, value)))
	}
	for _, v := range variants {
		s.try(t, c, call, v.Name, v.Value)
	}
}

// tries are made with each disguise, because a window may end during any of them.
const tries = 4

// try sends a disguised call. A served call counts only if a plain call right after it is still refused: otherwise the window has
// ended.
func (s *scenario) try(t *T, c Credential, plain mcp.Call, about string, disguised mcp.Call) {
	for range tries {
		ex := t.IgnoringLimits(disguised.Request())
		if !expect.Ran(ex) {
			return
		}
		if !expect.Ran(t.IgnoringLimits(plain.Request())) {
			s.evasions[about] = ex
			return
		}
		spendOnce(t, c, plain, 4)
	}
	s.undecided = append(s.undecided, about)
}

// wait lets the window end, or waits as long as the target asked, and tries again. Each further wait is twice as long: a busy target
// may have a longer window, counted from its last answer.
func (s *scenario) wait(t *T, call mcp.Call, b *burst) {
	wait := b.of.Window
	if seconds, err := strconv.Atoi(expect.Header(b.last, "Retry-After")); err == nil {
		wait = max(wait, time.Duration(seconds)*time.Second)
	}
	if wait > longestWindow {
		return
	}
	for range 3 {
		t.Sleep(wait + 50*time.Millisecond)
		s.waited += wait
		if s.after = t.IgnoringLimits(call.Request()); expect.Ran(s.after) {
			return
		}
		wait = min(2*wait, longestWindow)
	}
}
