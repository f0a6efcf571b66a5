// Package every writes a run in every format, for tests that look for something in all of them.
package every

import (
	"bytes"
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/badge"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/github"
	"github.com/mcpauth/conformance/reports/har"
	"github.com/mcpauth/conformance/reports/html"
	"github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/reports/junit"
	"github.com/mcpauth/conformance/reports/markdown"
	"github.com/mcpauth/conformance/reports/matrix"
	"github.com/mcpauth/conformance/reports/ndjson"
	"github.com/mcpauth/conformance/reports/sarif"
)

// Texts are all reports of a run by their names, and the transcripts of its exchanges.
func Texts(run reports.Redacted) (map[string]string, error) {
	out := map[string]string{}
	columns := []matrix.Column{{Name: "a", Run: run}, {Name: "b", Run: run}}
	for name, write := range map[string]func(io.Writer) error{
		"json": func(w io.Writer) error { return json.Write(w, run) }, "ndjson": func(w io.Writer) error { return ndjson.Write(w, run) },
		"html": func(w io.Writer) error { return html.Write(w, run) }, "markdown": func(w io.Writer) error { return markdown.Write(w, run) },
		"junit": func(w io.Writer) error { return junit.Write(w, run, junit.Options{Properties: true}) },
		"sarif": func(w io.Writer) error { return sarif.Write(w, run) }, "har": func(w io.Writer) error { return har.Write(w, run) },
		"github": func(w io.Writer) error { return github.Write(w, run) }, "badge": func(w io.Writer) error { return badge.Write(w, run) },
		"console": func(w io.Writer) error { return console.Write(w, run, console.Options{Verbose: true}) },
		"matrix":  func(w io.Writer) error { return matrix.Write(w, columns) }, "matrix in Markdown": func(w io.Writer) error { return matrix.WriteMarkdown(w, columns) },
		"transcripts": func(w io.Writer) error {
			for i := range run.Run().Exchanges {
				if _, err := io.WriteString(w, reports.Transcript(&run.Run().Exchanges[i])); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = b.String()
	}
	return out, nil
}
