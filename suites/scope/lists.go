package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func lists() {
	Must("RS-SCOPE-HIDDEN-NOT-CALLABLE", guardsHiddenTools)
	Must("RS-SCOPE-LIST-PER-CALLER", listsForTheCaller)
	Should("RS-SCOPE-CACHESCOPE", marksListsPrivate)
}

func guardsHiddenTools(t *T) {
	_, used := runnable(t)
	all := names(t.MCP.CallMethod(t.MCP.TokenWithScopes(Union(used, t.MCP.OrdinaryScopes())...), "tools/list"))
	eachDenial(t, func(t *T, d *denial) {
		less := t.MCP.CallMethod(d.token, "tools/list")
		if !expect.Accepted(less) || !slices.Contains(all, d.tool.Name) || slices.Contains(names(less), d.tool.Name) {
			t.NotApplicable("no tool that may be called is hidden from a token with less scope")
		}
		t.Expect(less, "tools/list with less scope").AsControl(expect.Accept())
		t.Expect(d, "not listed for this token").To(expect.NotRun())
	})
}

// New tools may appear for all callers during the check: then nothing changes the second time.
func listsForTheCaller(t *T) {
	all := callers(t)
	if restless(t, all) == nil {
		return
	}
	if change := restless(t, all); change != nil {
		t.Expect(change).To(dependOnTheCaller)
	}
}

// change is a list that differs from the earlier list of the same credential.
type change struct {
	about, before, now string
	shown              *reports.Exchange
}

// Evidence is the later list.
func (c *change) Evidence() *reports.Exchange { return c.shown }

var dependOnTheCaller = expect.That("a list that depends on the credential only", func(c *change) string {
	return fmt.Sprintf("with %s, %s; and %s before, with the same token", c.about, c.now, c.before)
})

// callers are tokens to which different lists may be shown.
func callers(t *T) Cases[string] {
	_, used := runnable(t)
	return Cases[string]{
		{"all scopes", t.MCP.TokenWithScopes(Union(used, t.MCP.OrdinaryScopes())...)},
		{"less scope", lessScope(t)},
		{"the second user", t.MCP.SecondToken()},
	}
}

// lessScope is a token that lacks a scope, and may list tools.
func lessScope(t *T) string {
	var last *reports.Exchange
	for _, d := range denials(t) {
		token, _ := t.MCP.TokenWithout(d.Value.lacking...)
		if last = t.MCP.CallMethod(token, "tools/list"); expect.Accepted(last) {
			return token
		}
	}
	t.Inconclusive("no token that lacks a scope may list tools: %s", expect.Describe(last))
	return ""
}

// restless requests the list with each credential several times, in changing order, and returns the first list that changed.
func restless(t *T, callers Cases[string]) *change {
	first := map[string]string{}
	for _, i := range []int{0, 1, 0, 2, 1, 1, 2, 2, 0, 0} {
		who := callers[i]
		ex := t.MCP.CallMethod(who.Value, "tools/list")
		t.Expect(ex, "tools/list with %s", who.Name).AsControl(expect.Accept())
		now := strings.Join(names(ex), ", ")
		if before, known := first[who.Name]; known && before != now {
			return &change{who.Name, before, now, ex}
		}
		first[who.Name] = now
	}
	return nil
}

func marksListsPrivate(t *T) {
	var seen []*reports.Exchange
	differ := false
	for _, who := range callers(t) {
		ex := t.MCP.CallMethod(who.Value, "tools/list")
		t.Expect(ex, "tools/list with %s", who.Name).AsControl(expect.Accept())
		seen = append(seen, ex)
		differ = differ || !slices.Equal(names(ex), names(seen[0]))
	}
	if !differ {
		t.NotApplicable("the tested callers are shown the same list, which says nothing about others")
	}
	for _, ex := range seen {
		if scope := mcp.Read(ex).Result.String("cacheScope"); scope == "" {
			t.Note("a list names no cacheScope")
		} else {
			t.Expect(scope).SeenIn(ex).To(bePrivate)
		}
	}
}

var bePrivate = expect.That(`cacheScope "private" on a list that depends on the caller`, func(scope string) string {
	if scope == "private" {
		return ""
	}
	return fmt.Sprintf("%q", scope)
})

// names are the names of the tools in a list, sorted.
func names(ex *reports.Exchange) []string {
	out := []string{}
	for _, tool := range mcp.Read(ex).Objects("tools") {
		out = append(out, tool.String("name"))
	}
	slices.Sort(out)
	return out
}
