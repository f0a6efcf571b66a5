package wire

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGateFollowsTheTarget(t *testing.T) {
	g := newGate(32)
	began := time.Now()
	g.learn(began, time.Millisecond, false)
	assert.Equal(t, 32.0, g.limit, "never more than the run allows")
	g.learn(began, time.Millisecond, true)
	assert.Equal(t, 16.0, g.limit)
	g.learn(began, time.Millisecond, true)
	assert.Equal(t, 16.0, g.limit, "requests that were under way together lower it once")
	for range 16 {
		g.learn(time.Now(), time.Millisecond, false)
	}
	assert.InDelta(t, 17, g.limit, 0.1, "one more for as many good answers as are in flight")
	g.learn(time.Now(), slow+1, false)
	assert.InDelta(t, 8.5, g.limit, 0.1, "a late answer lowers it")
	for range 10 {
		g.learn(time.Now(), 0, true)
	}
	assert.Equal(t, float64(fewest), g.limit)
}

func TestSlowTargetIsNotLate(t *testing.T) {
	g := newGate(32)
	for range 10 {
		g.learn(time.Now(), slow+time.Millisecond, false)
	}
	assert.Equal(t, 32.0, g.limit, "whoever always takes as long is not slow because of us")
}

func TestGateGivesPlacesInOrder(t *testing.T) {
	g := newGate(1)
	leave, err := g.enter(t.Context())
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = g.enter(gone)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, g.queue, "who has left holds no place")
	entered := make(chan error)
	go func() {
		_, err := g.enter(t.Context())
		entered <- err
	}()
	leave()
	leave()
	require.NoError(t, <-entered)
	assert.Equal(t, 1, g.inFlight)
}

// A server that is too busy gets the minimum number of concurrent requests.
func TestConcurrencyFollowsTheTarget(t *testing.T) {
	var mu sync.Mutex
	inFlight, most := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		inFlight++
		most = max(most, inFlight)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		inFlight--
		mu.Unlock()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Concurrency: 32}})
	t.Cleanup(c.Close)
	send := func(n int) {
		var sent sync.WaitGroup
		for range n {
			sent.Go(func() { c.Do(t.Context(), "test", Request{Method: "GET", URL: server.URL}) })
		}
		sent.Wait()
	}
	send(100)
	most = 0
	send(50)
	assert.LessOrEqual(t, most, fewest)
}

// An open event stream takes no slot.
func TestStreamsHoldNoPlace(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Concurrency: 32}})
	t.Cleanup(c.Close)
	c.Do(t.Context(), "test", Request{Method: "GET", URL: server.URL + "/plain"})
	for _, h := range c.hosts.byAddr {
		h.gate.limit = 1
	}
	opened, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		c.Do(t.Context(), "test", Request{Method: "GET", URL: server.URL, Opened: func() { close(opened) }, Close: end})
		close(ended)
	}()
	<-opened
	ex := c.Do(t.Context(), "test", Request{Method: "GET", URL: server.URL + "/plain"})
	assert.Empty(t, ex.Error)
	close(end)
	<-ended
}
