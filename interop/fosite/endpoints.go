package main

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"
)

// server is the library with the endpoints that an application adds.
type server struct {
	fosite.OAuth2Provider
	pages *pages
	key   *rsa.PrivateKey

	mu      sync.Mutex
	waiting map[string]fosite.AuthorizeRequester // for the user's decision
}

func (s *server) endpoints() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/interaction", s.interaction)
	mux.HandleFunc("POST /login", s.pages.login)
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/revoke", s.revoke)
	mux.HandleFunc("/introspect", s.introspect)
	mux.HandleFunc("/par", s.par)
	mux.HandleFunc("GET /jwks", s.keys)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", published)
	mux.HandleFunc("GET /.well-known/openid-configuration", published)
	return mux
}

// authorize checks a request once, and keeps it while the user signs in and decides.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	ar, err := s.NewAuthorizeRequest(r.Context(), r)
	switch {
	case err != nil:
	case !rightResource(ar.GetRequestForm()):
		err = invalidTarget
	case ar.GetRequestForm().Get("prompt") == "none" && s.pages.user(r) == "":
		err = fosite.ErrLoginRequired
	case ar.GetRequestForm().Get("prompt") == "none":
		err = fosite.ErrConsentRequired
	default:
		http.Redirect(w, r, "/interaction?id="+s.keep(ar), http.StatusSeeOther)
		return
	}
	s.WriteAuthorizeError(r.Context(), w, ar, err)
}

func (s *server) keep(ar fosite.AuthorizeRequester) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[id] = ar
	return id
}

// request returns a request that waits, and with take removes it.
func (s *server) request(id string, take bool) fosite.AuthorizeRequester {
	s.mu.Lock()
	defer s.mu.Unlock()
	ar := s.waiting[id]
	if take {
		delete(s.waiting, id)
	}
	return ar
}

func (s *server) interaction(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	ar := s.request(id, false)
	if ar != nil {
		user, allowed, decided := s.pages.decide(w, r, ar)
		if !decided {
			return
		}
		if ar = s.request(id, true); ar != nil {
			s.answer(w, r, ar, user, allowed)
			return
		}
	}
	http.Error(w, "this request is unknown, or was decided", http.StatusBadRequest)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, ar fosite.AuthorizeRequester, user string, allowed bool) {
	if !allowed {
		s.WriteAuthorizeError(r.Context(), w, ar, fosite.ErrAccessDenied)
		return
	}
	for _, scope := range ar.GetRequestedScopes() {
		ar.GrantScope(scope)
	}
	ar.GrantAudience(resource)
	resp, err := s.NewAuthorizeResponse(r.Context(), ar, session(user))
	if err != nil {
		s.WriteAuthorizeError(r.Context(), w, ar, err)
		return
	}
	s.WriteAuthorizeResponse(r.Context(), w, ar, resp)
}

var invalidTarget = &fosite.RFC6749Error{ErrorField: "invalid_target", DescriptionField: "This resource is unknown.", CodeField: 400}

// rightResource reports whether a request is for the resource here. An empty parameter counts as absent.
func rightResource(form url.Values) bool {
	asked := strings.Join(form["resource"], "")
	return asked == "" || len(form["resource"]) == 1 && asked == resource
}

func session(user string) *openid.DefaultSession {
	now := time.Now()
	return &openid.DefaultSession{Subject: user, Username: user, Headers: &jwt.Headers{Extra: map[string]any{"kid": keyID}},
		Claims: &jwt.IDTokenClaims{Issuer: issuer, Subject: user, IssuedAt: now, AuthTime: now, RequestedAt: now}}
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	ar, err := s.NewAccessRequest(r.Context(), r, session(""))
	if err == nil && !rightResource(r.PostForm) {
		err = invalidTarget
	}
	if err != nil {
		s.WriteAccessError(r.Context(), w, ar, err)
		return
	}
	resp, err := s.NewAccessResponse(r.Context(), ar)
	if err != nil {
		s.WriteAccessError(r.Context(), w, ar, err)
		return
	}
	s.WriteAccessResponse(r.Context(), w, ar, resp)
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	s.WriteRevocationResponse(r.Context(), w, s.NewRevocationRequest(r.Context(), r))
}

func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	resp, err := s.NewIntrospectionRequest(r.Context(), r, session(""))
	if err != nil {
		s.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.WriteIntrospectionResponse(r.Context(), w, resp)
}

func (s *server) par(w http.ResponseWriter, r *http.Request) {
	ar, err := s.NewPushedAuthorizeRequest(r.Context(), r)
	if err == nil {
		var resp fosite.PushedAuthorizeResponder
		if resp, err = s.NewPushedAuthorizeResponse(r.Context(), ar, session("")); err == nil {
			s.WritePushedAuthorizeResponse(r.Context(), w, ar, resp)
			return
		}
	}
	s.WritePushedAuthorizeError(r.Context(), w, ar, err)
}
