package check

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

func TestASeedGivesTheOrder(t *testing.T) {
	order := func(seed string) string {
		var checks []*Check
		for _, id := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} {
			checks = append(checks, &Check{Requirement: &requirements.Requirement{ID: id}})
		}
		(&World{Order: seed}).reorder(checks)
		var ids []string
		for _, c := range checks {
			ids = append(ids, c.Requirement.ID)
		}
		return strings.Join(ids, "")
	}
	assert.Equal(t, "ABCDEFGH", order(""), "the checks are not in the order of the catalogue")
	assert.NotEqual(t, order("one"), order("two"))
	assert.Equal(t, order("one"), order("one"))
	sorted := strings.Split(order("one"), "")
	slices.Sort(sorted)
	assert.Equal(t, "ABCDEFGH", strings.Join(sorted, ""), "a check is missing")
}
