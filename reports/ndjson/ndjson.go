// Package ndjson writes a run as lines of JSON, one event each, for tools that read streams: a line of type run, one of
// type result for each verdict, and one of type end.
package ndjson

import (
	"fmt"
	"io"

	"github.com/mcpauth/conformance/reports"
)

// Version is the version of the format.
const Version = 1

type begin struct {
	Type    string                   `json:"type"`
	Version int                      `json:"version"`
	Tool    reports.Tool             `json:"tool"`
	Target  reports.Target           `json:"target"`
	Started string                   `json:"started"`
	Spoken  []reports.RevisionStatus `json:"revisions"`
	Facts   []reports.Fact           `json:"discovered"`
}

type result struct {
	Type string `json:"type"`
	reports.Result
}

type end struct {
	Type        string                  `json:"type"`
	Outcome     reports.Outcome         `json:"outcome"`
	Counts      map[reports.Verdict]int `json:"counts"`
	Requests    int                     `json:"requests"`
	Duration    reports.Milliseconds    `json:"duration_ms"`
	Unreachable string                  `json:"unreachable,omitempty"`
	Interrupted bool                    `json:"interrupted,omitempty"`
	Doubt       string                  `json:"doubt,omitempty"`
}

// Write writes the events of a finished run, in the order of its results. The exchanges are in the JSON report.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := redacted.Run()
	events := []any{begin{"run", Version, run.Tool, run.Target, run.Started.UTC().Format("2006-01-02T15:04:05.000Z"), run.Revisions,
		run.Discovered}}
	for _, r := range run.Results {
		events = append(events, result{"result", r})
	}
	events = append(events, end{"end", run.Outcome(), run.Counts(), run.Requests, run.Duration, run.Unreachable, run.Interrupted, run.Doubt})
	for _, e := range events {
		if err := reports.WriteJSON(w, e, ""); err != nil {
			return fmt.Errorf("ndjson: %w", err)
		}
	}
	return nil
}
