package scope

import (
	"maps"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func ownership() { Must("RS-SCOPE-OBJECT-OWNERSHIP", identifiesUserByToken) }

func identifiesUserByToken(t *T) {
	owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
	me := identityOf(t, owner)
	rows := Cases[Tool]{}
	for _, tool := range t.Tools {
		if tool.Private != "" {
			rows = rows.And(tool.Name, tool)
		}
	}
	Each(t, rows, func(t *T, tool Tool) {
		shows := func(ex *reports.Exchange) bool { return strings.Contains(Text(ex), tool.Private) }
		t.Expect(t.MCP.CallTool(owner, tool), "%s for the first user", tool.Name).AsControl(show(shows))
		Each(t, disguises(t, stranger, tool, me), func(t *T, send func() *reports.Exchange) { t.Expect(send()).To(hide(shows)) })
	})
}

// show expects an answer to show the first user what other users may not see.
func show(shows func(*reports.Exchange) bool) expect.Matcher {
	return expect.Serving("what only the first user may see", func(ex *reports.Exchange) string {
		if shows(ex) {
			return ""
		}
		return expect.Describe(ex) + ", without what only the first user may see"
	})
}

// hide expects an answer to show nothing of the first user. An error about an unknown argument counts as such an answer.
func hide(shows func(*reports.Exchange) bool) expect.Matcher {
	return expect.Refusing("nothing of the first user's for the second", func(ex *reports.Exchange) string {
		if shows(ex) {
			return "the answer shows the first user's object"
		}
		return ""
	})
}

// identityOf is the target's name for the bearer of a token; if no tool returns it, it is the user's name.
func identityOf(t *T, token string) string {
	if tool, ok := t.MCP.WhoAmI(); ok {
		if ex := t.MCP.CallTool(token, tool); expect.Ran(ex) {
			return strings.TrimSpace(Text(ex))
		}
	}
	if t.Session != nil && len(t.Users) > 0 {
		return t.Users[0].Name
	}
	return "alice"
}

// disguises call a tool with a token and another user's name in every place that a server might read.
func disguises(t *T, token string, tool Tool, name string) Cases[func() *reports.Exchange] {
	out := Cases[func() *reports.Exchange]{{"as itself", func() *reports.Exchange { return t.MCP.CallTool(token, tool) }}}
	for _, field := range []string{"X-User-Id", "X-Forwarded-User", "X-Auth-Request-Email", "X-Auth-Request-User", "X-Remote-User",
		"Remote-User"} {
		out = out.And("with "+field, func() *reports.Exchange { return t.MCP.CallToolAs(tool, mcp.Bearer(token), mcp.Field(field, name)) })
	}
	for _, member := range []string{"user_id", "owner", "email", "account"} {
		if _, own := tool.Arguments[member]; own {
			continue // the call contains it already
		}
		claimed := tool
		claimed.Arguments = map[string]any{member: name}
		maps.Copy(claimed.Arguments, tool.Arguments)
		out = out.And("with the argument "+member, func() *reports.Exchange { return t.MCP.CallTool(token, claimed) })
	}
	return out
}
