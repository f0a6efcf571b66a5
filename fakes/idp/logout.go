package idp

import (
	"fmt"
	"net/http"
)

// logoutEndpoint ends the session of a browser (OpenID Connect RP-Initiated Logout).
const logoutEndpoint = "/logout"

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if s.Behaviour.has(LogoutEnds) {
		s.mu.Lock()
		if s.Behaviour.has(LogoutAtServer) {
			delete(s.sessions, s.cookie(r, "as_session"))
		}
		s.mu.Unlock()
		s.setCookie(w, "as_session", "")
	}
	if to := r.FormValue("post_logout_redirect_uri"); to != "" && !s.Behaviour.has(LogoutStays) {
		http.Redirect(w, r, to, http.StatusFound) // the flaw: no client registered it
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, "<!doctype html><title>Signed out</title><p>You are signed out.</p>")
}
