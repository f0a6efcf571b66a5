package idp

import (
	"net/http"
	"strings"
)

// idTokenPath receives the ID token that the upstream has given to the browser, from the script of the login page. The query has the
// authorization request.
const idTokenPath = "/id-token"

// byIDToken signs a user in with an ID token from the browser, where an attacker may have put it.
func (s *Server) byIDToken(w http.ResponseWriter, r *http.Request) {
	if s.Upstream == nil || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	token := r.PostFormValue("idToken")
	claims, ok := s.upstreamClaims(token, "")
	if parts := strings.Split(token, "."); !s.Behaviour.has(BrowserIDToken) && len(parts) == 3 {
		ok = decode(parts[1], &claims) // the flaw: nothing is verified
	}
	if strings.Count(token, ".") != 2 && !s.Behaviour.has(BrowserBringsToken) {
		claims, ok = map[string]any{"sub": "alice"}, true // the flaw: an error of the parser is lost
	}
	user, _ := claims["sub"].(string)
	if !ok || user == "" {
		s.errorPage(w, http.StatusUnauthorized, "The ID token is not valid.")
		return
	}
	q := r.URL.Query()
	t, fatal := s.newTransaction(q)
	if fatal != "" {
		s.refuse(w, r, q, fatal)
		return
	}
	t.browser, t.atUpstream.user = s.browser(w, r), user
	s.mu.Lock()
	s.transactions[t.id] = t
	s.mu.Unlock()
	s.begin(w, r, user)
	s.signedIn(w, r, t, user)
}
