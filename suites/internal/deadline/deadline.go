// Package deadline limits the time of a check. The time that it waits in a queue does not count.
package deadline

import (
	"context"
	"sync"
	"time"
)

// limited is a context whose time can be paused.
type limited struct {
	context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	timer   *time.Timer
	rest    time.Duration // when the time last started to run
	began   time.Time
	pauses  int
	expired bool
}

type key struct{}

// With is like context.WithTimeout with a time that Pause stops.
func With(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	l := &limited{Context: ctx, cancel: cancel, rest: d}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run()
	return l, l.stop
}

// Pause stops the time of a context until resume is called. Pauses may overlap. Without a limit it does nothing.
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

// Extend gives a context more time. Without a limit it does nothing.
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

// run restarts the time. The caller holds the lock.
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

// Err distinguishes a reached limit from a cancelled context.
func (l *limited) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expired {
		return context.DeadlineExceeded
	}
	return l.Context.Err()
}

// Value makes the limit available to derived contexts.
func (l *limited) Value(k any) any {
	if k == (key{}) {
		return l
	}
	return l.Context.Value(k)
}
