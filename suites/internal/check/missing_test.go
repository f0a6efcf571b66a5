package check

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// An option that meets no need of the catalogue helps nobody.
func TestOptionsAreForNeeds(t *testing.T) {
	used := map[string]bool{}
	for _, r := range requirements.All() {
		for _, n := range r.Needs {
			used[n] = true
		}
	}
	for need := range options {
		_, known := requirements.LookupNeed(need)
		assert.True(t, known, need)
		assert.True(t, used[need] || need == "intrusive", need)
	}
	for need := range used {
		n, _ := requirements.LookupNeed(need)
		if n.Kind == requirements.Provision && options[need] == "" {
			assert.Contains(t, []string{"browser", "callback", "declared-origins", "declared-public", "declared-screening", "mcp-endpoint"}, need, "nobody says what to add")
		}
	}
}
