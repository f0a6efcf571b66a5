package check

import (
	"encoding/base64"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// The grant types of assertions (RFC 7523 section 2.1) and of token exchange (RFC 8693 section 2.1).
const (
	JWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// AssertionClaims returns the claims of an ordinary identity assertion of a client (ID-JAG, section 3), with changes; nil removes a claim.
func (t Minter) AssertionClaims(c *oauth.Client, changes map[string]any) mint.Claims {
	now := time.Now().Unix()
	out := mint.Claims{
		"iss": t.Enterprise.Identifier(), "sub": t.EnterpriseIDP.Subject, "aud": t.AS.Server().Issuer, "client_id": c.ID, "jti": Random(12),
		"resource": t.MCP.Identifier(), "iat": now, "exp": now + 300,
	}
	if scopes := t.AS.ScopePool(); len(scopes) > 0 {
		out["scope"] = scopes[0]
	}
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// AssertionHeader returns the header of an identity assertion.
func (t Minter) AssertionHeader() mint.Header {
	return mint.Header(t.Enterprise.Header()).With("typ", "oauth-id-jag+jwt")
}

// Assertion signs an identity assertion with the enterprise's key.
func (t Minter) Assertion(h mint.Header, claims mint.Claims) string {
	input := mint.Input(h, claims)
	signature, err := t.Enterprise.Signature([]byte(input))
	if err != nil {
		t.Inconclusive("the enterprise's identity provider cannot sign: %v", err)
	}
	s := base64.RawURLEncoding.EncodeToString(signature)
	t.Secrets.Add("signature", s)
	return input + "." + s
}

// PresentAssertion sends a token request with an identity assertion.
func (t AuthorizationServer) PresentAssertion(c *oauth.Client, assertion string, edits ...Edit) *reports.Exchange {
	return t.TokenRequest(c, append([]Edit{With("grant_type", JWTBearer), With("assertion", assertion)}, edits...)...)
}

// Lists reports whether the metadata of the authorization server lists a value.
func (t AuthorizationServer) Lists(member, value string) bool {
	if t.Session == nil {
		return false
	}
	listed, _ := t.Session.Server.Metadata.Strings(member)
	for _, v := range listed {
		if v == value {
			return true
		}
	}
	return false
}
