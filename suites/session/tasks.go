package session

import (
	"maps"
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// taskExtension is what a client of the stateless wire declares that understands tasks.
var taskExtension = map[string]any{"extensions": map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}}

// MCP 2025-11-25, tasks: "receivers MUST bind tasks to the authorization context".
func tasks() {
	Must("RS-SESSION-TASK-OWNERSHIP", func(t *T) {
		owner := t.MCP.FirstToken()
		own := taskSession(t, owner)
		tool, id := aTask(t, own)
		get := func(c mcp.Call) *reports.Exchange { return about(t, c, "tasks/get", id) }
		if ex := get(own); !expect.Accepted(ex) {
			t.Inconclusive("the control failed: tasks/get by the one who made the task is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		stranger := taskSession(t, t.MCP.SecondToken())
		for _, method := range []string{"tasks/get", "tasks/result", "tasks/update", "tasks/cancel"} {
			if ex := about(t, stranger, method, id); expect.Accepted(ex) {
				t.Finding(ex, method+" by another user", "a refusal", expect.Describe(ex))
			} else {
				t.RefusedBy(ex)
			}
		}
		if ex := t.Send(stranger.Method("tasks/list", nil)); slices.Contains(taskIDs(ex), id) {
			t.Finding(ex, "tasks/list by another user", "that user's own tasks", "the first user's task is listed")
		}
		bare := own
		bare.Header = nil
		t.Expect(get(bare), "tasks/get without a token").To(expect.Refuse(401))
		existence(t, stranger, id)
		if ex := get(taskSession(t, t.MCP.FirstToken())); !expect.Accepted(ex) {
			t.Advise(ex, "the task for the same user with a renewed token", "%s", expect.Describe(ex))
		}
		ids := []string{id}
		for range 4 {
			if made := taskOf(t.MCP.CallInto(asTask(own, tool))); made != "" {
				ids = append(ids, made)
			}
		}
		if weak, slight := expect.Weakness(ids); weak != "" && !slight {
			t.Advise(nil, "task ids that cannot be guessed", "%s", weak)
		}
	})
}

// taskSession is a session of a client that understands tasks.
func taskSession(t *T, token string) mcp.Call {
	call, refused := t.MCP.CapableSession(taskExtension, mcp.Bearer(token))
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return call.With(mcp.Bearer(token))
}

// asTask calls a tool as a task: on the stateless wire the target decides, since the client has said that it may.
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
		for _, listed := range mcp.Read(t.Send(c.Method("tools/list", nil))).Objects("tools") {
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

// taskOf is the id of the task that an answer begins.
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

func about(t *T, c mcp.Call, method, id string) *reports.Exchange {
	return t.Send(c.Method(method, map[string]any{"taskId": id}))
}

// existence judges that a stranger cannot tell a task that is there from one that is not.
func existence(t *T, stranger mcp.Call, id string) {
	there, none := about(t, stranger, "tasks/get", id), about(t, stranger, "tasks/get", "mcpauth-"+Random(12))
	if a, b := mcp.Read(there), mcp.Read(none); !expect.Accepted(there) && (a.Code != b.Code || expect.Status(there) != expect.Status(none)) {
		t.Advise(there, "the same answer for another user's task as for none", "%s, and for an unknown id %s", expect.Describe(there), expect.Describe(none))
	}
}
