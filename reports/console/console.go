// Package console writes a run for a terminal or a CI log: what to fix, then what is undecided, then the result.
package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpauth/conformance/reports"
)

// Options change the output.
type Options struct {
	Colour  bool
	Verbose bool // passed checks too, and every finding
}

// width is the minimum width of a usual terminal, in characters.
const width = 80

const (
	mostFindings = 3  // of one requirement, before "and N more"
	mostIDs      = 6  // of one reason
	mostReasons  = 12 // of one verdict
)

var colours = map[reports.Verdict]string{
	reports.Pass: "32", reports.Fail: "31;1", reports.Warn: "33", reports.Errored: "35;1", reports.Inconclusive: "36",
	reports.NotApplicable: "2", reports.NotTested: "2", reports.Review: "34", reports.Suppressed: "2", reports.Flaky: "33",
}

// Write writes the findings, the most serious first, then what is undecided, then the summary.
func Write(w io.Writer, redacted reports.Redacted, opt Options) error {
	p := &printer{run: redacted.Run(), opt: opt}
	p.head()
	for _, v := range []reports.Verdict{reports.Errored, reports.Fail, reports.Warn, reports.Review, reports.Flaky} {
		for _, g := range p.run.Groups(v) {
			p.group(v, &g)
		}
	}
	p.reasons(reports.Inconclusive, "could not be decided")
	if opt.Verbose {
		p.reasons(reports.Suppressed, "are accepted by the baseline")
		p.reasons(reports.NotTested, "were not tested")
		p.reasons(reports.NotApplicable, "do not apply")
		p.passed()
	}
	p.summary()
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	run *reports.Run
	opt Options
	b   strings.Builder
}

func (p *printer) verdict(v reports.Verdict) string {
	if p.opt.Colour {
		return "\x1b[" + colours[v] + "m" + short(string(v)) + "\x1b[0m"
	}
	return short(string(v))
}

// short returns a word of a report, which may be untrusted.
func short(text string) string { return reports.OneLine(text, 200) }

// labelled writes a label in a separate column, with untrusted text beside it.
func (p *printer) labelled(label, text string, most int) {
	p.hanging(fmt.Sprintf("  %-10s", label), text, most)
}

// hanging writes untrusted text after an indent: escaped, wrapped at words, and never at the start of a line.
func (p *printer) hanging(indent, text string, most int) {
	for _, line := range wrap(reports.OneLine(text, most), width-len(indent)) {
		p.b.WriteString(indent + line + "\n")
		indent = strings.Repeat(" ", len(indent))
	}
}

// Fold writes a text, which may be untrusted, after an indent, on lines of at most 80 characters if its words allow that. The indent of
// further lines is deeper.
func Fold(w io.Writer, indent, text string) {
	const deeper = "  "
	for i, line := range wrap(text, width-len(indent+deeper)) {
		if i == 1 {
			indent += deeper
		}
		fmt.Fprintln(w, indent+line)
	}
}

// noBreak is a space without a line break.
const noBreak = "\u00a0"

// wrap breaks a text into lines of at most so many characters, at spaces if possible. It escapes text again that moves to the beginning of
// a line: a command may begin there.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most {
			lines = append(lines, reports.Printable(line))
			line = ""
		}
		if line != "" {
			word = line + " " + word
		}
		line = word
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, reports.Printable(line))
	}
	return lines
}

func (p *printer) head() {
	p.labelled("target", p.run.Target.URL, 300)
	for _, status := range []string{"spoken", "declared", "assumed"} {
		var named []string
		for _, r := range p.run.Revisions {
			if r.Status == status {
				named = append(named, fmt.Sprintf("%s (%s)", r.Revision, reports.WireWords(r.Wire)))
			}
		}
		if len(named) > 0 && p.run.Unreachable == "" {
			p.labelled("MCP", strings.Join(named, ", ")+map[string]string{"declared": ", as you declared", "assumed": ", assumed"}[status], 300)
		}
	}
	for _, f := range p.run.Discovered {
		p.labelled("found", f.Name+": "+f.Value, 300)
	}
}

// group writes one requirement.
func (p *printer) group(v reports.Verdict, g *reports.Group) {
	res := g.First()
	fmt.Fprintf(&p.b, "\n%s %s", p.verdict(v), short(res.ID))
	if g.Severity != "" {
		fmt.Fprintf(&p.b, " (%s)", short(string(g.Severity)))
	}
	p.b.WriteString("\n")
	p.labelled("", res.Title, 400)
	if res.Headline != "" {
		p.labelled("", res.Headline, 600)
	}
	p.labelled("", g.Scope(), 400)
	findings := g.Findings()
	if len(findings) == 0 && res.Reason != "" {
		p.labelled("reason", res.Reason, 600)
	}
	for i, f := range findings {
		if i == mostFindings && !p.opt.Verbose {
			fmt.Fprintf(&p.b, "  %-10sand %d more\n", "", len(findings)-i)
			break
		}
		p.finding(f)
	}
	if v == reports.Fail || v == reports.Warn {
		p.labelled("fix", res.Remediation, 1000)
	}
}

func (p *printer) finding(f reports.Finding) {
	said := p.run.Said(&f)
	if said.Sent != "" {
		p.labelled(said.First(), said.Sent, 300)
	}
	p.labelled(said.Then(), said.Came, 600)
	p.labelled("should be", said.Should, 600)
	if e, ok := p.run.Exchange(f.Exchange); ok {
		status := e.Error
		if e.Response != nil {
			status = fmt.Sprintf("%d", e.Response.Status)
		}
		p.labelled("exchange", fmt.Sprintf("#%d %s %s -> %s", e.Number, e.Request.Method, address(e.Request.URL), status), 200)
	}
}

// address returns a URL, without its query if that is too long for a line. The other reports have all of it.
func address(url string) string {
	const beside = 12 // the column of the text beside a label
	if place, _, query := strings.Cut(url, "?"); query && utf8.RuneCountInString(url) > width-beside {
		return place + "?…"
	}
	return url
}

// reasons writes the reasons of a verdict, each once.
func (p *printer) reasons(v reports.Verdict, what string) {
	reasons := p.run.Reasons(v)
	if len(reasons) == 0 {
		return
	}
	all := map[string]bool{}
	for _, r := range reasons {
		for _, id := range r.IDs {
			all[id] = true
		}
	}
	fmt.Fprintf(&p.b, "\n%s %s %s:\n", p.verdict(v), reports.Count(len(all), "requirement"), what)
	for i, r := range reasons {
		if i == mostReasons && !p.opt.Verbose {
			fmt.Fprintf(&p.b, "  and %s (--verbose shows them)\n", reports.Count(len(reasons)-i, "other reason"))
			break
		}
		ids := r.IDs
		if len(ids) > mostIDs && !p.opt.Verbose {
			ids = append(slices.Clone(ids[:mostIDs-1]), fmt.Sprintf("and %d more", len(ids)-mostIDs+1))
		}
		p.labelled(fmt.Sprintf("%d", len(r.IDs)), r.Text, 400)
		p.labelled("", strings.Join(ids, ", "), 4000)
	}
}

func (p *printer) passed() {
	fmt.Fprintf(&p.b, "\n%s:\n", p.verdict(reports.Pass))
	for _, g := range p.run.Groups(reports.Pass) {
		p.labelled("", g.First().ID+": "+g.First().Title, 400)
	}
}

// mostFirst is the number of requirements to fix first.
const mostFirst = 5

// first names what to fix first.
func (p *printer) first() {
	groups := p.run.ToFix()
	if len(groups) < 2 { // one is still on the screen
		return
	}
	p.b.WriteString("\nFix first:\n")
	for i, g := range groups[:min(len(groups), mostFirst)] {
		text := g.First().ID + ": " + g.First().Title
		if doubt := g.Doubt(); doubt != "" {
			text += " (" + doubt + ")"
		}
		p.hanging(fmt.Sprintf("  %d. ", i+1), text, 400)
	}
	p.b.WriteString("\n")
}

// Conclusion returns the last line of the output.
func Conclusion(o reports.Outcome) string {
	if o.Code == reports.ExitConformant {
		return reports.OneLine(o.Headline, 1000)
	}
	return fmt.Sprintf("%s (exit %d)", reports.OneLine(o.Headline, 1000), o.Code)
}

func (p *printer) summary() {
	p.b.WriteString("\n")
	for _, s := range p.run.Stale {
		p.labelled("baseline", s, 400)
	}
	if len(p.run.Results) > 0 {
		counts := p.run.Requirements()
		var parts []string
		for _, v := range reports.Verdicts {
			if n := counts[v]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, v))
			}
		}
		line := fmt.Sprintf("%s; %s in %.1f"+noBreak+"s", strings.Join(parts, ", "), reports.Count(int(p.run.Requests), "request"),
			float64(p.run.Duration)/1000)
		for _, l := range wrap(line+p.run.Unchecked("; %d requirements of the catalogue have no check yet"), width) {
			p.b.WriteString(strings.ReplaceAll(l, noBreak, " ") + "\n")
		}
	}
	p.first()
	if advice := p.run.Advice(); advice != "" {
		Fold(&p.b, "", "Not everything is tested: "+advice)
	}
	Fold(&p.b, "", Conclusion(p.run.Outcome()))
}
