package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/target"
)

// schema is the part of a JSON Schema that the page of the target file shows.
type schema struct {
	Type        string             `json:"type"`
	Description string             `json:"description"`
	Ref         string             `json:"$ref"`
	Enum        []any              `json:"enum"`
	Required    []string           `json:"required"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	OneOf       []*schema          `json:"oneOf"`
	Values      json.RawMessage    `json:"additionalProperties"` // false, or the schema of the values
}

// writeTargetFile writes the reference page of the target file from its JSON Schema: one section for each top-level key.
func writeTargetFile(dir string) error {
	var file schema
	if err := json.Unmarshal(target.Schema, &file); err != nil {
		return err
	}
	var page bytes.Buffer
	page.WriteString(`# Target file

A target file says what a URL cannot: which tools may be called and the scope that each needs, users, clients, static tokens, and issuers
run by mcpauth that a test instance trusts. ` + "`mcpauth init URL`" + ` writes one from a first look at a server, and
` + "`mcpauth schema target`" + ` prints its JSON Schema for your editor. Pass the file with ` + "`mcpauth run -c FILE`" + `.

A *secret* is never in the file. The file names it: ` + "`{env: NAME}`" + ` is an environment variable, ` + "`{file: PATH}`" + ` a file
beside the target file. A *tier* says what a run can test with what you give; see [Concepts](../../concepts.md).
`)
	for _, name := range slices.Sorted(maps.Keys(file.Properties)) {
		top := file.Properties[name]
		fmt.Fprintf(&page, "\n## %s\n\n%s.%s\n", name, sentence(top.Description),
			map[bool]string{true: " Required."}[slices.Contains(file.Required, name)])
		var rows bytes.Buffer
		writeMembers(&rows, "", top)
		if rows.Len() > 0 {
			fmt.Fprintf(&page, "\n| key | value | meaning |\n|---|---|---|\n%s", rows.Bytes())
		}
	}
	return os.WriteFile(filepath.Join(dir, "index.md"), page.Bytes(), 0o644)
}

// writeMembers writes one row for each member of an object, or of the objects in a list, and for nested members.
func writeMembers(rows *bytes.Buffer, path string, of *schema) {
	if of.Items != nil && of.Items.Properties != nil {
		of = of.Items
	}
	for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
		member := of.Properties[name]
		need := ""
		if slices.Contains(of.Required, name) {
			need = ", required"
		}
		fmt.Fprintf(rows, "| `%s%s` | %s%s | %s |\n", path, name, member.value(), need, cell(sentence(member.Description)))
		writeMembers(rows, path+name+".", member)
	}
}

// value describes the values of a member.
func (s *schema) value() string {
	var values schema
	switch {
	case s.Ref != "":
		return "secret"
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum {
			words = append(words, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(words, ", ")
	case len(s.OneOf) > 0:
		var forms []string
		for _, f := range s.OneOf {
			forms = append(forms, f.value())
		}
		return strings.Join(forms, ", or ")
	case s.Type == "array" && s.Items != nil:
		return "list: " + s.Items.value()
	case s.Type == "object" && len(s.Properties) == 0 && json.Unmarshal(s.Values, &values) == nil:
		return "map of names to: " + values.value()
	}
	return s.Type
}

func sentence(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// cell escapes a text for a cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
