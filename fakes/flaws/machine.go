package flaws

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// lockingLong makes locks last long enough for a slow machine to see the flaw.
func lockingLong(f Flaw) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Behaviour.LockTime = time.Second
	}
	return f
}

// machines are flaws of clients that act for themselves, or that authenticate with a key.
var machines = []Flaw{
	{
		Name: "machine-without-algorithms", Says: "private_key_jwt is listed without the algorithms.",
		Bend:    metadata(func(d map[string]any) { delete(d, "token_endpoint_auth_signing_alg_values_supported") }),
		Noticed: []string{"AS-CC-METADATA"}, Also: []string{"AS-KEYS-ALG-LISTS", "AS-META-*"},
	},
	one("machine-without-secret", idp.CredentialsSecret, "AS-CC-SECRET-FLOW", "AS-DCR-*", "AS-TOKEN-UNAUTHORIZED-GRANT"),
	inRows(one("device-without-secret", idp.DeviceSecret, "AS-DEVICE-GRANT"), "a client with a secret: client_id alone",
		"a client with a secret: an empty secret by Basic", "a client with a secret: a wrong secret by Basic",
		"a client with a secret: another client's secret"),
	rowOf(one("exchange-without-secret", idp.ExchangeSecret, "AS-TX-VALIDATION"), "client_id alone"),
	{
		Name: "exchange-for-other-scopes", Says: "An exchange returns the requested scopes that the subject token has not, and no others.",
		Bend: lacks(idp.ExchangeOwnScopes, idp.ExchangeNarrows), Noticed: []string{"AS-TX-VALIDATION"},
		Row: "a scope that the subject token has not",
	},
	one("machine-any-scope", idp.CredentialsScope, "AS-CC-SECRET-FLOW"),
	one("machine-is-user-1", idp.MachineSubject, "AS-CC-SUBJECT-DISTINCT"),
	one("machine-has-userinfo", idp.MachineNoUser, "AS-CC-SUBJECT-DISTINCT"),
	one("assertion-needs-client-id", idp.AssertionsAlone, "AS-CC-ASSERTION-ACCEPTED"),
	rowOf(one("assertion-unverified", idp.VerifyAssertions, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-TOKEN-WRONG-SECRET"),
		"another key"),
	rowOf(one("cimd-assertion-unverified", idp.VerifyAssertions, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-ASSERTION-REJECTED"),
		"the signature of another assertion"),
	rowOf(one("cimd-refresh-without-key", idp.RefreshNeedsSecret, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-REFRESH-*", "AS-TOKEN-*"),
		"a refresh, no assertion"),
	one("assertion-claims-ignored", idp.AssertionClaims, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-TOKEN-WRONG-SECRET"),
	one("expiry-for-verifiers-only", idp.AccessExpires, "AS-TOKEN-EXPIRY-ENFORCED"),
	rowOf(one("exchange-of-expired-tokens", idp.ExchangeExpiry, "AS-TOKEN-EXPIRY-ENFORCED"), "token exchange"),
	one("codes-for-ever", idp.CodesExpire, "AS-TOKEN-CODE-EXPIRES"),
	rowOf(one("devices-for-ever", idp.DevicesExpire, "AS-TOKEN-CODE-EXPIRES"), "a device code that its user has approved"),
	rowOf(one("par-for-ever", idp.PushedExpire, "AS-TOKEN-CODE-EXPIRES"), "a pushed request"),
	{
		Name: "devices-expire-with-another-error", Says: "A poll for an expired device code is answered with invalid_request.",
		Noticed: []string{"AS-TOKEN-CODE-EXPIRES"}, Row: "a device code that its user has approved",
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			answer.Changed(next, "/token", func(_ *http.Request, a *answer.Answer) {
				a.Say(strings.Replace(a.Body.String(), "expired_token", "invalid_request", 1))
			}).ServeHTTP(w, r)
		}),
	},
	one("refresh-for-ever", idp.RefreshExpires, "AS-REFRESH-EXPIRES"),
	one("passwords-guessed", idp.LimitPasswords, "AS-RATE-LOGIN"),
	lockingLong(one("guesses-by-header", idp.LimitByAccount, "AS-RATE-LOGIN-RECOVERY")),
	one("secrets-guessed", idp.LimitSecrets, "AS-RATE-CLIENT-SECRET"),
	one("token-errors-unlimited", idp.LimitErrors, "AS-RATE-TOKEN-429"),
	rowOf(lockingLong(one("token-limit-ends-grants", idp.LimitErrorsApart, "AS-RATE-TOKEN-429")),
		"a refresh of another client while the limit lasts"),
	one("token-limit-is-invalid-client", idp.ErrorLimitStatus, "AS-RATE-TOKEN-429"),
	one("registrations-unlimited", idp.LimitRegistrations, "AS-RATE-REGISTRATION"),
	one("removed-client-lives", idp.GrantsEnd, "AS-CONSENT-REVOCABLE"),
	one("device-codes-counted", idp.RandomDeviceCodes, "AS-DEVICE-GRANT"),
	one("device-without-user", idp.DeviceNeedsUser, "AS-DEVICE-GRANT"),
	one("device-of-any-client", idp.DeviceClient, "AS-DEVICE-GRANT"),
	rowOf(one("device-of-any-client-when-approved", idp.DeviceClientToTheEnd, "AS-DEVICE-GRANT"),
		"the device code of another client, after the user has approved it"),
	rowOf(one("device-denied", idp.DeviceDenial, "AS-DEVICE-GRANT"), "a device code that its user has denied"),
	rowOf(one("exchange-of-ended-grants", idp.ExchangeGrant, "AS-TX-VALIDATION"), "since its refresh token was revoked"),
	one("device-code-twice", idp.DeviceOnce, "AS-DEVICE-GRANT"),
	inRows(one("logout-without-effect", idp.LogoutEnds, "AS-LOGIN-LOGOUT"), "by GET", "by POST"),
	one("logout-to-anywhere", idp.LogoutStays, "AS-LOGIN-LOGOUT-REDIRECT"),
	one("refresh-for-the-last-user", idp.SameUserOnRefresh, "AS-REFRESH-SAME-USER",
		"AS-REFRESH-REUSE-KILLS-ACCESS", "AS-REFRESH-REUSE-REVOKES-FAMILY"),
	one("cimd-rebound", idp.PinnedAddress, "AS-CIMD-SSRF-REBIND"),
	one("cimd-fetched-for-anybody", idp.LimitFetches, "AS-CIMD-FETCH-ABUSE"),
	one("scopes-of-everybody", idp.PrivilegedUsers, "AS-SCOPE-USER-PRIVILEGE"),
	one("refreshes-limited", idp.ManyRefreshes, "AS-RATE-NORMAL-USE"),
	{
		Name: "profile-without-grant", Says: "The profile of identity assertions is listed, their grant is not.",
		Bend: metadata(func(d map[string]any) {
			listed, _ := d["grant_types_supported"].([]string)
			d["grant_types_supported"] = slices.DeleteFunc(slices.Clone(listed), func(g string) bool { return strings.HasSuffix(g, "jwt-bearer") })
		}),
		Noticed: []string{"AS-EMA-METADATA"}, Also: []string{"AS-META-GRANTS-MATCH-BEHAVIOUR"},
	},
	one("par-of-another-client", idp.PushedClient, "AS-PAR-BASIC"),
	one("par-reused", idp.PushedOnce, "AS-PAR-BASIC"),
	one("par-and-query", idp.PushedAlone, "AS-PAR-BASIC"),
	rowOf(one("par-and-challenge", idp.PushedChallengeAlone, "AS-PAR-BASIC"), "a query with another code_challenge"),
	one("par-unvalidated", idp.PushedValidated, "AS-PAR-BASIC"),
	rowOf(one("registered-key-ignored", idp.RegisteredKeys, "AS-TOKEN-WRONG-SECRET", "AS-CC-*", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-EMA-*",
		"AS-REFRESH-CONFIDENTIAL-AUTH", "AS-META-AUTH-METHODS-TRUE"), "private_key_jwt, no assertion"),
	rowOf(one("cimd-key-ignored", idp.DocumentKeys, "AS-CIMD-KEY-AUTH-ENFORCED"), "no assertion"),
	{
		Name: "machine-signature-ignored", Says: "The signature of a token of a client that acts for itself is not verified.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool {
				return of == mcpserver.Signature && claims["sub"] == claims["client_id"]
			}
		}),
		Noticed: []string{"RS-EXT-CC-TOKEN"}, Row: "signed with another key",
	},
	{
		Name: "machine-audience-ignored", Says: "A token of a client that acts for itself is accepted whatever it is meant for.",
		Bend: lacks(mcpserver.MachineAudience), Noticed: []string{"RS-EXT-CC-TOKEN"},
	},
}

// deviceMatch returns a flaw of the comparison of device codes.
func deviceMatch(name, row string, same func(issued, sent string) bool) Flaw {
	return Flaw{
		Name: "device-matches-" + name, Says: "A device is found by a code that nearly equals its own: " + row + ".", Row: "device_code: " + row,
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesDevice = same }), Noticed: []string{"AS-DEVICE-GRANT"},
		Also: []string{"AS-TOKEN-DUPLICATE-PARAMS"},
	}
}

// ownPart is the part of a request_uri that differs from request to request.
func ownPart(uri string) string { return uri[strings.LastIndexByte(uri, ':')+1:] }

// pushedMatch returns a flaw of the comparison of request_uri values.
func pushedMatch(name, row string, same func(issued, sent string) bool) Flaw {
	return Flaw{
		Name: "par-matches-" + name, Says: "A pushed request is found by a request_uri that nearly equals its own: " + row + ".",
		Noticed: []string{"AS-PAR-BASIC"}, Row: "request_uri: " + row,
		Bend: behaviour(func(b *idp.Behaviour) {
			b.TakesPushed = func(issued, sent string) bool { return same(ownPart(issued), ownPart(sent)) }
		}),
	}
}

// similarNames are servers that find a device or a pushed request by a name that only resembles its own.
var similarNames = slices.Concat(matches(deviceMatch), matches(pushedMatch), []Flaw{
	inRows(deviceMatch("inherited", "", made(inherited)), ofEveryObject...),
})
