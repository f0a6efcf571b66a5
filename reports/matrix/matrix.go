// Package matrix writes several runs as a table: a column for each target, and a row for each requirement.
package matrix

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/markdown"
)

//go:embed matrix.html
var page string

//go:embed style.css
var style string

// Column is one target's run.
type Column struct {
	Name string
	Run  reports.Redacted
	// Report is the path of the target's own HTML report relative to the matrix, or "".
	Report string
}

type row struct {
	ID, Title, Level, Area, Source string
	Cells                          []cell
	worst                          reports.Verdict
}

type cell struct {
	Verdict reports.Verdict
	Class   string
	Reason  string
	Link    string // to the finding in the target's own report
}

// part has the rows whose worst verdict is of one kind.
type part struct {
	Name   string
	Anchor string
	Rows   []row
	Folded bool
}

// kinds are the parts of the matrix in order.
var kinds = []struct {
	name, anchor string
	folded       bool
	verdicts     []reports.Verdict
}{
	{"Fails somewhere", "fails", false, []reports.Verdict{reports.Errored, reports.Fail}},
	{"Warnings, and what a person must look at", "warnings", false, []reports.Verdict{reports.Warn, reports.Review, reports.Flaky,
		reports.Suppressed}},
	{"Could not be decided somewhere", "undecided", false, []reports.Verdict{reports.Inconclusive}},
	{"Not tested somewhere", "not-tested", true, []reports.Verdict{reports.NotTested}},
	{"Passes, or does not apply", "passes", true, []reports.Verdict{reports.Pass, reports.NotApplicable, ""}},
}

// short are the verdicts in the form for a cell.
var short = map[reports.Verdict]string{reports.Pass: "pass", reports.Fail: "FAIL", reports.Warn: "warn", reports.NotApplicable: "n/a",
	reports.NotTested: "–", reports.Inconclusive: "?", reports.Errored: "ERROR", reports.Suppressed: "accepted", reports.Review: "review",
	reports.Flaky: "flaky"}

// Short returns the verdict in the form for a cell; empty if the run did not judge the requirement.
func (c cell) Short() string { return short[c.Verdict] }

// gather makes the rows, in the order of the runs: those with the worst verdicts come first. The worst verdict on a requirement counts.
func gather(columns []Column) []part {
	at := map[string]*row{}
	var order []string
	for i, c := range columns {
		for k := range c.Run.Run().Results {
			r := &c.Run.Run().Results[k]
			if at[r.ID] == nil {
				at[r.ID] = &row{ID: r.ID, Title: r.Title, Level: r.Level, Area: r.Area, Source: source(r), Cells: make([]cell, len(columns))}
				order = append(order, r.ID)
			}
			own := &at[r.ID].Cells[i]
			if own.Verdict == "" || rank(r.Verdict) < rank(own.Verdict) {
				*own = cell{r.Verdict, strings.ToLower(string(r.Verdict)), r.Reason, ""}
				if c.Report != "" {
					own.Link = c.Report + "#" + r.ID
				}
			}
			if at[r.ID].worst == "" || rank(r.Verdict) < rank(at[r.ID].worst) {
				at[r.ID].worst = r.Verdict
			}
		}
	}
	var out []part
	for _, kind := range kinds {
		p := part{Name: kind.name, Anchor: kind.anchor, Folded: kind.folded}
		for _, id := range order {
			if slices.Contains(kind.verdicts, at[id].worst) {
				p.Rows = append(p.Rows, *at[id])
			}
		}
		if len(p.Rows) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// rank returns the position of a verdict, worst first.
func rank(v reports.Verdict) int { return slices.Index(reports.Verdicts, v) }

// source returns the URL of the text that states a requirement, or "".
func source(r *reports.Result) string {
	for _, s := range r.Sources {
		if u, err := url.Parse(s.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			return s.URL
		}
	}
	return ""
}

type view struct {
	Policy  string
	Style   template.CSS
	Columns []summary
	Parts   []part
}

type summary struct {
	Name, Target, Report string
	Headline, Tone       string
	Counts               []count
}

type count struct {
	N       int
	Verdict reports.Verdict
	Class   string
}

// summarise makes the line of a target.
func summarise(c *Column) summary {
	run := c.Run.Run()
	outcome := run.Outcome()
	s := summary{Name: c.Name, Target: run.Target.URL, Report: c.Report, Headline: outcome.Headline, Tone: "open"}
	switch {
	case outcome.Colour == "red" || run.Unreachable != "":
		s.Tone = "fail"
	case outcome.Code == reports.ExitConformant:
		s.Tone = "pass"
	}
	counts := run.Requirements()
	for _, v := range reports.Verdicts {
		if counts[v] > 0 {
			s.Counts = append(s.Counts, count{counts[v], v, strings.ToLower(string(v))})
		}
	}
	return s
}

// Write writes the matrix as a page without network and scripts.
func Write(w io.Writer, columns []Column) error {
	sum := sha256.Sum256([]byte(style))
	v := view{Policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'",
		base64.StdEncoding.EncodeToString(sum[:])), Style: template.CSS(style), Parts: gather(columns)}
	for i := range columns {
		v.Columns = append(v.Columns, summarise(&columns[i]))
	}
	t, err := template.New("matrix").Funcs(template.FuncMap{"safe": reports.Printable}).Parse(page)
	if err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	_, err = io.WriteString(w, reports.Printable(b.String()))
	return err
}

// WriteMarkdown writes the matrix as a table of the requirements that do not pass at some target.
func WriteMarkdown(w io.Writer, columns []Column) error {
	var b strings.Builder
	b.WriteString("| requirement | title | level |")
	for _, c := range columns {
		b.WriteString(" " + markdown.Text(c.Name) + " |")
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, a := range gather(columns) {
		for _, r := range a.Rows {
			if !slices.ContainsFunc(r.Cells, func(c cell) bool {
				return slices.Contains([]reports.Verdict{reports.Fail, reports.Warn, reports.Inconclusive, reports.Errored, reports.Review,
					reports.Flaky, reports.Suppressed}, c.Verdict)
			}) {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s |", markdown.Text(r.ID), markdown.Text(r.Title), markdown.Text(r.Level))
			for _, c := range r.Cells {
				b.WriteString(" " + c.Short() + " |")
			}
			b.WriteString("\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	return nil
}
