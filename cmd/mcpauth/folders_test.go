package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Commands that need no working directory work in a deleted one, and others say what is missing.
func TestAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	report := earlier(t)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"report", report, "--report", "badge"}, 0},
		{[]string{"diff", report, report}, 0},
		{[]string{"merge", report}, 2}, // it is not a shard
		{[]string{"certify", "--predicate-only", "--product", filepath.Join(vendor(t), "wrong.yaml"), "--profile", "resource-server",
			"--revision", "2025-11-25", "-o", "certificate"}, 2},
		{[]string{"run", "--only", "RS-CHALLENGE-401-STATUS", "--report", "json=report.json"}, 2},
	} {
		gone := t.TempDir() + "/gone"
		shell := exec.Command("sh", append([]string{"-c", `mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"`, gone, binary}, c.args...)...)
		out, _ := shell.CombinedOutput() // the exit code is judged
		assert.Equal(t, c.code, shell.ProcessState.ExitCode(), "%v: %.400s", c.args, out)
		assert.NotContains(t, string(out), "goroutine ", c.args)
	}
}

// A named file is read up to a limit, and the error says so: a device has no end.
func TestFilesWithoutEnd(t *testing.T) {
	t.Parallel()
	const endless = "/dev/zero"
	dir := vendor(t)
	secret, list := dir+"/target.yaml", dir+"/targets.txt"
	for path, text := range map[string]string{
		secret: "version: 1\ntarget:\n  url: http://127.0.0.1:1/mcp\nlogin:\n  users: [{username: a, password: {file: " + endless + "}}]\n",
		list:   "http://127.0.0.1:1/mcp\n",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	certify := []string{"certify", "--profile", "resource-server", "--revision", "2025-11-25", "-o", dir + "/out", "--product"}
	certify = certify[:len(certify):len(certify)]
	for _, args := range [][]string{
		{"run", "-c", endless},
		{"run", "-c", secret},
		{"run", "--login-recipe", endless},
		{"run", "--baseline", endless},
		{"run", "--ca-file", endless},
		{"run", "--targets", endless, "--out", dir + "/results"},
		{"run", "--targets", list, "--out", dir + "/results", "--opt-out", endless},
		append(certify, endless, "--predicate-only"),
		append(certify, dir+"/PRODUCT.yaml", "--key", endless),
		{"verify", dir, "--key", endless},
		{"report", endless},
		{"serve", "idp", "--listen", "127.0.0.1:0", "--key", endless},
	} {
		code, out, errs := mcpauth(t, args...)
		assert.Equal(t, 2, code, "%v: %.300s", args, errs)
		assert.Empty(t, out, args)
		assert.Regexp(t, `longer than|larger than`, errs, args)
	}
	_, _, errs := mcpauth(t, "run", "--only", "RS-CHALLENGE-401-STATUS", "--history", endless)
	assert.Contains(t, errs, "is not a regular file")
}
