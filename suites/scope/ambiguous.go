package scope

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// message is a call of a tool as one message of a batch.
func message(id int, tool Tool) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`, id, mint.JSON(tool.Params()))
}

// text joins the text blocks of a tool result.
func text(result *document.Object) string {
	v, _ := result.Get("content")
	blocks, _ := v.([]any)
	var out []string
	for _, b := range blocks {
		if o, ok := b.(*document.Object); ok {
			out = append(out, o.String("text"))
		}
	}
	return strings.Join(out, "\n")
}

// meta is the _meta that the stateless protocol requires in the parameters of the free call.
func meta(c mcp.Call) string {
	var message struct {
		Params struct {
			Meta json.RawMessage `json:"_meta"`
		} `json:"params"`
	}
	_ = json.Unmarshal([]byte(c.Message()), &message) // mcpauth wrote the message, so it parses
	if len(message.Params.Meta) == 0 {
		return ""
	}
	return `"_meta":` + string(message.Params.Meta) + ","
}

// ambiguities are messages that one parser reads as the free call, and another as the guarded one.
var ambiguities = Cases[func(meta string, free, guarded map[string]any) string]{
	{"the name twice, the free one first", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"name":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	}},
	{"the name twice, the free one last", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"name":%s,"arguments":%s`, guarded["name"], free["name"], guarded["arguments"])
	}},
	{"params twice", func(meta string, free, guarded map[string]any) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s"name":%s,"arguments":{}},`+
			`"params":{%s"name":%s,"arguments":%s}}`,
			meta, mint.JSON(free["name"]), meta, mint.JSON(guarded["name"]), mint.JSON(guarded["arguments"]))
	}},
	{"the method twice", func(meta string, _, guarded map[string]any) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{%s"name":%s,"arguments":%s}}`,
			meta, mint.JSON(guarded["name"]), mint.JSON(guarded["arguments"]))
	}},
	{"a name in another case", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"Name":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	}},
	{"an escaped member", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"\u006eame":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	}},
	{"a decoy in the arguments", func(meta string, free, guarded map[string]any) string {
		decoyed := map[string]any{"name": free["name"]}
		maps.Copy(decoyed, guarded["arguments"].(map[string]any))
		return request(meta, `"arguments":%s,"name":%s`, decoyed, guarded["name"])
	}},
	{"a list of one", func(meta string, _, guarded map[string]any) string {
		return "[" + request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"]) + "]"
	}},
	{"a second message after the first", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, free["name"], map[string]any{}) +
			request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"])
	}},
	{"a byte order mark", func(meta string, _, guarded map[string]any) string {
		return "\ufeff" + request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"])
	}},
	{"a space after the name", func(meta string, _, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, guarded["name"].(string)+" ", guarded["arguments"])
	}},
	{"the name in upper case", func(meta string, _, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, strings.ToUpper(guarded["name"].(string)), guarded["arguments"])
	}},
	{"the name as a list", func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, []any{free["name"], guarded["name"]}, guarded["arguments"])
	}},
}

func request(meta, params string, values ...any) string {
	texts := make([]any, len(values))
	for i, v := range values {
		texts[i] = mint.JSON(v)
	}
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + fmt.Sprintf(params, texts...) + `}}`
}
