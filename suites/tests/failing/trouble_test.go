package failing_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// puzzles answers with a page that is neither login nor consent nor error.
func puzzles(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<title>One moment</title><p>Please wait."))
}

// A missing answer and an unknown page are not evidence: no check fails because of them, and where a refusal is required, a missing answer
// is not one.
func TestTroubleIsNoRefusal(t *testing.T) {
	t.Parallel()
	stranger := func(first string, r *http.Request) bool { return r.URL.Query().Get("client_id") != first }
	odd := func(names ...string) func(string, *http.Request) bool {
		return func(_ string, r *http.Request) bool {
			for _, name := range names {
				if r.URL.Query().Has(name) {
					return true
				}
			}
			return false
		}
	}
	for _, c := range []struct {
		id      string
		trouble func(http.ResponseWriter)
		about   string
		meets   func(first string, r *http.Request) bool
	}{
		{"AS-AUTHZ-UNKNOWN-PARAMS", hangUp, "no answer", odd("mcpauth_x")},
		{"AS-AUTHZ-UNKNOWN-PARAMS", puzzles, "an odd page", odd("mcpauth_x")},
		{"AS-AUTHZ-UNKNOWN-PARAMS", puzzles, "an odd page for a hint", odd("ui_locales")},
		{"AS-AUTHZ-EMPTY-PARAMS", hangUp, "no answer", odd("prompt")},
		{"AS-AUTHZ-EMPTY-PARAMS", puzzles, "an odd page", odd("prompt")},
		{"AS-DCR-CLIENT-USABLE", hangUp, "no answer", stranger},
		{"AS-DCR-CLIENT-USABLE", puzzles, "an odd page", stranger},
		{"AS-AUTHZ-UNKNOWN-CLIENT", hangUp, "no answer", stranger},
		{"AS-CIMD-REDIRECT-LISTED", hangUp, "no answer", func(_ string, r *http.Request) bool {
			return r.URL.Query().Get("redirect_uri") == "https://other.example/cb"
		}},
		{"AS-LOGIN-CSRF", hangUp, "no answer", func(_ string, r *http.Request) bool {
			return r.Method == http.MethodPost && r.Header.Get("Origin") == "https://attacker.example"
		}},
	} {
		t.Run(c.id+", "+c.about, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			first := ""
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					authorization := r.URL.Path == "/authorize" || r.URL.Path == "/login"
					if id := r.URL.Query().Get("client_id"); first == "" {
						first = id
					}
					if authorization && c.meets(first, r) {
						c.trouble(w)
						return
					}
					h.ServeHTTP(w, r)
				})
			}
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Only = []string{c.id}
			run, err := suites.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.NotEmpty(t, run.Run().Results)
			for _, r := range run.Run().Results {
				assert.Equal(t, reports.Inconclusive, r.Verdict, "%s: %s", r.ID, r.Reason)
			}
		})
	}
}
