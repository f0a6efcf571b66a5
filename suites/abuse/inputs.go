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

// stackTrace shows that arguments reached code that did not expect them.
var stackTrace = regexp.MustCompile(`(?m)Traceback \(most recent call last\)|^\s+at .+\(.+:\d+:\d+\)|goroutine \d+ \[|panic: `)

// scalars are the types of JSON Schema for which an object is never valid, even with type coercion.
var scalars = map[string]bool{"string": true, "number": true, "integer": true, "boolean": true}

// "Servers MUST: Validate all tool inputs"
func inputs() { Must("RS-ABUSE-INPUT-VALIDATION", validatesArguments) }

func validatesArguments(t *T) {
	token := t.MCP.FirstToken()
	Each(t, typedTools(t, token), func(t *T, x typed) {
		call := func(arguments map[string]any) *reports.Exchange {
			bent := x.tool
			bent.Arguments = arguments
			return t.MCP.CallTool(token, bent)
		}
		own := call(x.tool.Arguments)
		if !expect.Ran(own) { // without a call that works, an error may have any cause
			t.NotApplicable("%s does not run with its own arguments: %s", x.tool.Name, expect.Describe(own))
		}
		t.Expect(own, "%s with its own arguments", x.tool.Name).AsControl(expect.Run())
		for _, bad := range x.forbidden() {
			t.Expect(call(bad.Value), bad.Name).To(beInvalid)
		}
		for _, name := range x.scalars {
			t.Expect(call(replaced(x.tool.Arguments, name, nil)), "null for "+name).Ideally(expect.NotRun())
		}
	})
}

// typed is a tool with its required arguments, and with the arguments that its schema declares as scalars.
type typed struct {
	tool              Tool
	scalars, required []string
}

// typedTools are the declared tools that have scalar arguments.
func typedTools(t *T, token string) (out Cases[typed]) {
	unlisted := ""
	schemas := map[string]*document.Object{}
	for _, listed := range t.MCP.ListedTools(mcp.Bearer(token)) {
		schemas[listed.String("name")] = listed.Object("inputSchema")
	}
	for _, tool := range t.Tools {
		schema, listed := schemas[tool.Name]
		switch names := scalarsOf(schema, tool); {
		case tool.DeniedOnly || tool.Upstream:
		case !listed && tool.Needs() == "": // one that needs a scope may be hidden from this token
			unlisted = tool.Name
		case len(names) > 0:
			required, _ := schema.Strings("required")
			out = out.And(tool.Name, typed{tool.Marked("mcpauth"), names, required})
		}
	}
	switch {
	case len(out) == 0 && unlisted != "":
		t.Inconclusive("tools/list does not name %s, so its schema is unknown; is the name in the target file right?", unlisted)
	case len(out) == 0:
		t.NotApplicable("no tool that may be called has a schema with a string, number or boolean in it")
	}
	return out
}

// forbidden are argument sets in which the schema forbids exactly one value.
func (x typed) forbidden() (out Cases[map[string]any]) {
	for _, name := range x.scalars {
		out = out.And("an object for "+name, replaced(x.tool.Arguments, name, map[string]any{"mcpauth": []any{1}}))
	}
	for _, name := range x.required {
		without := maps.Clone(x.tool.Arguments)
		delete(without, name)
		out = out.And("without "+name, without)
	}
	return out
}

func replaced(arguments map[string]any, name string, value any) map[string]any {
	out := maps.Clone(arguments)
	out[name] = value
	return out
}

// scalarsOf are the declared arguments of a tool whose type is a scalar in its schema.
func scalarsOf(schema *document.Object, tool Tool) []string {
	var out []string
	for name := range Sorted(tool.Arguments) {
		if scalars[schema.Object("properties").Object(name).String("type")] {
			out = append(out, name)
		}
	}
	return out
}

var beInvalid = expect.Refusing("a JSON-RPC error, or a tool result with isError, and no stack trace", func(ex *reports.Exchange) string {
	switch {
	case expect.Ran(ex):
		return "the tool runs"
	case stackTrace.MatchString(expect.Body(ex)):
		return "a stack trace is in the answer"
	}
	return ""
})
