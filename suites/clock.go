package suites

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// timeOfDay is the time of day at a reading of the clock; tests move it.
var timeOfDay atomic.Pointer[func(now time.Time) time.Time]

func init() {
	asRead := func(now time.Time) time.Time { return now.Round(0) }
	timeOfDay.Store(&asRead)
}

// clock notices that the machine's time of day was moved: set, or stopped while the machine slept.
type clock struct {
	of    func(now time.Time) time.Time // the time of day
	began time.Time                     // with the reading of the monotonic clock
	day   time.Time

	mu   sync.Mutex
	most time.Duration
}

// How far the time of day may drift, since time servers correct it, and how often it is compared.
const (
	drift = 2 * time.Second
	look  = 100 * time.Millisecond
)

// watchClock compares the clocks until ctx ends.
func watchClock(ctx context.Context, of func(now time.Time) time.Time) *clock {
	began := time.Now()
	c := &clock{of: of, began: began, day: of(began)}
	go func() {
		for {
			select {
			case <-time.After(look):
				c.read()
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// read compares both clocks as one reading shows them: between two, a busy machine may pause the process.
func (c *clock) read() {
	now := time.Now()
	drift := c.of(now).Sub(c.day) - now.Sub(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	if drift.Abs() > c.most.Abs() {
		c.most = drift
	}
}

// moved returns the largest change of the time of day; 0 if it was not changed.
func (c *clock) moved() time.Duration {
	c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most.Abs() < drift {
		return 0
	}
	return c.most.Round(time.Second)
}
