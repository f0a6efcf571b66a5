// Package metadata contains the checks on authorization server metadata (RFC 8414, OpenID Connect
// Discovery).
package metadata

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 8414 section 2.1, RFC 9728 section 4: further metadata", further)
	Describe("RFC 8414 section 3: Obtaining Authorization Server Metadata", obtaining)
	Describe("RFC 8414 section 2: Authorization Server Metadata", members)
	Describe("MCP Authorization: Authorization Server Metadata Discovery", promises)
	Describe("RFC 8414 section 2: what the metadata claims, tried", behaviour)
}

// found are the documents of an authorization server.
func found(s *survey.Server) []*survey.Document {
	var out []*survey.Document
	for i := range s.Documents {
		if s.Documents[i].Found() {
			out = append(out, &s.Documents[i])
		}
	}
	return out
}

// everyFound is t.AS.Each for all documents.
func everyFound(t *T, judge func(d *survey.Document)) {
	t.AS.Each(func(s *survey.Server, _ *survey.Document) {
		for _, d := range found(s) {
			judge(d)
		}
	})
}

// everyDocument judges all documents of all authorization servers.
func everyDocument(t *T, judge func(t *T, d *survey.Document)) {
	var rows Cases[*survey.Document]
	t.AS.Each(func(s *survey.Server, _ *survey.Document) {
		for _, d := range found(s) {
			t.Cite(d.Exchange)
			rows = rows.And(d.URL, d)
		}
	})
	Each(t, rows, judge)
}

// onDocument judges a document by a condition on it, which says what is wrong.
func onDocument(expected string, problem func(d *survey.Document) string) expect.Matcher {
	return expect.That(expected, problem)
}

// inList expects a value in a member that is an array of strings.
var inList = expect.Family("inList", func(name, value, expected string) expect.Matcher {
	return onDocument(expected, func(d *survey.Document) string {
		if list, _ := d.Object.Strings(name); !slices.Contains(list, value) {
			return describe(d, name)
		}
		return ""
	})
})

// notInList expects a list not to contain a value.
func notInList(name, expected string, bad func(value string) bool) expect.Matcher {
	return onDocument(expected, func(d *survey.Document) string {
		list, _ := d.Object.Strings(name)
		if i := slices.IndexFunc(list, bad); i >= 0 {
			return fmt.Sprintf("%q in %s", list[i], name)
		}
		return ""
	})
}

func describe(d *survey.Document, name string) string {
	v, ok := d.Object.Get(name)
	if !ok {
		return name + " is absent"
	}
	if list, isList := d.Object.Strings(name); isList {
		return fmt.Sprintf("%s: [%s]", name, strings.Join(list, ", "))
	}
	return name + ": " + document.Text(v)
}
