package idp

import (
	"net/http"
	"time"
)

// failing is how often in a row somebody gave a wrong password or secret.
type failing struct {
	times int
	until time.Time // while this lasts, nothing is looked at
}

// The numbers of failures in a row after which nobody is let in for a while. They are short-lived, for tests.
const (
	mostPasswords = 15
	mostSecrets   = 45
	lockTime      = 60 * time.Millisecond
)

// locked reports that nothing is looked at for now.
func (s *Server) locked(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.failures[who].until)
}

// failed counts a failure, or forgets those before.
func (s *Server) failed(who string, wrong bool, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures[who]
	if !wrong {
		delete(s.failures, who)
		return
	}
	if f.times++; f.times >= most {
		f = failing{until: time.Now().Add(lockTime)}
	}
	s.failures[who] = f
}

// counted is under which name failures at the login are counted.
func (s *Server) counted(r *http.Request, name string) string {
	if !s.Behaviour.has(LimitByAccount) {
		return "user " + name + r.Header.Get("X-Forwarded-For")
	}
	return "user " + name
}

// tooMany is a flaw: five refreshes of a grant are the most.
func (s *Server) tooMany(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.refreshes++
	return g.refreshes > 5
}
