package flaws_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/flaws"
)

func TestEveryFlawHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range flaws.All() {
		assert.False(t, seen[f.Name], "two flaws are called %s", f.Name)
		assert.NotEmpty(t, f.Says, f.Name)
		assert.NotEmpty(t, f.Noticed, f.Name)
		seen[f.Name] = true
	}
}
