package check

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
)

// beside judges a value in a check of which a request was answered with HTTP 500.
func beside(t *testing.T, judge func(t *T)) reports.Verdict {
	t.Helper()
	return verdict(t, func(t *T) {
		failed := &reports.Exchange{Number: 2, Check: t.id, Response: &reports.Response{Status: 500}}
		t.transcript = append(t.transcript, failed)
		judge(t)
	}).Verdict
}

// A target that fetches what a token names, cannot use it and answers 500 has fetched it.
func TestWhatAListenerSawCountsWhateverFailed(t *testing.T) {
	none := expect.That("no request", func(seen []listener.Request) string { return seen[0].URL })
	assert.Equal(t, reports.Fail, beside(t, func(t *T) { t.Expect([]listener.Request{{URL: "/kid"}}).To(none) }))
}

// A number may be what a failed answer was read as.
func TestAValueOfUnknownOriginCountsOnlyWhereNothingFailed(t *testing.T) {
	assert.Equal(t, reports.Inconclusive, beside(t, func(t *T) { t.Expect(1).To(never) }))
	assert.Equal(t, reports.Fail, verdict(t, func(t *T) { t.Expect(1).To(never) }).Verdict)
}
