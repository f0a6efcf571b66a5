package suites

import "time"

// MoveClock moves the time of day by d after a while, until the function that it returns is called.
func MoveClock(after, d time.Duration) (back func()) {
	began, before := time.Now(), wallClock.Load()
	moved := func() time.Time {
		if time.Since(began) > after {
			return time.Now().Add(d)
		}
		return time.Now()
	}
	wallClock.Store(&moved)
	return func() { wallClock.Store(before) }
}
