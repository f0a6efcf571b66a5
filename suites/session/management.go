package session

import (
	"fmt"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func usesVisibleASCII(t *T) {
	Each(t, Cases[int]{{"the first session", 1}, {"the second session", 2}}, func(t *T, _ int) {
		t.Expect(OpenSession(t).SessionID).To(expect.That("visible ASCII only, 0x21 to 0x7E", func(id string) string {
			for i := 0; i < len(id); i++ {
				if id[i] < 0x21 || id[i] > 0x7e {
					return fmt.Sprintf("byte 0x%02x at position %d", id[i], i)
				}
			}
			return ""
		}))
	})
}

// "The server MAY terminate the session at any time, after which it MUST respond to requests containing that session ID with HTTP 404".
func refusesEndedSessions(t *T) {
	r := enter(t)
	Each(t, Cases[message]{
		{"a request in an ended session", r.main},
		{"a notification in an ended session", notification},
		{"GET in an ended session", opening},
	}, func(t *T, m message) {
		r.mustBeOffered(t, m)
		session := r.endedSession(t)
		t.Expect(t.Send(t.MCP.Authorized(m(session))), "with the valid token").To(expect.Refuse(404))
	})
	Each(t, Cases[*room]{{"an ended session", r}}, func(t *T, r *room) {
		session := r.endedSession(t)
		t.Expect(t.Send(t.MCP.Authorized(session.Using("DELETE"))), "DELETE once more").Ideally(expect.Refuse(404))
		t.Expect(t.Send(r.main(session)), "a request without a token").Ideally(expect.Refuse(401))
	})
	if rows := r.nearlyNamed(t); len(rows) > 0 {
		Refuses(t, r.request(t, r.main), rows, refuseSession(t))
		inheritsNothing(t, r)
	}
}

// inheritsNothing sends ids that every JavaScript object has. A server that writes to what it finds under them changes all its objects.
func inheritsNothing(t *T, r *room) {
	for _, row := range inheritedIDs() {
		t.Send(t.MCP.Authorized(row.Value(r.main(r.call))))
		if !stillServes(t, row.Name) {
			return
		}
	}
	Refuses(t, r.request(t, r.main), inheritedIDs(), expect.RefuseAnyway()) // a firewall may know these names
}

// stillServes reports whether the valid token, which was served before a request, is served after it. A limit, a ban, the end of the
// token and a server error show no damage.
func stillServes(t *T, request string) bool {
	var ex *reports.Exchange
	for range 2 {
		if ex = t.Send(t.MCP.Authorized(t.MCP.Call())); passed(t, ex) {
			return true
		}
	}
	if s := expect.Status(ex); s == 401 || s == 403 || s == 429 || expect.NoAnswer(ex) != "" {
		t.Leave("after "+request, "the valid token, which was served before it, is answered with "+expect.Describe(ex))
		return false
	}
	Lasts(t)
	t.Expect(ex, "the valid token, after %s", request).Ideally(t.MCP.Serve())
	return false
}

// endedSession is a session that its user has ended.
func (r *room) endedSession(t *T) mcp.Call {
	session := OpenSession(t)
	if ex := t.Send(t.MCP.Authorized(session.Using("DELETE"))); !expect.Succeeded(ex) {
		t.NotApplicable("clients cannot end sessions here: DELETE is answered with %s", expect.Describe(ex))
	}
	return session
}

// nearlyNamed are near misses of the id of a live session. There are none where ids that name nothing are served too
// (RS-SESSION-FIXATION). UUIDs are the same in another letter case (RFC 9562 section 4).
func (r *room) nearlyNamed(t *T) Cases[CallEdit] {
	if passed(t, t.Send(t.MCP.Authorized(r.main(r.call.InSession(Random(18)))))) {
		t.Note("session ids that name no session are served: near misses show nothing")
		return nil
	}
	var rows Cases[CallEdit]
	for _, m := range nearmiss.Of(r.call.SessionID, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.Pattern) {
		id := t.Hide(m.Value)
		rows = rows.And("the id of a live session, "+m.Name, func(c mcp.Call) mcp.Call { return c.InSession(id) })
	}
	return rows
}

func inheritedIDs() (rows Cases[CallEdit]) {
	for _, name := range Inherited() {
		rows = rows.And("the session id "+name.Name, func(c mcp.Call) mcp.Call { return c.InSession(name.Value) })
	}
	return rows
}

// 2026-07-28 has no sessions: the field is ignored. If the target also has sessions, a live id is tried too.
func ignoresSessionIDs(t *T) {
	Each(t, SessionIDs(t), func(t *T, id string) {
		probe := t.MCP.Call().InSession(id)
		served := t.Send(t.MCP.Authorized(probe))
		t.Expect(served, "with the valid token").To(t.MCP.Serve())
		t.Expect(served, "with the valid token").Ideally(expect.That("no Mcp-Session-Id in the answer", func(ex *reports.Exchange) string {
			return expect.Header(ex, "Mcp-Session-Id")
		}))
		t.Expect(t.Send(probe), "without a token").To(refuseCaller(t, "401", 401))
		t.Expect(t.Send(Presenting(survey.BogusToken)(probe)), "with a bad token").To(refuseCaller(t, "401", 401))
	})
}
