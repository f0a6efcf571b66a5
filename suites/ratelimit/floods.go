package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// How many requests a flood has at most, and how many of them are sent at once.
const (
	completions   = 300
	tokenErrors   = 120
	registrations = 40
	atOnce        = 20
)

// longest is the longest Retry-After that the check waits for.
const longest = 20 * time.Second

func floods() {
	Must("RS-RATE-OTHER-OPERATIONS", limitsCompletion)
	Practice("AS-RATE-TOKEN-429", limitsTokenErrors)
	Practice("AS-RATE-REGISTRATION", limitsRegistration)
}

// MCP completion: "Servers MUST implement ... rate limiting".
func limitsCompletion(t *T) {
	token := t.MCP.FirstToken()
	request, declared := completion(t, t.MCP.MustOpenSession(token))
	if ex := t.Send(request); mcp.Read(ex).Code == "-32601" || expect.Status(ex) == 404 {
		t.NotApplicable("completion is not offered")
	} else if !declared && mcp.Read(ex).Error {
		t.NotTested("it needs a completion that is served (objects in the target file, argument): one of nothing is answered with %s",
			expect.Describe(ex))
	} else {
		t.Expect(ex, "an ordinary completion").AsControl(expect.Accept())
	}
	before := pulse(t, token)
	limit := flood(t, completions, func(int) wire.Request { return request.Request() },
		func(ex *reports.Exchange) bool { return !expect.Accepted(ex) })
	t.Expect(limit, "%d completions in a row", completions).Ideally(beALimit)
	if limit != nil && t.Expect(limit, "after many completions").To(notBeACrash) && !mcp.Read(limit).Error {
		t.Expect(limit, "after many completions").Ideally(expect.HaveStatus(429))
	}
	after := pulse(t, token)
	t.Expect(after, "another request after the flood").SeenIn(t.Last()).To(takeNoLonger(before))
}

var beALimit = expect.That("a limit: every revision requires one, and leaves its size open", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all are served"
})

var notBeACrash = expect.That("a limit, or answers", func(ex *reports.Exchange) string {
	if !expect.Crashed(ex) || expect.Status(ex) == 503 {
		return ""
	}
	return expect.Describe(ex)
})

var takeNoLonger = expect.Family("takeNoLonger", func(before time.Duration) expect.Matcher {
	return expect.That("other requests served as before", func(after time.Duration) string {
		if after <= 10*before || after <= time.Second {
			return ""
		}
		return fmt.Sprintf("the same request takes %v, and took %v before the flood", after, before)
	})
})

func limitsTokenErrors(t *T) {
	wrong := withUnknownCode(t)
	ordinary := t.IgnoringLimits(wrong)
	status := expect.Status(ordinary)
	if status != 400 && status != 401 { // AS-TOKEN-ERROR-SHAPE judges 401
		t.Inconclusive("%s", Because(t, ordinary, "an unknown code is answered with "+expect.Describe(ordinary)))
	}
	other := flood(t, tokenErrors, func(int) wire.Request { return wrong }, func(ex *reports.Exchange) bool {
		return expect.Status(ex) != status || oauth.ErrorCode(ex) != oauth.ErrorCode(ordinary)
	})
	if !t.Expect(other, "%d errors in a row", tokenErrors).Ideally(beALimitAtTheTokenEndpoint) {
		return
	}
	wait := throttle(t, other)
	t.Expect(other, "the answer of the limit").Ideally(beJSON,
		expect.HaveHeader("Cache-Control", expect.ValueThat("no-store", mentions("no-store"))))
	if wait > longest {
		t.Note("Retry-After asks for %v, which is not waited for", wait)
		return
	}
	t.Sleep(wait)
	ex, _ := t.Eventually(func() bool { return expect.Status(t.IgnoringLimits(wrong)) == status })
	t.Expect(ex, "the same request, %v after the limit", wait+5*t.Patience).To(expect.HaveStatus(status))
}

// withUnknownCode is a token request with an unknown code, of a new client where one can be registered.
func withUnknownCode(t *T) wire.Request {
	c := t.AS.AnyClient()
	if t.Session.Register {
		if own, _ := t.AS.Register(nil); own != nil {
			c = own
		}
	}
	return t.AS.BuildTokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"),
		With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
}

var beALimitAtTheTokenEndpoint = expect.That("a limit at the token endpoint", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all are answered"
})

var beJSON = expect.That("a body in JSON", func(ex *reports.Exchange) string {
	if oauth.Object(ex) != nil {
		return ""
	}
	return expect.MediaType(ex)
})

func mentions(word string) func(any) bool {
	return func(v any) bool {
		s, _ := v.(string)
		return strings.Contains(strings.ToLower(s), word)
	}
}

// RFC 7591 section 5 speaks of rate limits for open registration.
func limitsRegistration(t *T) {
	m := t.AS.ClientMetadata()
	refused := flood(t, registrations, func(int) wire.Request { return t.Session.Registration(m) }, func(ex *reports.Exchange) bool {
		return t.Session.Registered(ex, m) == nil
	})
	if t.Expect(refused, "%d registrations in a row", registrations).Ideally(beALimitForRegistration) {
		throttle(t, refused)
	}
}

var beALimitForRegistration = expect.That("a limit for open registration", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all clients are registered"
})

// flood sends up to n requests, some at once, until an answer is the one that is looked for; nil if none is.
func flood(t *T, n int, request func(i int) wire.Request, found func(*reports.Exchange) bool) *reports.Exchange {
	var first *reports.Exchange
	for sent := 0; sent < n && first == nil; {
		var part []wire.Request
		for ; len(part) < atOnce && sent < n; sent++ {
			part = append(part, request(sent))
		}
		for _, ex := range t.AllIgnoringLimits(part) {
			if found(ex) && first == nil {
				first = ex
			}
		}
	}
	return first
}

// throttle judges the answer of a limit: 429, or 503, with a Retry-After. It returns how long the answer asks the client to wait.
func throttle(t *T, ex *reports.Exchange) time.Duration {
	if !t.Expect(ex, "the answer of the limit").To(expect.HaveStatus(429, 503)) {
		return 0
	}
	wait, _ := expect.RetryAfter(ex)
	if expect.Header(ex, "Retry-After") == "" {
		t.Expect(ex, "the answer of the limit").Ideally(expect.HaveHeader("Retry-After", expect.NotEmpty))
	} else {
		t.Expect(ex, "the answer of the limit").To(waitProperly)
	}
	return wait
}

// pulse is the shortest duration of three ordinary requests.
func pulse(t *T, token string) time.Duration {
	least := time.Hour
	for range 3 {
		ex := t.IgnoringLimits(t.MCP.Call().With(mcp.Bearer(token)).Request())
		least = min(least, time.Duration(float64(ex.Duration)*float64(time.Millisecond)))
	}
	return least
}

// completion asks for a completion: of a declared object, or of one that does not exist if none is declared.
func completion(t *T, call mcp.Call) (request mcp.Call, declared bool) {
	for _, o := range t.Objects {
		if o.Argument != "" {
			return o.Call(call), true
		}
	}
	return Completion("mcpauth", "mcpauth", "m").Call(call), false
}
