package idp

import (
	"cmp"
	"net/http"
	"time"
)

// failing is how often in a row somebody gave a wrong password or secret.
type failing struct {
	times int
	until time.Time // while this lasts, nothing is looked at
	left  int       // attempts at the least that are not looked at, however long they take
}

// The numbers of failures in a row after which nobody is let in for a while. They are short-lived, for tests.
const (
	mostPasswords = 15
	mostSecrets   = 45
	mostErrors    = 100
	lockTime      = 60 * time.Millisecond
	outlasted     = 8 // attempts
)

// locked reports that nothing is looked at for now.
func (s *Server) locked(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures[who]
	if f.left > 0 {
		f.left--
		s.failures[who] = f
		return true
	}
	return time.Now().Before(f.until)
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
		f = failing{until: time.Now().Add(cmp.Or(s.Behaviour.LockTime, lockTime)), left: outlasted}
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

// How many clients of one name are taken in a second, and documents fetched for strangers in three.
const (
	mostRegistrations = 30
	mostFetches       = 20
	fetchWindow       = 3 * time.Second
)

// crowd counts in a window of time.
type crowd struct {
	began time.Time
	count int
}

// overLimit counts under a name, and reports that it is more than most.
func (s *Server) overLimit(name string, most int, window time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.crowds[name]
	if time.Since(c.began) > window {
		c = crowd{began: time.Now()}
	}
	c.count++
	s.crowds[name] = c
	return c.count > most
}

// firstSeen reports that nobody has named a document before.
func (s *Server) firstSeen(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, seen := s.crowds["document "+id]
	s.crowds["document "+id] = crowd{}
	return !seen
}

// overrun answers a token request of a client that brings errors only.
func (s *Server) overrun(w http.ResponseWriter, r *http.Request) {
	if !s.Behaviour.has(ErrorLimitStatus) {
		s.writeOAuthError(w, r, &oauthError{http.StatusUnauthorized, "invalid_client", "too many requests"}) // the flaw
		return
	}
	w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusTooManyRequests, map[string]string{"error": "temporarily_unavailable", "error_description": "too many requests"})
}
