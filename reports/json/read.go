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
	if p := strict(text); p != nil {
		return reports.Redacted{}, p
	}
	var version struct{ Version any }
	if err := json.Unmarshal(text, &version); err != nil {
		return reports.Redacted{}, fmt.Errorf("it is not a report of this tool: %w", err)
	}
	if version.Version != float64(Version) {
		return reports.Redacted{}, fmt.Errorf("it is not a report that this tool reads: version %d of the format is, not %v", Version,
			version.Version)
	}
	if p := valid(text); p != nil {
		return reports.Redacted{}, p
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

// valid returns where a report violates the schema, or nil. It validates the entries of long lists one by one, because all of them as
// values would need many times the memory of their text.
func valid(text []byte) *Problem {
	whole, problem := map[string]any{}, (*Problem)(nil)
	d := json.NewDecoder(bytes.NewReader(text))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return &Problem{Line: 1, Says: "a report is a JSON object"}
	}
	for d.More() && problem == nil {
		name, _ := d.Token()
		member, _ := name.(string)
		whole[member], problem = memberOf(text, d, member)
	}
	if problem != nil {
		return problem
	}
	return judged(text, compiled().whole, whole, nil)
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

// memberOf returns the value of the next member of a report. For a long list, it validates the entries and returns an empty list.
func memberOf(text []byte, d *json.Decoder, name string) (any, *Problem) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, &Problem{Line: 1, Says: err.Error()}
	}
	entry, long := compiled().entry[name]
	if !long || raw[0] != '[' {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, &Problem{Line: 1, Says: err.Error()}
		}
		return value, nil
	}
	return []any{}, entriesOf(text, raw, name, entry)
}

// entriesOf validates the entries of a list one by one.
func entriesOf(text []byte, list json.RawMessage, name string, schema *jsonschema.Schema) *Problem {
	d := json.NewDecoder(bytes.NewReader(list))
	_, _ = d.Token() // the beginning
	for i := 0; d.More(); i++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return &Problem{Line: 1, Says: err.Error()}
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return &Problem{Line: 1, Says: err.Error()}
		}
		if p := judged(text, schema, value, []string{name, strconv.Itoa(i)}); p != nil {
			return p
		}
	}
	return nil
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

// strict returns where a text is not JSON that all parsers read alike: with bounded depth, valid UTF-8, and no duplicate members.
func strict(text []byte) *Problem {
	if !utf8.Valid(text) {
		return &Problem{Line: 1, Says: "it is not valid UTF-8"}
	}
	w := &walker{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	w.dec.UseNumber()
	err := w.value(nil)
	if err == nil {
		if _, more := w.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is text after the end of the report")
		}
	}
	var p *Problem
	if err == nil || errors.As(err, &p) {
		return p
	}
	var syntax *json.SyntaxError
	offset := w.dec.InputOffset()
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return &Problem{Line: line(text, offset), Says: err.Error()}
}

// walker visits JSON value by value.
type walker struct {
	text []byte
	dec  *json.Decoder
	at   func(path []string) bool // true ends the walk
}

// errThere ends a walk.
var errThere = errors.New("there")

func (w *walker) value(path []string) error {
	if len(path) > deepest {
		return fmt.Errorf("it is nested deeper than %d", deepest)
	}
	tok, err := w.dec.Token()
	if err != nil {
		return err
	}
	if w.at != nil && w.at(path) {
		return errThere
	}
	switch tok {
	case json.Delim('{'):
		seen := map[string]bool{}
		for w.dec.More() {
			tok, err := w.dec.Token()
			if err != nil {
				return err
			}
			name := tok.(string)
			if seen[name] {
				return &Problem{line(w.text, w.dec.InputOffset()), strings.Join(path, "/"), fmt.Sprintf("the member %q appears twice", name)}
			}
			seen[name] = true
			if err := w.value(append(path, name)); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; w.dec.More(); i++ {
			if err := w.value(append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = w.dec.Token()
	return err
}

// lineOf returns the line of a value, or of its nearest ancestor.
func lineOf(text []byte, at []string) int {
	found := 1
	w := &walker{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	w.at = func(path []string) bool {
		if len(path) <= len(at) && slices.Equal(path, at[:len(path)]) {
			found = line(text, w.dec.InputOffset())
		}
		return len(path) == len(at) && slices.Equal(path, at)
	}
	_ = w.value(nil) // it is valid JSON
	return found
}

func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int64(len(text)), offset)], []byte("\n"))
}
