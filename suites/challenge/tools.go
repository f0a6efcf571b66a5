package challenge

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "MCP servers [...] MUST validate access tokens [...]. Invalid or expired tokens MUST receive a HTTP 401 response."
func runsNoExistingTool(t *T) {
	tools, open := guardedTools(t), []string{}
	inSession, ofAnybody := t.MCP.CallInSession(), t.MCP.CallOfAnybody()
	credentials := Cases[[]reports.Field]{{"no token", nil}}
	for _, bad := range t.Mint.BadTokens() {
		credentials = credentials.And(bad.Name, []reports.Field{mcp.Bearer(bad.Value)})
	}
	Each(t, credentials, func(t *T, with []reports.Field) {
		var calls []Variant
		call := inSession
		if with == nil {
			call = ofAnybody
		}
		for _, tool := range tools {
			calls = append(calls, Call(call.Method("tools/call", tool.Marked("mcpauth").Params()).With(with...), "%s", tool.Name))
		}
		for i, ex := range t.All(calls) {
			judgeTool(t, ex, calls[i].About)
			if with == nil && expect.Ran(ex) {
				open = append(open, tools[i].Name)
			}
		}
	})
	t.MCP.AnyoneCan("call", open)
	t.MCP.Control()
}

// guardedTools are existing tools without those that are declared to be for everybody.
func guardedTools(t *T) []Tool {
	tools := t.MCP.ExistingTools()
	if !t.DeclaredPublic("tools/call") {
		return tools
	}
	var scoped []Tool
	for _, tool := range tools {
		if len(tool.Scopes()) > 0 {
			scoped = append(scoped, tool)
		}
	}
	if len(scoped) == 0 {
		t.NotApplicable("the owner declares that anybody may call tools (target.public in the target file), and no tool needs a scope")
	}
	return scoped
}

// judgeTool judges the answer to a call that must not run. Which status a refusal has to have, other checks say.
func judgeTool(t *T, ex *reports.Exchange, tool string) {
	switch {
	case expect.Ran(ex):
		t.Expect(ex, "%s", tool).To(refuseToRun())
	case expect.Status(ex) == 401, expect.Status(ex) == 403, t.MCP.RefusedInside(ex):
		t.Expect(ex, "%s", tool).To(expect.NotBypass())
	default:
		t.Leave(tool, t.MCP.Because(ex, "it is answered with "+expect.Describe(ex)+", which neither runs nor refuses it"))
	}
}

var refuseToRun = expect.Family("refuseToRun", func() expect.Matcher {
	return expect.That("the call to be refused before the tool runs", func(ex *reports.Exchange) string {
		return "the tool runs: " + expect.Describe(ex)
	})
})
