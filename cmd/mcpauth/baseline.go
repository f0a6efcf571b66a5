package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// baselineSchema is the JSON Schema of a baseline.
//
//go:embed baseline.schema.json
var baselineSchema []byte

// baselineFile lists findings that their owner has accepted.
type baselineFile struct {
	Version  int             `yaml:"version"`
	Accepted []baselineEntry `yaml:"accepted"`
}

type baselineEntry struct {
	ID      string `yaml:"id"`
	Reason  string `yaml:"reason"`
	Issue   string `yaml:"issue,omitempty"`
	Expires string `yaml:"expires,omitempty"`
}

// readBaseline reads a baseline; a draft may lack reasons. The error names every mistake with file, line and column.
func readBaseline(path string, draft bool) ([]reports.Accepted, error) {
	r := &strict.Reader{Path: path}
	var f baselineFile
	root, err := r.Decode(&f)
	if err != nil {
		return nil, err
	}
	if f.Version != 1 {
		r.Add(root, "version %d: want version: 1", f.Version)
	}
	var out []reports.Accepted
	seen := map[string]bool{}
	for i, e := range f.Accepted {
		n := strict.Child(root, "accepted", i)
		if seen[e.ID] {
			r.Add(n, "%s is accepted twice", e.ID)
		}
		seen[e.ID] = true
		out = append(out, e.read(r, n, draft))
	}
	return out, r.Err()
}

// read validates a single entry.
func (e *baselineEntry) read(r *strict.Reader, n *yaml.Node, draft bool) reports.Accepted {
	if _, ok := requirements.Lookup(e.ID); !ok {
		r.Add(n, "%q is not a requirement; mcpauth list shows them all", e.ID)
	}
	if e.Reason == "" && !draft {
		r.Add(n, "%s: say the reason for which it is accepted", e.ID)
	}
	a := reports.Accepted{ID: e.ID, Reason: e.Reason, Issue: e.Issue, Where: fmt.Sprintf("%s:%d", r.Path, n.Line)}
	if e.Expires != "" {
		var err error
		if a.Expires, err = time.Parse(time.DateOnly, e.Expires); err != nil {
			r.Add(n, "%s: expires %q: want a day such as 2027-01-31", e.ID, e.Expires)
		}
	}
	return a
}

// writeBaseline writes the findings of a run as a baseline. Entries of the old one stay if the run did not judge them, and their reasons
// stay if it did. People must write the reasons of new entries: until then, the file is rejected.
func writeBaseline(path string, old []reports.Accepted, run *reports.Run) error {
	f := baselineFile{Version: 1}
	judged, found := judgedAndFound(run)
	for _, a := range old {
		if judged[a.ID] && !found[a.ID] {
			continue
		}
		delete(found, a.ID)
		f.Accepted = append(f.Accepted, entryOf(a))
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		f.Accepted = append(f.Accepted, baselineEntry{ID: id})
	}
	var n yaml.Node
	if err := n.Encode(f); err != nil {
		return err
	}
	explain(&n, run)
	b, err := yaml.Marshal(&n)
	if err != nil {
		return err
	}
	return replace(path, b)
}

func entryOf(a reports.Accepted) baselineEntry {
	e := baselineEntry{ID: a.ID, Reason: a.Reason, Issue: a.Issue}
	if !a.Expires.IsZero() {
		e.Expires = a.Expires.Format(time.DateOnly)
	}
	return e
}

// judgedAndFound returns the requirements that a run judged, and those of them with findings.
func judgedAndFound(run *reports.Run) (judged, found map[string]bool) {
	judged, found = map[string]bool{}, map[string]bool{}
	for i := range run.Results {
		r := &run.Results[i]
		judged[r.ID] = true
		switch r.Verdict {
		case reports.Fail, reports.Warn, reports.Suppressed:
			found[r.ID] = true
		}
	}
	return judged, found
}

// explain writes above each entry what is accepted: title, level and what was observed.
func explain(file *yaml.Node, run *reports.Run) {
	says := map[string]string{}
	for i := range run.Results {
		r := &run.Results[i]
		if len(r.Findings) == 0 || says[r.ID] != "" {
			continue
		}
		says[r.ID] = fmt.Sprintf("%s (%s): %s", r.Title, r.Level, reports.OneLine(r.Findings[0].Observed, 200))
	}
	for i := 0; i+1 < len(file.Content); i += 2 {
		if file.Content[i].Value != "accepted" {
			continue
		}
		for _, entry := range file.Content[i+1].Content {
			for k := 0; k+1 < len(entry.Content); k += 2 {
				if entry.Content[k].Value == "id" {
					entry.HeadComment = reports.OneLine(says[entry.Content[k+1].Value], 400)
				}
			}
		}
	}
}
