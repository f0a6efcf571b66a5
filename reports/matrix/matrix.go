// Package matrix writes several runs side by side: a column for each target, a row for each requirement.
package matrix

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
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
}

type row struct {
	ID, Title, Level, Area string
	Cells                  []cell
}

type cell struct {
	Verdict reports.Verdict
	Class   string
	Reason  string
}

type area struct {
	Name string
	Rows []row
}

// short are the verdicts as they stand in a cell.
var short = map[reports.Verdict]string{reports.Pass: "pass", reports.Fail: "FAIL", reports.Warn: "warn", reports.NotApplicable: "n/a", reports.NotTested: "–", reports.Inconclusive: "?", reports.Errored: "ERROR", reports.Suppressed: "accepted", reports.Review: "review", reports.Flaky: "flaky"}

// Short is the verdict as it stands in the cell; empty where the run did not judge the requirement.
func (c cell) Short() string { return short[c.Verdict] }

// gather makes the rows, by area, in the order of the runs. Of several verdicts on a requirement the gravest counts.
func gather(columns []Column) []area {
	at := map[string]*row{}
	var order []string
	for i, c := range columns {
		for k := range c.Run.Run().Results {
			r := &c.Run.Run().Results[k]
			if at[r.ID] == nil {
				at[r.ID] = &row{ID: r.ID, Title: r.Title, Level: r.Level, Area: r.Area, Cells: make([]cell, len(columns))}
				order = append(order, r.ID)
			}
			own := &at[r.ID].Cells[i]
			if own.Verdict == "" || slices.Index(reports.Verdicts, r.Verdict) < slices.Index(reports.Verdicts, own.Verdict) {
				*own = cell{r.Verdict, strings.ToLower(string(r.Verdict)), r.Reason}
			}
		}
	}
	var out []area
	for _, id := range order {
		r := at[id]
		i := slices.IndexFunc(out, func(a area) bool { return a.Name == r.Area })
		if i < 0 {
			out = append(out, area{Name: r.Area})
			i = len(out) - 1
		}
		out[i].Rows = append(out[i].Rows, *r)
	}
	return out
}

type view struct {
	Policy  string
	Style   template.CSS
	Columns []summary
	Areas   []area
}

type summary struct {
	Name, Target string
	Counts       map[reports.Verdict]int
	Unreachable  string
}

// Write writes the matrix as a page that needs no network and no scripts.
func Write(w io.Writer, columns []Column) error {
	sum := sha256.Sum256([]byte(style))
	v := view{Policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(sum[:])), Style: template.CSS(style), Areas: gather(columns)}
	for _, c := range columns {
		run := c.Run.Run()
		v.Columns = append(v.Columns, summary{c.Name, run.Target.URL, run.Counts(), run.Unreachable})
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

// WriteMarkdown writes the matrix as a table: the requirements on which the targets differ from passing.
func WriteMarkdown(w io.Writer, columns []Column) error {
	var b strings.Builder
	b.WriteString("| requirement | level |")
	for _, c := range columns {
		b.WriteString(" " + markdown.Text(c.Name) + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, a := range gather(columns) {
		for _, r := range a.Rows {
			if !slices.ContainsFunc(r.Cells, func(c cell) bool {
				return slices.Contains([]reports.Verdict{reports.Fail, reports.Warn, reports.Inconclusive, reports.Errored, reports.Review, reports.Flaky, reports.Suppressed}, c.Verdict)
			}) {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", markdown.Text(r.ID), markdown.Text(r.Level))
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
