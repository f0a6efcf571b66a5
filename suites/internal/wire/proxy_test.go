package wire

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
)

// A browser behind the proxy reaches only what the guard allows.
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
			assert.Equal(t, 200, resp.StatusCode, "a callback is sent to its address")
			assert.Equal(t, "http://127.0.0.1:1/callback?code=x", taken)

			_, err = browser.Get("https://10.0.0.1/") // never dialled
			assert.Error(t, err)
		})
	}
}

// The proxy sends nothing to a server that it cannot verify, and presents its own certificate for one that it can.
func TestProxyVerifiesTheServer(t *testing.T) {
	requests := 0
	there := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		_, _ = io.WriteString(w, r.Method+" "+r.Host+r.URL.String())
	}))
	defer there.Close()
	known := x509.NewCertPool()
	known.AddCert(there.Certificate())
	for name, roots := range map[string]*x509.CertPool{"known": known, "unknown": x509.NewCertPool()} {
		t.Run(name, func(t *testing.T) {
			client := New(Options{Guard: NewGuard("127.0.0.1", nil), Roots: roots})
			defer client.Close()
			proxy, err := client.NewProxy()
			require.NoError(t, err)
			defer proxy.Close()
			address, err := url.Parse("http://" + proxy.Addr)
			require.NoError(t, err)
			shown := ""
			browser := &http.Client{Transport: &http.Transport{
				Proxy: func(*http.Request) (*url.URL, error) { return address, nil },
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
					sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
					shown = base64.StdEncoding.EncodeToString(sum[:])
					return nil
				}},
			}}
			defer browser.CloseIdleConnections()
			before := requests
			resp, err := browser.Get(there.URL + "/a?b=c")
			if name == "unknown" {
				require.Error(t, err)
				assert.Equal(t, before, requests)
				return
			}
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, "GET "+there.Listener.Addr().String()+"/a?b=c", string(body))
			assert.Equal(t, proxy.PublicKeyHash, shown)
		})
	}
}

// The proxy sends no secret in clear.
func TestProxySendsNoFormInClear(t *testing.T) {
	secrets := &reports.Secrets{}
	secrets.Add("password", "correct horse battery")
	client := New(Options{Guard: NewGuard("mcp.example.com", nil), Secrets: secrets})
	defer client.Close()
	proxy, err := client.NewProxy()
	require.NoError(t, err)
	defer proxy.Close()
	address, err := url.Parse("http://" + proxy.Addr)
	require.NoError(t, err)
	browser := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return address, nil }}}
	defer browser.CloseIdleConnections()
	for _, c := range []struct {
		method, url, said string
		status            int
	}{
		{"POST", "http://10.0.0.1/", "", 403},
		{"PUT", "http://10.0.0.1/", "", 403},
		{"GET", "http://10.0.0.1/?p=correct+horse+battery", "", 403},
		{"GET", "http://10.0.0.1/", "correct horse battery", 403}, // by a script
		{"GET", "http://10.0.0.1/", "a=b; p=correct%20horse%20battery", 403},
		{"GET", "http://10.0.0.1/", "", 502}, // the guard refuses this
		{"POST", "http://127.0.0.1:1/", "", 502},
	} {
		req, err := http.NewRequest(c.method, c.url, nil)
		require.NoError(t, err)
		req.Header.Set("X-Said", c.said)
		resp, err := browser.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, c.status, resp.StatusCode, c.method+" "+c.url)
	}
}

// Requests of pages count like those of the suite: a page that sends many stops at the limit of the run.
func TestProxyCountsRequests(t *testing.T) {
	var served atomic.Int32
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer there.Close()
	client := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Requests: 3}})
	defer client.Close()
	proxy, err := client.NewProxy()
	require.NoError(t, err)
	defer proxy.Close()
	address, err := url.Parse("http://" + proxy.Addr)
	require.NoError(t, err)
	browser := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}}
	defer browser.CloseIdleConnections()
	for range 5 {
		resp, err := browser.Get(there.URL)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	assert.EqualValues(t, 3, served.Load())
}
