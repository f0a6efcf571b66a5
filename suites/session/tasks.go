package session

import (
	"maps"
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// taskExtension is what a client with support for tasks declares in the protocol without sessions.
var taskExtension = map[string]any{"extensions": map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}}

// MCP 2025-11-25, tasks: "receivers MUST bind tasks to the authorization context".
func bindsTasksToTheirMaker(t *T) {
	own := taskSession(t, t.MCP.FirstToken())
	tool, id := aTask(t, own)
	_, cancelled := aTask(t, own) // cancelling ends the task, so the other rows need another one
	stranger := taskSession(t, t.MCP.SecondToken())
	get := Attempt[mcp.Call]{Name: "tasks/get by the user who made the task", Good: expect.Accept(), Send: func(instead ...mcp.Call) any {
		return t.Send(append(instead, about(own, "tasks/get", id))[0])
	}}
	var rows Cases[mcp.Call]
	for _, method := range taskMethods[t.Wire] {
		rows = rows.And(method+" by another user", about(stranger, method, id))
	}
	rows = rows.And("tasks/cancel by another user", about(stranger, "tasks/cancel", cancelled))
	for _, m := range nearmiss.Of(id, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.Pattern) {
		rows = rows.And("tasks/get by its maker, with the id, "+m.Name, about(own, "tasks/get", t.Hide(m.Value)))
	}
	Refuses(t, get, append(rows, inheritedTasks(own)...), expect.NotBypass())
	t.Expect(t.Send(about(own, "tasks/get", cancelled)), "the task that another user tried to cancel").To(goOn)
	showsNoTask(t, stranger, id)
	unknown := t.Send(about(stranger, "tasks/get", "mcpauth-"+Random(12)))
	t.Expect(answers{t.Send(about(stranger, "tasks/get", id)), unknown}).Ideally(beAlike())
	renewed := taskSession(t, t.MCP.FirstToken())
	t.Expect(t.Send(about(renewed, "tasks/get", id)), "tasks/get with another token of its maker").Ideally(expect.Accept())
	needsToken(t, renewed, id)
	staysOwn(t, own, stranger, id, cancelled) // last: a server may forget tasks that have ended
	t.Expect(append([]string{id}, moreTasks(t, own, tool)...), "the ids of tasks").Ideally(expect.BeUnguessable("ids of tasks"))
}

// inheritedTasks ask for tasks that nobody made.
func inheritedTasks(own mcp.Call) (rows Cases[mcp.Call]) {
	for _, name := range Inherited() {
		rows = rows.And("tasks/get by its maker, with the id "+name.Name, about(own, "tasks/get", name.Value))
	}
	return rows
}

func showsNoTask(t *T, stranger mcp.Call, id string) {
	for _, page := range mcp.ReadList(stranger.Method("tasks/list", nil), t.Send).Pages {
		t.Expect(page, "tasks/list by another user").To(lackTask(id))
	}
}

// needsToken sends the requests about a task without a token; the last one would end it.
func needsToken(t *T, session mcp.Call, id string) {
	for _, method := range append(slices.Clone(taskMethods[t.Wire]), "tasks/cancel") {
		t.Expect(t.Send(withoutToken(about(session, method, id))), "%s without a token", method).To(refuseCaller(t, "401", 401))
	}
}

// staysOwn has the maker cancel a task, and fetch the result of another, which is completed then.
func staysOwn(t *T, own, stranger mcp.Call, id, cancelled string) {
	if expect.Accepted(t.Send(about(own, "tasks/cancel", cancelled))) {
		staysOwnAfterwards(t, own, stranger, cancelled, "cancelled")
	}
	if t.Wire == mcp.Stateful && expect.Accepted(t.Send(about(own, "tasks/result", id))) {
		staysOwnAfterwards(t, own, stranger, id, "completed")
	}
}

// staysOwnAfterwards asks about a task that has ended. A refusal says something only while the server knows the task.
func staysOwnAfterwards(t *T, own, stranger mcp.Call, id, ended string) {
	ex := t.Send(about(stranger, "tasks/get", id))
	if kept := t.Send(about(own, "tasks/get", id)); !expect.Accepted(kept) {
		t.Note("tasks/get by another user, once the task is %s: not tried, since its maker is answered with %s", ended, expect.Describe(kept))
		return
	}
	t.Expect(ex, "tasks/get by another user, once the task is %s", ended).To(expect.NotBypass())
}

// goOn expects a task that a refused request has not ended.
var goOn = expect.Refusing("a task that is not cancelled", func(ex *reports.Exchange) string {
	if mcp.Read(ex).Result.String("status") == "cancelled" {
		return "the task is cancelled"
	}
	return ""
})

// taskMethods are the methods about a task that leave it as it is: of the specification at 2025-11-25, and of the extension.
var taskMethods = map[mcp.Wire][]string{
	mcp.Stateful:  {"tasks/get", "tasks/result"},
	mcp.Stateless: {"tasks/get", "tasks/update"},
}

// moreTasks are the ids of four other tasks.
func moreTasks(t *T, own mcp.Call, tool Tool) (ids []string) {
	for range 4 {
		if made := taskOf(t.MCP.CallInto(asTask(own, tool))); made != "" {
			ids = append(ids, t.Hide(made))
		}
	}
	return ids
}

var lackTask = expect.Family("lackTask", func(id string) expect.Matcher {
	return expect.Refusing("a list without the first user's task", func(ex *reports.Exchange) string {
		if slices.Contains(taskIDs(ex), id) {
			return "the first user's task is listed"
		}
		return ""
	})
})

// answers are the answers to another user, about a task that exists and about one that does not.
type answers struct{ there, none *reports.Exchange }

// Evidence is the answer about the task that exists.
func (a answers) Evidence() *reports.Exchange { return a.there }

// A caller who learns that a task exists, even without its content, learns what others do.
var beAlike = expect.Family("beAlike", func() expect.Matcher {
	return expect.That("the same answer about another user's task as about none", func(a answers) string {
		there, none := mcp.Read(a.there), mcp.Read(a.none)
		if expect.Accepted(a.there) || there.Code == none.Code && expect.Status(a.there) == expect.Status(a.none) {
			return ""
		}
		return expect.Describe(a.there) + ", and about an unknown id " + expect.Describe(a.none)
	})
})

// taskSession is a session of a client with support for tasks.
func taskSession(t *T, token string) mcp.Call {
	call, refused := t.MCP.CapableSession(taskExtension, mcp.Bearer(token))
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return call.With(mcp.Bearer(token))
}

// asTask calls a tool as a task: in the protocol without sessions the target decides, because the client has allowed it.
func asTask(c mcp.Call, tool Tool) mcp.Call {
	params := maps.Clone(tool.Params())
	if mcp.WireOf(c.Revision) == mcp.Stateful {
		params["task"] = map[string]any{"ttl": 60_000}
	}
	return c.Method("tools/call", params)
}

// aTask starts a task with the first declared tool that runs as one.
func aTask(t *T, c mcp.Call) (tool Tool, id string) {
	able := map[string]bool{}
	if mcp.WireOf(c.Revision) == mcp.Stateful {
		for _, listed := range mcp.ReadList(c.Method("tools/list", nil), t.Send).Entries("tools") {
			support := listed.Object("execution").String("taskSupport")
			able[listed.String("name")] = support == "optional" || support == "required"
		}
	}
	for _, tool := range t.Tools {
		if tool.DeniedOnly || mcp.WireOf(c.Revision) == mcp.Stateful && !able[tool.Name] {
			continue
		}
		if id := taskOf(t.MCP.CallInto(asTask(c, tool))); id != "" {
			return tool, t.Hide(id)
		}
	}
	t.NotApplicable("no declared tool runs as a task")
	return Tool{}, ""
}

// taskOf is the id of the task that an answer announces.
func taskOf(ex *reports.Exchange) string {
	result := mcp.Read(ex).Result
	if id := result.Object("task").String("taskId"); id != "" {
		return id
	}
	return result.String("taskId")
}

func taskIDs(ex *reports.Exchange) []string {
	var out []string
	for _, task := range mcp.Read(ex).Objects("tasks") {
		out = append(out, task.String("taskId"))
	}
	return out
}

func about(c mcp.Call, method, id string) mcp.Call {
	params := map[string]any{"taskId": id}
	if method == "tasks/update" {
		params["inputResponses"] = map[string]any{} // otherwise the message is refused for that
	}
	return c.Method(method, params)
}
