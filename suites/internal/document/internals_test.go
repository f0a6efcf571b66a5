package document

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLongTextsAreParsedTwoAtATime(t *testing.T) {
	require.Equal(t, 2, cap(longParses))
	longParses <- struct{}{}
	longParses <- struct{}{}
	parsed := make(chan error, 1)
	go func() {
		_, err := ParseValue(`"` + strings.Repeat("x", longJSON) + `"`)
		parsed <- err
	}()
	for !waitsForItsTurn() {
		require.Empty(t, parsed, "a third long text is parsed at the same time")
		time.Sleep(time.Millisecond)
	}
	_, err := ParseValue(`"short"`)
	assert.NoError(t, err)
	<-longParses
	<-longParses
	assert.NoError(t, <-parsed)
}

// waitsForItsTurn reports whether one text waits while others are parsed.
func waitsForItsTurn() bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if state, frames, _ := strings.Cut(stack, "\n"); strings.Contains(state, "[chan send") && strings.Contains(frames, ".ParseValue(") {
			return true
		}
	}
	return false
}
