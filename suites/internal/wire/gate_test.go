package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// took is an answer of an endpoint after a time.
func took(d time.Duration) ending { return ending{endpoint: "GET /", status: http.StatusOK, took: d} }

// busy is an answer of an endpoint with too much to do.
func busy() ending {
	return ending{endpoint: "GET /", status: http.StatusServiceUnavailable, took: time.Millisecond}
}

func TestGateFollowsTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(32)
		g.learn(took(time.Millisecond), 1)
		assert.Equal(t, 32.0, g.limit, "the limit is not the maximum of the run")
		time.Sleep(time.Second)
		g.learn(busy(), 32)
		assert.Equal(t, 16.0, g.limit)
		g.learn(busy(), 32)
		assert.Equal(t, 16.0, g.limit, "requests sent at the same time lower the limit more than once")
		for range 16 {
			g.learn(took(time.Millisecond), 32)
		}
		assert.InDelta(t, 17, g.limit, 0.1, "the limit does not rise by one")
		time.Sleep(time.Second)
		g.learn(took(slow+1), 32)
		assert.InDelta(t, 8.5, g.limit, 0.1, "a late answer does not lower the limit")
		for range 10 {
			time.Sleep(time.Second)
			g.learn(busy(), 32)
		}
		assert.Equal(t, float64(fewest), g.limit)
	})
}

// Only an answer that takes much longer than the endpoint usually does is late because of mcpauth's requests.
func TestSlowTargetIsNotLate(t *testing.T) {
	for name, answers := range map[string][]ending{
		"each answer is slow": {took(2 * slow), took(2 * slow)},
		"answers vary":        {took(time.Second), took(3 * time.Second), took(6 * time.Second)},
		"quick refusals":      {took(time.Millisecond), took(3 * time.Second), took(6 * time.Second)},
		"a request that was given up": {took(time.Second),
			{endpoint: "GET /", err: context.DeadlineExceeded, took: 65 * time.Millisecond}, took(3 * time.Second)},
		"a request that was cancelled": {took(time.Millisecond), {endpoint: "GET /", err: context.Canceled, took: 3 * time.Second}},
		"another endpoint": {took(time.Millisecond), {endpoint: "POST /login", status: http.StatusOK, took: time.Second},
			{endpoint: "POST /login", status: http.StatusOK, took: 3 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(32)
				g.limit = 20
				last := len(answers) - 1
				for _, e := range answers[:last] {
					g.learn(e, 1) // as a survey, which asks one question after another
				}
				time.Sleep(time.Minute)
				g.learn(answers[last], 32)
				assert.GreaterOrEqual(t, g.limit, 20.0)
			})
		})
	}
}

// What mcpauth did not wait for is not the quickest answer.
func TestWhoGivesUpKnowsNoPace(t *testing.T) {
	g := newGate(32)
	g.learn(took(2*time.Second), 1)
	g.learn(ending{endpoint: "GET /", err: context.DeadlineExceeded, took: time.Millisecond}, 1)
	g.learn(ending{endpoint: "GET /", err: context.Canceled, took: time.Millisecond}, 1)
	assert.Equal(t, 10*time.Second, g.atItsPace(time.Second))
}

// An endpoint whose answers get slower for good is late until they are slow among few requests, too.
func TestGateLearnsANewPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(32)
		g.learn(took(100*time.Millisecond), 1)
		lowest := g.limit
		for range 1000 {
			time.Sleep(time.Minute)
			g.learn(took(time.Second), int(g.limit))
			lowest = min(lowest, g.limit)
		}
		assert.Equal(t, float64(fewest), lowest)
		assert.Equal(t, 32.0, g.limit)
	})
}

func TestGateGivesPlacesInOrder(t *testing.T) {
	g := newGate(1)
	first, err := g.enter(t.Context())
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = g.enter(gone)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, g.queue, "a cancelled request still has a place in the queue")
	entered := make(chan error)
	go func() {
		_, err := g.enter(t.Context())
		entered <- err
	}()
	first.leave()
	first.leave()
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

// A host that names a new address each time costs no more memory.
func TestGateRemembersABoundedNumberOfEndpoints(t *testing.T) {
	g := newGate(32)
	for i := range 2 * mostEndpoints {
		g.learn(ending{endpoint: fmt.Sprintf("GET /%d", i), status: http.StatusOK, took: time.Millisecond}, 1)
	}
	assert.Len(t, g.usual, mostEndpoints)
}
