package expect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/expect"
)

func TestNumbersInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		8760 * time.Hour: "365 days", time.Hour: "1 hour", 10 * time.Minute: "10 minutes", 90 * time.Minute: "90 minutes",
		1500 * time.Millisecond: "1.5s", 50 * time.Millisecond: "50ms", 0: "0s",
	} {
		assert.Equal(t, want, expect.Span(d))
	}
	for s, want := range map[float64]string{
		3153600000: "3153600000 s", 0.25: "0.25 s", 3600: "3600 s", -1: "-1 s", 1.0004: "1 s", 2999.9999: "3000 s",
	} {
		assert.Equal(t, want, expect.InSeconds(s))
	}
}
