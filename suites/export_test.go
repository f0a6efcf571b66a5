package suites

import (
	"sync/atomic"
	"time"
)

// MoveClock moves the time of day by d after a run has read it. The returned function moves it back.
func MoveClock(d time.Duration) (back func()) {
	before := timeOfDay.Load()
	var readings atomic.Int64
	moved := func(now time.Time) time.Time {
		if readings.Add(1) == 1 {
			return now.Round(0)
		}
		return now.Round(0).Add(d)
	}
	timeOfDay.Store(&moved)
	return func() { timeOfDay.Store(before) }
}
