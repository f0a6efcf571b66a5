// Package tokenvalidation holds the checks on what a server takes for a valid access token (OAuth 2.1
// section 5.2, RFC 7519, RFC 8725, RFC 9068).
package tokenvalidation

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7662: OAuth 2.0 Token Introspection, at the resource server", introspected)
	Describe("OAuth 2.1 section 5.1: Bearer Token Requests", requests)
	Describe("OAuth 2.1 section 5.2: Access Token Validation", garbage)
	Describe("RFC 8725: JSON Web Token Best Current Practices", forged)
	Describe("RFC 7519 section 4.1: Registered Claim Names", claims)
	Describe("RFC 7515 section 5.2: Message Signature Validation", signatures)
	Describe("OAuth 2.1 section 5.2: tokens of other kinds", kinds)
	Describe("RFC 8414 section 2: jwks_uri, at the resource server", keySets)
	Describe("RFC 9068 section 4: Validating JWT Access Tokens, of neighbours", tenants)
	Describe("RFC 8725 section 3.8: issuers and their keys; other ways to verify", issuers)
	Describe("RFC 7518 section 3.2: HMAC with SHA-2 Functions", sharedSecret)
}

func requests() {
	// The token is the user's word: refused everywhere, it may be the token's fault.
	Must("RS-TOKEN-VALID-ACCEPTED", func(t *T) {
		t.Expect(t.Cite(t.Survey.WithToken[t.Wire]), "the valid token").To(t.MCP.Serve())
		list := mcp.Probe(t.Survey.Endpoint, t.Revision).Method("tools/list", nil)
		if t.Wire == mcp.Stateful {
			list = OpenSession(t).Method("tools/list", nil)
		}
		if ex := t.Send(list.With(t.MCP.BearerField())); expect.Status(ex) == 401 || expect.Crashed(ex) {
			t.Expect(ex, "tools/list with the valid token").To(expect.Accept())
		}
	})

	// RFC 9110 section 11.1: the scheme is case-insensitive.
	Must("RS-TOKEN-SCHEME-CASE", func(t *T) {
		for _, scheme := range []string{"bearer", "BEARER", "bEaReR"} {
			t.Expect(t.MCP.ServedOrControl(t.MCP.Call().With(mcp.Field("Authorization", scheme+" "+t.MCP.Token())).Request(), t.MCP.Control), "scheme spelled %s", scheme).To(t.MCP.Serve())
		}
		t.Expect(t.Send(t.MCP.Call().With(mcp.Field("Authorization", "Bearer  "+t.MCP.Token()))), "two spaces after the scheme").Ideally(t.MCP.Serve())
	})

	Must("RS-TOKEN-WRONG-SCHEME", func(t *T) {
		if !t.MCP.HasToken() {
			for _, scheme := range []string{"Basic", "OAuth", "JWT", "DPoP"} {
				t.Expect(t.Send(t.MCP.Call().With(mcp.Field("Authorization", scheme+" "+basic(survey.BogusToken)))), "scheme %s with a bad token", scheme).To(expect.RefuseAnyway())
			}
			onlyBad(t)
		}
		t.MCP.Control()
		for _, f := range []reports.Field{
			mcp.Field("Authorization", "Basic "+t.Hide(basic(t.MCP.Token()))), mcp.Field("Authorization", "OAuth "+t.MCP.Token()),
			mcp.Field("Authorization", "JWT "+t.MCP.Token()), mcp.Field("Authorization", "DPoP "+t.MCP.Token()),
			mcp.Field("Authorization", "Bearer"+t.MCP.Token()), mcp.Field("X-Authorization", "Bearer "+t.MCP.Token()),
			mcp.Field("Proxy-Authorization", "Bearer "+t.MCP.Token()),
		} {
			scheme, _, _ := strings.Cut(f.Value, " ")
			if len(scheme) > 10 {
				scheme = "Bearer without a space"
			}
			t.Expect(t.Send(t.MCP.Call().With(f)), "%s: %s", f.Name, scheme).To(expect.Refuse(401, 400))
		}
		for _, f := range []reports.Field{mcp.Field("Authorization", t.MCP.Token()), mcp.Field("Authorization", "Token "+t.MCP.Token())} {
			t.Expect(t.Send(t.MCP.Call().With(f)), "the raw token, or the scheme Token").Ideally(expect.Refuse(401, 400))
		}
	})

	// MCP Authorization, Token Requirements: never in the query string.
	Must("RS-TOKEN-QUERY-IGNORED", func(t *T) {
		if !t.MCP.HasToken() {
			for _, verb := range []string{"POST", "GET"} {
				if verb == "GET" && expect.Accepted(t.Send(t.MCP.Call().Using(verb))) {
					continue // the stream is open to everybody, which is another finding
				}
				t.Expect(t.Send(t.MCP.Call().Using(verb).WithQuery("access_token", survey.BogusToken)), "%s with a bad token in ?access_token=", verb).To(expect.RefuseAnyway())
			}
			onlyBad(t)
		}
		t.MCP.Control()
		for _, name := range []string{"access_token", "token", "bearer", "authorization"} {
			t.Expect(t.Send(t.MCP.Call().WithQuery(name, t.MCP.Token())), "POST with ?%s=", name).To(expect.RefuseAnyway())
		}
		if !expect.Accepted(t.Send(t.MCP.Call().Using("GET"))) {
			t.Expect(t.Send(t.MCP.Call().Using("GET").WithQuery("access_token", t.MCP.Token())), "GET with ?access_token=").To(expect.RefuseAnyway())
		}
	})

	Practice("RS-TOKEN-BODY-IGNORED", func(t *T) {
		c := t.MCP.Call()
		for about, params := range Sorted(map[string]map[string]any{
			"params.auth":                {"auth": map[string]any{"type": "oauth2", "access_token": t.MCP.Token()}},
			"params.access_token":        {"access_token": t.MCP.Token()},
			"params._meta.authorization": {"_meta": map[string]any{"authorization": "Bearer " + t.MCP.Token()}},
		}) {
			all := map[string]any{}
			for k, v := range c.Params {
				all[k] = v
			}
			for k, v := range params {
				all[k] = v
			}
			d := c
			d.Params = all
			t.Expect(t.Send(d), "the token in %s", about).To(expect.RefuseAnyway())
		}
	})

	Practice("RS-TOKEN-COOKIE-IGNORED", func(t *T) {
		for _, name := range []string{"access_token", "token"} {
			t.Expect(t.Send(t.MCP.Call().With(mcp.Field("Cookie", name+"="+t.MCP.Token()))), "the token in cookie %s", name).To(expect.RefuseAnyway())
		}
	})

	// RFC 6750 section 2: not more than one method in a request.
	Should("RS-TOKEN-DUPLICATE-CREDENTIALS", func(t *T) {
		good, bad := t.MCP.BearerField(), mcp.Bearer(survey.BogusToken)
		first := t.Send(t.MCP.Call().With(bad, good))
		t.Expect(first, "a bad Authorization field before the good one").To(expect.Refuse(400, 401))
		second := t.Send(t.MCP.Call().With(good, bad))
		t.Expect(second, "a bad Authorization field after the good one").Ideally(expect.Refuse(400, 401))
		t.Expect(t.Send(t.MCP.Call().With(mcp.Field("Authorization", bad.Value+", "+good.Value))), "both in one field").To(expect.Refuse(400, 401))
		t.Expect(t.Send(t.MCP.Call().With(bad).WithQuery("access_token", t.MCP.Token())), "a bad Authorization field and the good token in the query").To(expect.Refuse(400, 401))
		t.Expect(t.Send(t.MCP.Call().With(bad, mcp.Field("Cookie", "access_token="+t.MCP.Token()))), "a bad Authorization field and the good token in a cookie").To(expect.Refuse(400, 401))
	})
}

// onlyBad ends a check that had no valid token to try: refusing a bad one shows little.
func onlyBad(t *T) {
	t.NotTested("a bad token was refused there; whether a valid one would be takes one: give it with --token-env")
}

func garbage() {
	Must("RS-TOKEN-GARBAGE", func(t *T) {
		t.Expect(t.MCP.Bogus(), "a random value of the usual shape").To(expect.Refuse(401))
		f := &forgeries{t: t}
		for _, token := range []string{"test", "admin", "00000000-0000-4000-8000-000000000000", Random(32)} {
			f.add(token, "Bearer %s", token)
		}
		if t.MCP.HasToken() {
			for _, miss := range nearMisses(t.MCP.Token()) {
				f.add(t.Mint.HidePart(miss.token, t.MCP.Token()), "%s", miss.about)
			}
		}
		f.refused()
	})

	Must("RS-TOKEN-SYNTAX-BYTES", func(t *T) {
		values := []string{"\"" + survey.BogusToken + "\"", "<" + survey.BogusToken + ">", survey.BogusToken + ";charset=utf-8", "\xfc", "ü"}
		if t.MCP.HasToken() {
			half := len(t.MCP.Token()) / 2
			t.Mint.HidePart(t.MCP.Token()[:half], t.MCP.Token())
			t.Hide(t.MCP.Token()[half:])
			values = append(values, "\""+t.MCP.Token()+"\"", "<"+t.MCP.Token()+">", t.MCP.Token()+";charset=utf-8", t.MCP.Token()+",", t.MCP.Token()[:half]+" "+t.MCP.Token()[half:])
		}
		variants := []Variant{{About: "a NUL byte in the token", Request: nulByte(t)}}
		for i, v := range values {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Field("Authorization", "Bearer "+v)), "illegal bytes, variant %d", i+1))
		}
		t.ExpectAll(variants, expect.RefuseAnyway())
	})

	Practice("RS-TOKEN-OVERSIZED", func(t *T) {
		sizes := []int{8 << 10, 64 << 10}
		if t.MayStrain(t.Survey.Endpoint) {
			sizes = append(sizes, 256<<10)
		}
		for _, n := range sizes {
			ex := t.Send(t.MCP.Call().With(mcp.Bearer(strings.Repeat("A", n))).OnFreshConnection())
			if ex.Response == nil {
				t.Advise(ex, "an answer to a token of "+kib(n), "%s", ex.Error)
				continue
			}
			t.Expect(ex, "a token of %s", kib(n)).To(expect.Refuse(401, 400, 413, 414, 431))
		}
		t.MCP.Control()
	})
}

// nulByte writes the request by hand: no HTTP library sends such a field.
func nulByte(t *T) wire.Request {
	token := survey.BogusToken
	if t.MCP.HasToken() {
		token = t.MCP.Token()
	}
	return RawPost(t, "Authorization: Bearer "+token+"\x00x\r\n")
}

func kib(n int) string {
	return map[int]string{8 << 10: "8 KiB", 64 << 10: "64 KiB", 256 << 10: "256 KiB"}[n]
}

type nearMiss struct{ about, token string }

// nearMisses are tokens that differ from a good one in one place.
func nearMisses(token string) []nearMiss {
	middle := len(token) / 2
	flipped := []byte(token)
	if flipped[middle] == 'A' {
		flipped[middle] = 'B'
	} else {
		flipped[middle] = 'A'
	}
	out := []nearMiss{
		{"the valid token with one character changed", string(flipped)},
		{"the valid token with more at its end", token + "xxxx"},
		{"the valid token with upper and lower exchanged", swapCase(token)},
		{"the valid token without its first character", token[1:]},
		{"the first half of the valid token", token[:middle]},
		{"the valid token twice", token + token},
		{"the valid token with a dot and more at its end", token + ".e30"},
		{"the valid token, its characters in reverse order", reverse(token)},
	}
	if len(token) > 8 {
		out = append(out, nearMiss{"the valid token without its last four", token[:len(token)-4]})
	}
	return slices.DeleteFunc(out, func(n nearMiss) bool { return n.token == token || n.token == "" })
}

func swapCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
