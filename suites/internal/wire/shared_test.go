package wire_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/wire"
)

// All clients that share limits together stay within the limit of concurrent requests to a host.
func TestSharedLimitsHoldForAllClients(t *testing.T) {
	var inFlight, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	require.NoError(t, err)
	shared := wire.NewShared(2, 0, 0)
	var done sync.WaitGroup
	for range 4 {
		c := wire.New(wire.Options{Guard: wire.NewGuard(at.Hostname(), nil), Shared: shared})
		c.Classify(t.Context(), at)
		for range 5 {
			done.Go(func() {
				ex := c.Do(t.Context(), "check", wire.Request{Method: "GET", URL: server.URL})
				assert.Empty(t, ex.Error)
			})
		}
	}
	done.Wait()
	assert.LessOrEqual(t, most.Load(), int64(2))
	assert.Positive(t, most.Load())
}

// A shared rate spaces the requests of all clients, also to different hosts.
func TestSharedRateHoldsForAllHosts(t *testing.T) {
	shared := wire.NewShared(0, 0, 100)
	began := time.Now()
	var done sync.WaitGroup
	for range 3 {
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		at, err := url.Parse(server.URL)
		require.NoError(t, err)
		c := wire.New(wire.Options{Guard: wire.NewGuard(at.Hostname(), nil), Shared: shared})
		c.Classify(t.Context(), at)
		for range 4 {
			done.Go(func() { c.Do(t.Context(), "check", wire.Request{Method: "GET", URL: server.URL}) })
		}
	}
	done.Wait()
	assert.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond, "12 requests had shorter pauses than 10 ms")
}
