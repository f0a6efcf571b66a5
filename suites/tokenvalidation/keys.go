package tokenvalidation

import (
	"net/url"
	"strings"
	"time"

	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// shortest is how long a target is first given to look at the key set again.
const shortest = 5 * time.Millisecond

func keySets() {
	Should("RS-TOKEN-KEY-ROTATION", func(t *T) {
		t.Mint.MustFetchKeys()
		defer t.Mint.RestoreKeys()
		key := t.Mint.NewKey("mcpauth-next-" + Random(6))
		t.Mint.PublishKeys(key.JWK())
		if ex, ok := t.Eventually(func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.SignedBy(key, nil))) }); !ok {
			t.Unmet(ex, "a token to be accepted whose key was published after the target's start", "it is refused for %v", 5*t.Patience)
		}
	})

	Practice("RS-TOKEN-KEY-WITHDRAWN", func(t *T) {
		keys := t.Mint.MustFetchKeys()
		defer t.Mint.RestoreKeys()
		key := t.Mint.NewKey("mcpauth-stolen-" + Random(6))
		t.Mint.PublishKeys(key.JWK())
		old := t.Mint.SignedBy(key, nil)
		if _, ok := t.Eventually(func() bool { return t.MCP.Served(t.MCP.Use(old)) }); !ok {
			t.Inconclusive("a key that is published later is not taken up (RS-TOKEN-KEY-ROTATION)")
		}
		t.Mint.RestoreKeys()
		before := keys.KeyFetches()
		refused := func(token string) bool { return expect.Status(t.MCP.Use(token)) == 401 }
		ex, ok := t.Eventually(func() bool {
			t.MCP.Use(t.Mint.SignedBy(t.Mint.NewKey("mcpauth-unknown-"+Random(6)), nil))
			return refused(t.Mint.SignedBy(key, nil)) && refused(old)
		})
		switch {
		case ok:
			t.Refused()
		case keys.KeyFetches() == before:
			t.Inconclusive("the key set was not fetched again within %v, so whether a withdrawn key loses its effect was not seen", 5*t.Patience)
		default:
			t.Unmet(ex, "no token accepted whose key the fetched set no longer holds", "one is served %v after the key was withdrawn and the set fetched again", 5*t.Patience)
		}
	})

	Must("RS-TOKEN-JWKS-OUTAGE", func(t *T) {
		keys := t.Mint.MustFetchKeys()
		defer t.Mint.RestoreKeys()
		exercised := 0
		for about, a := range Sorted(map[string]KeysAnswer{
			"500": {Status: 500}, "404": {Status: 404}, "HTML": {Status: 200, MediaType: "text/html", Body: "<p>hello</p>"}, "an empty object": {Status: 200, Body: "{}"}, "no keys": {Status: 200, Body: `{"keys":[]}`},
			"half a document": {Status: 200, Body: `{"keys":[`}, "no answer": {Break: true},
		}) {
			t.Mint.ServeKeys(a)
			before := keys.KeyFetches()
			t.SettleForSeed()
			stranger := t.Mint.NewKey("mcpauth-unknown-" + Random(6))
			for wait := shortest; ; wait *= 3 { // until the target looks again
				if ex := t.MCP.Use(t.Mint.SignedBy(stranger, nil)); t.MCP.Served(ex) {
					t.Finding(ex, about, "no token accepted whose key cannot be had", "a token that nobody's key has signed is served")
				} else if s := expect.Status(ex); s >= 500 && s != 503 {
					t.Advise(ex, "HTTP 401 or 503 where keys cannot be fetched", "%s: %s", about, expect.Describe(ex))
				}
				if keys.KeyFetches() > before {
					exercised++
					break
				}
				if wait > shortest && wait >= t.Patience {
					break
				}
				t.Sleep(wait)
			}
			if ex := t.MCP.Use(t.Mint.Token(nil)); !t.MCP.Served(ex) && expect.Status(ex) != 401 && expect.Status(ex) != 503 {
				t.Advise(ex, "the genuine token served, or HTTP 401 or 503", "%s: %s", about, expect.Describe(ex))
			}
			t.Mint.RestoreKeys()
		}
		if exercised == 0 && t.Unmistaken() {
			t.Inconclusive("the target fetched the key set at none of its failures")
		}
		if ex, ok := t.Eventually(func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.Token(nil))) }); !ok {
			t.Advise(ex, "the genuine token served again once keys can be had", "%v later: %s", 5*t.Patience, expect.Describe(ex))
		}
		t.Note("fetched at %d of 7 failures", exercised)
		t.Refused()
	})

	Practice("RS-TOKEN-ALG-ALLOWLIST", allowlist)
}

// allowlist publishes keys that are marked for one purpose, and uses them for another.
func allowlist(t *T) {
	t.Mint.MustFetchKeys()
	defer t.Mint.RestoreKeys()
	key, encryption, operation := t.Mint.RSAKey("mcpauth-rs256-"+Random(6)), t.Mint.RSAKey("mcpauth-enc-"+Random(6)), t.Mint.RSAKey("mcpauth-ops-"+Random(6))
	secret := []byte("mcpauth-secret-in-the-key-set-0123456789")
	enc, ops := encryption.JWK(), operation.JWK()
	enc["use"] = "enc"
	delete(enc, "alg")
	delete(ops, "use")
	ops["key_ops"] = []string{"encrypt"}
	oct := map[string]any{"kty": "oct", "kid": "mcpauth-oct", "alg": "HS256", "k": mint.Base64(secret)}
	t.Mint.PublishKeys(key.JWK(), enc, ops, oct)
	if _, ok := t.Eventually(func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.SignedBy(key, nil))) }); !ok {
		t.NotApplicable("a token signed RS256 by a key that was published later is refused: there is nothing to compare with")
	}
	h := t.Mint.Header().With("kid", key.ID)
	for about, token := range Sorted(map[string]string{
		"rs256 in small letters": key.Signed(h.With("alg", "rs256"), t.Mint.Claims(nil), "RS256"), "RS256 with a space": key.Signed(h.With("alg", "RS256 "), t.Mint.Claims(nil), "RS256"),
		"RS1": key.Signed(h.With("alg", "RS1"), t.Mint.Claims(nil), "RS1"), "a secret from the key set": mint.HS256(h.With("alg", "HS256").With("kid", "mcpauth-oct"), t.Mint.Claims(nil), secret),
	}) {
		t.Expect(t.MCP.Use(t.Hide(token)), "%s", about).To(expect.Refuse(401))
	}
	for about, token := range Sorted(map[string]string{
		"RS384 by a key for RS256": key.Signed(h.With("alg", "RS384"), t.Mint.Claims(nil), "RS384"), "PS256 by a key for RS256": key.Signed(h.With("alg", "PS256"), t.Mint.Claims(nil), "PS256"),
		"a key for encryption": t.Mint.SignedBy(encryption, nil), "a key whose key_ops is encrypt": t.Mint.SignedBy(operation, nil),
	}) {
		t.Expect(t.MCP.Use(t.Hide(token)), "%s", about).Ideally(expect.Refuse(401))
	}
}

func tenants() {
	Must("RS-TOKEN-TENANT-CONFUSION", func(t *T) {
		t.Mint.Control()
		issuer := t.Issuer.Identifier()
		u, err := url.Parse(issuer)
		if err != nil {
			t.Inconclusive("the issuer identifier is no URL")
		}
		kinds := map[string]map[string]any{
			"another tenant": {"iss": strings.TrimSuffix(issuer, "/") + "/mcpauth-other-tenant"}, "another tenant, and its audience": {"iss": strings.TrimSuffix(issuer, "/") + "/mcpauth-other-tenant", "aud": "mcpauth-other-project"},
			"another tenant's host": {"iss": u.Scheme + "://mcpauth-other-tenant." + u.Host + u.Path},
		}
		if t.Mint.Claims(nil)["tid"] != nil {
			kinds["another tid"] = map[string]any{"tid": "6f1e8f3a-0000-4000-8000-000000000000"}
		}
		for about, changes := range Sorted(kinds) {
			t.Expect(t.MCP.Use(t.Mint.Token(changes)), "%s, signed by the same key", about).To(expect.Refuse(401))
		}
	})

	May("RS-TOKEN-OTHER-CLIENT", func(t *T) {
		t.Mint.Control()
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"client_id": "mcpauth-another-client"})); !t.MCP.Served(ex) {
			t.Advise(ex, "a token for this audience served whichever client obtained it, unless clients are restricted on purpose", "%s", expect.Describe(ex))
		}
	})
}

// sharedSecret is for targets that verify HS256 with a secret that the suite knows.
func sharedSecret() {
	Must("RS-TOKEN-HMAC-MODE", func(t *T) {
		secret := t.SharedSecret.Value
		h := mint.Header{"alg": "HS256", "typ": "JWT"}
		claims := t.Mint.SharedClaims
		sign := func(key string) string { return t.Hide(mint.HS256(h, claims(nil), []byte(key))) }
		if ex := t.MCP.Use(sign(secret)); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: an ordinary token under the shared secret is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		whole, past := sign(secret), time.Now().Add(-2*time.Hour).Unix()
		wrong := map[string]string{
			"another secret": sign(strings.Repeat("m", len(secret))), "the secret without its last byte": sign(secret[:len(secret)-1]), "the secret and more": sign(secret + "x"), "an empty secret": sign(""),
			"half of the MAC": t.Hide(whole[:len(whole)-22]), "alg none": mint.Unsigned(h.With("alg", "none"), claims(nil)), "ES256 by a key of its own": t.Hide(mint.NewKey("").JWT(nil, claims(nil))),
			"another audience": t.Hide(mint.HS256(h, claims(map[string]any{"aud": "https://other.example/mcp"}), []byte(secret))), "no audience": t.Hide(mint.HS256(h, claims(map[string]any{"aud": nil}), []byte(secret))),
			"another issuer": t.Hide(mint.HS256(h, claims(map[string]any{"iss": "https://attacker.example"}), []byte(secret))),
			"expired":        t.Hide(mint.HS256(h, claims(map[string]any{"exp": past, "iat": past - 60}), []byte(secret))),
		}
		for about, token := range Sorted(wrong) {
			t.Expect(t.MCP.Use(token), "%s", about).To(expect.Refuse(401))
		}
		t.Expect(t.MCP.Use(t.Hide(mint.HS256(h, claims(map[string]any{"exp": nil}), []byte(secret)))), "without exp, which is RS-TOKEN-EXP-MISSING where tokens can be minted").Ideally(expect.Refuse(401))
		for _, algorithm := range []string{"HS384", "HS512"} {
			t.Expect(t.MCP.Use(t.Hide(mint.HMACToken(algorithm, h, claims(nil), []byte(secret)))), "%s with the right secret", algorithm).Ideally(expect.Refuse(401))
		}
	})
}
