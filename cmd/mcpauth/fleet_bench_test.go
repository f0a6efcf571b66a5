package main_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
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

// BenchmarkFleet tests a list of reference servers, all run by this process, in a process of its own: the time and the largest memory of
// that process. MCPAUTH_FLEET_TARGETS says how many (50 by default), and MCPAUTH_FLEET_FLAGS adds flags, such as
// --passive; a tenth of dead hosts is added in the last case.
func BenchmarkFleet(b *testing.B) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("MCPAUTH_FLEET_TARGETS"), "50"))
	if err != nil {
		b.Fatal(err)
	}
	var urls []string
	for range n {
		r, err := reference.Start(reference.Ideal())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { r.Close() })
		urls = append(urls, r.URL)
	}
	var dead []string
	for range n / 10 { // hosts that accept connections and never answer, which costs more than a refusal
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { l.Close() })
		dead = append(dead, "http://"+l.Addr().String()+"/mcp")
	}
	for _, c := range []struct {
		name     string
		urls     []string
		parallel int
	}{
		{"half the targets, one at a time", urls[:n/2], 1},
		{"one at a time", urls, 1},
		{"two at a time", urls, 2},
		{"four at a time", urls, 4},
		{"a tenth dead, two at a time", among(urls, dead), 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				fleetOnce(b, c.urls, c.parallel)
			}
		})
	}
}

// among puts the dead hosts in the place of others, one after each nine, so that the last one of the list is dead too: nothing is left
// to do beside its survey.
func among(urls, dead []string) []string {
	out := slices.Clone(urls)
	for i, d := range dead {
		out[(i+1)*len(urls)/len(dead)-1] = d
	}
	return out
}

func fleetOnce(b *testing.B, urls []string, parallel int) {
	out, list := b.TempDir(), filepath.Join(b.TempDir(), "targets")
	if err := os.WriteFile(list, []byte(strings.Join(urls, "\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{"run", "-q", "--targets", list, "--out", out, "--parallel", strconv.Itoa(parallel)}
	c := exec.Command(binary, append(args, strings.Fields(os.Getenv("MCPAUTH_FLEET_FLAGS"))...)...)
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
}

// peak sends the largest resident memory of a process, in MiB, when it has ended. The kernel's own figure (ru_maxrss) is at least that of
// the parent, since a child that is started by vfork begins with the parent's memory.
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
