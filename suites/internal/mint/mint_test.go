package mint_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// RFC 7515 appendix A.1: the signing input and its signature.
func TestHMACVector(t *testing.T) {
	key, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	require.NoError(t, err)
	input := "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." +
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	assert.Equal(t, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", mint.HMAC("HS256", input, key))
}

func split(t *testing.T, token string) (string, []byte) {
	t.Helper()
	i := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	require.NoError(t, err)
	return token[:i], sig
}

func TestAttackerSignaturesVerify(t *testing.T) {
	a := mint.NewAttacker()
	input, sig := split(t, a.ES256(mint.Header{"alg": "ES256"}, mint.Claims{"sub": "x"}))
	sum := sha256.Sum256([]byte(input))
	require.Len(t, sig, 64)
	assert.True(t, ecdsa.Verify(&a.EC.PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])))
	input, sig = split(t, a.EdDSA(mint.Header{"alg": "EdDSA"}, mint.Claims{}))
	assert.True(t, ed25519.Verify(a.Ed.Public().(ed25519.PublicKey), []byte(input), sig))
}

func TestUnsignedHasAnEmptySignature(t *testing.T) {
	token := mint.Unsigned(mint.Header{"alg": "none"}, mint.Claims{"a": 1})
	assert.Equal(t, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", token)
}

func TestHeaderWithLeavesTheOriginalAlone(t *testing.T) {
	h := mint.Header{"alg": "RS256", "kid": "k"}
	assert.Equal(t, mint.Header{"alg": "none", "kid": "k"}, h.With("alg", "none"))
	assert.Equal(t, mint.Header{"alg": "RS256"}, h.With("kid", nil))
	assert.Equal(t, "RS256", h["alg"])
}

func TestSpellingsDiffer(t *testing.T) {
	for name, key := range map[string]map[string]any{"RSA": (&mint.Key{ID: "k", Signer: mint.RSA()}).JWK(), "EC": mint.NewKey("k").JWK()} {
		published, _, err := document.ParseObject(mint.JSON(key))
		require.NoError(t, err)
		spellings := mint.Spellings(published)
		seen := map[string]bool{}
		for _, s := range spellings {
			assert.False(t, seen[string(s.Secret)], s.Name)
			seen[string(s.Secret)] = true
		}
		assert.Len(t, spellings, map[string]int{"RSA": 9, "EC": 6}[name])
	}
}

// A verifier that tries every key of a set accepts no attacker's signature, whichever keys the run publishes.
func TestPublishedKeysAreNoAttackers(t *testing.T) {
	attacker, other := mint.NewAttacker().RSA.Public(), mint.NewRSA().Public()
	assert.NotEqual(t, attacker, mint.RSA().Public())
	assert.NotEqual(t, attacker, other)
	assert.NotEqual(t, mint.RSA().Public(), other)
	assert.NotEqual(t, mint.NewRSA().Public(), other)
}

func TestASeedTellsRSAKeys(t *testing.T) {
	keys := func() (out []crypto.PublicKey) {
		seeded.Suites.Seed(7)
		defer seeded.Suites.Forget()
		for range 2 {
			out = append(out, mint.NewRSA().Public())
		}
		return out
	}
	first := keys()
	assert.Equal(t, first, keys())
	assert.NotEqual(t, first[0], first[1])
}

func TestAttackerSignsByEveryAlgorithm(t *testing.T) {
	a := mint.NewAttacker()
	for _, genuine := range []string{"PS384", "ES384", "ES512", "EdDSA"} {
		all := a.Algorithms(mint.Header{"alg": genuine})
		assert.Equal(t, genuine, all[0], "a verifier of one algorithm refuses the others whatever the key is")
		for _, alg := range all {
			key, _, err := document.ParseObject(mint.JSON(a.PublicKey(alg)))
			require.NoError(t, err)
			token := a.Sign(alg, mint.Header{"typ": "at+jwt"}, mint.Claims{"sub": "x"})
			assert.NoError(t, mint.Verify(t.Context(), token, []*document.Object{key}), alg)
			assert.NotEmpty(t, a.CertificateChain(alg), alg)
		}
	}
	der, err := base64.StdEncoding.DecodeString(a.CertificateChain("ES256")[0])
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	assert.Equal(t, &a.EC.PublicKey, certificate.PublicKey)
}

func TestKeysSignAndAreRead(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for algorithm, signer := range map[string]crypto.Signer{"RS256": rsaKey, "ES256": mint.NewKey("").Signer, "EdDSA": ed} {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		require.NoError(t, err)
		key, err := mint.ParseKey("k1", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		require.NoError(t, err)
		assert.Equal(t, algorithm, key.Algorithm())
		set, _, err := document.ParseObject(mint.JSON(key.JWK()))
		require.NoError(t, err)
		token := key.JWT(nil, mint.Claims{"sub": "x"})
		assert.NoError(t, mint.Verify(t.Context(), token, []*document.Object{set}), algorithm)
	}
	for _, bad := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		_, err := mint.ParseKey("", []byte(bad))
		assert.Error(t, err)
	}
}

// Anybody who knows the seed knows the keys of a seeded run, so a later run must have others.
func TestNoSeededAttackerOutlivesItsRun(t *testing.T) {
	seeded.Suites.Seed(7)
	known := mint.NewAttacker().JWK()
	seeded.Suites.Seed(7)
	assert.Equal(t, known, mint.NewAttacker().JWK())
	seeded.Suites.Forget()
	assert.NotEqual(t, known, mint.NewAttacker().JWK())
}

func TestAudiencesAreOneOrAList(t *testing.T) {
	for name, c := range map[string]struct {
		claim any
		want  []string
	}{
		"one":            {"a", []string{"a"}},
		"a list of Go":   {[]string{"a", "b"}, []string{"a", "b"}},
		"a list of JSON": {[]any{"a", 5, "b"}, []string{"a", "b"}},
		"none":           {nil, nil},
		"no text":        {7.0, nil},
	} {
		assert.Equal(t, c.want, mint.Claims{"aud": c.claim}.Audiences(), name)
	}
}

// A verifier of one algorithm refuses the others before it looks at a key, so that the first row must be of its own.
func TestTheAlgorithmOfTheGenuineTokenComesFirst(t *testing.T) {
	a := mint.NewAttacker()
	for _, alg := range []string{"ES256", "EdDSA", "RS256", "PS384"} {
		all := a.Algorithms(mint.Header{"alg": alg})
		assert.Equal(t, alg, all[0])
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), len(all), "one appears twice: %v", all)
	}
	assert.Equal(t, "RS256", a.Algorithms(mint.Header{"alg": "HS256"})[0])
}
