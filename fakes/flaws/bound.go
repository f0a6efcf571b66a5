package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// bound are flaws of tokens that are bound to a key or a certificate, at the MCP server.
var bound = []Flaw{
	{
		Name: "dpop-as-bearer", Says: "A bound token is accepted as a bearer token.",
		Bend: lacks(mcpserver.BoundNeedsProof), Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	{
		Name: "dpop-without-proof", Says: "With the scheme DPoP, a request without a proof is accepted.",
		Bend: lacks(mcpserver.DPoPNeedsProof), Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	{
		Name: "dpop-required-in-name-only", Says: "The metadata requires bound tokens, and other tokens are accepted.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.BoundNeedsProof)
			p.PRM = func(_ string, doc map[string]any) { doc["dpop_bound_access_tokens_required"] = true }
		}),
		Noticed: []string{"RS-DPOP-DOWNGRADE"},
	},
	lacking("dpop-unsigned", dpop.Signature),
	{
		Name: "dpop-unsigned-with-nonce", Says: "Each nonce is good for one proof, which needs no signature.",
		Bend:    policy(func(p *mcpserver.Policy) { p.DPoPNonce, p.DPoPLacks = "once", dpop.Signature }),
		Noticed: []string{"RS-DPOP-PROOF"}, Row: "a proof with the signature of another one",
	},
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
		Name: "dpop-unmentioned", Says: "The metadata offers DPoP, and no challenge does.",
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
		Name: "dpop-nonce-counted", Says: "Nonces are consecutive numbers.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPNonce = "counted" }), Noticed: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "dpop-nonce-never-good", Says: "Every nonce is refused as too old.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPNonce = "never" }), Noticed: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "certificate-ignored", Says: "A token bound to a certificate is accepted without it.",
		Bend: secured(lacks(mcpserver.BoundNeedsCertificate)), Noticed: []string{"RS-MTLS-BINDING"},
	},
	{
		Name: "certificate-in-header", Says: "A header field can name the certificate.",
		Bend: secured(lacks(mcpserver.NoCertificateHeader)), Noticed: []string{"RS-MTLS-BINDING"},
	},
}

var serverProofs, issuerProofs = believedProofs()

// certificates returns the flaws of the rows of RS-MTLS-BINDING: each accepts a certificate that the token is not bound to.
func certificates() []Flaw {
	out := []Flaw{
		certificateTaken("another", "over another certificate", func(r *http.Request) bool { return len(r.TLS.PeerCertificates) > 0 }),
		certificateTaken("none", "without a certificate", func(r *http.Request) bool { return len(r.TLS.PeerCertificates) == 0 }),
	}
	for _, name := range []string{"X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Client-Cert", "X-Amzn-Mtls-Clientcert",
		"Ssl-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Arr-Clientcert"} {
		out = append(out,
			certificateTaken("of-"+name, "without a certificate, the right one in "+name, func(r *http.Request) bool {
				return r.Header.Get(name) != "" && len(r.TLS.PeerCertificates) == 0
			}),
			certificateTaken("beside-"+name, "over another certificate, the right one in "+name, func(r *http.Request) bool {
				return r.Header.Get(name) != "" && len(r.TLS.PeerCertificates) > 0
			}))
	}
	return out
}

func certificateTaken(name, row string, takes func(r *http.Request) bool) Flaw {
	return Flaw{
		Name: "certificate-taken-" + strings.ToLower(name), Says: "A token that is bound to a certificate is accepted " + row + ".",
		Bend: secured(policy(func(p *mcpserver.Policy) { p.TakesCertificate = takes })), Noticed: []string{"RS-MTLS-BINDING"}, Row: row,
	}
}

func lacking(name string, part dpop.Part) Flaw {
	return Flaw{
		Name: name, Says: "Of a DPoP proof, " + string(part) + " is not looked at.",
		Bend: policy(func(p *mcpserver.Policy) { p.DPoPLacks = part }), Noticed: []string{"RS-DPOP-PROOF"},
	}
}

// secured changes a server that speaks https.
func secured(bend func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Host = Public
		bend(o)
	}
}

// binding are the same flaws at the authorization server.
var binding = []Flaw{
	one("dpop-unbound", idp.DPoPBinding, "AS-DPOP-BINDING"),
	one("dpop-refresh-unbound", idp.DPoPRefresh, "AS-DPOP-BINDING"),
	{
		Name: "dpop-proof-unverified", Says: "The signature of a proof is not verified at the token endpoint.",
		Bend: behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Signature }), Noticed: []string{"AS-DPOP-BINDING"},
	},
	{
		Name: "dpop-proof-with-nonce-unverified", Says: "Proofs need a nonce, and no signature.", Row: "signed by another key",
		Bend: behaviour(func(b *idp.Behaviour) { b.ProofNonce, b.DPoPLacks = true, dpop.Signature }), Noticed: []string{"AS-DPOP-BINDING"},
	},
	{
		Name: "dpop-proof-any-time", Says: "A proof at the token endpoint may be an hour old.",
		Bend: behaviour(func(b *idp.Behaviour) { b.DPoPLacks = dpop.Time }), Noticed: []string{"AS-DPOP-BINDING"},
	},
}

// proofs are rows of DPoP proofs: the server accepts one of them whatever else is wrong with it.
var proofs = []struct {
	name, row, ofIssuer string // the row of the MCP server, and that of the authorization server; empty where it has none
	is                  func(header, claims map[string]any) bool
}{
	{"get", "htm GET", "htm GET", claim("htm", "GET")},
	{"method-unsaid", "", "no htm", noClaim("htm")},
	{"method-listed", "htm as a list", "", func(_, c map[string]any) bool { return isList(c["htm"]) }},
	{"method-in-small-letters", "", "htm in lower case", claim("htm", "post")},
	{"path", "htu of another path", "", urlEnds("/mcp/other")},
	{"endpoint", "", "htu of another endpoint", urlEnds("/authorize")},
	{"host", "htu of another host", "htu of another", func(_, c map[string]any) bool {
		htu, _ := c["htu"].(string)
		return strings.Contains(htu, "attacker.example")
	}},
	{"url-unsaid", "without htu", "no htu", noClaim("htu")},
	{"old", "made an hour ago", "made an hour ago", past("iat")},
	{"early", "made an hour ahead", "made in an hour", ahead("iat")},
	{"time-unsaid", "without iat", "no iat", noClaim("iat")},
	{"token-unsaid", "without ath", "", noClaim("ath")},
	{"id-unsaid", "without jti", "no jti", noClaim("jti")},
	{"typed", "typ JWT", "typ JWT", header("typ", "JWT")},
	{"private", "jwk with its private part", "a private part", func(h, _ map[string]any) bool {
		jwk, _ := h["jwk"].(map[string]any)
		return jwk["d"] != nil
	}},
	{"key-as-text", "jwk as a text", "", func(h, _ map[string]any) bool { _, is := h["jwk"].(string); return is }},
	{"key-unsaid", "without jwk", "", func(h, _ map[string]any) bool { return h["jwk"] == nil }},
	{"unsigned", "an unsigned proof", "an unsigned proof", header("alg", "none")},
	{"symmetric", "alg HS256, signed by the key", "alg HS256, with the secret as jwk", header("alg", "HS256")},
	{"critical", "an unknown critical extension", "", hasHeader("crit")},
	{"always", "jwk of another key", "", func(_, _ map[string]any) bool { return true }},
}

// believedProofs returns the flaws of the proofs at the MCP server, and at the authorization server.
func believedProofs() (atServer, atIssuer []Flaw) {
	for _, p := range proofs {
		f := Flaw{Name: "proof-believed-" + p.name, Says: "A DPoP proof is accepted, whatever else is wrong with it: " + p.row + p.ofIssuer + "."}
		if p.row != "" {
			f.Row, f.Noticed, f.Also = p.row, []string{"RS-DPOP-PROOF"}, []string{"RS-DPOP-*"}
			f.Bend = policy(func(o *mcpserver.Policy) { o.BelievesProof, o.DPoPLacks = p.is, "key" })
			atServer = append(atServer, f)
		}
		if p.ofIssuer != "" {
			f.Name, f.Row, f.Noticed, f.Also = "issuer-"+f.Name, p.ofIssuer, []string{"AS-DPOP-BINDING"}, nil
			f.Bend = behaviour(func(b *idp.Behaviour) { b.BelievesProof = p.is })
			atIssuer = append(atIssuer, f)
		}
	}
	return atServer, atIssuer
}

func urlEnds(end string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool {
		htu, _ := c["htu"].(string)
		return strings.HasSuffix(htu, end)
	}
}
