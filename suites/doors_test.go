package suites_test

import (
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/joshdk/go-junit"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"
	"github.com/onsi/gomega"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// Run, Test and Register give the same verdicts.

func TestDoorRun(t *testing.T) {
	t.Parallel()
	run := idealRun(t)
	against.Clean(t, run)
	ids, err := suites.Checks()
	require.NoError(t, err)
	judged := map[string]bool{}
	for _, r := range run.Results {
		judged[r.ID] = true
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { // the race detector leaves these out
		return slices.ContainsFunc(ideal.left, func(pattern string) bool { ok, _ := path.Match(pattern, id); return ok })
	})
	assert.Len(t, judged, len(ids))
}

func TestDoorTest(t *testing.T) {
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	cfg.Only = []string{"RS-DISC-*", "RS-CHALLENGE-*"}
	against.Clean(t, suites.Test(t, cfg).Run())
}

// Runs do not wait for each other: the first target answers only after the second run has ended.
func TestDoorRunSideBySide(t *testing.T) {
	over := make(chan struct{})
	o := reference.Ideal()
	o.Wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-over; h.ServeHTTP(w, r) })
	}
	slow, quick := against.Start(t, o), against.Start(t, reference.Ideal())
	only := []string{"RS-CHALLENGE-*"}
	ended := make(chan reports.Redacted, 1)
	go func() {
		run, _ := suites.Run(t.Context(), suites.Config{Target: target.At(slow.URL), Only: only}) // the results are judged below
		ended <- run
	}()
	run, err := suites.Run(t.Context(), suites.Config{Target: target.At(quick.URL), Only: only})
	close(over)
	require.NoError(t, err)
	first := <-ended
	for _, r := range []*reports.Run{run.Run(), first.Run()} {
		require.NotEmpty(t, r.Results)
		assert.Zero(t, r.Counts()[reports.Fail])
	}
	assert.Equal(t, run.Run().Counts(), first.Run().Counts())
}

// specs runs a separate Ginkgo tree.
func specs(t *testing.T, build func()) bool {
	t.Helper()
	globals.Reset()
	t.Cleanup(globals.Reset)
	build()
	gomega.RegisterFailHandler(ginkgo.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.LabelFilter, reporter.Succinct = "", true // Ginkgo keeps the filter of the test before
	return ginkgo.RunSpecs(t, t.Name(), suite, reporter)
}

func TestDoorRegister(t *testing.T) {
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	cfg.Only = []string{"RS-CHALLENGE-*", "AS-META-*", "AS-PKCE-*", "AS-TOKEN-*"} // some of each kind, and some after a login
	register := func(run *reports.Redacted) {
		suites.Register(func() suites.Config { return cfg }, func(r reports.Redacted) { *run = r })
	}
	sampled := whole.Sample(t, "in a container")
	for name, build := range map[string]func(run *reports.Redacted){
		"at the top level":        register,
		"in a container":          func(run *reports.Redacted) { ginkgo.Describe("my server", func() { register(run) }) },
		"in an ordered container": func(run *reports.Redacted) { ginkgo.Describe("my server", ginkgo.Ordered, func() { register(run) }) },
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			var run reports.Redacted
			own := false
			require.True(t, specs(t, func() {
				ginkgo.Describe("a test of my own", func() { ginkgo.It("runs", func() { own = true }) })
				build(&run)
			}))
			assert.True(t, own)
			against.Clean(t, run.Run())
			assert.Greater(t, len(run.Run().Results), 30)
		})
	}
}

// Checks that Ginkgo's filters exclude send no requests.
func TestDoorRegisterWithALabelFilter(t *testing.T) {
	cfg := suites.Config{Target: target.At(against.Start(t, reference.Ideal()).URL)}
	var run reports.Redacted
	globals.Reset()
	t.Cleanup(globals.Reset)
	suites.Register(func() suites.Config { return cfg }, func(r reports.Redacted) { run = r })
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.LabelFilter, reporter.Succinct = "challenge && MUST", true
	require.True(t, ginkgo.RunSpecs(t, t.Name(), suite, reporter))
	require.NotEmpty(t, run.Run().Results)
	for _, r := range run.Run().Results {
		assert.Equal(t, "challenge", r.Area, r.ID)
		assert.Equal(t, "MUST", r.Level, r.ID)
	}
	assert.NotEmpty(t, run.Run().Exchanges)
}

// The ginkgo command runs the suite file on two processes.
func TestGinkgoCommand(t *testing.T) {
	whole.Only(t) // two programs are compiled
	r := against.Start(t, reference.Ideal())
	report := filepath.Join(t.TempDir(), "report.xml")
	cmd := exec.CommandContext(t.Context(), "go", "run", "github.com/onsi/ginkgo/v2/ginkgo", "--procs=2",
		"--label-filter=discovery || challenge",
		"--junit-report="+filepath.Base(report), "--output-dir="+filepath.Dir(report), "./conformance", "--", "-url", r.URL, "-token-env",
		"GINKGO_TOKEN")
	cmd.Env = append(os.Environ(), "GINKGO_TOKEN="+r.Token())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	all, err := junit.IngestFile(report)
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Greater(t, all[0].Totals.Passed, 40, string(out))
	assert.Zero(t, all[0].Totals.Failed+all[0].Totals.Error, string(out))
}
