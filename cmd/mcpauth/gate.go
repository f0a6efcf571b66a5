package main

import (
	"context"
	"sync"
	"time"
)

// gate says when the next target of a fleet may begin. At most atOnce targets are tested at once. The surveys of the next ones go on
// meanwhile, more of them the longer they take, so that hosts that do not answer delay nobody.
type gate struct {
	atOnce int

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change
	surveying int           // begun, and not yet known to answer
	ready     int           // surveyed, and waiting to be tested
	testing   int
	last      time.Time // when the last survey began
}

// mostSurveys bounds the surveys beside the tests, and pause is the time between two of them.
const (
	mostSurveys = 32
	pause       = 100 * time.Millisecond
)

func newGate(atOnce int) *gate { return &gate{atOnce: atOnce, changed: make(chan struct{})} }

// change changes the counts, and wakes those who wait.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

// await waits until try succeeds, which is called with the lock held; false where the context ends before.
func (g *gate) await(ctx context.Context, try func() bool) bool {
	for {
		g.mu.Lock()
		ok, changed := try(), g.changed
		g.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-time.After(pause):
		}
	}
}

// begin waits until another target may be surveyed.
func (g *gate) begin(ctx context.Context) bool {
	return ctx.Err() == nil && g.await(ctx, func() bool {
		free := g.surveying+g.ready+g.testing < g.atOnce
		ahead := g.ready == 0 && g.surveying < mostSurveys && time.Since(g.last) >= pause
		if free || ahead {
			g.surveying++
			g.last = time.Now()
		}
		return free || ahead
	})
}

// turn is the way of one target through the gate.
type turn struct {
	gate     *gate
	surveyed bool
	tested   bool
}

// test waits until the target, which is surveyed, may be tested. It returns early where the context ends.
func (t *turn) test(ctx context.Context) {
	t.surveyed = true
	t.gate.change(func() { t.gate.surveying--; t.gate.ready++ })
	t.tested = t.gate.await(ctx, func() bool {
		if t.gate.testing >= t.gate.atOnce {
			return false
		}
		t.gate.ready--
		t.gate.testing++
		return true
	})
}

// end makes room for another target.
func (t *turn) end() {
	t.gate.change(func() {
		switch {
		case !t.surveyed:
			t.gate.surveying--
		case t.tested:
			t.gate.testing--
		default:
			t.gate.ready--
		}
	})
}
