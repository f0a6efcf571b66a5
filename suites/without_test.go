package suites_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A feature that the owner declares absent does not apply, and the result says who declared that. Configured credentials are tested anyway,
// and a service of the tester is not a feature that a server can lack.
func TestWithoutAFeature(t *testing.T) {
	t.Parallel()
	r := against.Start(t, reference.Ideal())
	shownBy := map[string]string{"RS-APIKEY-ACCEPTED": "api_keys", "RS-STATIC-TOKEN-ACCEPTED": "static_tokens",
		"RS-STATIC-ENTROPY": "api_keys, static_tokens"}
	for name, c := range map[string]struct {
		without []string
		keep    bool // keep the credentials of the reference
		want    map[string]reports.Verdict
	}{
		"nothing said": {nil, false, map[string]reports.Verdict{"RS-APIKEY-ACCEPTED": reports.NotTested,
			"RS-STATIC-TOKEN-ACCEPTED": reports.NotTested, "RS-STATIC-DEFAULT-CREDENTIALS": reports.Pass}},
		"no API keys": {[]string{"api_keys"}, false, map[string]reports.Verdict{"RS-APIKEY-ACCEPTED": reports.NotApplicable,
			"RS-STATIC-TOKEN-ACCEPTED": reports.NotTested, "RS-STATIC-ENTROPY": reports.NotTested}},
		"neither kind": {[]string{"api_keys", "static_tokens"}, false, map[string]reports.Verdict{"RS-APIKEY-ACCEPTED": reports.NotApplicable,
			"RS-STATIC-TOKEN-ACCEPTED": reports.NotApplicable, "RS-STATIC-ENTROPY": reports.NotApplicable}},
		"no scopes, which are published": {[]string{"tool_scopes"}, false, map[string]reports.Verdict{"RS-SCOPE-403-STATUS": reports.NotTested}},
		"denied, and given":              {[]string{"api_keys"}, true, map[string]reports.Verdict{"RS-APIKEY-ACCEPTED": reports.Pass}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := against.Trusted(r, against.WithToken(r))
			cfg.Only, cfg.Without = nil, c.without
			for id := range c.want {
				cfg.Only = append(cfg.Only, id)
			}
			if !c.keep {
				cfg.Credentials, cfg.Tools, cfg.Objects = nil, nil, nil
			}
			for _, res := range against.Run(t, cfg).Results {
				assert.Equal(t, c.want[res.ID], res.Verdict, "%s: %s", res.ID, res.Reason)
				if res.Verdict == reports.NotApplicable {
					assert.Equal(t, "target.without in the target file names "+shownBy[res.ID], res.Observation, res.ID)
				}
			}
		})
	}
}

// A declaration that a server has no JWTs counts only if its tokens are not JWTs.
func TestWithoutJWTs(t *testing.T) {
	t.Parallel()
	for opaque, want := range map[string]reports.Verdict{"": reports.NotTested, "mcpauth_at_": reports.NotApplicable} {
		o := reference.Ideal()
		o.Behaviour.Opaque = opaque
		r := against.Start(t, o)
		cfg := against.SigningIn(r)
		cfg.Issuer, cfg.SecondIssuer, cfg.Introspection, cfg.FakeIDP, cfg.SecondIDP = nil, nil, nil, nil, nil
		cfg.Only, cfg.Without = []string{"RS-TOKEN-EXPIRED"}, []string{"jwts"}
		for _, res := range against.Run(t, cfg).Results {
			assert.Equal(t, want, res.Verdict, "tokens that begin with %q: %s", opaque, res.Reason)
		}
	}
}
