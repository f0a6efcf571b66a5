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

// gather adds the target files that --targets lists. Without --out a list holds files only: each has the reports that are asked for.
func (o *options) gather(entries []entry) error {
	for _, e := range entries {
		if e.File == "" {
			return &exit{reports.ExitUsage, fmt.Errorf("%s: a list with URLs needs a folder for the results: give --out", e.at)}
		}
		o.files = append(o.files, e.File)
	}
	return nil
}

// runAll tests several targets, one after another, with reports of each, and a matrix of all.
func (o *options) runAll(c *cobra.Command) error {
	names := make([]string, len(o.files))
	for i, f := range o.files {
		names[i] = strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))
		if slices.Contains(names[:i], names[i]) {
			return &exit{reports.ExitUsage, fmt.Errorf("two target files are named %s: reports would overwrite each other", names[i])}
		}
		if _, err := target.Load(f); err != nil { // before the first target is touched
			return &exit{reports.ExitUsage, err}
		}
	}
	together, apart := o.split()
	for _, spec := range apart {
		if _, path, _ := strings.Cut(spec, "="); ownOutput(path) {
			return &exit{reports.ExitUsage, fmt.Errorf("--report %s: with several targets each has a report of its own: give a path", spec)}
		}
	}
	var columns []matrix.Column
	var worst *exit
	for i, f := range o.files {
		notice(c, "== %s", names[i])
		sub := *o
		sub.files, sub.file, sub.reports = nil, f, nil
		for _, spec := range apart {
			sub.reports = append(sub.reports, named(spec, names[i]))
		}
		sub.finished = func(run reports.Redacted) {
			columns = append(columns, matrix.Column{Name: names[i], Run: run, Report: page(sub.reports, together)})
		}
		err := sub.runOne(c, "")
		var e *exit
		switch {
		case err == nil:
		case !errors.As(err, &e):
			return err
		case e.code == reports.ExitUsage && len(columns) <= i, e.code == reports.ExitInterrupted:
			return err
		default:
			notice(c, "%s", reports.OneLine(names[i]+": "+e.Error(), 2000))
			if worst == nil || worse(e.code, worst.code) {
				worst = &exit{e.code, fmt.Errorf("of %d targets, the worst: %w", len(o.files), e)}
			}
		}
	}
	for _, spec := range together {
		if err := writeMatrix(c.OutOrStdout(), spec, columns); err != nil {
			return err
		}
	}
	if worst != nil {
		return worst
	}
	return nil
}

// page is the path of a target's HTML report as the matrix links to it; empty where one of them is missing.
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

// split tells the reports of all targets together from those of each.
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

// named puts a target's name into the path of a report: in place of {target}, or before the ending.
func named(spec, name string) string {
	kind, path, _ := strings.Cut(spec, "=")
	if strings.Contains(path, "{target}") {
		return kind + "=" + strings.ReplaceAll(path, "{target}", name)
	}
	ending := filepath.Ext(path)
	return kind + "=" + strings.TrimSuffix(path, ending) + "-" + name + ending
}

// writeMatrix writes a matrix: as Markdown to standard output or a path that ends in .md, else as a page.
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

// frozen are the requirements of the profile's sets.
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

// appendHistory adds the run to the history, and returns what it holds of the target. A history that cannot be read is not
// written to.
func (o *options) appendHistory(run reports.Redacted) ([]reports.Past, error) {
	if o.history == "" {
		return nil, nil
	}
	r := run.Run()
	through, err := writtenThrough(o.history)
	if err == nil && through {
		err = fmt.Errorf("%s is no regular file, and cannot keep a history", o.history)
	}
	if err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	b, err := strict.ReadFile(o.history, mostInput)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("--history: %w", err)
	}
	past, err := reports.ReadHistory(bytes.NewReader(b), r.Target.URL)
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
