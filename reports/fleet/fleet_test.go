package fleet_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/fleet"
)

var made = fleet.Made{Tool: "v1", Catalogue: "c", Configuration: "x"}

// write writes a target whose requirements have these verdicts.
func write(t *testing.T, dir, key string, verdicts map[string]reports.Verdict) {
	t.Helper()
	run := reports.Run{Started: time.Unix(1_700_000_000, 0), Requests: 7}
	run.Target.URL = "https://" + key + ".example/mcp"
	for id, v := range verdicts {
		run.Results = append(run.Results, reports.Result{ID: id, Level: "MUST", Verdict: v})
	}
	redacted := reports.Redact(run, &reports.Secrets{})
	d := fleet.Done{Version: fleet.Version, Made: made}
	d.Add(redacted)
	require.NoError(t, fleet.Write(filepath.Join(dir, key), redacted, d))
}

func TestDriftBetweenFolders(t *testing.T) {
	const a, b, c = "RS-CHALLENGE-401-STATUS", "RS-DISC-PRM-PUBLISHED", "AS-META-PUBLISHED"
	before, now := t.TempDir(), t.TempDir()
	write(t, before, "one", map[string]reports.Verdict{a: reports.Pass, b: reports.Fail, c: reports.Fail})
	write(t, now, "one", map[string]reports.Verdict{a: reports.Fail, b: reports.Pass, c: reports.NotTested})
	write(t, before, "gone", map[string]reports.Verdict{a: reports.Pass})
	write(t, now, "new", map[string]reports.Verdict{a: reports.Pass})
	write(t, before, "off", map[string]reports.Verdict{a: reports.Fail})
	require.NoError(t, fleet.WriteDone(filepath.Join(now, "off"), fleet.Done{Version: fleet.Version, State: fleet.Unreachable, Made: made}))
	s, err := fleet.Sum(now, before, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, s.Drift.Regressed)
	assert.Equal(t, 1, s.Drift.Fixed, "a requirement that is no longer tested counts as fixed")
	assert.Equal(t, 1, s.Drift.New)
	assert.Equal(t, 1, s.Drift.Gone)
	assert.Equal(t, 1, s.Drift.NowUnreachable)
	assert.Equal(t, []string{"https://one.example/mcp: " + a}, s.Drift.ExamplesRegressed)
	assert.Equal(t, 1, s.Drift.RegressedAt)
	assert.Equal(t, &fleet.Moved{Regressed: 1}, s.Drift.Requirements[a])
	assert.Equal(t, []string{a, b}, s.Drift.Changed())
	decided, all := s.Coverage()
	assert.Equal(t, []int{3, 4}, []int{decided, all}, "the unreachable target is counted")
	assert.Equal(t, []string{a}, s.Failures())
	_, err = fleet.Sum(now, filepath.Join(before, "missing"), nil)
	assert.ErrorContains(t, err, "missing")
}

// Results without done.json, or different from what it says, are not finished.
func TestOnlyWholeResultsAreFinished(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Pass})
	one := filepath.Join(dir, "one")
	require.True(t, fleet.Finished(one, made))
	for _, other := range []fleet.Made{{Tool: "v2", Catalogue: "c", Configuration: "x"}, {Tool: "v1", Catalogue: "d", Configuration: "x"},
		{Tool: "v1", Catalogue: "c", Configuration: "y"}} {
		assert.False(t, fleet.Finished(one, other), other)
	}
	for what, harm := range map[string]func() error{
		"results cut off": func() error { return os.Truncate(filepath.Join(one, fleet.ResultsFile), 5) },
		"no results":      func() error { return os.Remove(filepath.Join(one, fleet.ResultsFile)) },
		"done cut off":    func() error { return os.Truncate(filepath.Join(one, fleet.DoneFile), 5) },
		"no done":         func() error { return os.Remove(filepath.Join(one, fleet.DoneFile)) },
	} {
		write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Pass})
		require.NoError(t, harm())
		assert.False(t, fleet.Finished(one, made), what)
	}
	for _, state := range []fleet.State{fleet.Invalid, fleet.Failed} {
		write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Pass})
		require.NoError(t, fleet.WriteDone(one, fleet.Done{Version: fleet.Version, State: state, Made: made}))
		assert.NoFileExists(t, filepath.Join(one, fleet.ResultsFile), "results of an earlier run were not deleted")
		assert.False(t, fleet.Finished(one, made))
	}
	require.NoError(t, os.WriteFile(filepath.Join(one, ".mcpauth-123"), []byte("half"), 0o600))
	write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Pass})
	entries, err := os.ReadDir(one)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "the files of a killed process are not deleted")
}

// The page and the metrics of many targets are about as long as those of few, and list the worst ones.
func TestReportsDoNotGrowWithTheFleet(t *testing.T) {
	dir := t.TempDir()
	size := func() (page, metrics int) {
		s, err := fleet.Sum(dir, "", nil)
		require.NoError(t, err)
		var h, m bytes.Buffer
		require.NoError(t, s.HTML(&h))
		require.NoError(t, s.OpenMetrics(&m))
		assert.True(t, strings.HasSuffix(m.String(), "# EOF\n"))
		return h.Len(), m.Len()
	}
	for i := range 60 {
		write(t, dir, fmt.Sprintf("%03d", i), map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Fail})
	}
	write(t, dir, "worst<script>", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Fail, "RS-DISC-PRM-PUBLISHED": reports.Fail})
	page, metrics := size()
	for i := range 60 {
		write(t, dir, fmt.Sprintf("1%03d", i), map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Fail})
	}
	longer, more := size()
	assert.InDelta(t, page, longer, 100)
	assert.InDelta(t, metrics, more, 20)
	s, err := fleet.Sum(dir, "", nil)
	require.NoError(t, err)
	assert.Equal(t, "worst<script>", s.Worst[0].Key)
	assert.Len(t, s.Worst, 50)
	var h bytes.Buffer
	require.NoError(t, s.HTML(&h))
	assert.NotContains(t, h.String(), "<script>")
}

// The work is the sum of the runs; the last end is the latest start plus duration.
func TestSummaryCountsTime(t *testing.T) {
	dir := t.TempDir()
	began := time.Unix(1_700_000_000, 0)
	for i, key := range []string{"one", "two"} {
		d := fleet.Done{Version: fleet.Version, State: fleet.Unreachable, Started: began, Duration: reports.Milliseconds(1500 * (i + 1))}
		require.NoError(t, fleet.WriteDone(filepath.Join(dir, key), d))
	}
	s, err := fleet.Sum(dir, "", nil)
	require.NoError(t, err)
	assert.Equal(t, 4500*time.Millisecond, s.Work)
	assert.True(t, s.Last.Equal(began.Add(3*time.Second)), s.Last)
}

// No text in a folder, whoever wrote it, acts on a terminal or a CI system after processing.
func TestNoStringOfAFolderActs(t *testing.T) {
	const attack = "https://x.example/\u009b31m\u202e##vso[x]\u0085\U000e0041"
	dir := t.TempDir()
	write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Fail})
	one, ok, err := fleet.Read(filepath.Join(dir, "one"))
	require.NoError(t, err)
	require.True(t, ok)
	one.Target, one.Why, one.File = attack, attack, attack
	require.NoError(t, fleet.WriteDone(filepath.Join(dir, "one"), one))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "\u202etwo"), 0o755))
	require.NoError(t, fleet.WriteDone(filepath.Join(dir, "\u202etwo"), one))
	var lines, page, metrics bytes.Buffer
	s, err := fleet.Sum(dir, dir, func(key string, d *fleet.Done) error { return fleet.Line(&lines, key, d) })
	require.NoError(t, err)
	require.NoError(t, s.HTML(&page))
	require.NoError(t, s.OpenMetrics(&metrics))
	done, err := os.ReadFile(filepath.Join(dir, "one", fleet.DoneFile))
	require.NoError(t, err)
	for name, text := range map[string]string{"lines": lines.String(), "page": page.String(), "metrics": metrics.String(),
		"done": string(done)} {
		assert.NotRegexp(t, `[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{e0000}-\x{e007f}]|##[a-z]*\[`, text, name)
	}
	again, _, err := fleet.Read(filepath.Join(dir, "one"))
	require.NoError(t, err)
	assert.Equal(t, attack, again.Target, "the escaped text does not decode to the same text")
}

// An untrusted folder may contain special files: reading does not wait for a pipe, does not read a device, and does not write through a
// link.
func TestFoldersWithWhatIsNoFile(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"a pipe":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device":          func(path string) error { return os.Symlink("/dev/zero", path) },
		"somewhere else":    func(path string) error { return os.Symlink(t.TempDir(), path) },
		"nothing at a link": func(path string) error { return os.Symlink(path+"x", path) },
	} {
		for _, name := range []string{fleet.DoneFile, fleet.ResultsFile} {
			dir := t.TempDir()
			write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Pass})
			one := filepath.Join(dir, "one")
			path := filepath.Join(one, name)
			require.NoError(t, os.Remove(path))
			require.NoError(t, make(path), what)
			assert.False(t, fleet.Finished(one, made), what)
			if _, err := fleet.Sum(dir, "", nil); name == fleet.DoneFile {
				assert.ErrorContains(t, err, "is not a regular file", what)
			}
		}
	}
	elsewhere, link := t.TempDir(), filepath.Join(t.TempDir(), "one")
	require.NoError(t, os.Symlink(elsewhere, link))
	assert.ErrorContains(t, fleet.WriteDone(link, fleet.Done{Version: fleet.Version}), "symbolic link")
	assert.NoFileExists(t, filepath.Join(elsewhere, fleet.DoneFile))
}

// An untrusted folder is read only in the form that a run writes.
func TestFoldersOfOthers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one", map[string]reports.Verdict{"RS-CHALLENGE-401-STATUS": reports.Fail})
	path := filepath.Join(dir, "one", fleet.DoneFile)
	right, err := os.ReadFile(path)
	require.NoError(t, err)
	for what, change := range map[string][2]string{
		"state":       {`"tested"`, `"\n::error::x"`},
		"outcome":     {`"findings"`, `"x\"} 1\nother{a=\"b"`},
		"verdict":     {`"FAIL"`, `"\u001b[2J"`},
		"requirement": {`"RS-CHALLENGE-401-STATUS"`, `"RS-##vso[x]"`},
	} {
		require.Contains(t, string(right), change[0])
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(right), change[0], change[1])), 0o600))
		_, err := fleet.Sum(dir, "", nil)
		require.ErrorContains(t, err, what)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}
