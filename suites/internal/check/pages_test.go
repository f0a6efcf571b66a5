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

// Another site cannot send a value that only the page knows. It can send one that it finds by counting.
func TestWhatOnlyAPageKnows(t *testing.T) {
	for name, c := range map[string]struct {
		value, elsewhere string
		want             bool
	}{
		"a random value":                          {"c2k9Zq7vLw3nXb5R", "Qe8pTf1yMh6sUd4J", true},
		"one of each user":                        {"c2k9Zq7vLw3nXb5R", "c2k9Zq7vLw3nXb5R", true},
		"one that another browser does not get":   {"c2k9Zq7vLw3nXb5R", "", true},
		"a short random value":                    {"k3Xp9QzL", "m8Rt2VbN", true},
		"a short one that all get":                {"k3Xp9QzL", "k3Xp9QzL", false},
		"a number that counts":                    {"00000041", "00000042", false},
		"a short name with a number that counts":  {"txn-0041", "txn-0042", false},
		"a long name with a number that counts":   {"transaction_0000000999", "transaction_0000001000", false},
		"hexadecimal numbers that count":          {"0000beef12345678", "0000beef12345679", false},
		"a random value after a long common name": {"consent.token.k3Xp9QzL", "consent.token.m8Rt2VbN", true},
	} {
		assert.Equal(t, c.want, secret("transaction", c.value, c.elsewhere), name)
	}
}
