package suites_test

import (
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestMain(m *testing.M) { os.Exit(against.Main(m)) }

var ideal struct {
	once     sync.Once
	run      *reports.Run
	redacted reports.Redacted // the run, as its reports have it
	left     []string         // the checks that it leaves out
	opened   *openSessions
	canaries *against.Canaries
	*traffic
}

// idealRun returns a whole run against the reference with everything configured. Tests share it: do not change it.
func idealRun(t *testing.T) *reports.Run {
	t.Helper()
	ideal.once.Do(func() {
		ideal.traffic = newTraffic()
		o := reference.Ideal()
		ideal.opened = &openSessions{ids: map[string]bool{}}
		ideal.canaries = against.NewCanaries()
		o.Wrap = func(next http.Handler) http.Handler {
			return ideal.opened.counting(ideal.through(ideal.canaries.Watch(next)))
		}
		r := against.Start(t, o)
		ideal.at(metadataOf(t, r))
		cfg := against.Certifying(against.SigningIn(r))
		ideal.left = cfg.Skip
		run, err := suites.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Empty(t, run.Run().Unreachable)
		ideal.canaries.Hold(r)
		ideal.redacted, ideal.run = run, run.Run()
		ideal.add(ideal.run)
	})
	require.NotNil(t, ideal.run, "there is no run to look at: it failed in another test")
	return ideal.run
}
