// Package markdown writes a run as a summary in GitHub's Markdown, short enough for a job summary.
package markdown

import (
	"fmt"
	"io"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// most bounds the summary, in bytes: half of what GitHub shows for a step.
const most = 512 << 10

// mostFindings bounds the findings with details.
const mostFindings = 60

// Write writes the summary.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := redacted.Run()
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", Text(run.Outcome().Headline))
	fmt.Fprintf(&b, "## MCP authorization: %s\n\n", code(run.Target.URL))
	fixes(&b, run)
	if run.Unreachable != "" {
		fmt.Fprintf(&b, "The target could not be tested: %s\n\n", Text(run.Unreachable))
	}
	if run.Doubt != "" {
		fmt.Fprintf(&b, "No verdict can be trusted: %s\n\n", Text(run.Doubt))
	}
	for _, s := range run.Stale {
		fmt.Fprintf(&b, "The baseline no longer holds: %s\n\n", Text(s))
	}
	counts := run.Requirements()
	writeCounts(&b, counts)
	fmt.Fprintf(&b, "%s, with %s.%s\n\n", Text(run.Target.Depth()), reports.Count(int(run.Requests), "request"),
		run.Unchecked(" %d requirements have no check yet."))
	left := mostFindings
	for _, v := range []reports.Verdict{reports.Errored, reports.Fail, reports.Inconclusive, reports.Warn, reports.Review} {
		if counts[v] > 0 {
			left = writeGroups(&b, run, v, counts[v], left)
		}
	}
	absent(&b, run.Reasons(reports.NotApplicable), counts[reports.NotApplicable])
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCounts writes the table of verdicts.
func writeCounts(b *strings.Builder, counts map[reports.Verdict]int) {
	var head, line, row []string
	for _, v := range reports.Verdicts {
		if counts[v] > 0 {
			head, line, row = append(head, string(v)), append(line, "---:"), append(row, fmt.Sprint(counts[v]))
		}
	}
	if len(head) > 0 {
		fmt.Fprintf(b, "| %s |\n| %s |\n| %s |\n\n", strings.Join(head, " | "), strings.Join(line, " | "), strings.Join(row, " | "))
	}
}

// writeGroups writes the requirements with a verdict, as far as there is room, and returns how many findings may follow.
func writeGroups(b *strings.Builder, run *reports.Run, v reports.Verdict, n, left int) int {
	fmt.Fprintf(b, "<details%s><summary>%d %s</summary>\n\n", map[bool]string{true: " open"}[v == reports.Fail || v == reports.Errored], n, v)
	for _, g := range run.Groups(v) {
		if left--; left < 0 || b.Len() > most {
			fmt.Fprint(b, "- and more, in the other reports\n")
			break
		}
		finding(b, run, &g)
	}
	b.WriteString("\n</details>\n\n")
	return left
}

// absent writes what does not apply, one line for each reason: one cause can make hundreds of requirements inapplicable.
func absent(b *strings.Builder, reasons []reports.Reason, n int) {
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintf(b, "<details><summary>%d %s</summary>\n\n", n, reports.NotApplicable)
	for i, r := range reasons {
		if i == mostFindings || b.Len() > most {
			fmt.Fprintf(b, "- and %s, in the other reports\n", reports.Count(len(reasons)-i, "other reason"))
			break
		}
		fmt.Fprintf(b, "- %s: %s\n", reports.Count(len(r.IDs), "requirement"), Text(cut(r.Text)))
	}
	b.WriteString("\n</details>\n\n")
}

// mostFixes is the number of fixes at the top of the summary.
const mostFixes = 5

// fixes writes what to fix first, with the consequence, and how to fix it.
func fixes(b *strings.Builder, run *reports.Run) {
	groups := run.ToFix()
	if len(groups) == 0 {
		return
	}
	b.WriteString("Fix first:\n\n")
	for i, g := range groups[:min(len(groups), mostFixes)] {
		r := g.First()
		named := r.ID
		if g.Severity != "" {
			named += ", severity " + string(g.Severity)
		}
		if doubt := g.Doubt(); doubt != "" {
			named += ", " + doubt
		}
		fmt.Fprintf(b, "%d. **%s** (%s)", i+1, Text(r.Title), Text(named))
		for _, more := range []string{g.Why, r.Remediation} {
			if more != "" {
				fmt.Fprintf(b, " %s", Text(strings.TrimSuffix(cut(more), ".")+"."))
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func finding(b *strings.Builder, run *reports.Run, g *reports.Group) {
	r := g.First()
	fmt.Fprintf(b, "- **%s** (%s) %s", Text(r.ID), Text(g.Scope()), Text(r.Title))
	findings := g.Findings()
	if len(findings) == 0 {
		fmt.Fprintf(b, ": %s\n", Text(cut(r.Reason)))
		return
	}
	b.WriteString("\n")
	for i, f := range findings {
		if i == 3 {
			fmt.Fprintf(b, "  - and %d more\n", len(findings)-i)
			return
		}
		said, sent := run.Said(&f), ""
		if said.Sent != "" {
			sent = said.First() + ": " + Text(cut(said.Sent)) + "; "
		}
		fmt.Fprintf(b, "  - %s%s: %s; should be: %s\n", sent, said.Then(), code(cut(said.Came)), Text(cut(said.Should)))
	}
}

func cut(s string) string { return reports.OneLine(s, 300) }

// Text escapes everything that Markdown or HTML could interpret, mentions and autolinks too.
func Text(s string) string {
	var b strings.Builder
	for _, r := range reports.OneLine(s, 2000) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]()#+!|~$^", r):
			b.WriteString("\\" + string(r))
		case r == '@':
			b.WriteString("@\u200b")
		case r == ':':
			b.WriteString("&#58;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code returns a code span that its content cannot end.
func code(s string) string {
	s = reports.OneLine(s, 2000)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + " " + strings.ReplaceAll(s, "|", "¦") + " " + fence
}
