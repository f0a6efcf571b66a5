package bundle

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// instructs matches reasons that already say what to supply.
var instructs = regexp.MustCompile(`(?i)(^|[ ;:,(])(declare|give|add|raise|lift|shorten|let (it|the)|run (this|fewer)|want) |` +
	`\(--?[a-z]|with --[a-z]|in the target file|\(target\.|\(client\.|\(scopes\.`)

// identifier matches the id of a failed requirement in a reason.
var identifier = regexp.MustCompile(`\b[A-Z]{2,}(-[A-Z0-9]+)+\b`)

// remedies are the remedies for reasons with a text.
var remedies = []struct{ text, do string }{
	{"prove", "Let the ordinary request succeed that is sent for comparison: fix the server, or put what it needs into the target file"},
	{"the time for this", "Raise --timeout, or certify a server that answers sooner"},
	{"no answer", "Certify again when the server answers"},
	{"HTTP 5", "Fix the server: a server error decides nothing"},
	{"this machine", "Certify on a machine that the server can reach, and that can reach the server"},
	{"cannot be registered", "Put a registered client into client.clients in the target file"},
	{"without TLS", "Serve it over https"},
}

// remedy says what to supply so that a requirement is decided; empty if the reason says it.
func remedy(r *reports.Result) string {
	if instructs.MatchString(r.Reason) {
		return ""
	}
	var first []string
	for _, id := range identifier.FindAllString(r.Reason, -1) {
		if _, known := requirements.Lookup(id); known && id != r.ID {
			first = append(first, id)
		}
	}
	if len(first) > 0 {
		return fmt.Sprintf(" Meet %s first.", strings.Join(first, " and "))
	}
	for _, m := range remedies {
		if strings.Contains(r.Reason, m.text) {
			return " " + m.do + "."
		}
	}
	return fmt.Sprintf(" Look at its exchanges (mcpauth run with --only %s and --report html=FILE), and remove the cause.", r.ID)
}
