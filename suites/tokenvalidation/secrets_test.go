package tokenvalidation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// A report gives the number of a secret only: the page of the requirement says which it is.
func TestThePageNamesEachSecretByItsNumber(t *testing.T) {
	r, known := requirements.Lookup("RS-TOKEN-WEAK-SECRET")
	require.True(t, known)
	page := strings.Join(strings.Fields(strings.Join(r.Procedure, " ")), " ")
	for i, secret := range weakSecrets {
		assert.Contains(t, page, fmt.Sprintf("(%d) %s", i+1, secret))
	}
	assert.NotContains(t, page, fmt.Sprintf("(%d)", len(weakSecrets)+1))
}
