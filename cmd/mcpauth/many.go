package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/matrix"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// gather adds the target files of --targets. Without --out, a list has only files, and each target gets the requested reports.
func (o *options) gather(entries []entry) error {
	for _, e := range entries {
		if e.File == "" {
			return &exit{reports.ExitUsage, fmt.Errorf("%s: a list with URLs needs a folder for the results: give --out", e.at)}
		}
		o.files = append(o.files, e.File)
	}
	return nil
}

// runAll tests several targets in sequence, with reports for each, and a matrix for all.
func (o *options) runAll(c *cobra.Command) error {
	names, err := o.names()
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	together, apart := o.split()
	for _, spec := range apart {
		if _, path, _ := strings.Cut(spec, "="); ownOutput(path) {
			return &exit{reports.ExitUsage, fmt.Errorf("--report %s: with several targets each has a report of its own: give a path", spec)}
		}
	}
	s := severalRuns{o: o, together: together, apart: apart}
	for i, f := range o.files {
		notice(c, "== %s", names[i])
		if err := s.add(c, names[i], f); err != nil {
			return err
		}
	}
	for _, spec := range together {
		if err := writeMatrix(c.OutOrStdout(), spec, s.columns); err != nil {
			return err
		}
	}
	return s.outcome()
}

// names returns the names of the targets. All target files must be valid before the first request.
func (o *options) names() ([]string, error) {
	var names []string
	for _, f := range o.files {
		name := strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("two target files are named %s: reports would overwrite each other", name)
		}
		if _, err := target.Load(f); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// severalRuns are the runs of several targets in sequence.
type severalRuns struct {
	o               *options
	together, apart []string // the reports of all targets, and those of each
	columns         []matrix.Column
	worst           *exit // nil if every run passed
}

// outcome returns the error of the worst run.
func (s *severalRuns) outcome() error {
	if s.worst == nil {
		return nil
	}
	return s.worst
}

// add tests one more target. The error ends the whole run: an error in the configuration, or an interruption by the user.
func (s *severalRuns) add(c *cobra.Command, name, file string) error {
	sub := *s.o
	sub.files, sub.file, sub.reports = nil, file, nil
	for _, spec := range s.apart {
		sub.reports = append(sub.reports, named(spec, name))
	}
	tested := false
	sub.finished = func(run reports.Redacted) {
		tested = true
		s.columns = append(s.columns, matrix.Column{Name: name, Run: run, Report: page(sub.reports, s.together)})
	}
	err := sub.runOne(c, "")
	var e *exit
	if err == nil || !errors.As(err, &e) || e.code == reports.ExitUsage && !tested || e.code == reports.ExitInterrupted {
		return err
	}
	notice(c, "%s", reports.OneLine(name+": "+e.Error(), 2000))
	if s.worst == nil || worse(e.code, s.worst.code) {
		s.worst = &exit{e.code, fmt.Errorf("of %d targets, the worst: %w", len(s.o.files), e)}
	}
	return nil
}

// page returns the path of a target's HTML report for a link in the matrix; empty if either is missing.
func page(apart, together []string) string {
	path := func(specs []string, kind string) string {
		for _, spec := range specs {
			if name, path, _ := strings.Cut(spec, "="); name == kind && !ownOutput(path) {
				return path
			}
		}
		return ""
	}
	report, from := path(apart, "html"), path(together, "matrix")
	if report == "" || from == "" {
		return ""
	}
	relative, err := filepath.Rel(filepath.Dir(from), report)
	if err != nil {
		return ""
	}
	return (&url.URL{Path: filepath.ToSlash(relative)}).String()
}

// worse compares exit codes: tool failure, findings, undecided.
func worse(a, b int) bool {
	rank := []int{reports.ExitConformant, reports.ExitUndecided, reports.ExitFindings, reports.ExitUsage, reports.ExitToolFailed}
	return slices.Index(rank, a) > slices.Index(rank, b)
}

// split separates the reports for all targets from those for each.
func (o *options) split() (together, apart []string) {
	for _, spec := range o.reports {
		if name, _, _ := strings.Cut(spec, "="); name == "matrix" {
			together = append(together, spec)
		} else {
			apart = append(apart, spec)
		}
	}
	return together, apart
}

// named adds a target's name to the path of a report: instead of {target}, or before the extension.
func named(spec, name string) string {
	kind, path, _ := strings.Cut(spec, "=")
	if strings.Contains(path, "{target}") {
		return kind + "=" + strings.ReplaceAll(path, "{target}", name)
	}
	ending := filepath.Ext(path)
	return kind + "=" + strings.TrimSuffix(path, ending) + "-" + name + ending
}

// writeMatrix writes a matrix: as Markdown to standard output or a path that ends with .md, else as a page.
func writeMatrix(stdout io.Writer, spec string, columns []matrix.Column) error {
	_, path, _ := strings.Cut(spec, "=")
	write := matrix.Write
	if ownOutput(path) || strings.HasSuffix(path, ".md") {
		write = matrix.WriteMarkdown
	}
	var b bytes.Buffer
	if err := write(&b, columns); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	if ownOutput(path) {
		_, err := stdout.Write(b.Bytes())
		return err
	}
	to, err := openDestination(path)
	if err != nil {
		return &exit{reports.ExitUsage, fmt.Errorf("--report %s: %w", spec, err)}
	}
	defer to.abandon()
	if err := to.finish(b.Bytes()); err != nil {
		return &exit{reports.ExitToolFailed, fmt.Errorf("--report %s: %w", spec, err)}
	}
	return nil
}

// matrixOf writes a matrix of earlier runs.
func (o *options) matrixOf(c *cobra.Command, paths []string) error {
	together, apart := o.split()
	if len(apart) > 0 || len(together) == 0 {
		return &exit{reports.ExitUsage, errors.New("of several reports a matrix can be made: --report matrix=PATH")}
	}
	var columns []matrix.Column
	for _, path := range paths {
		run, err := readRun(path)
		if err != nil {
			return err
		}
		columns = append(columns, matrix.Column{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Run: run})
	}
	for _, spec := range together {
		if err := writeMatrix(c.OutOrStdout(), spec, columns); err != nil {
			return err
		}
	}
	return nil
}

// frozen returns the requirements of the profile's sets.
func (o *options) frozen() ([]string, error) {
	var ids []string
	for _, s := range profiles.Current() {
		if s.Profile != o.profile || len(o.revisions) > 0 && !slices.Contains(o.revisions, s.Revision) {
			continue
		}
		for _, id := range append(slices.Clone(s.Musts), s.Shoulds...) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("--profile %q: want one of %s", o.profile, strings.Join(profiles.Names(), ", "))
	}
	return ids, nil
}

// appendHistory adds the run to the history, and returns the target's earlier runs. It does not write to an unreadable history.
func (o *options) appendHistory(run reports.Redacted) ([]reports.Past, error) {
	if o.history == "" {
		return nil, nil
	}
	r := run.Run()
	past, err := readHistory(o.history, r.Target.URL)
	if err != nil {
		return nil, fmt.Errorf("--history %s: %w", o.history, err)
	}
	if r.Interrupted || r.Unreachable != "" || r.Doubt != "" { // such a run says nothing about the target
		return past, nil
	}
	f, err := os.OpenFile(o.history, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	_, err = f.Write(r.Past().Line())
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	return append(past, r.Past()), nil
}

// readHistory reads the runs of a target from a history; none if there is no file yet.
func readHistory(path, url string) ([]reports.Past, error) {
	through, err := writtenThrough(path)
	if err == nil && through {
		err = errors.New("it is not a regular file, and cannot keep a history")
	}
	if err != nil {
		return nil, err
	}
	b, err := strict.ReadFile(path, mostInput)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return reports.ReadHistory(bytes.NewReader(b), url)
}
