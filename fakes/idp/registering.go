package idp

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// Registering bends registration in one place each. What is left zero is right.
type Registering struct {
	// RegistrationRefuses are members with which no client is registered.
	RegistrationRefuses []string
	// SecretOf makes the secret of a client from its name.
	SecretOf func(name string) string
	// ForgetsClient reports that the n-th look-up of a client, from 0, does not find it.
	ForgetsClient func(n int) bool
	// RegistrationType is the media type of the answer to a registration.
	RegistrationType string
	// StoredReads lets the answer to a client that reads its registration be stored.
	StoredReads bool
	// RegistersRedirect has the i-th redirect URI, from 0, registered, whatever is wrong with it.
	RegistersRedirect func(i int, uri string) bool
	// ReadsRedirects makes the list of redirect URIs of the member, whatever that is.
	ReadsRedirects func(v any) any
	// CrashesOn reports that the body of a registration is answered with 500.
	CrashesOn func(mediaType, body string) bool
	// RegistersBody makes a registration of a body that is none; nil of the others.
	RegistersBody func(mediaType, body string) map[string]any
	// RegistrationError bends the answer to a registration that is refused.
	RegistrationError func(status *int, mediaType *string, members map[string]any)
	// RegistersTypes confirms grant and response types as they are sent.
	RegistersTypes func(grants, responses []string) bool
	// MachineWithoutRedirects registers who names no redirect URI for grants that need none, as is right too.
	MachineWithoutRedirects bool
	// TypedRedirects has loopback redirect URIs for application_type native only, and https ones for web only (OpenID Connect Dynamic
	// Client Registration section 2), as is right too.
	TypedRedirects bool
}

// unfit is what of the redirect URIs does not fit the client's application_type.
func (s *Server) unfit(c *client) *badMetadata {
	for _, uri := range c.redirectURIs {
		switch loopback := strings.HasPrefix(uri, "http://"); {
		case !s.Behaviour.TypedRedirects:
		case loopback && !c.native:
			return &badMetadata{"invalid_redirect_uri", "a loopback redirect URI needs application_type native"}
		case c.native && strings.HasPrefix(uri, "https://"):
			return &badMetadata{"invalid_redirect_uri", "an https redirect URI needs application_type web"}
		}
	}
	return nil
}

// forgotten reports that a look-up finds no client.
func (s *Server) forgotten() bool {
	if s.Behaviour.ForgetsClient == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookups++
	return s.Behaviour.ForgetsClient(s.lookups - 1)
}

func (s *Server) writeClient(w http.ResponseWriter, status int, c *client) {
	if s.Behaviour.has(RegisterNoStore) {
		w.Header().Set("Cache-Control", "no-store")
	}
	if !s.Behaviour.has(RegisterCreated) {
		status = http.StatusOK
	}
	writeJSONAs(w, s.Behaviour.RegistrationType, status, c.meta)
}

// oddBody answers a body by which the server is bent; done is false for all others.
func (s *Server) oddBody(w http.ResponseWriter, r *http.Request, mediaType string) (meta map[string]any, done bool) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if s.Behaviour.CrashesOn != nil && s.Behaviour.CrashesOn(mediaType, string(body)) {
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return nil, true
	}
	if s.Behaviour.RegistersBody != nil {
		meta = s.Behaviour.RegistersBody(mediaType, string(body))
	}
	return meta, meta != nil
}
