package check

import (
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// ToSeeTokens says what would show the content of a token that is not a JWT.
func (t AuthorizationServer) ToSeeTokens() string {
	const declare = "declare the client with which the resource server introspects tokens " +
		"(client.clients in the target file, introspects: true)"
	switch {
	case t.Server().Introspection == "":
		return "that needs metadata with an introspection_endpoint (RFC 7662); then " + declare
	case t.Session.Introspector() != nil:
		return "introspection by the declared client does not tell it (RFC 7662 section 2.2)"
	}
	return declare
}

// IntrospectionClient returns the client that introspects tokens: the declared one of the resource server, or else the confidential client,
// which can introspect its own tokens.
func (t AuthorizationServer) IntrospectionClient() *oauth.Client {
	t.Server()
	if c := t.Session.Introspector(); c != nil {
		return c
	}
	return t.ConfidentialClient()
}

// Introspected returns the introspection response for a valid token; nil if it says nothing, or if no client could ask.
func (t AuthorizationServer) Introspected(tokens *oauth.Tokens) *document.Object {
	if t.Server().Introspection == "" {
		return nil
	}
	asked := map[*oauth.Client]bool{nil: true}
	for _, c := range []*oauth.Client{t.Session.Introspector(), tokens.Client, t.Confidential()} {
		if asked[c] || c.Public() {
			continue
		}
		asked[c] = true
		if o := oauth.Object(t.Introspect(c, tokens.Access)); o != nil {
			if active, _ := o.Bool("active"); active {
				return o
			}
		}
	}
	return nil
}

// IntrospectableTokens returns valid tokens with a client that can introspect them. If the server tells the client nothing, the check ends
// undecided: the server decides who is entitled (RFC 7662 section 2.2).
func (t AuthorizationServer) IntrospectableTokens() (*oauth.Client, *oauth.Tokens) {
	c := t.IntrospectionClient()
	owner := c
	if !c.SignsIn() {
		owner = t.AnyClient()
	}
	tokens := t.MustGetTokens(As(owner))
	t.MustBeEntitled(c, tokens)
	return c, tokens
}

// MustBeEntitled ends the check if the introspection endpoint tells a client nothing about a valid token, and the client is not declared as
// entitled.
func (t AuthorizationServer) MustBeEntitled(c *oauth.Client, tokens *oauth.Tokens) {
	o := oauth.Object(t.Introspect(c, tokens.Access))
	if oauth.ErrorCode(t.Last()) == "unsupported_token_type" {
		t.NotApplicable("the authorization server says that it does not introspect its access tokens (unsupported_token_type)")
	}
	if active, said := o.Bool("active"); said && !active && !c.Introspects {
		t.Inconclusive("the introspection endpoint says active: false about a new token of client %s. A server may answer so where the "+
			"client may not know about the token (RFC 7662 section 2.2); declare the resource server's client "+
			"(client.clients in the target file, introspects: true)", c.ID)
	}
}
