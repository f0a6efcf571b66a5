package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Keycloak's tab_id is 8 random bytes, which may all be printable.
func TestAShortRandomValueIsASecretWhateverItsBytes(t *testing.T) {
	for _, value := range []string{"kwsNMu1om30", "LQtEOn1ucVc"} {
		assert.True(t, secret("tab_id", value, "Abc_dE-fg12"), value)
		assert.False(t, secret("tab_id", value, value), "%s, which every browser gets, counts as a secret", value)
	}
	assert.False(t, secret("step", "20261130", "20261131"), "a counter counts as a secret")
}
