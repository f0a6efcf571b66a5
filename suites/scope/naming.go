package scope

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// prefix is that of scopes that name a tool, and anyTool the one that stands for all of them.
const (
	prefix  = "mcp:tool:"
	anyTool = prefix + "*"
)

func naming() {
	Practice("RS-SCOPE-TOOL-NAMING", func(t *T) {
		var named []Tool
		for _, tool := range t.MCP.ScopedTools() {
			if strings.HasPrefix(tool.Scope, prefix) {
				named = append(named, tool)
			}
		}
		if len(named) < 2 {
			t.NotApplicable("no two tools are declared with scopes of the form %sNAME", prefix)
		}
		a, b := named[0], named[1]
		if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(a.Scope), a); !expect.Ran(ex) {
			t.Inconclusive("the control failed: %s with the scope %s is answered with %s", a.Name, a.Scope, expect.Describe(ex))
		}
		t.Controlled()
		if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(a.Scope, b.Scope), b); !expect.Ran(ex) {
			t.Finding(ex, "both scopes", "either tool to run", expect.Describe(ex))
		}
		if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(anyTool), b); slices.Contains(t.Implies[anyTool], b.Scope) && !expect.Ran(ex) {
			t.Finding(ex, anyTool, "every tool to run, as was declared", expect.Describe(ex))
		}
		name := strings.TrimPrefix(b.Scope, prefix)
		for _, scope := range []string{prefix, strings.TrimSuffix(prefix, ":"), prefix + name[:1] + "*", "mcp:*", prefix + ".*", prefix + "?" + name[1:], strings.ToUpper(b.Scope), b.Scope + ":extra", "x" + b.Scope, a.Scope + "," + b.Scope, a.Scope} {
			ex := t.MCP.CallTool(t.Mint.Token(map[string]any{"scope": scope}), b)
			if !expect.Ran(ex) {
				t.RefusedBy(ex)
			} else if !t.MCP.Includes(scope, b.Scope) {
				t.Finding(ex, "the scope "+scope, "a refusal of "+b.Name+", which takes "+b.Scope, "the tool runs")
			}
		}
	})

	Practice("AS-SCOPE-USER-PRIVILEGE", func(t *T) {
		for _, scope := range t.Privileged {
			_, tokens, has := grantedBy(t, Scope(scope))
			if tokens == nil || !slices.Contains(has, scope) {
				t.Inconclusive("the control failed: the first user does not get the scope %s either", scope)
			}
			t.Controlled()
			g, other, has := grantedBy(t, Scope(scope), By(1))
			switch {
			case other == nil && g.Error() == "" && expect.Status(g.Exchange) >= 500:
				t.RefusedBy(g.Exchange)
			case other == nil, !slices.Contains(has, scope):
				t.Refused()
			default:
				t.Finding(other.Exchange, scope, "no grant by a user who may not delegate it", "the second user's token has it"+effect(t, scope, other.Access))
			}
		}
	})
}

// effect tells whether a tool runs that takes a scope.
func effect(t *T, scope, token string) string {
	for _, tool := range t.MCP.ScopedTools() {
		if tool.Scope == scope && expect.Ran(t.MCP.CallTool(token, tool)) {
			return ", and " + tool.Name + " runs with it"
		}
	}
	return ""
}
