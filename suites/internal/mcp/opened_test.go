package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// endpoint is the path of the target's endpoint.
const endpoint = "/mcp"

// ids returns the id of the nth session.
type ids func(n int) string

func counted(n int) string { return fmt.Sprintf("session-%d", n) }

// ending makes a run open three sessions, and end them twice. It returns the requests that ask for an end.
func ending(t *testing.T, path string, status int, id ids, passive bool, credentials ...reports.Field) (asked []*http.Request) {
	t.Helper()
	var opened atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			asked = append(asked, r)
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Mcp-Session-Id", id(int(opened.Add(1))))
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}`))
	}))
	t.Cleanup(s.Close)
	sessions := &mcp.Opened{}
	options := wire.Options{Guard: wire.NewGuard("127.0.0.1", nil), Seen: sessions.Seen}
	if passive {
		options.Passive = s.URL
	}
	client := wire.New(options)
	t.Cleanup(client.Close)
	for range 3 {
		client.Do(context.Background(), "TEST", mcp.Initialize(s.URL+path, mcp.NewestStateful).With(credentials...).Request())
	}
	for range 2 {
		sessions.End(context.Background(), mcp.Ending{Client: client, Check: "TEST", InTurn: true, Own: []reports.Field{mcp.Bearer("own")},
			Endpoint: s.URL + endpoint, Of: func(int) bool { return true }})
	}
	return asked
}

func TestSessionsAreEndedWithWhatOpenedThem(t *testing.T) {
	asked := ending(t, endpoint, http.StatusNoContent, counted, false, mcp.Bearer("opener"), mcp.Field("X-Tenant", "a"))
	assert.Len(t, asked, 3)
	for i, r := range asked {
		assert.Equal(t, counted(i+1), r.Header.Get("Mcp-Session-Id"))
		assert.Equal(t, "Bearer opener", r.Header.Get("Authorization"))
		assert.Equal(t, "a", r.Header.Get("X-Tenant"))
		assert.Equal(t, "2025-06-18", r.Header.Get("Mcp-Protocol-Version"))
		assert.Empty(t, r.Header.Get("Content-Type"))
	}
}

// A token may have expired, and a proof is valid for one request: then the user's own token ends the session.
func TestTheUsersTokenEndsWhatAnotherOneCannot(t *testing.T) {
	asked := ending(t, endpoint, http.StatusUnauthorized, counted, false, mcp.Bearer("revoked"))
	assert.Len(t, asked, 6)
	assert.Equal(t, []string{"Bearer own"}, asked[1].Header["Authorization"])
	asked = ending(t, endpoint, http.StatusUnauthorized, counted, false, mcp.Field("Authorization", "DPoP bound"), mcp.Field("DPoP", "proof"))
	assert.Empty(t, asked[0].Header["Authorization"])
	assert.Empty(t, asked[0].Header["Dpop"])
	assert.Len(t, ending(t, "/sibling", http.StatusUnauthorized, counted, false, mcp.Bearer("revoked")), 3, "another server gets it")
}

// The number of requests to end three sessions, at their end and once more.
func TestHowOftenSessionsAreEnded(t *testing.T) {
	one := func(int) string { return "the only one" }
	for name, c := range map[string]struct {
		status  int
		ids     ids
		passive bool
		want    int
	}{
		"each once":                             {http.StatusOK, counted, false, 3},
		"none where no client may":              {http.StatusMethodNotAllowed, counted, false, 1},
		"none that other clients have too":      {http.StatusOK, one, false, 0},
		"later where the server has no time":    {http.StatusTooManyRequests, counted, false, 2},
		"none by somebody who changes nothing":  {http.StatusOK, counted, true, 0},
		"once where the session is gone by now": {http.StatusNotFound, counted, false, 3},
	} {
		t.Run(name, func(t *testing.T) { assert.Len(t, ending(t, endpoint, c.status, c.ids, c.passive), c.want) })
	}
}
