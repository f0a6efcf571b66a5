package suites_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports/golden"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// An MCP server that accepts an issuer's tokens correctly, behind authorization servers in the style of real ones, has the verdicts in the
// golden files. MCPAUTH_GOLDEN=write writes them again.
func TestPresets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector makes these too slow for what is measured in time")
	}
	const redirect = "http://127.0.0.1:8765/callback"
	sampled := whole.Sample(t, "github")
	for _, p := range presets.All {
		t.Run(p.Name, func(t *testing.T) {
			sampled(t, p.Name)
			t.Parallel()
			o := p.Options()
			scripts := o.Behaviour.Pages == "javascript"
			if scripts && suites.BrowserFound() != nil {
				if os.Getenv("CI") != "" {
					t.Fatal("INCONCLUSIVE: its login page needs a browser: ", suites.BrowserFound())
				}
				t.Skip("INCONCLUSIVE: its login page needs a browser: ", suites.BrowserFound())
			}
			r := against.Start(t, o)
			p.Prepare(r.IDP)
			cfg := against.SigningIn(r)
			cfg.Clients, cfg.Enterprise, cfg.SharedSecret, cfg.SecondIssuer = nil, nil, suites.SharedSecret{}, nil
			for _, c := range p.Clients(r.IDP, redirect) {
				client := suites.Client{ID: c[0], Secret: c[1], Method: "client_secret_basic", RedirectURI: redirect}
				if c[1] == "" {
					client.Method = "none"
				}
				cfg.Clients = append(cfg.Clients, client)
			}
			if o.Behaviour.Opaque != "" {
				cfg.Issuer = nil // its JWTs are not access tokens
			}
			if cfg.BrowserNoSandbox = true; scripts {
				cfg.Patience = 300 * time.Millisecond // longer than the lock of an account
			}
			// Their verdicts depend on the speed of the machine; the flaws of limits and of expiry test them.
			cfg.Skip = append(cfg.Skip, "AS-RATE-TOKEN-429", "RS-RATE-BELOW-LIMIT", "RS-SESSION-EXPIRY-MIDWAY")
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			require.NoError(t, golden.Compare(filepath.Join("..", "fixtures", "golden", "presets", p.Name+".txt"), run))
		})
	}
}
