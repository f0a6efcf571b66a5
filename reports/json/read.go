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
	"unicode/utf8"

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

// walker reads JSON value by value, if all parsers read it alike: with bounded depth, valid UTF-8, and no duplicate members.
type walker struct {
	text []byte
	dec  *json.Decoder
	at   func(path []string) bool // true ends the walk
	// entry has the schemas of the entries of long lists, by the name of the list. These are validated one by one, and left out of the value,
	// because all of them as values need many times the memory of their text.
	entry   map[string]*jsonschema.Schema
	invalid *Problem // of the first invalid entry
}

func newWalker(text []byte) *walker {
	w := &walker{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	w.dec.UseNumber()
	return w
}

// whole returns the value of the whole text, or where the text is not strict JSON.
func (w *walker) whole() (any, *Problem) {
	if !utf8.Valid(w.text) {
		return nil, &Problem{Line: 1, Says: "it is not valid UTF-8"}
	}
	value, err := w.value(nil)
	if err == nil {
		if _, more := w.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is text after the end of the report")
		}
	}
	var p *Problem
	if err == nil || errors.As(err, &p) {
		return value, p
	}
	var syntax *json.SyntaxError
	offset := w.dec.InputOffset()
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return nil, &Problem{Line: line(w.text, offset), Says: err.Error()}
}

// errThere ends a walk.
var errThere = errors.New("there")

func (w *walker) value(path []string) (any, error) {
	if len(path) > deepest {
		return nil, fmt.Errorf("it is nested deeper than %d", deepest)
	}
	tok, err := w.dec.Token()
	if err != nil {
		return nil, err
	}
	if w.at != nil && w.at(path) {
		return nil, errThere
	}
	switch tok {
	case json.Delim('{'):
		return w.object(path)
	case json.Delim('['):
		return w.list(path)
	}
	return tok, nil
}

func (w *walker) object(path []string) (any, error) {
	members := map[string]any{}
	for w.dec.More() {
		tok, err := w.dec.Token()
		if err != nil {
			return nil, err
		}
		name := tok.(string)
		if _, seen := members[name]; seen {
			return nil, &Problem{line(w.text, w.dec.InputOffset()), strings.Join(path, "/"), fmt.Sprintf("the member %q appears twice", name)}
		}
		if members[name], err = w.value(append(path, name)); err != nil {
			return nil, err
		}
	}
	_, err := w.dec.Token()
	return members, err
}

func (w *walker) list(path []string) (any, error) {
	var schema *jsonschema.Schema
	if len(path) == 1 {
		schema = w.entry[path[0]]
	}
	values := []any{}
	for i := 0; w.dec.More(); i++ {
		at := append(path, strconv.Itoa(i))
		value, err := w.value(at)
		switch {
		case err != nil:
			return nil, err
		case schema == nil:
			values = append(values, value)
		case w.invalid == nil:
			w.invalid = judged(w.text, schema, value, at)
		}
	}
	_, err := w.dec.Token()
	return values, err
}

// lineOf returns the line of a value, or of its nearest ancestor.
func lineOf(text []byte, at []string) int {
	found := 1
	w := newWalker(text)
	w.at = func(path []string) bool {
		if len(path) <= len(at) && slices.Equal(path, at[:len(path)]) {
			found = line(text, w.dec.InputOffset())
		}
		return len(path) == len(at) && slices.Equal(path, at)
	}
	_, _ = w.value(nil) // it ends where the value is
	return found
}

func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int64(len(text)), offset)], []byte("\n"))
}
