package scope

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func effects() {
	Must("RS-SCOPE-NOT-EXECUTED", func(t *T) {
		tool, shows, narrow := effective(t)
		markers := map[string]string{}
		try := func(about string, send func(tool Tool) *reports.Exchange) {
			markers[about] = marker()
			ex := send(tool.Marked(markers[about]))
			if expect.Ran(ex) {
				t.Inconclusive("the call %s is served (RS-SCOPE-403-STATUS)", about)
			}
			t.RefusedBy(ex)
		}
		lacking := t.MCP.TokenWithScopes(narrow...)
		try("without the scope", func(tool Tool) *reports.Exchange { return t.MCP.CallTool(lacking, tool) })
		call, refused := t.MCP.SessionOf(lacking)
		if refused == nil { // in an open session, so that nothing but the call itself is refused
			try("without a token", func(tool Tool) *reports.Exchange { return t.Send(call.Method("tools/call", tool.Params())) })
			for _, bad := range t.Mint.BadTokens() {
				try("with "+bad.Name, func(tool Tool) *reports.Exchange {
					return t.Send(call.Method("tools/call", tool.Params()).With(mcp.Bearer(bad.Value)))
				})
			}
		}
		ex := seen(t, tool, shows) // by then whatever was begun before has had its time
		for about, m := range Sorted(markers) {
			if strings.Contains(Text(ex), m) {
				t.Finding(ex, about, "a refused call to have no effect", shows.Name+" shows its effect")
			}
		}
	})

	// Batches are of 2025-03-26 alone.
	Must("RS-SCOPE-BATCH-MEMBERS", func(t *T) {
		tool, shows, narrow := effective(t)
		call := guarded(t, tool, narrow)
		call.Revision = "2025-03-26"
		send := func(messages ...string) *reports.Exchange {
			return t.Send(call.WithBody("[" + strings.Join(messages, ",") + "]"))
		}
		free := message(1, shows)
		if ex := send(free, message(2, shows)); expect.Status(ex) < 200 || expect.Status(ex) > 299 || !strings.HasPrefix(strings.TrimSpace(ex.Response.Body), "[") && !strings.Contains(ex.Response.Body, "data:") {
			t.NotApplicable("batches are refused: %s", expect.Describe(ex))
		}
		markers := map[string]string{"after a free call": marker(), "before a free call": marker(), "after fifty pings": marker()}
		send(free, message(2, tool.Marked(markers["after a free call"])))
		send(message(1, tool.Marked(markers["before a free call"])), message(2, shows))
		pings := []string{}
		for i := range 50 {
			pings = append(pings, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i+10))
		}
		send(append(pings, message(1, tool.Marked(markers["after fifty pings"])))...)
		t.Refused()
		ex := seen(t, tool, shows)
		for about, m := range Sorted(markers) {
			if strings.Contains(Text(ex), m) {
				t.Finding(ex, about, "every message of a batch to be judged", tool.Name+" ran without its scope")
			}
		}
	})

	Practice("RS-SCOPE-BODY-AMBIGUITY", func(t *T) {
		tool, shows, narrow := effective(t)
		call := guarded(t, tool, narrow)
		markers := map[string]string{}
		for about, write := range Sorted(ambiguities) {
			markers[about] = marker()
			free := call.Method("tools/call", shows.Params()) // what the fields describe
			message := write(envelope(free), shows.Params(), tool.Marked(markers[about]).Params())
			if ex := t.Send(free.WithBody(message)); expect.Crashed(ex) {
				t.Finding(ex, about, "an answer below 500", expect.Describe(ex))
			}
		}
		t.Refused()
		ex := seen(t, tool, shows)
		for about, m := range Sorted(markers) {
			if strings.Contains(Text(ex), m) {
				t.Finding(ex, about, "a message that can be read in two ways not to run the tool that the token may not call", tool.Name+" ran")
			}
		}
	})
}

// effective is a tool whose effect can be seen, the tool that shows it, and the scopes of a token that lacks its scope.
func effective(t *T) (tool, shows Tool, narrow []string) {
	tool, shows, _ = t.MCP.EffectiveTool()
	if narrow = t.MCP.Lacking(tool.Scope); shows.Scope != "" { // with no scope at all a server may grant a default
		narrow = []string{shows.Scope}
	}
	if slices.ContainsFunc(narrow, func(s string) bool { return t.MCP.Includes(s, tool.Scope) }) {
		t.NotTested("it needs %s to take another scope than %s", shows.Name, tool.Name)
	}
	return tool, shows, narrow
}

// guarded is a session with a token that may not call a tool, as a plain call shows.
func guarded(t *T, tool Tool, narrow []string) mcp.Call {
	call := t.MCP.MustOpenSession(t.MCP.TokenWithScopes(narrow...))
	if ex := t.Send(call.Method("tools/call", tool.Marked(marker()).Params())); expect.Ran(ex) {
		t.Inconclusive("%s runs without its scope anyway (RS-SCOPE-EVERY-TOOL)", tool.Name)
	}
	return call
}

// seen is what shows the effect, asked once the effect of a call that is allowed can be seen: the control.
func seen(t *T, tool, shows Tool) *reports.Exchange {
	broad := t.MCP.TokenWithScopes(slices.DeleteFunc([]string{tool.Scope, shows.Scope}, func(s string) bool { return s == "" })...)
	mark := marker()
	if ex := t.MCP.CallTool(broad, tool.Marked(mark)); !expect.Ran(ex) {
		t.Inconclusive("the control failed: %s with its scope is answered with %s", tool.Name, expect.Describe(ex))
	}
	for wait := 10 * time.Millisecond; wait < 3*time.Second; wait *= 2 {
		if ex := t.MCP.CallTool(broad, shows); strings.Contains(Text(ex), mark) {
			t.Controlled()
			t.Sleep(wait / 2)
			return t.MCP.CallTool(broad, shows)
		}
		t.Sleep(wait)
	}
	t.Inconclusive("the control failed: %s does not show what %s did", shows.Name, tool.Name)
	return nil
}

// message is a call of a tool as one message of a batch.
func message(id int, tool Tool) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`, id, text(tool.Params()))
}

func marker() string { return "mcpauth-" + Random(9) }

// envelope is what the parameters of the free call need besides name and arguments: the _meta of the stateless wire.
func envelope(c mcp.Call) string {
	var message struct {
		Params struct {
			Meta json.RawMessage `json:"_meta"`
		} `json:"params"`
	}
	_ = json.Unmarshal([]byte(c.Message()), &message)
	if len(message.Params.Meta) == 0 {
		return ""
	}
	return `"_meta":` + string(message.Params.Meta) + ","
}

// ambiguities write a message that is the free call to one reader, and the guarded one to another.
var ambiguities = map[string]func(meta string, free, guarded map[string]any) string{
	"the name twice, the free one first": func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"name":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	},
	"the name twice, the free one last": func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"name":%s,"arguments":%s`, guarded["name"], free["name"], guarded["arguments"])
	},
	"params twice": func(meta string, free, guarded map[string]any) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s"name":%s,"arguments":{}},"params":{%s"name":%s,"arguments":%s}}`, meta, text(free["name"]), meta, text(guarded["name"]), text(guarded["arguments"]))
	},
	"the method twice": func(meta string, _, guarded map[string]any) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{%s"name":%s,"arguments":%s}}`, meta, text(guarded["name"]), text(guarded["arguments"]))
	},
	"a name in another case": func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"Name":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	},
	"an escaped member": func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"\u006eame":%s,"arguments":%s`, free["name"], guarded["name"], guarded["arguments"])
	},
	"a decoy in the arguments": func(meta string, free, guarded map[string]any) string {
		decoyed := map[string]any{"name": free["name"]}
		for k, v := range guarded["arguments"].(map[string]any) {
			decoyed[k] = v
		}
		return request(meta, `"arguments":%s,"name":%s`, decoyed, guarded["name"])
	},
	"a list of one": func(meta string, _, guarded map[string]any) string {
		return "[" + request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"]) + "]"
	},
	"a second message after the first": func(meta string, free, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, free["name"], map[string]any{}) + request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"])
	},
	"a byte order mark": func(meta string, _, guarded map[string]any) string {
		return "\ufeff" + request(meta, `"name":%s,"arguments":%s`, guarded["name"], guarded["arguments"])
	},
	"a space after the name": func(meta string, _, guarded map[string]any) string {
		return request(meta, `"name":%s,"arguments":%s`, guarded["name"].(string)+" ", guarded["arguments"])
	},
}

func request(meta, params string, values ...any) string {
	texts := make([]any, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + fmt.Sprintf(params, texts...) + `}}`
}

func text(v any) string {
	b, _ := json.Marshal(v) // strings and decoded YAML always marshal
	return string(b)
}
