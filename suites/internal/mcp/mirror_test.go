package mcp_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

func schema(t *testing.T, text string) *document.Object {
	t.Helper()
	o, _, err := document.ParseObject(text)
	require.NoError(t, err)
	return o
}

// A call repeats its annotated arguments in header fields, also those in nested objects, and encodes them if they are not plain ASCII.
func TestCallsRepeatAnnotatedArguments(t *testing.T) {
	mirrors := mcp.Mirrors(schema(t, `{"properties":{
		"region":{"type":"string","x-mcp-header":"Region"},
		"absent":{"type":"string","x-mcp-header":"Absent"},
		"plain":{"type":"string"},
		"page":{"type":"object","properties":{"size":{"type":"integer","x-mcp-header":"Size"},"all":{"type":"boolean","x-mcp-header":"All"}}}}}`))
	call := mcp.Call{Endpoint: "https://mcp.example.com/mcp", Revision: mcp.NewestStateless}
	call.Mirrored = map[string][]mcp.Mirror{"find": mirrors}
	arguments := map[string]any{"region": "höher", "plain": "x", "page": map[string]any{"size": 20, "all": true}}
	sent := call.Method("tools/call", map[string]any{"name": "find", "arguments": arguments}).Request().Header
	assert.Contains(t, sent, mcp.Field("Mcp-Param-Region", "=?base64?aMO2aGVy?="))
	assert.Contains(t, sent, mcp.Field("Mcp-Param-Size", "20"))
	assert.Contains(t, sent, mcp.Field("Mcp-Param-All", "true"))
	for _, f := range sent {
		assert.NotEqual(t, "Mcp-Param-Absent", f.Name)
	}
	call.Revision = mcp.NewestStateful
	for _, f := range call.Method("tools/call", map[string]any{"name": "find", "arguments": arguments}).Request().Header {
		assert.NotContains(t, f.Name, "Mcp-Param-", "a field of the stateless protocol is sent in the stateful one")
	}
	assert.Equal(t, map[string]any{"region": "höher", "plain": "x", "page": map[string]any{"size": 20}}, mirrors[3].Unset(arguments))
	assert.Equal(t, true, arguments["page"].(map[string]any)["all"], "the arguments have changed")
}

// Clients omit a tool with invalid annotations, so its fields are unknown.
func TestInvalidAnnotationsAreIgnored(t *testing.T) {
	for name, properties := range map[string]string{
		"empty":       `"a":{"type":"string","x-mcp-header":""}`,
		"no token":    `"a":{"type":"string","x-mcp-header":"a b"}`,
		"no text":     `"a":{"type":"string","x-mcp-header":1}`,
		"a number":    `"a":{"type":"number","x-mcp-header":"A"}`,
		"not unique":  `"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}`,
		"not at all":  `"a":{"type":"string"}`,
		"in an array": `"a":{"type":"array","items":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"A"}}}}`,
	} {
		assert.Empty(t, mcp.Mirrors(schema(t, `{"properties":{`+properties+`}}`)), name)
	}
}
