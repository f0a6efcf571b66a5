package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// Mirror is a parameter of a tool whose value a client repeats in a header field (MCP 2026-07-28, Custom Headers from Tool
// Parameters).
type Mirror struct {
	Name   string   // of the header field
	Path   []string // to the value, from the arguments
	Schema *document.Object
}

// deepest bounds the depth to which a schema is followed.
const deepest = 5

// Mirrors returns the parameters in a tool's input schema that clients repeat in header fields; none if an annotation is invalid, because
// clients omit such a tool.
func Mirrors(schema *document.Object) []Mirror {
	out, seen := mirrorsIn(schema, nil), map[string]bool{}
	for _, m := range out {
		kind, name := m.Schema.String("type"), strings.ToLower(m.Name)
		if seen[name] || !slices.Contains([]string{"string", "integer", "boolean"}, kind) || !isToken(m.Name) {
			return nil
		}
		seen[name] = true
	}
	return out
}

func mirrorsIn(schema *document.Object, path []string) (out []Mirror) {
	properties := schema.Object("properties")
	for _, name := range properties.Names() {
		p, at := properties.Object(name), append(slices.Clone(path), name)
		if v, ok := p.Get("x-mcp-header"); ok {
			text, _ := v.(string)
			out = append(out, Mirror{"Mcp-Param-" + text, at, p})
		}
		if len(at) < deepest {
			out = append(out, mirrorsIn(p, at)...)
		}
	}
	return out
}

// isToken reports whether the name of a field continues after its prefix, and has only characters of a token (RFC 9110 section 5.6.2).
func isToken(field string) bool {
	return field != "Mcp-Param-" && !strings.ContainsFunc(field, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// Value returns the value of the parameter in the arguments of a call, as text; ok is false if it is missing.
func (m Mirror) Value(arguments any) (text string, ok bool) {
	for _, name := range m.Path {
		object, _ := arguments.(map[string]any)
		arguments = object[name]
	}
	switch v := arguments.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v)
	case bool, int, int64, json.Number:
		return fmt.Sprint(v), true
	}
	return "", false
}

// Set returns the arguments with another value of the parameter.
func (m Mirror) Set(arguments map[string]any, v any) map[string]any {
	out := maps.Clone(arguments)
	if out == nil {
		out = map[string]any{}
	}
	if first := m.Path[0]; len(m.Path) == 1 {
		out[first] = v
	} else {
		inner, _ := out[first].(map[string]any)
		out[first] = Mirror{Path: m.Path[1:]}.Set(inner, v)
	}
	return out
}

// Unset returns the arguments without the parameter.
func (m Mirror) Unset(arguments map[string]any) map[string]any {
	out := maps.Clone(arguments)
	first := m.Path[0]
	if inner, ok := out[first].(map[string]any); ok && len(m.Path) > 1 {
		out[first] = Mirror{Path: m.Path[1:]}.Unset(inner)
	} else {
		delete(out, first)
	}
	return out
}

// mirrored returns the fields that repeat the arguments of a tool call.
func (c Call) mirrored() (out []reports.Field) {
	name, _ := c.Params["name"].(string)
	if c.RPC != "tools/call" {
		return nil
	}
	for _, m := range c.Mirrored[name] {
		if v, ok := m.Value(c.Params["arguments"]); ok {
			out = append(out, Field(m.Name, headerValue(v)))
		}
	}
	return out
}
