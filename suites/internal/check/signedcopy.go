package check

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// SignedCopy is signed_metadata, read (RFC 8414 section 2.1, RFC 9728 section 2.2).
type SignedCopy struct {
	jws                   string
	header, claims, plain *document.Object // header and claims are nil where they cannot be read
}

// SignedCopyOf returns the signed copy in a document; nil if there is none.
func SignedCopyOf(plain *document.Object) *SignedCopy {
	s := &SignedCopy{jws: plain.String("signed_metadata"), plain: plain}
	if s.jws == "" {
		return nil
	}
	if parts := strings.Split(s.jws, "."); len(parts) == 3 {
		s.header, s.claims = objectIn(parts[0]), objectIn(parts[1])
	}
	return s
}

// objectIn is the JSON object in a segment of a JWS; nil if there is none.
func objectIn(segment string) *document.Object {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return nil
	}
	o, _, _ := document.ParseObject(string(b))
	return o
}

// Signer returns the claim iss.
func (s *SignedCopy) Signer() string { return s.claims.String("iss") }

// MeetsTheForm judges all but the signature, and reports whether there is one to verify.
func (s *SignedCopy) MeetsTheForm(seen Assertion, now time.Time) bool {
	if !seen.To(beReadableCopy) || !seen.To(beSignedCopy) {
		return false
	}
	seen.To(nameSigner, equalThePlain)
	if _, dated := s.claims.Get("exp"); dated {
		seen.To(beCurrentCopy(now.Unix()))
	}
	seen.To(notNest)
	return true
}

// VerifiesBy judges the signature by a key set, which ex is the answer with.
func (s *SignedCopy) VerifiesBy(t *T, set *document.Object, ex *reports.Exchange) {
	verified := mint.Verify(t.Context(), s.jws, expect.Keys(set))
	if errors.Is(verified, mint.ErrUntried) {
		t.Inconclusive("the signature cannot be judged: %v", verified)
	}
	t.Expect(s).SeenIn(ex).To(expect.That("a signature by a key of jwks_uri", func(*SignedCopy) string {
		if verified != nil {
			return verified.Error()
		}
		return ""
	}))
}

// NotVerified notes that nothing leads to the keys of the signer.
func (s *SignedCopy) NotVerified(t *T) {
	t.Note("the signature is not verified: it is by %q, whose keys nothing leads to", s.Signer())
}

var beReadableCopy = expect.That("a compact JWS in signed_metadata", func(s *SignedCopy) string {
	if s.header == nil || s.claims == nil {
		return "signed_metadata cannot be decoded"
	}
	return ""
})

var beSignedCopy = expect.That("a signature", func(s *SignedCopy) string {
	if alg := s.header.String("alg"); alg == "" || strings.EqualFold(alg, "none") || strings.HasSuffix(s.jws, ".") {
		return fmt.Sprintf("alg is %q", alg)
	}
	return ""
})

var nameSigner = expect.That("the claim iss, which names who attests", func(s *SignedCopy) string {
	if s.Signer() == "" {
		return "iss is absent"
	}
	return ""
})

var equalThePlain = expect.That("signed members that equal the plain ones", func(s *SignedCopy) string {
	return document.Contradiction(s.claims, s.plain)
})

// beCurrentCopy expects an exp, if there is one, that has not passed (RFC 7519 section 4.1.4).
var beCurrentCopy = expect.Family("beCurrentCopy", func(now int64) expect.Matcher {
	return expect.That("no exp, or one in the future", func(s *SignedCopy) string {
		v, _ := s.claims.Get("exp")
		if at, ok := expect.Number(v); ok && at <= float64(now) {
			return "exp: " + document.Text(v) + ", which has passed"
		}
		return ""
	})
})

var notNest = expect.That("no signed_metadata inside itself", func(s *SignedCopy) string {
	if _, nested := s.claims.Get("signed_metadata"); nested {
		return "the signed claims have a member signed_metadata"
	}
	return ""
})
