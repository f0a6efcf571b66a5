// Package github writes findings as GitHub workflow commands, which show as annotations of a job.
package github

import (
	"fmt"
	"io"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// most is the number of annotations of a kind that GitHub keeps for a step.
const most = 10

// Write writes an annotation for each failure, tool error and undecided MUST (errors) and each warning (warnings). If there are more than
// GitHub keeps, the last one says how many are omitted.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := redacted.Run()
	var failed, warned []string
	for _, s := range run.Stale {
		failed = append(failed, command("error", "Baseline", s))
	}
	if run.Unreachable != "" {
		failed = append(failed, command("error", "The target could not be tested", run.Unreachable))
	}
	if run.Doubt != "" {
		failed = append(failed, command("error", "No verdict can be trusted", run.Doubt))
	}
	for _, verdict := range reports.Verdicts {
		for i := range run.Results {
			r := &run.Results[i]
			if r.Verdict != verdict {
				continue
			}
			switch {
			case verdict == reports.Errored, verdict == reports.Fail, verdict == reports.Inconclusive && r.Level == "MUST":
				failed = append(failed, result("error", run, r))
			case verdict == reports.Warn, verdict == reports.Inconclusive:
				warned = append(warned, result("warning", run, r))
			}
		}
	}
	if outcome := run.Outcome(); outcome.Code != reports.ExitConformant && len(failed) == 0 {
		failed = append(failed, command("error", "MCP authorization", outcome.Headline))
	}
	var b strings.Builder
	b.WriteString(bounded("error", failed))
	b.WriteString(bounded("warning", warned))
	_, err := io.WriteString(w, b.String())
	return err
}

func bounded(kind string, lines []string) string {
	if left := len(lines) - most + 1; left > 1 {
		lines = append(lines[:most-1:most-1], command(kind, "MCP authorization", fmt.Sprintf("%d more in the other reports", left)))
	}
	return strings.Join(lines, "")
}

func result(kind string, run *reports.Run, r *reports.Result) string {
	title := r.ID + " " + string(r.Verdict)
	if r.Wire != "" {
		title += " (" + r.Wire + ")"
	}
	said := r.Reason
	if len(r.Findings) > 0 {
		said = run.Said(&r.Findings[0]).String()
	}
	return command(kind, title, r.Title+": "+said)
}

// command returns one workflow command on one line, whatever text the target has sent.
func command(kind, title, message string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	return fmt.Sprintf("::%s title=%s::%s\n", kind, property.Replace(reports.OneLine(title, 200)),
		data.Replace(reports.OneLine(message, 1000)))
}
