package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The error of a wrong command does not print the secret in its URL: the output is often in a CI log.
func TestUsageErrorsHideTheSecretOfAURL(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:9/mcp?api_key=s3cr3t-0123456789"
	for _, words := range []string{"URL", "run URL more", "doctor URL more", "init URL more", "report URL", "diff URL URL", "fleet URL",
		"run -c URL", "run --targets URL", "explain URL", "certify URL"} {
		args := strings.Fields(strings.ReplaceAll(words, "URL", address))
		code, stdout, stderr := mcpauth(t, args...)
		assert.NotZero(t, code, words)
		assert.NotContains(t, stdout+stderr, "s3cr3t", words)
		assert.NotEmpty(t, stderr, words)
	}
}

func TestAURLFromAReportIsNoTarget(t *testing.T) {
	t.Parallel()
	code, _, stderr := mcpauth(t, "run", "http://127.0.0.1:9/mcp?api_key=redacted-01234567")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "write the secret instead of redacted-")
}

func TestEachReportHasItsOwnFlag(t *testing.T) {
	t.Parallel()
	code, _, stderr := mcpauth(t, "demo", "--report", "json="+filepath.Join(t.TempDir(), "a")+",html=b")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "give each report its own --report")
}
