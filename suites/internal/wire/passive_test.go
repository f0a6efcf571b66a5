package wire_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/wire"
)

// A passive client sends reads to all hosts, and POST only to the MCP endpoint. It does not count the requests that it refuses.
func TestPassiveClientOnlyReads(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.RequestURI())
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	require.NoError(t, err)
	c := wire.New(wire.Options{Guard: wire.NewGuard(at.Hostname(), nil), Passive: server.URL + "/mcp"})
	c.Classify(t.Context(), at)
	for _, tc := range []struct {
		method, path string
		raw          bool
		sent         bool
	}{
		{method: "POST", path: "/mcp", sent: true},
		{method: "GET", path: "/authorize", sent: true},
		{method: "HEAD", path: "/jwks", sent: true},
		{method: "OPTIONS", path: "/token", sent: true},
		{method: "POST", path: "/token"},
		{method: "POST", path: "/register"},
		{method: "POST", path: "/mcp/"},
		{method: "POST", path: "/mcp?a=b"},
		{method: "DELETE", path: "/mcp"},
		{method: "PUT", path: "/register/1"},
		{method: "GET", path: "/mcp", raw: true},
	} {
		req := wire.Request{Method: tc.method, URL: server.URL + tc.path}
		if tc.raw {
			req.Raw = []byte("GET /mcp HTTP/1.1\r\n\r\n")
		}
		before := c.Sent()
		ex := c.Do(t.Context(), "check", req)
		if tc.sent {
			assert.Empty(t, ex.Error, tc.method+tc.path)
			assert.Equal(t, tc.method+" "+tc.path, got[len(got)-1])
			continue
		}
		assert.Equal(t, wire.ErrPassive.Error(), ex.Error, tc.method+tc.path)
		assert.Equal(t, before, c.Sent())
	}
	assert.Len(t, got, 4)
}
