package ratelimit

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// A server that answers every wrong guess in the same way has no limit.
func TestHindered(t *testing.T) {
	answers := func(status func(i int) int, took func(i int) float64) []*reports.Exchange {
		var out []*reports.Exchange
		for i := range 20 {
			out = append(out, &reports.Exchange{Duration: reports.Milliseconds(took(i)), Response: &reports.Response{Status: status(i)}})
		}
		return out
	}
	always := func(status int) func(int) int { return func(int) int { return status } }
	quick := func(int) float64 { return 2 }
	for _, status := range []int{200, 400, 401, 403} {
		assert.False(t, hindered(answers(always(status), quick)), "%d from the first guess on is a limit", status)
	}
	assert.True(t, hindered(answers(func(i int) int { return 401 + 28*(i/15) }, quick)), "429 from the sixteenth on is not noticed")
	assert.True(t, hindered(answers(func(i int) int { return 200 + 203*(i/10) }, quick)), "403 from the eleventh on is not noticed")
	assert.True(t, hindered(answers(always(401), func(i int) float64 { return float64(i * i * 3) })), "slower answers are not noticed")
	assert.False(t, hindered(answers(always(401), func(int) float64 { return 700 })), "equally slow answers are a limit")
}
