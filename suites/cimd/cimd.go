// Package cimd contains the checks on client ID metadata documents: the client_id is the URL of a document that describes the client.
package cimd

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Authorization: Client ID Metadata Documents", support)
	Describe("OAuth Client ID Metadata Document, section 4: Client Information Discovery", fetched)
	Describe("OAuth Client ID Metadata Document, section 6: Security Considerations", security)
	Describe("OAuth Client ID Metadata Document, section 6: requests of unknown clients", load)
}

func support() {
	Should("AS-CIMD-SUPPORTED", announcesSupport)
	Must("AS-CIMD-FLAG-TRUTHFUL", announcesWhatWorks)
}

func fetched() {
	Must("AS-CIMD-REJECT-ID-MISMATCH", refusesForeignIDs)
	Must("AS-CIMD-REJECT-INVALID-DOC", refusesInvalidDocuments)
	Must("AS-CIMD-REDIRECT-LISTED", redirectsOnlyWhereListed)
	Must("AS-CIMD-REJECT-BAD-URL", refusesForbiddenURLs)
	Should("AS-CIMD-FETCH-FAILURE", refusesWhatCannotBeFetched)
	Must("AS-CIMD-CACHE", fetchesAgain)
	Must("AS-CIMD-REJECT-SHARED-SECRET", usesNoPublishedSecret)
	Must("AS-CIMD-KEY-AUTH-ENFORCED", demandsTheKeyOfTheDocument)
}

func security() {
	Practice("AS-CIMD-NO-REDIRECT-FOLLOW", followsNoRedirect)
	Should("AS-CIMD-SSRF-PRIVATE", fetchesFromNoSpecialAddress)
	Should("AS-CIMD-SIZE-AND-TIME", limitsDocuments)
	Must("AS-CIMD-CONSENT-HOSTS", showsHosts)
	Should("AS-CIMD-LOCALHOST-WARNING", warnsOfLoopback)
	Practice("AS-CIMD-UNSAFE-URIS", showsNothingUnsafe)
}

func load() {
	Practice("AS-CIMD-SSRF-REBIND", connectsToTheAddressItChecked)
	Practice("AS-CIMD-FETCH-ABUSE", limitsFetchesForStrangers)
}
