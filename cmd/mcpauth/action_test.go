package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"go.yaml.in/yaml/v3"
)

// action runs the script of action.yml like a runner.
func action(t *testing.T, inputs map[string]string) (code int, folder string, outputs, summary, log string) {
	t.Helper()
	folder = t.TempDir()
	script, err := filepath.Abs("../../.ci/action")
	require.NoError(t, err)
	c := exec.Command("bash", script)
	c.Dir = folder
	c.Env = append(os.Environ(), "MCPAUTH_BINARY="+binary, "GITHUB_OUTPUT="+filepath.Join(folder, "out"),
		"GITHUB_STEP_SUMMARY="+filepath.Join(folder, "summary"))
	for name, v := range inputs {
		c.Env = append(c.Env, "INPUT_"+name+"="+v)
	}
	b, _ := c.CombinedOutput()
	out, _ := os.ReadFile(filepath.Join(folder, "out"))
	sum, _ := os.ReadFile(filepath.Join(folder, "summary"))
	return c.ProcessState.ExitCode(), folder, string(out), string(sum), string(b)
}

func TestActionReports(t *testing.T) {
	t.Parallel()
	good, bad := start(t, nil), start(t, func(o *reference.Options) { o.Policy.Status = 403 })
	code, folder, outputs, summary, log := action(t, map[string]string{"URL": good.URL, "ARGS": "--only\nRS-DISC-*\n",
		"REPORT_DIR": "my reports"})
	assert.Zero(t, code, log)
	assert.Contains(t, outputs, "verdict=conformant\nexit-code=0\n")
	assert.Contains(t, outputs, filepath.Join(folder, "my reports")+"\n")
	assert.NotEmpty(t, summary)
	for _, name := range []string{"mcpauth.json", "mcpauth.html", "mcpauth.xml", "mcpauth.sarif", "mcpauth.md"} {
		assert.FileExists(t, filepath.Join(folder, "my reports", name))
	}
	code, _, outputs, _, log = action(t, map[string]string{"URL": bad.URL, "ARGS": "--only\nRS-CHALLENGE-*"})
	assert.Equal(t, 1, code, log)
	assert.Contains(t, outputs, "verdict=findings")
	assert.Contains(t, log, "::error title=RS-CHALLENGE-401-STATUS")
	code, _, _, _, log = action(t, nil)
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "give the input url or config")
}

// An input is an argument, whatever it contains.
func TestActionInputsAreNeverCommands(t *testing.T) {
	t.Parallel()
	good := start(t, nil)
	texts := []string{"$(touch pwned)", "--report=json=pwned", "x\nverdict=conformant", "`touch pwned`", "; touch pwned #",
		"' ; touch pwned; '", "\"; touch pwned; \"", "a\ntouch pwned", "${IFS}touch${IFS}pwned"}
	if !whole.All(t) {
		texts = texts[:3]
	}
	for _, hostile := range texts {
		for _, name := range []string{"URL", "CONFIG", "ARGS", "BASELINE", "FAIL_ON", "REPORT_DIR"} {
			inputs := map[string]string{"URL": good.URL, "ARGS": "--only\nRS-DISC-HTTP-SHAPE"}
			if name == "ARGS" && strings.HasPrefix(hostile, "--") {
				continue // args is for options
			}
			inputs[name] = hostile
			_, folder, outputs, _, log := action(t, inputs)
			assert.NoFileExists(t, filepath.Join(folder, "pwned"), "%s=%q: %s", name, hostile, log)
			assert.LessOrEqual(t, strings.Count("\n"+outputs, "\nverdict="), 1, "%s=%q: %s", name, hostile, outputs)
		}
	}
}

// action.yml passes inputs only through the environment, and the script reads each.
func TestActionDefinition(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../action.yml")
	require.NoError(t, err)
	scripts := ""
	for _, name := range []string{"action", "binary"} {
		script, err := os.ReadFile("../../.ci/" + name)
		require.NoError(t, err)
		scripts += string(script)
	}
	var a struct {
		Inputs map[string]any
		Runs   struct {
			Using string
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &a))
	assert.Equal(t, "composite", a.Runs.Using)
	passed := map[string]bool{}
	for _, s := range a.Runs.Steps {
		assert.NotContains(t, s.Run, "${{", "GitHub puts the value of an expression into the script unescaped")
		assert.NotContains(t, s.Run, "eval")
		for name, v := range s.Env {
			passed[v] = true
			assert.Contains(t, scripts, name)
		}
	}
	for name := range a.Inputs {
		assert.True(t, passed["${{ inputs."+name+" }}"], name)
	}
}

// released returns an archive in the form of a release, with a program that says hello.
func released(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	const program = "#!/bin/sh\necho hello\n"
	for _, name := range []string{"LICENSE", "mcpauth"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program))}))
		_, err := w.Write([]byte(program))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

// At the tag of a release the action downloads the binary, and runs it only if its checksum is right.
func TestActionDownloads(t *testing.T) {
	t.Parallel()
	archive := released(t)
	const name = "mcpauth_1.2.3_linux_amd64.tar.gz"
	right := fmt.Sprintf("%x  other.tar.gz\n%x  %s\n", sha256.Sum256(nil), sha256.Sum256(archive), name)
	script, err := filepath.Abs("../../.ci/binary")
	require.NoError(t, err)
	for what, c := range map[string]struct {
		ref, arch, checksums string
		code                 int
		compiles             bool
		says                 string
	}{
		"a release":            {"v1.2.3", "X64", right, 0, false, ""},
		"a wrong checksum":     {"v1.2.3", "X64", fmt.Sprintf("%x  %s\n", sha256.Sum256(nil), name), 1, false, "::error title=mcpauth::" + name},
		"no checksum":          {"v1.2.3", "X64", "\n", 1, false, "checksums.txt says nothing"},
		"a branch":             {"main", "X64", right, 0, true, "not a release tag: main"},
		"a commit":             {"0123456789abcdef0123456789abcdef01234567", "X64", right, 0, true, "not a release tag"},
		"a path in place":      {"v1.2.3/../../x", "X64", right, 0, true, "not a release tag"},
		"no ref":               {"", "X64", right, 0, true, "not a release tag: (none)"},
		"not released":         {"v9.9.9", "X64", right, 0, true, "no release at"},
		"another architecture": {"v1.2.3", "ARM", right, 0, true, "nothing is released for Linux on ARM"},
		"no archive for it":    {"v1.2.3", "ARM64", right, 0, true, "no mcpauth_1.2.3_linux_arm64.tar.gz"},
	} {
		t.Run(what, func(t *testing.T) {
			files := map[string][]byte{"/v1.2.3/checksums.txt": []byte(c.checksums), "/v1.2.3/" + name: archive}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if b, ok := files[r.URL.Path]; ok {
					_, _ = w.Write(b)
					return
				}
				http.NotFound(w, r)
			}))
			defer s.Close()
			dir := t.TempDir()
			run := exec.Command("bash", script)
			run.Env = append(os.Environ(), "ACTION_REF="+c.ref, "RUNNER_OS=Linux", "RUNNER_ARCH="+c.arch, "RUNNER_TEMP="+dir,
				"MCPAUTH_RELEASES="+s.URL, "GITHUB_OUTPUT="+filepath.Join(dir, "out"))
			log, _ := run.CombinedOutput()
			assert.Equal(t, c.code, run.ProcessState.ExitCode(), string(log))
			assert.Contains(t, string(log), c.says)
			out, _ := os.ReadFile(filepath.Join(dir, "out"))
			switch {
			case c.code != 0:
				assert.Empty(t, out, "a command ran")
			case c.compiles:
				assert.Equal(t, "path=\n", string(out))
			default:
				path, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "path=")
				require.True(t, ok, string(out))
				said, err := exec.Command(path).Output()
				require.NoError(t, err)
				assert.Equal(t, "hello\n", string(said))
			}
		})
	}
}
