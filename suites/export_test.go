package suites

import (
	"context"
	"errors"
	"time"

	"github.com/mcpauth/conformance/reports"
)

// Evaluate runs without Ginkgo and without testing.T, so that tests can judge many targets at once.
func Evaluate(ctx context.Context, cfg Config) (reports.Redacted, error) {
	ctx, s, err := prepare(ctx, cfg)
	if err != nil {
		return reports.Redacted{}, err
	}
	if s.run.Unreachable != "" {
		return s.close(ctx), errors.New(s.run.Unreachable)
	}
	s.engine.Start(ctx, s.selected())
	return s.finish(ctx), nil
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
