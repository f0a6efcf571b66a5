// Package schema makes the JSON Schema of a target file from the struct that holds one. Its own lines do what a library
// cannot know: a file writes some values otherwise than Go (secrets are named, some bools are words).
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// Of returns the schema of a target file, with the comments of the package's source, in a folder, as descriptions. It fails
// where a field has no comment.
func Of(folder string) ([]byte, error) {
	comments, err := comments(folder)
	if err != nil {
		return nil, err
	}
	g := &generator{comments: comments}
	s := g.object(reflect.TypeFor[target.File]())
	s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", "mcpauth target file"
	s["properties"].(map[string]any)["version"].(map[string]any)["const"] = 1
	s["$defs"] = map[string]any{"secret": map[string]any{
		"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
		"description": "the name of a secret, never the secret itself: an environment variable, or a file beside this one",
		"properties":  map[string]any{"env": map[string]any{"type": "string"}, "file": map[string]any{"type": "string"}},
	}}
	if len(g.silent) > 0 {
		return nil, fmt.Errorf("fields without a comment: %s", strings.Join(g.silent, ", "))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(s)
	return b.Bytes(), err
}

type generator struct {
	comments map[string]string // by type and field: "Tool.Name"
	silent   []string
}

func (g *generator) object(t reflect.Type) map[string]any {
	properties, needed := map[string]any{}, []string{}
	for _, f := range strict.Fields(t) {
		s := g.value(f.Type, f.Tag)
		s["description"] = g.describe(f)
		properties[f.Key] = s
		if f.Tag.Get("need") != "" {
			needed = append(needed, f.Key)
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(needed) > 0 {
		s["required"] = needed
	}
	return s
}

// describe returns the comment of a field, or of its type where that is a section.
func (g *generator) describe(f strict.Field) string {
	text := g.comments[f.In.Name()+"."+f.Name]
	if text == "" && f.Type.Kind() == reflect.Struct {
		text = g.comments[f.Type.Name()]
	}
	if text == "" {
		g.silent = append(g.silent, f.In.Name()+"."+f.Name)
	}
	return text
}

func (g *generator) value(t reflect.Type, tag reflect.StructTag) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case tag.Get("secret") != "" && t.Kind() == reflect.String:
		return map[string]any{"$ref": "#/$defs/secret"}
	case tag.Get("words") != "":
		return map[string]any{"enum": words(tag.Get("words"))}
	case t.String() == "time.Duration", t.String() == "netip.Addr":
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.object(t)
	case reflect.Slice:
		list := map[string]any{"type": "array", "items": g.value(t.Elem(), tag)}
		if tag.Get("all") != "" {
			return map[string]any{"oneOf": []any{map[string]any{"type": "boolean"}, list}}
		}
		return list
	case reflect.Map:
		s := map[string]any{"type": "object"}
		if t.Elem().Kind() != reflect.Interface {
			s["additionalProperties"] = g.value(t.Elem(), tag)
		}
		return s
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return bounded(map[string]any{"type": "integer"}, tag)
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.String:
		if tag.Get("list") != "" {
			text := map[string]any{"type": "string"}
			return map[string]any{"oneOf": []any{text, map[string]any{"type": "array", "items": text}}}
		}
		if list := tag.Get("enum"); list != "" {
			return map[string]any{"enum": strict.Choices(list)}
		}
		return map[string]any{"type": "string"}
	}
	panic("no schema for " + t.String())
}

func words(tag string) []string {
	var out []string
	for _, pair := range strings.Split(tag, ",") {
		word, _, _ := strings.Cut(pair, "=")
		out = append(out, word)
	}
	return out
}

func bounded(s map[string]any, tag reflect.StructTag) map[string]any {
	for key, name := range map[string]string{"min": "minimum", "max": "maximum"} {
		if n, err := strconv.Atoi(tag.Get(key)); err == nil {
			s[name] = n
		}
	}
	return s
}

// comments returns those of the types of a package and of their fields.
func comments(folder string) (map[string]string, error) {
	out := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				for _, s := range d.Specs {
					ofType(out, d, s.(*ast.TypeSpec))
				}
			}
			return true
		})
	}
	return out, nil
}

func ofType(out map[string]string, d *ast.GenDecl, s *ast.TypeSpec) {
	out[s.Name.Name] = plain(d.Doc.Text(), s.Name.Name)
	of, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range of.Fields.List {
		for _, name := range f.Names {
			out[s.Name.Name+"."+name.Name] = plain(f.Doc.Text(), name.Name)
		}
	}
}

// plain returns a comment without the name that Go begins it with, and without the full stop.
func plain(text, name string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, verb := range []string{" is ", " are ", " says that ", " says "} {
		text = strings.TrimPrefix(text, name+verb)
	}
	return strings.TrimSuffix(text, ".")
}
