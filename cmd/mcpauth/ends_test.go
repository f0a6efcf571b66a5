package main_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
)

// A run that is ended from outside says so: no exit 0, a complete report or none, and no process or file remains.
func TestSignalsAtAnyMoment(t *testing.T) {
	t.Parallel()
	heard := make(chan os.Signal, 1)
	ossignal.Notify(heard, syscall.SIGHUP) // a child process inherits an ignored signal (nohup), but not a handled one
	t.Cleanup(func() { ossignal.Stop(heard) })
	moments := 3 // each signal
	if whole.All(t) {
		moments = 20
	}
	for i := range moments {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			// A moment is a number of requests, which does not depend on the load. Zero is before the program starts, or just then.
			after := rand.Int64N(lateRequest) * int64(min(i, 1))
			requests := countDown(after)
			r := start(t, func(o *reference.Options) {
				o.Delay, o.Wrap, o.Behaviour.Wrap = 20*time.Millisecond, requests.wrap, requests.wrap
			})
			signal := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}[i%3]
			dir := t.TempDir()
			c := exec.Command(binary, "run", r.URL, "--username", "alice", "--login", "form", "-q", "--report", "json="+filepath.Join(dir, "r.json"),
				"--report", "html="+filepath.Join(dir, "r.html"))
			c.Env = append(os.Environ(), "MCPAUTH_PASSWORD=alice-7-looking-glass", "TMPDIR="+dir)
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var errs bytes.Buffer
			c.Stderr = &errs
			require.NoError(t, c.Start())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_ = c.Wait() // the exit is judged below
			}()
			select {
			case <-requests.over:
			case <-over:
			}
			require.NoError(t, c.Process.Signal(signal), "after %d requests: %s", after, errs.String())
			<-over
			code := c.ProcessState.ExitCode()
			if code == -1 && after == 0 {
				assert.Empty(t, errs.String(), "%v", signal)
				return // the program had not started
			}
			assert.Equal(t, 130, code, "%v after %d requests: %s", signal, after, errs.String())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, f := range left {
				assert.Contains(t, []string{"r.json", "r.html"}, f.Name(), "%v after %d requests", signal, after)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "r.json")); err == nil {
				var run reports.Run
				require.NoError(t, json.Unmarshal(b, &run), "%v after %d requests", signal, after)
				assert.True(t, run.Interrupted, "%v after %d requests", signal, after)
			}
			assert.ErrorIs(t, syscall.Kill(-c.Process.Pid, 0), syscall.ESRCH, "a process still runs")
			assert.Zero(t, r.IDP.Clients(), "a registered client is not deleted after an interruption")
		})
	}
}

// lateRequest is a number of requests that every whole run exceeds by far.
const lateRequest = 1500

// countdown ends when the target has received a number of requests.
type countdown struct {
	left atomic.Int64
	over chan struct{}
}

func countDown(after int64) *countdown {
	m := &countdown{over: make(chan struct{})}
	if m.left.Store(after); after == 0 {
		close(m.over)
	}
	return m
}

func (m *countdown) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.left.Add(-1) == 0 {
			close(m.over)
		}
		next.ServeHTTP(w, r)
	})
}

// A run that is interrupted before it knows the target's address says that, and does not blame the user.
func TestAnInterruptionIsNoMistakeOfTheUser(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	c := exec.Command(binary, "run", "https://mcp.example.com/mcp", "--dns", silent.LocalAddr().String(), "--username", "alice", "-q")
	c.Env = append(os.Environ(), "MCPAUTH_PASSWORD=alice-7-looking-glass")
	var errs bytes.Buffer
	c.Stderr = &errs
	require.NoError(t, c.Start())
	_, _, err = silent.ReadFrom(make([]byte, 512)) // it resolves the address
	require.NoError(t, err)
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	_ = c.Wait()
	assert.Equal(t, 130, c.ProcessState.ExitCode(), errs.String())
	assert.Contains(t, errs.String(), "interrupted")
	assert.NotContains(t, errs.String(), "--i-am-authorized")
}

// If a report cannot be written completely, none is written, and the run fails.
func TestNoRoomForTheReport(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	dir := t.TempDir()
	c := exec.Command("sh", "-c", "ulimit -f 16; exec \"$0\" run \"$1\" -q --report json=\"$2\" --report badge=\"$3\"", binary, r.URL,
		filepath.Join(dir, "r.json"), filepath.Join(dir, "b.json"))
	out, _ := c.CombinedOutput()
	assert.Equal(t, 4, c.ProcessState.ExitCode(), string(out))
	assert.Contains(t, string(out), "file too large")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		assert.False(t, strings.HasPrefix(f.Name(), ".mcpauth-"), "a temporary file of a report is not deleted: %s", f.Name())
		assert.NotEqual(t, "r.json", f.Name())
	}
}

// If the browser is killed during a login, the run is undecided, and no file remains.
func TestAKilledBrowserIsNoResult(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("chromium-headless-shell"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("INCONCLUSIVE: there is no browser")
		}
		t.Skip("INCONCLUSIVE: there is no browser")
	}
	r := start(t, func(o *reference.Options) { o.Behaviour.Pages = "javascript"; o.Delay = 100 * time.Millisecond })
	dir := t.TempDir()
	c := exec.Command(binary, "run", r.URL, "--username", "alice", "--login", "browser", "--browser-no-sandbox", "-q", "--only", "AS-PKCE-*",
		"--report", "json="+filepath.Join(dir, "r.json"))
	c.Env = append(os.Environ(), "MCPAUTH_PASSWORD=alice-7-looking-glass", "TMPDIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, c.Start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = c.Wait() // the exit is judged below
	}()
	killed := false
	for running := true; running; { // for each browser that is started
		select {
		case <-over:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
		if exec.Command("pkill", "-KILL", "-f", "chrom.*"+dir).Run() == nil ||
			exec.Command("pkill", "-KILL", "-P", strconv.Itoa(c.Process.Pid), "chrom").Run() == nil {
			killed = true
		}
	}
	if !killed {
		t.Skip("INCONCLUSIVE: no browser was found to kill")
	}
	assert.NotZero(t, c.ProcessState.ExitCode())
	b, err := os.ReadFile(filepath.Join(dir, "r.json"))
	require.NoError(t, err)
	var run reports.Run
	require.NoError(t, json.Unmarshal(b, &run))
	assert.Zero(t, run.Counts()[reports.Fail], "a browser that dies counts as a defect of the target")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "there are other files than the report")
}
