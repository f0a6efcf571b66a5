// Package elicitation contains the checks on what a server asks its users for through the client.
package elicitation

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Elicitation: form mode", forms)
	Describe("MCP Elicitation: URL mode", urls)
}
