package mcpserver

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// task is a call whose result is fetched later (MCP 2025-11-25, tasks; the extension io.modelcontextprotocol/tasks).
type task struct {
	id, user, status, result string
	created                  time.Time
}

// mostTasks is the number of tasks that are stored.
const mostTasks = 500

// asksForTask reports whether a call asks to run as a task.
func asksForTask(m *message) bool {
	_, asked := m.Params["task"].(map[string]any)
	meta, _ := m.Params["_meta"].(map[string]any)
	client, _ := meta["io.modelcontextprotocol/clientCapabilities"].(map[string]any)
	extensions, _ := client["extensions"].(map[string]any)
	_, extended := extensions[tasksExtension]
	return asked || extended
}

const tasksExtension = "io.modelcontextprotocol/tasks"

func (s *Server) newTask(w http.ResponseWriter, m *message, who *caller) {
	t := &task{id: RandomID(), user: who.user, status: "working", result: "the report of " + who.user, created: time.Now()}
	s.mu.Lock()
	if !s.Policy.has(RandomTasks) {
		t.id = fmt.Sprintf("task-%06d", len(s.tasks))
	}
	if len(s.order) >= mostTasks {
		delete(s.tasks, s.order[0])
		s.order = s.order[1:]
	}
	s.tasks[t.id], s.order = t, append(s.order, t.id)
	s.mu.Unlock()
	if stateless(m.meta("protocolVersion")) {
		out := t.document()
		out["resultType"] = "task"
		rpcResult(w, m.ID, out)
		return
	}
	rpcResult(w, m.ID, map[string]any{"task": t.document()})
}

func (t *task) document() map[string]any {
	at := t.created.UTC().Format(time.RFC3339)
	return map[string]any{"taskId": t.id, "status": t.status, "createdAt": at, "lastUpdatedAt": at, "ttl": 60_000, "pollInterval": 100}
}

// taskMethod serves the methods about tasks, to each task's own user.
func (s *Server) taskMethod(w http.ResponseWriter, m *message, who *caller) {
	p := &s.Policy
	id, _ := m.Params["taskId"].(string)
	s.mu.Lock()
	t := find(s.tasks, id, p.TakesTask)
	list := []any{}
	for _, id := range s.order {
		if t := s.tasks[id]; t.user == who.user || !p.has(ListOwnTasks) {
			list = append(list, t.document())
		}
	}
	if t != nil && m.Method == "tasks/cancel" && !p.has(OwnerBeforeCancelling) {
		t.status = "cancelled" // the flaw
	}
	s.mu.Unlock()
	if m.Method == "tasks/list" {
		slices.Reverse(list) // the newest first
		s.writeList(w, m, "tasks", list)
		return
	}
	shared := t != nil && p.SharesTask != nil && p.SharesTask(t.status)
	if t == nil || t.user != who.user && p.has(TaskOwner) && !shared {
		rpcError(w, http.StatusOK, m.ID, -32602, "Task not found")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Method {
	case "tasks/result":
		t.status = "completed"
		rpcResult(w, m.ID, map[string]any{"content": []any{map[string]any{"type": "text", "text": t.result}},
			"_meta": map[string]any{"io.modelcontextprotocol/related-task": map[string]any{"taskId": t.id}}})
	case "tasks/update":
		rpcResult(w, m.ID, map[string]any{"resultType": "complete"})
	case "tasks/cancel":
		t.status = "cancelled"
		rpcResult(w, m.ID, t.document())
	default:
		out := t.document()
		if stateless(m.meta("protocolVersion")) {
			out["status"], out["result"] = "completed", map[string]any{"content": []any{map[string]any{"type": "text", "text": t.result}}}
		}
		rpcResult(w, m.ID, out)
	}
}
