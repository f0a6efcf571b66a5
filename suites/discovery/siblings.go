package discovery

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 9728 section 3.1: one host may have many resources, each with its own document.
func siblings() {
	Practice("RS-DISC-MULTI-RESOURCE", separatesResources)
	Should("RS-DISC-SCOPES-PUBLISHED", publishesScopes)
}

func separatesResources(t *T) {
	other := t.Sibling.Any()
	if !t.Expect(other).SeenIn(other.Fetched).To(haveOwnDocument(t)) {
		return
	}
	challenge := t.Sibling.Use(other, "")
	ours, has := expect.Param(t.MCP.Anonymous(), "resource_metadata")
	t.Expect(challenge, "the challenge of %s",
		other.Endpoint).To(expect.That("resource_metadata of its own", func(ex *reports.Exchange) string {
		if named, ok := expect.Param(ex, "resource_metadata"); ok && has && named == ours {
			return "both challenges name " + named
		}
		return ""
	}))
}

var haveOwnDocument = expect.Family("haveOwnDocument", func(t *T) expect.Matcher {
	own := t.MCP.Identifier()
	return expect.That("a document of its own for the other endpoint, with a resource of its own", func(other Sibling) string {
		switch {
		case other.Metadata == nil:
			return expect.Describe(other.Fetched)
		case other.Resource == own && own != other.Endpoint && own != t.Survey.Endpoint:
			return fmt.Sprintf("both endpoints publish %s: a token for one is a token for the other", own)
		case other.Resource == own:
			return fmt.Sprintf("the document of %s names %s", other.Endpoint, own)
		}
		return ""
	})
})

func publishesScopes(t *T) {
	d := t.MCP.Resource()
	scope, _ := expect.Param(t.MCP.Anonymous(), "scope")
	challenged := strings.TrimSpace(scope) != ""
	scopes, _ := d.Object.Strings("scopes_supported")
	tools := t.MCP.ScopedTools()
	if !challenged && len(scopes) == 0 && len(tools) == 0 {
		t.NotApplicable("no scope is published, and no tool is declared to need one")
	}
	t.Expect(d).SeenIn(d.Exchange).To(expect.That("the scopes that tools need in scopes_supported, or in the challenge",
		func(*survey.Document) string {
			if !challenged && len(scopes) == 0 {
				return fmt.Sprintf("neither scopes_supported nor the challenge names a scope, though %s needs %s", tools[0].Name, tools[0].Needs())
			}
			return ""
		}))
}
