package tokenvalidation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/mint"
)

// A target that waits long enough for a good answer is right to serve the token.
func TestNoLateAnswerIsGood(t *testing.T) {
	late := 0
	for _, r := range ambiguous(`{"valid":true}`, "http://127.0.0.1/") {
		if r.Value.Delay > 0 {
			late++
			assert.True(t, r.Value.Break, r.Name)
		}
	}
	assert.Positive(t, late)
}

func TestMACsFollowTheToken(t *testing.T) {
	for alg, want := range map[any][]string{"HS384": {"HS384"}, "HS256": {"HS256"}, "RS256": {"HS256", "HS512"}, nil: {"HS256", "HS512"}} {
		assert.Equal(t, want, symmetric(mint.Header{"alg": alg}), alg)
	}
}

func TestWeakSecretsInAllHashes(t *testing.T) {
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		weak := mint.HMACToken(alg, mint.Header{"typ": "JWT"}, mint.Claims{"sub": "alice"}, []byte(weakSecrets[3]))
		j := haveNoWeakSecret.Judge(weak)
		assert.False(t, j.Met, alg)
		assert.Contains(t, j.Observed, "number 4", alg)
		assert.True(t, haveNoWeakSecret.Judge(mint.HMACToken(alg, mint.Header{}, mint.Claims{}, []byte("a long and random one"))).Met, alg)
	}
	for _, other := range []string{"opaque", "a.b.c", mint.Unsigned(mint.Header{"alg": "none"}, mint.Claims{})} {
		require.True(t, haveNoWeakSecret.Judge(other).Met, other)
	}
}
