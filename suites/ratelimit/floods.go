package ratelimit

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// How many requests a flood has at the most, and how many of them are sent at once.
const (
	completions   = 300
	tokenErrors   = 120
	registrations = 40
	atOnce        = 20
)

// longest is how long a Retry-After is waited for.
const longest = 20 * time.Second

func floods() {
	// MCP completion: "Servers MUST implement ... rate limiting".
	Must("RS-RATE-OTHER-OPERATIONS", func(t *T) {
		token := t.MCP.FirstToken()
		call := t.MCP.MustOpenSession(token)
		request := completion(t, call)
		if ex := t.Send(request); mcp.Read(ex).Code == "-32601" || expect.Status(ex) == 404 {
			t.NotApplicable("completion is not offered")
		} else if !expect.Accepted(ex) {
			t.Inconclusive("an ordinary completion is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		before := pulse(t, token)
		limit := flood(t, completions, func(int) wire.Request { return request.Request() }, func(ex *reports.Exchange) bool { return !expect.Accepted(ex) })
		switch {
		case limit == nil:
			t.Advise(nil, "a limit for completions, which every revision demands without a number", "%d in a row are served", completions)
		case expect.Crashed(limit) && expect.Status(limit) != 503:
			t.Unmet(limit, "a limit, or answers", "after many completions: %s", expect.Describe(limit))
		case expect.Status(limit) != 429 && !mcp.Read(limit).Error:
			t.Advise(limit, "HTTP 429 from a limit", "%s", expect.Describe(limit))
		}
		if after := pulse(t, token); after > 10*before && after > time.Second {
			t.Unmet(t.Last(), "other requests served as before", "one takes %v after the flood, and %v before", after, before)
		}
	})

	Practice("AS-RATE-TOKEN-429", func(t *T) {
		c := t.AS.AnyClient()
		if own, _ := t.AS.Register(nil); own != nil {
			c = own
		}
		wrong := t.AS.BuildTokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"), With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
		ordinary := t.IgnoringLimits(wrong)
		status := expect.Status(ordinary)
		if status != 400 && status != 401 { // the latter is AS-TOKEN-ERROR-SHAPE
			t.Inconclusive("an unknown code is answered with %s", expect.Describe(ordinary))
		}
		t.Controlled()
		other := flood(t, tokenErrors, func(int) wire.Request { return wrong }, func(ex *reports.Exchange) bool {
			return expect.Status(ex) != status || oauth.ErrorCode(ex) != oauth.ErrorCode(ordinary)
		})
		if other == nil {
			t.Advise(nil, "a limit at the token endpoint", "%d errors in a row are answered", tokenErrors)
			return
		}
		if wait := throttle(t, other); wait <= longest {
			t.Sleep(wait)
		} else {
			t.Note("Retry-After asks for %v, which is not waited for", wait)
			return
		}
		if oauth.Object(other) == nil {
			t.Advise(other, "a body in JSON", "%s", expect.MediaType(other))
		}
		if control := expect.Header(other, "Cache-Control"); !strings.Contains(control, "no-store") {
			t.Advise(other, "Cache-Control: no-store", "%q", control)
		}
		if ex, ok := t.Eventually(func() bool { return expect.Status(t.IgnoringLimits(wrong)) == status }); !ok {
			t.Unmet(ex, "the limit to end", "%v later: %s", 5*t.Patience, expect.Describe(ex))
		}
	})

	Practice("AS-RATE-REGISTRATION", func(t *T) {
		m := t.AS.ClientMetadata()
		refused := flood(t, registrations, func(int) wire.Request { return t.Session.Registration(m) }, func(ex *reports.Exchange) bool {
			return t.Session.Registered(ex, m) == nil
		})
		if refused == nil {
			t.Advise(nil, "a limit for open registration", "%d clients in a row are registered", registrations)
			return
		}
		t.Controlled()
		throttle(t, refused)
	})
}

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

// throttle judges the answer of a limit: 429, or 503, with a Retry-After. It returns how long that asks to wait.
func throttle(t *T, ex *reports.Exchange) time.Duration {
	if s := expect.Status(ex); s != 429 && s != 503 {
		t.Unmet(ex, "HTTP 429 from a limit", "%s %s", expect.Describe(ex), oauth.ErrorCode(ex))
		return 0
	}
	t.Refused()
	wait, ok := expect.RetryAfter(ex)
	switch after := expect.Header(ex, "Retry-After"); {
	case after == "":
		t.Advise(ex, "Retry-After", "none")
	case !ok:
		t.Unmet(ex, "Retry-After in seconds or as a date", "%q", after)
	}
	return wait
}

// pulse is how long an ordinary request takes: the least of three.
func pulse(t *T, token string) time.Duration {
	least := time.Hour
	for range 3 {
		ex := t.IgnoringLimits(t.MCP.Call().With(mcp.Bearer(token)).Request())
		least = min(least, time.Duration(float64(ex.Duration)*float64(time.Millisecond)))
	}
	return least
}

// completion asks for one: of a declared object, else of nothing that there is.
func completion(t *T, call mcp.Call) mcp.Call {
	for _, o := range t.Objects {
		if o.Argument != "" {
			return o.Call(call)
		}
	}
	return Completion("mcpauth", "mcpauth", "m").Call(call)
}
