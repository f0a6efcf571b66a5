package chance_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/chance"
)

func TestASeedMakesValuesRepeat(t *testing.T) {
	assert.Equal(t, "127.0.0.1:0", chance.Address(), "without a seed, any free port")
	unseeded := chance.Text(16)
	draw := func(seed int64, part string) []any {
		chance.Seed(seed)
		chance.Text(5) // what others have drawn does not count
		chance.Turn(part)
		letters := []byte("abcdefgh")
		chance.Shuffle(letters)
		key, err := chance.Key().Bytes()
		assert.NoError(t, err)
		return []any{chance.Text(16), key, chance.Address(), string(letters)}
	}
	first := draw(1, "one")
	assert.Equal(t, first, draw(1, "one"))
	for i, other := range [][]any{draw(2, "one"), draw(1, "two")} {
		for j := range first {
			assert.NotEqual(t, first[j], other[j], "%d, %d", i, j)
		}
	}
	assert.NotEqual(t, unseeded, first[0])
	chance.Seed(1)
	chance.Forget()
	assert.False(t, chance.Seeded())
	assert.Equal(t, "127.0.0.1:0", chance.Address())
}
