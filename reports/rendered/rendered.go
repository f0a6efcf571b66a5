// Package rendered writes all reports of a run, for tests that search all output.
package rendered

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/formats"
	"github.com/mcpauth/conformance/reports/matrix"
)

// Texts returns all reports of a run by name, the matrices, and the transcripts of its exchanges.
func Texts(run reports.Redacted) (map[string]string, error) {
	columns := []matrix.Column{{Name: "a", Run: run}, {Name: "b", Run: run}}
	writers := map[string]func(io.Writer) error{
		"matrix":             func(w io.Writer) error { return matrix.Write(w, columns) },
		"matrix in Markdown": func(w io.Writer) error { return matrix.WriteMarkdown(w, columns) },
		"transcripts":        func(w io.Writer) error { return transcripts(w, run.Run()) },
	}
	for _, name := range formats.List() {
		f, _ := formats.Named(name)
		writers[name] = func(w io.Writer) error { return f.Write(w, run, formats.Options{Verbose: true}) }
	}
	out := map[string]string{}
	for name, write := range writers {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = b.String()
	}
	return out, nil
}

func transcripts(w io.Writer, run *reports.Run) error {
	var b strings.Builder
	for i := range run.Exchanges {
		b.WriteString(reports.Transcript(&run.Exchanges[i]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
