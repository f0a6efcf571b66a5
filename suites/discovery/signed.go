package discovery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// signed is signed_metadata, read.
type signed struct {
	jws            string
	header, claims *document.Object // nil where they cannot be read
	plain          *document.Object
}

// signsTruthfully is RFC 9728 section 2.2.
func signsTruthfully(t *T) {
	d := t.MCP.Resource()
	s := signed{jws: d.Object.String("signed_metadata"), plain: d.Object}
	if s.jws == "" {
		t.NotApplicable("signed_metadata is absent, which is usual")
	}
	if parts := strings.Split(s.jws, "."); len(parts) == 3 {
		s.header, s.claims = segment(parts[0]), segment(parts[1])
	}
	seen := t.Expect(s).SeenIn(d.Exchange)
	if seen.To(beReadable()) && seen.To(beSigned()) {
		seen.To(nameSigner(), equalThePlain, beCurrent(t.MCP.Now().Unix()), notNest())
		verifySigned(t, s)
	}
}

// verifySigned verifies with the keys of the resource, where it attests itself. RFC 9728 does not say where the keys of other signers are.
func verifySigned(t *T, s signed) {
	uri := s.plain.String("jwks_uri")
	if iss := s.claims.String("iss"); uri == "" || iss != s.plain.String("resource") {
		t.Note("the signature is not verified: it is by %q, whose keys nothing leads to", iss)
		return
	}
	ex := t.Get(uri)
	set, _, err := document.ParseObject(expect.Body(ex))
	if err != nil {
		t.Inconclusive("the key set of jwks_uri cannot be read: %v", err)
	}
	verified := mint.Verify(t.Context(), s.jws, expect.Keys(set))
	if errors.Is(verified, mint.ErrUntried) {
		t.Inconclusive("the signature cannot be judged: %v", verified)
	}
	t.Expect(s).SeenIn(ex).To(expect.That("a signature by a key of jwks_uri", func(signed) string {
		if verified != nil {
			return verified.Error()
		}
		return ""
	}))
}

func segment(s string) *document.Object {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	o, _, _ := document.ParseObject(string(b)) // nil if it is not an object
	return o
}

var beReadable = expect.Family("beReadable", func() expect.Matcher {
	return expect.That("a compact JWS in signed_metadata", func(s signed) string {
		if s.header == nil || s.claims == nil {
			return "signed_metadata cannot be decoded"
		}
		return ""
	})
})

var beSigned = expect.Family("beSigned", func() expect.Matcher {
	return expect.That("a signature", func(s signed) string {
		if alg := s.header.String("alg"); alg == "" || strings.EqualFold(alg, "none") || strings.HasSuffix(s.jws, ".") {
			return fmt.Sprintf("alg is %q", alg)
		}
		return ""
	})
})

var nameSigner = expect.Family("nameSigner", func() expect.Matcher {
	return expect.That("the claim iss, which names who attests", func(s signed) string {
		if s.claims.String("iss") == "" {
			return "iss is absent"
		}
		return ""
	})
})

var equalThePlain = expect.That("signed members that equal the plain ones", func(s signed) string {
	return document.Contradiction(s.claims, s.plain)
})

// beCurrent expects an exp, if there is one, that has not passed (RFC 7519 section 4.1.4).
var beCurrent = expect.Family("beCurrent", func(now int64) expect.Matcher {
	return expect.That("no exp, or one in the future", func(s signed) string {
		v, _ := s.claims.Get("exp")
		if at, ok := expect.Number(v); ok && at <= float64(now) {
			return "exp: " + document.Text(v) + ", which has passed"
		}
		return ""
	})
})

var notNest = expect.Family("notNest", func() expect.Matcher {
	return expect.That("no signed_metadata inside itself", func(s signed) string {
		if _, nested := s.claims.Get("signed_metadata"); nested {
			return "the signed claims have a member signed_metadata"
		}
		return ""
	})
})
