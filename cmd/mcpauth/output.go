package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mcpauth/conformance/fixtures/nearest"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/formats"
)

// output is one report to write.
type output struct {
	format formats.Format
	to     *destination // nil: standard output
}

type outputs struct {
	list           []*output
	stdout, stderr io.Writer
	people         func(w io.Writer, r reports.Redacted) error // nil if quiet
	options        formats.Options
}

// outputs opens every requested report, so that an unwritable path fails early.
func (o *options) outputs(c *cobra.Command) (*outputs, error) {
	out := &outputs{
		stdout: c.OutOrStdout(), stderr: c.ErrOrStderr(), options: formats.Options{Strict: o.strict, Verbose: o.verbose},
	}
	if !o.quiet {
		out.people = func(w io.Writer, r reports.Redacted) error {
			return console.Write(w, r, console.Options{Colour: colour(o.colour, w), Verbose: o.verbose})
		}
	}
	for _, spec := range o.reports {
		if err := out.open(spec); err != nil {
			out.abandon()
			return nil, &exit{reports.ExitUsage, err}
		}
	}
	return out, nil
}

// open opens a report: FORMAT, or FORMAT=PATH.
func (o *outputs) open(spec string) error {
	name, path, _ := strings.Cut(spec, "=")
	if name == "matrix" { // for all targets together, at the end
		return fmt.Errorf("--report %s: a matrix needs several targets", spec)
	}
	format, ok := formats.Named(name)
	if !ok {
		return fmt.Errorf("--report %q: unknown report%s; there are %s", name, suggested(nearest.Of(name, formats.List())), formats.Names())
	}
	if namesAnother(path) {
		return fmt.Errorf("--report %q: give each report its own --report", spec)
	}
	r := &output{format: format}
	if ownOutput(path) {
		if slices.ContainsFunc(o.list, func(r *output) bool { return r.to == nil }) {
			return fmt.Errorf("--report %q: only one report can go to standard output", spec)
		}
	} else {
		to, err := openDestination(path)
		if err != nil {
			return fmt.Errorf("--report %s: %w", spec, err)
		}
		r.to = to
	}
	o.list = append(o.list, r)
	return nil
}

// namesAnother reports whether a path continues with a comma and another report.
func namesAnother(path string) bool {
	_, more, _ := strings.Cut(path, ",")
	second, _, ok := strings.Cut(more, "=")
	return ok && slices.Contains(formats.List(), second)
}

// write writes every report, the summary for people, and the paths of the reports. The summary goes to standard output, unless a report
// does.
func (o *outputs) write(run reports.Redacted) error {
	for _, r := range o.list {
		if err := o.writeOne(r, run); err != nil {
			return fmt.Errorf("report %s: %w", r.format.Name, err)
		}
	}
	if o.people == nil {
		return nil
	}
	to := o.stdout
	if slices.ContainsFunc(o.list, func(r *output) bool { return r.to == nil }) {
		to = o.stderr
	}
	if err := o.people(to, run); err != nil {
		return err
	}
	for _, r := range o.list {
		if r.to != nil {
			fmt.Fprint(o.stderr, reports.Prefixed("mcpauth: ", "wrote "+r.to.path))
		}
	}
	return nil
}

func (o *outputs) writeOne(r *output, run reports.Redacted) error {
	if r.to != nil {
		return r.to.finishBy(func(w io.Writer) error {
			parts := bufio.NewWriterSize(w, 64<<10)
			if err := r.format.Write(parts, run, o.options); err != nil {
				return err
			}
			return parts.Flush()
		})
	}
	var b bytes.Buffer // a report on standard output is complete, too
	if err := r.format.Write(&b, run, o.options); err != nil {
		return err
	}
	_, err := o.stdout.Write(b.Bytes())
	return err
}

// abandon removes unfinished files.
func (o *outputs) abandon() {
	for _, r := range o.list {
		if r.to != nil {
			r.to.abandon()
		}
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour follows the flag, then NO_COLOR, then whether the output is a terminal.
func colour(flag string, w io.Writer) bool {
	switch {
	case flag == "always":
		return true
	case flag == "never", os.Getenv("NO_COLOR") != "":
		return false
	}
	return terminal(w)
}

// progress shows the progress of a run: one live line on a terminal, else a line every ten seconds.
type progress struct {
	w     io.Writer
	live  bool
	quiet bool

	mu    sync.Mutex
	total int
	seen  map[string]bool
	bad   int
	last  time.Time
}

func newProgress(w io.Writer, quiet bool) *progress {
	return &progress{w: w, live: terminal(w), quiet: quiet, seen: map[string]bool{}, last: time.Now()}
}

func (p *progress) begin(n int) {
	p.mu.Lock()
	p.total = n
	p.mu.Unlock()
}

func (p *progress) result(r reports.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[r.ID] = true
	if r.Verdict == reports.Fail || r.Verdict == reports.Errored {
		p.bad++
	}
	every := 10 * time.Second
	if p.live {
		every = 100 * time.Millisecond
	}
	if p.quiet || time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%d of %d checks done", len(p.seen), p.total)
	if p.bad > 0 { // findings are tried a second time before they count, mostly at the end
		line += ", " + reports.Count(p.bad, "finding")
	}
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(p.w, line)
	}
}

func (p *progress) end() {
	if p.live && !p.quiet {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
