package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

func TestDocsHasAPageForEachCheckAndCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, _, errs := mcpauth(t, "docs", dir)
	require.Zero(t, code, errs)
	index, err := os.ReadFile(filepath.Join(dir, "checks", "index.md"))
	require.NoError(t, err)
	for _, r := range requirements.All() {
		page, err := os.ReadFile(filepath.Join(dir, "checks", r.ID+".md"))
		require.NoError(t, err)
		assert.Equal(t, requirements.Page(&r), string(page))
		assert.Contains(t, string(index), "("+r.ID+".md)")
	}
	cli, err := os.ReadFile(filepath.Join(dir, "cli", "mcpauth_run.md"))
	require.NoError(t, err)
	for _, part := range []string{
		"# mcpauth run\n", "\n```\n  0    every MUST", "\n## Sign-in\n", "| `--token-env VALUE` | name of the environment",
	} {
		assert.Contains(t, string(cli), part)
	}
	file, err := os.ReadFile(filepath.Join(dir, "target", "index.md"))
	require.NoError(t, err)
	for _, row := range []string{
		"| `url` | string, required | The MCP endpoint |",
		"| `headers` | map of names to: secret | Sent to the target's origin only, for servers behind a gate |",
		"| `clients.auth_method` | `none`, `client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `private_key_jwt` |",
		"| `users.password` | secret, required |",
	} {
		assert.Contains(t, string(file), row)
	}
}
