// Package discovery contains the checks on protected resource metadata (RFC 9728).
package discovery

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 9728 section 3: Obtaining Protected Resource Metadata", obtaining)
	Describe("RFC 9728 section 2: Protected Resource Metadata", members)
	Describe("RFC 9728 section 3.1: Protected Resource Metadata Request", siblings)
	Describe("RFC 9728 section 7: Security Considerations", hardening)
}

// member is a member of a metadata document, or its absence.
type member struct {
	name    string
	value   any
	present bool
}

func memberOf(d *survey.Document, name string) member {
	v, ok := d.Object.Get(name)
	return member{name, v, ok}
}

// list is the value as an array; nil if it is not one.
func (m member) list() []any { list, _ := m.value.([]any); return list }

func (m member) String() string {
	if !m.present {
		return m.name + " is absent"
	}
	switch x := m.value.(type) {
	case []any:
		if len(x) == 0 {
			return m.name + " is an empty array"
		}
	case string:
		return fmt.Sprintf("%s is the string %q", m.name, x)
	}
	return m.name + " is " + document.Kind(m.value)
}

// onMember judges a member by a condition, and describes it where it is not met.
func onMember(expected string, good func(m member) bool) expect.Matcher {
	return expect.That(expected, func(m member) string {
		if good(m) {
			return ""
		}
		return m.String()
	})
}

// be expects a text to satisfy a condition, and quotes it if it does not.
func be(expected string, good func(s string) bool) expect.Matcher {
	return expect.That(expected, func(s string) string {
		if good(s) {
			return ""
		}
		return fmt.Sprintf("%q", s)
	})
}

// found are the documents that were found, each once. It leaves out a document at the root that is about another resource.
func found(t *T) Cases[*survey.Document] {
	var out Cases[*survey.Document]
	for _, d := range t.MCP.Resources() {
		if d.Place != "root" || document.Relation(t.Survey.Endpoint, d.Object.String("resource")) != document.OtherPath {
			out = out.And(d.URL, d)
		}
	}
	return out
}

// others are the further documents about the resource of the first one: its root location may have the document of another product.
func others(t *T, first *survey.Document) Cases[*survey.Document] {
	var out Cases[*survey.Document]
	seen := []string{first.URL}
	for i := range t.Survey.Resources {
		if d := &t.Survey.Resources[i]; d.Found() && !slices.Contains(seen, d.URL) && aboutTheTarget(t, first, d) {
			out, seen = out.And(d.URL, d), append(seen, d.URL)
		}
	}
	return out
}

// aboutTheTarget reports whether a document names the resource that the first one names, or the endpoint, as it is or misspelt.
func aboutTheTarget(t *T, first, d *survey.Document) bool {
	resource := d.Object.String("resource")
	switch document.Relation(t.Survey.Endpoint, resource) {
	case document.OtherPath, document.OtherOrigin, document.Prefix, document.Root:
		return resource == first.Object.String("resource")
	case document.NoURL:
		return d.Place != "root" || strings.Contains(resource, t.Survey.URL.Host)
	}
	return true
}

// eachDocument judges the document that clients find first, and those about the same resource that differ from it in one of the members.
func eachDocument(t *T, judge func(t *T, d *survey.Document), members ...string) {
	first := t.MCP.Resource()
	different := others(t, first).Where(func(d *survey.Document) bool {
		return slices.ContainsFunc(members, func(name string) bool { return !reflect.DeepEqual(memberOf(d, name), memberOf(first, name)) })
	})
	if len(different) == 0 {
		judge(t, first)
		return
	}
	Each(t, append(Cases[*survey.Document]{{first.URL, first}}, different...), func(t *T, d *survey.Document) {
		t.Cite(d.Exchange)
		judge(t, d)
	})
}

// refusals are the answers to the protected request without a token, in both protocols.
func refusals(t *T) []*reports.Exchange {
	var out []*reports.Exchange
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if ex := t.Survey.Refused[w]; ex != nil {
			out = append(out, t.Cite(ex))
		}
	}
	return out
}
