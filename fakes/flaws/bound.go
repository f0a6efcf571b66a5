package flaws

import (
	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// bound are flaws about tokens that are bound to a key or a certificate, at the MCP server.
var bound = []Flaw{
	{
		Name: "dpop-as-bearer", Says: "A bound token is taken as a bearer token.",
		Bend: lacks(mcpserver.BoundNeedsProof), Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	{
		Name: "dpop-without-proof", Says: "Under the scheme DPoP a proof may be missing.",
		Bend: lacks(mcpserver.DPoPNeedsProof), Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	{
		Name: "dpop-required-in-name-only", Says: "Bound tokens are required, and others taken.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.BoundNeedsProof)
			p.PRM = func(_ string, doc map[string]any) { doc["dpop_bound_access_tokens_required"] = true }
		}),
		Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	lacking("dpop-unsigned", dpop.Signature),
	lacking("dpop-any-type", dpop.Type),
	lacking("dpop-any-method", dpop.Method),
	lacking("dpop-any-url", dpop.URL),
	lacking("dpop-any-time", dpop.Time),
	lacking("dpop-replayed", dpop.ID),
	lacking("dpop-any-token", dpop.Token),
	lacking("dpop-any-key", "key"),
	lacking("dpop-private-key", dpop.Private),
	lacking("dpop-two-proofs", dpop.One),
	{
		Name: "dpop-unmentioned", Says: "The metadata offers DPoP, and no challenge speaks of it.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Challenge = always(`Bearer resource_metadata="{url}", scope="notes:read"`)
		}),
		Noticed: []string{"RS-DPOP-CHALLENGE"}, Also: []string{"RS-CHALLENGE-*", "RS-TOKEN-*"},
	},
	{
		Name: "dpop-symmetric", Says: "The challenge names HS256.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPAlgorithms = "ES256 HS256" }), Noticed: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "dpop-nonce-counted", Says: "Nonces are counted up.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPNonce = "counted" }), Noticed: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "dpop-nonce-never-good", Says: "Every nonce is too old.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPNonce = "never" }), Noticed: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "certificate-ignored", Says: "A token bound to a certificate is accepted without it.",
		Bend: secured(lacks(mcpserver.BoundNeedsCertificate)), Noticed: []string{"RS-MTLS-BINDING"},
	},
	{
		Name: "certificate-in-header", Says: "The certificate is believed that a header field holds.",
		Bend: secured(lacks(mcpserver.NoCertificateHeader)), Noticed: []string{"RS-MTLS-BINDING"},
	},
}

func lacking(name string, part dpop.Part) Flaw {
	return Flaw{
		Name: name, Says: "Of a DPoP proof, " + string(part) + " is not looked at.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPLacks = part }), Noticed: []string{"RS-DPOP-PROOF"},
	}
}

// secured bends a server that is reached by https.
func secured(bend func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Host = Public
		bend(o)
	}
}

// binding are the same at the authorization server.
var binding = []Flaw{
	one("dpop-unbound", idp.DPoPBinding, "AS-DPOP-BINDING"),
	one("dpop-refresh-unbound", idp.DPoPRefresh, "AS-DPOP-BINDING"),
	{
		Name: "dpop-proof-unverified", Says: "The signature of a proof is not verified at the token endpoint.",
		Bend: behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Signature }), Noticed: []string{"AS-DPOP-BINDING"},
	},
	{
		Name: "dpop-proof-any-time", Says: "A proof at the token endpoint may be an hour old.",
		Bend: behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Time }), Noticed: []string{"AS-DPOP-BINDING"},
	},
}
