package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// gate says when the next target of a fleet may start. It tests at most atOnce targets concurrently. The survey of a target delays others
// only briefly, so that hosts without an answer do not hold them up.
type gate struct {
	atOnce int

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change
	surveying []*turn       // started, and without an answer so far
	ready     int           // surveyed, and waiting to be tested
	testing   int
}

// mostSurveys bounds the surveys that run during the tests, and moment is how long a survey delays others.
const (
	mostSurveys = 32
	moment      = 100 * time.Millisecond
)

func newGate(atOnce int) *gate { return &gate{atOnce: atOnce, changed: make(chan struct{})} }

// change changes the counts, and wakes all waiters.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

// await waits until try, called with the lock held, succeeds; false if the context ends first.
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

// begin waits until another target may be surveyed; nil if the context ends first.
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

// aside returns the turn of a target whose survey delays no others.
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

// turn is the progress of one target through the gate.
type turn struct {
	gate     *gate
	began    time.Time
	surveyed bool
	tested   bool
}

// test waits until the surveyed target may be tested. It returns early if the context ends.
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

// leave ends the survey of the turn. The caller holds the lock.
func (t *turn) leave() {
	t.gate.surveying = slices.DeleteFunc(t.gate.surveying, func(other *turn) bool { return other == t })
}

// end ends the turn, so that another target may start.
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
