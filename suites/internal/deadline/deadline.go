// Package deadline limits the time of a check. What the check waits for others, in a queue, can be left out of it.
package deadline

import (
	"context"
	"sync"
	"time"
)

// limited is a context whose time can stand still.
type limited struct {
	context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	timer   *time.Timer
	rest    time.Duration // when the time last began to run
	began   time.Time
	pauses  int
	expired bool
}

type key struct{}

// With is like context.WithTimeout; Pause stops the time.
func With(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	l := &limited{Context: ctx, cancel: cancel, rest: d}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run()
	return l, l.stop
}

// Pause stops the time of a context until resume is called. Pauses may overlap; without a limit there is nothing to stop.
func Pause(ctx context.Context) (resume func()) {
	l, ok := ctx.Value(key{}).(*limited)
	if !ok {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses++; l.pauses == 1 && l.timer.Stop() {
		l.rest -= time.Since(l.began)
	}
	return sync.OnceFunc(l.resume)
}

// Extend gives a context more time; without a limit there is nothing to extend.
func Extend(ctx context.Context, by time.Duration) {
	l, ok := ctx.Value(key{}).(*limited)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.pauses > 0:
		l.rest += by
	case l.timer.Stop():
		l.rest += by - time.Since(l.began)
		l.run()
	}
}

func (l *limited) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses--; l.pauses == 0 && l.Context.Err() == nil {
		l.run()
	}
}

// run lets the time go on. The caller holds the lock.
func (l *limited) run() {
	l.began = time.Now()
	l.timer = time.AfterFunc(max(l.rest, 0), l.expire)
}

func (l *limited) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses == 0 && l.Context.Err() == nil {
		l.expired = true
		l.cancel()
	}
}

func (l *limited) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	l.cancel()
}

// Err tells a limit that was reached from a context that was cancelled.
func (l *limited) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expired {
		return context.DeadlineExceeded
	}
	return l.Context.Err()
}

// Value finds the limit in contexts that are made from this one.
func (l *limited) Value(k any) any {
	if k == (key{}) {
		return l
	}
	return l.Context.Value(k)
}
