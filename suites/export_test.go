package suites

import (
	"context"
	"errors"
	"time"

	"github.com/mcpauth/conformance/reports"
)

// Evaluate is Run, with an error where the target cannot be reached.
func Evaluate(ctx context.Context, cfg Config) (reports.Redacted, error) {
	run, err := Run(ctx, cfg)
	if err == nil && run.Run().Unreachable != "" {
		err = errors.New(run.Run().Unreachable)
	}
	return run, err
}

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
