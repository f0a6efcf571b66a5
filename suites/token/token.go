// Package token contains the checks on the token endpoint (OAuth 2.1 section 3.2).
package token

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 3.2.3: Token Response", func() {
		Must("AS-TOKEN-SUCCESS-SHAPE", answersInJSON)
		Must("AS-TOKEN-NO-STORE", forbidsCaching)
		Should("AS-TOKEN-EXPIRES-IN", statesLifetime)
		Should("AS-TOKEN-SHORT-LIVED", issuesShortLivedTokens)
		Must("AS-TOKEN-RANDOM", issuesUnguessableTokens)
		Must("AS-TOKEN-SCOPE-REPORTED", reportsScope)
		Practice("AS-TOKEN-JWT-CLAIMS", fillsClaims)
	})
	Describe("OAuth 2.1 section 3.2.2: Token Request", func() {
		Must("AS-TOKEN-POST-ONLY", refusesQueries)
		Must("AS-TOKEN-CONTENT-TYPE", readsMediaType)
		Practice("AS-TOKEN-JSON-BODY", checksJSONBodies)
		Must("AS-TOKEN-DUPLICATE-PARAMS", refusesRepeatedParameters)
		Must("AS-TOKEN-UNKNOWN-AND-EMPTY", ignoresUnknownParameters)
		Must("AS-TOKEN-GRANT-TYPE-ERRORS", distinguishesGrantTypes)
		Must("AS-TOKEN-PASSWORD-GRANT-OFF", refusesPasswordGrant)
		Must("AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC", refusesClientCredentialsOfPublicClients)
		Practice("AS-TOKEN-OVERSIZED", survivesOversizedRequests)
	})
	Describe("OAuth 2.1 section 4.1.3: Token Endpoint Extension", func() {
		Must("AS-TOKEN-INVALID-CODE", refusesInvalidCodes)
		Must("AS-TOKEN-CODE-SINGLE-USE", redeemsCodeOnce)
		Must("AS-TOKEN-CODE-RACE", redeemsCodeOnceInARace)
		Should("AS-TOKEN-CODE-REPLAY-REVOKES", revokesOnReplay)
		Should("AS-TOKEN-CODE-REPLAY-NO-DOS", keepsTokensOnInvalidReplay)
		Must("AS-TOKEN-CODE-BOUND-CLIENT", bindsCodeToClient)
		Must("AS-TOKEN-CODE-BOUND-REDIRECT", bindsCodeToRedirectURI)
		Practice("AS-TOKEN-REDIRECT-OPTIONAL", servesRequestsWithoutRedirectURI)
		Should("AS-TOKEN-UNAUTHORIZED-GRANT", refusesUnregisteredGrants)
		Must("AS-TOKEN-TYPE-CONFUSION", distinguishesTokens)
	})
	Describe("OAuth 2.1 section 2.4: Client Authentication", func() {
		Must("AS-TOKEN-INVALID-CLIENT-BASIC", challengesFailedBasic)
		Must("AS-TOKEN-WRONG-SECRET", refusesWrongSecrets)
		Practice("AS-TOKEN-METHOD-PINNED", holdsClientsToTheirMethod)
		Must("AS-TOKEN-SECRET-POST", acceptsSecretInBody)
		May("AS-TOKEN-SECRET-BASIC", acceptsBasic)
		Must("AS-TOKEN-TWO-METHODS", refusesTwoMethods)
	})
	Describe("OAuth 2.1 section 3.2.4: Error Response", func() {
		Must("AS-TOKEN-UNKNOWN-CLIENT", saysThatClientIsUnknown)
		Must("AS-TOKEN-ERROR-SHAPE", answersErrorsInJSON)
		Practice("AS-TOKEN-ERROR-NO-LEAK", leaksNothingInErrors)
		Practice("AS-TOKEN-CORS", letsBrowserClientsIn)
	})
	Describe("OAuth 2.1 section 1.4: Access Token", func() {
		Must("AS-TOKEN-EXPIRY-ENFORCED", endsTokens)
		Must("AS-TOKEN-CODE-EXPIRES", endsCodes)
	})
	Describe("OAuth 2.1 section 7.1.4: Access Token Privilege Restriction", func() {
		Should("AS-TOKEN-AUD-NOT-UNIVERSAL", restrictsAudienceWithoutResource)
	})
}
