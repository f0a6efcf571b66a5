package challenge

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "MCP servers [...] MUST validate access tokens [...]. Invalid or expired tokens MUST receive a HTTP 401 response."
func runsNoExistingTool(t *T) {
	tools, open, marks := guardedTools(t), []string{}, Cases[string]{}
	inSession, ofAnybody := t.MCP.CallInSession(), t.MCP.CallOfAnybody()
	Each(t, noneOrBad(t), func(t *T, with []reports.Field) {
		var calls []Variant
		call, mark := inSession, Random(16)
		if with == nil {
			call = ofAnybody
		}
		marks = marks.And(RowOf(t), mark)
		for _, tool := range tools {
			calls = append(calls, Call(call.Method("tools/call", tool.Marked(mark).Params()).With(with...), "%s", tool.Name))
		}
		for i, ex := range t.All(calls) {
			judgeTool(t, ex, calls[i].About)
			if with == nil && expect.Ran(ex) {
				open = append(open, tools[i].Name)
			}
		}
	})
	if len(open) == 0 {
		open = runOtherwise(t, tools, marks[0].Value)
	}
	t.MCP.AnyoneCan("call", open)
	hadNoEffect(t, marks)
	t.MCP.Control()
}

// runOtherwise are the tools that run without a token in one of many requests at once, or in another form.
func runOtherwise(t *T, tools []Tool, mark string) []string {
	if open := runAtOnce(t, tools); len(open) > 0 {
		return open
	}
	return runInAnotherForm(t, t.MCP.CallOfAnybody().Method("tools/call", tools[0].Marked(mark).Params()), tools[0].Name)
}

// runAtOnce finds a guard of tools that lets one of many requests through: it fails when many tokens are looked up at once.
func runAtOnce(t *T, tools []Tool) (open []string) {
	if t.Seeded() { // requests are sent one after another, so none overlap
		return nil
	}
	Each(t, Cases[[]reports.Field]{
		{"no token, 24 at once", nil},
		{"a garbage token, 24 at once", []reports.Field{mcp.Bearer(t.Hide(Random(32)))}},
	}, func(t *T, with []reports.Field) {
		calls := toolsAtOnce(t, tools, with)
		for i, ex := range amongServed(t, calls) {
			if expect.Ran(ex) && ofTool(ex) {
				t.Expect(ex, "%s", calls[i].About).To(refuseToRun())
				open = append(open, calls[i].About)
			}
		}
	})
	slices.Sort(open)
	return slices.Compact(open)
}

// toolsAtOnce are calls of the tools in turn.
func toolsAtOnce(t *T, tools []Tool, with []reports.Field) (calls []Variant) {
	call := t.MCP.CallInSession()
	if with == nil {
		call = t.MCP.CallOfAnybody()
	}
	for i := range manyAtOnce {
		tool := tools[i%len(tools)]
		calls = append(calls, Call(call.Method("tools/call", tool.Params()).With(with...), "%s", tool.Name))
	}
	return calls
}

// runInAnotherForm calls a tool in forms that a guard of tools may miss. If no tool runs, the reason is unknown.
func runInAnotherForm(t *T, call mcp.Call, tool string) (open []string) {
	variants := slices.Concat(otherFields(t, call), otherSpellingsOf(t, call), otherFraming(t, call))
	for i, ex := range t.All(variants) {
		if expect.Ran(ex) && ofTool(ex) {
			t.Expect(ex, "no token, %s, with %s", tool, variants[i].About).To(refuseToRun())
			open = []string{tool}
		}
	}
	return open
}

// ofTool reports that a result is that of a tool, and not that of another method that the same body names.
func ofTool(ex *reports.Exchange) bool {
	_, content := mcp.Read(ex).Result.Get("content")
	_, structured := mcp.Read(ex).Result.Get("structuredContent")
	return content || structured
}

// noneOrBad are a request without a credential, and requests with credentials that no server may accept.
func noneOrBad(t *T) Cases[[]reports.Field] {
	credentials := Cases[[]reports.Field]{{"no token", nil}}
	for _, bad := range t.Mint.BadTokens() {
		credentials = credentials.And(bad.Name, []reports.Field{mcp.Bearer(bad.Value)})
	}
	for _, bad := range t.MCP.BadKeys() {
		credentials = credentials.And(bad.Name, []reports.Field{bad.Value})
	}
	return credentials
}

// hadNoEffect calls the tool that shows effects, and looks there for the texts of refused calls. RS-SCOPE-NOT-EXECUTED judges a tool
// whose scope the token lacks.
func hadNoEffect(t *T, marks Cases[string]) {
	tool, shows, ok := toolWithEffect(t)
	if !ok {
		Untried(t, "whether a refused call has an effect", "a tool that shows the effect of another one (tools in the target file, effect)")
	}
	if !ok || !t.MCP.HasToken() || FoundAny(t) {
		return
	}
	token, control := t.MCP.Token(), Random(16)
	before := t.MCP.CallTool(token, shows) // the control may overwrite the effect of a refused call
	ran := expect.Ran(t.MCP.CallTool(token, tool.Marked(control)))
	if len(tool.Scopes())+len(shows.Scopes()) > 0 && !(ran && expect.Ran(before)) {
		return // the token may lack a scope
	}
	for wait := 10 * time.Millisecond; wait < 3*time.Second; wait *= 2 {
		ex := t.MCP.CallTool(token, shows)
		if !strings.Contains(Text(ex), control) {
			t.Sleep(wait)
			continue
		}
		expectNoMark(t, marks, Text(before)+"\n"+Text(ex), ex, tool, shows)
		return
	}
	t.Leave("the effect of refused calls", shows.Name+" does not show what "+tool.Name+" did with the valid token")
}

// toolWithEffect is a tool that needs only a token; if there is none, one that needs a scope.
func toolWithEffect(t *T) (tool, shows Tool, ok bool) {
	if tool, shows, ok = t.MCP.UnscopedEffect(); ok {
		return tool, shows, ok
	}
	return t.MCP.EffectiveTool()
}

// expectNoMark looks for the texts of refused calls in what a tool shows.
func expectNoMark(t *T, marks Cases[string], shown string, ex *reports.Exchange, tool, shows Tool) {
	for _, m := range marks {
		t.Expect(shown, "%s", m.Name).SeenIn(ex).To(expect.Refusing("a refused call without any effect", func(text string) string {
			if strings.Contains(text, m.Value) {
				return shows.Name + " shows that " + tool.Name + " has run"
			}
			return ""
		}))
	}
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

// judgeTool judges the answer to a call that must not run. Other checks judge the status of the refusal.
func judgeTool(t *T, ex *reports.Exchange, tool string) {
	switch {
	case expect.Ran(ex):
		t.Expect(ex, "%s", tool).To(refuseToRun())
	case expect.Status(ex) == 401, expect.Status(ex) == 403, t.MCP.RefusedInside(ex):
		t.Expect(ex, "%s", tool).To(expect.NotBypass())
	default:
		t.Leave(tool, Because(t, ex, "it is answered with "+expect.Describe(ex)+", which neither runs nor refuses it"))
	}
}

var refuseToRun = expect.Family("refuseToRun", func() expect.Matcher {
	return expect.That("a refusal before the tool runs", func(ex *reports.Exchange) string {
		return "the tool runs: " + expect.Describe(ex)
	})
})
