package mcpserver

import (
	"net/http"
)

// SessionManners are how a server handles identifiers of state: sessions, handles, tasks, request states. Zero values are right.
type SessionManners struct {
	NewSessionID       func(r *http.Request) string
	SessionServes      func(r *http.Request, body []byte) bool   // which requests need only the id of a live session: a flaw
	SessionShared      func(r *http.Request, method string) bool // what others may do in a session: a flaw
	TakesSession       func(id, sent string) bool                // how ids are compared, where they are not equal: a flaw
	AdoptsSession      func(sent string) bool                    // which ids that a client chose are adopted: a flaw
	ServesEnded        func(r *http.Request, method string) bool // what is served in an ended session: a flaw
	GoneStatus         int                                       // of what is sent in an ended session; 404 if zero
	SessionUpgrades    bool                                      // a session that had a good token once needs none: a flaw
	EndsFirst          bool                                      // DELETE ends the session before the token is verified: a flaw
	AwaitsInitialized  bool                                      // nothing is served in a session before notifications/initialized
	BindsAnonymous     bool                                      // a caller without a token is not in the session of a user, nor the reverse
	RefusalEndsSession bool                                      // a session ends with the first request in it that is refused
	ReplaysAll         func(last string) bool                    // after which event ids a stream brings those of everybody: a flaw
	TakesHandle        func(handle, sent string) bool            // how handles are compared, where they are not equal: a flaw
	TakesTask          func(id, sent string) bool                // how ids of tasks are compared, where they are not equal: a flaw
	TakesState         func(sent string) bool                    // which request states are good whatever they hold: a flaw
	TakesSeal          func(sent, right string) bool             // how seals of request states are compared: a flaw
}

// adopts reports a flaw: a session gets the id that a client chose.
func (p *Policy) adopts(chosen string) bool {
	return !p.has(OwnSessionIDs) || p.AdoptsSession != nil && p.AdoptsSession(chosen)
}

// session is the live session of a request; nil if there is none.
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

// servesInSession reports a flaw: the session id is enough for a request.
func (s *Server) servesInSession(r *http.Request, body []byte) bool {
	p := &s.Policy
	live := s.session(r)
	if live == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.SessionServes != nil && p.SessionServes(r, body) || p.SessionUpgrades && live.upgraded
}

// upgrade records that a session had a valid token.
func (s *Server) upgrade(live *session, who *caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live.upgraded = live.upgraded || who.user != "anonymous"
}

// proceed records the progress of a session. If the policy says so, it refuses messages before the end of the handshake. A ping may
// come at any time.
func (s *Server) proceed(w http.ResponseWriter, m *message, live *session, who *caller) bool {
	s.upgrade(live, who)
	s.mu.Lock()
	defer s.mu.Unlock()
	live.ready = live.ready || m.Method == "notifications/initialized"
	if !s.Policy.AwaitsInitialized || live.ready || m.Method == "ping" || m.Method == "" {
		return true
	}
	rpcError(w, http.StatusOK, m.ID, -32602, "Invalid request parameters") // as the Python SDK says it
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

// servesEnded reports a flaw: a request is served though its session has ended.
func (s *Server) servesEnded(r *http.Request, method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Policy.ServesEnded != nil && s.ended[r.Header.Get("Mcp-Session-Id")] && s.Policy.ServesEnded(r, method)
}

// find is the value of a name, or of one that a flaw accepts instead.
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
