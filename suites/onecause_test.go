package suites_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// crashing answers HTTP 500 instead of each refusal by the method and path.
func crashing(next http.Handler, methodAndPath string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != methodAndPath {
			next.ServeHTTP(w, r)
			return
		}
		a := answer.Of(next, r)
		credential := r.Header.Get("Authorization") != "" && a.Status == http.StatusUnauthorized
		if credential || strings.Contains(a.Body.String(), "invalid_grant") {
			http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
			return
		}
		a.Send(w)
	})
}

// crashesAtBadTokens is a resource server whose verifier fails at each token that it does not know.
func crashesAtBadTokens(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler { return crashing(next, "POST /mcp") }
}

// crashesAtUnknownCodes is an authorization server that fails at each code that it does not know.
func crashesAtUnknownCodes(o *reference.Options) {
	o.Behaviour.Wrap = func(next http.Handler) http.Handler { return crashing(next, "POST /token") }
}

// hiding is a server error that hides what some checks look for, and the requirement that reports it.
type hiding struct {
	bend             func(o *reference.Options)
	reports, because string
	hidden           []string
}

// What a server error at every bad value leaves undecided has one reason, which names the requirement that reports the error.
func TestWhatOneCrashHidesHasOneReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]hiding{
		"bad tokens": {crashesAtBadTokens, "RS-CHALLENGE-NO-5XX",
			"every bad token is answered with HTTP 500, which shows no refusal (RS-CHALLENGE-NO-5XX): " +
				`answer it with HTTP 401 and error="invalid_token", and test again`,
			[]string{"RS-TOKEN-GARBAGE", "RS-TOKEN-FOREIGN-KEY", "RS-CHALLENGE-401-WWW-AUTHENTICATE", "RS-CHALLENGE-INVALID-TOKEN-ERROR",
				"RS-CHALLENGE-BODY-HYGIENE"}},
		"unknown codes": {crashesAtUnknownCodes, "AS-TOKEN-INVALID-CODE",
			"every unknown code is answered with HTTP 500, which shows no refusal (AS-TOKEN-INVALID-CODE): " +
				`answer it with HTTP 400 and error "invalid_grant", and test again`,
			[]string{"AS-TOKEN-CODE-SINGLE-USE", "AS-TOKEN-CODE-BOUND-CLIENT", "AS-TOKEN-CODE-REPLAY-REVOKES",
				"AS-TOKEN-ERROR-SHAPE", "AS-RATE-TOKEN-429", "AS-TOKEN-ERROR-NO-LEAK"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.expect(t)
		})
	}
}

func (c hiding) expect(t *testing.T) {
	o := reference.Ideal()
	c.bend(&o)
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Skip, cfg.Only = nil, append(c.hidden, c.reports)
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	require.ElementsMatch(t, cfg.Only, slices.Collect(maps.Keys(run.Worst())))
	for _, r := range run.Results {
		if r.ID == c.reports {
			assert.Equal(t, reports.Fail, r.Verdict, r.ID)
			continue
		}
		assert.Equal(t, reports.Inconclusive, r.Verdict, "%s: %s", r.ID, r.Reason)
		assert.Equal(t, c.because, r.Reason, r.ID)
	}
}
