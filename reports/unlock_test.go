package reports_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// If the diagnosis names another URL, the next command tests that one, with the same other options.
func TestTheNextCommandNamesTheURLThatWasMeant(t *testing.T) {
	for command, want := range map[string]string{
		"":                               "mcpauth run https://a.test/mcp",
		"mcpauth run https://a.test/mpc": "mcpauth run https://a.test/mcp",
		"mcpauth run https://a.test/mpc --username 'a  b' --only X":  "mcpauth run https://a.test/mcp --username 'a  b' --only X",
		"mcpauth run --config target.yaml":                           "mcpauth run --config target.yaml https://a.test/mcp",
		"mcpauth run https://a.test/mpc --origin https://a.test/mpc": "mcpauth run https://a.test/mcp --origin https://a.test/mpc",
	} {
		run := reports.Run{Unreachable: "404", Instead: "https://a.test/mcp", Command: command}
		run.Target.URL = "https://a.test/mpc"
		next := run.NextCommands()
		if assert.Len(t, next, 1) {
			assert.Equal(t, want, next[0].Command)
		}
	}
	run := reports.Run{Unreachable: "404"}
	run.Target.URL = "https://a.test/mpc"
	assert.Equal(t, "mcpauth doctor https://a.test/mpc", run.NextCommands()[0].Command, "the command has another address than the user gave")
}
