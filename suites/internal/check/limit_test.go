package check

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// A token that has met its limit is not sent again while the only other token waits for its own.
func TestNoTokenIsSentWhileAllWait(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(shortWait + time.Second)
	var refused atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(opens) {
			refused.Add(1)
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(server.Close)
	const id = "RS-TOKEN-GARBAGE"
	e := engine(t, id, func(t *T) {
		first, second := mcp.Bearer("first"), mcp.Bearer("second")
		t.spread.current = "second"
		t.pace.close(t.placeOf(server.URL, []reports.Field{second}), opens)
		t.Expect(t.Get(server.URL, first)).To(expect.HaveStatus(200))
	})
	e.World.Client, e.Timeout = wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)}), time.Minute
	e.World.Survey.Token, e.World.Session = "first", &session.Session{}
	t.Cleanup(e.World.Client.Close)
	e.Start(t.Context(), []string{id})
	results := e.Wait(id)
	require.Len(t, results, 1)
	assert.Equal(t, reports.Pass, results[0].Verdict, results[0].Reason)
	assert.Equal(t, int64(1), refused.Load(), "requests that the limit refuses")
}

// The place of a limit is closed before another request may be sent: the target asked for a pause.
func TestALimitClosesItsPlaceFirst(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	const id = "RS-TOKEN-GARBAGE"
	e := engine(t, id, func(t *T) { t.Get(server.URL) })
	var closed []bool
	seen := func(wire.Request, *reports.Exchange) { // the place in the queue is free now
		closed = append(closed, !e.World.pace.opens(e.World.placeOf(server.URL, nil)).IsZero())
	}
	e.World.Client = wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil), Seen: seen})
	t.Cleanup(e.World.Client.Close)
	run, end := context.WithTimeout(t.Context(), time.Minute) // the wait would end after it
	defer end()
	e.Start(run, []string{id})
	results := e.Wait(id)
	require.Len(t, results, 1)
	assert.Equal(t, reports.Inconclusive, results[0].Verdict, results[0].Reason)
	assert.Equal(t, []bool{true}, closed)
}

// Another spelling of a path is the same place, and another path is not.
func TestALimitHoldsForAllSpellingsOfAPath(t *testing.T) {
	t.Parallel()
	w := &World{}
	for _, spelling := range []string{"http://127.0.0.1/mcp?a=b", "http://127.0.0.1//mcp", "http://127.0.0.1/./mcp", "http://127.0.0.1/mcp/",
		"http://127.0.0.1/x/../mcp", "http://127.0.0.1/%6dcp"} {
		assert.Equal(t, w.placeOf("http://127.0.0.1/mcp", nil), w.placeOf(spelling, nil), spelling)
	}
	for _, other := range []string{"http://127.0.0.1/", "http://127.0.0.1/mcp/more", "http://127.0.0.1:81/mcp", "http://127.0.0.1/MCP"} {
		assert.NotEqual(t, w.placeOf("http://127.0.0.1/mcp", nil), w.placeOf(other, nil), other)
	}
}

// A token is tried for the whole of the user's patience, which is not the check's own time; a run that ends before decides nothing.
func TestATokenIsTriedForAsLongAsTheUserWants(t *testing.T) {
	t.Parallel()
	const patience, ownTime = 400 * time.Millisecond, 100 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
	}))
	t.Cleanup(server.Close)
	const id = "RS-TOKEN-GARBAGE"
	for about, c := range map[string]struct {
		run  time.Duration // the time of the whole run
		want string
	}{
		"the run goes on":        {time.Minute, "tried for as long"},
		"the run ends meanwhile": {200 * time.Millisecond, "raise it with --timeout"},
	} {
		e := engine(t, id, func(t *T) {
			began := time.Now()
			if _, dead := t.MCP.UntilRefused("served"); !dead && time.Since(began) >= patience {
				t.Inconclusive("tried for as long")
			}
		})
		e.World.Client, e.Timeout = wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)}), ownTime
		e.World.Survey.Protected = map[mcp.Wire]mcp.Call{mcp.Stateful: mcp.Initialize(server.URL, "2025-11-25")}
		e.World.Patience = patience
		run, end := context.WithTimeout(t.Context(), c.run)
		e.Start(run, []string{id})
		assert.Contains(t, e.Wait(id)[0].Reason, c.want, about)
		end()
		e.World.Client.Close()
	}
}
