package credentials

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// A report gives the number of a sample only: the page of the requirement says which it is.
func TestThePageNamesEachSampleByItsNumber(t *testing.T) {
	r, known := requirements.Lookup("RS-STATIC-DEFAULT-CREDENTIALS")
	require.True(t, known)
	page := strings.Join(strings.Fields(strings.Join(r.Procedure, " ")), " ")
	for i, sample := range samples {
		assert.Contains(t, page, fmt.Sprintf("(%d) %s", i+1, sample))
	}
	assert.NotContains(t, page, fmt.Sprintf("(%d)", len(samples)+1))
}
