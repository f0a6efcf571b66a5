package suites

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A slow server gets more time, and a hostile one not without end.
func TestMoreTimeIsBounded(t *testing.T) {
	assert.Equal(t, 80*time.Minute, beyond(2*time.Second))
	assert.Equal(t, mostMore, beyond(15*time.Second))
}
