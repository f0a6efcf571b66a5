package transport

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// 2026-07-28, Server Validation: 400 with HeaderMismatch, -32020.
func refusesContradictions(t *T) {
	const tool = "mcpauth_no_such_tool"
	list := mcp.Probe(t.Survey.Endpoint, t.Revision).Method("tools/list", nil).With(t.MCP.BearerField())
	call := list.Method("tools/call", map[string]any{"name": tool, "arguments": map[string]any{}})
	named := func(values ...string) mcp.Call {
		c := call
		for _, v := range values {
			c = c.With(mcp.Field("Mcp-Name", v))
		}
		return c
	}
	good := Attempt[mcp.Call]{Name: "tools/list with matching headers", Good: expect.Accept(), Send: func(instead ...mcp.Call) any {
		if len(instead) > 0 {
			return t.Send(instead[0])
		}
		return t.Send(list)
	}}
	Refuses(t, good, Cases[mcp.Call]{
		{"Mcp-Method: tools/call on a tools/list", list.With(mcp.Field("Mcp-Method", "tools/call"))},
		{"no Mcp-Method", without(list, "Mcp-Method")},
		{"no Mcp-Name", without(call, "Mcp-Name")},
		{"Mcp-Name of another tool", named("mcpauth_other_tool")},
		{"Mcp-Name of another tool in Base64", named(sentinel("mcpauth_other_tool"))},
		{"Mcp-Name empty", named("")},
		{"Mcp-Name twice, the right one first", named(tool, "mcpauth_other_tool")},
		{"Mcp-Name twice, the right one last", named("mcpauth_other_tool", tool)},
		{"MCP-Protocol-Version unlike the _meta", list.With(mcp.Field("MCP-Protocol-Version", "2025-11-25"))},
	}, refuseMismatch())
	for _, c := range []mcp.Call{call, named(sentinel(tool))} { // both say the same
		t.Expect(t.Send(c), "Mcp-Name of the tool that is called").To(notCallItMismatch())
	}
}

// without is a call that lacks a field which mirrors its message.
func without(c mcp.Call, name string) mcp.Call {
	c = c.WithBody(c.Message())
	c.Header = slices.DeleteFunc(c.Header, func(f reports.Field) bool { return strings.EqualFold(f.Name, name) })
	return c
}

// sentinel is the form of a value that is no plain ASCII (Mcp-Name, Value Encoding).
func sentinel(v string) string {
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// refuseMismatch expects 400, ideally with HeaderMismatch, or UnsupportedProtocolVersion for the version.
func refuseMismatch() expect.Matcher {
	return expect.Advised(expect.Refuse(400), "JSON-RPC error -32020", func(ex *reports.Exchange) bool {
		code := mcp.Read(ex).Code
		return code == "-32020" || code == "-32022"
	})
}

func notCallItMismatch() expect.Matcher {
	return expect.That("headers that match the message to be accepted", func(ex *reports.Exchange) string {
		if mcp.Read(ex).Code == "-32020" {
			return expect.Describe(ex)
		}
		return ""
	})
}

// tries is how often the valid token is sent on a connection of its own. Instances that do not share what they know refuse some.
const tries = 6

func judgesEachRequestAlone(t *T) {
	if !servesOnEveryConnection(t) {
		return
	}
	for range 3 { // the same keep-alive connection, where the server keeps it
		t.Expect(t.MCP.ServedOrControl(t.MCP.Call().With(t.MCP.BearerField()).Request(), t.MCP.Control), "the valid token").To(t.MCP.Serve())
		t.Expect(t.Send(t.MCP.Call()), "without credentials, after an authorized request").To(expect.Refuse(401))
		t.Expect(t.Send(t.MCP.Call().With(mcp.Bearer(survey.BogusToken))), "a bad token, after an authorized request").To(expect.Refuse(401))
	}
}

// servesOnEveryConnection sends the valid token on new connections. Where it is refused each time, nothing follows.
func servesOnEveryConnection(t *T) bool {
	served, refused := 0, (*reports.Exchange)(nil)
	for range tries {
		switch ex := t.Send(t.MCP.Call().With(t.MCP.BearerField()).OnFreshConnection()); {
		case t.MCP.Served(ex):
			served++
		case expect.NoAnswer(ex) == "":
			refused = ex
		}
	}
	if served == 0 || refused == nil {
		return true
	}
	return t.Expect(refused, "on new connections").To(expect.That("the valid token to be served each time", func(ex *reports.Exchange) string {
		return fmt.Sprintf("it is served in %d of %d tries: is the store of tokens shared by all instances? (%s)", served, tries, expect.Describe(ex))
	}))
}
