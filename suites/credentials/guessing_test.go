package credentials

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGuessing(t *testing.T) {
	for secret, most := range map[string]float64{
		"": 0, "hunter2": 80, "admin-token-123": 20, "sk-prod-1234567890abcdef": 79, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": 10,
		"0123456789012345678901234567890123456789": 79, "changeme": 80, "readonly-token-789": 20,
	} {
		assert.LessOrEqual(t, guessing(secret, nil), most, secret)
	}
	assert.Less(t, guessing("team-secret-7f3a9c1e5b2d-0001", []string{"team-secret-7f3a9c1e5b2d-0002"}), 80.0,
		"a part that the secrets share counts as secret")
}

func TestGuessingTrustsRandomSecrets(t *testing.T) {
	for range 2000 {
		b := make([]byte, 24)
		_, _ = rand.Read(b)
		for _, secret := range []string{base64.RawURLEncoding.EncodeToString(b), "sk-" + base64.RawURLEncoding.EncodeToString(b),
			hex.EncodeToString(b)} {
			assert.GreaterOrEqual(t, guessing(secret, nil), 128.0, secret)
		}
	}
}
