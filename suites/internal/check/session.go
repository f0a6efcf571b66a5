package check

import (
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// SessionIDs are an id that names no session and, where the target also speaks a revision with sessions, that of a live session of the
// user. The protocol without sessions ignores both.
func SessionIDs(t *T) Cases[string] {
	ids := Cases[string]{{"an id that names no session", Random(18)}}
	revision, spoken := t.Survey.Newest(mcp.Stateful)
	if !spoken || !t.MCP.HasToken() {
		return ids
	}
	const live = "the id of a live session of a revision with sessions"
	ex := t.Send(t.MCP.Authorized(mcp.Initialize(t.Survey.Endpoint, revision)))
	id := expect.Header(ex, "Mcp-Session-Id")
	switch t.Secrets.Add("session_id", id); {
	case expect.NoAnswer(ex) != "":
		t.Leave(live, "no session could be opened: "+expect.NoAnswer(ex))
	case expect.Accepted(ex) && id != "":
		ids = ids.And(live, id)
	}
	return ids
}

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
