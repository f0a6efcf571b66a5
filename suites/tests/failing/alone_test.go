package failing_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

var checkInUserAgent = regexp.MustCompile(`\b(RS|AS)-[A-Z0-9]+(-[A-Z0-9]+)+\b`)

// The target answers the survey and the login, and fails at whatever a check sends. Then no check passes that has sent something, unless
// it is about such failures.
func TestNothingPassesByFailures(t *testing.T) {
	t.Parallel()
	others := []string{"RS-CHALLENGE-STABLE"} // sends other User-Agents, which do not fail
	sampled := whole.Sample(t, "closed")
	for _, name := range []string{"closed", "500"} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			o := reference.Ideal()
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if checkInUserAgent.MatchString(r.UserAgent()) {
						ways[name](w)
						return
					}
					h.ServeHTTP(w, r)
				})
			}
			run := against.Run(t, against.Part(t, against.WithoutCost(against.SigningIn(against.Start(t, o)))))
			sender := map[int]string{}
			for _, ex := range run.Exchanges {
				sender[ex.Number] = ex.Check
			}
			for _, r := range run.Results {
				about, ok := requirements.Lookup(r.ID)
				require.True(t, ok, r.ID)
				if r.Verdict != reports.Pass || len(about.Evidence) > 0 {
					continue
				}
				for _, n := range r.Evidence {
					if sender[n] == r.ID {
						assert.Contains(t, others, r.ID, "%s passes although each of its requests failed", r.Wire)
						break
					}
				}
			}
		})
	}
}
