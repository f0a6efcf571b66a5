package suites_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// The merged shards of a run equal the whole run.
func TestShardsMakeTheWholeRun(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckAudience) // so that there are findings too
	r := against.Start(t, o)
	evaluate := func(shard reports.Shard) reports.Redacted {
		cfg := against.SigningIn(r)
		cfg.Shard = shard
		cfg.Skip = append(cfg.Skip, "RS-RATE-*", "AS-RATE-*", "AS-CIMD-SIZE-AND-TIME", "RS-ABUSE-*")
		if !whole.All(t) {
			cfg.LabelFilter = "challenge || audience || pkce"
		}
		run, err := suites.Run(t.Context(), cfg)
		require.NoError(t, err)
		return run
	}
	whole := evaluate(reports.Shard{})
	var parts []reports.Redacted
	for i := range 3 {
		parts = append(parts, evaluate(reports.Shard{Index: 3 - i, Count: 3})) // in any order
	}
	order, err := suites.Checks()
	require.NoError(t, err)
	merged, err := reports.Merge(parts, order)
	require.NoError(t, err)
	assert.Equal(t, whole.Run().Counts(), merged.Run().Counts())
	verdicts := func(run *reports.Run) (out []string) {
		for _, r := range run.Results {
			out = append(out, strings.Join([]string{r.ID, r.Wire, strings.Join(r.Revisions, "+"), string(r.Verdict)}, " "))
		}
		return out
	}
	assert.Equal(t, verdicts(whole.Run()), verdicts(merged.Run()))
	numbers := map[int]string{}
	for _, ex := range merged.Run().Exchanges {
		assert.Empty(t, numbers[ex.Number], "exchange %d appears twice", ex.Number)
		numbers[ex.Number] = ex.Check
	}
	for _, r := range merged.Run().Results {
		for _, f := range r.Findings {
			if f.Exchange > 0 {
				assert.Contains(t, []string{r.ID, "survey", "login"}, numbers[f.Exchange], r.ID)
			}
		}
	}
	assert.Nil(t, merged.Run().Shard)
}
