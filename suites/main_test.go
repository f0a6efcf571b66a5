package suites_test

import (
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestMain(m *testing.M) { os.Exit(against.Main(m)) }

var ideal struct {
	once   sync.Once
	run    *reports.Run
	left   []string // the checks that it leaves out
	opened *openSessions
	*traffic
}

// idealRun returns a whole run against the reference with everything configured. Tests share it: do not change it.
func idealRun(t *testing.T) *reports.Run {
	t.Helper()
	ideal.once.Do(func() {
		ideal.traffic = newTraffic()
		o := reference.Ideal()
		ideal.opened = &openSessions{ids: map[string]bool{}}
		o.Wrap = func(next http.Handler) http.Handler { return ideal.opened.counting(ideal.through(next)) }
		r := against.Start(t, o)
		ideal.at(metadataOf(t, r))
		cfg := against.SigningIn(r)
		ideal.left = cfg.Skip
		ideal.run = against.Run(t, cfg)
		ideal.add(ideal.run)
	})
	require.NotNil(t, ideal.run, "there is no run to look at: it failed in another test")
	return ideal.run
}
