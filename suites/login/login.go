// Package login contains the checks on how users sign in at the authorization server.
package login

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OWASP ASVS: authentication", func() {
		Must("AS-LOGIN-REJECT-WRONG-PASSWORD", refusesWrongPasswords)
		Practice("AS-LOGIN-NO-DEFAULT-CREDENTIALS", knowsNoDemoAccounts)
		Practice("AS-LOGIN-CSRF", bindsFormToBrowser)
		Practice("AS-LOGIN-POST-ONLY", sendsPasswordsInBodies)
	})
	Describe("OWASP ASVS: session management", func() {
		Practice("AS-LOGIN-SESSION-FIXATION", changesSessionAtLogin)
		Practice("AS-LOGIN-COOKIE-ATTRIBUTES", protectsSessionCookies)
	})
	Describe("RFC 9700 section 4.11: redirection and third parties", func() {
		Practice("AS-LOGIN-RETURN-URL", returnsToOwnPages)
		Practice("AS-LOGIN-DISCLOSURE", loadsNothingFromOthers)
	})
	Describe("OpenID Connect RP-Initiated Logout", func() {
		Should("AS-LOGIN-LOGOUT", endsSession)
		Must("AS-LOGIN-LOGOUT-REDIRECT", redirectsToRegisteredAddresses)
	})
}
