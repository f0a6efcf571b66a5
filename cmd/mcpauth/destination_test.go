package main_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// earlier returns the JSON report of a small run.
func earlier(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.json")
	code, _, errs := mcpauth(t, "run", start(t, nil).URL, "-q", "--only", "RS-CHALLENGE-401-STATUS", "--report", "json="+path)
	require.Zero(t, code, errs)
	return path
}

// A report replaces a regular file, or creates one. It is written to pipes and character devices; anything else at the path stays
// unchanged.
func TestReportsReplaceRegularFilesOnly(t *testing.T) {
	t.Parallel()
	run := earlier(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	report := func(path string) (int, string, string) {
		return mcpauth(t, "report", run, "-q", "--report", "json="+path)
	}
	kind := func(path string) os.FileMode {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		return info.Mode().Type()
	}

	t.Run("a pipe is written to", func(t *testing.T) {
		require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
		read := make(chan []byte, 1)
		go func() {
			f, err := os.Open(at("pipe"))
			if !assert.NoError(t, err) {
				return
			}
			defer f.Close()
			b, err := io.ReadAll(f)
			assert.NoError(t, err)
			read <- b
		}()
		code, _, errs := report(at("pipe"))
		assert.Zero(t, code, errs)
		assert.Equal(t, os.ModeNamedPipe, kind(at("pipe")))
		assert.True(t, json.Valid(<-read))
	})
	t.Run("the null device is written to", func(t *testing.T) {
		code, _, errs := report(os.DevNull)
		assert.Zero(t, code, errs)
		assert.Equal(t, os.ModeDevice|os.ModeCharDevice, kind(os.DevNull))
	})
	t.Run("a symbolic link is refused", func(t *testing.T) {
		require.NoError(t, os.WriteFile(at("theirs"), []byte("theirs"), 0o600))
		for link, to := range map[string]string{"link": at("theirs"), "dangling": at("nothing"), "to the null device": os.DevNull} {
			require.NoError(t, os.Symlink(to, at(link)))
			code, _, errs := report(at(link))
			assert.Equal(t, 2, code, link)
			assert.Contains(t, errs, "is a symbolic link", link)
			assert.Equal(t, os.ModeSymlink, kind(at(link)), link)
		}
		b, err := os.ReadFile(at("theirs"))
		require.NoError(t, err)
		assert.Equal(t, "theirs", string(b))
		assert.NoFileExists(t, at("nothing"))
	})
	t.Run("a folder is refused", func(t *testing.T) {
		require.NoError(t, os.Mkdir(at("folder"), 0o700))
		code, _, errs := report(at("folder"))
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, "is a folder")
	})
	t.Run("standard output by its names", func(t *testing.T) {
		for _, path := range []string{"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"} {
			code, out, errs := report(path)
			assert.Zero(t, code, errs)
			assert.True(t, json.Valid([]byte(out)), path)
		}
		out := filepath.Join(t.TempDir(), "out")
		c := exec.Command("sh", "-c", `echo before >"$2"; "$0" report "$1" -q --report badge=/dev/stdout >>"$2"`, binary, run, out)
		said, err := c.CombinedOutput()
		require.NoError(t, err, string(said))
		b, err := os.ReadFile(out)
		require.NoError(t, err)
		assert.Regexp(t, `^before\n\{.*\}\n$`, string(b), "the report is not appended to the file")
		c = exec.Command("bash", "-c", `"$0" report "$1" -q --report badge=>(cat >"$2"); wait`, binary, run, out)
		said, err = c.CombinedOutput()
		require.NoError(t, err, string(said))
	})
	t.Run("a matrix too", func(t *testing.T) {
		code, _, errs := mcpauth(t, "report", run, run, "--report", "matrix="+at("link"))
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, "is a symbolic link")
	})
	t.Run("a pipe that nobody reads", func(t *testing.T) {
		require.NoError(t, syscall.Mkfifo(at("silent"), 0o600))
		code, _, errs := mcpauthProcess(t, []string{pipePatience + "=300ms"}, "report", run, "-q", "--report", "json="+at("silent"))
		assert.Equal(t, 4, code)
		assert.Contains(t, errs, "no process reads this pipe")
	})
	left, err := filepath.Glob(at(".mcpauth-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// The same holds for the other files that the program writes.
func TestOtherFilesAreReplacedAsCarefully(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	dir := t.TempDir()
	link, theirs := filepath.Join(dir, "link"), filepath.Join(dir, "theirs")
	require.NoError(t, os.WriteFile(theirs, []byte("theirs"), 0o600))
	require.NoError(t, os.Symlink(theirs, link))
	for name, args := range map[string][]string{
		"init":      {"init", r.URL, "--force", "--output", link},
		"authority": {"run", r.URL, "-q", "--only", "RS-CHALLENGE-401-STATUS", "--cimd-listen", "127.0.0.1:0", "--cimd-ca-file", link},
		"history":   {"run", r.URL, "-q", "--only", "RS-CHALLENGE-401-STATUS", "--history", link},
	} {
		code, _, errs := mcpauth(t, args...)
		assert.True(t, code != 0 || name == "history", name) // a history that cannot be written does not change the result
		assert.Contains(t, errs, "is a symbolic link", name)
	}
	b, err := os.ReadFile(theirs)
	require.NoError(t, err)
	assert.Equal(t, "theirs", string(b))
}
