// Package formats is the registry of report formats.
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

// Options are options of formats; each format uses some of them.
type Options struct {
	Strict  bool           // warnings are failures
	Verbose bool           // show every verdict
	Past    []reports.Past // earlier runs against the target, oldest first
}

// Format is a report format.
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

// plain returns the writer of a format without options.
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
