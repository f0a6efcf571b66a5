package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/target"
)

// Object is an object of the first user that is not reached by a tool: a resource, a prompt, or a completion.
type Object struct{ target.Object }

// Completion returns the completion of a prompt's argument with this beginning.
func Completion(prompt, argument, value string) Object {
	return Object{target.Object{Prompt: prompt, Argument: argument, Value: value}}
}

// Call requests the object.
func (o Object) Call(c mcp.Call) mcp.Call {
	switch {
	case o.Argument != "":
		ref := map[string]any{"type": "ref/resource", "uri": o.Resource}
		if o.Prompt != "" {
			ref = map[string]any{"type": "ref/prompt", "name": o.Prompt}
		}
		return c.Method("completion/complete", map[string]any{"ref": ref, "argument": map[string]any{"name": o.Argument, "value": o.Value}})
	case o.Prompt != "":
		arguments := map[string]any{}
		for k, v := range o.Arguments {
			arguments[k] = v
		}
		return c.Method("prompts/get", map[string]any{"name": o.Prompt, "arguments": arguments})
	}
	return c.Method("resources/read", map[string]any{"uri": o.Resource})
}

// Shows reports whether an answer contains what only the first user may see.
func (o Object) Shows(ex *reports.Exchange) bool {
	return expect.Accepted(ex) && strings.Contains(expect.Body(ex), o.Private)
}

// Changing returns a resource of the first user, and the declared tool that changes it.
func (t MCPServer) Changing() (Object, Tool, bool) {
	for _, o := range t.Objects {
		i := slices.IndexFunc(t.Tools, func(tool Tool) bool { return tool.Name == o.ChangedBy && !tool.DeniedOnly })
		if o.Resource != "" && o.Argument == "" && o.ChangedBy != "" && i >= 0 {
			return o, t.Tools[i], true
		}
	}
	return Object{}, Tool{}, false
}
