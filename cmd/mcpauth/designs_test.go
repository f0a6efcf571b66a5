package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fixtures/port"
	"github.com/mcpauth/conformance/fixtures/targets"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/golden"
	"github.com/mcpauth/conformance/suites"
)

// free returns a loopback address that is reserved for a server of the test.
func free(t *testing.T) string {
	t.Helper()
	reserved, err := port.Reserve()
	require.NoError(t, err)
	t.Cleanup(reserved.Release)
	return reserved.Address
}

// Each design has the verdicts in its golden file. MCPAUTH_GOLDEN=write writes them again.
func TestDesigns(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "static-bearer") // TestPresets has logins
	for _, d := range designs.All {
		t.Run(d.Name, func(t *testing.T) {
			sampled(t, d.Name)
			t.Parallel()
			if d.Browser && suites.BrowserFound() != nil {
				if os.Getenv("CI") != "" {
					t.Fatal("INCONCLUSIVE: this design needs a browser: ", suites.BrowserFound())
				}
				t.Skip("INCONCLUSIVE: this design needs a browser: ", suites.BrowserFound())
			}
			issuer, asks := free(t), free(t)
			r, err := d.Start(designs.Addresses{Listen: "127.0.0.1:0", Issuer: "http://" + issuer, Asks: "http://" + asks})
			require.NoError(t, err)
			defer r.Close()
			yaml, err := targets.Files.ReadFile(d.File())
			require.NoError(t, err)
			listen := strings.TrimSuffix(strings.TrimPrefix(r.URL, "http://"), "/mcp")
			file := filepath.Join(t.TempDir(), d.File())
			moved := strings.NewReplacer("127.0.0.1:9300", listen, "127.0.0.1:9400", issuer, "127.0.0.1:9401", asks).Replace(string(yaml))
			require.NoError(t, os.WriteFile(file, []byte(moved), 0o600))
			var env []string
			for name, value := range r.Environment {
				env = append(env, name+"="+value)
			}
			_, out, errs := mcpauthProcess(t, append(env, "MCPAUTH_BROWSER_NO_SANDBOX=true"), "run", "-c", file, "-q", "--patience", "200ms",
				"--report", "json")
			var run reports.Run
			require.NoError(t, json.Unmarshal([]byte(out), &run), errs)
			require.NoError(t, golden.Compare(filepath.Join("..", "..", "fixtures", "golden", "targets", d.Name+".txt"), &run))
		})
	}
}

func TestEveryTargetFileHasADesign(t *testing.T) {
	t.Parallel()
	files, err := targets.Files.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		assert.True(t, slices.ContainsFunc(designs.All, func(d designs.Design) bool { return d.File() == f.Name() }), f.Name())
	}
}
