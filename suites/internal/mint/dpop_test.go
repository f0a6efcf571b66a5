package mint_test

import (
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/mint"
)

// The example of RFC 9449 section 4.1: an access token with its hash.
func TestProofNamesTheToken(t *testing.T) {
	c := mint.ProofClaims("GET", "https://resource.example.org/protectedresource",
		"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "e1j3V_bKic8-LAEB")
	assert.Equal(t, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", c["ath"])
	assert.NotContains(t, mint.ProofClaims("POST", "https://server.example.com/token", "", "x"), "ath")
}

func TestThumbprintIgnoresTheName(t *testing.T) {
	key := mint.NewKey("a")
	other := &mint.Key{ID: "b", Signer: key.Signer}
	assert.Equal(t, key.Thumbprint(), other.Thumbprint())
	assert.Len(t, key.Thumbprint(), 43)
	assert.NotEqual(t, key.Thumbprint(), mint.NewKey("a").Thumbprint())
	assert.NotContains(t, key.PublicJWK(), "kid")
}

// The thumbprint of a key with known public members and hash (RFC 8037 appendix A.3).
func TestThumbprintVector(t *testing.T) {
	der := []byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
		0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
		0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60}
	key, err := mint.ParseKey("", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	require.NoError(t, err)
	assert.Equal(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", key.PublicJWK()["x"])
	assert.Equal(t, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", key.Thumbprint())
}
