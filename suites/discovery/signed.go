package discovery

import (
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// signsTruthfully is RFC 9728 section 2.2.
func signsTruthfully(t *T) {
	eachDocument(t, judgeSigned, "signed_metadata", "authorization_servers", "scopes_supported", "jwks_uri")
}

func judgeSigned(t *T, d *survey.Document) {
	s := SignedCopyOf(d.Object)
	if s == nil {
		t.NotApplicable("signed_metadata is absent, which is usual")
	}
	if s.MeetsTheForm(t.Expect(s).SeenIn(d.Exchange), t.MCP.Now()) {
		verifySigned(t, s, d.Object)
	}
}

// verifySigned verifies with the keys of the resource, where it attests itself. RFC 9728 does not say where the keys of other signers are.
func verifySigned(t *T, s *SignedCopy, plain *document.Object) {
	uri := plain.String("jwks_uri")
	if uri == "" || s.Signer() != plain.String("resource") {
		s.NotVerified(t)
		return
	}
	ex := t.Get(uri)
	set, _, err := document.ParseObject(expect.Body(ex))
	if err != nil {
		t.Inconclusive("the key set of jwks_uri cannot be read: %v", err)
	}
	s.VerifiesBy(t, set, ex)
}
