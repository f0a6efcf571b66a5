package check

import (
	"context"
	"sync"
	"time"

	"github.com/mcpauth/conformance/suites/internal/deadline"
)

// turn is held by the one check that has a server to itself.
type turn chan struct{}

// turns are those of several servers, always in the same order, so that nobody waits for somebody who waits.
type turns []turn

func (t turns) take() {
	for _, one := range t {
		one <- struct{}{}
	}
}

func (t turns) give() {
	for _, one := range t {
		<-one
	}
}

// waiters are the checks that have begun and may have given their turn away: until a time has passed, or until the others have ended.
type waiters struct {
	others    sync.WaitGroup // all but those that wait for the others
	mu        sync.Mutex
	postponed []*hold // those that wait for the others, in order
}

// resume lets those that wait for the others go on, one by one.
func (w *waiters) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.postponed {
		close(h.resumed)
		<-h.ended
	}
}

// each has one check after another hold the turns. It returns when the last one has ended, or has given its turns away to wait.
func (t turns) each(checks []*Check, w *waiters, run func(*hold, *Check)) {
	for _, c := range checks {
		t.take()
		w.others.Add(1)
		h := &hold{t, w, make(chan struct{}), make(chan struct{}), false}
		go func() {
			run(h, c)
			if h.give(); h.waits {
				close(h.ended)
			} else {
				w.others.Done()
			}
		}()
	}
	t.take()
	t.give()
}

// hold is what a check that holds turns knows of them.
type hold struct {
	turns
	*waiters
	resumed, ended chan struct{}
	waits          bool // it waits for the others, or has done so
}

type holdKey struct{}

// withHold lets a check give its turns to others while it waits.
func withHold(ctx context.Context, h *hold) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

// aside runs a part of the check that needs no turn.
func (t *T) aside(part func()) {
	if h, ok := t.ctx.Value(holdKey{}).(*hold); ok {
		h.give()
		defer func() {
			defer deadline.Pause(t.ctx)()
			h.take()
		}()
	}
	part()
}

// WaitAside waits while all other checks run, also where this one must have a server to itself before and after.
func WaitAside(t *T, d time.Duration) { t.aside(func() { t.idle(d) }) }

// afterOthers waits until all other checks have ended, but for those that wait likewise: they follow in order.
func (t *T) afterOthers() {
	h, ok := t.ctx.Value(holdKey{}).(*hold)
	if !ok || h.waits {
		return
	}
	t.aside(func() {
		defer deadline.Pause(t.ctx)()
		h.waits = true
		h.mu.Lock()
		h.postponed = append(h.postponed, h)
		h.mu.Unlock()
		h.others.Done()
		<-h.resumed // which comes when the run ends, too
	})
}
