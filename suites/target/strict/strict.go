// Package strict reads YAML files that users write. It rejects unknown keys, and secrets that are written into the file. Its
// error lists all mistakes, with file, line and column. Struct tags say how a field is written; the package target lists them.
package strict

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/fixtures/nearest"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File         string
	Line, Column int // 0 where it is about the whole file
	Text         string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Reader decodes a file into a Go value. It replaces references to secrets by their values, and words by booleans, and collects
// all mistakes.
type Reader struct {
	Path     string
	Replaced []string // keys whose values the caller replaces: their secrets need not exist
	root     reflect.Type
	problems []error
}

// Add notes a problem at a node, or about the whole file if that is nil.
func (r *Reader) Add(n *yaml.Node, format string, args ...any) {
	p := &Problem{File: r.Path, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
}

// Decode reads a file into a pointer to a struct, and returns the tree.
func (r *Reader) Decode(into any) (*yaml.Node, error) {
	b, err := ReadFile(r.Path, mostBytes)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		return nil, r.syntax(err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", r.Path)
	}
	n := root.Content[0]
	if err := inline(n, new(int)); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	r.root = reflect.TypeOf(into).Elem()
	r.doubled(n)
	r.value(n, r.root, "", "")
	if len(r.problems) > 0 {
		return n, errors.Join(r.problems...)
	}
	if err := n.Decode(into); err != nil {
		return n, fmt.Errorf("%s: %w", r.Path, err)
	}
	return n, nil
}

// syntax says where a text is not YAML. The parser counts lines from 0 (and names no line 0) where something is missing, and from 1
// elsewhere.
func (r *Reader) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if number, after, found := strings.Cut(strings.TrimPrefix(text, "line "), ": "); found {
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, after
		}
	}
	for _, missing := range []string{"node content", "key", "'-' indicator", "',' or '}'", "',' or ']'", "<document start>"} {
		if text == "did not find expected "+missing {
			line++
		}
	}
	return fmt.Errorf("%s:%d: this is not YAML: %s", r.Path, max(line, 1), text)
}

// Limits that no file for people comes near.
const (
	mostBytes  = 1 << 20
	mostNodes  = 100_000
	mostSecret = 64 << 10
)

// ReadFile reads a file of at most so many bytes: a device may have no end.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := ReadAll(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// ReadAll reads at most so many bytes, and says where there are more.
func ReadAll(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, fmt.Errorf("it is longer than %s", size(most))
	}
	return b, err
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// inline puts what aliases stand for in their place, since values are rewritten.
func inline(n *yaml.Node, count *int) error {
	if *count++; *count > mostNodes {
		return errors.New("the file has too many values")
	}
	if n.Kind == yaml.AliasNode {
		of := *n.Alias
		of.Anchor, of.Line, of.Column = "", n.Line, n.Column
		of.Content = slices.Clone(of.Content)
		for i := range of.Content {
			element := *of.Content[i]
			of.Content[i] = &element
		}
		*n = of
	}
	for _, below := range n.Content {
		if err := inline(below, count); err != nil {
			return err
		}
	}
	return nil
}

// doubled finds keys that a mapping has twice (YAML 1.2.2 section 3.2.1.1 demands unique keys).
func (r *Reader) doubled(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if line, again := first[k.Value]; again {
				r.Add(k, "the key %q is already in line %d", k.Value, line)
			} else {
				first[k.Value] = k.Line
			}
		}
	}
	for _, below := range n.Content {
		r.doubled(below)
	}
}

// value reads a value of type t under a key; the tag is that of its field.
func (r *Reader) value(n *yaml.Node, t reflect.Type, key string, tag reflect.StructTag) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Tag == "!!null":
		return
	case tag.Get("secret") != "" && t.Kind() == reflect.String:
		r.secret(n, key)
	case tag.Get("all") != "" && t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode:
		r.all(n, key, tag.Get("all"))
	case tag.Get("list") != "" && n.Kind == yaml.SequenceNode:
		r.joined(n, key)
	case tag.Get("words") != "":
		r.word(n, key, tag.Get("words"))
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		r.mapping(n, t, key)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, e := range n.Content {
			r.value(e, t.Elem(), key, tag)
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.value(n.Content[i+1], t.Elem(), key+"."+n.Content[i].Value, tag)
		}
	default:
		r.plain(n, t, key, tag)
	}
}

// mapping reads a struct.
func (r *Reader) mapping(n *yaml.Node, t reflect.Type, key string) {
	known := Fields(t)
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(known, func(f Field) bool { return f.Key == k.Value })
		if at < 0 {
			r.Add(k, "unknown key %q%s", k.Value, r.suggestion(known, k.Value))
			continue
		}
		given[k.Value] = v.Tag != "!!null" && (v.Kind != yaml.ScalarNode || v.Value != "")
		r.value(v, known[at].Type, under(key, k.Value), known[at].Tag)
	}
	for _, f := range known {
		if f.Tag.Get("need") != "" && !given[f.Key] {
			r.Add(n, "%s is missing%s", under(key, f.Key), missing(f))
		}
	}
}

func missing(f Field) string {
	if f.Tag.Get("secret") != "" {
		return ": use {env: NAME} or {file: PATH}"
	}
	return ""
}

func under(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// plain reads a value that YAML can say by itself.
func (r *Reader) plain(n *yaml.Node, t reflect.Type, key string, tag reflect.StructTag) {
	v := reflect.New(t)
	if err := n.Decode(v.Interface()); err != nil {
		r.Add(n, "%s: want %s", key, form(t))
		return
	}
	if list := tag.Get("enum"); list != "" && v.Elem().Kind() == reflect.String {
		known := Choices(list)
		if !slices.Contains(known, v.Elem().String()) {
			r.Add(n, "%s %q: want %s", key, v.Elem().String(), either(known))
		}
	}
	if v.Elem().CanInt() && v.Elem().Int() < 0 || v.Elem().CanFloat() && v.Elem().Float() < 0 {
		r.Add(n, "%s %s: want no negative value", key, n.Value)
	} else if v.Elem().CanInt() {
		r.bounds(n, key, int(v.Elem().Int()), tag)
	}
}

func (r *Reader) bounds(n *yaml.Node, key string, v int, tag reflect.StructTag) {
	if least, err := strconv.Atoi(tag.Get("min")); err == nil && v < least {
		r.Add(n, "%s %d: want at least %d", key, v, least)
	}
	if most, err := strconv.Atoi(tag.Get("max")); err == nil && v > most {
		r.Add(n, "%s %d: want at most %d; declare a smaller one on a test instance", key, v, most)
	}
}

// form says how a value of a type is written.
func form(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "a time such as 60s or 15m"
	case t.String() == "netip.Addr":
		return "an IP address"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "a mapping of keys to values"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	}
	return "a number"
}

// all turns true into the list of what is for everything, and false into an empty list.
func (r *Reader) all(n *yaml.Node, key, everything string) {
	var yes bool
	if err := n.Decode(&yes); err != nil {
		r.Add(n, "%s %q: want true, false or a list", key, n.Value)
		return
	}
	at := *n
	n.Kind, n.Tag, n.Value, n.Content = yaml.SequenceNode, "!!seq", "", nil
	if yes {
		at.Tag, at.Value = "!!str", everything
		n.Content = []*yaml.Node{&at}
	}
}

// joined turns a list of words into one text, in which spaces separate them.
func (r *Reader) joined(n *yaml.Node, key string) {
	var words []string
	if err := n.Decode(&words); err != nil || slices.ContainsFunc(words, func(w string) bool { return w == "" || strings.Contains(w, " ") }) {
		r.Add(n, "%s: want a text, or a list of words without spaces", key)
		return
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.Join(words, " "), Line: n.Line, Column: n.Column}
}

// word turns a word into true or false.
func (r *Reader) word(n *yaml.Node, key, words string) {
	var known []string
	for _, pair := range strings.Split(words, ",") {
		word, meaning, _ := strings.Cut(pair, "=")
		if n.Kind == yaml.ScalarNode && n.Value == word {
			n.Value, n.Tag, n.Style = meaning, "!!bool", 0
			return
		}
		known = append(known, word)
	}
	r.Add(n, "%s %q: want %s", key, n.Value, either(known))
}

// either lists values: a, b or c.
func either(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// Err joins the problems; nil where there are none.
func (r *Reader) Err() error { return errors.Join(r.problems...) }

// secretReference names a secret.
type secretReference struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
}

// secret puts a secret in the place of its name. A file's path is relative to the folder of the target file.
func (r *Reader) secret(n *yaml.Node, key string) {
	if n.Kind == yaml.ScalarNode {
		r.Add(n, "a secret is named, never written down: use {env: NAME} or {file: PATH}")
		return
	}
	before := len(r.problems)
	r.value(n, reflect.TypeFor[secretReference](), key, "")
	if len(r.problems) > before {
		return
	}
	var s secretReference
	if err := n.Decode(&s); err != nil || (s.Env == "") == (s.File == "") {
		r.Add(n, "%s: a secret has one of env and file", key)
		return
	}
	v, err := s.resolve(filepath.Dir(r.Path))
	if err != nil && !slices.ContainsFunc(r.Replaced, func(k string) bool { return key == k || strings.HasPrefix(key, k+".") }) {
		r.Add(n, "%s: %v", key, err)
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Line: n.Line, Column: n.Column}
}

func (s secretReference) resolve(folder string) (string, error) {
	if s.Env != "" {
		v := os.Getenv(s.Env)
		if v == "" {
			return "", fmt.Errorf("the environment variable %s is not set", s.Env)
		}
		return v, nil
	}
	path := s.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	b, err := ReadFile(path, mostSecret)
	return strings.TrimRight(string(b), "\r\n"), err
}

// Field is a key that a file may hold.
type Field struct {
	Key  string
	Name string // in Go
	In   reflect.Type
	Type reflect.Type
	Tag  reflect.StructTag
}

// Fields returns the keys of a struct in a file.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || key == "-":
		case option == "inline":
			out = append(out, Fields(f.Type)...)
		default:
			out = append(out, Field{Key: cmp.Or(key, strings.ToLower(f.Name)), Name: f.Name, In: t, Type: f.Type, Tag: f.Tag})
		}
	}
	return out
}

func (r *Reader) suggestion(known []Field, key string) string {
	if places := placesOf(r.root, key, ""); 0 < len(places) && len(places) <= 3 {
		return "; did you mean " + either(places) + "?"
	}
	var names []string
	for _, f := range known {
		if len(key) > 2 && (strings.HasPrefix(f.Key, key[:3]) || strings.HasPrefix(key, f.Key)) {
			return fmt.Sprintf("; did you mean %s?", f.Key)
		}
		names = append(names, f.Key)
	}
	if near := nearest.Of(key, names); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "; known are " + strings.Join(names, ", ")
}

// placesOf returns the keys with this name in the sections of a file, with the sections before them.
func placesOf(t reflect.Type, key, section string) (out []string) {
	for _, f := range Fields(t) {
		below, place := f.Type, under(section, f.Key)
		if f.Key == key && section != "" {
			out = append(out, place)
		}
		if below.Kind() == reflect.Slice {
			place += "[]"
		}
		if below.Kind() == reflect.Pointer || below.Kind() == reflect.Slice {
			below = below.Elem()
		}
		if below.Kind() == reflect.Struct {
			out = append(out, placesOf(below, key, place)...)
		}
	}
	return out
}

// Child returns the value under a path of keys and indices, or the last node that is there.
func Child(n *yaml.Node, path ...any) *yaml.Node {
	for _, step := range path {
		switch step := step.(type) {
		case int:
			if step >= len(n.Content) {
				return n
			}
			n = n.Content[step]
		case string:
			at := -1
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					at = i + 1
				}
			}
			if at < 0 {
				return n
			}
			n = n.Content[at]
		}
	}
	return n
}
