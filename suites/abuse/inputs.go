package abuse

import (
	"maps"
	"regexp"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// stackTrace is what gives away that arguments reached code that did not expect them.
var stackTrace = regexp.MustCompile(`(?m)Traceback \(most recent call last\)|^\s+at .+\(.+:\d+:\d+\)|goroutine \d+ \[|panic: `)

// scalars are the types of JSON Schema for which an object is never right, whatever is coerced.
var scalars = map[string]bool{"string": true, "number": true, "integer": true, "boolean": true}

func inputs() {
	// "Servers MUST: Validate all tool inputs"
	Must("RS-ABUSE-INPUT-VALIDATION", func(t *T) {
		token := t.MCP.FirstToken()
		schemas := map[string]*document.Object{}
		for _, listed := range t.MCP.ListedTools(mcp.Bearer(token)) {
			schemas[listed.String("name")] = listed.Object("inputSchema")
		}
		tried := 0
		for _, tool := range t.Tools {
			schema := schemas[tool.Name]
			if tool.DeniedOnly || tool.Upstream || schema == nil || tried == 3 {
				continue
			}
			names := scalarsOf(schema, tool)
			if len(names) == 0 {
				continue
			}
			if ex := t.MCP.CallTool(token, tool.Marked("mcpauth")); !expect.Ran(ex) {
				continue // without a call that works, an error may be about anything
			}
			tried++
			for _, name := range names {
				invalid(t, token, tool, name, map[string]any{"mcpauth": []any{1}}, "an object for "+name)
				if ex := call(t, token, tool, name, nil); expect.Ran(ex) {
					t.Advise(ex, "an error for null where a value is needed", "%s runs with null for %s", tool.Name, name)
				}
			}
			required, _ := schema.Strings("required")
			for _, name := range required {
				invalid(t, token, tool, name, absent, "without "+name)
			}
		}
		if tried == 0 {
			t.NotApplicable("no tool that may be called runs with its arguments and has a schema with a string, number or boolean in it")
		}
		t.Refused()
		t.Controlled()
	})
}

// absent leaves an argument out.
const absent = "\x00absent"

// scalarsOf are the declared arguments of a tool that its schema says to be scalars.
func scalarsOf(schema *document.Object, tool Tool) []string {
	var out []string
	for name := range Sorted(tool.Arguments) {
		if scalars[schema.Object("properties").Object(name).String("type")] {
			out = append(out, name)
		}
	}
	return out
}

func call(t *T, token string, tool Tool, name string, value any) *reports.Exchange {
	bent := tool.Marked("mcpauth")
	bent.Arguments = maps.Clone(bent.Arguments)
	if bent.Arguments[name] = value; value == absent {
		delete(bent.Arguments, name)
	}
	return t.MCP.CallTool(token, bent)
}

// invalid expects that a call with an argument that the schema forbids does not run.
func invalid(t *T, token string, tool Tool, name string, value any, about string) {
	ex := call(t, token, tool, name, value)
	const want = "a JSON-RPC error, or a tool result with isError"
	switch {
	case expect.Ran(ex):
		t.Finding(ex, tool.Name+", "+about, want, "the tool runs")
	case expect.Crashed(ex):
		t.Finding(ex, tool.Name+", "+about, want, expect.Describe(ex))
	case stackTrace.MatchString(expect.Body(ex)):
		t.Finding(ex, tool.Name+", "+about, want+", without a stack trace", "the answer holds one")
	}
}
