// Package scope contains the checks on scopes: advertised, challenged and enforced.
package scope

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: Scope Minimization", minimization)
	Describe("MCP Authorization: Scope Challenge Handling", enforced)
	Describe("OAuth 2.1 section 1.4.1: how scopes are compared", compared)
	Describe("MCP Authorization: what a refused call does", effects)
	Describe("MCP Tools: lists that depend on the caller", lists)
	Describe("MCP Authorization: Access Token Privilege Restriction", ownership)
	Describe("MCP Resources, Prompts, Completion: access control", primitives)
	Describe("OAuth 2.1 section 1.4.1: scopes that name tools, and users", naming)
	Describe("OAuth 2.1 section 1.4.1: Access Token Scope", granted)
}

func minimization() { Practice("AS-SCOPE-NO-OMNIBUS", publishesNoOmnibusScope) }

func publishesNoOmnibusScope(t *T) {
	listed := false
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		scopes, _ := m.Object.Strings("scopes_supported")
		listed = listed || len(scopes) > 0
		t.Expect(scopes, "scopes_supported").SeenIn(m.Exchange).Ideally(holdNoOmnibusScope)
	})
	if !listed {
		t.NotApplicable("no scopes are published")
	}
}

var holdNoOmnibusScope = expect.That("no scope that means everything", func(scopes []string) string {
	wide := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !expect.Omnibus(s) })
	if len(wide) == 0 {
		return ""
	}
	return "the scope " + strings.Join(wide, " ")
})
