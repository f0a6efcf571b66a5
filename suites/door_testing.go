package suites

import (
	"slices"
	"testing"

	"github.com/mcpauth/conformance/reports"
)

// Test tests a target under go test: a subtest for each requirement. A FAIL, an INCONCLUSIVE and an ERROR
// fail their subtest; a WARN does not. It returns the report, which you can write with the packages below reports.
func Test(t *testing.T, cfg Config) reports.Redacted {
	t.Helper()
	ctx, s, err := prepare(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.run.Unreachable != "" {
		t.Errorf("the target could not be tested: %s", s.run.Unreachable)
		return s.close(ctx)
	}
	ids := s.selected()
	engine := s.start(ctx, ids)
	s.reg.Subtests(t, func(id string) bool { return slices.Contains(ids, id) }, engine.Wait)
	return s.finish(ctx)
}
