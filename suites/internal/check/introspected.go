package check

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
)

// Identifier returns the resource identifier for tokens of the target: the published one, or else its endpoint.
func (t MCPServer) Identifier() string {
	if d := t.Survey.Resource(); d != nil && d.Object.String("resource") != "" {
		return d.Object.String("resource")
	}
	return t.Survey.Endpoint
}

// ActiveAnswer returns the introspection response for an ordinary token of the first user, with changes; nil removes a member (RFC 7662
// section 2.2).
func (t Minter) ActiveAnswer(changes map[string]any) introspector.Answer {
	now := t.MCP.Now().Unix()
	members := map[string]any{
		"active": true, "sub": "alice", "client_id": "client-1", "scope": strings.Join(t.MCP.OrdinaryScopes(), " "), "token_type": "Bearer",
		"aud": t.MCP.Identifier(), "iat": now, "nbf": now, "exp": now + 3600,
	}
	if s := t.AS.Surveyed(); s != nil {
		members["iss"] = s.Issuer
	} else if t.Issuer != nil {
		members["iss"] = t.Issuer.Identifier()
	}
	maps.Copy(members, changes)
	if t.Issuer != nil && members["scope"] != nil { // the server may read the claim that the issuer's tokens have
		name, scopes := t.scopeClaim(members["scope"])
		members[name] = scopes
	}
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	b, _ := json.Marshal(members) // plain values always marshal
	return introspector.Answer{Body: string(b)}
}

// OpaqueToken makes an opaque token with an introspection response.
func (t Minter) OpaqueToken(a introspector.Answer) *introspector.Token {
	token := t.Introspector.Token()
	t.Secrets.Add("opaque_token", token.Value)
	token.Say(a)
	return token
}

// OpaqueControl is the control for opaque tokens: an ordinary one is accepted.
func (t Minter) OpaqueControl() {
	ex := t.MCP.Use(t.OpaqueToken(t.ActiveAnswer(nil)).Value)
	if !t.MCP.Served(ex) {
		t.Inconclusive("this proves nothing: an ordinary opaque token is answered with %s", expect.Describe(ex))
	}
	t.controlledBy(ex, t.MCP.Serve())
}
