package suites_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A passive run sends only reads, except to the MCP endpoint, and no token there but a worthless one. The same checks do more in other
// runs.
func TestPassiveRunsOnlyRead(t *testing.T) {
	var mu sync.Mutex
	var wrote []string
	o := reference.Ideal()
	o.Wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions && r.URL.Path != "/mcp" {
				mu.Lock()
				wrote = append(wrote, r.Method+" "+r.URL.Path)
				mu.Unlock()
			}
			h.ServeHTTP(w, r)
		})
	}
	r := against.Start(t, o)
	require.True(t, strings.HasSuffix(r.URL, "/mcp"))
	evaluate := func(passive bool) *reports.Run {
		wrote = nil
		run, err := suites.Run(t.Context(), suites.Config{Target: target.At(r.URL), Passive: passive,
			Only: []string{"RS-DISC-*", "RS-CHALLENGE-*", "RS-TOKEN-*", "AS-META-*", "AS-DCR-*", "AS-TOKEN-*"}})
		require.NoError(t, err)
		require.Empty(t, run.Run().Unreachable)
		return run.Run()
	}
	evaluate(false)
	assert.NotEmpty(t, wrote, "the control fails: no check sends more than reads")

	run := evaluate(true)
	assert.Empty(t, wrote)
	worst := run.Worst()
	for _, id := range []string{"RS-CHALLENGE-401-STATUS", "RS-DISC-PRM-PUBLISHED", "AS-META-PUBLISHED"} {
		assert.Equal(t, reports.Pass, worst[id], id)
	}
	left := 0
	for _, res := range run.Results {
		assert.NotContains(t, []reports.Verdict{reports.Fail, reports.Inconclusive, reports.Errored}, res.Verdict, res.ID+": "+res.Reason)
		if res.ID == "AS-TOKEN-UNKNOWN-CLIENT" || strings.HasPrefix(res.ID, "RS-TOKEN-") {
			assert.Equal(t, reports.NotTested, res.Verdict, res.ID)
			assert.Contains(t, res.Reason, "passive", res.ID)
			left++
		}
	}
	assert.Greater(t, left, 5)
}

func TestPassiveRunsNeedNobody(t *testing.T) {
	yes := true
	for what, change := range map[string]func(*suites.Config){
		"does not sign users in": func(c *suites.Config) { c.Users = []suites.User{{Name: "alice", Password: "secret"}} },
		"tokens":                 func(c *suites.Config) { c.Token = "a-token" },
		"registers no client":    func(c *suites.Config) { c.Register = &yes },
		"not intrusive":          func(c *suites.Config) { c.AllowIntrusive = &yes },
	} {
		cfg := suites.Config{Target: target.At("http://127.0.0.1:1/mcp"), Passive: true}
		change(&cfg)
		_, err := suites.Run(t.Context(), cfg)
		var usage *suites.UsageError
		require.ErrorAs(t, err, &usage)
		assert.Contains(t, err.Error(), what)
	}
}
