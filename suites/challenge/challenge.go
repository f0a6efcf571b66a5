// Package challenge contains the checks on how a server refuses: the 401 and its WWW-Authenticate field (RFC 9110 section 11.6.1, OAuth
// 2.1 section 5.3), and that no request bypasses it.
package challenge

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 5.3.2: malformed requests", func() { Should("RS-CHALLENGE-MALFORMED-400", answersMalformedWith400) })
	Describe("MCP Authorization: Error Handling", status)
	Describe("RFC 9110 section 11.6.1: WWW-Authenticate", field)
	Describe("OAuth 2.1 section 5.3: The Bearer challenge", parameters)
	Describe("MCP Authorization: Access Token Usage", everywhere)
	Describe("MCP Authorization: Token Handling", func() { Must("RS-CHALLENGE-EXISTING-TOOLS", runsNoExistingTool) })
	Describe("MCP Authorization: Token Handling, of every client", func() { Must("RS-CHALLENGE-EVERY-CLIENT", guardsAgainstEveryClient) })
	Describe("RFC 9470: Step Up Authentication Challenge", func() { May("RS-CHALLENGE-STEP-UP-AUTHN", signalsStepUp) })
	Describe("MCP 2024-11-05: HTTP with SSE", func() { Must("RS-CHALLENGE-LEGACY-SSE", guardsOldTransport) })
}
