package session_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// registry registers clients, unless refuses says otherwise; typed tells of each request whether it had an application_type.
type registry struct {
	mu      sync.Mutex
	typed   []bool
	refuses func(n int, typed bool) bool
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	_, typed := m["application_type"]
	g.typed = append(g.typed, typed)
	if g.refuses(len(g.typed), typed) {
		http.Error(w, `{"error":"invalid_client_metadata"}`, http.StatusBadRequest)
		return
	}
	m["client_id"] = "client"
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(m)
}

func open(t *testing.T, g *registry) *session.Session {
	t.Helper()
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	client := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})
	t.Cleanup(client.Close)
	s := session.New(client, &reports.Secrets{}, oauth.Server{Registration: server.URL},
		session.Input{Register: true, Callback: "http://127.0.0.1:1/callback"})
	s.Begin(t.Context()) // nobody can sign in here, which ends it after the registration
	return s
}

// A server that refuses one registration is not treated as one that knows no application_type.
func TestOneRefusedRegistrationChangesNoOther(t *testing.T) {
	g := &registry{refuses: func(n int, _ bool) bool { return n == 2 }}
	s := open(t, g)
	c, why := s.Client(t.Context(), session.Second)
	require.NotNil(t, c, why)
	assert.Equal(t, []bool{true, true, false}, g.typed, "the refused registration is repeated without application_type")
	assert.Contains(t, s.Metadata(oauth.None), "application_type")
}

// A server that knows no application_type is learned by the first client.
func TestServerWithoutApplicationType(t *testing.T) {
	g := &registry{refuses: func(_ int, typed bool) bool { return typed }}
	s := open(t, g)
	c, why := s.Client(t.Context(), session.Second)
	require.NotNil(t, c, why)
	assert.Equal(t, []bool{true, false, true, false}, g.typed)
	assert.NotContains(t, s.Metadata(oauth.None), "application_type")
}
