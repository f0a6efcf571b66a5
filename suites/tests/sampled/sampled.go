// Package sampled holds the entries of the catalogue whose reports give samples by their number only.
package sampled

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// Named expects the procedure of a requirement to name each of the samples of its check by its number, and no other.
func Named(t *testing.T, id string, samples []string) {
	t.Helper()
	r, known := requirements.Lookup(id)
	require.True(t, known, id)
	page := strings.Join(strings.Fields(strings.Join(r.Procedure, " ")), " ")
	for i, sample := range samples {
		assert.Contains(t, page, fmt.Sprintf("(%d) %s", i+1, sample))
	}
	assert.NotContains(t, page, fmt.Sprintf("(%d)", len(samples)+1))
}
