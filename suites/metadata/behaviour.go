package metadata

import (
	"slices"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func behaviour() {
	Must("AS-META-GRANTS-MATCH-BEHAVIOUR", func(t *T) {
		listed, ok := t.AS.Server().Metadata.Strings("grant_types_supported")
		if !ok {
			listed = []string{"authorization_code", "implicit"} // the default of RFC 8414
		}
		c := t.AS.AnyClient()
		for _, grant := range listed {
			if grant == "implicit" {
				continue // not of the token endpoint
			}
			if ex := t.AS.TokenRequest(c, With("grant_type", grant)); oauth.ErrorCode(ex) == "unsupported_grant_type" {
				t.Finding(ex, grant, "the listed grant type to be known at the token endpoint", "error unsupported_grant_type")
			}
		}
		if s := t.Session; slices.Contains(listed, "refresh_token") && s.Ready && s.Tokens.Refresh == "" && !slices.Contains(s.Tokens.Scope, "offline_access") {
			t.Advise(s.Tokens.Exchange, "a refresh token for a client that registered for them, since the grant type is listed", "none is issued")
		}
		for _, grant := range []string{"password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"} {
			if slices.Contains(listed, grant) {
				continue
			}
			ex := t.AS.TokenRequest(c, With("grant_type", grant))
			switch code := oauth.ErrorCode(ex); {
			case t.AS.Tokens(ex, c) != nil:
				t.Finding(ex, grant, "no token by a grant type that is not listed", "one is issued")
			case expect.Status(ex) >= 500:
				t.Finding(ex, grant, "error unsupported_grant_type", expect.Describe(ex))
			case code == "invalid_request" || code == "invalid_grant" || code == "invalid_scope":
				t.Advise(ex, "error unsupported_grant_type for what is not listed", "%s: error %s", grant, code)
			}
		}
	})

	Should("AS-META-AUTH-METHODS-LISTED", func(t *T) {
		listed, ok := t.AS.Server().Metadata.Strings("token_endpoint_auth_methods_supported")
		if !ok {
			listed = []string{oauth.Basic} // the default of RFC 8414
		}
		c, why := t.Session.Client(t.Context(), session.Public)
		if c == nil || c.Method != oauth.None {
			t.NotApplicable("no public client can be had: %s", why)
		}
		if !slices.Contains(listed, oauth.None) {
			t.Unmet(nil, "none in token_endpoint_auth_methods_supported, since public clients are registered", "%v", listed)
		}
	})

	Must("AS-META-AUTH-METHODS-TRUE", func(t *T) {
		listed, ok := t.AS.Server().Metadata.Strings("token_endpoint_auth_methods_supported")
		if !ok {
			listed = []string{oauth.Basic}
		}
		tried := false
		for kind, method := range Sorted(map[string]string{session.Confidential: oauth.Basic, session.ConfidentialPost: oauth.Post}) {
			c, _ := t.Session.Client(t.Context(), kind)
			if !slices.Contains(listed, method) || c == nil {
				continue
			}
			tried = true
			g := t.AS.MustAuthorize(As(c))
			ex := t.AS.Redeem(g)
			t.AS.Tokens(ex, c)
			t.Expect(ex, "%s at the token endpoint", method).To(expect.IssueTokens())
		}
		if !tried {
			t.NotApplicable("no client with a secret can be had for a listed method")
		}
	})
}
