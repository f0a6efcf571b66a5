package check

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// OpenSession opens a session on the stateful wire with the given credential and returns a call in it.
// Its id is kept out of reports. The check is inconclusive if the server refuses.
func OpenSession(t *T, credential reports.Field) mcp.Call {
	revision := t.Revision
	if mcp.WireOf(revision) != mcp.Stateful {
		revision = mcp.NewestStateful
	}
	init := mcp.Initialize(t.Survey.Endpoint, revision)
	ex := t.Send(init.With(credential))
	if !expect.Accepted(ex) {
		t.Inconclusive("no session could be opened: initialize is answered with %s", expect.Describe(ex))
	}
	id := expect.Header(ex, "Mcp-Session-Id")
	t.Secrets.Add("session_id", id)
	call := mcp.Call{Endpoint: t.Survey.Endpoint, Revision: revision}.InSession(id)
	t.Send(call.Method("notifications/initialized", nil).With(credential))
	t.Cleanup(func() { // leave nothing behind
		if id != "" {
			t.Client.Do(t.ctx, t.id, call.Using("DELETE").With(credential).Request())
		}
	})
	return call
}
