package idp

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// Registering has deviations of registration. Zero values are right.
type Registering struct {
	// RegistrationRefuses are members that make the server refuse a registration.
	RegistrationRefuses []string
	// SecretOf makes the secret of a client from its name.
	SecretOf func(name string) string
	// ForgetsClient reports whether the n-th look-up of a client, from 0, fails to find it.
	ForgetsClient func(n int) bool
	// RegistrationType is the media type of the registration response.
	RegistrationType string
	// StoredReads allows caches to store the answer to a client that reads its registration.
	StoredReads bool
	// RegistersRedirect registers the i-th redirect URI, from 0, even if it is bad.
	RegistersRedirect func(i int, uri string) bool
	// RegistersOfNative registers a redirect URI of a client of application_type native, even if it is bad.
	RegistersOfNative func(uri string) bool
	// ReadsRedirects makes the list of redirect URIs from any value of the member.
	ReadsRedirects func(v any) any
	// CrashesOn reports whether the body of a registration is answered with 500.
	CrashesOn func(mediaType, body string) bool
	// RegistersBody makes a registration from a body that is not one; nil: it refuses the body.
	RegistersBody func(mediaType, body string) map[string]any
	// RegistrationError changes the answer to a refused registration.
	RegistrationError func(status *int, mediaType *string, members map[string]any)
	// RegistersTypes confirms grant and response types as sent.
	RegistersTypes func(grants, responses []string) bool
	// MachineWithoutRedirects registers clients without redirect URIs for grants that need none, which is right too.
	MachineWithoutRedirects bool
	// TypedRedirects allows loopback redirect URIs for application_type native only, and https ones for web only (OpenID Connect Dynamic
	// Client Registration section 2), which is right too.
	TypedRedirects bool
}

// takenOfNative returns the redirect URIs of a native client that are registered even if they are bad, or nil.
func (s *Server) takenOfNative(meta map[string]any) []string {
	uris, _ := list(meta["redirect_uris"])
	takes := s.Behaviour.RegistersOfNative
	if takes == nil || meta["application_type"] != "native" || len(uris) != 1 || !takes(uris[0]) {
		return nil
	}
	return uris
}

// unfit returns an error if a redirect URI does not fit the client's application_type.
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

// forgotten reports whether a look-up finds no client.
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

// oddBody answers a body for which the server has a flaw; done is false for any other body.
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

// Managing has deviations in the rights and the lifetime of a registered client.
type Managing struct {
	// UnauthorizedGrants answers invalid_grant with 401, as some servers do.
	UnauthorizedGrants bool
	// RegistersScope registers a scope that does not exist.
	RegistersScope func(scope string) bool
	// KeepsChosen keeps the client's value for a member that the server must choose: client_id if it is unused, client_secret,
	// registration_access_token.
	KeepsChosen string
	// TellsOf says where the server reads the identifier of a client whose registration it shows to anybody: query or path.
	TellsOf string
	// RegistersByPut registers with PUT too.
	RegistersByPut bool
	// Fetches fetches the URL in a member of a registration, from any address.
	Fetches func(member, uri string) bool
	// BelievesStatement accepts the metadata of a software statement by its header and signature, without verification.
	BelievesStatement func(header map[string]any, signature string) bool
	// Manages accepts another token than the registration's own for its management.
	Manages func(method, token, own string) bool
	// ManagementTokenOf makes the registration access token of a client from its client_id.
	ManagementTokenOf func(clientID string) string
	// UpdateKeeps is a member that an update stores without a check.
	UpdateKeeps string
	// UpdateChecksFirst stores redirect URIs of an update without a check of those after the first one.
	UpdateChecksFirst bool
	// WaivesConsent is a member of a registration with which a client exempts itself from the consent page.
	WaivesConsent string
	// RemembersDocuments asks once about a client of a metadata document, for a redirect URI.
	RemembersDocuments bool
	// SparesMachines does not revoke the access tokens of clients that act for themselves.
	SparesMachines bool
	// RevokesPairs does not revoke a refresh token whose access token was revoked before.
	RevokesPairs bool
	// KeepsOfDeleted stays valid after a client is deleted: client, refresh, access or registration.
	KeepsOfDeleted string
}

// waives reports whether a client has exempted itself from the consent page: a flaw.
func (m *Managing) waives(c *client) bool {
	return m.WaivesConsent != "" && c.sent[m.WaivesConsent] == true
}

// statement returns the claims of an accepted software statement; nil if it accepts none.
func (s *Server) statement(meta map[string]any) map[string]any {
	text, _ := meta["software_statement"].(string)
	parts := strings.Split(text, ".")
	var header, claims map[string]any
	if len(parts) != 3 || !decode(parts[0], &header) || !decode(parts[1], &claims) {
		return nil
	}
	if s.Behaviour.has(NoUnsignedStatements) && (s.Behaviour.BelievesStatement == nil || !s.Behaviour.BelievesStatement(header, parts[2])) {
		return nil
	}
	return claims
}

// keepChosen keeps client values for members that the server must choose.
func (s *Server) keepChosen(c *client, meta map[string]any) {
	chosen, _ := meta[s.Behaviour.KeepsChosen].(string)
	switch s.Behaviour.KeepsChosen {
	case "client_id":
		s.mu.Lock()
		if chosen != "" && s.clients[chosen] == nil {
			c.id = chosen
		}
		s.mu.Unlock()
	case "client_secret":
		if chosen != "" && c.secret != "" {
			c.secret = chosen
		}
	case "registration_access_token":
		if chosen != "" {
			c.management = chosen
		}
	}
}

// tell answers with a client's registration, if the flaw shows that to anybody.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, place, id string) bool {
	if s.Behaviour.TellsOf != place || r.Method != http.MethodGet {
		return false
	}
	s.mu.Lock()
	c := s.clients[id]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	writeJSON(w, http.StatusOK, c.meta)
	return true
}

// fetchAll is a flaw: it fetches the URLs in a registration.
func (s *Server) fetchAll(meta map[string]any) {
	for member, v := range meta {
		uri, _ := v.(string)
		if values, _ := list(v); len(values) == 1 {
			uri = values[0]
		}
		if !strings.HasPrefix(uri, "http") || s.Behaviour.Fetches == nil || !s.Behaviour.Fetches(member, uri) {
			continue
		}
		if resp, err := http.Get(uri); err == nil {
			resp.Body.Close()
		}
	}
}

// forget deletes a client, and ends its grants.
func (s *Server) forget(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keeps := s.Behaviour.KeepsOfDeleted
	if !s.Behaviour.has(DeleteClients) {
		c.management = ""
		return
	}
	c.deleted = true
	switch keeps {
	case "registration": // it is refused everywhere else
	case "client":
		c.deleted, c.management = false, ""
	case "refresh":
		c.management = ""
	default:
		delete(s.clients, c.id)
	}
	s.pastSecrets = append(s.pastSecrets, c.management)
	if c.secret != "" {
		s.pastSecrets = append(s.pastSecrets, c.secret)
	}
	for _, t := range s.refresh {
		t.grant.revoked = t.grant.revoked || t.grant.client == c.id && keeps != "refresh" && keeps != "access"
	}
	for _, t := range s.access {
		t.grant.revoked = t.grant.revoked || t.grant.client == c.id && keeps != "access" && keeps != "refresh"
	}
}

// keepUpdate is a flaw: an update stores this member without validation.
func (s *Server) keepUpdate(c *client, meta map[string]any) bool {
	member := s.Behaviour.UpdateKeeps
	if member == "" || fmt.Sprint(meta[member]) == fmt.Sprint(c.meta[member]) {
		return false
	}
	if uris, _ := list(meta[member]); s.Behaviour.UpdateChecksFirst && (len(uris) == 0 || !s.goodRedirect(uris[0])) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.meta = maps.Clone(c.meta)
	c.meta[member], c.meta["client_name"] = meta[member], meta["client_name"]
	if uris, _ := list(meta[member]); member == "redirect_uris" {
		c.redirectURIs = uris
	}
	return true
}
