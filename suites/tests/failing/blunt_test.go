package failing_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// blunt servers answer every request in the same way.
var blunt = map[string]http.HandlerFunc{
	"refuses everything": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	},
	"accepts everything": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
	},
	"answers 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"hangs up":    func(w http.ResponseWriter, _ *http.Request) { hangUp(w) },
}

// expectsRefusal reports whether a check expects a refusal, by its area.
func expectsRefusal(r reports.Result) bool {
	if r.Area == "tokenvalidation" || r.Area == "session" {
		return true
	}
	return strings.HasPrefix(r.ID, "RS-CHALLENGE-EVERY") || r.ID == "RS-CHALLENGE-401-STATUS" || r.ID == "RS-CHALLENGE-PATH-VARIANTS" ||
		r.ID == "RS-TRANSPORT-ORIGIN-INVALID" || r.ID == "RS-TRANSPORT-ORIGIN-EVERY-METHOD" || r.ID == "RS-STATIC-DEFAULT-CREDENTIALS" ||
		r.ID == "RS-TRANSPORT-VERSION-HEADER"
}

func TestBluntServersPassNothingThatExpectsARefusal(t *testing.T) {
	t.Parallel()
	for name, handler := range blunt {
		for _, token := range []string{"", "some-token-that-means-nothing"} {
			t.Run(name+" "+token, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(handler)
				defer s.Close()
				run, err := suites.Run(t.Context(), suites.Config{Target: target.Target{Server: target.Server{URL: s.URL + "/mcp"}, Token: token}})
				if name == "hangs up" {
					assert.NotEmpty(t, run.Run().Unreachable)
					assert.Equal(t, reports.ExitUndecided, run.Run().Outcome().Code)
					return
				}
				require.NoError(t, err)
				for _, r := range run.Run().Results {
					if expectsRefusal(r) && r.ID != "RS-SESSION-NOT-BEFORE-AUTH" && !(name == "accepts everything" && r.ID == "RS-TOKEN-VALID-ACCEPTED") {
						assert.NotEqual(t, reports.Pass, r.Verdict, "%s %s", r.ID, r.Wire)
					}
				}
				assert.NotEqual(t, reports.ExitConformant, reports.Held(run, reports.Rule{FailOn: reports.FailOnPractice}).Run().Outcome().Code)
			})
		}
	}
}

func TestAServerThatHangsIsUndecided(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(stop)
	run, err := suites.Run(t.Context(), suites.Config{Target: target.At(s.URL + "/mcp"), Timeout: 300 * time.Millisecond})
	require.NoError(t, err)
	assert.NotEmpty(t, run.Run().Unreachable)
	assert.Equal(t, reports.ExitUndecided, run.Run().Outcome().Code)
}

// A target that asks for an hour of pause gets it: requests in flight end, the endpoint gets no more, and no check passes or fails because
// of it.
func TestALongRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	const most = 60
	var before, after atomic.Int64
	o := reference.Ideal()
	o.Wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" && before.Add(1) > most {
				after.Add(1)
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	cfg := suites.Config{Target: target.At(against.Start(t, o).URL), Skip: []string{"RS-RATE-*", "RS-ABUSE-*"}}
	cfg.Concurrency = 4
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	ended := 0
	for _, r := range run.Run().Results {
		if strings.Contains(r.Reason, "asked to wait for") {
			assert.Equal(t, reports.Inconclusive, r.Verdict, r.ID)
			ended++
		}
	}
	assert.Positive(t, ended)
	assert.LessOrEqual(t, after.Load(), int64(2*cfg.Concurrency), "too many requests were sent after the target asked mcpauth to stop")
}
