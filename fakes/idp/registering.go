package idp

import "net/http"

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
