package mcpserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// mostNotes is the number of notes that are stored.
const mostNotes = 200

// Mirroring is the tool whose parameter region clients repeat in the header field Mcp-Param-Region.
const Mirroring = "whoami"

// mirrors reports whether Mcp-Param-Region equals the argument of a call.
func mirrors(header http.Header, m *message) bool {
	fields := header.Values("Mcp-Param-Region")
	arguments, _ := m.Params["arguments"].(map[string]any)
	region, given := arguments["region"].(string)
	if name, _ := m.Params["name"].(string); m.Method != "tools/call" || name != Mirroring {
		return true
	}
	return given && len(fields) == 1 && visible(fields[0]) && decode(fields[0]) == region || !given && len(fields) == 0
}

// list returns the tools in a caller's list.
func (s *Server) list(who *caller) []any {
	tools := []any{}
	for _, t := range Tools {
		if !s.lists(who, t.Name, t.Scope) {
			continue
		}
		properties, required := map[string]any{}, []string{}
		for name := range t.Arguments {
			properties[name], required = map[string]any{"type": "string"}, append(required, name)
		}
		if t.Name == Mirroring {
			properties["region"] = map[string]any{"type": "string", "x-mcp-header": "Region"}
		}
		if !s.Policy.has(NoSecretParameters) {
			properties["api_key"] = map[string]any{"type": "string", "x-mcp-header": "Api-Key"}
		}
		if !s.Policy.has(NoNestedSecrets) {
			key := map[string]any{"api_key": map[string]any{"type": "string"}}
			properties["auth"] = map[string]any{"type": "object", "properties": key}
		}
		execution := map[string]any{"taskSupport": "forbidden"}
		if t.Name == "report" {
			execution["taskSupport"] = "optional"
		}
		tools = append(tools, map[string]any{"name": t.Name, "annotations": map[string]any{"readOnlyHint": t.TellsCaller},
			"execution": execution, "inputSchema": map[string]any{"type": "object", "properties": properties, "required": required}})
	}
	if !s.Policy.has(NoDebugTool) {
		tools = append(tools, map[string]any{"name": "debug_env", "inputSchema": map[string]any{"type": "object"}})
	}
	if !s.Policy.has(ListPerCaller) {
		s.mu.Lock()
		defer s.mu.Unlock()
		stale := s.listed
		if s.listed = tools; stale != nil {
			return stale
		}
	}
	return tools
}

func (s *Server) lists(who *caller, name, scope string) bool {
	return !s.Policy.ListsByScope || s.permits(who, name, scope)
}

// readResource reads the only note.
func (s *Server) readResource(w http.ResponseWriter, m *message, who *caller) {
	uri, _ := m.Params["uri"].(string)
	text := "the first note"
	switch {
	case !s.Policy.has(ResourcesAreNames) && strings.HasSuffix(uri, "../etc/passwd"):
		text = "root:x:0:0:root:/root:/bin/sh\n" // the text that the flaw discloses
	case strings.HasSuffix(uri, "/diary") && s.mayRead(who.user, uri):
		text, _ = s.ofUser(who, strings.TrimSuffix(strings.TrimPrefix(uri, "note://"), "/diary"))
	case uri != "note://notes/1":
		rpcError(w, http.StatusOK, m.ID, -32002, "Resource not found")
		return
	}
	rpcResult(w, m.ID, map[string]any{"contents": []any{map[string]any{"uri": uri, "mimeType": "text/plain", "text": text}}})
}

// act runs a tool; done is false if the call was cancelled, or if there is nothing to read.
func (s *Server) act(ctx context.Context, name string, m *message, who *caller) (text string, done bool) {
	p := &s.Policy
	user := who.user
	if (!p.has(UserPerRequest) || !p.has(CancelOwn)) && name == "whoami" && s.cancelled(ctx, m) { // flaws that only concurrent requests show
		return "", false
	}
	if name == "write_diary" {
		s.updated(diary(user))
		return "written", true
	}
	arguments, _ := m.Params["arguments"].(map[string]any)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.has(UserPerRequest) || !p.has(UserAfterBody) {
		user = s.current
	}
	if claimed, ok := arguments["user_id"].(string); ok && !p.has(NoUserArgument) {
		user = claimed
	}
	return s.actFor(user, name, arguments)
}

// actFor runs a tool for a user; done is false if there is nothing to read. The caller holds the lock.
func (s *Server) actFor(user, name string, arguments map[string]any) (text string, done bool) {
	p := &s.Policy
	switch name {
	case "whoami":
		if p.TellsTime {
			return fmt.Sprintf(`{"user":"%s","at":%d}`, user, time.Now().UnixNano()), true
		}
		return user, true
	case "read_note":
		if !p.has(OwnNotes) {
			user = "alice"
		}
		return "a note, " + mark(user), true
	case "write_note":
		note, _ := arguments["text"].(string)
		if s.notes = append(s.notes, note[:min(len(note), 100)]); len(s.notes) > mostNotes {
			s.notes = s.notes[1:]
		}
	case "open_cart", "read_cart":
		return s.cart(user, name, arguments)
	case "report":
		return "the report of " + user, true
	case "list_notes":
		return strings.Join(s.notes, "\n"), true
	}
	return "done", true
}

// cart opens a cart, or reads one. The caller holds the lock.
func (s *Server) cart(user, name string, arguments map[string]any) (text string, done bool) {
	p := &s.Policy
	if name == "open_cart" {
		handle := "cart_" + RandomID()
		if !p.has(RandomHandles) {
			handle = fmt.Sprintf("cart_%06d", len(s.carts))
		}
		s.carts[handle] = user
		return "the cart " + handle + " is open", true
	}
	handle, _ := arguments["cart"].(string)
	if owner := find(s.carts, handle, p.TakesHandle); owner != "" && (owner == user || !p.has(HandleOwner)) {
		return "the cart of " + owner + " is empty", true
	}
	return "", false
}

// cancelled waits a little, and reports whether the call was cancelled in this time.
func (s *Server) cancelled(ctx context.Context, m *message) bool {
	select {
	case <-time.After(3 * time.Millisecond):
		return false
	case <-s.inFlight(string(m.ID)):
	case <-ctx.Done():
	}
	return true
}

// inFlight returns a channel that is closed when the call with an id is cancelled.
func (s *Server) inFlight(id string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancels[id] == nil {
		s.cancels[id] = make(chan struct{})
	}
	return s.cancels[id]
}

// notified records a notification.
func (s *Server) notified(r *http.Request, m *message, who *caller) {
	if name, _ := m.Params["name"].(string); m.Method == "tools/call" && !s.Policy.has(NotificationsRunNothing) {
		s.act(r.Context(), name, m, who) // the flaw
	}
	if m.Method != "notifications/cancelled" || s.Policy.has(CancelOwn) {
		return
	}
	id := fmt.Sprint(m.Params["requestId"])
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cancels[id]; c != nil {
		close(c)
		delete(s.cancels, id)
	}
}

// valid checks the arguments of a call against its tool's schema: all are required strings.
func (p *Policy) valid(t *Tool, m *message) bool {
	arguments, _ := m.Params["arguments"].(map[string]any)
	for name := range t.Arguments {
		v, given := arguments[name]
		_, isString := v.(string)
		forgiven := !given && !p.has(NeedArguments) || given && v == nil && !p.has(RefuseNull)
		if !isString && !forgiven {
			return false
		}
	}
	return true
}
