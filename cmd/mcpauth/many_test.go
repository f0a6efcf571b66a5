package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/fakes/reference"
)

func targetFile(t *testing.T, dir, name, url string) string {
	t.Helper()
	path := filepath.Join(dir, name+".yaml")
	require.NoError(t, os.WriteFile(path, []byte("version: 1\ntarget: {url: \""+url+"\"}\n"), 0o600))
	return path
}

func TestManyTargetsInOneRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := targetFile(t, dir, "good", start(t, nil).URL)
	bad := targetFile(t, dir, "bad", start(t, func(o *reference.Options) { o.Policy.Status = 403 }).URL)
	code, out, errs := mcpauth(t, "run", "-q", "-c", good, "-c", bad, "--report", "json="+dir+"/run.json", "--report",
		"html="+dir+"/{target}/x.html", "--report", "matrix")
	assert.Equal(t, 2, code, "the run starts although the folder of {target} does not exist")
	assert.Contains(t, errs, "no such file")
	assert.Empty(t, out)

	list := filepath.Join(dir, "targets.txt")
	require.NoError(t, os.WriteFile(list, []byte("# both\ngood.yaml\nbad.yaml\n"), 0o600))
	code, out, errs = mcpauth(t, "run", "-q", "--targets", list, "--report", "json="+dir+"/run.json", "--report", "matrix="+dir+"/m.html",
		"--report", "matrix")
	assert.Equal(t, 1, code, errs)
	assert.Contains(t, out, "| RS-CHALLENGE-401-STATUS | Answer requests without credentials with HTTP 401 | MUST | pass | FAIL |")
	for _, name := range []string{"run-good.json", "run-bad.json", "m.html"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
	code, again, errs := mcpauth(t, "report", dir+"/run-good.json", dir+"/run-bad.json", "--report", "matrix")
	assert.Zero(t, code, errs)
	assert.Equal(t, strings.ReplaceAll(out, "| good | bad |", "| run-good | run-bad |"), again)

	other := targetFile(t, t.TempDir(), "good", "http://127.0.0.1:1/mcp")
	code, _, errs = mcpauth(t, "run", "-c", good, "-c", other)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "two target files are named good")
	code, _, errs = mcpauth(t, "run", "-c", good, "-c", bad, "--report", "json")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "give a path")
}

func TestHistoryIsKeptAndDrawn(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	dir := t.TempDir()
	history := filepath.Join(dir, "history.jsonl")
	for range 3 {
		code, _, errs := mcpauth(t, "run", r.URL, "-q", "--only", few, "--history", history, "--report", "html="+dir+"/r.html")
		require.Zero(t, code, errs)
	}
	b, err := os.ReadFile(history)
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(string(b), "\n"))
	page, err := os.ReadFile(dir + "/r.html")
	require.NoError(t, err)
	assert.Contains(t, string(page), "over 3 runs")
	require.NoError(t, os.WriteFile(history, []byte("not a history\n"), 0o600))
	code, _, errs := mcpauth(t, "run", r.URL, "-q", "--only", few, "--history", history, "--report", "json="+dir+"/r.json")
	assert.Equal(t, 4, code)
	assert.Contains(t, errs, "line 1 is not an entry of a history")
	assert.FileExists(t, dir+"/r.json", "the reports are not written")
}

func TestProfileChoosesItsRequirements(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	code, out, errs := mcpauth(t, "run", r.URL, "-q", "--profile", "resource-server", "--revision", "2025-11-25", "--report", "json")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "RS-CHALLENGE-401-STATUS")
	assert.NotContains(t, out, `"id": "AS-`)
	code, _, errs = mcpauth(t, "run", r.URL, "--profile", "everything")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "want one of authorization-server, resource-server, server-with-bundled-as")
}

func TestVersionAndManualPages(t *testing.T) {
	t.Parallel()
	code, out, _ := mcpauth(t, "version", "--json")
	require.Zero(t, code)
	var v struct {
		Checks int               `json:"checks"`
		Sets   map[string]string `json:"requirement_sets"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Greater(t, v.Checks, 500)
	assert.Len(t, v.Sets, 18)
	dir := t.TempDir()
	code, _, errs := mcpauth(t, "man", dir)
	require.Zero(t, code, errs)
	page, err := os.ReadFile(filepath.Join(dir, "mcpauth-run.1"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "--allow-intrusive")
	assert.Contains(t, string(page), "every MUST that was tested is met")
	_, out, _ = mcpauth(t, "__complete", "explain", "RS-AUD-LOOK")
	assert.Contains(t, out, "RS-AUD-LOOKALIKE")
}

func TestBaselineSchemaTakesWhatTheToolWrites(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) { o.Policy.Status = 403 })
	file := filepath.Join(t.TempDir(), "baseline.yaml")
	_, _, errs := mcpauth(t, "run", r.URL, "-q", "--baseline", file, "--update-baseline")
	_, schema, _ := mcpauth(t, "schema", "baseline")
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("baseline.json", document))
	compiled, err := compiler.Compile("baseline.json")
	require.NoError(t, err)
	b, err := os.ReadFile(file)
	require.NoError(t, err, errs)
	var entry struct {
		Version  int
		Accepted []map[string]any
	}
	require.NoError(t, yaml.Unmarshal(b, &entry))
	require.NotEmpty(t, entry.Accepted)
	accepted := []any{}
	for _, e := range entry.Accepted {
		e["reason"] = "by design" // the owner adds a reason
		accepted = append(accepted, e)
	}
	assert.NoError(t, compiled.Validate(map[string]any{"version": 1, "accepted": accepted}))
	assert.Error(t, compiled.Validate(map[string]any{"version": 1, "accepted": []any{map[string]any{"id": "X"}}}))
}

// Each mistake is a line of its own, also where a flag or a list names the file.
func TestMistakesOfANamedFileAreLines(t *testing.T) {
	t.Parallel()
	write := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	recipe := write("recipe.yaml", "version: 1\npages:\n  - {match: a, steps: [{fil: b}]}\n  - {match: b, stesp: []}\n")
	file := write("target.yaml", "version: 1\ntarget: {url: x, urll: y}\ntoolz: []\n")
	list := write("targets.txt", file+"\n")
	for flag, want := range map[string][2]string{
		"--login-recipe": {"--login-recipe: " + recipe + ":3:", "--login-recipe: " + recipe + ":4:"},
		"--targets":      {list + ":1: " + file + ":2:", list + ":1: " + file + ":3:"},
	} {
		args := map[string][]string{"--login-recipe": {"http://127.0.0.1:1/mcp", flag, recipe},
			"--targets": {flag, list, "--out", t.TempDir()}}[flag]
		code, _, errs := mcpauth(t, append([]string{"run"}, args...)...)
		assert.Equal(t, 2, code, errs)
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		require.Len(t, lines, 2, errs)
		for i, line := range lines {
			assert.True(t, strings.HasPrefix(line, "mcpauth: "+want[i]), line)
		}
	}
}
