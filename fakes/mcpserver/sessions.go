package mcpserver

import (
	"net/http"
)

// SessionManners configure identifiers of state: sessions, handles, tasks, request states. Zero values are right.
type SessionManners struct {
	NewSessionID       func(r *http.Request) string
	SessionServes      func(r *http.Request, body []byte) bool   // requests that need only the id of a live session: a flaw
	SessionShared      func(r *http.Request, method string) bool // methods that other users may call in a session: a flaw
	TakesSession       func(id, sent string) bool                // accepts an id that is not equal: a flaw
	AdoptsSession      func(sent string) bool                    // ids chosen by a client that are adopted: a flaw
	ServesEnded        func(r *http.Request, method string) bool // requests that are served in an ended session: a flaw
	GoneStatus         int                                       // the status of requests in an ended session; 404 if zero
	AwaitsInitialized  bool                                      // a session serves no request before notifications/initialized
	BindsAnonymous     bool                                      // a caller without a token cannot use a user's session, nor the reverse
	RefusalEndsSession bool                                      // the first refused request ends its session
	ReplaysAll         func(last string) bool                    // event ids after which a stream replays the events of all users: a flaw
	TakesHandle        func(handle, sent string) bool            // accepts a handle that is not equal: a flaw
	TakesTask          func(id, sent string) bool                // accepts a task id that is not equal: a flaw
	SharesTask         func(status string) bool                  // tasks that every user may see: a flaw
	TakesState         func(sent string) bool                    // request states that are always good: a flaw
	StateIsJWT         bool                                      // a request state is a JWT
	TakesStateOf       func(tool, sent string) bool              // request states that are always good for a tool: a flaw
	TakesSeal          func(sent, right string) bool             // compares the seals of request states: a flaw
}

// adopts is a flaw: a session gets an id that a client has chosen.
func (p *Policy) adopts(chosen string) bool {
	return !p.has(OwnSessionIDs) || p.AdoptsSession != nil && p.AdoptsSession(chosen)
}

// session returns the live session of a request; nil if there is none.
func (s *Server) session(r *http.Request) *session {
	sent := r.Header.Get("Mcp-Session-Id")
	s.mu.Lock()
	defer s.mu.Unlock()
	if live := s.sessions[sent]; live != nil || s.Policy.TakesSession == nil {
		return live
	}
	for id, live := range s.sessions {
		if s.Policy.TakesSession(id, sent) {
			return live
		}
	}
	return nil
}

// servesInSession is a flaw: the session id is enough for a request.
func (s *Server) servesInSession(r *http.Request, body []byte) bool {
	p := &s.Policy
	live := s.session(r)
	if live == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.SessionServes != nil && p.SessionServes(r, body) || !p.has(TokenInEveryRequest) && live.upgraded
}

// upgrade records that a session has had a valid token.
func (s *Server) upgrade(live *session, who *caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live.upgraded = live.upgraded || who.user != "anonymous"
}

// proceed records the progress of a session. If the policy says so, it refuses messages before the end of the handshake. A ping may come at
// any time.
func (s *Server) proceed(w http.ResponseWriter, m *message, live *session, who *caller) bool {
	s.upgrade(live, who)
	s.mu.Lock()
	defer s.mu.Unlock()
	live.ready = live.ready || m.Method == "notifications/initialized"
	if !s.Policy.AwaitsInitialized || live.ready || m.Method == "ping" || m.Method == "" {
		return true
	}
	rpcError(w, http.StatusOK, m.ID, -32602, "Invalid request parameters") // the text of the Python SDK
	return false
}

// forget ends the session of a request.
func (s *Server) forget(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.Header.Get("Mcp-Session-Id")
	s.ended[id] = s.sessions[id] != nil || s.ended[id]
	delete(s.sessions, id)
}

// servesEnded is a flaw: a request is served in an ended session.
func (s *Server) servesEnded(r *http.Request, method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Policy.ServesEnded != nil && s.ended[r.Header.Get("Mcp-Session-Id")] && s.Policy.ServesEnded(r, method)
}

// find returns the value of a key, or of another key that a flaw accepts instead.
func find[V any](all map[string]V, sent string, takes func(id, sent string) bool) V {
	v, ok := all[sent]
	if ok || takes == nil {
		return v
	}
	for id, other := range all {
		if takes(id, sent) {
			return other
		}
	}
	return v
}
