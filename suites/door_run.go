package suites

import (
	"context"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
)

// Run tests a target and returns the redacted report. The error is a UsageError, or says that the tool itself
// failed. Findings are not errors, and neither is a target that cannot be reached. Several runs may be active in one
// process; a run with a Seed waits until no other run is active.
func Run(ctx context.Context, cfg Config) (reports.Redacted, error) {
	ctx, s, err := prepare(ctx, cfg)
	if err != nil {
		return reports.Redacted{}, err
	}
	if s.run.Unreachable != "" {
		return s.close(ctx), nil
	}
	ids := s.selected()
	if len(ids) == 0 {
		s.close(ctx)
		return reports.Redacted{}, usage("the filters select no check; mcpauth list shows what there is")
	}
	s.run.Selected = len(ids)
	if cfg.OnSelected != nil {
		resume := deadline.Pause(ctx)
		cfg.OnSelected(len(ids))
		resume()
	}
	s.start(ctx, ids)
	return s.finish(ctx), nil
}
