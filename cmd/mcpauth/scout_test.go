package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// urls returns a list of n targets.
func urls(n int) (out []entry) {
	for i := range n {
		out = append(out, entry{URL: fmt.Sprintf("http://%d.example/mcp", i)})
	}
	return out
}

// A silent host is tested before the first targets of the list, and each target is tested once.
func TestSilentHostsGoFirst(t *testing.T) {
	entries := urls(200)
	last := entries[len(entries)-1].URL
	q := newQueue(entries, func(_ context.Context, e entry) bool { return e.URL == last })
	found := make(chan string, len(entries))
	scouting, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { q.scout(scouting, 1, func(e entry) { found <- e.URL }) })
	assert.Equal(t, last, <-found, "another host was reported first")
	for _, want := range entries[:len(entries)-1] {
		e, ok := q.take()
		require.True(t, ok)
		assert.Equal(t, want.URL, e.URL)
	}
	_, ok := q.take()
	assert.False(t, ok)
	end()
	running.Wait()
	assert.Empty(t, found)
}

// Scouts omit the first targets, target files and started targets, and stay within a limited distance.
func TestScoutsAskNoMoreThanTheyMust(t *testing.T) {
	entries := urls(2 * lookout)
	entries[5].File = "target.yaml"
	var asked atomic.Int64
	q := newQueue(entries, func(_ context.Context, e entry) bool {
		asked.Add(1)
		assert.NotContains(t, []string{entries[0].URL, entries[1].URL, entries[5].URL}, e.URL)
		return false
	})
	scouting, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { q.scout(scouting, 2, func(entry) { t.Error("a host is reported as silent") }) })
	const first = lookout + 1 - 2 - 1 // up to lookout, without two targets and a file
	require.Eventually(t, func() bool { return asked.Load() == first }, time.Minute, time.Millisecond)
	q.take()
	require.Eventually(t, func() bool { return asked.Load() == first+1 }, time.Minute, time.Millisecond)
	end()
	running.Wait()
	assert.EqualValues(t, first+1, asked.Load())
}

// Targets whose survey does not end delay the others only briefly. Without the gate's limit all would start.
func TestSlowSurveysHoldNobodyUp(t *testing.T) {
	g := newGate(2)
	for range 5 {
		require.NotNil(t, g.begin(t.Context()), "the gate does not begin the survey of a host that never answers")
	}
	for range 20 {
		turn := g.begin(t.Context())
		require.NotNil(t, turn)
		turn.test(t.Context())
		assert.LessOrEqual(t, g.testing, 2)
		turn.end()
	}
	assert.Zero(t, g.ready+g.testing)
	assert.Len(t, g.surveying, 5)

	silent := g.aside()
	silent.test(t.Context())
	assert.Equal(t, 1, g.testing, "a slow host that answers is not tested like any other")
	silent.end()
	assert.Zero(t, g.testing)
	assert.Len(t, g.surveying, 5)
}

// The gate bounds the number of concurrent tests, and the others wait.
func TestTheGateBoundsTests(t *testing.T) {
	const atOnce = 3
	g := newGate(atOnce)
	var running sync.WaitGroup
	var now, most atomic.Int64
	for range 50 {
		turn := g.begin(t.Context())
		running.Go(func() {
			defer turn.end()
			turn.test(t.Context())
			n := now.Add(1)
			defer now.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			time.Sleep(time.Millisecond)
		})
	}
	running.Wait()
	assert.LessOrEqual(t, most.Load(), int64(atOnce))
	ended, end := context.WithCancel(t.Context())
	end()
	assert.Nil(t, g.begin(ended))
}
