package matrix_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// behindPushes are flaws of authorization requests, codes, pages and tokens.
var behindPushes = []string{
	"authorize-any-redirect", "authorize-redirect-prefix", "authorize-demo-mode", "authorize-no-iss", "authorize-transaction-unbound",
	"authorize-readable-code", "code-matches-letter-case", "consent-never", "consent-no-csrf-token", "consent-without-scopes",
	"pkce-optional", "pkce-plain", "scope-unobtainable",
}

// The checks notice these flaws at a server that requires pushed requests (RFC 9126 section 5), too.
func TestFlawsAreNoticedBehindPushedRequests(t *testing.T) {
	t.Parallel()
	only := slices.IndexFunc(quirks.Servers, func(q quirks.Quirk) bool { return q.Name == "pushed-only" })
	require.GreaterOrEqual(t, only, 0)
	for _, r := range rows() {
		if !slices.Contains(behindPushes, r.Name) {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			bend := r.Bend
			r.Bend = func(o *reference.Options) { bend(o); quirks.Servers[only].Bend(o) }
			cfg := r.start(t)
			cfg.Only = r.Noticed
			r.expectNoticed(t, against.Run(t, cfg))
		})
	}
}
