package session

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func users() {
	Should("RS-SESSION-BOUND-TO-USER", func(t *T) {
		token, stranger := t.MCP.FirstToken(), mcp.Bearer(t.MCP.SecondToken())
		call, refused := t.MCP.SessionOf(token)
		if refused != nil || call.SessionID == "" {
			t.NotApplicable("no session with an id could be opened")
		}
		own := mcp.Bearer(token)
		if ex := t.Send(call.Method("tools/list", nil).With(own)); !expect.Accepted(ex) {
			t.Inconclusive("the control failed: the session's own user is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		for about, c := range Sorted(map[string]mcp.Call{"tools/list": call.Method("tools/list", nil), "a notification": call.Method("notifications/cancelled", map[string]any{"requestId": 99})}) {
			if ex := t.Send(c.With(stranger)); expect.Accepted(ex) {
				t.Finding(ex, about+" with another user's token", "HTTP 403 or 404", expect.Describe(ex))
			} else {
				t.RefusedBy(ex)
			}
		}
		if ex := t.Send(call.Using("GET").With(stranger)); expect.Accepted(ex) {
			t.Finding(ex, "the stream, with another user's token", "HTTP 403 or 404", "it opens")
		}
		if ex := t.Send(call.Using("DELETE").With(stranger)); expect.Status(ex) >= 200 && expect.Status(ex) <= 299 {
			if again := t.Send(call.Method("tools/list", nil).With(own)); !expect.Accepted(again) {
				t.Finding(ex, "DELETE with another user's token", "HTTP 403 or 404", "the session is ended")
			}
		}
	})

	Practice("RS-SESSION-TOKEN-RENEWAL", func(t *T) {
		call, refused := t.MCP.SessionOf(t.MCP.FirstToken())
		if refused != nil || call.SessionID == "" {
			t.NotApplicable("no session with an id could be opened")
		}
		ex := t.Send(call.Method("tools/list", nil).With(mcp.Bearer(t.MCP.FirstToken())))
		switch {
		case expect.Accepted(ex):
		case expect.Status(ex) == 404:
			t.Advise(ex, "the session to go on with a renewed token of the same user", "it has to be opened anew")
		default:
			t.Unmet(ex, "the session to go on with a renewed token of the same user", "%s", expect.Describe(ex))
		}
	})

	Must("RS-SESSION-SCOPE-PER-REQUEST", func(t *T) {
		tool := t.MCP.ScopedTools()[0]
		_, used := t.MCP.Allowed(tool)
		broad := t.MCP.TokenWithScopes(used...)
		less, _ := t.MCP.TokenWithout(tool.Scopes()[0])
		run := func(call mcp.Call, token string) *reports.Exchange {
			return t.Send(call.Method("tools/call", tool.Params()).With(mcp.Bearer(token)))
		}
		call, refused := t.MCP.SessionOf(broad)
		if refused != nil || call.SessionID == "" {
			t.NotApplicable("no session with an id could be opened")
		}
		if ex := run(call, broad); !expect.Ran(ex) {
			t.Inconclusive("the control failed: the tool is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		if ex := run(call, less); expect.Ran(ex) {
			t.Unmet(ex, "the scope of each request's own token", "a token without %s runs the tool in a session opened with it", tool.Scope)
		} else {
			t.RefusedBy(ex)
		}
		other, refused := t.MCP.SessionOf(less)
		if refused != nil || other.SessionID == "" {
			return
		}
		if ex := run(other, less); expect.Ran(ex) {
			t.Unmet(ex, "the scope of each request's own token", "a token without %s runs the tool", tool.Scope)
		}
		if ex := run(other, broad); !expect.Ran(ex) {
			t.Advise(ex, "the scope of each request's own token", "a token with %s is refused in a session opened without it: %s", tool.Scope, expect.Describe(ex))
		}
	})
}
