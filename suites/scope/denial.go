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

// denial is a call of a tool with a token that lacks one of the scopes that the tool needs.
type denial struct {
	tool    Tool
	lacking []string // one scope, or all alternatives of any_of
	token   string
	held    []string
	answer  *reports.Exchange
}

// Evidence is the answer to the call.
func (d *denial) Evidence() *reports.Exchange { return d.answer }

// denials are all tools that need a scope, each once for every scope that a token may lack.
func denials(t *T) (out Cases[*denial]) {
	for _, tool := range t.Tools {
		for _, s := range strings.Fields(tool.Scope) {
			out = out.And(tool.Name+" without "+s, &denial{tool: tool, lacking: []string{s}})
		}
		if len(tool.AnyOf) > 0 {
			out = out.And(tool.Name+" without "+strings.Join(tool.AnyOf, " or "), &denial{tool: tool, lacking: tool.AnyOf})
		}
	}
	if len(out) == 0 {
		t.NotTested("it needs a tool with a scope (tools in the target file)")
	}
	return out
}

// eachDenial judges the answer to each call that lacks a scope.
func eachDenial(t *T, judge func(t *T, d *denial)) {
	Each(t, denials(t), func(t *T, d *denial) {
		d = denied(t, d)
		t.Cite(d.answer)
		judge(t, d)
	})
}

// eachChallenge is eachDenial for the answers with 403; RS-SCOPE-403-STATUS judges the others.
func eachChallenge(t *T, judge func(t *T, d *denial)) {
	eachDenial(t, func(t *T, d *denial) {
		if expect.Status(d.answer) != 403 {
			t.NotApplicable("there is no 403 (RS-SCOPE-403-STATUS): %s", expect.Describe(d.answer))
		}
		d.control(t)
		judge(t, d)
	})
}

// denied makes the call, once for all checks. The control is the same call with the scopes that the tool needs.
func denied(t *T, d *denial) *denial {
	return Once(t, fmt.Sprintf("denied %s %s %s %v", t.Wire, t.Revision, d.tool.Name, d.lacking), func() *denial {
		out := *d
		out.token, out.held = t.MCP.TokenWithout(out.lacking...)
		out.answer = t.MCP.CallTool(out.token, out.tool)
		out.passTheDoor(t)
		if expect.Status(out.answer) == 401 && !t.MCP.Served(t.MCP.Use(out.token)) {
			t.Inconclusive("the token for %s is refused as a whole, "+
				"which says nothing about a scope: %s", list(out.held), expect.Describe(out.answer))
		}
		if !expect.Ran(out.answer) {
			out.control(t)
		}
		return &out
	})
}

// passTheDoor calls again with the scopes of the challenge, unless they include the missing one: the first token may lack a scope that
// every request needs, so that the call has not reached the tool.
func (d *denial) passTheDoor(t *T) {
	more := Union(d.held, Challenged(d.answer))
	if expect.Status(d.answer) != 403 || len(more) == len(d.held) || len(t.MCP.Without(more, d.lacking)) < len(more) {
		return
	}
	if token, held, why := t.MCP.TokenOf(more); why == "" && len(t.MCP.Without(held, d.lacking)) == len(held) {
		d.token, d.held, d.answer = token, held, t.MCP.CallTool(token, d.tool)
	}
}

// control ends the row where the same call is not served with the scopes that the tool needs: then its refusal proves nothing.
// An error of the tool itself, such as one about arguments, is not a refusal.
func (d *denial) control(t *T) {
	told := expect.Status(d.answer) == 401 || expect.Status(d.answer) == 403
	if d.tool.DeniedOnly {
		if !told && !expect.RefusedInside(d.answer) && !d.hidden(t) {
			t.Inconclusive("%s may not be called with its scope, so a refusal cannot be told from an error of its own: %s", d.tool.Name,
				expect.Describe(d.answer))
		}
		return
	}
	ex, used := allowed(t, d.tool)
	served := expect.Run()
	if told {
		served = expect.Accept()
	}
	t.Expect(ex, "%s with %s", d.tool.Name, list(used)).AsControl(served)
}

// permission is the answer to a call with the scopes that a tool needs.
type permission struct {
	answer *reports.Exchange
	used   []string
}

// allowed calls a tool with the scopes that it needs, once for all checks.
func allowed(t *T, tool Tool) (ex *reports.Exchange, used []string) {
	p := Once(t, fmt.Sprintf("allowed %s %s %s", t.Wire, t.Revision, tool.Name), func() permission {
		ex, used := t.MCP.Allowed(tool)
		return permission{ex, used}
	})
	return t.Cite(p.answer), p.used
}

// runnable is a tool with a scope that runs with it, and the scopes that are enough.
func runnable(t *T) (Tool, []string) {
	if len(t.MCP.ScopedTools()) == 0 {
		t.NotTested("it needs a tool with a scope that may be called (tools in the target file)")
	}
	var last *reports.Exchange
	for _, tool := range t.MCP.ScopedTools() {
		ex, used := allowed(t, tool)
		if expect.Ran(ex) {
			t.Expect(ex, "%s with %s", tool.Name, list(used)).AsControl(expect.Run())
			return tool, used
		}
		last = ex
	}
	t.Inconclusive("this proves nothing: no tool runs with its scope; the last is answered with %s", expect.Describe(last))
	return Tool{}, nil
}

// hidden reports that a denied tool is answered like one that does not exist.
func (d *denial) hidden(t *T) bool { return t.MCP.Unknown(d.answer, d.tool, mcp.Bearer(d.token)) }

func list(scopes []string) string {
	if len(scopes) == 0 {
		return "no scope"
	}
	return strings.Join(scopes, " ")
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
