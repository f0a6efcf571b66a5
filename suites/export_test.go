package suites

import (
	"context"
	"errors"

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
