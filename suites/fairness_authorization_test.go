package suites_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/against"
)

// Authorization servers that are right in another way than the reference: what one check makes of each.
func TestFairnessAtTheAuthorizationEndpoint(t *testing.T) {
	for name, c := range map[string]struct {
		bend  func(b *idp.Behaviour)
		check string
		want  reports.Verdict
	}{
		"a user and a client have one code at a time": {func(b *idp.Behaviour) { b.OneCode = true }, "AS-PKCE-PER-CODE", reports.Warn},
		"the last of two methods counts": {func(b *idp.Behaviour) { b.Lacks = []idp.Defence{idp.RefuseDuplicates} },
			"AS-PKCE-UNKNOWN-METHOD", reports.Pass},
		"any challenge is kept, and compared as a whole": {func(b *idp.Behaviour) { b.Lacks = []idp.Defence{idp.CheckChallengeFormat} },
			"AS-PKCE-RFC-VECTOR", reports.Pass},
		"a changed challenge of any length is kept": {func(b *idp.Behaviour) { b.Lacks = []idp.Defence{idp.CheckChallengeFormat} },
			"AS-PKCE-REJECT-WRONG-VERIFIER", reports.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			c.bend(&o.Behaviour)
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Skip, cfg.Only = nil, []string{c.check}
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			require.NotEmpty(t, run.Results)
			for _, r := range run.Results {
				assert.Equal(t, c.want, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
			}
		})
	}
}
