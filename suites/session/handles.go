package session

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// MCP Security Best Practices: a handle is a name, not a credential.
func handles() {
	Must("RS-SESSION-HANDLE-OWNERSHIP", func(t *T) {
		makes, takes, _ := t.MCP.HandleTools()
		owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
		var made []string
		for range 5 {
			made = append(made, handle(t, makes, owner, made))
		}
		mine := takes.Holding(made[0])
		ex := t.MCP.CallTool(owner, mine)
		if !expect.Ran(ex) {
			t.Inconclusive("the control failed: %s with a handle of %s is answered with %s", takes.Name, makes.Name, expect.Describe(ex))
		}
		t.Controlled()
		refused := func(about string, ex *reports.Exchange) {
			if expect.Ran(ex) {
				t.Finding(ex, about, "a refusal", "the tool runs: "+expect.Describe(ex))
				return
			}
			t.RefusedBy(ex)
		}
		refused("the handle of another user", t.MCP.CallTool(stranger, mine))
		refused("a handle with a bad token", t.MCP.CallToolAs(mine, mcp.Bearer("mcpauth-not-a-token")))
		refused("a handle with another ending", t.MCP.CallTool(owner, takes.Holding(made[0]+"x")))
		if weak, slight := expect.Weakness(made); weak != "" && !slight {
			t.Advise(ex, "handles that cannot be guessed", "%s", weak)
		}
	})
}

// handle makes one and finds it in the tool's result: the longest word that no other result holds.
func handle(t *T, makes Tool, token string, before []string) string {
	ex := t.MCP.CallTool(token, makes)
	if !expect.Ran(ex) {
		t.Inconclusive("%s is answered with %s", makes.Name, expect.Describe(ex))
	}
	other := t.MCP.CallTool(token, makes)
	longest := ""
	for _, word := range Words(ex) {
		if len(word) > len(longest) && !slices.Contains(Words(other), word) && !slices.Contains(before, word) {
			longest = word
		}
	}
	if longest == "" {
		t.Inconclusive("the results of %s do not differ, so none holds a handle", makes.Name)
	}
	return t.Hide(longest)
}
