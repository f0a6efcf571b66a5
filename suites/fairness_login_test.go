package suites_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/against"
)

// offlineOnly issues refresh tokens for offline_access with prompt=consent only.
func offlineOnly(o *reference.Options) { o.Behaviour.OfflineOnly = true }

// Authorization servers that are right in another way than the reference: what one check makes of how users sign in there.
func TestFairnessOfLogins(t *testing.T) {
	for name, c := range map[string]struct {
		bend    func(o *reference.Options)
		declare func(c *suites.Config)
		check   string
		want    reports.Verdict
	}{
		"a refresh token for offline_access, used":       {offlineOnly, nil, "AS-REFRESH-WORKS", reports.Pass},
		"a refresh token for offline_access, used again": {offlineOnly, nil, "AS-REFRESH-OLD-DIES", reports.Pass},
		"a refresh token for offline_access, revoked":    {offlineOnly, nil, "AS-REVOKE-REFRESH-TOKEN", reports.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			c.bend(&o)
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Skip, cfg.Only = nil, []string{c.check}
			if c.declare != nil {
				c.declare(&cfg)
			}
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			require.NotEmpty(t, run.Results)
			for _, r := range run.Results {
				assert.Equal(t, c.want, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
			}
		})
	}
}
