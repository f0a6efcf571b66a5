package metadata

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
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

// signed is signed_metadata, read (RFC 8414 section 2.1).
type signed struct {
	jws            string
	header, claims *document.Object // nil where they cannot be read
	plain          *document.Object
}

func onSigned(expected string, problem func(s signed) string) expect.Matcher {
	return expect.That(expected, problem)
}

func signsTruthfully(t *T) {
	present := false
	t.AS.Each(func(a *survey.Server, m *survey.Document) {
		s := signed{jws: m.Object.String("signed_metadata"), plain: m.Object}
		if s.jws == "" {
			return
		}
		present = true
		s.header, s.claims = segments(s.jws)
		seen := t.Expect(s, "%s", m.URL).SeenIn(m.Exchange)
		if seen.To(beReadable()) && seen.To(beSigned()) && seen.To(nameSigner()) {
			seen.To(equalThePlain(), beCurrent(t.MCP.Now().Unix()), notNest())
			verify(t, a, s, m.Exchange)
		}
	})
	if !present {
		t.NotApplicable("signed_metadata is absent, which is usual")
	}
}

// verify verifies a signature with the keys of the server, where it attests itself.
func verify(t *T, a *survey.Server, s signed, ex *reports.Exchange) {
	if s.claims.String("iss") != a.Issuer || a.JWKS.Object == nil {
		t.Note("the signature is not verified: it is by %q, whose keys nothing leads to", s.claims.String("iss"))
		return
	}
	err := mint.Verify(t.Context(), s.jws, expect.Keys(a.JWKS.Object))
	if errors.Is(err, mint.ErrUntried) {
		t.Inconclusive("the signature cannot be judged: %v", err)
	}
	t.Expect(s).SeenIn(ex).To(onSigned("a signature by a key of jwks_uri", func(signed) string {
		if err != nil {
			return err.Error()
		}
		return ""
	}))
}

func beReadable() expect.Matcher {
	return onSigned("a compact JWS in signed_metadata", func(s signed) string {
		if s.header == nil || s.claims == nil {
			return "signed_metadata cannot be decoded"
		}
		return ""
	})
}

func beSigned() expect.Matcher {
	return onSigned("a signature", func(s signed) string {
		if alg := s.header.String("alg"); alg == "" || strings.EqualFold(alg, "none") || strings.HasSuffix(s.jws, ".") {
			return fmt.Sprintf("alg is %q", alg)
		}
		return ""
	})
}

func nameSigner() expect.Matcher {
	return onSigned("the claim iss, which names who attests", func(s signed) string {
		if s.claims.String("iss") == "" {
			return "iss is absent"
		}
		return ""
	})
}

func equalThePlain() expect.Matcher {
	return onSigned("signed members that equal the plain ones", func(s signed) string { return document.Contradiction(s.claims, s.plain) })
}

// beCurrent expects an exp, if there is one, that has not passed (RFC 7519 section 4.1.4).
func beCurrent(now int64) expect.Matcher {
	return onSigned("no exp, or one in the future", func(s signed) string {
		v, _ := s.claims.Get("exp")
		if at, ok := expect.Number(v); ok && at <= float64(now) {
			return "exp: " + document.Text(v) + ", which has passed"
		}
		return ""
	})
}

func notNest() expect.Matcher {
	return onSigned("no signed_metadata inside itself", func(s signed) string {
		if _, nested := s.claims.Get("signed_metadata"); nested {
			return "the signed claims have a member signed_metadata"
		}
		return ""
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
		o, _, _ := document.ParseObject(string(b)) // nil if it is not one
		return o
	}
	return read(parts[0]), read(parts[1])
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
