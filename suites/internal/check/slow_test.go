package check

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// The time that a slow server takes to answer is not the check's.
func TestTheTimeOfAnswersIsNotTheChecks(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(150 * time.Millisecond) }))
	t.Cleanup(server.Close)
	const id = "RS-TOKEN-GARBAGE"
	e := engine(t, id, func(t *T) {
		for range 10 {
			t.Expect(t.Get(server.URL)).To(expect.HaveStatus(200))
		}
	})
	e.World.Client, e.Timeout = wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)}), time.Second
	t.Cleanup(e.World.Client.Close)
	e.Start(t.Context(), []string{id})
	results := e.Wait(id)
	require.Len(t, results, 1)
	assert.Equal(t, reports.Pass, results[0].Verdict, results[0].Reason)
}
