package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/hostile"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// trapsAtOnce is the number of concurrent traps.
const trapsAtOnce = 3

// selfTest runs this program against targets that attack it, and reports whether it keeps each promise.
func selfTest(c *cobra.Command, traps []hostile.Trap) error {
	program, err := os.Executable()
	if err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	return tryTraps(c, program, traps)
}

// tryTraps runs a program against targets that attack it, and reports whether it keeps each promise.
func tryTraps(c *cobra.Command, program string, traps []hostile.Trap) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	defer w.Flush()
	var broken []string
	for i, s := range springAll(c.Context(), program, traps) {
		trap, state := traps[i], "held"
		var none *noBrowser
		switch {
		case errors.As(s.err, &none):
			state = "not tried: " + none.Error()
		case s.err != nil:
			broken = append(broken, fmt.Sprintf("%s: %s", trap.Name, reports.OneLine(s.err.Error(), 300)))
			state = "BROKEN"
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f s\t%d MiB\t%s\n", trap.Name, trap.Promise, s.took.Seconds(), s.peak>>20, state)
	}
	if n := linkedModules(); n > 0 {
		fmt.Fprintf(w, "modules\tfew modules of others are linked: at most %d modules\t\t\t%d\n", mostModules, n)
		if n > mostModules {
			broken = append(broken, fmt.Sprintf("modules: %d are linked", n))
		}
	}
	w.Flush()
	if len(broken) > 0 {
		for _, b := range broken { // at the end too, where readers of a CI log begin
			fmt.Fprintln(c.ErrOrStderr(), "BROKEN", b)
		}
		return &exit{reports.ExitToolFailed, fmt.Errorf("%s broken", reports.Count(len(broken), "promise"))}
	}
	return nil
}

// sprung is the result of a trap.
type sprung struct {
	err  error // nil if the promise was kept
	took time.Duration
	peak int64 // memory in bytes; 0 if the system does not report it
}

// springAll runs a program against traps, several at a time.
func springAll(ctx context.Context, program string, traps []hostile.Trap) []sprung {
	out := make([]sprung, len(traps))
	turn := make(chan struct{}, trapsAtOnce)
	var together sync.WaitGroup
	for i, trap := range traps {
		turn <- struct{}{}
		together.Go(func() {
			started := time.Now()
			peak, err := spring(ctx, program, trap)
			out[i] = sprung{err, time.Since(started), peak}
			<-turn
		})
	}
	together.Wait()
	return out
}

// mostModules is the maximum number of linked third-party modules.
const mostModules = 30

func linkedModules() int {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return 0
	}
	return len(info.Deps)
}

// watch returns the peak memory of a process until its end, in bytes; 0 if the system does not report it. The system's own figure would
// include the memory of the parent when it started the process.
func watch(pid int, over <-chan struct{}) (most int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			if _, rest, ok := bytes.Cut(b, []byte("VmHWM:")); ok {
				var kilobytes int64
				if _, err := fmt.Sscan(string(rest[:min(len(rest), 40)]), &kilobytes); err == nil {
					most = max(most, kilobytes<<10)
				}
			}
		}
		select {
		case <-over:
			return most
		case <-tick.C:
		}
	}
}

// noBrowser is the error of a trap that needs a browser.
type noBrowser struct{ error }

// examined are the reports that traps examine.
var examined = []string{"json", "html", "junit", "markdown", "sarif", "har"}

// process is the running tool.
type process struct {
	*os.Process
	said *transcript
}

func (p process) Said() string { return p.said.String() }

// transcript is the output of a process, which can be read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func (p process) Interrupt() error { return p.Signal(os.Interrupt) }

func (p process) HangUp() error { return p.Signal(syscall.SIGHUP) }

// reporting adds the arguments that write reports into a folder, if the command writes reports.
func reporting(args []string, dir string) []string {
	args = slices.Clone(args)
	switch args[0] {
	case "run":
		args = append(args, "--evidence", "all") // everything recorded must be free of secrets
	case "diff":
		return args
	}
	for _, f := range examined {
		args = append(args, "--report", f+"="+filepath.Join(dir, "report."+f))
	}
	return args
}

// spring sets a trap and runs a program against it. peak is the program's peak memory in bytes.
func spring(ctx context.Context, program string, trap hostile.Trap) (peak int64, err error) {
	if trap.Browser && suites.BrowserFound() != nil {
		return 0, &noBrowser{suites.BrowserFound()}
	}
	attack, err := trap.Start()
	if err != nil {
		return 0, fmt.Errorf("the trap could not be set: %w", err)
	}
	defer attack.Close()
	dir, err := os.MkdirTemp("", "mcpauth-self-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	o, err := outcomeOf(ctx, program, attack, dir)
	if err != nil {
		return 0, err
	}
	if err := readFiles(dir, &o); err != nil {
		return o.Peak, err
	}
	return o.Peak, attack.Judge(o)
}

// outcomeOf runs a program against a trap, in a new directory for its reports.
func outcomeOf(ctx context.Context, program string, attack *hostile.Attack, dir string) (hostile.Outcome, error) {
	cmd := exec.CommandContext(ctx, program, reporting(attack.Args, dir)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), attack.Environment...)
	var out, errs transcript
	cmd.Stdout, cmd.Stderr = &out, &errs
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // the program inherits an ignored signal (nohup), but not a handler
	defer signal.Stop(heard)
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return hostile.Outcome{}, err
	}
	if attack.After != nil {
		go attack.After(process{cmd.Process, &errs})
	}
	over := make(chan struct{})
	peak := make(chan int64, 1)
	go func() { peak <- watch(cmd.Process.Pid, over) }()
	_ = cmd.Wait() // the trap judges the exit
	close(over)
	return hostile.Outcome{Code: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: errs.String(), Reports: map[string]string{},
		Took: time.Since(started), Peak: <-peak}, nil
}

// readFiles reads the reports in a directory. Other files are strays.
func readFiles(dir string, o *hostile.Outcome) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		ending := filepath.Ext(f.Name())
		if f.Name() != "report"+ending || ending == "" {
			o.Strays = append(o.Strays, f.Name())
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		o.Reports[ending[1:]] = string(b)
	}
	return nil
}
