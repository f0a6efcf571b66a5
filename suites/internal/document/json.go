package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of a JSON document: real metadata stays far below them.
const (
	deepestJSON = 64
	mostMembers = 10_000
)

// Object is a JSON object as sent: exact names, order kept, duplicates kept.
type Object struct {
	Members []Member
}

// Member is one name and value. The value is nil, bool, json.Number, string, []any or *Object.
type Member struct {
	Name  string
	Value any
}

// Get returns the first member with exactly this name.
func (o *Object) Get(name string) (any, bool) {
	if o == nil {
		return nil, false
	}
	for _, m := range o.Members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

// String returns a member that is a string.
func (o *Object) String(name string) string {
	v, _ := o.Get(name)
	s, _ := v.(string)
	return s
}

// Bool returns a member that is true or false; ok is false for every other value.
func (o *Object) Bool(name string) (value, ok bool) {
	v, _ := o.Get(name)
	value, ok = v.(bool)
	return value, ok
}

// Strings returns a member that is an array of strings; ok is false for any other value.
func (o *Object) Strings(name string) (list []string, ok bool) {
	v, _ := o.Get(name)
	a, isArray := v.([]any)
	if !isArray {
		return nil, false
	}
	for _, e := range a {
		s, isString := e.(string)
		if !isString {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// Object returns a member that is an object, or nil.
func (o *Object) Object(name string) *Object {
	v, _ := o.Get(name)
	sub, _ := v.(*Object)
	return sub
}

// Names returns the names of the members in order.
func (o *Object) Names() []string {
	if o == nil {
		return nil
	}
	var out []string
	for _, m := range o.Members {
		out = append(out, m.Name)
	}
	return out
}

// Duplicates returns the names that the object itself has more than once.
func (o *Object) Duplicates() []string {
	seen, twice := map[string]int{}, []string(nil)
	for _, m := range o.Members {
		if seen[m.Name]++; seen[m.Name] == 2 {
			twice = append(twice, m.Name)
		}
	}
	return twice
}

// JSON writes the object as it was sent, except for white space and the spelling of strings.
func (o *Object) JSON() string {
	var b strings.Builder
	writeJSON(&b, o)
	return b.String()
}

func writeJSON(b *strings.Builder, v any) {
	list := func(open, end byte, n int, item func(i int)) {
		b.WriteByte(open)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			item(i)
		}
		b.WriteByte(end)
	}
	text := func(v any) {
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v) // a string, a number, true, false or null; white space follows
	}
	switch v := v.(type) {
	case *Object:
		list('{', '}', len(v.Members), func(i int) {
			text(v.Members[i].Name)
			b.WriteByte(':')
			writeJSON(b, v.Members[i].Value)
		})
	case []any:
		list('[', ']', len(v), func(i int) { writeJSON(b, v[i]) })
	default:
		text(v)
	}
}

// ParseObject parses a text as one JSON object (RFC 8259). Oddities are what only lenient parsers accept, or what parsers read differently:
// a byte order mark, duplicate members.
func ParseObject(text string) (o *Object, oddities []string, err error) {
	if rest, ok := strings.CutPrefix(text, "\ufeff"); ok {
		text, oddities = rest, append(oddities, "begins with a byte order mark")
	}
	v, err := ParseValue(text)
	if err != nil {
		return nil, oddities, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, oddities, fmt.Errorf("want a JSON object, found %s", kind(v))
	}
	for _, name := range o.Duplicates() {
		oddities = append(oddities, fmt.Sprintf("member %q appears twice", name))
	}
	return o, oddities, nil
}

// longParses limits the concurrent parses of long texts, which are copied meanwhile.
var longParses = make(chan struct{}, 2)

// longJSON is the length of a long text, in bytes.
const longJSON = 64 << 10

// ParseValue parses a text as one JSON value, within the limits.
func ParseValue(text string) (any, error) {
	v, err := ParseValid(text)
	if errors.Is(err, errInvalid) {
		err = explainJSON(text)
	}
	return v, err
}

var errInvalid = errors.New("not valid JSON")

// ParseValid is ParseValue without an explanation for a text that is not valid, which costs more than to find that out.
func ParseValid(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not valid UTF-8")
	}
	if len(text) > longJSON {
		longParses <- struct{}{}
		defer func() { <-longParses }()
	}
	if !json.Valid([]byte(text)) {
		return nil, errInvalid
	}
	p := &jsonParser{rest: text, long: len(text) > longJSON}
	return p.value(0)
}

// jsonParser reads valid JSON: encoding/json has found no mistake. Its own decoder of tokens takes five times as long.
type jsonParser struct {
	rest    string
	long    bool // strings are copied: they may be needed for longer than the text
	members int
}

func (p *jsonParser) value(depth int) (any, error) {
	if depth > deepestJSON {
		return nil, fmt.Errorf("nested deeper than %d", deepestJSON)
	}
	p.space()
	switch p.rest[0] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.text(), nil
	}
	end := strings.IndexAny(p.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(p.rest)
	}
	switch word := p.skip(end); word {
	case "null":
		return nil, nil
	case "true", "false":
		return word == "true", nil
	default:
		return json.Number(p.kept(word)), nil
	}
}

func (p *jsonParser) object(depth int) (any, error) {
	o := &Object{}
	err := p.each('}', func() error {
		name := p.text()
		p.space()
		p.skip(len(":"))
		v, err := p.value(depth + 1)
		o.Members = append(o.Members, Member{name, v})
		return err
	})
	return o, err
}

func (p *jsonParser) array(depth int) (any, error) {
	a := []any{}
	err := p.each(']', func() error {
		v, err := p.value(depth + 1)
		a = append(a, v)
		return err
	})
	return a, err
}

// each reads an object or an array from its first byte to its last.
func (p *jsonParser) each(last byte, member func() error) error {
	p.skip(len("{"))
	for p.space(); p.rest[0] != last; p.space() {
		if p.members++; p.members > mostMembers {
			return fmt.Errorf("more than %d members", mostMembers)
		}
		if err := member(); err != nil {
			return err
		}
		if p.space(); p.rest[0] == ',' {
			p.skip(len(","))
		}
	}
	p.skip(len("}"))
	return nil
}

// text reads a string.
func (p *jsonParser) text() string {
	end := 1
	for p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	quoted := p.skip(end + 1)
	if !strings.Contains(quoted, `\`) {
		return p.kept(quoted[1:end])
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // valid
	return s
}

func (p *jsonParser) kept(s string) string {
	if p.long {
		return strings.Clone(s)
	}
	return s
}

// space skips white space.
func (p *jsonParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// skip skips n bytes, and returns them.
func (p *jsonParser) skip(n int) string {
	skipped := p.rest[:n]
	p.rest = p.rest[n:]
	return skipped
}

// explainJSON says why a text is not one JSON value.
func explainJSON(text string) error {
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return errors.New("the body is empty")
	case strings.HasPrefix(trimmed, "<"):
		return errors.New("this is HTML or XML, not JSON")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	switch err := dec.Decode(new(json.RawMessage)); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends too early")
	case err != nil:
		return err
	}
	return fmt.Errorf("text after the end of the JSON value at byte %d", dec.InputOffset())
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}

// Kind names the JSON type of v in words.
func Kind(v any) string { return kind(v) }
