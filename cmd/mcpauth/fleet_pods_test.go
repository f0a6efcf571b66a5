package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports/fleet"
)

// Processes in the role of the pods of an indexed Job share a folder. One is killed during a test, and its replacement resumes: the summary
// is that of an undisturbed run.
func TestPodsOfAnIndexedJob(t *testing.T) {
	t.Parallel()
	pods, servers := 5, 12
	if whole.All(t) {
		pods, servers = 10, 20
	}
	var held atomic.Bool
	held.Store(true)
	asked, goOn := make(chan struct{}, 10_000), make(chan struct{})
	var urls []string
	for i := range servers {
		urls = append(urls, start(t, func(o *reference.Options) {
			if i%3 == 0 {
				o.Policy.Status = 403
			}
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if held.Load() {
						asked <- struct{}{}
						<-goOn
					}
					h.ServeHTTP(w, r)
				})
			}
		}).URL)
	}
	targets, out := list(t, append(urls, "http://"+free(t)+"/mcp")...), t.TempDir()
	pod := func(index int, dir string) *exec.Cmd {
		c := exec.Command(binary, "run", "-q", "--targets", targets, "--out", dir, "--resume", "--split", "auto", "--only", few)
		c.Env = append(os.Environ(), fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index), fmt.Sprintf("MCPAUTH_SPLIT_COUNT=%d", pods))
		return c
	}
	var running []*exec.Cmd
	for i := range pods {
		running = append(running, pod(i, out))
		require.NoError(t, running[i].Start())
	}
	<-asked // a pod is testing a target
	for _, c := range running[:pods-1] {
		require.NoError(t, c.Process.Kill())
	}
	held.Store(false)
	close(goOn)
	for i, c := range running {
		if err := c.Wait(); i == pods-1 {
			require.NoError(t, err)
		}
	}
	before, err := filepath.Glob(filepath.Join(out, "*", fleet.DoneFile))
	require.NoError(t, err)
	assert.Less(t, len(before), len(urls)+1, "the processes were killed only after the end")
	undisturbed := t.TempDir()
	for i := range pods {
		require.NoError(t, pod(i, out).Run())
		require.NoError(t, pod(i, undisturbed).Run())
	}
	want, err := fleet.Sum(undisturbed, "", nil)
	require.NoError(t, err)
	got, err := fleet.Sum(out, undisturbed, nil)
	require.NoError(t, err)
	assert.Equal(t, len(urls)+1, got.Targets)
	assert.Equal(t, 1, got.States[fleet.Unreachable])
	assert.Equal(t, want.States, got.States)
	assert.Equal(t, want.Outcomes, got.Outcomes)
	assert.Equal(t, want.Requirements, got.Requirements)
	assert.Equal(t, want.Worst, got.Worst)
	assert.Zero(t, got.Drift.Regressed+got.Drift.Fixed+got.Drift.New+got.Drift.Gone)
	half, err := filepath.Glob(filepath.Join(out, "*", ".mcpauth-*"))
	require.NoError(t, err)
	assert.Empty(t, half)
}
