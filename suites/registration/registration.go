// Package registration contains the checks on dynamic client registration (RFC 7591, RFC 7592).
package registration

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7591 section 3: Client Registration Endpoint", func() {
		May("AS-DCR-SUPPORTED", registersStrangers)
		Should("AS-REG-SOME-WAY", leavesStrangersAWay)
		May("AS-DCR-PROTECTED-401", challengesRegistration)
		Practice("AS-DCR-METHODS", registersByPostOnly)
		Practice("AS-DCR-SSRF-METADATA-URLS", fetchesNothingFromInside)
	})
	Describe("RFC 7591 section 3.2.1: Client Information Response", func() {
		Must("AS-DCR-SUCCESS-SHAPE", answersRegistrations)
		Must("AS-DCR-ECHO-METADATA", returnsWhatIsRegistered)
		Practice("AS-DCR-NO-NULLS", leavesOutUnsetMembers)
		Must("AS-DCR-PUBLIC-NO-SECRET", issuesNoSecretToPublicClients)
		Must("AS-DCR-SECRET-EXPIRY", statesSecretExpiry)
		Must("AS-DCR-SECRET-WORKS", issuesSecretsThatWork)
		Should("AS-DCR-DEFAULTS", appliesDefaults)
		Must("AS-DCR-UNKNOWN-IGNORED", ignoresUnknownMembers)
		May("AS-DCR-APPLICATION-TYPE", knowsNativeClients)
		Must("AS-DCR-IDS-UNIQUE-RANDOM", issuesClientsOfTheirOwn)
		Must("AS-DCR-NO-STORE", storesNothing)
		Must("AS-DCR-CLIENT-USABLE", knowsClientsAtOnce)
		Should("AS-DCR-LOOPBACK-ACCEPTED", acceptsLoopbackRedirects)
		Must("AS-DCR-NO-SHARED-UPSTREAM", keepsUpstreamClientToItself)
	})
	Describe("RFC 7591 section 2: redirect_uris", func() {
		Must("AS-DCR-REJECT-DANGEROUS-SCHEME", refusesDangerousSchemes)
		Must("AS-DCR-REJECT-PLAIN-HTTP", refusesPlainHTTP)
		Must("AS-DCR-REJECT-LOOPBACK-LOOKALIKE", refusesLoopbackLookalikes)
		Must("AS-DCR-REJECT-FRAGMENT", refusesFragments)
		Must("AS-DCR-REJECT-NON-ABSOLUTE", refusesURIsThatAreNotAbsolute)
		Must("AS-DCR-REDIRECTS-REQUIRED", requiresRedirectURIs)
		Must("AS-DCR-WILDCARD", treatsPatternsAsText)
		Should("AS-DCR-PRIVATE-SCHEME", refusesBarePrivateSchemes)
	})
	Describe("RFC 7591 section 2: Client Metadata", func() {
		Must("AS-DCR-ERROR-SHAPE", answersErrors)
		Practice("AS-DCR-MALFORMED-BODY", survivesMalformedBodies)
		Should("AS-DCR-CONSISTENT-TYPES", confirmsConsistentTypes)
		Practice("AS-DCR-NO-PRIVILEGED-GRANTS", givesNoPrivilegedGrants)
		Practice("AS-DCR-SCOPE-LIMITS", limitsScope)
		Practice("AS-DCR-NO-CLIENT-CHOSEN-IDS", letsNobodyChooseIdentifiers)
		May("AS-DCR-SOFTWARE-STATEMENT", believesNoForgedStatements)
	})
	Describe("RFC 7592: Client Configuration Endpoint", func() {
		Must("AS-DCRM-TOKEN-REQUIRED", requiresTheManagementToken)
		Must("AS-DCRM-UPDATE-REVALIDATES", revalidatesUpdates)
		Should("AS-DCRM-DELETE", endsDeletedClients)
	})
}
