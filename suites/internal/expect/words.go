package expect

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
)

// Span returns a duration in words: 365 days, 10 minutes, 1.5s.
func Span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.of && d%unit.of == 0 {
			return reports.Count(int(d/unit.of), unit.name)
		}
	}
	return d.String()
}

// InSeconds returns a number of seconds without an exponent.
func InSeconds(s float64) string {
	if s == math.Trunc(s) {
		return fmt.Sprintf("%.0f s", s)
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", s), "0"), ".") + " s"
}
