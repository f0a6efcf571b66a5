package check

import (
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// OpenSession opens a session on the stateful wire, with the user's token if there is one, and returns a call in it without credentials. It
// keeps the session id out of reports. The check is inconclusive if the server refuses.
func OpenSession(t *T) mcp.Call {
	revision := t.Revision
	if mcp.WireOf(revision) != mcp.Stateful {
		revision = mcp.NewestStateful
	}
	init := mcp.Initialize(t.Survey.Endpoint, revision)
	ex := t.Send(t.MCP.Authorized(init))
	if !expect.Accepted(ex) {
		t.Inconclusive("no session could be opened: initialize is answered with %s", expect.Describe(ex))
	}
	id := expect.Header(ex, "Mcp-Session-Id")
	t.Secrets.Add("session_id", id)
	call := mcp.Call{Endpoint: t.Survey.Endpoint, Revision: revision}.InSession(id)
	t.Send(t.MCP.Authorized(call.Method("notifications/initialized", nil)))
	return call
}
