package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// walker reads JSON value by value, if all parsers read it alike: with bounded depth, valid UTF-8, and no duplicate members. It expects a
// text that encoding/json calls valid.
type walker struct {
	text []byte
	next int                      // where it reads
	at   func(path []string) bool // true ends the walk
	// entry has the schemas of the entries of long lists, by the name of the list. These are validated one by one, and left out of the value,
	// because all of them as values need many times the memory of their text.
	entry   map[string]*jsonschema.Schema
	invalid *Problem          // of the first invalid entry
	names   map[string]string // of members: a report has few, many times
}

func newWalker(text []byte) *walker { return &walker{text: text, names: map[string]string{}} }

// whole returns the value of the whole text, or where the text is not strict JSON.
func (w *walker) whole() (any, *Problem) {
	if !utf8.Valid(w.text) {
		return nil, &Problem{Line: 1, Says: "it is not valid UTF-8"}
	}
	if !json.Valid(w.text) {
		return nil, unlikeJSON(w.text)
	}
	value, err := w.value(make([]string, 0, deepest+1))
	var p *Problem
	if err == nil || errors.As(err, &p) {
		return value, p
	}
	return nil, &Problem{Line: line(w.text, w.next), Says: err.Error()}
}

// unlikeJSON returns where a text violates the grammar of JSON.
func unlikeJSON(text []byte) *Problem {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(text, &raw), &syntax) {
		return &Problem{Line: 1, Says: "it is not JSON"}
	}
	p := &Problem{Line: line(text, int(syntax.Offset)), Says: syntax.Error()}
	switch {
	case p.Says == "unexpected end of JSON input":
		p.Says = "it ends too early"
	case strings.HasSuffix(p.Says, "exceeded max depth"):
		p.Says = errDeep.Error()
	case strings.HasSuffix(p.Says, "after top-level value"):
		p.Says = "there is text after the end of the report"
	}
	return p
}

var (
	errThere = errors.New("there") // ends a walk
	errDeep  = fmt.Errorf("it is nested deeper than %d", deepest)
)

func (w *walker) value(path []string) (any, error) {
	if len(path) > deepest {
		return nil, errDeep
	}
	first := w.peek()
	if w.at != nil && w.at(path) {
		return nil, errThere
	}
	switch first {
	case '{':
		return w.object(path)
	case '[':
		return w.list(path)
	case '"':
		return w.string(), nil
	}
	return w.literal(), nil
}

// peek returns the first byte after white space.
func (w *walker) peek() byte {
	for w.text[w.next] == ' ' || w.text[w.next] == '\n' || w.text[w.next] == '\t' || w.text[w.next] == '\r' {
		w.next++
	}
	return w.text[w.next]
}

// more passes over the beginning or a comma of a list or an object. It reports whether another entry follows, and passes over the end.
func (w *walker) more(end byte) bool {
	if w.peek() != end {
		w.next++
	}
	if w.peek() != end {
		return true
	}
	w.next++
	return false
}

func (w *walker) object(path []string) (any, error) {
	members := map[string]any{}
	for w.more('}') {
		name := w.name()
		if _, seen := members[name]; seen {
			return nil, &Problem{line(w.text, w.next), strings.Join(path, "/"), fmt.Sprintf("the member %q appears twice", name)}
		}
		w.peek()
		w.next++ // the colon
		var err error
		if members[name], err = w.value(append(path, name)); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func (w *walker) list(path []string) (any, error) {
	var schema *jsonschema.Schema
	if len(path) == 1 {
		schema = w.entry[path[0]]
	}
	values := []any{}
	for i := 0; w.more(']'); i++ {
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
	return values, nil
}

// name returns the name of a member. The same name is one string.
func (w *walker) name() string {
	quoted := w.quoted()
	name, known := w.names[string(quoted)]
	if !known {
		name = unquoted(quoted)
		w.names[string(quoted)] = name
	}
	return name
}

func (w *walker) string() string { return unquoted(w.quoted()) }

// quoted returns a string as it is written, with its quotation marks.
func (w *walker) quoted() []byte {
	start := w.next
	for w.next++; w.text[w.next] != '"'; w.next++ {
		if w.text[w.next] == '\\' {
			w.next++
		}
	}
	w.next++
	return w.text[start:w.next]
}

// unquoted returns what a valid JSON string says.
func unquoted(quoted []byte) (says string) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	_ = json.Unmarshal(quoted, &says) // it is valid
	return says
}

// literal returns a number, true, false or null.
func (w *walker) literal() any {
	start := w.next
	for w.next < len(w.text) && bytes.IndexByte(ends, w.text[w.next]) < 0 {
		w.next++
	}
	switch word := string(w.text[start:w.next]); word {
	case "null":
		return nil
	case "true", "false":
		return word == "true"
	default:
		return json.Number(word)
	}
}

// ends are the bytes that may follow a literal.
var ends = []byte(",]} \n\t\r")

// lineOf returns the line of a value, or of its nearest ancestor.
func lineOf(text []byte, at []string) int {
	found := 1
	w := newWalker(text)
	w.at = func(path []string) bool {
		if len(path) <= len(at) && slices.Equal(path, at[:len(path)]) {
			found = line(text, w.next)
		}
		return len(path) == len(at) && slices.Equal(path, at)
	}
	_, _ = w.value(nil) // it ends where the value is
	return found
}

func line(text []byte, offset int) int {
	return 1 + bytes.Count(text[:min(len(text), offset)], []byte("\n"))
}
