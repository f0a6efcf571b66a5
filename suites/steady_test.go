package suites_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestSteadyRow(t *testing.T) {
	for row, steady := range map[string]string{
		"another user, with Last-Event-ID 3Fq7-XzUoP0a_dR2mK9w-LtB":  "another user, with Last-Event-ID RANDOM",
		"another user, with Last-Event-ID -3Fq7-XzUoP0a_dR2mK9w-LtB": "another user, with Last-Event-ID RANDOM", // base64url
		"http://127.0.0.1:35619/mcp":                                 "http://127.0.0.1:PORT/mcp",
		"code_challenge_method=S256":                                 "code_challenge_method=S256",
	} {
		assert.Equal(t, steady, against.SteadyRow(row))
	}
}
