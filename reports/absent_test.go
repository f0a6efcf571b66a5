package reports_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/console"
	reporthtml "github.com/mcpauth/conformance/reports/html"
	"github.com/mcpauth/conformance/reports/markdown"
)

// If one cause makes several requirements inapplicable, each report for people has one line for all of them.
func TestOneCauseIsOneLine(t *testing.T) {
	const cause, other = "no server publishes it", "it is on loopback"
	run := sample("x")
	run.Results = run.Results[:1]
	for i := range 300 {
		run.Results = append(run.Results, reports.Result{
			ID: fmt.Sprintf("AS-ABSENT-%d", i), Title: "Sample", Area: "pkce", Level: "MUST", Verdict: reports.NotApplicable, Reason: cause,
		})
	}
	run.Results = append(run.Results, reports.Result{
		ID: "RS-ABSENT", Title: "Sample", Area: "transport", Level: "MUST", Verdict: reports.NotApplicable, Reason: other,
	})
	redacted := reports.Redact(run, &reports.Secrets{})
	for name, c := range map[string]struct {
		write func(b *bytes.Buffer) error
		line  string // of the cause, with the number of requirements
	}{
		"console":  {func(b *bytes.Buffer) error { return console.Write(b, redacted, console.Options{Verbose: true}) }, "  300       " + cause},
		"HTML":     {func(b *bytes.Buffer) error { return reporthtml.Write(b, redacted) }, cause + ` <span class="soft">· 300</span>`},
		"Markdown": {func(b *bytes.Buffer) error { return markdown.Write(b, redacted) }, "- 300 requirements: " + cause},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, c.write(&b))
			assert.Equal(t, 1, strings.Count(b.String(), cause), "the cause is not written exactly once")
			assert.Contains(t, b.String(), c.line)
			assert.Equal(t, 1, strings.Count(b.String(), other), "another cause does not have exactly one line")
		})
	}
}
