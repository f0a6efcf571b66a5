package suites_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// An MCP server that is right about an issuer's tokens, before authorization servers in the manner of real ones, has the
// verdicts that stand in the golden files. MCPAUTH_GOLDEN=write writes them anew.
func TestPresets(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector makes these too slow for what is measured in time")
	}
	const redirect = "http://127.0.0.1:8765/callback"
	for _, p := range presets.All {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			o := p.Options()
			scripts := o.Behaviour.Pages == "javascript"
			if scripts && suites.BrowserFound() != nil {
				if os.Getenv("CI") != "" {
					t.Fatal("INCONCLUSIVE: its login page needs a browser: ", suites.BrowserFound())
				}
				t.Skip("INCONCLUSIVE: its login page needs a browser: ", suites.BrowserFound())
			}
			r := start(t, o)
			p.Prepare(r.IDP)
			cfg := signingIn(r)
			cfg.Clients, cfg.Enterprise, cfg.SharedSecret, cfg.SecondIssuer = nil, nil, suites.SharedSecret{}, nil
			for _, c := range p.Clients(r.IDP, redirect) {
				client := suites.Client{ID: c[0], Secret: c[1], Method: "client_secret_basic", RedirectURI: redirect}
				if c[1] == "" {
					client.Method = "none"
				}
				cfg.Clients = append(cfg.Clients, client)
			}
			if o.Behaviour.Opaque != "" {
				cfg.Issuer = nil // its JWTs are no access tokens
			}
			if cfg.BrowserNoSandbox = true; scripts {
				cfg.Patience = 300 * time.Millisecond // beyond the lock of an account
			}
			run, err := suites.Evaluate(t.Context(), cfg)
			require.NoError(t, err)
			golden(t, filepath.Join("..", "fixtures", "golden", "presets", p.Name+".txt"), run.Run())
		})
	}
}

// golden compares the verdicts of a run with those on file. What cannot be judged for want of means, or is absent, is
// counted only.
func golden(t *testing.T, file string, run *reports.Run) {
	t.Helper()
	var lines []string
	counts := map[reports.Verdict]int{}
	for _, r := range run.Results {
		if counts[r.Verdict]++; r.Verdict != reports.NotApplicable && r.Verdict != reports.NotTested {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%-12s %s %s", r.Verdict, r.ID, r.Wire)))
		}
	}
	slices.Sort(lines)
	got := fmt.Sprintf("tier %s, %d not applicable, %d not tested\n%s\n", run.Target.Tier, counts[reports.NotApplicable], counts[reports.NotTested], strings.Join(lines, "\n"))
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it by MCPAUTH_GOLDEN=write, and read it")
	assert.Equal(t, string(want), got)
}
