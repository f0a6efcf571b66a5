package scope

import (
	"maps"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func ownership() {
	Must("RS-SCOPE-OBJECT-OWNERSHIP", func(t *T) {
		owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
		me := identityOf(t, owner)
		for _, tool := range t.Tools {
			if tool.Private == "" {
				continue
			}
			if ex := t.MCP.CallTool(owner, tool); !strings.Contains(Text(ex), tool.Private) {
				t.Inconclusive("the control failed: %s does not show the first user what only this one may see: %s", tool.Name, expect.Describe(ex))
			}
			t.Controlled()
			for about, ex := range Sorted(disguised(t, stranger, tool, me)) {
				switch {
				case strings.Contains(Text(ex), tool.Private):
					t.Finding(ex, tool.Name+", "+about, "nothing of the first user's for the second", "it is shown")
				case expect.Crashed(ex):
					t.Advise(ex, "an answer below 500", "%s, %s: %s", tool.Name, about, expect.Describe(ex))
				default:
					t.Refused()
				}
			}
		}
	})
}

// identityOf is what the target calls the bearer of a token; where no tool tells, the user's name is guessed.
func identityOf(t *T, token string) string {
	if tool, ok := t.MCP.WhoAmI(); ok {
		if ex := t.MCP.CallTool(token, tool); expect.Ran(ex) {
			return strings.TrimSpace(Text(ex))
		}
	}
	return "alice"
}

// disguised calls a tool with a token and, beside it, somebody else's name wherever a server might believe it.
func disguised(t *T, token string, tool Tool, name string) map[string]*reports.Exchange {
	out := map[string]*reports.Exchange{"as itself": t.MCP.CallTool(token, tool)}
	for _, field := range []string{"X-User-Id", "X-Forwarded-User", "X-Auth-Request-Email", "X-Auth-Request-User", "X-Remote-User", "Remote-User"} {
		out["with "+field] = t.MCP.CallToolAs(tool, mcp.Bearer(token), mcp.Field(field, name))
	}
	for _, member := range []string{"user_id", "owner", "email", "account"} {
		claimed := tool
		claimed.Arguments = maps.Clone(tool.Arguments)
		if claimed.Arguments == nil {
			claimed.Arguments = map[string]any{}
		}
		if _, own := claimed.Arguments[member]; own {
			continue // the call says it by itself
		}
		claimed.Arguments[member] = name
		out["with the argument "+member] = t.MCP.CallTool(token, claimed)
	}
	return out
}
