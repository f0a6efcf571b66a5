package ratelimit

import (
	"fmt"
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

// announced registers the checks on what a server says about its limits (draft-ietf-httpapi-ratelimit-headers).
func announced() { May("RS-RATE-HEADERS", announcesQuotas) }

func announcesQuotas(t *T) {
	call := t.MCP.Call().With(mcp.Bearer(t.MCP.FirstToken()))
	var seen []remaining
	for range 5 {
		ex := t.Send(call)
		if !t.MCP.Served(ex) {
			t.Inconclusive("this proves nothing: the valid token is answered with %s", expect.Describe(ex))
		}
		left, ok := announcement(t, ex)
		if !ok {
			return
		}
		seen = append(seen, left)
	}
	for i, now := range seen[1:] {
		if !t.Expect(now).To(notBeNegative) || !t.Expect(now).To(notGrowFrom(seen[i])) {
			return
		}
	}
}

// remaining is what an answer says about the remaining quota, and the seconds until the quota is full again.
type remaining struct {
	left, reset int
	seen        *reports.Exchange
}

// Evidence is the answer.
func (r remaining) Evidence() *reports.Exchange { return r.seen }

var notBeNegative = expect.That("a remaining quota of zero or more", func(r remaining) string {
	if r.left < 0 {
		return fmt.Sprint(r.left)
	}
	return ""
})

func notGrowFrom(before remaining) expect.Matcher {
	return expect.That("a remaining quota that does not grow within a window", func(now remaining) string {
		if now.left > before.left && now.reset <= before.reset {
			return fmt.Sprintf("the remaining quota is %d, and was %d before", now.left, before.left)
		}
		return ""
	})
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
			if !t.Expect(err == nil).SeenIn(ex).To(parse("a number in "+name, v)) {
				return out, false
			}
			_, kind, _ := strings.Cut(strings.TrimPrefix(name, "X-"), "-")
			present[kind] = n
		}
	}
	if len(present) == 0 {
		t.NotApplicable("no answer announces a limit")
	}
	t.Expect(ex).Ideally(haveCurrentFields)
	left, told := present["Remaining"]
	out.left, out.reset = left, present["Reset"]
	return out, told
}

// parse expects that mcpauth could read a text.
var parse = expect.Family("parse", func(expected, text string) expect.Matcher {
	return expect.That(expected, func(read bool) string {
		if read {
			return ""
		}
		return fmt.Sprintf("%q", text)
	})
})

var haveCurrentFields = expect.That("the fields RateLimit and RateLimit-Policy", func(ex *reports.Exchange) string {
	if expect.Header(ex, "RateLimit") == "" {
		return "older ones"
	}
	return ""
})

var (
	item      = regexp.MustCompile(`^(?:"[^"]*"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/-]*)((?:;[a-z*][a-z0-9_.*-]*(?:=[^;]+)?)*)$`)
	older     = regexp.MustCompile(`^limit=\d+, *remaining=(-?\d+), *reset=(\d+)$`)
	parameter = regexp.MustCompile(`;([a-z*][a-z0-9_.*-]*)=([^;]+)`)
)

// structured reads the field RateLimit: the policy with the least left, by its parameters r and t.
func structured(t *T, ex *reports.Exchange, field string) (out remaining, ok bool) {
	out = remaining{left: -1, seen: ex}
	m := older.FindStringSubmatch(field)
	t.Expect(field).SeenIn(ex).Ideally(notBeOlder)
	if m != nil {
		out.left, _ = strconv.Atoi(m[1]) // only digits match
		out.reset, _ = strconv.Atoi(m[2])
		return out, true
	}
	for _, entry := range strings.Split(field, ",") {
		values, read := parameters(t, ex, field, entry)
		if !read {
			return out, false
		}
		if left, has := values["r"]; has && (!ok || left < out.left) {
			out.left, out.reset, ok = left, values["t"], true
		}
	}
	return out, t.Expect(ok).SeenIn(ex).To(parse("the parameter r in RateLimit", field))
}

// parameters reads one policy of the field RateLimit; read is false where it cannot be read.
func parameters(t *T, ex *reports.Exchange, field, entry string) (values map[string]int, read bool) {
	m := item.FindStringSubmatch(strings.TrimSpace(entry))
	if !t.Expect(m).SeenIn(ex).To(matchAnItem(field)) {
		return nil, false
	}
	values = map[string]int{}
	for _, p := range parameter.FindAllStringSubmatch(m[1], -1) {
		n, err := strconv.Atoi(p[2])
		if p[1] != "r" && p[1] != "t" {
			continue
		}
		if !t.Expect(err == nil).SeenIn(ex).To(parse("an integer in the parameter "+p[1]+" of RateLimit", p[2])) {
			return nil, false
		}
		values[p[1]] = n
	}
	return values, true
}

var notBeOlder = expect.That("RateLimit in the form of the current draft", func(field string) string {
	if older.MatchString(field) {
		return fmt.Sprintf("an older form: %q", field)
	}
	return ""
})

var matchAnItem = expect.Family("matchAnItem", func(field string) expect.Matcher {
	return expect.That("RateLimit as a list of items with parameters (RFC 9651)", func(parts []string) string {
		if parts == nil {
			return fmt.Sprintf("%q", field)
		}
		return ""
	})
})
