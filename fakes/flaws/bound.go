package flaws

import (
	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// bound are flaws about tokens that are bound to a key or a certificate, at the MCP server.
var bound = []Flaw{
	{"dpop-as-bearer", "A bound token is taken as a bearer token.", policy(func(p *mcpserver.Policy) { p.DPoPAsBearer = true }), []string{"RS-DPOP-DOWNGRADE"}, nil},
	{"dpop-without-proof", "Under the scheme DPoP a proof may be missing.", policy(func(p *mcpserver.Policy) { p.DPoPWithoutProof = true }), []string{"RS-DPOP-DOWNGRADE"}, nil},
	{"dpop-required-in-name-only", "Bound tokens are required, and others taken.", policy(func(p *mcpserver.Policy) {
		p.DPoPAsBearer = true
		p.PRM = func(_ string, doc map[string]any) { doc["dpop_bound_access_tokens_required"] = true }
	}), []string{"RS-DPOP-DOWNGRADE"}, nil},
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
	{"dpop-unmentioned", "The metadata offers DPoP, and no challenge speaks of it.", policy(func(p *mcpserver.Policy) {
		p.Challenge = always(`Bearer resource_metadata="{url}", scope="notes:read"`)
	}), []string{"RS-DPOP-CHALLENGE"}, []string{"RS-CHALLENGE-*", "RS-TOKEN-*"}},
	{"dpop-symmetric", "The challenge names HS256.", policy(func(p *mcpserver.Policy) { p.DPoPAlgorithms = "ES256 HS256" }), []string{"RS-DPOP-CHALLENGE"}, nil},
	{"dpop-nonce-counted", "Nonces are counted up.", policy(func(p *mcpserver.Policy) { p.DPoPNonce = "counted" }), []string{"RS-DPOP-CHALLENGE"}, nil},
	{"dpop-nonce-never-good", "Every nonce is too old.", policy(func(p *mcpserver.Policy) { p.DPoPNonce = "never" }), []string{"RS-DPOP-CHALLENGE"}, nil},
	{"certificate-ignored", "A token bound to a certificate is taken without it.", secured(func(p *mcpserver.Policy) { p.AnyCertificate = true }), []string{"RS-MTLS-BINDING"}, nil},
	{"certificate-in-header", "The certificate is believed that a header field holds.", secured(func(p *mcpserver.Policy) { p.CertificateHeader = true }), []string{"RS-MTLS-BINDING"}, nil},
}

func lacking(name string, part dpop.Part) Flaw {
	return Flaw{name, "Of a DPoP proof, " + string(part) + " is not looked at.", policy(func(p *mcpserver.Policy) { p.DPoPLacks = part }), []string{"RS-DPOP-PROOF"}, nil}
}

// secured bends a server that is reached by https.
func secured(bend func(p *mcpserver.Policy)) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Host = Public
		bend(&o.Policy)
	}
}

// binding are the same at the authorization server.
var binding = []Flaw{
	one("dpop-unbound", idp.DPoPBinding, "AS-DPOP-BINDING"),
	one("dpop-refresh-unbound", idp.DPoPRefresh, "AS-DPOP-BINDING"),
	{"dpop-proof-unverified", "The signature of a proof is not verified at the token endpoint.", behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Signature }), []string{"AS-DPOP-BINDING"}, nil},
	{"dpop-proof-any-time", "A proof at the token endpoint may be an hour old.", behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Time }), []string{"AS-DPOP-BINDING"}, nil},
}
