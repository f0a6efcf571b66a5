package idp

import (
	"fmt"
	"html"
	"net/http"
	"slices"
)

// grantsPage shows users the clients that act for them, and lets them end the grants.
const grantsPage = "/grants"

// grants shows a signed-in user's clients, with a button for each.
func (s *Server) grants(w http.ResponseWriter, r *http.Request) {
	user := s.user(r)
	if user == "" {
		s.errorPage(w, http.StatusUnauthorized, "Sign in first.")
		return
	}
	if r.Method == http.MethodPost {
		if r.PostFormValue("csrf") != s.seal("grants "+user) {
			s.errorPage(w, http.StatusForbidden, "The form is not ours.")
			return
		}
		s.endGrants(user, r.PostFormValue("client_id"))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, "<!doctype html><title>Applications</title><h1>Applications that act for you</h1>")
	for _, id := range s.clientsOf(user) {
		fmt.Fprintf(w, `<form method="post"><p>%s</p><input type="hidden" name="client_id" value="%s">
<input type="hidden" name="csrf" value="%s"><button>Remove</button></form>`,
			html.EscapeString(s.nameOf(id)), html.EscapeString(id), s.seal("grants "+user))
	}
}

func (s *Server) nameOf(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[id]; c != nil {
		return c.name
	}
	return id
}

// clientsOf returns the clients with a valid grant of a user.
func (s *Server) clientsOf(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, t := range s.refresh {
		if g := t.grant; g.user == user && !g.revoked && !g.hidden && !slices.Contains(out, g.client) {
			out = append(out, g.client)
		}
	}
	slices.Sort(out)
	return out
}

// endGrants revokes a client's grants of a user, and forgets the user's approval.
func (s *Server) endGrants(user, client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[client]; c != nil && s.Behaviour.has(GrantsEnd) {
		delete(s.approved, s.approvalKey(user, c))
	}
	for _, t := range s.refresh {
		if g := t.grant; g.user == user && g.client == client {
			g.hidden = true
			g.revoked = g.revoked || s.Behaviour.has(GrantsEnd)
		}
	}
}

// endAllGrants ends every grant of a user.
func (s *Server) endAllGrants(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.refresh {
		t.grant.revoked = t.grant.revoked || t.grant.user == user
	}
}
