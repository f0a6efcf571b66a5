package flaws

import "github.com/mcpauth/conformance/fakes/idp"

// assertions are flaws about identity assertions and token exchange.
var assertions = []Flaw{
	one("assertion-for-anybody", idp.AssertionsForConfidential, "AS-EMA-VALID-ACCEPTED"),
	one("assertion-scope-widened", idp.AssertionScope, "AS-EMA-VALID-ACCEPTED"),
	one("assertion-resource-fixed", idp.AssertionResource, "AS-EMA-CLAIMS-REJECTED"),
	one("assertion-refreshable", idp.AssertionRefresh, "AS-EMA-VALID-ACCEPTED"),
	one("assertion-of-any-type", idp.AssertionType, "AS-EMA-CLAIMS-REJECTED"),
	one("assertion-for-any-server", idp.AssertionAudience, "AS-EMA-CLAIMS-REJECTED"),
	one("assertion-of-any-client", idp.AssertionClient, "AS-EMA-CLAIMS-REJECTED"),
	one("assertion-of-any-time", idp.AssertionTime, "AS-EMA-CLAIMS-REJECTED"),
	one("assertion-issuer-asked", idp.AssertionIssuer, "AS-EMA-SIGNATURE-REJECTED"),
	one("assertion-unsigned", idp.AssertionSignature, "AS-EMA-SIGNATURE-REJECTED"),
	one("exchange-unverified", idp.ExchangeVerifies, "AS-TX-VALIDATION"),
	one("exchange-widens", idp.ExchangeNarrows, "AS-TX-VALIDATION"),
	one("exchange-for-anybody", idp.ExchangeForConfidential, "AS-TX-VALIDATION"),
}
