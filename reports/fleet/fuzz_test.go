package fleet_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/fleet"
)

const oneDone = `{"version":1,"target":"https://a.example/mcp","state":"tested","started":"2026-01-01T00:00:00Z","duration_ms":1,` +
	`"requests":1,"made_by":{"tool":"t","catalogue":"c","configuration":"x"},"outcome":{"kind":"findings"},` +
	`"verdicts":{"FAIL":["RS-CHALLENGE-401-STATUS"]}}`

// Summarizing any done.json takes memory and time in proportion to it, in every form.
func FuzzDone(f *testing.F) {
	f.Add(oneDone)
	f.Add(strings.Replace(oneDone, `"requests":1`, `"requests":-9223372036854775808`, 1))
	f.Add(strings.Replace(oneDone, `"duration_ms":1`, `"duration_ms":1e308`, 1))
	f.Add(strings.Replace(oneDone, `["RS-CHALLENGE-401-STATUS"]`, `["RS-A"`+strings.Repeat(`,"RS-A"`, 1000)+`]`, 1))
	f.Add(strings.Repeat(`{"outcome":`, 1000))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<18 {
			t.Skip()
		}
		dir := t.TempDir()
		done(t, dir, text)
		costs.Bounded(t, len(text), 1000, func() {
			s, err := fleet.Sum(dir, dir, func(key string, d *fleet.Done) error { return fleet.Line(io.Discard, key, d) })
			if err != nil {
				return
			}
			if s.Requests < 0 || s.Work < 0 {
				t.Errorf("the work is wrong: %d requests in %v", s.Requests, s.Work)
			}
			for id, of := range s.Requirements {
				for v, n := range of {
					if n > s.Targets {
						t.Errorf("%s is %s at %d of %d targets", id, v, n, s.Targets)
					}
				}
			}
			var page, metrics bytes.Buffer
			if err := s.HTML(&page); err != nil {
				t.Error(err)
			}
			if err := s.OpenMetrics(&metrics); err != nil {
				t.Error(err)
			}
		})
	})
}

// done writes a target's folder.
func done(t testing.TB, dir, text string) {
	t.Helper()
	folder := filepath.Join(dir, "0123456789abcdef01234567")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, fleet.DoneFile), []byte(text), 0o600))
}

// Counts that no run writes would falsify the sums.
func TestFoldersWithWrongCounts(t *testing.T) {
	for before, after := range map[string]string{
		`"requests":1`:                `"requests":-5`,
		`"duration_ms":1`:             `"duration_ms":1e300`,
		`["RS-CHALLENGE-401-STATUS"]`: `["RS-CHALLENGE-401-STATUS","RS-CHALLENGE-401-STATUS"]`,
		`"FAIL":`:                     `"PASS":["RS-CHALLENGE-401-STATUS"],"FAIL":`,
	} {
		dir := t.TempDir()
		done(t, dir, strings.Replace(oneDone, before, after, 1))
		_, err := fleet.Sum(dir, "", nil)
		require.ErrorContains(t, err, fleet.DoneFile, after)
	}
	dir := t.TempDir()
	done(t, dir, oneDone)
	s, err := fleet.Sum(dir, "", nil)
	require.NoError(t, err)
	require.Equal(t, 1, s.Requirements["RS-CHALLENGE-401-STATUS"][reports.Fail])
}
