package quirks_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A server that has one stream a session refuses another one for that reason, whoever asks for it.
func TestDefectsOfStreamsShowWhereSessionsHaveOne(t *testing.T) {
	t.Parallel()
	for flaw, check := range map[string]string{
		"session-alone-stream": "RS-SESSION-STREAM-NEEDS-TOKEN",
		"events-of-everybody":  "RS-SESSION-EVENT-ISOLATION",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			found := func(bend func(o *reference.Options)) []string {
				o := reference.Ideal()
				bend(&o)
				all := flaws.All()
				i := slices.IndexFunc(all, func(f flaws.Flaw) bool { return f.Name == flaw })
				require.GreaterOrEqual(t, i, 0)
				all[i].Bend(&o)
				cfg := against.SigningIn(against.Start(t, o))
				cfg.Skip, cfg.Only = nil, []string{check}
				return abouts(against.Run(t, cfg))
			}
			many := found(func(*reference.Options) {})
			assert.NotEmpty(t, many)
			assert.Equal(t, many, found(func(o *reference.Options) { o.Policy.OneStream = quirks.PlaceKept }))
		})
	}
}

// abouts are the rows that the findings of a run are about.
func abouts(run *reports.Run) (rows []string) {
	for _, r := range run.Results {
		for _, f := range r.Findings {
			rows = append(rows, f.About)
		}
	}
	return rows
}
