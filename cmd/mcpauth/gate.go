package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// gate says when the next target of a fleet may begin. At most atOnce targets are tested at once. The survey of a target delays others
// only for a moment: hosts that do not answer delay no other target.
type gate struct {
	atOnce int

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change
	surveying []*turn       // begun, and not yet known to answer
	ready     int           // surveyed, and waiting to be tested
	testing   int
}

// mostSurveys bounds the surveys that run next to the tests, and moment is how long a survey delays others.
const (
	mostSurveys = 32
	moment      = 100 * time.Millisecond
)

func newGate(atOnce int) *gate { return &gate{atOnce: atOnce, changed: make(chan struct{})} }

// change changes the counts, and wakes all that wait.
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
		case <-time.After(moment / 4):
		}
	}
}

// begin waits until another target may be surveyed; nil where the context ends before.
func (g *gate) begin(ctx context.Context) *turn {
	t := &turn{gate: g}
	if ctx.Err() != nil || !g.await(ctx, func() bool {
		if len(g.surveying) >= mostSurveys || g.recent()+g.ready+g.testing >= g.atOnce && (g.ready > 0 || g.recent() > 0) {
			return false
		}
		t.began = time.Now()
		g.surveying = append(g.surveying, t)
		return true
	}) {
		return nil
	}
	return t
}

// aside returns the turn of a target that is surveyed without a delay for others.
func (g *gate) aside() *turn { return &turn{gate: g} }

// recent counts the surveys that began within the last moment.
func (g *gate) recent() int {
	n := 0
	for _, t := range g.surveying {
		if time.Since(t.began) < moment {
			n++
		}
	}
	return n
}

// turn is the way of one target through the gate.
type turn struct {
	gate     *gate
	began    time.Time
	surveyed bool
	tested   bool
}

// test waits until the target, which is surveyed, may be tested. It returns early where the context ends.
func (t *turn) test(ctx context.Context) {
	t.surveyed = true
	t.gate.change(func() { t.leave(); t.gate.ready++ })
	t.tested = t.gate.await(ctx, func() bool {
		if t.gate.testing >= t.gate.atOnce {
			return false
		}
		t.gate.ready--
		t.gate.testing++
		return true
	})
}

// leave takes the turn out of those that are surveyed. It is called with the lock held.
func (t *turn) leave() {
	t.gate.surveying = slices.DeleteFunc(t.gate.surveying, func(other *turn) bool { return other == t })
}

// end makes room for another target.
func (t *turn) end() {
	t.gate.change(func() {
		switch {
		case !t.surveyed:
			t.leave()
		case t.tested:
			t.gate.testing--
		default:
			t.gate.ready--
		}
	})
}
