package mint

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/suites/internal/document"
)

func key(t *testing.T, jwk string) *document.Object {
	t.Helper()
	o, _, err := document.ParseObject(jwk)
	require.NoError(t, err)
	return o
}

// RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.4.
func TestVerifyPublishedVectors(t *testing.T) {
	for name, v := range map[string]struct{ token, jwk string }{
		"RS256": {
			"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4h" +
				"iUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB" +
				"YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES" +
				"c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
			`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-` +
				`SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapH` +
				`g665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ` +
				`","e":"AQAB"}`,
		},
		"ES256": {
			"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEh" +
				"U3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		},
		"EdDSA": {
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5" +
				"BhVsPt9g7sVvpAr_MuM0KAg",
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.NoError(t, Verify(t.Context(), v.token, []*document.Object{key(t, v.jwk)}))
			last := v.token[len(v.token)-10]
			changed := v.token[:len(v.token)-10] + map[bool]string{true: "B", false: "A"}[last == 'A'] + v.token[len(v.token)-9:]
			assert.Error(t, Verify(t.Context(), changed, []*document.Object{key(t, v.jwk)}))
			assert.Error(t, Verify(t.Context(), v.token, nil))
		})
	}
	assert.Error(t, Verify(t.Context(), "a.b", nil))
	assert.ErrorContains(t, Verify(t.Context(), NewAttacker().ES256(Header{"alg": "ES256", "kid": "x"}, Claims{}),
		[]*document.Object{key(t, `{"kty":"EC","kid":"y"}`)}), "no key with the kid")
}

// RFC 7518 section 3.4 and RFC 8037 section 3.1: the algorithm determines the curve.
func TestVerifyTiesCurvesToAlgorithms(t *testing.T) {
	for _, c := range []struct {
		alg   string
		curve elliptic.Curve
		right bool
	}{
		{"ES256", elliptic.P256(), true},
		{"ES256", elliptic.P384(), false},
		{"ES256", elliptic.P521(), false},
		{"ES384", elliptic.P384(), true},
		{"ES384", elliptic.P256(), false},
		{"ES512", elliptic.P521(), true},
		{"ES512", elliptic.P256(), false},
		{"ES128", elliptic.P256(), false},
	} {
		private, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		require.NoError(t, err)
		size := (c.curve.Params().BitSize + 7) / 8
		hash := map[string]crypto.Hash{"ES384": crypto.SHA384, "ES512": crypto.SHA512}[c.alg]
		if hash == 0 {
			hash = crypto.SHA256
		}
		input := Input(Header{"alg": c.alg}, Claims{"sub": "alice"})
		h := hash.New()
		h.Write([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, private, h.Sum(nil))
		require.NoError(t, err)
		signature := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		point, err := private.PublicKey.Bytes()
		require.NoError(t, err)
		jwk := JSON(map[string]any{"kty": "EC", "crv": c.curve.Params().Name, "x": Base64(point[1 : 1+size]), "y": Base64(point[1+size:])})
		err = Verify(t.Context(), input+"."+Base64(signature), []*document.Object{key(t, jwk)})
		assert.Equal(t, c.right, err == nil, "%s on %s: %v", c.alg, c.curve.Params().Name, err)
	}
}

func TestVerifyBearsAbsurdKeys(t *testing.T) {
	token := NewAttacker().ES256(Header{"alg": "ES256"}, Claims{})
	huge := strings.Repeat("AQ", 1000)
	for _, jwk := range []string{
		`{"kty":"EC","crv":"P-256","x":"` + huge + `","y":"` + huge + `"}`, `{"kty":"EC","crv":"P-256"}`,
		`{"kty":"RSA","n":"` + huge + `","e":"` + huge + `"}`, `{"kty":"OKP","x":"AQ"}`, `{}`,
	} {
		assert.Error(t, Verify(t.Context(), token, []*document.Object{key(t, jwk)}), jwk)
		for _, alg := range []string{"RS256", "PS512", "ES384", "EdDSA", "", "none"} {
			assert.Error(t, Verify(t.Context(), segment(Header{"alg": alg})+".e30.AAAA", []*document.Object{key(t, jwk)}))
		}
	}
}

// Slow keys are not tried, and the error says so: the signature may still be valid.
func TestVerifyBoundsItsWork(t *testing.T) {
	n := strings.Repeat("tx3p", 683) // more than 16,384 bits
	token := segment(Header{"alg": "RS256"}) + ".e30." + n
	many := func(jwk string, count int) (out []*document.Object) {
		for range count {
			out = append(out, key(t, jwk))
		}
		return out
	}
	const small = `{"kty":"RSA","n":"tx3ptx3p","e":"AQAB"}`
	assert.ErrorContains(t, Verify(t.Context(), token, many(`{"kty":"RSA","n":"`+n+`","e":"AQAB"}`, 1)), "bits, more than 8192")
	assert.ErrorContains(t, Verify(t.Context(), token, many(`{"kty":"RSA","n":"tx3p","e":"f____w7__w"}`, 1)), "exponent")
	assert.ErrorIs(t, Verify(t.Context(), token, many(small, 21)), ErrUntried)
	assert.NotErrorIs(t, Verify(t.Context(), token, many(small, 20)), ErrUntried)
	assert.NotErrorIs(t, Verify(t.Context(), token, many(`{"kty":"EC"}`, 100)), ErrUntried, "keys of another type count as candidates")
	ended, end := context.WithCancel(t.Context())
	end()
	assert.ErrorIs(t, Verify(ended, token, many(small, 1)), context.Canceled)
}

// Verification ends, and takes little time, for any key set and token.
func FuzzVerify(f *testing.F) {
	f.Add(`{"kty":"RSA","n":"tx3ptx3p","e":"AQAB"}`, "RS256", "AAAA")
	f.Add(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`, "ES256", "AAAA")
	f.Add(`{"kty":"OKP","crv":"Ed25519","x":"AQ"}`, "EdDSA", "AAAA")
	f.Fuzz(func(t *testing.T, jwk, alg, signature string) {
		k, _, err := document.ParseObject(jwk)
		if err != nil {
			return
		}
		keys := make([]*document.Object, 100)
		for i := range keys {
			keys[i] = k
		}
		costs.Bounded(t, len(jwk)+len(signature), 100*mostCandidates, func() {
			if Verify(t.Context(), segment(Header{"alg": alg})+".e30."+signature, keys) == nil && alg == "none" {
				t.Error("alg none verifies")
			}
		})
	})
}
