// Package refresh contains the checks on refresh tokens: rotation, families, binding and scope (OAuth 2.1
// section 4.3, RFC 9700 section 4.14).
package refresh

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.3: Refresh Token Grant", func() {
		Must("AS-REFRESH-WORKS", refreshes)
		Practice("AS-REFRESH-NEW-ACCESS-TOKEN", issuesNewAccessToken)
		Must("AS-REFRESH-SAME-USER", keepsUserAndClient)
		Must("AS-REFRESH-RANDOM", issuesUnguessableTokens)
		Must("AS-REFRESH-INVALID", refusesInvalidTokens)
		Practice("AS-REFRESH-CLIENT-CAPABILITY", issuesToClientsThatCanRefresh)
		Practice("AS-REFRESH-SIDE-ENDPOINTS", guardsOtherEndpoints)
		Must("AS-REFRESH-REVOKED", refusesRevokedTokens)
		Should("AS-REFRESH-SCOPE-NARROW", narrowsScope)
		Must("AS-REFRESH-SCOPE-WIDEN", neverWidensScope)
	})
	Describe("OAuth 2.1 section 4.3.1: rotation", func() {
		Must("AS-REFRESH-ROTATES", rotates)
		Must("AS-REFRESH-OLD-DIES", endsUsedTokens)
		Must("AS-REFRESH-REUSE-REVOKES-FAMILY", revokesFamilyOnReuse)
		Should("AS-REFRESH-REUSE-KILLS-ACCESS", endsAccessOnReuse)
		Practice("AS-REFRESH-RACE", keepsOneLineage)
	})
	Describe("OAuth 2.1 section 4.3.1: binding", func() {
		Must("AS-REFRESH-BOUND-CLIENT", bindsTokenToClient)
		Must("AS-REFRESH-CONFIDENTIAL-AUTH", authenticatesConfidentialClients)
	})
	Describe("OAuth 2.1 section 4.3.3: Refresh Token Recommendations", func() {
		Should("AS-REFRESH-EXPIRES", endsIdleTokens)
	})
	Describe("RFC 8707 section 2.2: Access Token Request", func() {
		Must("AS-REFRESH-RESOURCE", keepsResource)
	})
}
