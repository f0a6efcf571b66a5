package scope

import (
	"fmt"
	"slices"

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
	tools := listed{"tools/list", "tools", "name"}
	all := tools.namesIn(tools.readBy(t, t.MCP.TokenWithScopes(Union(used, t.MCP.OrdinaryScopes())...)))
	eachDenial(t, func(t *T, d *denial) {
		less := tools.readBy(t, d.token)
		if !expect.Accepted(less.First()) || !slices.Contains(all, d.tool.Name) || slices.Contains(tools.namesIn(less), d.tool.Name) {
			t.NotApplicable("no tool that may be called is hidden from a token with less scope")
		}
		tools.mustBeWhole(t, less)
		t.Expect(less.First(), "tools/list with less scope").AsControl(expect.Accept())
		t.Expect(d, "not listed for this token").To(expect.NotRun())
	})
}

// What appears meanwhile, or disappears, does so once: other checks call tools, and what they make may be listed.
func listsForTheCaller(t *T) {
	all := callers(t)
	for _, l := range listsFor(t, all) {
		seen := looks(t, all, l)
		if !slices.ContainsFunc(seen, func(k look) bool { return !slices.Equal(k.names, first(seen, k.who).names) }) {
			continue
		}
		if r := returned(append(seen, looks(t, all, l)...)); r != nil {
			t.Expect(r, "%s", l.method).To(dependOnTheCaller)
		}
	}
}

// listed is a kind of list: its method, the member with its entries, and the member that names an entry.
type listed struct{ method, entries, name string }

// listsFor are the lists that all callers may get. The list of tools is the one that has to be there.
func listsFor(t *T, callers Cases[string]) []listed {
	out := []listed{{"tools/list", "tools", "name"}}
	for _, l := range []listed{{"resources/list", "resources", "uri"}, {"prompts/list", "prompts", "name"}} {
		served := 0
		for _, who := range callers {
			ex := t.MCP.CallMethod(who.Value, l.method)
			if why := expect.NoAnswer(ex); why != "" {
				t.Leave(l.method+" with "+who.Name, why)
			} else if expect.Accepted(ex) {
				served++
			}
		}
		if served == len(callers) {
			out = append(out, l)
		}
	}
	return out
}

// look is the list that a caller was shown.
type look struct {
	who   string
	names []string
	shown *reports.Exchange
}

// Evidence is the list.
func (k *look) Evidence() *reports.Exchange { return k.shown }

// first is the first look of a caller.
func first(seen []look, who string) look {
	return seen[slices.IndexFunc(seen, func(k look) bool { return k.who == who })]
}

// returned is the first list without an entry that the same caller saw before, and sees again later.
func returned(seen []look) *look {
	for i, k := range seen {
		mine := func(others []look) (names []string) {
			for _, o := range others {
				if o.who == k.who {
					names = append(names, o.names...)
				}
			}
			return names
		}
		before, later := mine(seen[:i]), mine(seen[i+1:])
		for _, name := range before {
			if slices.Contains(later, name) && !slices.Contains(k.names, name) {
				return &look{k.who, []string{name}, k.shown}
			}
		}
	}
	return nil
}

var dependOnTheCaller = expect.That("a list that depends on the credential only", func(k *look) string {
	return fmt.Sprintf("with %s, no %s, which is in an earlier and in a later list for the same token", k.who, k.names[0])
})

// callers are tokens to which different lists may be shown.
func callers(t *T) Cases[string] {
	_, used := runnable(t)
	out := Cases[string]{{"all scopes", t.MCP.TokenWithScopes(Union(used, t.MCP.OrdinaryScopes())...)}}
	if less := lessScope(t); less != "" {
		out = out.And("less scope", less)
	}
	return out.And("the second user", t.MCP.SecondToken())
}

// lessScope is a token that lacks a scope, and may list tools; empty where the target requires all scopes for every request.
func lessScope(t *T) string {
	var last *reports.Exchange
	for _, d := range denials(t) {
		token, _ := t.MCP.TokenWithout(d.Value.lacking...)
		if last = t.MCP.CallMethod(token, "tools/list"); expect.Accepted(last) {
			return token
		}
	}
	if expect.Status(last) != 403 {
		t.Inconclusive("no token that lacks a scope may list tools: %s", expect.Describe(last))
	}
	return ""
}

// looks requests the list with each credential several times, in changing order.
func looks(t *T, callers Cases[string], l listed) (seen []look) {
	for _, i := range []int{0, 1, 0, 2, 1, 1, 2, 2, 0, 0} {
		who := callers[i%len(callers)]
		list := l.readBy(t, who.Value)
		t.Expect(list.First(), "%s with %s", l.method, who.Name).AsControl(expect.Accept())
		l.mustBeWhole(t, list)
		seen = append(seen, look{who.Name, l.namesIn(list), list.First()})
	}
	return seen
}

func marksListsPrivate(t *T) {
	all, differ := callers(t), false
	for _, l := range listsFor(t, all) {
		seen := differing(t, all, l)
		differ = differ || len(seen) > 0
		for _, ex := range seen {
			if scope := mcp.Read(ex).Result.String("cacheScope"); scope == "" {
				t.Note("%s names no cacheScope", l.method)
			} else {
				t.Expect(scope, "%s", l.method).SeenIn(ex).To(bePrivate)
			}
		}
	}
	if !differ {
		t.NotApplicable("the tested callers are shown the same lists, which says nothing about others")
	}
}

// differing are the lists of the callers; none if all are equal.
func differing(t *T, callers Cases[string], l listed) (seen []*reports.Exchange) {
	differ, first := false, mcp.List{}
	for i, who := range callers {
		list := l.readBy(t, who.Value)
		t.Expect(list.First(), "%s with %s", l.method, who.Name).AsControl(expect.Accept())
		if i == 0 {
			first = list
		}
		seen = append(seen, list.First())
		differ = differ || !slices.Equal(l.namesIn(list), l.namesIn(first))
	}
	if !differ {
		return nil
	}
	return seen
}

var bePrivate = expect.That(`cacheScope "private" on a list that depends on the caller`, func(scope string) string {
	if scope == "private" {
		return ""
	}
	return fmt.Sprintf("%q", scope)
})

// readBy requests all pages of the list with a token.
func (l listed) readBy(t *T, token string) mcp.List { return t.MCP.List(l.method, mcp.Bearer(token)) }

// mustBeWhole ends the check if what a list lacks may be on a page that was not read.
func (l listed) mustBeWhole(t *T, list mcp.List) {
	if !list.Whole {
		t.Inconclusive("%s has more than %d pages, or its next page fails: %s", l.method, mcp.MostPages, expect.Describe(list.Last()))
	}
}

// namesIn are the names of the entries of a list, sorted.
func (l listed) namesIn(list mcp.List) []string {
	out := []string{}
	for _, entry := range list.Entries(l.entries) {
		out = append(out, entry.String(l.name))
	}
	slices.Sort(out)
	return out
}
