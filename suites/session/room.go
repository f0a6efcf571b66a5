package session

import (
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// room is a session of the user, which others try to use.
type room struct {
	call mcp.Call // in the session, without credentials
	main message  // a request that the target serves in it, but not without a token
}

// message makes a request in a session.
type message func(session mcp.Call) mcp.Call

// enter opens a session of the user. The check does not apply if it has no id.
func enter(t *T) *room {
	r := &room{call: OpenSession(t)}
	if r.call.SessionID == "" {
		t.NotApplicable("the target opens sessions without an id")
	}
	var last *reports.Exchange
	for _, m := range mains(t) {
		if last = t.Send(t.MCP.Authorized(m(r.call))); passed(t, last) {
			r.main = m
			return r
		}
	}
	t.Inconclusive("this proves nothing: nothing that needs a token is served in a session of its user; the last is answered with %s",
		expect.Describe(last))
	return nil
}

// mains are requests that are refused without a token: the protected one of the survey, unless it opens the session, and others.
func mains(t *T) []message {
	var out []message
	if protected := t.MCP.Call(); protected.RPC != "initialize" {
		out = append(out, func(s mcp.Call) mcp.Call { return s.Method(protected.RPC, protected.Params) })
	}
	for _, method := range []string{"tools/list", "resources/list", "prompts/list", "ping"} {
		if !t.MCP.Public(method) {
			out = append(out, func(s mcp.Call) mcp.Call { return s.Method(method, nil) })
		}
	}
	return out
}

// request is a request with the user's token, in the session. A server may end a session at any time: then the control is sent in a
// new one. A session may allow one stream, even for a while after that has ended, so each stream is opened in a new session.
func (r *room) request(t *T, m message) Attempt[CallEdit] {
	served := expect.ServedBy(func(ex *reports.Exchange) bool { return passed(t, ex) || expect.OpenedSilently(ex) })
	return Attempt[CallEdit]{Name: "the same request with the token of the session's user", Good: served, Send: func(edits ...CallEdit) any {
		if m(r.call).Verb == "GET" {
			return t.Send(edited(t.MCP.Authorized(m(OpenSession(t))), edits))
		}
		ex := t.Send(edited(t.MCP.Authorized(m(r.call)), edits))
		if len(edits) == 0 && expect.Status(ex) == 404 {
			r.call = OpenSession(t)
			ex = t.Send(t.MCP.Authorized(m(r.call)))
		}
		return ex
	}}
}

func edited(c mcp.Call, edits []CallEdit) mcp.Call {
	for _, e := range edits {
		c = e(c)
	}
	return c
}

// mustBeOffered ends the row where the target does not serve a request to its own user either.
func (r *room) mustBeOffered(t *T, m message) {
	if failed := r.offers(t, m); failed != nil {
		t.Inconclusive("this proves nothing: %s", expect.NoAnswer(failed))
	}
}

// offers is mustBeOffered without an end where the answer decides nothing, which it returns.
func (r *room) offers(t *T, m message) (failed *reports.Exchange) {
	ex, _ := r.request(t, m).Send().(*reports.Exchange)
	switch {
	case passed(t, ex), expect.OpenedSilently(ex):
		return nil
	case expect.NoAnswer(ex) == "":
		t.NotApplicable("it is not offered to the session's own user: %s", expect.Describe(ex))
	}
	return ex
}

// expectRefusalsBefore judges a message over which the server fails for the session's own user: its guard refuses others before that.
func (r *room) expectRefusalsBefore(t *T, m message, failed *reports.Exchange) {
	if expect.Status(failed) != 500 {
		t.Inconclusive("this proves nothing: %s", expect.NoAnswer(failed))
	}
	Each(t, nobodies(), func(t *T, edit CallEdit) {
		ex, _ := r.request(t, m).Send(edit).(*reports.Exchange)
		t.Expect(ex).To(refuseMessage(t, "401"))
	})
}

// resumes reports whether the target resumes a stream for its own user. The event id is invented, so a server that keeps no events may
// fail: this shows only that nothing is resumed, and is noted.
func (r *room) resumes(t *T, m message) bool {
	ex, _ := r.request(t, m).Send().(*reports.Exchange)
	switch {
	case passed(t, ex), expect.OpenedSilently(ex):
	case expect.Status(ex) == 0:
		t.Inconclusive("this proves nothing: %s", expect.NoAnswer(ex))
	case expect.Crashed(ex):
		t.Note("no stream is resumed for the session's own user: an invented event is answered with %s", expect.Describe(ex))
		return false
	default:
		t.NotApplicable("no stream is resumed for the session's own user: %s", expect.Describe(ex))
	}
	return true
}

// requests are the other POST requests in a session.
func (r *room) requests() Cases[message] {
	method := func(name string, params map[string]any) message {
		return func(s mcp.Call) mcp.Call { return s.Method(name, params) }
	}
	return Cases[message]{
		{"ping", method("ping", nil)},
		{"a call of a tool", method("tools/call", map[string]any{"name": "mcpauth_no_such_tool", "arguments": map[string]any{}})},
		{"a request with a progress token, whose answer may be a stream", r.withProgress},
		{"a JSON-RPC batch", r.body("[" + r.main(r.call).Message() + "]")},
	}
}

// unanswered are the messages that get no answer.
func (r *room) unanswered() Cases[message] {
	return Cases[message]{
		{"a notification", notification},
		{"a JSON-RPC response", r.body(`{"jsonrpc":"2.0","id":"mcpauth","result":{}}`)},
	}
}

func (r *room) body(text string) message {
	return func(s mcp.Call) mcp.Call { return r.main(s).WithBody(text) }
}

func (r *room) withProgress(s mcp.Call) mcp.Call {
	c := r.main(s)
	params := map[string]any{"_meta": map[string]any{"progressToken": "mcpauth"}}
	maps.Copy(params, c.Params)
	return c.Method(c.RPC, params)
}

func notification(s mcp.Call) mcp.Call {
	return s.Method("notifications/cancelled", map[string]any{"requestId": "mcpauth", "reason": "mcpauth"})
}

func opening(s mcp.Call) mcp.Call { return s.Using("GET") }

// openings are the requests that open a stream.
func openings() Cases[message] { return Cases[message]{{"GET, which opens a stream", opening}} }

// resumptions are the requests that resume one.
func resumptions() Cases[message] {
	return Cases[message]{{"GET with Last-Event-ID, which resumes a stream", func(s mcp.Call) mcp.Call {
		return opening(s).With(mcp.Field("Last-Event-ID", "1"))
	}}}
}

func withoutToken(c mcp.Call) mcp.Call {
	c.Header = slices.DeleteFunc(slices.Clone(c.Header), func(f reports.Field) bool { return strings.EqualFold(f.Name, "Authorization") })
	return c
}

// nobodies are callers with the id of a session and without a token.
func nobodies() Cases[CallEdit] {
	return Cases[CallEdit]{{"without a token", withoutToken}, {"with a bad token", Presenting(survey.BogusToken)}}
}

// passed reports that a request passed authorization, with any result.
func passed(t *T, ex *reports.Exchange) bool {
	return expect.Accepted(ex) || t.MCP.Served(ex) || isComplaint(ex)
}

// getPast expects a request to pass authorization.
var getPast = expect.Family("getPast", func(t *T) expect.Matcher {
	return expect.Serving("a request that gets past authorization", func(ex *reports.Exchange) string {
		if passed(t, ex) {
			return ""
		}
		return expect.Describe(ex)
	})
})

// isComplaint reports the error of a call that was processed: that the tool does not exist.
func isComplaint(ex *reports.Exchange) bool {
	code := mcp.Read(ex).Code
	return expect.Status(ex) == 200 && !expect.RefusedInside(ex) && (code == "-32602" || code == "-32601")
}

// refuseCaller expects a caller to be refused, ideally with one of the statuses. If the target refuses every request without a token
// with another status, RS-CHALLENGE-401-STATUS judges that.
var refuseCaller = expect.Family("refuseCaller", func(t *T, ideal string, statuses ...int) expect.Matcher {
	statuses = append(statuses, expect.Status(t.Survey.Refused[t.Wire]))
	return expect.Advised(refuseMessage(t, ideal), "HTTP "+ideal,
		func(ex *reports.Exchange) bool { return slices.Contains(statuses, expect.Status(ex)) })
})

// refuseMessage is refuseCaller for messages that a server may refuse before it checks the token, such as a batch.
var refuseMessage = expect.Family("refuseMessage", func(t *T, ideal string) expect.Matcher {
	return expect.Refusing("a refusal with HTTP "+ideal, func(ex *reports.Exchange) string {
		if passed(t, ex) {
			return expect.Describe(ex)
		}
		return ""
	})
})

// change is a request that changes what a session gets, and what its user sends before.
type change struct{ before, request message }

// changes are those of the capabilities logging and resources.subscribe. The resource is a listed one: an unknown one changes nothing.
func (r *room) changes(t *T) Cases[change] {
	level := func(s mcp.Call) mcp.Call { return s.Method("logging/setLevel", map[string]any{"level": "info"}) }
	rows := Cases[change]{{"logging/setLevel", change{nil, level}}}
	listed := mcp.ReadList(t.MCP.Authorized(r.call.Method("resources/list", nil)), t.Send).Entries("resources")
	if len(listed) == 0 || listed[0].String("uri") == "" {
		return rows
	}
	params := map[string]any{"uri": listed[0].String("uri")}
	subscribe := func(s mcp.Call) mcp.Call { return s.Method("resources/subscribe", params) }
	unsubscribe := func(s mcp.Call) mcp.Call { return s.Method("resources/unsubscribe", params) }
	return rows.And("resources/subscribe", change{nil, subscribe}).And("resources/unsubscribe", change{subscribe, unsubscribe})
}

// attempt sends a change. The row does not apply if the session's own user cannot make it.
func (c change) attempt(t *T, r *room) Attempt[CallEdit] {
	out := r.request(t, c.request)
	send := out.Send
	out.Send = func(edits ...CallEdit) any {
		if c.before != nil {
			t.Send(t.MCP.Authorized(c.before(r.call)))
		}
		return send(edits...)
	}
	switch own, _ := out.Send().(*reports.Exchange); {
	case expect.Accepted(own):
	case expect.NoAnswer(own) == "":
		t.NotApplicable("it is not offered to the session's own user: %s", expect.Describe(own))
	default:
		t.Inconclusive("this proves nothing: %s", expect.NoAnswer(own))
	}
	return out
}

// changeNothing expects no result. An error may be about the resource, which another user cannot see.
var changeNothing = expect.Refusing("a refusal with HTTP 403 or 404", func(ex *reports.Exchange) string {
	if expect.Accepted(ex) {
		return expect.Describe(ex)
	}
	return ""
})

// ending is an attempt to end a session, with its user's next answer.
type ending struct{ answer, after *reports.Exchange }

// Evidence is the answer to the attempt.
func (e ending) Evidence() *reports.Exchange { return e.answer }

// end is DELETE with the user's token, each time in a new session. The check does not apply where users cannot end sessions.
func (r *room) end(t *T) Attempt[CallEdit] {
	ended := func(edits ...CallEdit) any {
		s := OpenSession(t)
		e := ending{answer: t.Send(edited(t.MCP.Authorized(s.Using("DELETE")), edits))}
		if len(edits) > 0 {
			e.after = t.Send(t.MCP.Authorized(r.main(s)))
		}
		return e
	}
	if first := ended().(ending).answer; !expect.Succeeded(first) {
		t.NotApplicable("clients cannot end sessions here: DELETE with the user's token is answered with %s", expect.Describe(first))
	}
	good := expect.That("the end of the session by DELETE", func(e ending) string {
		if !expect.Succeeded(e.answer) {
			return expect.Describe(e.answer)
		}
		return ""
	})
	return Attempt[CallEdit]{Name: "DELETE with the token of the session's user", Good: good, Send: ended}
}

// endNothing expects a session to continue. If a refusal ends it anyway, this is a warning: a server may end a session at any time.
var endNothing = expect.Family("endNothing", func(status string) expect.Matcher {
	refused := expect.Refusing("a refusal with HTTP "+status, func(e ending) string {
		if expect.Succeeded(e.answer) {
			return expect.Describe(e.answer)
		}
		return ""
	})
	return expect.AdvisedOf(refused, "a session that continues", func(e ending) string {
		if s := expect.Status(e.after); s >= 400 && s < 500 && s != 429 {
			return expect.Describe(e.answer) + ", and the session is ended anyway: its user is answered with " + expect.Describe(e.after)
		}
		return ""
	})
})
