// Package scope holds the checks on scopes: advertised, challenged and enforced.
package scope

import (
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: Scope Minimization", minimization)
	Describe("MCP Authorization: Scope Challenge Handling", enforced)
	Describe("MCP Authorization: what a refused call does", effects)
	Describe("MCP Tools: lists that depend on the caller", lists)
	Describe("MCP Authorization: Access Token Privilege Restriction", ownership)
	Describe("MCP Resources, Prompts, Completion: access control", primitives)
	Describe("OAuth 2.1 section 1.4.1: scopes that name tools, and users", naming)
	Describe("OAuth 2.1 section 1.4.1: Access Token Scope", granted)
}

func minimization() {
	Practice("AS-SCOPE-NO-OMNIBUS", func(t *T) {
		listed := false
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			scopes, _ := m.Object.Strings("scopes_supported")
			listed = listed || len(scopes) > 0
			for _, s := range scopes {
				if expect.Omnibus(s) {
					t.Advise(m.Exchange, "no scope that means everything", "%q", s)
				}
			}
		})
		if !listed {
			t.NotApplicable("no scopes are published")
		}
	})
}
