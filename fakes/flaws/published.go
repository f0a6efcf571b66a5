package flaws

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// publishedKeys are flaws of the key set that the authorization server publishes: each adds one bad key to the good ones.
var publishedKeys = []Flaw{
	keySetFlaw("keys-no-array", "keys is an object.",
		"keys is", func(d map[string]any) { d["keys"] = map[string]any{} }, "AS-META-SIGNED-METADATA"),
	keySetFlaw("keys-in-pem", "The key set has PEM instead of JWKs.", "entry 1 of keys", func(d map[string]any) {
		d["keys"] = []any{"-----BEGIN PUBLIC KEY-----"}
	}, "AS-META-SIGNED-METADATA"),
	keySetFlaw("keys-without-use", "There is an encryption key, and a key without use.",
		"keys without use", func(d map[string]any) {
			addKey(d, ecKey("use", "enc"))
			addKey(d, ecKey("use", nil))
		}),
	keySetFlaw("keys-for-encryption-only", "There are encryption keys only.", "encryption keys only", func(d map[string]any) {
		d["keys"] = []any{ecKey("use", "enc")()}
	}, "AS-META-SIGNED-METADATA"),
	keyFlaw("key-without-type", "A key has no kty.", "kty is missing", ecKey("kty", nil)),
	keyFlaw("key-short-coordinate", "A coordinate is shorter than its curve asks for.",
		"x has 31 octets", ecKey("x", b64(make([]byte, 31)))),
	keyFlaw("key-off-curve", "The point of a key is not on its curve.", "not on P-256", ecKey("x", b64(slices.Repeat([]byte{1}, 32)))),
	keyFlaw("key-padded", "A modulus is written with padding.",
		"n is not base64url", rsaKey("n", base64.URLEncoding.EncodeToString(slices.Repeat([]byte{0xff}, 256)))),
	keyFlaw("key-leading-zero", "A modulus begins with a zero octet.", "zero octet", func() map[string]any {
		return rsaJWK(append([]byte{0}, soundModulus().Bytes()...), []byte{1, 0, 1})
	}),
	keyFlaw("key-without-exponent", "An RSA key has no exponent.", "e is missing", rsaKey("e", nil)),
	keyFlaw("key-without-x", "A key of Ed25519 has no x.",
		"x is missing", fixed(map[string]any{"kty": "OKP", "crv": "Ed25519", "use": "sig"})),
	keyFlaw("key-operation-twice", "key_ops has an operation twice.", "twice", ecKey("key_ops", []string{"verify", "verify"})),
	keyFlaw("key-contradicts-itself", "use and key_ops contradict each other.", "key_ops is", ecKey("key_ops", []string{"wrapKey"})),
	keyFlaw("key-of-other-certificate", "x5c is the certificate of another key.", "another key", func() map[string]any {
		k := ecKey("use", "sig")()
		k["x5c"] = []string{certificate()}
		return k
	}),
	keyFlaw("key-algorithm-misfit", "alg is that of another type of key.", "alg is", ecKey("alg", "RS256")),
	keyFlaw("key-to-sign", "A public key says that it signs.", "not verify", ecKey("key_ops", []string{"sign"})),

	privateFlaw("key-private-rsa", "An RSA key is published with a prime.", `"p"`, rsaKey("p", "AQAB")),
	privateFlaw("key-symmetric", "A shared secret is published.",
		`"k"`, fixed(map[string]any{"kty": "oct", "kid": "hmac", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"})),
	privateFlaw("key-private-post-quantum", "The seed of an ML-DSA key is published.", `"priv"`,
		fixed(map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "priv": "AAAA"})),
	privateFlaw("key-in-pem", "A key is published with its private half in PEM.",
		"PEM", ecKey("pem", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----")),
	{
		Name: "key-private-elsewhere", Says: "A second key set, which nothing names, has private keys.",
		Bend: func(o *reference.Options) { o.Wrap = servesPrivateKeys }, Noticed: []string{"AS-KEYS-NO-PRIVATE"}, Row: "/jwks.json",
	},
	{
		Name: "key-private-and-unnamed", Says: "A key set with private keys is published, and no jwks_uri names one.",
		Bend: func(o *reference.Options) {
			o.Wrap = servesPrivateKeys
			metadata(func(d map[string]any) { delete(d, "jwks_uri") })(o)
		},
		Noticed: []string{"AS-KEYS-NO-PRIVATE"}, Row: "/jwks.json", Also: []string{"AS-META-OIDC-REQUIRED-FIELDS", "AS-KEYS-*"},
	},
	{
		Name: "key-private-in-metadata", Says: "The metadata has a private key.",
		Bend: metadata(func(d map[string]any) {
			d["jwks"] = map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "d": "AAAA"}}}
		}),
		Noticed: []string{"AS-KEYS-NO-PRIVATE"}, Row: "oauth-authorization-server",
	},

	strengthFlaw("key-even-modulus", "A modulus is even.", "even", rsaOf(func() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 2047) })),
	strengthFlaw("key-exponent-1", "The exponent is 1: nothing is encrypted.", "exponent is 1", func() map[string]any {
		return rsaJWK(soundModulus().Bytes(), []byte{1})
	}),
	strengthFlaw("key-small-factor", "A modulus can be divided by 3.", "divided by 3", rsaOf(func() *big.Int {
		return new(big.Int).Mul(mersenne(), big.NewInt(3))
	})),
	strengthFlaw("key-prime-modulus", "A modulus is a prime.", "a prime itself", rsaOf(mersenne)),
	strengthFlaw("key-close-primes", "The two primes of a modulus are close.", "Fermat", rsaOf(closePrimes)),
	strengthFlaw("key-roca", "A key was made by a faulty smart card.", "ROCA", rsaOf(rocaModulus)),
	strengthFlaw("key-of-rfc", "A key is the example of RFC 7515.", "RFC 7515 appendix A.3",
		fixed(map[string]any{"kty": "EC", "crv": "P-256",
			"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
			"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})),
	strengthFlaw("key-weak-curve", "A key is on P-192.",
		"crv is P-192", fixed(map[string]any{"kty": "EC", "crv": "P-192", "x": "AAAA", "y": "AAAA"})),
	strengthFlaw("key-unknown-curve", "A key is on an unregistered curve.", "brainpool",
		fixed(map[string]any{"kty": "EC", "crv": "brainpoolP256r1", "x": "AAAA", "y": "AAAA"})),

	algorithmFlaw("token_endpoint_auth", "none", "RS256"),
	algorithmFlaw("revocation_endpoint_auth", "none", "RS256"),
	algorithmFlaw("introspection_endpoint_auth", "none", "RS256"),
	algorithmFlaw("dpop", "none", "ES256"),
	algorithmFlaw("dpop", "HS256", "ES256"),
	algorithmFlaw("authorization", "none", "RS256"),
	algorithmFlaw("id_token", "none", "RS256"),
}

// idTokens are flaws of ID tokens, and of how tokens are signed.
var idTokens = []Flaw{
	idTokenFlaw("issuer", "another issuer", "iss", func(c map[string]any) { c["iss"] = "https://other.example" }),
	idTokenFlaw("audience", "another client", "aud", func(c map[string]any) { c["aud"] = "other-client" }),
	idTokenFlaw("nonce", "another nonce", "nonce", func(c map[string]any) { c["nonce"] = "other" }),
	unreported(idTokenFlaw("nonce-unreported", "another nonce, while the response reports the scopes of the resource alone", "nonce",
		func(c map[string]any) { c["nonce"] = "other" })),
	idTokenFlaw("subject", "no subject", "sub", func(c map[string]any) { delete(c, "sub") }),
	idTokenFlaw("time", "no iat", "iat", func(c map[string]any) { delete(c, "iat") }),
	idTokenFlaw("expired", "a past end", "exp", func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
	idTokenFlaw("hash", "the hash of another access token", "at_hash", func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }),
	idTokenFlaw("party", "another client as azp", "azp", func(c map[string]any) { c["azp"] = "other-client" }),
	{
		Name: "id-token-missing", Says: "With openid granted, there is no ID token without a nonce.",
		Bend: answers(func(m map[string]any) { deleteWithoutNonce(m) }), Noticed: []string{"AS-KEYS-ID-TOKEN"}, Row: "without a nonce",
		Also: []string{"RS-TOKEN-ID-TOKEN"},
	},
	signatureFlaw("id-token-unsigned", "ID tokens are not signed.", "the ID token", answers(reseal("id_token", `{"alg":"none"}`, nil))),
	signatureFlaw("access-token-unsigned", "Access tokens are not signed.",
		"the access token", answers(reseal("access_token", `{"alg":"None"}`, nil))),
	signatureFlaw("refresh-token-unsigned", "Refresh tokens are JWTs that are not signed.",
		"the refresh token", behaviour(func(b *idp.Behaviour) {
			b.RefreshToken = func() string { return jwtOf(`{"alg":"none"}`, nil) }
		})),
	signatureFlaw("id-token-by-secret", "ID tokens of public clients are signed with a secret.", "has no secret",
		answers(reseal("id_token", `{"alg":"HS256"}`, []byte("a secret of the server that no client knows")))),
	signatureFlaw("id-token-by-unpublished-key", "ID tokens are signed with a key that is not published.",
		"no key with the kid", behaviour(func(b *idp.Behaviour) {
			b.IDToken = func(h, _ map[string]any) { h["kid"] = "unpublished" }
		})),
	signatureFlaw("id-token-by-listed-key-of-another", "The signature of ID tokens is that of another algorithm than they name.",
		"the ID token", behaviour(func(b *idp.Behaviour) {
			b.IDToken = func(h, _ map[string]any) { h["alg"] = "RS384" }
		})),
	signatureFlaw("id-token-brings-key", "ID tokens name the place of their key.", "jku", behaviour(func(b *idp.Behaviour) {
		b.IDToken = func(h, _ map[string]any) { h["jku"] = "https://other.example/jwks" }
	})),
	signatureFlaw("id-token-unlisted", "ID tokens are signed by an algorithm that is not listed.",
		"is listed", metadata(func(d map[string]any) {
			d["id_token_signing_alg_values_supported"] = []string{"ES256"}
		})),
	{
		Name: "refresh-token-weak-secret", Says: "Refresh tokens are JWTs, signed with the secret of an example.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RefreshToken = func() string { return jwtOf(`{"alg":"HS256"}`, []byte("your-jwt-secret-key")) }
		}),
		Noticed: []string{"AS-KEYS-NO-WEAK-HMAC"}, Row: "the refresh token",
	},
}

func keySetFlaw(name, says, row string, bend func(d map[string]any), also ...string) Flaw {
	return Flaw{
		Name: name, Says: says, Bend: behaviour(func(b *idp.Behaviour) { b.JWKS = bend }),
		Noticed: []string{"AS-KEYS-JWKS-SHAPE"}, Row: row, Also: also,
	}
}

func added(k func() map[string]any) func(o *reference.Options) {
	once := sync.OnceValue(k)
	return behaviour(func(b *idp.Behaviour) { b.JWKS = func(d map[string]any) { addKey(d, once) } })
}

func keyFlaw(name, says, row string, k func() map[string]any) Flaw {
	return Flaw{Name: name, Says: says, Bend: added(k), Noticed: []string{"AS-KEYS-JWKS-SHAPE"}, Row: row}
}

func privateFlaw(name, says, row string, k func() map[string]any) Flaw {
	return Flaw{Name: name, Says: says, Bend: added(k), Noticed: []string{"AS-KEYS-NO-PRIVATE"}, Row: row}
}

func strengthFlaw(name, says, row string, k func() map[string]any) Flaw {
	return Flaw{Name: name, Says: says, Bend: added(k), Noticed: []string{"AS-KEYS-STRENGTH"}, Row: row, Also: []string{"AS-KEYS-JWKS-SHAPE"}}
}

func algorithmFlaw(list string, algorithms ...string) Flaw {
	member := list + "_signing_alg_values_supported"
	return Flaw{
		Name: "lists-" + strings.ToLower(algorithms[0]) + "-" + strings.ReplaceAll(list, "_", "-"),
		Says: algorithms[0] + " is in " + member + ".",
		Bend: metadata(func(d map[string]any) { d[member] = algorithms }), Noticed: []string{"AS-KEYS-ALG-LISTS"}, Row: member,
		Also: []string{"AS-META-*", "AS-CC-METADATA", "AS-DPOP-*", "RS-DPOP-*"},
	}
}

func idTokenFlaw(name, has, row string, bend func(claims map[string]any)) Flaw {
	return Flaw{
		Name: "id-token-" + name, Says: "ID tokens have " + has + ".", Row: row, Noticed: []string{"AS-KEYS-ID-TOKEN"},
		Bend: behaviour(func(b *idp.Behaviour) { b.IDToken = func(_, c map[string]any) { bend(c) } }),
		Also: []string{"RS-TOKEN-ID-TOKEN", "AS-CLAIMS-*", "AS-USERINFO-*", "AS-AUTHZ-SUBJECT-CORRECT"},
	}
}

// unreported also leaves openid out of the scope of the response, which some servers do if the access token is for a resource.
func unreported(f Flaw) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		answers(func(m map[string]any) { m["scope"] = strings.Join(wordsBut(text(m["scope"]), "openid"), " ") })(o)
	}
	return f
}

// wordsBut are the words of a text but one.
func wordsBut(list, word string) []string {
	return slices.DeleteFunc(strings.Fields(list), func(s string) bool { return s == word })
}

func signatureFlaw(name, says, row string, bend func(o *reference.Options)) Flaw {
	return Flaw{
		Name: name, Says: says, Bend: bend, Noticed: []string{"AS-KEYS-JWT-SIGNATURE"}, Row: row,
		Also: []string{"AS-META-OIDC-REQUIRED-FIELDS", "AS-TOKEN-JWT-CLAIMS", "RS-AUD-MATCHES-PRM"},
	}
}

// answers changes the answers of the token endpoint.
func answers(bend func(members map[string]any)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) {
		b.Response = func(endpoint string, members map[string]any) {
			if endpoint == "/token" {
				bend(members)
			}
		}
	})
}

// reseal gives a JWT of the answer another header, and a signature made with a secret, or none.
func reseal(member, header string, secret []byte) func(members map[string]any) {
	return func(m map[string]any) {
		if parts := strings.Split(text(m[member]), "."); len(parts) == 3 {
			m[member] = sealed(b64([]byte(header))+"."+parts[1], secret)
		}
	}
}

func text(v any) string { s, _ := v.(string); return s }

func sealed(input string, secret []byte) string {
	if secret == nil {
		return input + "."
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(input))
	return input + "." + b64(m.Sum(nil))
}

// jwtOf returns a JWT with a random id.
func jwtOf(header string, secret []byte) string {
	return sealed(b64([]byte(header))+"."+b64([]byte(`{"jti":"`+seeded.Fakes.Text(16)+`"}`)), secret)
}

func deleteWithoutNonce(m map[string]any) {
	if parts := strings.Split(text(m["id_token"]), "."); len(parts) == 3 {
		if claims, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && !strings.Contains(string(claims), `"nonce"`) {
			delete(m, "id_token")
		}
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func fixed(k map[string]any) func() map[string]any { return func() map[string]any { return k } }

func addKey(d map[string]any, k func() map[string]any) { d["keys"] = append(d["keys"].([]any), k()) }

// ecKey returns a function that makes a P-256 key with one member changed or left out.
func ecKey(member string, value any) func() map[string]any {
	return sync.OnceValue(func() map[string]any {
		point, err := seeded.Fakes.Key().PublicKey.Bytes()
		if err != nil {
			panic(err) // the key is on its curve
		}
		return changed(map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}, member, value)
	})
}

func rsaKey(member string, value any) func() map[string]any {
	return func() map[string]any { return changed(rsaJWK(soundModulus().Bytes(), []byte{1, 0, 1}), member, value) }
}

func rsaOf(n func() *big.Int) func() map[string]any {
	return func() map[string]any { return rsaJWK(n().Bytes(), []byte{1, 0, 1}) }
}

func rsaJWK(n, e []byte) map[string]any {
	return map[string]any{"kty": "RSA", "use": "sig", "n": b64(n), "e": b64(e)}
}

func changed(k map[string]any, member string, value any) map[string]any {
	if k[member] = value; value == nil {
		delete(k, member)
	}
	return k
}

// mersenne returns a prime of 2203 bits.
func mersenne() *big.Int {
	return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2203), big.NewInt(1))
}

// soundModulus is the product of two primes, of 3484 bits.
var soundModulus = sync.OnceValue(func() *big.Int {
	smaller := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 1279), big.NewInt(1))
	return smaller.Mul(smaller, mersenne())
})

func closePrimes() *big.Int {
	p := primeAfter(new(big.Int).SetBit(new(big.Int).SetBytes(seeded.Fakes.Bytes(128)), 1024, 1))
	return new(big.Int).Mul(p, primeAfter(p))
}

func primeAfter(n *big.Int) *big.Int {
	p := new(big.Int).SetBit(n, 0, 1)
	for p.Add(p, big.NewInt(2)); !p.ProbablyPrime(1); {
		p.Add(p, big.NewInt(2))
	}
	return p
}

// rocaModulus returns a power of 65537 modulo each prime below 168, and has no factor below 1000.
func rocaModulus() *big.Int {
	all, rest := big.NewInt(1), big.NewInt(1)
	for p := int64(2); p < 1000; p++ {
		if big.NewInt(p).ProbablyPrime(1) {
			if p < 168 {
				all.Mul(all, big.NewInt(p))
			} else {
				rest.Mul(rest, big.NewInt(p))
			}
		}
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(12345), all)
	n.Add(n, new(big.Int).Lsh(all, uint(2100-all.BitLen())))
	for new(big.Int).GCD(nil, nil, n, rest).Cmp(big.NewInt(1)) != 0 || n.ProbablyPrime(1) {
		n.Add(n, new(big.Int).Lsh(all, 1))
	}
	return n
}

// certificate returns a certificate for a new key.
func certificate() string {
	key := seeded.Fakes.Key()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		panic(err) // the template is complete
	}
	return base64.StdEncoding.EncodeToString(der)
}

func servesPrivateKeys(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jwks.json" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","d":"AAAA"}]}`))
	})
}
