package scope

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// prefix is the beginning of scopes that name a tool, and anyTool is the scope for all of them.
const (
	prefix  = "mcp:tool:"
	anyTool = prefix + "*"
)

func naming() {
	Practice("RS-SCOPE-TOOL-NAMING", matchesToolNamesExactly)
	Practice("AS-SCOPE-USER-PRIVILEGE", limitsScopesToTheUser)
}

func matchesToolNamesExactly(t *T) {
	a, b := twoNamedTools(t)
	_, used := allowed(t, b)
	door := t.MCP.Without(used, []string{b.Scope}) // the scopes that every request needs
	both := scoped(t, b, Union(door, []string{a.Scope, b.Scope}))
	t.Expect(both.Send(), "%s with %s and %s", b.Name, a.Scope, b.Scope).AsControl(expect.Run())
	if slices.Contains(t.Implies[anyTool], b.Scope) {
		t.Expect(both.Send(scopeClaim(t, list(Union(door, []string{anyTool})))), anyTool+", which is declared to imply %s",
			b.Scope).To(expect.Run())
	}
	name, rows := strings.TrimPrefix(b.Scope, prefix), Cases[TokenEdit]{}
	for _, scope := range []string{prefix, strings.TrimSuffix(prefix, ":"), prefix + name[:1] + "*", "mcp:*", prefix + ".*",
		prefix + "?" + name[1:],
		strings.ToUpper(b.Scope), b.Scope + ":extra", "x" + b.Scope, a.Scope + "," + b.Scope, a.Scope} {
		if !t.MCP.Includes(scope, b.Scope) {
			rows = rows.And(b.Name+" with the scope "+scope, scopeClaim(t, list(Union(door, []string{scope}))))
		}
	}
	Refuses(t, both, rows, expect.NotRun())
}

// twoNamedTools are tools of which each needs one scope, which names it.
func twoNamedTools(t *T) (a, b Tool) {
	named := slices.DeleteFunc(t.MCP.ScopedTools(), func(tool Tool) bool {
		return !strings.HasPrefix(tool.Scope, prefix) || len(tool.Scope) == len(prefix) || len(tool.Scopes()) != 1
	})
	if len(named) < 2 {
		t.NotApplicable("no two tools are declared with scopes of the form %sNAME", prefix)
	}
	return named[0], named[1]
}

// A user who may not do something cannot delegate it (OAuth 2.1 section 1.4.1).
func limitsScopesToTheUser(t *T) {
	rows := Cases[string]{}
	for _, scope := range t.Privileged {
		rows = rows.And(scope, scope)
	}
	Each(t, rows, func(t *T, scope string) {
		first := grantOf(t, Scope(scope))
		t.Expect(first, "the first user").AsControl(haveScope(scope))
		second := grantOf(t, Scope(scope), By(1))
		if second.silent && runsWith(t, scope, first.tokens.Access) == "" {
			t.Inconclusive("nothing shows the scopes of a token: the response names none. Declare a tool that needs %s", scope)
		}
		t.Expect(second, "the second user's token").To(lackScope(t, scope))
	})
}

// haveScope expects a flow to end with a token that has a scope.
var haveScope = expect.Family("haveScope", func(scope string) expect.Matcher {
	return expect.Serving("a token with "+scope, func(g *grant) string {
		if slices.Contains(g.held, scope) {
			return ""
		}
		return "does not get the scope " + scope + " either"
	})
})

// runsWith returns the name of a tool that runs and needs a scope.
func runsWith(t *T, scope, token string) string {
	for _, tool := range t.MCP.ScopedTools() {
		if slices.Contains(tool.Scopes(), scope) && expect.Ran(t.MCP.CallTool(token, tool)) {
			return tool.Name
		}
	}
	return ""
}
