package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"go.yaml.in/yaml/v3"
)

// action runs the script of action.yml as a runner would.
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

// An input is an argument, whatever it holds.
func TestActionInputsAreNeverCommands(t *testing.T) {
	good := start(t, nil)
	for _, hostile := range []string{"$(touch pwned)", "`touch pwned`", "; touch pwned #", "' ; touch pwned; '", "\"; touch pwned; \"",
		"a\ntouch pwned", "--report=json=pwned", "x\nverdict=conformant", "${IFS}touch${IFS}pwned"} {
		for _, name := range []string{"URL", "CONFIG", "ARGS", "BASELINE", "FAIL_ON", "REPORT_DIR"} {
			inputs := map[string]string{"URL": good.URL, "ARGS": "--only\nRS-DISC-HTTP-SHAPE"}
			if name == "ARGS" && strings.HasPrefix(hostile, "--") {
				continue // what args are for
			}
			inputs[name] = hostile
			_, folder, outputs, _, log := action(t, inputs)
			assert.NoFileExists(t, filepath.Join(folder, "pwned"), "%s=%q: %s", name, hostile, log)
			assert.LessOrEqual(t, strings.Count("\n"+outputs, "\nverdict="), 1, "%s=%q: %s", name, hostile, outputs)
		}
	}
}

// action.yml passes inputs by the environment only, and the script knows each.
func TestActionDefinition(t *testing.T) {
	b, err := os.ReadFile("../../action.yml")
	require.NoError(t, err)
	script, err := os.ReadFile("../../.ci/action")
	require.NoError(t, err)
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
		assert.NotContains(t, s.Run, "${{", "an expression in a script is text of the script")
		assert.NotContains(t, s.Run, "eval")
		for name, v := range s.Env {
			passed[v] = true
			assert.Contains(t, string(script), name)
		}
	}
	for name := range a.Inputs {
		assert.True(t, passed["${{ inputs."+name+" }}"], name)
	}
}
