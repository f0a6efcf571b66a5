package bundle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// The reason why a requirement is undecided ends with what to supply, in the reason or after it.
func TestEachObstacleSaysWhatToSupply(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{"it needs tools that may be called (tools in the target file)",
			""},
		{"the target kept a key set for 30 s: let them wait longer with --max-wait",
			""},
		{"it needs a second user (--second-username)",
			""},
		{"declare a shorter window on a test instance",
			""},
		{"a code is not redeemed with a DPoP proof (AS-DPOP-BINDING)",
			" Meet AS-DPOP-BINDING first."},
		{"the call is served (RS-SCOPE-EVERY-TOOL, RS-CHALLENGE-EXISTING-TOOLS)",
			" Meet RS-SCOPE-EVERY-TOOL and RS-CHALLENGE-EXISTING-TOOLS first."},
		{"this proves nothing: the valid token is answered with HTTP 500",
			" Let the ordinary request succeed"},
		{"your server also rejects valid requests, so its refusals prove nothing (HTTP 401)",
			" Let the ordinary request succeed"},
		{"initialize is answered with HTTP 503",
			" Fix the server"},
		{"the time for this check is over",
			" Raise --timeout"},
		{"a client with the redirect URI https://a.example/cb cannot be registered: HTTP 400",
			" Put a registered client"},
		{"the response names no scope, and nothing shows what the token holds",
			" Look at its exchanges"},
		{"nothing tells this from RS-DISC-PRM-PUBLISHED, which it is, nor from RS-NO-SUCH-THING.",
			" Look at its exchanges"},
	} {
		for verdict, says := range map[reports.Verdict]string{
			reports.Inconclusive: "could not be decided", reports.NotTested: "was not tested",
		} {
			r := &reports.Result{ID: "RS-DISC-PRM-PUBLISHED", Verdict: verdict, Reason: c.reason}
			got := blocks(r)
			assert.Contains(t, got, "RS-DISC-PRM-PUBLISHED "+says+": "+strings.TrimRight(c.reason, ".")+"."+c.want)
			if c.want == "" {
				assert.Equal(t, "RS-DISC-PRM-PUBLISHED "+says+": "+c.reason+".", got)
			}
		}
	}
	r := &reports.Result{ID: "RS-DISC-PRM-PUBLISHED", Verdict: reports.NotTested, Reason: "no user", Missing: "--username"}
	assert.Equal(t, "RS-DISC-PRM-PUBLISHED was not tested: add --username (no user).", blocks(r))
	r.Reason = "it needs a user; give one with --username"
	assert.Equal(t, "RS-DISC-PRM-PUBLISHED was not tested: it needs a user; give one with --username.", blocks(r))
	r.Reason, r.Verdict = `the login ended at a page with the text "The client is not known."`, reports.Review
	assert.Contains(t, blocks(r), `RS-DISC-PRM-PUBLISHED: the login ended at a page with the text "The client is not known".`)
}
