package idp

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/mcpauth/conformance/fakes/login"
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
	to := r.FormValue("post_logout_redirect_uri")
	if to != "" && (s.registeredExit(r.FormValue("client_id"), to) || !s.Behaviour.has(LogoutStays)) {
		http.Redirect(w, r, to, http.StatusFound)
		return
	}
	if s.Behaviour.LoginAnywhere {
		s.loginHere(w, r, s.path()+devicePage)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, "<!doctype html><title>Signed out</title><p>You are signed out.</p>")
}

// registeredExit reports whether a client has registered an address for users who have signed out. Addresses are compared as they are.
func (s *Server) registeredExit(id, address string) bool {
	c := s.find(id)
	if c == nil {
		return false
	}
	addresses, _ := list(c.sent["post_logout_redirect_uris"])
	return slices.Contains(addresses, address)
}

// loginHere signs a user in without an authorization request: its form goes to an address that calls it too.
func (s *Server) loginHere(w http.ResponseWriter, r *http.Request, action string) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	csrf := s.seal("login " + action)
	if r.Method == http.MethodPost && r.PostFormValue("csrf") == csrf {
		if u, known := s.account(r.PostFormValue("username")); known && s.Behaviour.samePassword(r.PostFormValue("password"), u.Password) {
			s.begin(w, r, u.Name)
			http.Redirect(w, r, action, http.StatusSeeOther)
			return
		}
	}
	s.page(w, http.StatusOK, "login", login.Page{Title: "Sign in", Action: action, Hidden: map[string]string{"csrf": csrf},
		AskUser: true, AskPassword: true})
}
