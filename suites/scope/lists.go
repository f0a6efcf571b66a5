package scope

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func lists() {
	Must("RS-SCOPE-HIDDEN-NOT-CALLABLE", func(t *T) {
		broad, lacking := t.MCP.TokenWithScopes(t.MCP.OrdinaryScopes()...), t.MCP.TokenWithScopes(narrowest(t)...)
		all, less := t.MCP.CallMethod(broad, "tools/list"), t.MCP.CallMethod(lacking, "tools/list")
		if !expect.Accepted(all) || !expect.Accepted(less) {
			t.NotApplicable("tools are not listed for both tokens (%s; with less scope %s), so none is hidden from one", expect.Describe(all), expect.Describe(less))
		}
		tried := 0
		for _, tool := range t.Tools {
			if tool.DeniedOnly || !slices.Contains(names(all), tool.Name) || slices.Contains(names(less), tool.Name) {
				continue
			}
			if ex := t.MCP.CallTool(broad, tool); !expect.Ran(ex) {
				continue // the answer to a refused call could not be told from it
			}
			tried++
			switch ex := t.MCP.CallTool(lacking, tool); {
			case expect.Ran(ex):
				t.Finding(ex, tool.Name, "a tool that is not listed for a token not to be callable with it", "it runs")
			case expect.Crashed(ex):
				t.Finding(ex, tool.Name, "a refusal", expect.Describe(ex))
			default:
				t.Refused()
			}
		}
		if tried == 0 {
			t.NotApplicable("no tool that may be called is hidden from a token with less scope")
		}
		t.Controlled()
	})

	Must("RS-SCOPE-LIST-PER-CALLER", func(t *T) {
		callers := callers(t)
		var about, before, now string
		var ex *reports.Exchange
		for range 2 { // tools may appear for everybody while we look: then the second time nothing changes
			if about, before, now, ex = restless(t, callers); ex == nil {
				return
			}
		}
		t.Finding(ex, about, "the list to depend on the credential only: "+before, now)
	})

	Should("RS-SCOPE-CACHESCOPE", func(t *T) {
		var seen []*reports.Exchange
		differ := false
		for about, token := range Sorted(callers(t)) {
			ex := t.MCP.CallMethod(token, "tools/list")
			if !expect.Accepted(ex) {
				t.Inconclusive("tools/list with %s is answered with %s", about, expect.Describe(ex))
			}
			seen = append(seen, ex)
			differ = differ || !slices.Equal(names(ex), names(seen[0]))
		}
		if !differ {
			t.NotApplicable("the tested callers are shown the same list, which says nothing about others")
		}
		for _, ex := range seen {
			switch scope := mcp.Read(ex).Result.String("cacheScope"); scope {
			case "private":
			case "":
				t.Note("a list names no cacheScope")
			default:
				t.Unmet(ex, `cacheScope "private" on a list that depends on the caller`, "%q", scope)
			}
		}
	})
}

// callers are tokens to which different lists may be shown.
func callers(t *T) map[string]string {
	return map[string]string{"all scopes": t.MCP.TokenWithScopes(t.MCP.OrdinaryScopes()...), "less scope": t.MCP.TokenWithScopes(narrowest(t)...), "the second user": t.MCP.SecondToken()}
}

// restless asks for the list with one credential after and between the others, and returns the first answer that
// differs from an earlier one to the same credential.
func restless(t *T, callers map[string]string) (about, before, now string, ex *reports.Exchange) {
	first := map[string]string{}
	for _, about := range []string{"all scopes", "less scope", "all scopes", "the second user", "less scope", "less scope", "the second user", "the second user", "all scopes", "all scopes"} {
		ex := t.MCP.CallMethod(callers[about], "tools/list")
		if !expect.Accepted(ex) {
			t.Inconclusive("tools/list with %s is answered with %s", about, expect.Describe(ex))
		}
		now := strings.Join(names(ex), ", ")
		if before, known := first[about]; known && before != now {
			return about, before, now, ex
		}
		first[about] = now
	}
	return "", "", "", nil
}

// narrowest are the scopes of a token that may call little.
func narrowest(t *T) []string {
	_, narrow := t.MCP.NarrowTool()
	return narrow
}

// names are the names of the tools in a list, sorted.
func names(ex *reports.Exchange) []string {
	out := []string{}
	for _, tool := range mcp.Read(ex).Objects("tools") {
		out = append(out, tool.String("name"))
	}
	slices.Sort(out)
	return out
}
