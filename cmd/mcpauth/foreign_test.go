package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Untrusted reports, such as the artifact of a fork, are read only in the form that mcpauth writes: nothing in them acts on a terminal, a
// CI system or a page.
func TestReportsOfOthers(t *testing.T) {
	t.Parallel()
	right := earlier(t)
	b, err := os.ReadFile(right)
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"level":    {`"level": "MUST"`, `"level": "\u001b]52;c;cHduZWQ=\u0007\n::error::pwned"`},
		"id":       {`"id": "RS-`, `"id": "RS-\u001b[2J\n##vso[x]`},
		"tier":     {`"tier": "`, `"tier": "\u202e<img src=x onerror=alert(1)>`},
		"revision": {`"revision":"`, `"revision": "\n::set-output name=x::y`},
		"verdict":  {`"verdict": "PASS"`, `"verdict": "\n::error::PASS"`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(b), change[0])
			path := filepath.Join(t.TempDir(), "theirs.json")
			require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(b), change[0], change[1])), 0o600))
			for _, args := range [][]string{
				{"report", path, "--report", "markdown", "-v"},
				{"report", path, "--report", "html"},
				{"report", path, path, "--report", "matrix"},
				{"merge", path},
				{"diff", right, path},
				{"diff", path, right},
			} {
				code, out, errs := mcpauth(t, args...)
				assert.Equal(t, 2, code, args)
				assert.Empty(t, out, args)
				assert.Regexp(t, `^mcpauth: `+path+`:\d+: [a-z0-9/]+: [^\n]+\n$`, errs, args)
				assert.NotContains(t, errs, "\x1b", args)
			}
		})
	}
}
