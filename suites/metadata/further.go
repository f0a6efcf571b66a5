package metadata

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// further are the checks on less common members of metadata.
func further() {
	May("AS-META-SIGNED-METADATA", signsTruthfully)
	May("AS-META-PROTECTED-RESOURCES", listsResourcesTruthfully)
	Practice("AS-META-STABLE", servesTheSameAgain)
}

// weighty are the members that clients depend on.
var weighty = []string{
	"issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint",
}

// signsTruthfully is RFC 8414 section 2.1.
func signsTruthfully(t *T) {
	present := false
	t.AS.Each(func(a *survey.Server, m *survey.Document) {
		s := SignedCopyOf(m.Object)
		if s == nil {
			return
		}
		present = true
		switch {
		case !s.MeetsTheForm(t.Expect(s, "%s", m.URL).SeenIn(m.Exchange), t.MCP.Now()):
		case s.Signer() != a.Issuer || a.JWKS.URL == "":
			s.NotVerified(t)
		case a.JWKS.Object == nil:
			t.Leave(m.URL, "the key set of jwks_uri cannot be read")
		default:
			s.VerifiesBy(t, a.JWKS.Object, m.Exchange)
		}
	})
	if !present {
		t.NotApplicable("signed_metadata is absent, which is usual")
	}
}

// RFC 9728 section 4.
func listsResourcesTruthfully(t *T) {
	present := false
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		if _, has := m.Object.Get("protected_resources"); !has {
			return
		}
		present = true
		resources, isList := m.Object.Strings("protected_resources")
		t.Expect(m, "%s", m.URL).SeenIn(m.Exchange).To(onDocument("protected_resources as a list of absolute URLs without fragment",
			func(d *survey.Document) string {
				if bad := slices.IndexFunc(resources, noResource); bad >= 0 {
					return fmt.Sprintf("%q", resources[bad])
				} else if !isList {
					return describe(d, "protected_resources")
				}
				return ""
			}))
		if isList && !slices.Contains(resources, t.MCP.Identifier()) {
			t.Note("%s is not listed, as RFC 9728 allows", t.MCP.Identifier())
		}
	})
	if !present {
		t.NotApplicable("protected_resources is absent, which is usual")
	}
}

func noResource(r string) bool {
	_, err := document.ParseURL(r)
	return err != nil || strings.Contains(r, "#")
}

func servesTheSameAgain(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		same := expect.That("the same document each time", func(ex *reports.Exchange) string {
			again, _, err := survey.ReadDocument(ex)
			if err != nil {
				return expect.Describe(ex)
			}
			for _, name := range weighty {
				if again.String(name) != m.Object.String(name) {
					return fmt.Sprintf("%s: %q, and %q before", name, again.String(name), m.Object.String(name))
				}
			}
			return ""
		})
		for i := range 3 {
			again := t.Do(wire.Request{Method: "GET", URL: m.Answered(), Header: accept(), Fresh: true}) // it may reach another instance
			t.Expect(again, "%s, fetch %d", m.URL, i+2).To(same)
		}
	})
}
