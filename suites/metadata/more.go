package metadata

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// weighty are the members that clients act on.
var weighty = []string{"issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint"}

// further are the checks on what metadata may hold beside the usual.
func further() {
	// RFC 8414 section 2.1.
	May("AS-META-SIGNED-METADATA", func(t *T) {
		signed := false
		t.AS.Each(func(s *survey.Server, m *survey.Document) {
			jws := m.Object.String("signed_metadata")
			if jws == "" {
				return
			}
			signed = true
			header, claims := segments(jws)
			switch {
			case header == nil || claims == nil:
				t.Unmet(m.Exchange, "signed_metadata to be a compact JWS", "it cannot be decoded")
				return
			case strings.EqualFold(header.String("alg"), "none"), strings.HasSuffix(jws, "."):
				t.Unmet(m.Exchange, "a signature", "alg is %q", header.String("alg"))
				return
			case claims.String("iss") == "":
				t.Unmet(m.Exchange, "the claim iss, which names who attests", "it is absent")
			}
			for _, name := range weighty {
				if v := claims.String(name); v != "" && v != m.Object.String(name) {
					t.Unmet(m.Exchange, "the signed "+name+" to equal the plain one", "%q", v)
				}
			}
			if _, nested := claims.Get("signed_metadata"); nested {
				t.Unmet(m.Exchange, "no signed_metadata inside itself", "it is there")
			}
			if claims.String("iss") != s.Issuer || s.JWKS.Object == nil {
				t.Note("the signature is not verified: it is by %q, whose keys nothing leads to", claims.String("iss"))
			} else if err := mint.Verify(t.Context(), jws, expect.Keys(s.JWKS.Object)); errors.Is(err, mint.ErrUntried) {
				t.Inconclusive("the signature cannot be judged: %v", err)
			} else if err != nil {
				t.Unmet(m.Exchange, "a signature by a key of jwks_uri", "%v", err)
			}
		})
		if !signed {
			t.NotApplicable("signed_metadata is absent, which is usual")
		}
	})

	// RFC 9728 section 4.
	May("AS-META-PROTECTED-RESOURCES", func(t *T) {
		listed := false
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			v, has := m.Object.Get("protected_resources")
			if !has {
				return
			}
			listed = true
			resources, ok := m.Object.Strings("protected_resources")
			if !ok {
				t.Unmet(m.Exchange, "protected_resources as a list of resource identifiers", "%v", v)
				return
			}
			for _, r := range resources {
				if u, err := document.ParseURL(r); err != nil || u.Fragment != "" || strings.Contains(r, "#") {
					t.Unmet(m.Exchange, "absolute URLs without fragment in protected_resources", "%q", r)
				}
			}
			if !slices.Contains(resources, t.MCP.Identifier()) {
				t.Note("%s is not listed, as RFC 9728 allows", t.MCP.Identifier())
			}
		})
		if !listed {
			t.NotApplicable("protected_resources is absent, which is usual")
		}
	})

	Practice("AS-META-STABLE", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for range 3 {
				ex := t.Get(m.URL)
				again, _, err := document.ParseObject(expect.Body(ex))
				if err != nil || expect.Status(ex) != 200 {
					t.Unmet(ex, "the same document each time", "%s", expect.Describe(ex))
					return
				}
				for _, name := range weighty {
					if again.String(name) != m.Object.String(name) {
						t.Unmet(ex, "the same "+name+" each time", "%q, and %q before", again.String(name), m.Object.String(name))
						return
					}
				}
			}
		})
	})
}

// segments are header and claims of a compact JWS; nil where they cannot be read.
func segments(jws string) (header, claims *document.Object) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	read := func(s string) *document.Object {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		o, _, _ := document.ParseObject(string(b)) // nil where it is none
		return o
	}
	return read(parts[0]), read(parts[1])
}
