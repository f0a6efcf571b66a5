// Package transport contains the checks on the HTTP layer below authorization: TLS, Origin and Host, CORS,
// redirects, caches, and the protocol version header.
package transport

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Transports: Security Warning", rebinding)
	Describe("WHATWG Fetch: HTTP CORS protocol", cors)
	Describe("OAuth 2.1 section 1.5: Communication security", security)
	Describe("MCP Transports: Protocol Version Header", versions)
	Describe("MCP Transports: Security Warning, localhost", localhost)
}

const evil = "https://evil.example"

func rebinding() {
	Must("RS-TRANSPORT-ORIGIN-INVALID", refusesForeignOrigins)

	Practice("RS-TRANSPORT-ORIGIN-ALLOWED", acceptsAllowedOrigins)
	Must("RS-TRANSPORT-ORIGIN-EVERY-METHOD", refusesForeignOriginsByEveryMethod)
	Practice("RS-TRANSPORT-HOST-REBINDING", refusesForeignHosts)
}

func cors() {
	Practice("RS-TRANSPORT-CORS-PREFLIGHT", answersPreflights)
	Practice("RS-TRANSPORT-CORS-EXPOSE", exposesChallenge)
	Practice("RS-TRANSPORT-CORS-CREDENTIALS", allowsNoCredentialsFromForeignOrigins)
}

func security() {
	Must("RS-TLS-ENFORCED", servesByTLSOnly)
	Practice("RS-TLS-MODERN", refusesOldTLS)
	Must("AS-TLS-ENFORCED", issuesTokensByTLSOnly)
	Practice("AS-TLS-MODERN", refusesOldTLSAtIssuer)
	Practice("RS-TLS-HSTS", pinsTLS)
	Practice("AS-TLS-HSTS", pinsTLSOnPages)
	Practice("RS-TRANSPORT-NO-REDIRECT", answersWhereItIsPublished)
	Practice("RS-TRANSPORT-CACHE", keepsAnswersOutOfSharedCaches)
	Practice("RS-TRANSPORT-COOKIES", takesNoCookieForToken)
}

func versions() {
	Must("RS-TRANSPORT-VERSION-HEADER", guardsEveryVersion)
	Must("RS-TRANSPORT-ERA-PARITY", protectsBothWiresAlike)
	Must("RS-TRANSPORT-HEADER-MISMATCH", refusesContradictions)
	Must("RS-TRANSPORT-CONNECTION-IDENTITY", judgesEachRequestAlone)
}

// "When running locally, servers SHOULD bind only to localhost (127.0.0.1) rather than all network interfaces (0.0.0.0)"
func localhost() {
	Should("RS-TRANSPORT-LOCAL-BIND", listensOnLoopbackOnly)
}
