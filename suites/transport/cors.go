package transport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// browserOrigins are the origins that the user declared, or that of the MCP Inspector.
func browserOrigins(t *T) []string {
	if len(t.Origins) > 0 {
		return t.Origins
	}
	return []string{"http://localhost:6274"}
}

// mirrored are the header fields that a browser client of the protocol sends.
func mirrored(t *T) []string {
	if t.Wire == mcp.Stateless {
		return []string{"mcp-protocol-version", "mcp-method", "mcp-name"}
	}
	return []string{"mcp-protocol-version", "mcp-session-id"}
}

// preflight is what a browser asks before it sends a call (Fetch, CORS-preflight fetch). It never has a token.
func preflight(t *T, origin string) *reports.Exchange {
	return t.Do(wire.Request{Method: "OPTIONS", URL: t.Survey.Endpoint, Header: []reports.Field{
		mcp.Field("Origin", origin), mcp.Field("Access-Control-Request-Method", "POST"),
		mcp.Field("Access-Control-Request-Headers", strings.Join(append([]string{"authorization", "content-type"}, mirrored(t)...), ", ")),
	}})
}

func answersPreflights(t *T) {
	eachOrigin(t, answersPreflightFrom)
}

// eachOrigin judges each browser origin, as a row if there are several.
func eachOrigin(t *T, judge func(t *T, origin string)) {
	all := browserOrigins(t)
	if len(all) == 1 {
		judge(t, all[0])
		return
	}
	var rows Cases[string]
	for _, origin := range all {
		rows = rows.And(origin, origin)
	}
	Each(t, rows, judge)
}

func answersPreflightFrom(t *T, origin string) {
	ex := preflight(t, origin)
	if expect.Header(ex, "Access-Control-Allow-Origin") == "" && len(t.Origins) == 0 && !readableBy(t, origin) {
		t.NotApplicable("the target offers no CORS to %s, and no browser origin was declared with --origin", origin)
	}
	if t.Expect(ex, "a preflight from %s", origin).To(allowOrigin(origin)) {
		t.Expect(ex, "a preflight from %s", origin).To(allowFields("Authorization by its name; * does not cover it", func(allowed []string) bool {
			return slices.Contains(allowed, "authorization")
		}))
		t.Expect(ex, "a preflight from %s", origin).Ideally(allowFields(strings.Join(mirrored(t), ", "), func(allowed []string) bool {
			return slices.Contains(allowed, "*") || !slices.ContainsFunc(mirrored(t), func(f string) bool { return !slices.Contains(allowed, f) })
		}))
	}
}

// readableBy reports whether the endpoint lets pages of an origin read its answers: no page gets one without a preflight.
func readableBy(t *T, origin string) bool {
	allowed := expect.Header(t.Send(t.MCP.Call().With(mcp.Field("Origin", origin))), "Access-Control-Allow-Origin")
	return allowed == "*" || allowed == origin
}

var allowOrigin = expect.Family("allowOrigin", func(origin string) expect.Matcher {
	return expect.That("a 2xx status that allows the origin, without credentials", func(ex *reports.Exchange) string {
		s, allowed := expect.Status(ex), expect.Header(ex, "Access-Control-Allow-Origin")
		if s >= 200 && s <= 299 && (allowed == "*" || allowed == origin) {
			return ""
		}
		if allowed == "" {
			return expect.Describe(ex) + ", without Access-Control-Allow-Origin"
		}
		return fmt.Sprintf("%s, Access-Control-Allow-Origin %q", expect.Describe(ex), allowed)
	})
})

func allowFields(expected string, all func(allowed []string) bool) expect.Matcher {
	return expect.That("Access-Control-Allow-Headers with "+expected, func(ex *reports.Exchange) string {
		if allowed := listed(ex, "Access-Control-Allow-Headers"); !all(allowed) {
			return fmt.Sprintf("%q", strings.Join(allowed, ", "))
		}
		return ""
	})
}

// listed are the members of a field that is a list, in lower case.
func listed(ex *reports.Exchange, field string) []string {
	var out []string
	for _, v := range strings.Split(strings.ToLower(strings.Join(expect.HeaderValues(ex, field), ",")), ",") {
		out = append(out, strings.TrimSpace(v))
	}
	return out
}

// "Access-Control-Expose-Headers: Indicates which headers can be exposed as part of the response" (Fetch, HTTP CORS protocol)
func exposesChallenge(t *T) {
	eachOrigin(t, exposesChallengeTo)
}

func exposesChallengeTo(t *T, origin string) {
	ex := t.Send(t.MCP.Call().With(mcp.Field("Origin", origin)))
	if expect.NoAnswer(ex) == "" && expect.Status(ex) != 401 {
		t.NotApplicable("the request from %s is answered with %s, not 401", origin, expect.Describe(ex))
	}
	if expect.Header(ex, "Access-Control-Allow-Origin") == "" && len(t.Origins) == 0 && !corsElsewhere(t, origin) {
		t.NotApplicable("the target offers no CORS, and no browser origin was declared with --origin")
	}
	t.Expect(ex, "a request from a page of %s, without a token", origin).To(showTheChallenge)
}

var showTheChallenge = expect.That("the CORS fields on the 401, and WWW-Authenticate in Access-Control-Expose-Headers",
	func(ex *reports.Exchange) string {
		exposed := listed(ex, "Access-Control-Expose-Headers")
		switch {
		case expect.Header(ex, "Access-Control-Allow-Origin") == "":
			return "no Access-Control-Allow-Origin, so browser code cannot see the challenge"
		case len(exposed) == 0:
			return "no Access-Control-Expose-Headers, so browser code cannot see the challenge"
		case !slices.Contains(exposed, "www-authenticate") && !slices.Contains(exposed, "*"):
			return fmt.Sprintf("Access-Control-Expose-Headers %q, so browser code cannot see the challenge", strings.Join(exposed, ", "))
		}
		return ""
	})

// corsElsewhere reports that the target offers CORS on its metadata or its preflight.
func corsElsewhere(t *T, origin string) bool {
	if expect.Header(preflight(t, origin), "Access-Control-Allow-Origin") != "" {
		return true
	}
	d := t.Survey.Resource()
	return d != nil && expect.Header(d.Exchange, "Access-Control-Allow-Origin") != ""
}
