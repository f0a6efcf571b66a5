package tokenvalidation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func signatures() {
	Must("RS-TOKEN-SIG-STRIPPED", refusesStrippedSignatures)
	Must("RS-TOKEN-ECDSA-EDGE", refusesDegenerateSignatures)
	Must("RS-TOKEN-SIG-TAMPERED", refusesTamperedTokens)
	Practice("RS-TOKEN-NONCANONICAL-ENCODING", refusesOtherSpellings)
	Must("RS-TOKEN-UNKNOWN-KID", refusesUnknownKeys)
	Must("RS-TOKEN-CRIT-UNKNOWN", refusesUnknownExtensions)
	Practice("RS-TOKEN-DUPLICATE-MEMBERS", readsDuplicatesOneWay)
}

// good are the segments of a JWT that the target accepts: a minted one, or the user's.
func good(t *T) []string {
	token := t.MCP.Token()
	if t.Mint.Trusted() {
		token = t.Mint.Token(nil)
	}
	return strings.Split(token, ".")
}

func refusesStrippedSignatures(t *T) {
	p := good(t)
	refuse(t, Cases[string]{
		{"the signature left out", p[0] + "." + p[1] + "."},
		{"the third segment left out", p[0] + "." + p[1]},
		{"a signature of one byte", p[0] + "." + p[1] + ".AA"},
	}, 401)
}

// CVE-2022-21449 and similar defects: values with which any message verifies if their range is not checked first.
func refusesDegenerateSignatures(t *T) {
	p := strings.Split(t.Mint.Token(nil), ".")
	signature, err := base64.RawURLEncoding.DecodeString(p[2])
	if err != nil {
		t.Inconclusive("the issuer's signature is not base64url: %v", err)
	}
	alg, _ := t.Mint.Header()["alg"].(string)
	var rows Cases[string]
	for _, k := range degenerate(signature, alg) {
		rows = rows.And("a signature of "+k.Name, p[0]+"."+p[1]+"."+mint.Base64(k.Value))
	}
	refuse(t, rows, 401)
}

func degenerate(signature []byte, alg string) Cases[[]byte] {
	n := len(signature)
	at := func(places ...int) []byte {
		b := make([]byte, n)
		for _, i := range places {
			b[i] = 1
		}
		return b
	}
	kinds := Cases[[]byte]{
		{"zeros", at()},
		{"one", at(n - 1)},
		{"all bits set", bytes.Repeat([]byte{0xff}, n)},
		{"a zero byte added", append(slices.Clone(signature), 0)},
		{"the last byte left out", signature[:n-1]},
	}
	if strings.HasPrefix(alg, "ES") {
		kinds = kinds.And("r zero and s one", at(n-1)).And("r one and s zero", at(n/2-1))
	}
	return kinds
}

func damaged(signature []byte) Cases[[]byte] {
	flipped := func(i int) []byte {
		b := slices.Clone(signature)
		b[i] ^= 1
		return b
	}
	backwards := slices.Clone(signature)
	slices.Reverse(backwards)
	return Cases[[]byte]{
		{"the first byte of the signature changed", flipped(0)},
		{"the middle byte of the signature changed", flipped(len(signature) / 2)},
		{"the last byte of the signature changed", flipped(len(signature) - 1)},
		{"the signature reversed", backwards},
		{"a signature of zeros", make([]byte, len(signature))},
	}
}

func refusesTamperedTokens(t *T) {
	p := good(t)
	signature, err := base64.RawURLEncoding.DecodeString(p[2])
	if err != nil || len(signature) < 3 {
		t.NotApplicable("the token's third segment is not a signature")
	}
	var rows Cases[string]
	for _, s := range damaged(signature) {
		rows = rows.And(s.Name, p[0]+"."+p[1]+"."+mint.Base64(s.Value))
	}
	for _, claim := range tampered(claimsOf(p[1])) {
		c := claimsOf(p[1]) // its jti too: a server may look it up
		c[claim.Name] = claim.Value
		rows = rows.And(claim.Name+" changed under the old signature", p[0]+"."+mint.Base64([]byte(mint.JSON(c)))+"."+p[2])
	}
	refuse(t, rows, 401)
}

// claimsOf are the claims in a segment of a JWT.
func claimsOf(segment string) mint.Claims {
	b, _ := base64.RawURLEncoding.DecodeString(segment) // the target has served the token
	c := mint.Claims{}
	_ = json.Unmarshal(b, &c)
	return c
}

// tampered are claims that an attacker would change, with values that the server would accept if they were signed.
func tampered(c mint.Claims) Cases[any] {
	return Cases[any]{
		{"sub", "admin"},
		{"scope", "admin *"},
		{"exp", 4102444800},
		{"aud", append(c.Audiences(), otherServer)},
	}
}

// RFC 7515 section 2: base64url "with all trailing '=' characters omitted ... and without the inclusion of any line breaks,
// whitespace, or other additional characters".
func refusesOtherSpellings(t *T) {
	p := good(t)
	for range 3 { // most signatures are spelled differently in the two alphabets
		if another := good(t); !strings.ContainsAny(p[2], "-_") { // with a seed, each run makes the same number of tokens
			p = another
		}
	}
	whole := strings.Join(p, ".")
	refuse(t, Cases[string]{
		{"a fourth segment", t.Hide(whole + ".AA")},
		{"a dot at the end", t.Hide(whole + ".")},
		{"a dot in front", t.Hide("." + whole)},
	}.In("the token"), 401, 400)
	Each(t, Cases[string]{
		{"padding", whole + "="},
		{"the other base64 alphabet", p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2])},
		{"other unused bits in the last character", p[0] + "." + p[1] + "." + respelled(p[2])},
	}.In("the token"), func(t *T, spelling string) {
		if spelling == whole {
			t.NotApplicable("this token has no such spelling")
		}
		t.Expect(t.MCP.Use(t.Hide(spelling)), "one spelling for one token").Ideally(expect.Refuse(401, 400))
	})
}

// respelled is a segment of base64url whose last character has other unused bits: it decodes to the same bytes.
func respelled(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(segment)%4 != 2 && len(segment)%4 != 3 {
		return segment
	}
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last^1])
}

func refusesUnknownKeys(t *T) {
	h, a := t.Mint.Header().With("kid", "unknown-1"), mint.NewAttacker()
	var rows Cases[string]
	for _, alg := range a.Algorithms(h) {
		rows = rows.And(alg+" signed with an unpublished key", a.Sign(alg, h, t.Mint.Claims(nil)))
	}
	refuse(t, rows, 401)
	// The genuine key under a wrong kid is not a forgery: a server that tries every key accepts it.
	Each(t, Cases[any]{
		{"an unknown kid", "unknown-2"},
		{"a number as kid", 7},
		{"a list as kid", []any{"rsa-1"}},
		{"a kid of 4 KiB", strings.Repeat("k", 4<<10)},
	}, func(t *T, kid any) {
		// A limit on the size of header fields may refuse the longest one (RS-TOKEN-OVERSIZED).
		t.Expect(t.Mint.Presented().Send(HeaderParameter("kid", kid)), "the genuine key").Ideally(expect.Refuse(401, 400, 413, 431))
	})
}

// RFC 7515 section 4.1.11.
func refusesUnknownExtensions(t *T) {
	unknown := HeaderParameter("urn:example:unknown", "1")
	withUnknown := t.Mint.Presented()
	withUnknown.Name = "a token with an unknown header parameter that is not in crit"
	withUnknown.Send = func(edits ...TokenEdit) any {
		return t.Mint.Presented().Send(append([]TokenEdit{unknown}, edits...)...)
	}
	Refuses(t, withUnknown, Cases[TokenEdit]{
		{"crit with a parameter that is unknown", HeaderParameter("crit", []any{"urn:example:unknown"})},
		{"crit with a parameter that is absent", HeaderParameter("crit", []any{"urn:example:absent"})},
		{"crit with b64", TokenEdits(HeaderParameter("crit", []any{"b64"}), HeaderParameter("b64", false))},
	}, expect.Refuse(401))
	EachNoted(t, Cases[any]{
		{"crit as an empty list", []any{}},
		{"crit as a string", "exp"},
		{"crit with a registered parameter", []any{"alg"}},
	}, func(t *T, crit any) { // no producer may write these; "recipients MAY consider the JWS to be invalid"
		if ex := withUnknown.Send(HeaderParameter("crit", crit)); t.MCP.Served(expect.ExchangeOf(ex)) {
			t.Note("a crit that no producer may write is accepted, which RFC 7515 section 4.1.11 leaves open: %s", mint.JSON(crit))
		}
	})
}

// claim is a claim with a value.
type claim struct {
	name  string
	value any
}

// RFC 7519 section 4: a parser refuses duplicate members, or uses "only the lexically last duplicate member name".
func readsDuplicatesOneWay(t *T) {
	genuine := t.Mint.Claims(nil)
	Each(t, Cases[claim]{
		{"aud", claim{"aud", otherServer}},
		{"iss", claim{"iss", "https://evil.example"}},
		{"exp", claim{"exp", 1}},
	}, func(t *T, foreign claim) {
		name, bad, own := foreign.name, mint.JSON(foreign.value), mint.JSON(genuine[foreign.name])
		if t.MCP.Served(t.MCP.Use(t.Mint.Token(map[string]any{name: foreign.value}))) {
			t.NotApplicable("%s is not looked at: a token with the foreign value alone is served", name)
		}
		t.Expect(t.MCP.Use(withMembers(t, name, `"`+name+`":`+own+`,"`+name+`":`+bad)),
			"the good value first, then the foreign one").To(expect.Refuse(401))
		if t.MCP.Served(t.MCP.Use(withMembers(t, name, `"`+name+`":`+bad+`,"`+name+`":`+own))) {
			t.Note("%s twice: the last one is used, which RFC 7519 section 4 allows", name)
		}
	})
	Each(t, Cases[string]{{"a foreign aud, and AUD with the good value", mint.JSON(genuine["aud"])}}, func(t *T, own string) {
		if t.MCP.Served(t.MCP.Use(t.Mint.Token(map[string]any{"aud": otherServer}))) {
			t.NotApplicable("aud is not looked at: a token for another server is served")
		}
		t.Expect(t.MCP.Use(withMembers(t, "aud", `"aud":`+mint.JSON(otherServer)+`,"AUD":`+own))).To(expect.Refuse(401))
	})
	t.Mint.Control()
}

// withMembers is an ordinary token in which literal members replace one member.
func withMembers(t *T, name, members string) string {
	rest := strings.TrimSuffix(mint.JSON(t.Mint.Claims(map[string]any{name: nil})), "}")
	return t.Mint.Seal(mint.RawInput(t.Mint.Header(), rest+","+members+"}"))
}
