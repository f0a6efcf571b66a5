// Package formats is the registry of the forms in which a run can be written.
package formats

import (
	"io"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/badge"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/github"
	"github.com/mcpauth/conformance/reports/har"
	"github.com/mcpauth/conformance/reports/html"
	"github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/reports/junit"
	"github.com/mcpauth/conformance/reports/markdown"
	"github.com/mcpauth/conformance/reports/ndjson"
	"github.com/mcpauth/conformance/reports/sarif"
)

// Options are the choices that formats offer; each follows those that concern it.
type Options struct {
	Strict  bool           // warnings are failures
	Verbose bool           // every verdict is shown
	Past    []reports.Past // earlier runs against the target, oldest first
}

// Format is a form in which a run can be written.
type Format struct {
	Name  string
	Write func(w io.Writer, run reports.Redacted, o Options) error
}

var all = []Format{
	{"html", func(w io.Writer, run reports.Redacted, o Options) error { return html.WriteTrend(w, run, o.Past) }},
	{"markdown", plain(markdown.Write)},
	{"junit", func(w io.Writer, run reports.Redacted, o Options) error {
		return junit.Write(w, run, junit.Options{Strict: o.Strict, Properties: true})
	}},
	{"json", plain(json.Write)},
	{"ndjson", plain(ndjson.Write)},
	{"sarif", plain(sarif.Write)},
	{"har", plain(har.Write)},
	{"github", plain(github.Write)},
	{"badge", plain(badge.Write)},
	{"console", func(w io.Writer, run reports.Redacted, o Options) error {
		return console.Write(w, run, console.Options{Verbose: o.Verbose})
	}},
}

// plain returns the writer of a format that offers no choice.
func plain(write func(io.Writer, reports.Redacted) error) func(io.Writer, reports.Redacted, Options) error {
	return func(w io.Writer, run reports.Redacted, _ Options) error { return write(w, run) }
}

// Named returns the format with a name.
func Named(name string) (Format, bool) {
	for _, f := range all {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// List returns the names of the formats.
func List() []string {
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Name
	}
	return names
}

// Names lists the formats for people: "a, b and c".
func Names() string {
	names := List()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
