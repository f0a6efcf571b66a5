package main

import (
	"cmp"
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
	Verdict string `yaml:"verdict,omitempty"`
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
	type kind struct {
		id        string
		undecided bool
	}
	seen := map[kind]bool{}
	for i, e := range f.Accepted {
		n := strict.Child(root, "accepted", i)
		this := kind{e.ID, e.Verdict == string(reports.Inconclusive)}
		if seen[this] {
			r.Add(n, "%s is accepted twice", e.ID)
		}
		seen[this] = true
		out = append(out, e.read(r, n, draft))
	}
	return out, r.Err()
}

// read validates a single entry.
func (e *baselineEntry) read(r *strict.Reader, n *yaml.Node, draft bool) reports.Accepted {
	if _, ok := requirements.Lookup(e.ID); !ok {
		r.Add(n, "%q is not a requirement; mcpauth list --wide shows them all", e.ID)
	}
	if e.Reason == "" && !draft {
		r.Add(n, "%s: say the reason for which it is accepted", e.ID)
	}
	a := reports.Accepted{ID: e.ID, Verdict: reports.Verdict(e.Verdict), Reason: e.Reason, Issue: e.Issue,
		Where: fmt.Sprintf("%s:%d", r.Path, n.Line)}
	if !slices.Contains([]reports.Verdict{"", reports.Fail, reports.Warn, reports.Inconclusive}, a.Verdict) {
		r.Add(n, "%s: verdict %q: want FAIL, WARN or INCONCLUSIVE", e.ID, e.Verdict)
	}
	if e.Expires != "" {
		var err error
		if a.Expires, err = time.Parse(time.DateOnly, e.Expires); err != nil {
			r.Add(n, "%s: expires %q: want a day such as 2027-01-31", e.ID, e.Expires)
		}
	}
	return a
}

// writeBaseline writes the findings of a run as a baseline. Entries of the old one stay, with their reasons, unless the run decided that
// there is no such finding, or found a graver one. People must write the reasons of new entries: until then, the file is rejected.
func writeBaseline(path string, old []reports.Accepted, run *reports.Run) error {
	f := baselineFile{Version: 1}
	decided, found := decidedAndFound(run)
	open := left(run)
	for _, a := range old {
		verdict, accepted := found[a.ID]
		undecided := a.Verdict == reports.Inconclusive
		if decided[a.ID] && !accepted || verdict == reports.Fail && a.Verdict == reports.Warn || undecided && verdict != "" && !open[a.ID] {
			continue
		}
		if !undecided || verdict == "" {
			delete(found, a.ID)
		}
		f.Accepted = append(f.Accepted, entryOf(a))
	}
	maps.DeleteFunc(found, func(_ string, v reports.Verdict) bool { return v == "" })
	for _, id := range slices.Sorted(maps.Keys(found)) {
		f.Accepted = append(f.Accepted, baselineEntry{ID: id, Verdict: string(found[id])})
	}
	b, err := explained(f, run)
	if err != nil {
		return err
	}
	return replace(path, b)
}

// explained writes a baseline with comments.
func explained(f baselineFile, run *reports.Run) ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(f); err != nil {
		return nil, err
	}
	explain(&n, run)
	return yaml.Marshal(&n)
}

func entryOf(a reports.Accepted) baselineEntry {
	e := baselineEntry{ID: a.ID, Verdict: string(a.Verdict), Reason: a.Reason, Issue: a.Issue}
	if !a.Expires.IsZero() {
		e.Expires = a.Expires.Format(time.DateOnly)
	}
	return e
}

// decidedAndFound returns the requirements that a run decided, and the gravest finding of each; it is empty where the run left something
// undecided and found nothing.
func decidedAndFound(run *reports.Run) (decided map[string]bool, found map[string]reports.Verdict) {
	decided, found = map[string]bool{}, map[string]reports.Verdict{}
	for i := range run.Results {
		r := &run.Results[i]
		switch r.Verdict {
		case reports.Pass, reports.NotApplicable:
			decided[r.ID] = true
		case reports.Fail:
			found[r.ID] = reports.Fail
		case reports.Warn:
			found[r.ID] = cmp.Or(found[r.ID], reports.Warn)
		case reports.Inconclusive:
			found[r.ID] = cmp.Or(found[r.ID], "")
		}
	}
	return decided, found
}

// left returns the requirements that a run left undecided, whatever else it found of them.
func left(run *reports.Run) map[string]bool {
	out := map[string]bool{}
	for i := range run.Results {
		if run.Results[i].Verdict == reports.Inconclusive {
			out[run.Results[i].ID] = true
		}
	}
	return out
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
