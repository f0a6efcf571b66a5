package main_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fits expects that no line is wider than 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 80, line)
	}
}

// The help of each command lists its flags, in groups, and fits a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	flags := map[string][2]string{ // one that the command has, and one that it does not have
		"run":    {"--username", ""},
		"demo":   {"--only", "--username"},
		"init":   {"--ca-file", "--report"},
		"doctor": {"--username", ""}, // it says where each setting of a run comes from
		"report": {"--report", "--only"},
		"merge":  {"--fail-on", "--only"},
	}
	for verb, f := range flags {
		code, out, errs := mcpauth(t, verb, "--help")
		require.Zero(t, code, errs)
		_, used, ok := strings.Cut(out, "\nUsage:\n")
		require.True(t, ok)
		if _, rest, ok := strings.Cut(used, "\n\nTarget:"); ok { // examples may be longer
			used = rest
		}
		assert.Contains(t, used, f[0], verb)
		if f[1] != "" {
			assert.NotContains(t, used, f[1]+" ", verb)
		}
	}
	for _, verb := range []string{"run", "init", "fleet", "certify", "verify", "merge", "schema", "serve"} {
		_, out, _ := mcpauth(t, verb, "--help")
		fits(t, out)
	}
	_, out, _ := mcpauth(t, "run", "--help")
	fits(t, out)
	at := 0
	for _, group := range []string{"\nTarget:\n", "\nSign-in:\n", "\nSelection:\n", "\nResult:\n", "\nReports:\n", "\nLimits:\n",
		"\nNetwork:\n", "\nOther flags:\n"} {
		next := strings.Index(out, group)
		assert.Greater(t, next, at, group)
		at = next
	}
	assert.Equal(t, 1, strings.Count(out[at:], "\n  -"), "a flag other than that for help is in no group: %s", out[at:])
}

// A misspelled word gets a suggestion.
func TestNearMisses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"did you mean --token-env?":                       {"run", "--token", "x"},
		"did you mean --ca-file?":                         {"run", "-k", "https://127.0.0.1:1/mcp"},
		"did you mean --username?":                        {"run", "--usrname", "x"},
		"did you mean --header-env?":                      {"run", "-H", "X: y"},
		`unknown command "runn" for "mcpauth"; d`:         {"runn"},
		"did you mean run?":                               {"rnu"},
		"did you mean list?":                              {"lsit"},
		"did you mean explain?":                           {"help", "explian"},
		"unknown report; did you mean html?":              {"run", "http://127.0.0.1:1/mcp", "--report", "htlm=x.html"},
		"them all; did you mean RS-SCOPE-*?":              {"run", "http://127.0.0.1:1/mcp", "--only", "RS-SCOPES-*"},
		"did you mean mcp?":                               {"serve", "mpc"},
		`unknown command "neither" for "mcpauth serve"`:   {"serve", "neither"},
		`unknown command "foo" for "mcpauth targets"`:     {"targets", "foo"},
		"usage: mcpauth explain ID":                       {"explain"},
		"unexpected arguments: http://a http://b; ":       {"run", "http://a", "http://b"},
		"catalogue; did you mean RS-AUD-CROSS-RESOURCE?":  {"explain", "RS-AUD-CRSOS-RESOURCE"},
		"all; did you mean RS-AUD-CROSS-RESOURCE?":        {"run", "http://127.0.0.1:1/mcp", "--only", "RS-AUD-CRSOS-RESOURCE"},
		"did you mean --token-env? (":                     {"doctor", "--tokne-env", "X"},
		"did you mean RS-CHALLENGE-401-STATUS?":           {"explain", "RS-CHALENGE-401-STATUS"},
		"them all; did you mean RS-CHALLENGE-401-STATUS?": {"run", "http://127.0.0.1:1/mcp", "--only", "RS-CHALLENGE-401"},
		"did you mean challenge?":                         {"list", "--area", "chalenge"},
		"did you mean http://localhost:9300/mcp?":         {"run", "localhost:9300/mcp"},
		"did you mean http://127.0.0.1:9300/mcp?":         {"run", "127.0.0.1:9300/mcp"},
		"did you mean https://example.com/mcp?":           {"run", "example.com/mcp"},
		"want one address of this machine":                {"serve", "idp", "--listen", ":9400"},
		"want HOST:PORT, such as 127.0.0.1:9400":          {"serve", "idp", "--listen", "9400"},
		"did you mean --config target.yaml?":              {"run", "target.yaml"},
		"want one such as https://mcp.example.com/mcp":    {"run", "/mcp"},
		"such as 60s or 5m":                               {"run", "http://127.0.0.1:1/mcp", "--timeout", "5"},
		"want no negative limit":                          {"run", "http://127.0.0.1:1/mcp", "--concurrency", "-2"},
		"want a positive time such as 10m":                {"run", "http://127.0.0.1:1/mcp", "--timeout", "-2s"},
	} {
		code, out, errs := mcpauth(t, args...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, out, args)
		assert.Contains(t, errs, want)
		assert.Equal(t, 1, strings.Count(errs, "\n"), errs)
	}
	_, _, errs := mcpauth(t, "run", "--zzzzzzzzzz")
	assert.NotContains(t, errs, "did you mean")
}

// Each mistake in a target file is one line, with its place.
func TestMistakesInATargetFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\ntarget:\n  urll: http://x\ntools:\n  - {nam: x}\n"), 0o600))
	code, _, errs := mcpauth(t, "run", "-c", file)
	assert.Equal(t, 2, code)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	assert.GreaterOrEqual(t, len(lines), 3, errs)
	for _, l := range lines {
		assert.Regexp(t, `^mcpauth: .*t\.yaml:\d+:\d+: [^\\]+$`, l)
	}
}

// The list of all requirements fits the width of a screen.
func TestListFitsAScreen(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"list"}, {"list", "--area", "pkce"}} {
		code, out, errs := mcpauth(t, args...)
		require.Zero(t, code, errs)
		assert.LessOrEqual(t, strings.Count(out, "\n"), 40)
		fits(t, out)
	}
	_, wide, _ := mcpauth(t, "list", "--wide")
	assert.Greater(t, strings.Count(wide, "\n"), 500)
}

// namesItsAddress compares the URL in a command with that in its target file, if it has one.
func namesItsAddress(t *testing.T, command string) {
	t.Helper()
	_, rest, _ := strings.Cut(command, "mcpauth run ")
	url, file, found := strings.Cut(rest, " -c ")
	if !found {
		return
	}
	text, err := os.ReadFile(strings.Trim(file, "'"))
	require.NoError(t, err)
	assert.Contains(t, string(text), url)
	assert.NotContains(t, string(text), "127.0.0.1:9300")
}

// The command that serve prints works.
func TestServePrintsACommandThatWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
	}{"the reference": {nil, 0}, "a design": {[]string{"--design", "static-verifier"}, 1},
		"a design whose audience is its address": {[]string{"--design", "jwt-shared-secret"}, 1}} {
		t.Run(name, func(t *testing.T) {
			serve := exec.Command(binary, append([]string{"serve", "mcp", "--listen", "127.0.0.1:0"}, c.args...)...)
			serve.Dir = dir
			said, err := serve.StderrPipe()
			require.NoError(t, err)
			serve.Stdout = serve.Stderr
			require.NoError(t, serve.Start())
			defer func() { _ = serve.Process.Signal(os.Interrupt); _ = serve.Wait() }()
			command := ""
			for lines := bufio.NewScanner(said); command == "" && lines.Scan(); {
				if strings.Contains(lines.Text(), "mcpauth run ") {
					command = strings.TrimSpace(lines.Text())
				}
			}
			require.NotEmpty(t, command)
			namesItsAddress(t, command)
			shell := exec.Command("sh", "-c", strings.Replace(command, "mcpauth run",
				"'"+binary+"' run -q --only RS-CHALLENGE-401-STATUS,AS-PKCE-DOWNGRADE", 1))
			shell.Dir = dir
			var errs bytes.Buffer
			shell.Stderr = &errs
			shell.WaitDelay = 30 * time.Second
			_ = shell.Run()
			assert.NotEqual(t, 2, shell.ProcessState.ExitCode(), errs.String())
			assert.NotContains(t, errs.String(), "NOTHING WAS TESTED")
		})
	}
}
