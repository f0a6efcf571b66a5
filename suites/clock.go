package suites

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// wallClock tells the time of day; tests move it.
var wallClock atomic.Pointer[func() time.Time]

func init() {
	now := time.Now
	wallClock.Store(&now)
}

// clock notices that the machine's time of day was moved: set, or stopped while the machine slept.
type clock struct {
	wall  func() time.Time
	began time.Time // with the reading of the monotonic clock
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
func watchClock(ctx context.Context, wall func() time.Time) *clock {
	c := &clock{wall: wall, began: time.Now(), day: wall().Round(0)}
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

func (c *clock) read() {
	drift := c.wall().Round(0).Sub(c.day) - time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	if drift.Abs() > c.most.Abs() {
		c.most = drift
	}
}

// moved is the largest change of the time of day; 0 if it was not changed.
func (c *clock) moved() time.Duration {
	c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most.Abs() < drift {
		return 0
	}
	return c.most.Round(time.Second)
}
