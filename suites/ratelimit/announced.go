package ratelimit

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// legacyFields are what servers sent before there was a draft.
var legacyFields = []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Limit", "RateLimit-Remaining",
	"RateLimit-Reset"}

// announced are the checks on what a server says of its limits (draft-ietf-httpapi-ratelimit-headers).
func announced() {
	May("RS-RATE-HEADERS", func(t *T) {
		call := t.MCP.Call().With(mcp.Bearer(t.MCP.FirstToken()))
		var seen []remaining
		for range 5 {
			ex := t.Send(call)
			if !t.MCP.Served(ex) {
				t.Inconclusive("this proves nothing: the valid token is answered with %s", expect.Describe(ex))
			}
			t.Controlled()
			left, ok := announcement(t, ex)
			if !ok {
				return
			}
			seen = append(seen, left)
		}
		for i := 1; i < len(seen); i++ {
			before, now := seen[i-1], seen[i]
			switch {
			case now.left < 0:
				t.Unmet(now.seen, "a remaining quota of zero or more", "%d", now.left)
				return
			case now.left > before.left && now.reset <= before.reset:
				t.Unmet(now.seen, "a remaining quota that does not grow within a window", "%d, and %d before", now.left, before.left)
				return
			}
		}
	})
}

// remaining is what an answer says of the quota that is left, and of the seconds until it is full again.
type remaining struct {
	left, reset int
	seen        *reports.Exchange
}

// announcement reads the fields of an answer; the check ends where there are none, and ok is false where they cannot be
// read.
func announcement(t *T, ex *reports.Exchange) (out remaining, ok bool) {
	out.seen = ex
	if field := expect.Header(ex, "RateLimit"); field != "" {
		return structured(t, ex, field)
	}
	present := map[string]int{}
	for _, name := range legacyFields {
		if v := expect.Header(ex, name); v != "" {
			n, err := strconv.Atoi(strings.TrimSpace(v))
			if err != nil {
				t.Unmet(ex, "a number in "+name, "%q", v)
				return out, false
			}
			_, kind, _ := strings.Cut(strings.TrimPrefix(name, "X-"), "-")
			present[kind] = n
		}
	}
	if len(present) == 0 {
		t.NotApplicable("no answer announces a limit")
	}
	t.Advise(ex, "the fields RateLimit and RateLimit-Policy", "older ones")
	left, told := present["Remaining"]
	out.left, out.reset = left, present["Reset"]
	return out, told
}

var (
	item      = regexp.MustCompile(`^(?:"[^"]*"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/-]*)((?:;[a-z*][a-z0-9_.*-]*(?:=[^;]+)?)*)$`)
	older     = regexp.MustCompile(`^limit=\d+, *remaining=(-?\d+), *reset=(\d+)$`)
	parameter = regexp.MustCompile(`;([a-z*][a-z0-9_.*-]*)=([^;]+)`)
)

// structured reads the field RateLimit: the policy with the least left, by its parameters r and t.
func structured(t *T, ex *reports.Exchange, field string) (out remaining, ok bool) {
	out = remaining{left: -1, seen: ex}
	if m := older.FindStringSubmatch(field); m != nil {
		t.Advise(ex, "RateLimit in the form of the current draft", "an older form: %q", field)
		out.left, _ = strconv.Atoi(m[1]) // digits
		out.reset, _ = strconv.Atoi(m[2])
		return out, true
	}
	found := false
	for _, entry := range strings.Split(field, ",") {
		m := item.FindStringSubmatch(strings.TrimSpace(entry))
		if m == nil {
			t.Unmet(ex, "RateLimit as a list of items with parameters (RFC 9651)", "%q", field)
			return out, false
		}
		values := map[string]int{}
		for _, p := range parameter.FindAllStringSubmatch(m[1], -1) {
			n, err := strconv.Atoi(p[2])
			if err != nil && (p[1] == "r" || p[1] == "t") {
				t.Unmet(ex, "an integer in the parameter "+p[1]+" of RateLimit", "%q", p[2])
				return out, false
			}
			values[p[1]] = n
		}
		if left, has := values["r"]; has && (!found || left < out.left) {
			out.left, out.reset, found = left, values["t"], true
		}
	}
	if !found {
		t.Unmet(ex, "the parameter r in RateLimit", "%q", field)
	}
	return out, found
}
