package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// reset returns the fields of a limit that resets in five seconds.
func reset(left string) []reports.Field {
	return []reports.Field{{Name: "RateLimit-Reset", Value: "5"}, {Name: "RateLimit-Remaining", Value: left}}
}

func TestHowLongAnAnswerAsksToWait(t *testing.T) {
	for name, c := range map[string]struct {
		fields []reports.Field
		wait   time.Duration
		told   bool
	}{
		"nothing":                          {nil, 100 * time.Millisecond, false},
		"Retry-After":                      {[]reports.Field{{Name: "Retry-After", Value: "7"}}, 7 * time.Second, true},
		"RateLimit, spent":                 {[]reports.Field{{Name: "RateLimit", Value: `"default";r=0;t=9`}}, 9 * time.Second, true},
		"RateLimit, with requests left":    {[]reports.Field{{Name: "RateLimit", Value: `"default";r=50;t=60`}}, 100 * time.Millisecond, false},
		"a reset":                          {[]reports.Field{{Name: "X-RateLimit-Reset", Value: "5"}}, 5 * time.Second, true},
		"a reset with requests left":       {reset("3"), 100 * time.Millisecond, false},
		"a reset with no requests left":    {reset("0"), 5 * time.Second, true},
		"Retry-After that nobody can read": {[]reports.Field{{Name: "Retry-After", Value: "soon"}}, 100 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			wait, told := retryAfter(&reports.Exchange{Response: &reports.Response{Status: 429, Header: c.fields}})
			assert.Equal(t, c.wait, wait)
			assert.Equal(t, c.told, told)
		})
	}
}
