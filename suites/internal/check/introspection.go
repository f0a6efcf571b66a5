package check

import (
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// IntrospectionClient returns the client that asks about tokens: the declared one of the resource server, else the confidential
// client, which can ask about its own.
func (t AuthorizationServer) IntrospectionClient() *oauth.Client {
	t.Server()
	if c := t.Session.Introspector(); c != nil {
		return c
	}
	return t.ConfidentialClient()
}

// Introspected returns what the introspection endpoint tells about a token in force; nil where it says nothing, or where no client
// is there that could ask.
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

// IntrospectableTokens returns tokens in force of which the introspection endpoint tells a client. Where the server tells the
// client nothing, the check ends undecided: whom a server considers entitled is its own decision (RFC 7662 section 2.2).
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

// MustBeEntitled ends the check where the introspection endpoint tells a client nothing about a token in force, and nobody
// declared that it may ask.
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
