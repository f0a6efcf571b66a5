// Package pkce contains the checks on Proof Key for Code Exchange (RFC 7636, OAuth 2.1 section 4.1).
package pkce

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.1.1: code_challenge", func() {
		Must("AS-PKCE-S256-ACCEPTED", acceptsS256)
		Must("AS-PKCE-RFC-VECTOR", hashesAsPublished)
		Must("AS-PKCE-REQUIRE-CHALLENGE", requiresChallenge)
		Must("AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL", requiresChallengeOfConfidentialClients)
		Practice("AS-PKCE-REJECT-PLAIN", refusesPlain)
		Must("AS-PKCE-METHOD-DEFAULT", takesNoMethodForS256)
		Must("AS-PKCE-UNKNOWN-METHOD", refusesUnknownMethods)
		Practice("AS-PKCE-CHALLENGE-FORMAT", refusesMalformedChallenges)
	})
	Describe("RFC 7636 section 4.6: code_verifier", func() {
		Must("AS-PKCE-REJECT-MISSING-VERIFIER", requiresVerifier)
		Must("AS-PKCE-REJECT-WRONG-VERIFIER", refusesWrongVerifiers)
		Must("AS-PKCE-REJECT-CHALLENGE-AS-VERIFIER", refusesChallengeAsVerifier)
		Must("AS-PKCE-VERIFIER-BOUNDS", acceptsVerifiersOfAllLengths)
		Practice("AS-PKCE-VERIFIER-FORMAT", refusesMalformedVerifiers)
		Must("AS-PKCE-DOWNGRADE", noticesDowngrade)
		Must("AS-PKCE-PER-CODE", bindsChallengeToCode)
		Should("AS-PKCE-ERROR-CODES", namesErrors)
	})
}
