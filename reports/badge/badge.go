// Package badge writes the outcome of a run for a badge, in the format of the shields.io endpoint.
package badge

import (
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
)

// Write writes label, message and colour. The colour is that of the outcome, so that it agrees with the exit code.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := redacted.Run()
	n, outcome := run.Counts(), run.Outcome()
	message := fmt.Sprintf("%d passed", n[reports.Pass])
	switch {
	case outcome.Code == reports.ExitFindings && n[reports.Fail] == 0:
		message = reports.Count(n[reports.Warn], "warning")
	case outcome.Code == reports.ExitFindings, outcome.Kind == reports.Tolerated:
		message = fmt.Sprintf("%d failed", n[reports.Fail])
	case outcome.Code != reports.ExitConformant:
		message = "undecided"
	case n[reports.Warn] > 0:
		message = fmt.Sprintf("%d passed, %s", n[reports.Pass], reports.Count(n[reports.Warn], "warning"))
	case outcome.Kind == reports.PassedTested:
		message = fmt.Sprintf("%d passed, %d not tested", n[reports.Pass], n[reports.NotTested])
	}
	return reports.WriteJSON(w, map[string]any{"schemaVersion": 1, "label": "MCP authorization", "message": message, "color": outcome.Colour},
		"")
}
