// Package ratelimit holds the checks on limits of requests.
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
	Describe("OWASP Denial of Service Cheat Sheet: whom a limit meets", counted)
	Describe("RateLimit header fields for HTTP", announced)
	Describe("MCP Completion, RFC 7591 section 5: floods", floods)
	Describe("OAuth 2.1 section 2.4.1: brute force attacks", guessing)
}

func enforced() {
	// "Servers MUST: ... Rate limit tool invocations"
	Must("RS-RATE-ENFORCED", func(t *T) {
		for _, b := range bursts(t) {
			limit, n := b.of.Limit, b.served
			switch decided(t, b); {
			case n > most(limit) && n <= 2*limit && b.of.Window > longestWindow:
				t.Advise(b.last, fmt.Sprintf("a refusal after %d requests in %v", limit, b.of.Window), "%s: the first is refused after %d, unless a window ended meanwhile", b.of.Name, n)
			case !b.ended:
				t.Finding(b.last, b.of.Name, fmt.Sprintf("a refusal after %d requests in %v", limit, b.of.Window), fmt.Sprintf("%d were served", n))
			case n > most(limit):
				t.Finding(b.last, b.of.Name, fmt.Sprintf("a refusal after %d requests in %v", limit, b.of.Window), fmt.Sprintf("the first is refused after %d", n))
			case n < limit*8/10:
				t.Advise(b.last, fmt.Sprintf("%d requests in %v to be served", limit, b.of.Window), "%s: the first is refused after %d", b.of.Name, n)
			default:
				t.Refused()
			}
		}
		t.Controlled() // what was served before
	})

	Practice("RS-RATE-BELOW-LIMIT", func(t *T) {
		token, own := t.MCP.OwnToken()
		call := t.MCP.MustOpenSession(token)
		for range 3 {
			for _, method := range []string{"tools/list", "resources/list", "prompts/list", "tools/list"} {
				if ex := t.IgnoringLimits(call.Method(method, nil).Request()); expect.Status(ex) == 429 {
					if !own {
						t.Inconclusive("a limit is met, but other checks have used the same token: it needs one of its own, by a login (--username)")
					}
					t.Unmet(ex, "a handshake and a dozen lists not to meet a limit", "%s", expect.Describe(ex))
					return
				}
			}
		}
	})

	Practice("RS-RATE-PER-AUTH-TYPE", func(t *T) {
		kinds := map[bool]bool{}
		for _, b := range bursts(t) {
			kinds[b.of.Header == ""] = true
			decided(t, b)
			if n, limit := b.served, b.of.Limit; !b.ended || n > limit*3/2 || n < limit/2 {
				t.Finding(b.last, b.of.Name, fmt.Sprintf("the limit of its kind: %d requests in %v", limit, b.of.Window), fmt.Sprintf("%d were served", n))
			} else if n > most(limit) {
				t.Advise(b.last, fmt.Sprintf("the limit of its kind: %d requests in %v", limit, b.of.Window), "%s: %d were served", b.of.Name, n)
			}
		}
		if len(kinds) < 2 {
			t.NotTested("it needs a bearer token and an API key, each with a limit (credentials in the target file, limit)")
		}
	})

	Practice("RS-RATE-CONCURRENCY", func(t *T) {
		b := bursts(t)[len(t.MCP.Metered())-1]
		decided(t, b)
		switch limit := b.of.Limit; {
		case !b.together:
			t.NotTested("it needs a second credential with a limit, which has not been used before")
		case b.served > limit*12/10:
			t.Unmet(b.last, fmt.Sprintf("at most %d requests to be served", limit), "%d of %d at once", b.served, b.sent)
		case b.served > limit*11/10:
			t.Advise(b.last, fmt.Sprintf("at most %d requests to be served", limit), "%d of %d at once", b.served, b.sent)
		}
	})
}

// decided ends the check where a burst says nothing about a limit.
func decided(t *T, b *burst) {
	t.Cite(b.last)
	switch {
	case b.crashed:
		t.Inconclusive("%s: call %d is answered with %s, which is no refusal (RS-RATE-429)", b.of.Name, b.served+1, expect.Describe(b.last))
	case b.took > b.of.Window && (!b.ended || b.served > b.of.Limit):
		t.Inconclusive("%s: %d calls took %v, more than the window of %v: declare a limit that can be reached from here", b.of.Name, b.sent, b.took.Round(time.Millisecond), b.of.Window)
	}
}

func answered() {
	Practice("RS-RATE-429", func(t *T) {
		ex := throttled(t)
		code, _ := expect.Param(ex, "error")
		switch s := expect.Status(ex); {
		case s == 429:
		case s == 503 && expect.Header(ex, "Retry-After") != "":
			t.Advise(ex, "HTTP 429", "HTTP 503 with Retry-After")
		case code != "":
			t.Unmet(ex, "HTTP 429", "HTTP %d with error=%q, which sends clients to log in anew", s, code)
		default:
			t.Unmet(ex, "HTTP 429", "%s", expect.Describe(ex))
		}
	})

	Practice("RS-RATE-RETRY-AFTER", func(t *T) {
		ex := throttled(t)
		v := expect.Header(ex, "Retry-After")
		seconds, err := strconv.Atoi(v)
		_, dateErr := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", v)
		switch {
		case v == "":
			t.Advise(ex, "Retry-After", "it is absent")
		case err != nil && dateErr != nil, seconds < 0:
			t.Unmet(ex, "Retry-After in whole seconds, or a date (RFC 9110 section 10.2.3)", "%q", v)
		case seconds > 3600:
			t.Advise(ex, "Retry-After within an hour", "%q", v)
		}
	})

	Practice("RS-RATE-RECOVERS", func(t *T) {
		s := exhausted(t)
		if s.after == nil {
			t.NotTested("the window of %v is longer than a check may wait: declare a shorter one on a test instance", s.bursts[0].of.Window)
		}
		if t.Cite(s.after); !expect.Ran(s.after) {
			t.Unmet(s.after, "the request to be served again after the window", "%s", expect.Describe(s.after))
		}
	})
}

func counted() {
	Practice("RS-RATE-PER-PRINCIPAL", func(t *T) {
		s := exhausted(t)
		if s.stranger == nil {
			t.NotTested("it needs another credential")
		}
		switch t.Cite(s.stranger); {
		case t.MCP.Served(s.stranger):
		case expect.Status(s.stranger) != expect.Status(s.bursts[0].last):
			t.Inconclusive("another credential is answered with %s, which is not about the limit", expect.Describe(s.stranger))
		default:
			t.Unmet(s.stranger, "somebody else to be served meanwhile", "%s", expect.Describe(s.stranger))
		}
		evaded(t, s, "a new connection", "another User-Agent", "another X-Client-Id", "another X-User-Id")
	})

	Practice("RS-RATE-SPOOFED-ADDRESS", func(t *T) {
		evaded(t, exhausted(t), forwarded...)
	})
}

// evaded expects that none of some disguises helped who was throttled.
func evaded(t *T, s *scenario, disguises ...string) {
	for _, about := range disguises {
		if ex := s.evasions[about]; ex != nil {
			t.Finding(ex, about, "the limit to hold", "the request is served, and one without it is refused")
		} else if slices.Contains(s.undecided, about) && t.Unmistaken() {
			t.Inconclusive("the window of %v ended while %s was tried: declare a longer one on a test instance", s.bursts[0].of.Window, about)
		}
	}
	t.Controlled() // by what was served before the limit
}

var forwarded = []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"}

// most is how many requests may be served of a limit before it counts as not enforced.
func most(limit int) int { return int(math.Ceil(float64(limit)*1.2)) + 2 }

// burst is what came of spending a credential's limit.
type burst struct {
	of           Credential
	sent, served int
	ended        bool              // a refusal came, or a crash
	crashed      bool              // it was no refusal but a crash
	last         *reports.Exchange // the first refusal, or the last answer
	together     bool              // all requests were sent at once
	took         time.Duration
}

// scenario is what all checks of the area look at: the limits are spent once in a run.
type scenario struct {
	bursts    []*burst
	evasions  map[string]*reports.Exchange // requests of the first one that were served while it was throttled
	undecided []string                     // disguises whose answer a window's end may explain
	stranger  *reports.Exchange            // somebody else's request meanwhile
	after     *reports.Exchange            // its own after the window; nil where that is too long to wait
}

func bursts(t *T) []*burst { return play(t).bursts }

// throttled is the answer to a request beyond the limit.
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

// longestWindow is what a check waits at most.
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

// invocation is a call of a tool by the bearer of a credential: what the limit is about.
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

// spend calls a tool until a call is refused, some at once. Where more are served than are due, it waits and tries
// again: a window that ended in the middle lets up to twice as many through.
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

// disguise sends more requests of who is throttled, each with something that a careless limit counts by.
func (s *scenario) disguise(t *T, c Credential, call mcp.Call) {
	fresh := call.OnFreshConnection()
	variants := map[string]mcp.Call{
		"a new connection": fresh, "another User-Agent": call.With(mcp.Field("User-Agent", "Mozilla/5.0 (mcpauth)")),
		"another X-Client-Id": call.With(mcp.Field("X-Client-Id", Random(6))), "another X-User-Id": call.With(mcp.Field("X-User-Id", Random(6))),
	}
	for i, name := range forwarded {
		value := fmt.Sprintf("198.51.100.%d", 10+i)
		if name == "Forwarded" {
			value = "for=" + value
		}
		variants[name] = call.With(mcp.Field(name, value))
	}
	for about, v := range Sorted(variants) {
		s.try(t, c, call, about, v)
	}
	for _, other := range append(t.MCP.Bearers(), t.MCP.APIKeys()...) {
		s.stranger = t.IgnoringLimits(t.MCP.CallFor(other).With(other.Field()).Request())
		break
	}
}

// try sends a disguised call. Being served counts where a plain call right after is still refused: else the window has
// ended, and the limit is spent anew.
func (s *scenario) try(t *T, c Credential, plain mcp.Call, about string, disguised mcp.Call) {
	for range 2 {
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

// wait waits for the window's end, or as long as the target asked, and tries again.
func (s *scenario) wait(t *T, call mcp.Call, b *burst) {
	wait := b.of.Window
	if seconds, err := strconv.Atoi(expect.Header(b.last, "Retry-After")); err == nil {
		wait = max(wait, time.Duration(seconds)*time.Second)
	}
	if wait > longestWindow {
		return
	}
	t.Sleep(wait + 50*time.Millisecond)
	s.after = t.IgnoringLimits(call.Request())
}
