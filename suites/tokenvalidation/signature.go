package tokenvalidation

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// good is a JWT that the target accepts: a minted one, or the user's.
func good(t *T) []string {
	token := t.MCP.Token()
	if t.Issuer != nil {
		token = t.Mint.Token(nil)
	}
	return strings.Split(token, ".")
}

func signatures() {
	Must("RS-TOKEN-SIG-STRIPPED", func(t *T) {
		p := good(t)
		f := &forgeries{t: t}
		f.add(p[0]+"."+p[1]+".", "the signature left out")
		f.add(p[0]+"."+p[1], "the third segment left out")
		f.add(p[0]+"."+p[1]+".AA", "a signature of one byte")
		f.refused()
	})

	// CVE-2022-21449 and its relatives: values that verify anything where the arithmetic is not checked first.
	Must("RS-TOKEN-ECDSA-EDGE", func(t *T) {
		p := strings.Split(t.Mint.Token(nil), ".")
		signature, err := base64.RawURLEncoding.DecodeString(p[2])
		if err != nil {
			t.Inconclusive("the issuer's signature is no base64url: %v", err)
		}
		n := len(signature)
		one := make([]byte, n)
		one[n-1] = 1
		kinds := map[string][]byte{"zeros": make([]byte, n), "one": one, "a zero byte behind": append(slices.Clone(signature), 0), "one byte less": signature[:n-1], "all bits": bytes.Repeat([]byte{0xff}, n)}
		if alg, _ := t.Mint.Header()["alg"].(string); strings.HasPrefix(alg, "ES") {
			low, high := make([]byte, n), make([]byte, n)
			low[n-1], high[n/2-1] = 1, 1
			kinds["r zero, s one"], kinds["r one, s zero"] = low, high
		}
		f := &forgeries{t: t}
		for about, s := range Sorted(kinds) {
			f.add(p[0]+"."+p[1]+"."+base64.RawURLEncoding.EncodeToString(s), "a signature of %s", about)
		}
		f.refused()
		t.Mint.Control()
	})

	Must("RS-TOKEN-SIG-TAMPERED", func(t *T) {
		p := good(t)
		signature, err := base64.RawURLEncoding.DecodeString(p[2])
		if err != nil || len(signature) < 3 {
			t.NotApplicable("the token's third segment is no signature")
		}
		f := &forgeries{t: t}
		for about, i := range Sorted(map[string]int{"first": 0, "middle": len(signature) / 2, "last": len(signature) - 1}) {
			changed := slices.Clone(signature)
			changed[i] ^= 1
			f.add(p[0]+"."+p[1]+"."+base64.RawURLEncoding.EncodeToString(changed), "the %s byte of the signature changed", about)
		}
		slices.Reverse(signature)
		f.add(p[0]+"."+p[1]+"."+base64.RawURLEncoding.EncodeToString(signature), "the signature reversed")
		f.add(p[0]+"."+p[1]+"."+base64.RawURLEncoding.EncodeToString(make([]byte, len(signature))), "a signature of zeros")
		g := t.Mint.Genuine()
		if t.Issuer != nil {
			g = Genuine{Header: t.Mint.Header(), Claims: t.Mint.Claims(nil)}
		}
		for about, claim := range Sorted(map[string][2]any{"sub": {"sub", "admin"}, "scope": {"scope", "admin *"}, "exp": {"exp", 4102444800}, "aud": {"aud", "https://other.example"}}) {
			c := mint.Claims{}
			for k, v := range g.Claims {
				c[k] = v
			}
			c[claim[0].(string)] = claim[1]
			f.add(mint.Input(g.Header, c)+"."+p[2], "%s changed under the old signature", about)
		}
		f.refused()
	})

	Practice("RS-TOKEN-NONCANONICAL-ENCODING", func(t *T) {
		var p []string
		for range 4 { // one of them has a signature that the alphabets spell differently
			if q := good(t); p == nil || strings.ContainsAny(q[2], "-_") {
				p = q
			}
		}
		whole := strings.Join(p, ".")
		for about, v := range Sorted(map[string]string{"a fourth segment": whole + ".AA", "a dot at the end": whole + ".", "a dot in front": "." + whole}) {
			t.Expect(t.Send(t.MCP.Call().With(mcp.Bearer(t.Hide(v)))), "%s", about).To(expect.Refuse(401, 400))
		}
		for about, v := range Sorted(map[string]string{"padding": whole + "=", "the other base64 alphabet": p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2])}) {
			if v == whole {
				continue
			}
			ex := t.Send(t.MCP.Call().With(mcp.Bearer(t.Hide(v))))
			if expect.Crashed(ex) {
				t.Finding(ex, about, "HTTP 401", expect.Describe(ex))
			} else if t.MCP.Served(ex) {
				t.Advise(ex, "one spelling for one token (RFC 7515 section 2)", "%s: it is served", about)
			}
		}
	})

	Must("RS-TOKEN-UNKNOWN-KID", func(t *T) {
		h, a := t.Mint.Header(), mint.NewAttacker()
		f := &forgeries{t: t}
		f.add(a.ES256(h.With("kid", "unknown-1").With("alg", "ES256"), t.Mint.Claims(nil)), "signed by a key nobody published, unknown kid")
		f.add(a.EdDSA(h.With("kid", "unknown-1").With("alg", "EdDSA"), t.Mint.Claims(nil)), "signed EdDSA by a key nobody published, unknown kid")
		t.Mint.Control()
		f.refused()
		// The genuine key under a wrong kid is no forgery: whoever tries every key accepts it.
		for about, kid := range Sorted(map[string]any{"an unknown name": "unknown-2", "a number": 7, "a list": []any{"rsa-1"}, "10 KiB": strings.Repeat("k", 10<<10)}) {
			if ex := t.MCP.Use(t.Mint.TokenWith(h.With("kid", kid), nil)); expect.Crashed(ex) {
				t.Finding(ex, "the genuine key, kid: "+about, "an answer below 500", expect.Describe(ex))
			} else if t.MCP.Served(ex) {
				t.Advise(ex, "a refusal for a kid that names no key", "kid: %s; the genuine key is tried all the same", about)
			}
		}
	})

	Must("RS-TOKEN-CRIT-UNKNOWN", func(t *T) {
		h := t.Mint.Header()
		f := &forgeries{t: t}
		unknown := h.With("urn:example:unknown", "1")
		for about, crit := range Sorted(map[string]any{"an unknown member": []any{"urn:example:unknown"}, "a member that is absent": []any{"urn:example:absent"}, "b64": []any{"b64"}}) {
			header := unknown.With("crit", crit)
			if about == "b64" {
				header = header.With("b64", false)
			}
			f.add(t.Mint.TokenWith(header, nil), "crit with %s", about)
		}
		if ex := t.MCP.Use(t.Mint.TokenWith(unknown, nil)); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: an unknown header member without crit is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		f.refused()
		// Section 4.1.11: of a crit that nobody may produce, "recipients MAY consider the JWS to be invalid".
		for about, crit := range Sorted(map[string]any{"an empty list": []any{}, "a string": "exp", "a registered member": []any{"alg"}}) {
			t.Expect(t.MCP.Use(t.Mint.TokenWith(unknown.With("crit", crit), nil)), "crit with %s", about).Ideally(expect.Refuse(401))
		}
	})

	Practice("RS-TOKEN-DUPLICATE-MEMBERS", func(t *T) {
		h := t.Mint.Header()
		send := func(name, first, last string) bool {
			rest := strings.TrimSuffix(mint.JSON(t.Mint.Claims(map[string]any{name: nil})), "}")
			ex := t.MCP.Use(t.Mint.Seal(mint.RawInput(h, rest+`,"`+name+`":`+first+`,"`+name+`":`+last+"}")))
			if expect.Crashed(ex) {
				t.Finding(ex, name+" twice", "HTTP 401", expect.Describe(ex))
			}
			return t.MCP.Served(ex)
		}
		genuine := t.Mint.Claims(nil)
		for name, foreign := range Sorted(map[string]string{"aud": `"https://other.example"`, "iss": `"https://evil.example"`, "exp": "1"}) {
			own := mint.JSON(genuine[name])
			if send(name, own, foreign) {
				t.Finding(nil, name+" twice", "a refusal, or the last member to count (RFC 7519 section 4)", "the first one counts")
			}
			if send(name, foreign, own) {
				t.Advise(nil, "a refusal", "%s twice: the last one counts", name)
			}
		}
		rest := strings.TrimSuffix(mint.JSON(t.Mint.Claims(map[string]any{"aud": "https://other.example"})), "}")
		if ex := t.MCP.Use(t.Mint.Seal(mint.RawInput(h, rest+`,"AUD":`+mint.JSON(genuine["aud"])+"}"))); t.MCP.Served(ex) {
			t.Finding(ex, "aud and AUD", "member names compared with case", "AUD counts as aud")
		}
		t.Mint.Control()
	})
}
