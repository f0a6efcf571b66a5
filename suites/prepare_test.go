package suites

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/target"
)

// A slow server gets more time, and a hostile one not without end.
func TestMoreTimeIsBounded(t *testing.T) {
	assert.Equal(t, 80*time.Minute, beyond(2*time.Second))
	assert.Equal(t, mostMore, beyond(15*time.Second))
}

// The report names declared tools that the server does not list. A server that lists no tools says nothing about them.
func TestToolsThatAreNotListedAreNamed(t *testing.T) {
	declared := []target.Tool{{Name: "read_note"}, {Name: "raed_note"}}
	assert.Contains(t, facts(&survey.Survey{Listed: []string{"read_note"}}, declared),
		reports.Fact{Name: "declared, but not in tools/list", Value: "raed_note"})
	assert.Len(t, facts(&survey.Survey{Listed: []string{"read_note", "raed_note"}}, declared), 1)
	assert.Empty(t, facts(&survey.Survey{}, declared))
}
