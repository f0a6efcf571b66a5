// Package lab puts fake servers and targets together: the reference server, described as a target, and the authorization servers that a
// target file declares as trusted.
package lab

import (
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/suites/target"
)

// Target describes a reference server as completely as a target file can.
func Target(r *reference.Reference) target.Target {
	t := target.Target{
		Credentials:  credentials(r.MCP.Static),
		SharedSecret: target.SharedSecret{Value: r.MCP.SharedSecret, Issuer: r.IDP.Issuer, Audience: r.URL},
	}
	t.PublicMethods = r.MCP.Policy.Public
	t.URL, t.OtherResource, t.BodyLimit, t.Screening = r.URL, r.Other, mcpserver.MostBody, mcpserver.Strict().Screens
	t.Implies, t.Privileged = mcpserver.Strict().Implies, []string{"notes:admin"}
	t.GrantsPage, t.Verify.Accepts = r.GrantsPage(), mcpserver.VerifyAccepts
	t.Clients = machines(r.Machines)
	for _, tool := range mcpserver.Tools {
		t.Tools = append(t.Tools, target.Tool(tool))
	}
	for _, o := range mcpserver.Objects {
		t.Objects = append(t.Objects, target.Object(o))
	}
	for _, u := range r.Users() {
		t.Users = append(t.Users, target.User(u))
	}
	t.Issuer, t.SecondIssuer, t.Enterprise, t.Clock = r.IDP, r.Second, r.Enterprise, r
	if r.Upstream != nil {
		t.Upstream, t.IDTokenCallback = r.Upstream, r.IDTokenCallback()
	}
	return t
}

func machines(all []reference.Machine) (out []target.Client) {
	for _, m := range all {
		c := target.Client{ID: m.ID, Secret: m.Secret, Method: "client_secret_basic", Key: m.Key, Machine: true, Scopes: []string{"notes:read"}}
		if m.Key != "" {
			c.Method = "private_key_jwt"
		}
		out = append(out, c)
	}
	return out
}

func credentials(all []mcpserver.Static) (out []target.Credential) {
	for _, s := range all {
		out = append(out, target.Credential{
			Name: s.Name, Header: s.Header, Value: s.Value, User: s.User, Tools: s.Tools, Withdrawn: s.Withdrawn, Foreign: s.Foreign,
			Quota: target.Quota{Limit: s.Limit, Window: s.Window},
		})
	}
	return out
}
