package main_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A command that is used wrongly does not print the secret of the URL that it was given, and its output often is in a CI log.
func TestUsageErrorsHideTheSecretOfAURL(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:9/mcp?api_key=s3cr3t-0123456789"
	for _, args := range [][]string{
		{address}, {"run", address, "more"}, {"doctor", address, "more"}, {"init", address, "more"}, {"report", address}, {"diff", address, address},
		{"fleet", address}, {"run", "-c", address}, {"run", "--targets", address}, {"explain", address}, {"certify", address},
	} {
		code, stdout, stderr := mcpauth(t, nil, args...)
		assert.NotZero(t, code, args)
		assert.NotContains(t, stdout+stderr, "s3cr3t", args)
		assert.NotEmpty(t, stderr, args)
	}
}

func TestAURLFromAReportIsNoTarget(t *testing.T) {
	t.Parallel()
	code, _, stderr := mcpauth(t, nil, "run", "http://127.0.0.1:9/mcp?api_key=redacted-01234567")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "put the secret back")
}

func TestEachReportHasItsOwnFlag(t *testing.T) {
	t.Parallel()
	code, _, stderr := mcpauth(t, nil, "demo", "--report", "json="+filepath.Join(t.TempDir(), "a")+",html=b")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "give each report its own --report")
}
