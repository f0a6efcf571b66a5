package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// Object is something of the first user that is reached otherwise than by a tool: a resource, a prompt, or a completion.
type Object struct {
	// Resource is the URI of a resource, Prompt the name of a prompt with its Arguments.
	Resource, Prompt string
	Arguments        map[string]string
	// Argument is the one to be completed, from Value, of the resource template or prompt that is named.
	Argument, Value string
	// Private is a text in the answer that only the first user may see.
	Private string
	// ChangedBy is a tool whose call by the first user changes the resource.
	ChangedBy string
}

// Name says what the object is.
func (o Object) Name() string {
	switch {
	case o.Argument != "":
		return "the completion of " + o.Argument + " for " + o.Resource + o.Prompt
	case o.Prompt != "":
		return "the prompt " + o.Prompt
	}
	return "the resource " + o.Resource
}

// Call asks for the object.
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

// Shows reports that an answer holds what only the first user may see.
func (o Object) Shows(ex *reports.Exchange) bool {
	return expect.Accepted(ex) && strings.Contains(expect.Body(ex), o.Private)
}

// Changing is a resource of the first user that changes by a declared tool.
func (t MCPServer) Changing() (Object, Tool, bool) {
	for _, o := range t.Objects {
		i := slices.IndexFunc(t.Tools, func(tool Tool) bool { return tool.Name == o.ChangedBy && !tool.DeniedOnly })
		if o.Resource != "" && o.Argument == "" && o.ChangedBy != "" && i >= 0 {
			return o, t.Tools[i], true
		}
	}
	return Object{}, Tool{}, false
}
