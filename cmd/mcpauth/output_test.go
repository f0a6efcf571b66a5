package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
)

// A report says how to repeat the run, and who allowed it.
func TestHowAndByWhom(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	code, _, errs := mcpauthProcess(t, []string{"TOKEN=" + r.Token(), "MCPAUTH_SKIP=RS-SCOPE-*"}, "run", r.URL, "--only",
		"RS-DISC-*,RS-CHALLENGE-401-STATUS", "--token-env", "TOKEN",
		"--authorized-by", "Ada Lovelace, ticket 42", "--report", "json="+file, "--report", "html="+filepath.Join(dir, "r.html"), "-q")
	require.Zero(t, code, errs)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var run reports.Run
	require.NoError(t, json.Unmarshal(b, &run))
	assert.Equal(t, "mcpauth run "+r.URL+" --authorized-by 'Ada Lovelace, ticket 42' --only 'RS-DISC-*' --only RS-CHALLENGE-401-STATUS "+
		"--skip 'RS-SCOPE-*' --token-env TOKEN", run.Command)
	assert.Equal(t, "Ada Lovelace, ticket 42", run.AuthorizedBy)
	assert.Positive(t, run.Selected)
	page, err := os.ReadFile(filepath.Join(dir, "r.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "authorized by Ada Lovelace, ticket 42")
}

// Reports of the passing demo are small enough to keep; with all evidence they contain every request.
func TestReportsAreSmall(t *testing.T) {
	t.Parallel()
	d := runDemo(t)
	require.Zero(t, d.code, d.errs+d.out)
	for name, most := range map[string]int64{"r.json": 2_000_000, "r.har": 2_000_000, "r.xml": 700_000, "r.html": 700_000} {
		info, err := os.Stat(filepath.Join(d.dir, name))
		require.NoError(t, err)
		assert.Less(t, info.Size(), most, name)
	}
	at := func(name string) string { return filepath.Join(d.dir, name) }
	code, _, errs := mcpauth(t, "demo", "-q", "--only", "RS-CHALLENGE-*", "--evidence", "all", "--report", "json="+at("all.json"))
	require.Zero(t, code, errs)
	b, err := os.ReadFile(at("all.json"))
	require.NoError(t, err)
	var run reports.Run
	require.NoError(t, json.Unmarshal(b, &run))
	for _, r := range run.Results {
		for _, n := range r.Evidence {
			_, ok := run.Exchange(n)
			assert.True(t, ok, "%s: exchange %d is missing", r.ID, n)
		}
	}
	code, _, errs = mcpauth(t, "demo", "--evidence", "some")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, `--evidence "some": want cited or all`)
}
