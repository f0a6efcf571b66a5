package idp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Whoever knows the seed knows the seal of a seeded server, so a later server of the process must have another key.
func TestNoSeededSealOutlivesItsServer(t *testing.T) {
	seal := func() string {
		s, err := New("http://127.0.0.1:1", Ideal())
		require.NoError(t, err)
		return s.seal("body")
	}
	seeded.Fakes.Seed(7)
	known := seal()
	seeded.Fakes.Seed(7)
	assert.Equal(t, known, seal())
	seeded.Fakes.Forget()
	assert.NotEqual(t, known, seal())
}
