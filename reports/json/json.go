// Package json writes and reads a run as JSON. Its schema is published by mcpauth schema report.
package json

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
)

// Version is the version of the format. It changes when a reader of the old format would misread the new.
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
	exchanges := reports.Long{Name: "exchanges", Elements: func(yield func(any) bool) {
		for i := range redacted.Run().Exchanges {
			if !yield(&redacted.Run().Exchanges[i]) {
				return
			}
		}
	}}
	run.Exchanges = []reports.Exchange{}
	if err := reports.WriteJSON(w, document{Version: Version, Run: &run, Outcome: &outcome, Counts: counts}, " ", exchanges); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return nil
}
