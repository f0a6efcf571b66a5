package target

import (
	"encoding/json"
	"slices"
	"strings"
)

// Placeholders in the arguments of a tool, which are replaced before the call.
const (
	// Marker is a text that tells one call from another.
	Marker = "{marker}"
	// Address is a URL that the tool fetches.
	Address = "{url}"
	// Handle is a handle that another tool returned.
	Handle = "{handle}"
)

// Scopes returns scopes that are enough for the tool: all of Scope, and the first of AnyOf.
func (tool Tool) Scopes() []string {
	out := strings.Fields(tool.Scope)
	if len(tool.AnyOf) > 0 && !slices.Contains(out, tool.AnyOf[0]) {
		out = append(out, tool.AnyOf[0])
	}
	return out
}

// Permitted reports whether scopes are enough for the tool; includes says whether a granted scope includes a
// needed one.
func (tool Tool) Permitted(held []string, includes func(held, needed string) bool) bool {
	has := func(needed string) bool {
		return slices.ContainsFunc(held, func(s string) bool { return includes(s, needed) })
	}
	for _, needed := range strings.Fields(tool.Scope) {
		if !has(needed) {
			return false
		}
	}
	return len(tool.AnyOf) == 0 || slices.ContainsFunc(tool.AnyOf, has)
}

// Needs describes the scopes that the tool needs.
func (tool Tool) Needs() string {
	needs := strings.Join(strings.Fields(tool.Scope), " and ")
	if len(tool.AnyOf) == 0 {
		return needs
	}
	alternatives := strings.Join(tool.AnyOf, " or ")
	if needs == "" {
		return alternatives
	}
	return needs + ", and " + alternatives
}

// Marked returns the tool with its marker replaced.
func (tool Tool) Marked(by string) Tool { return tool.with(Marker, by) }

// At returns the tool with the URL that it fetches.
func (tool Tool) At(address string) Tool { return tool.with(Address, address) }

// Holding returns the tool with a handle.
func (tool Tool) Holding(handle string) Tool { return tool.with(Handle, handle) }

// Fetches reports whether the tool fetches a URL of its arguments.
func (tool Tool) Fetches() bool { return tool.mentions(Address) }

// IsSpecial reports whether the tool can be called only with something that a check adds: a URL, a handle, or a stronger login.
func (tool Tool) IsSpecial() bool {
	return tool.Fetches() || tool.Elicits || tool.ACR != "" || tool.mentions(Handle)
}

func (tool Tool) mentions(placeholder string) bool {
	b, _ := json.Marshal(tool.Arguments) // values from YAML and JSON always marshal
	return strings.Contains(string(b), placeholder)
}

func (tool Tool) with(placeholder, by string) Tool {
	if tool.Arguments != nil {
		tool.Arguments, _ = replaced(tool.Arguments, placeholder, by).(map[string]any)
	}
	return tool
}

func replaced(v any, placeholder, by string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, placeholder, by)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = replaced(v[i], placeholder, by)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = replaced(v[k], placeholder, by)
		}
		return out
	}
	return v
}

// Params returns the parameters of a tools/call.
func (tool Tool) Params() map[string]any {
	arguments := tool.Arguments
	if arguments == nil {
		arguments = map[string]any{}
	}
	return map[string]any{"name": tool.Name, "arguments": arguments}
}

// Name describes the object.
func (o Object) Name() string {
	switch {
	case o.Argument != "":
		return "the completion of " + o.Argument + " for " + o.Resource + o.Prompt
	case o.Prompt != "":
		return "the prompt " + o.Prompt
	}
	return "the resource " + o.Resource
}

// Permits reports whether the credential may call a tool.
func (c Credential) Permits(tool string) bool {
	if c.Tools == nil {
		return true
	}
	for _, pattern := range c.Tools {
		if prefix, wild := strings.CutSuffix(pattern, "*"); tool == pattern || wild && strings.HasPrefix(tool, prefix) {
			return true
		}
	}
	return false
}
