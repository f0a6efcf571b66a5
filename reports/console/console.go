// Package console writes a run for people at a terminal or in a CI log.
package console

import (
	"fmt"
	"io"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// Options change what is shown.
type Options struct {
	Colour  bool
	Verbose bool // passed checks too, and every reason
}

var colours = map[reports.Verdict]string{
	reports.Pass: "32", reports.Fail: "31;1", reports.Warn: "33", reports.Errored: "35;1", reports.Inconclusive: "36",
	reports.NotApplicable: "2", reports.NotTested: "2", reports.Review: "34", reports.Suppressed: "2", reports.Flaky: "33",
}

// Write writes the verdicts that need attention, then the summary.
func Write(w io.Writer, redacted reports.Redacted, opt Options) error {
	p := &printer{run: redacted.Run(), opt: opt}
	p.head()
	for _, v := range reports.Verdicts {
		switch v {
		case reports.Pass, reports.NotApplicable, reports.NotTested:
			if !opt.Verbose {
				continue
			}
		}
		for i := range p.run.Results {
			if p.run.Results[i].Verdict == v {
				p.result(&p.run.Results[i])
			}
		}
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

// foreign writes text that may come from the target: escaped, and never at the start of a line.
func (p *printer) foreign(prefix, text string) { p.b.WriteString(reports.Prefixed(prefix, text)) }

// short is a word of a report, which somebody else may have written.
func short(text string) string { return reports.OneLine(text, 200) }

func (p *printer) head() {
	fmt.Fprintf(&p.b, "target    %s (tier %s)\n", reports.OneLine(p.run.Target.URL, 300), short(p.run.Target.Tier))
	for _, r := range p.run.Revisions {
		fmt.Fprintf(&p.b, "revision  %s %-9s %s: %s\n", short(r.Revision), short(r.Wire), short(r.Status), short(r.Why))
	}
	for _, f := range p.run.Discovered {
		fmt.Fprintf(&p.b, "found     %s: %s\n", short(f.Name), short(f.Value))
	}
}

func (p *printer) result(res *reports.Result) {
	wire := res.Wire
	if wire != "" {
		wire = " " + wire
	}
	fmt.Fprintf(&p.b, "\n%s %s%s (%s; %s)\n  %s\n", p.verdict(res.Verdict), short(res.ID), short(wire), short(res.Level), short(strings.Join(res.Revisions, ", ")), reports.OneLine(res.Title, 400))
	if len(res.Findings) == 0 && res.Reason != "" {
		p.foreign("  ", res.Reason)
	}
	for i, f := range res.Findings {
		if i == 5 && !p.opt.Verbose {
			fmt.Fprintf(&p.b, "  … and %d more of the kind\n", len(res.Findings)-i)
			break
		}
		p.finding(f)
	}
	if res.Verdict == reports.Fail || res.Verdict == reports.Warn {
		p.foreign("  mend: ", res.Remediation)
	}
}

// Conclusion is the last line of what people see.
func Conclusion(o reports.Outcome) string {
	if o.Code == reports.ExitConformant {
		return reports.OneLine(o.Headline, 1000)
	}
	return fmt.Sprintf("%s (exit %d)", reports.OneLine(o.Headline, 1000), o.Code)
}

func (p *printer) finding(f reports.Finding) {
	p.foreign("  expected: ", f.Expected)
	p.foreign("  observed: ", reports.OneLine(f.Observed, 600))
	if f.About != "" {
		p.foreign("  with:     ", reports.OneLine(f.About, 300))
	}
	if e, ok := p.run.Exchange(f.Exchange); ok {
		status := e.Error
		if e.Response != nil {
			status = fmt.Sprintf("%d", e.Response.Status)
		}
		fmt.Fprintf(&p.b, "  exchange: #%d %s %s -> %s\n", e.Number, reports.OneLine(e.Request.Method, 20), reports.OneLine(e.Request.URL, 200), reports.OneLine(status, 200))
	}
}

func (p *printer) summary() {
	p.b.WriteString("\n")
	for _, s := range p.run.Stale {
		p.foreign("The baseline no longer holds: ", s)
	}
	if p.run.Unreachable != "" {
		p.foreign("The target could not be tested: ", p.run.Unreachable)
	}
	if p.run.Doubt != "" {
		p.foreign("No verdict can be trusted: ", p.run.Doubt)
	}
	if p.run.Interrupted {
		p.b.WriteString("The run was interrupted; what is not listed was not judged.\n")
	}
	counts := p.run.Counts()
	var parts []string
	for _, v := range reports.Verdicts {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.verdict(v)))
		}
	}
	fmt.Fprintf(&p.b, "%s — %d requests in %.0f ms%s\n",
		strings.Join(parts, ", "), p.run.Requests, float64(p.run.Duration), p.run.Unchecked("; %d requirements of the catalogue have no check yet"))
	p.causes()
	p.b.WriteString(Conclusion(p.run.Outcome()) + "\n")
}

// leastOfCause is how many results have one cause before it has a line of its own.
const leastOfCause = 10

// causes says once what many results have in common that were not tested or do not apply.
func (p *printer) causes() {
	for _, v := range []reports.Verdict{reports.NotTested, reports.NotApplicable} {
		for _, c := range p.run.Causes(v) {
			if c.Count >= leastOfCause {
				p.foreign(fmt.Sprintf("  %d %s: ", c.Count, short(string(v))), reports.OneLine(c.Reason, 300))
			}
		}
	}
}
