package idp

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// failing counts consecutive wrong passwords or secrets.
type failing struct {
	times int
	until time.Time // every attempt is refused until then
	left  int       // at least this many attempts are refused, however long they take
}

// The numbers of consecutive failures after which all logins are refused for a while. They are small, for tests.
const (
	mostPasswords = 15
	mostSecrets   = 45
	mostErrors    = 100
	lockTime      = 60 * time.Millisecond
	outlasted     = 8 // attempts
)

// locked reports whether the server currently refuses every attempt.
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

// failed counts a failure, or resets the count.
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

// counted returns the name under which login failures are counted.
func (s *Server) counted(r *http.Request, name string) string {
	if !s.Behaviour.has(LimitByAccount) {
		return "user " + name + r.Header.Get("X-Forwarded-For") + r.Header.Get("Forwarded")
	}
	return "user " + name
}

// tooMany is a flaw: a grant can be refreshed only five times.
func (s *Server) tooMany(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.refreshes++
	return g.refreshes > 5
}

// The number of registrations with one name that the server accepts in a second, and of documents that it fetches for unknown clients in
// three.
const (
	mostRegistrations = 30
	mostFetches       = 20
	fetchWindow       = 3 * time.Second
)

// crowd holds the times that are counted, oldest first.
type crowd []time.Time

// overLimit counts a request under a name, and reports whether there were more than most within any window.
func (s *Server) overLimit(name string, most int, window time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(s.crowds[name], func(at time.Time) bool { return now.Sub(at) > window })
	over := len(recent) >= most
	if !over {
		recent = append(recent, now)
	}
	s.crowds[name] = recent
	return over
}

// firstSeen reports whether a document has not been named before.
func (s *Server) firstSeen(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, seen := s.crowds["document "+id]
	s.crowds["document "+id] = nil
	return !seen
}

// limitOfOthers is the refusal of a client while another is over its limit, or nil. A server may count by address, and answer with the
// status of a limit; any other answer is a flaw.
func (s *Server) limitOfOthers() *oauthError {
	b := &s.Behaviour
	if b.has(LimitErrorsApart) && b.LimitOfOthers == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, f := range s.failures {
		if strings.HasPrefix(who, "errors ") && time.Now().Before(f.until) {
			if b.LimitOfOthers != 0 {
				return &oauthError{b.LimitOfOthers, "temporarily_unavailable", "too many requests"}
			}
			return refuse("invalid_grant", "too many requests")
		}
	}
	return nil
}

// overrun answers a token request of a client that causes only errors.
func (s *Server) overrun(w http.ResponseWriter, r *http.Request) {
	if !s.Behaviour.has(ErrorLimitStatus) {
		s.writeOAuthError(w, r, &oauthError{http.StatusUnauthorized, "invalid_client", "too many requests"}) // the flaw
		return
	}
	w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusTooManyRequests, map[string]string{"error": "temporarily_unavailable", "error_description": "too many requests"})
}
