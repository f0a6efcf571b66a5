package suites_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// seen is held by the configuration of a run. It is large enough to be allocated alone.
type seen struct {
	results atomic.Int64
	_       [64]byte
}

// A run that shares its limits with others is freed after its end, with its configuration and its exchanges.
func TestRunsThatShareLimitsAreForgotten(t *testing.T) {
	r, err := reference.Start(reference.Ideal())
	require.NoError(t, err)
	defer r.Close()
	shared := suites.ShareLimits(8, 50, 0)
	run := func() weak.Pointer[seen] {
		marked := &seen{}
		_, err := suites.Run(t.Context(), suites.Config{Target: target.At(r.URL), Passive: true, Shared: shared,
			OnResult: func(reports.Result) { marked.results.Add(1) }})
		require.NoError(t, err)
		assert.Positive(t, marked.results.Load())
		return weak.Make(marked)
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var ended []weak.Pointer[seen]
	var before uint64
	for i := range 25 {
		if i == 5 {
			before = heap()
		}
		ended = append(ended, run())
	}
	after := heap()
	for i, p := range ended {
		assert.Nil(t, p.Value(), "run %d is still in memory", i)
	}
	t.Logf("heap %d KiB after 5 runs, %d KiB after 25", before>>10, after>>10)
	assert.Less(t, after, before+4<<20, "ended runs are still in memory: each needs half a megabyte")
	runtime.KeepAlive(shared)
}
