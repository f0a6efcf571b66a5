package certify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// judgesAlikeAtAnyTime judges a run again, years before and after it was made: the current time must not matter.
func judgesAlikeAtAnyTime(t *testing.T, run *reports.Run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // its clock begins in the year 2000
		for range 2 {
			assert.Empty(t, suites.JudgeAgain(run).Contradictions, "judged in %d", time.Now().Year())
			time.Sleep(50 * 365 * 24 * time.Hour)
		}
	})
}
