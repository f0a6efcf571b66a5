package suites_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// leastWithRows is the minimum number of checks that name their rows. It only goes up.
const leastWithRows = 260

// The rows that explain shows are those that the checks report in a run against the reference server. They are in
// fixtures/requirements/rows, and "make rows" writes them.
func TestTheCatalogueNamesWhatIsTried(t *testing.T) {
	t.Parallel()
	run := idealRun(t)
	tried := map[string]map[string][]string{}
	for _, r := range requirements.All() {
		tried[r.Area] = map[string][]string{}
	}
	for i := range run.Results {
		r := &run.Results[i]
		for _, row := range r.Tried {
			if rows := tried[r.Area]; !slices.Contains(rows[r.ID], against.SteadyRow(row)) {
				rows[r.ID] = append(rows[r.ID], against.SteadyRow(row))
			}
		}
	}
	total := 0
	for _, area := range slices.Sorted(maps.Keys(tried)) {
		total += len(tried[area])
		t.Run(area, func(t *testing.T) { compareRows(t, area, tried[area]) })
	}
	assert.GreaterOrEqual(t, total, leastWithRows)
}

// compareRows compares the rows that the checks of an area report with those in its file, or writes the file.
func compareRows(t *testing.T, area string, tried map[string][]string) {
	file := filepath.Join("..", "fixtures", "requirements", "rows", area+".txt")
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		var b strings.Builder
		for _, id := range slices.Sorted(maps.Keys(tried)) {
			b.WriteString(id + "\n\t" + strings.Join(tried[id], "\n\t") + "\n")
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
		return
	}
	for _, r := range requirements.All() {
		if r.Area == area {
			assert.Equal(t, requirements.Rows(r.ID), tried[r.ID], "%s tries something else than %s says; if it should, run: make rows AREA=%s",
				r.ID, file, area)
		}
	}
}

// A second look confirms a finding by its row: a row with another name in each run confirms none.
func TestNoRowHasARandomName(t *testing.T) {
	t.Parallel()
	for _, r := range requirements.All() {
		for _, row := range requirements.Rows(r.ID) {
			assert.NotContains(t, row, "RANDOM", "%s: a random value is in the name of a row; name the row by what the value is", r.ID)
		}
	}
}
