package mcpserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// watcher is an open stream of notifications about resources.
type watcher struct {
	user    string
	id      json.RawMessage // of the request that opened it, in the protocol without sessions
	session string          // in the protocol with sessions
	uris    map[string]bool
	events  chan event
	alive   func() bool // reports whether its token is still valid
}

type event struct{ id, data string }

// mostEvents is the number of events that are stored for a session.
const mostEvents = 100

// updated notifies all streams that watch a resource.
func (s *Server) updated(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, live := range s.sessions {
		if !live.subscribed[uri] || !s.mayRead(live.user, uri) && s.Policy.has(SubscribeOwn) {
			continue
		}
		s.counter++
		e := event{live.mark + "-" + fmt.Sprint(s.counter), notification("notifications/resources/updated", map[string]any{"uri": uri})}
		switch {
		case !s.Policy.has(EventsPerStream):
			e.id = fmt.Sprint(s.counter) // the flaw: one log for all sessions
		case s.Policy.NoEventIDs:
			e.id = ""
		}
		live.events = append(live.events, e)
		if len(live.events) > mostEvents {
			live.events = live.events[1:]
		}
		s.log = append(s.log, e)
		for w := range s.watchers {
			if w.session == id {
				w.send(e)
			}
		}
	}
	for w := range s.watchers {
		if w.session == "" && w.uris[uri] {
			w.send(event{"", notification("notifications/resources/updated",
				map[string]any{"uri": uri, "_meta": map[string]any{"io.modelcontextprotocol/subscriptionId": w.id}})})
		}
	}
}

// send drops an event if the stream is full.
func (w *watcher) send(e event) {
	select {
	case w.events <- e:
	default:
	}
}

func notification(method string, params map[string]any) string {
	b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params}) // plain values always marshal
	return string(b)
}

// subscribe implements resources/subscribe of the protocol with sessions.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request, m *message, who *caller) {
	uri, _ := m.Params["uri"].(string)
	if !s.mayRead(who.user, uri) && s.Policy.has(SubscribeOwn) {
		rpcError(w, http.StatusOK, m.ID, -32002, "Resource not found")
		return
	}
	s.mu.Lock()
	if live := s.sessions[r.Header.Get("Mcp-Session-Id")]; live != nil {
		live.subscribed[uri] = m.Method == "resources/subscribe"
	}
	s.mu.Unlock()
	rpcResult(w, m.ID, map[string]any{})
}

// listen implements subscriptions/listen of the protocol without sessions.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, m *message, who *caller) {
	wanted, _ := m.Params["notifications"].(map[string]any)
	uris, _ := wanted["resourceSubscriptions"].([]any)
	watch := s.watch(r, who)
	watch.id, watch.uris = m.ID, map[string]bool{}
	agreed := []string{}
	for _, u := range uris {
		if uri, ok := u.(string); ok && (s.mayRead(who.user, uri) || !s.Policy.has(SubscribeOwn)) {
			agreed, watch.uris[uri] = append(agreed, uri), true
		}
	}
	first := notification("notifications/subscriptions/acknowledged", map[string]any{
		"notifications": map[string]any{"resourceSubscriptions": agreed}, "_meta": map[string]any{"io.modelcontextprotocol/subscriptionId": m.ID},
	})
	s.deliver(w, r, watch, []event{{"", first}})
}

// watch makes a stream that ends with the token of its request.
func (s *Server) watch(r *http.Request, who *caller) *watcher {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return &watcher{user: who.user, events: make(chan event, 16), alive: func() bool {
		return who.static != nil || who.thumbprint != "" || who.user == "anonymous" || s.verify(r, token) != nil || s.outlives(token)
	}}
}

// outlives reports whether streams go on, by a flaw, after their token was revoked or has expired.
func (s *Server) outlives(token string) bool {
	var claims struct{ Exp float64 }
	parts := strings.Split(token, ".")
	expired := len(parts) == 3 && decodeSegment(parts[1], &claims) && float64(s.now().Unix()) > claims.Exp
	return !s.Policy.has(StreamsEnd) || expired && !s.Policy.has(StreamsExpire) || !expired && !s.Policy.has(StreamsRevoked)
}

// takePlace takes the one place for a stream in a session. The place is free again a while after the stream has ended, as at a server
// that does not see at once that its client has left.
func (s *Server) takePlace(session string) (leave func(), free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.sessions[session]
	if live == nil {
		return func() {}, true
	}
	if live.streaming {
		return nil, false
	}
	live.streaming = true
	return func() {
		time.AfterFunc(s.Policy.OneStream, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			live.streaming = false
		})
	}, true
}

// deliver writes events as they come, until the client leaves or the token ends.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, watch *watcher, before []event) {
	s.mu.Lock()
	s.watchers[watch] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, watch)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	flush := http.NewResponseController(w)
	if !s.Policy.LateHeader {
		fmt.Fprint(w, ": open\n\n")
	}
	for _, e := range before {
		e.write(w)
	}
	if !s.Policy.LateHeader || len(before) > 0 {
		_ = flush.Flush()
	}
	for {
		select {
		case e := <-watch.events:
			if !watch.alive() {
				return
			}
			e.write(w)
			_ = flush.Flush()
		case <-r.Context().Done():
			return
		case <-s.stop:
			return
		}
	}
}

func (e event) write(w http.ResponseWriter) {
	if e.id != "" {
		fmt.Fprintf(w, "id: %s\n", e.id)
	}
	fmt.Fprintf(w, "data: %s\n\n", e.data)
}

// missed returns the events of a session after the last one that the client has seen.
func (s *Server) missed(session, last string) []event {
	if last == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var log []event
	if live := s.sessions[session]; live != nil {
		log = live.events
	}
	if !s.Policy.has(EventsPerStream) {
		log = s.log
	}
	if s.Policy.ReplaysAll != nil && s.Policy.ReplaysAll(last) {
		return slices.Clone(s.log)
	}
	for i, e := range log {
		if e.id == last {
			return append([]event(nil), log[i+1:]...)
		}
	}
	return nil
}
