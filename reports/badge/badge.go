// Package badge writes the state of a run for a badge, as the endpoint of shields.io reads it.
package badge

import (
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
)

// Write writes label, message and colour. The message never claims more than the verdicts do: green takes a run
// without a finding at or above the threshold and without an undecided MUST, of which something was passed.
func Write(w io.Writer, redacted reports.Redacted, on reports.FailOn) error {
	run := redacted.Run()
	n := run.Counts()
	message, colour := fmt.Sprintf("%d passed", n[reports.Pass]), "brightgreen"
	switch code := run.ExitCode(on); {
	case code == reports.ExitFindings && n[reports.Fail] > 0:
		message, colour = fmt.Sprintf("%d failed", n[reports.Fail]), "red"
	case code == reports.ExitFindings:
		message, colour = warnings(n[reports.Warn]), "red"
	case code != reports.ExitConformant, n[reports.Pass] == 0:
		message, colour = "undecided", "lightgrey"
	case n[reports.Warn] > 0:
		message, colour = fmt.Sprintf("%d passed, %s", n[reports.Pass], warnings(n[reports.Warn])), "yellow"
	}
	return reports.WriteJSON(w, map[string]any{"schemaVersion": 1, "label": "MCP authorization", "message": message, "color": colour}, "")
}

func warnings(n int) string {
	if n == 1 {
		return "1 warning"
	}
	return fmt.Sprintf("%d warnings", n)
}
