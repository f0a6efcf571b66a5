// Package extension contains the checks on MCP's authorization extensions, and on the OAuth features that some servers offer in addition
// to the code flow.
package extension

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP extension: OAuth Client Credentials", credentials)
	Describe("MCP extension: Enterprise-Managed Authorization", enterprise)
	Describe("RFC 9449: DPoP", binding)
	Describe("Identity Assertion JWT Authorization Grant", identityAssertions)
	Describe("RFC 8693: Token Exchange", exchange)
	Describe("RFC 8628: Device Authorization Grant", devices)
	Describe("RFC 9126: Pushed Authorization Requests", pushedRequests)
	Describe("RFC 7523 section 3: client assertions", assertions)
}
