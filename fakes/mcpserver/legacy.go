package mcpserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The endpoints of the HTTP+SSE transport of 2024-11-05.
const (
	legacyStream   = "/sse"
	legacyMessages = "/messages"
)

// legacySSE opens the stream of the HTTP+SSE transport, and announces where messages go.
func (s *Server) legacySSE(w http.ResponseWriter, r *http.Request) {
	who, cause := s.authenticate(r, nil)
	if who == nil && !s.Policy.has(GuardLegacyStream) {
		who, cause = &caller{user: "anonymous"}, ""
	}
	if who == nil {
		s.refuse(w, r, cause)
		return
	}
	id := RandomID()
	watch := s.watch(r, who)
	s.mu.Lock()
	s.legacy[id] = watch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.legacy, id)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	if s.Policy.LateEvents > 0 {
		_ = flush.Flush()
		time.Sleep(s.Policy.LateEvents)
	}
	fmt.Fprintf(w, "event: endpoint\ndata: %s?sessionId=%s\n\n", legacyMessages, id)
	_ = flush.Flush()
	for {
		select {
		case e := <-watch.events:
			time.Sleep(s.Policy.LateEvents)
			fmt.Fprintf(w, "event: message\ndata: %s\n\n", e.data)
			_ = flush.Flush()
		case <-r.Context().Done():
			return
		case <-s.stop:
			return
		}
	}
}

// legacyMessage accepts a message from the stream's user, and answers on the stream.
func (s *Server) legacyMessage(w http.ResponseWriter, r *http.Request) {
	p := &s.Policy
	who, cause := s.authenticate(r, nil)
	if !p.has(MessagesNameStreams) && r.URL.Query().Get("sessionId") == "" {
		s.toAll(w, r)
		return
	}
	s.mu.Lock()
	watch := s.legacy[r.URL.Query().Get("sessionId")]
	s.mu.Unlock()
	if !p.has(GuardLegacyMessages) && watch != nil {
		who = &caller{user: watch.user} // the flaw
	}
	if who == nil {
		s.refuse(w, r, cause)
		return
	}
	if watch == nil || watch.user != who.user && p.has(LegacyOwner) {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	var m message
	if err != nil || json.Unmarshal(body, &m) != nil {
		http.Error(w, "not a JSON-RPC message", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	if m.notification() {
		return
	}
	answer := map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": map[string]any{}}
	switch m.Method {
	case "initialize":
		answer["result"] = map[string]any{"protocolVersion": "2024-11-05", "capabilities": map[string]any{"tools": map[string]any{}},
			"serverInfo": map[string]any{"name": "reference", "version": "1"}}
	case "tools/list":
		answer["result"] = map[string]any{"tools": s.list(who)}
	}
	b, _ := json.Marshal(answer) // plain values always marshal
	watch.send(event{"", string(b)})
}

// toAll is a flaw: it answers a message on every open stream.
func (s *Server) toAll(w http.ResponseWriter, r *http.Request) {
	var m message
	_ = json.NewDecoder(r.Body).Decode(&m)
	b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": map[string]any{}}) // plain values always marshal
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, watch := range s.legacy {
		watch.send(event{"", string(b)})
	}
	w.WriteHeader(http.StatusAccepted)
}
