package suites_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// claimed records the names that requests have in X-User-Id.
type claimed struct {
	mu    sync.Mutex
	names []string
}

// at records what a server is sent; answer may answer a request that claims a name.
func (c *claimed) at(o *reference.Options, answer func(w http.ResponseWriter) bool) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name := r.Header.Get("X-User-Id"); name != "" {
				c.mu.Lock()
				if !slices.Contains(c.names, name) {
					c.names = append(c.names, name)
				}
				c.mu.Unlock()
				if answer(w) {
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// A user may have many names. A few of them are claimed, and none after an answer that decides the row or leaves it undecided.
func TestFewNamesAreClaimed(t *testing.T) {
	t.Parallel()
	passOn := func(http.ResponseWriter) bool { return false }
	limit := func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusTooManyRequests); return true }
	for name, c := range map[string]struct {
		lacks  []mcpserver.Defence
		answer func(w http.ResponseWriter) bool
		most   int
		want   reports.Verdict
	}{
		"a server that ignores them":        {nil, passOn, 4, reports.Pass},
		"a server that believes each":       {[]mcpserver.Defence{mcpserver.NoUserHeader}, passOn, 1, reports.Fail},
		"a server that limits its requests": {nil, limit, 1, reports.Inconclusive},
	} {
		for _, id := range []string{"RS-SCOPE-OBJECT-OWNERSHIP", "RS-SCOPE-OTHER-PRIMITIVES"} {
			t.Run(name+"/"+id, func(t *testing.T) {
				t.Parallel()
				o, seen := reference.Ideal(), &claimed{}
				o.Policy.Lacks = append(o.Policy.Lacks, c.lacks...)
				o.Behaviour.AccessToken = func(_, claims map[string]any) {
					sub, _ := claims["sub"].(string)
					claims["preferred_username"], claims["username"], claims["email"] = sub+"-p", sub+"-u", sub+"@example.com"
				}
				o.Policy.TellsTime = true
				seen.at(&o, c.answer)
				cfg := against.SigningIn(against.Start(t, o))
				cfg.Skip, cfg.Only, cfg.Revisions = nil, []string{id}, []string{"2026-07-28"} // sessions belong to a user
				run, err := against.Evaluate(t, cfg)
				require.NoError(t, err)
				for _, r := range run.Results {
					assert.Equal(t, c.want, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
				}
				assert.NotEmpty(t, seen.names)
				assert.LessOrEqual(t, len(seen.names), c.most, seen.names)
			})
		}
	}
}
