package check

import (
	"slices"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// IDToken returns the ID token of a flow with the scope openid, or the value that came instead. The check does not apply if the server
// does not offer or grant that scope.
func (t AuthorizationServer) IDToken(edits ...Edit) expect.JWT {
	if !t.Lists("scopes_supported", "openid") {
		t.NotApplicable("the scope openid is not supported")
	}
	scopes := Scope(append(slices.Clone(t.Session.RequestedScopes()), "openid")...)
	tokens := t.MustGetTokens(append(edits, scopes)...)
	if lacksOpenID(tokens) { // with a resource indicator, some servers grant only the scopes of that resource
		g := t.MustAuthorize(append(edits, scopes, Without("resource"))...)
		if again := t.Tokens(t.Redeem(g, Without("resource")), g.Client); again != nil {
			tokens = again
		}
	}
	if lacksOpenID(tokens) {
		t.NotApplicable("openid is requested, but not granted to this client, which gets %s", ScopesInWords(tokens.Scope))
	}
	header, claims := oauth.Claims(tokens.ID)
	return expect.JWT{Header: header, Claims: claims, From: tokens.Exchange, Client: tokens.Client.ID}
}

// lacksOpenID reports that openid was not granted. A server may report the scopes of the access token alone, beside an ID token.
func lacksOpenID(tokens *oauth.Tokens) bool {
	return tokens.ID == "" && tokens.HasScope && !slices.Contains(tokens.Scope, "openid")
}
