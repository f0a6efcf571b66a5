package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A browser behind the proxy reaches what the guard allows, and nothing else.
func TestProxyIsGuarded(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the target") }))
	defer there.Close()
	for name, c := range map[string]struct {
		guard  Guard
		status int
	}{
		"a target on loopback":     {NewGuard("127.0.0.1", nil), 200},
		"a target on the internet": {NewGuard("mcp.example.com", nil), 502},
	} {
		t.Run(name, func(t *testing.T) {
			client := New(Options{Guard: c.guard})
			defer client.Close()
			proxy, err := client.NewProxy()
			require.NoError(t, err)
			defer proxy.Close()
			address, err := url.Parse("http://" + proxy.Addr)
			require.NoError(t, err)
			browser := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return address, nil }}}
			defer browser.CloseIdleConnections()
			resp, err := browser.Get(there.URL)
			require.NoError(t, err)
			defer resp.Body.Close()
			assert.Equal(t, c.status, resp.StatusCode)

			taken := ""
			proxy.Take(func(r *http.Request) bool { taken = r.URL.String(); return r.URL.Path == "/callback" })
			resp, err = browser.Get("http://127.0.0.1:1/callback?code=x")
			require.NoError(t, err)
			defer resp.Body.Close()
			assert.Equal(t, 200, resp.StatusCode, "a callback needs nobody who listens")
			assert.Equal(t, "http://127.0.0.1:1/callback?code=x", taken)

			_, err = browser.Get("https://10.0.0.1/") // never dialled
			assert.Error(t, err)
		})
	}
}
