// Package revocation contains the checks on token revocation (RFC 7009).
package revocation

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 8414 section 2: revocation_endpoint", func() {
		Should("AS-REVOKE-ADVERTISED", namesItsEndpoint)
	})
	Describe("RFC 7009 section 2.1: Revocation Request", func() {
		Must("AS-REVOKE-UNKNOWN-200", confirmsUnknownTokens)
		Must("AS-REVOKE-REQUEST-FORM", readsBodyOnly)
		Practice("AS-REVOKE-CORS", letsBrowserClientsIn)
	})
	Describe("RFC 7009 section 2.1: the effects of a revocation", func() {
		Must("AS-REVOKE-REFRESH-TOKEN", endsRefreshTokens)
		Should("AS-REVOKE-ACCESS-TOKEN", endsAccessTokens)
		Should("AS-REVOKE-REFRESH-KILLS-ACCESS", endsAccessTokensOfGrant)
		Must("AS-REVOKE-WRONG-CLIENT", sparesTokensOfOthers)
		Must("AS-REVOKE-CLIENT-AUTH", authenticatesConfidentialClients)
		Must("AS-REVOKE-PUBLIC-CLIENT", servesPublicClients)
		Must("AS-REVOKE-HINTS", findsTokenWhateverTheHint)
	})
}

// An address counts only if a neighbouring address without an endpoint answers differently.
func namesItsEndpoint(t *T) {
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		if m.Object.String("revocation_endpoint") != "" {
			return
		}
		base := strings.TrimSuffix(s.Issuer, "/")
		addresses := []string{base + "/revoke", base + "/oauth/revoke", base + "/oauth2/revoke"}
		if token := m.Object.String("token_endpoint"); strings.HasPrefix(token, base+"/") {
			addresses = append(addresses, token[:strings.LastIndexByte(token, '/')]+"/revoke")
		}
		if nothing := askToRevoke(t, base+"/mcpauth-"+Random(9)); answersLikeRevocation(nothing) {
			t.Note("every address answers like a revocation endpoint, so none is found")
			return
		}
		slices.Sort(addresses)
		for _, address := range slices.Compact(addresses) {
			t.Expect(askToRevoke(t, address), "POST %s", address).Ideally(answerUnlikeRevocation)
		}
	})
}

func askToRevoke(t *T, address string) *reports.Exchange {
	return t.Do(oauth.Request(address, oauth.Form{{Name: "token", Value: "mcpauth"}}))
}

// answersLikeRevocation looks for an OAuth error: a 200 alone may be any page.
func answersLikeRevocation(ex *reports.Exchange) bool {
	s, codes := expect.Status(ex), []string{"invalid_client", "invalid_request", "unsupported_token_type"}
	return (s == 400 || s == 401) && slices.Contains(codes, oauth.ErrorCode(ex))
}

var answerUnlikeRevocation = expect.That("revocation_endpoint in the metadata, because the endpoint exists",
	func(ex *reports.Exchange) string {
		if answersLikeRevocation(ex) {
			return expect.Describe(ex) + ", and no revocation_endpoint in the metadata"
		}
		return ""
	})

// revoker is a client whose revocations the server accepts: the public one, or the confidential one where the endpoint wants
// client authentication, which AS-REVOKE-PUBLIC-CLIENT judges.
func revoker(t *T) *oauth.Client {
	c := t.AS.Refresher()
	if !c.Public() {
		return c
	}
	refused := Once(t, "revocation by public clients", func() bool {
		return wantsAuthentication(t.AS.Revoke(&oauth.Tokens{Client: c}, "mcpauth-"+Random(24)))
	})
	switch other := t.AS.Confidential(); {
	case !refused:
		return c
	case other != nil:
		return other
	}
	t.Inconclusive("the revocation endpoint wants client authentication, and no client has a secret (client.clients in the target file)")
	return nil
}

// wantsAuthentication reports that a request was refused for its client, before the token was looked at.
func wantsAuthentication(ex *reports.Exchange) bool {
	code := oauth.ErrorCode(ex)
	return expect.Status(ex) == 401 || code == "invalid_client" || code == "unauthorized_client"
}
