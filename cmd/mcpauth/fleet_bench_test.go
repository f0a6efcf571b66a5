package main_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports/fleet"
)

// BenchmarkFleet tests a list of reference servers, all run by this process, in a separate process. It reports the time and the peak memory
// of that process. MCPAUTH_FLEET_TARGETS is the number of targets (50 by default), and MCPAUTH_FLEET_FLAGS adds flags, such as --passive.
// MCPAUTH_FLEET_DELAY, such as 50ms, delays each answer, like a distant server: then waiting limits the time of a target, not the
// processors. In the last case, a tenth of the hosts does not answer. Each case is compared with one before it, if that ran.
func BenchmarkFleet(b *testing.B) {
	urls := fleetOfReferences(b)
	took := map[string]float64{}
	for _, c := range []struct {
		name     string
		urls     []string
		parallel int
		to       string  // the case to compare with
		times    float64 // the expected ratio of the times
	}{
		{"half the targets, one at a time", urls[:len(urls)/2], 1, "", 0},
		{"one at a time", urls, 1, "half the targets, one at a time", 2},
		{"two at a time", urls, 2, "one at a time", 1},
		{"four at a time", urls, 4, "one at a time", 1},
		{"a tenth dead, two at a time", among(urls, deadHosts(b, len(urls)/10)), 2, "two at a time", 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				took[c.name] = fleetOnce(b, c.urls, c.parallel)
			}
			if to := took[c.to] * c.times; to > 0 {
				b.ReportMetric(took[c.name]/to, "x")
			}
		})
	}
}

// BenchmarkFleetOfProcesses tests the same list in ten concurrent processes. One of them is killed and resumed. The summary is that of one
// undisturbed process.
func BenchmarkFleetOfProcesses(b *testing.B) {
	const processes = 10
	urls := fleetOfReferences(b)
	undisturbed := b.TempDir()
	require.NoError(b, fleetProcess(b, urls, undisturbed, "--parallel", "2").Run())
	want, err := fleet.Sum(undisturbed, "", nil)
	require.NoError(b, err)
	for b.Loop() {
		out := b.TempDir()
		var running []*exec.Cmd
		for i := range processes {
			c := fleetProcess(b, urls, out, "--resume", "--split", fmt.Sprintf("%d/%d", i+1, processes))
			require.NoError(b, c.Start())
			running = append(running, c)
		}
		for finished(b, out) < len(urls)/2 {
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(b, running[0].Process.Kill())
		require.Error(b, running[0].Wait(), "the process ended before it was killed")
		killedAt := finished(b, out)
		require.NoError(b, fleetProcess(b, urls, out, "--resume", "--split", fmt.Sprintf("1/%d", processes)).Run())
		for _, c := range running[1:] {
			require.NoError(b, c.Wait())
		}
		got, err := fleet.Sum(out, undisturbed, nil)
		require.NoError(b, err)
		require.Equal(b, len(urls), got.Targets)
		require.Equal(b, want.States, got.States)
		require.Equal(b, want.Outcomes, got.Outcomes)
		require.Equal(b, want.Requirements, got.Requirements)
		require.Zero(b, got.Drift.Regressed+got.Drift.Fixed+got.Drift.New+got.Drift.Gone)
		b.ReportMetric(float64(killedAt), "done-at-kill")
	}
}

// finished counts the targets that are done.
func finished(b *testing.B, dir string) int {
	files, err := filepath.Glob(filepath.Join(dir, "*", fleet.DoneFile))
	require.NoError(b, err)
	return len(files)
}

// fleetOfReferences starts the targets.
func fleetOfReferences(b *testing.B) (urls []string) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("MCPAUTH_FLEET_TARGETS"), "50"))
	require.NoError(b, err)
	delay, err := time.ParseDuration(cmp.Or(os.Getenv("MCPAUTH_FLEET_DELAY"), "0s"))
	require.NoError(b, err)
	for range n {
		o := reference.Ideal()
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(delay); h.ServeHTTP(w, r) })
		}
		r, err := reference.Start(o)
		require.NoError(b, err)
		b.Cleanup(func() { r.Close() })
		urls = append(urls, r.URL)
	}
	return urls
}

// deadHosts returns hosts that accept connections and never answer, which takes longer than a refused connection.
func deadHosts(b *testing.B, n int) (urls []string) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		b.Cleanup(func() { l.Close() })
		urls = append(urls, "http://"+l.Addr().String()+"/mcp")
	}
	return urls
}

// among replaces some targets with dead hosts, one after each nine, so that the last target is dead too: no other work remains during its
// survey.
func among(urls, dead []string) []string {
	out := slices.Clone(urls)
	for i, d := range dead {
		out[(i+1)*len(urls)/len(dead)-1] = d
	}
	return out
}

// fleetProcess returns a process that tests a list.
func fleetProcess(b *testing.B, urls []string, out string, flags ...string) *exec.Cmd {
	list := filepath.Join(b.TempDir(), "targets")
	require.NoError(b, os.WriteFile(list, []byte(strings.Join(urls, "\n")), 0o600))
	args := append([]string{"run", "-q", "--targets", list, "--out", out}, flags...)
	return exec.Command(binary, append(args, strings.Fields(os.Getenv("MCPAUTH_FLEET_FLAGS"))...)...)
}

// fleetOnce tests a list once, and returns the duration in seconds.
func fleetOnce(b *testing.B, urls []string, parallel int) float64 {
	out := b.TempDir()
	c := fleetProcess(b, urls, out, "--parallel", strconv.Itoa(parallel))
	var text bytes.Buffer
	c.Stdout, c.Stderr = &text, &text
	began := time.Now()
	require.NoError(b, c.Start())
	memory := peak(c.Process.Pid)
	if err := c.Wait(); err != nil {
		b.Fatalf("%v: %s", err, &text)
	}
	took := time.Since(began)
	s, err := fleet.Sum(out, "", nil)
	if err != nil || s.Targets != len(urls) {
		b.Fatalf("%d of %d targets are done: %v", s.Targets, len(urls), err)
	}
	var stored int64
	files, _ := filepath.Glob(filepath.Join(out, "*", "*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			stored += info.Size()
		}
	}
	each := float64(len(urls))
	b.ReportMetric(took.Seconds()/each, "s/target")
	b.ReportMetric((c.ProcessState.UserTime()+c.ProcessState.SystemTime()).Seconds()/each, "cpu-s/target")
	b.ReportMetric(<-memory, "MiB")
	b.ReportMetric(float64(s.Requests)/each, "requests/target")
	b.ReportMetric(float64(stored)/1024/each, "KiB/target")
	return took.Seconds()
}

// peak sends the peak resident memory of a process, in MiB, after its end. The kernel's figure (ru_maxrss) is at least that of the parent,
// because a child started by vfork begins with the parent's memory.
func peak(pid int) <-chan float64 {
	out := make(chan float64, 1)
	go func() {
		var most float64
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, after, found := strings.Cut(string(status), "VmHWM:")
			if err != nil || !found { // it has ended
				out <- most
				return
			}
			if kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64); err == nil {
				most = kib / 1024
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return out
}
