package cimd

import (
	jsondoc "github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// MCP: authorization servers SHOULD support client ID metadata documents.
func announcesSupport(t *T) {
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		t.Expect(m.Object, "%s", s.Issuer).SeenIn(m.Exchange).To(expect.HaveMember(flag, true))
	})
}

// "client_id_metadata_document_supported: OPTIONAL. Boolean value" (section 5)
func announcesWhatWorks(t *T) {
	metadata := t.AS.Server().Metadata
	t.Expect(metadata).To(haveBooleanFlag)
	r := tried(t)
	t.AS.MustReachDecision(r.Grant)
	if claimed, _ := metadata.Bool(flag); !claimed {
		t.Expect(r).Ideally(expect.Refusing("a claim of support in the metadata, since documents work", func(r *request) string {
			if accepted(r.Grant) {
				return "the client of a document is served, and the metadata does not claim support"
			}
			return ""
		}))
		return
	}
	if r.page.Hits() == 0 && !accepted(r.Grant) {
		t.Inconclusive("%s", unfetched(r))
	}
	if t.Expect(r, "support is claimed").To(beServed()) {
		othersMustGetTokens(t)
		t.Expect(t.AS.Redemption(As(r.Client)).Send(), "the token request of the client").To(expect.IssueTokens())
	}
}

// othersMustGetTokens ends the check undecided where a registered client gets no token either: then the document is not the cause.
func othersMustGetTokens(t *T) {
	if c, _ := t.Session.Client(t.Context(), session.Public); c != nil && c.Registered != nil {
		t.AS.MustGetTokens(As(c))
	}
}

var haveBooleanFlag = expect.That(flag+" absent, true or false", func(m *jsondoc.Object) string {
	v, has := m.Get(flag)
	if _, is := v.(bool); has && !is {
		return flag + ": " + jsondoc.Text(v)
	}
	return ""
})
