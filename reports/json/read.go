package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// Limits of a report that is read, far above those of written ones.
const (
	mostBytes = 256 << 20
	deepest   = 24
)

// Problem is an error in a report, with its place.
type Problem struct {
	Line int
	At   string // the member, such as results/3/level
	Says string
}

func (p *Problem) Error() string {
	if p.At == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Says)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.At, p.Says)
}

// Read reads only what Write writes: whoever made the report, it must conform to the schema, and its statements about requirements to the
// catalogue. It removes recognizable secrets again.
func Read(r io.Reader) (reports.Redacted, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	switch {
	case err != nil:
		return reports.Redacted{}, err
	case len(text) > mostBytes:
		return reports.Redacted{}, fmt.Errorf("it is larger than %d MiB", mostBytes>>20)
	}
	if err := conforms(text); err != nil {
		return reports.Redacted{}, err
	}
	var d document
	d.Run = &reports.Run{}
	if err := json.Unmarshal(text, &d); err != nil {
		return reports.Redacted{}, fmt.Errorf("it is not a report of this tool: %w", err)
	}
	if at, says := inconsistent(d.Run); says != "" {
		return reports.Redacted{}, &Problem{lineOf(text, at), strings.Join(at, "/"), says}
	}
	return reports.Redact(*d.Run, &reports.Secrets{}), nil
}

// schemas are the compiled schemas of the format: of a whole report, and of the entries of its long lists, by name.
type schemas struct {
	whole *jsonschema.Schema
	entry map[string]*jsonschema.Schema
}

var compiled = sync.OnceValue(func() schemas {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		panic(err) // it is part of the program
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const name = "mcpauth:report" // absolute: the compiler resolves any other against the working directory, which may be gone
	if err := c.AddResource(name, document); err != nil {
		panic(err)
	}
	return schemas{c.MustCompile(name), map[string]*jsonschema.Schema{
		"results": c.MustCompile(name + "#/$defs/result"), "exchanges": c.MustCompile(name + "#/$defs/exchange")}}
})

// conforms returns why a text is not a report of this format. It reads the text once.
func conforms(text []byte) error {
	w := newWalker(text)
	w.entry = compiled().entry
	value, p := w.whole()
	if p != nil {
		return p
	}
	report, object := value.(map[string]any)
	if !object {
		return &Problem{Line: 1, Says: "a report is a JSON object"}
	}
	number, _ := report["version"].(json.Number)
	if version, err := number.Float64(); err != nil || version != Version {
		return fmt.Errorf("it is not a report that this tool reads: version %d of the format is, not %v", Version, report["version"])
	}
	if w.invalid == nil {
		w.invalid = judged(text, compiled().whole, report, nil)
	}
	if w.invalid != nil {
		return w.invalid
	}
	return nil
}

// judged returns where a value at a place of a report violates its schema.
func judged(text []byte, schema *jsonschema.Schema, value any, place []string) *Problem {
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(value); !errors.As(err, &invalid) {
		return nil
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	at := append(place, invalid.InstanceLocation...)
	return &Problem{lineOf(text, at), strings.Join(at, "/"), invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
}

// inconsistent finds impossible statements that the schema does not exclude. Reports of another catalogue may name requirements that this
// one lacks.
func inconsistent(run *reports.Run) (at []string, says string) {
	for i := range run.Results {
		r := &run.Results[i]
		member, says := unknownRevision(run, r)
		if says == "" && run.Catalogue == requirements.Digest() {
			member, says = unlikeCatalogue(r)
		}
		if says != "" {
			return []string{"results", strconv.Itoa(i), member}, says
		}
	}
	if s := run.Shard; s != nil && s.Index > s.Count {
		return []string{"shard", "index"}, fmt.Sprintf("there are %d shards", s.Count)
	}
	for i := 1; i < len(run.Exchanges); i++ {
		if run.Exchanges[i].Number <= run.Exchanges[i-1].Number {
			return []string{"exchanges", strconv.Itoa(i), "number"}, "exchanges are in the order of their numbers"
		}
	}
	return nil, ""
}

// unknownRevision finds a revision of a result that the run does not name.
func unknownRevision(run *reports.Run, r *reports.Result) (member, says string) {
	for _, revision := range r.Revisions {
		if !slices.ContainsFunc(run.Revisions, func(s reports.RevisionStatus) bool { return s.Revision == revision }) {
			return "revisions", fmt.Sprintf("the revision %s is not among those of the run", revision)
		}
	}
	return "", ""
}

// unlikeCatalogue finds a statement of a result about its requirement that differs from the catalogue.
func unlikeCatalogue(r *reports.Result) (member, says string) {
	known, ok := requirements.Lookup(r.ID)
	if !ok {
		return "id", fmt.Sprintf("the catalogue holds no requirement %s", r.ID)
	}
	for member, said := range map[string][2]string{
		"title": {r.Title, known.Title}, "area": {r.Area, known.Area}, "role": {r.Role, string(known.Role)},
		"tier": {r.Tier, string(known.Tier)}, "remediation": {r.Remediation, known.Remediation},
	} {
		if said[0] != said[1] {
			return member, fmt.Sprintf("the catalogue says %q", said[1])
		}
	}
	for _, revision := range r.Revisions {
		if level, _ := known.LevelAt(revision); r.Level != string(level) {
			return "level", fmt.Sprintf("the catalogue says %q at %s", level, revision)
		}
	}
	return "", ""
}
