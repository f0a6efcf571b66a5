// Package json writes and reads a run as JSON. Its schema is published by mcpauth schema report.
package json

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
)

// Version is the version of the format. It changes when an old reader would misread the new format.
const Version = 1

// Schema is the JSON Schema (draft 2020-12) of the format.
//
//go:embed schema.json
var Schema []byte

type document struct {
	Version int `json:"version"`
	*reports.Run
	Outcome *reports.Outcome        `json:"outcome,omitempty"`
	Counts  map[reports.Verdict]int `json:"counts"`
}

// Write writes the run as indented JSON.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := *redacted.Run()
	outcome, counts := run.Outcome(), run.Counts()
	results, exchanges := long("results", run.Results), long("exchanges", run.Exchanges)
	run.Results, run.Exchanges = []reports.Result{}, []reports.Exchange{}
	whole := document{Version: Version, Run: &run, Outcome: &outcome, Counts: counts}
	if err := reports.WriteJSON(w, whole, " ", results, exchanges); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return nil
}

// long returns a member that is written element by element.
func long[E any](name string, elements []E) reports.Long {
	return reports.Long{Name: name, Elements: func(yield func(any) bool) {
		for i := range elements {
			if !yield(&elements[i]) {
				return
			}
		}
	}}
}
