package check

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// ClientCredentials reports whether the authorization server lists the client_credentials grant.
func (t AuthorizationServer) ClientCredentials() bool {
	grants, _ := t.Server().Metadata.Strings("grant_types_supported")
	return slices.Contains(grants, "client_credentials")
}

// Machine returns a client that acts for itself.
func (t AuthorizationServer) Machine() *oauth.Client { return t.Session.Machines()[0] }

// MachineWithKey returns a client that authenticates with private_key_jwt, or nil.
func (t AuthorizationServer) MachineWithKey() *oauth.Client {
	if t.Session == nil {
		return nil
	}
	for _, c := range t.Session.Machines() {
		if c.Key != nil {
			return c
		}
	}
	return nil
}

// RequestForItself sends a client_credentials request (OAuth 2.1 section 4.2).
func (t AuthorizationServer) RequestForItself(c *oauth.Client, edits ...Edit) *reports.Exchange {
	ordinary := []Edit{With("grant_type", "client_credentials")}
	if len(c.Scopes) > 0 { // its other scopes are unknown
		ordinary = append(ordinary, Scope(c.Scopes...))
	}
	if t.Session.SendResource {
		ordinary = append(ordinary, With("resource", t.Session.Resource))
	}
	return t.TokenRequest(c, append(ordinary, edits...)...)
}
