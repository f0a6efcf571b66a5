package against

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWithinFindsWhatIsThere(t *testing.T) {
	assert.Equal(t, []string{"secret-1"}, within("a secret-1, a secre", []string{"secret-1", "secret-2"}))
}
