package presets

import (
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
)

func fields(text string) []string { return strings.Fields(text) }

// google: opaque access tokens without an audience that a resource server could read; metadata lists plain and S256; every client has a
// secret; only requests for offline access get a refresh token. The MCP server verifies tokens at the issuer.
// Sources: Google's discovery document as kept in the Go SDK's tests, developers.google.com/identity/protocols/oauth2/web-server
// (2026-11); fastmcp#3601, mcp-toolbox#3341 (tokeninfo), fastmcp#4827 (audience pinned by hand).
var google = Preset{
	Name:   "google",
	Says:   "Opaque tokens that name no audience, plain listed beside S256, no clients without a secret, no refresh token unless asked for.",
	ByHand: true, Confidential: true,
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Places, b.Opaque, b.IgnoresResource, b.NoRefreshTokens = []string{"oidc-appended"}, "ya29.", true, true
		b.Missing = append(b.Missing, "/introspect")
		b.Metadata = func(place string, doc map[string]any) {
			without(append(rare, "introspection_endpoint", "introspection_endpoint_auth_methods_supported",
				"authorization_response_iss_parameter_supported")...)(place, doc)
			doc["code_challenge_methods_supported"] = []string{"plain", "S256"}
			doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "client_secret_basic"}
		}
		b.AccessToken = noAudience
		b.Lacks = append(b.Lacks, idp.RequireChallenge, idp.RequireChallengeConfidential, idp.RefusePlain, idp.NoDefaultMethod,
			idp.SendIssuer, idp.IssuerOnError, idp.PinMethod)
	},
	resource: anyAudience,
}

// github: no metadata and no registration. Token responses are form-encoded unless the client asks for JSON, and errors have status 200.
// Tokens are opaque, have no audience, do not expire, and are not refreshed. PKCE is supported, not required.
// Sources: docs.github.com "Authorizing OAuth apps", GitHub changelog July 2025 (PKCE); github-mcp-server#2532, typescript-sdk#1342,
// onyx#14905 (form-encoded, 200), fastmcp#2534 (no expiry).
var github = Preset{
	Name: "github", Says: "No metadata, form-encoded answers, errors with status 200, opaque tokens without audience or expiry.",
	Path: "/login/oauth", ByHand: true, Confidential: true,
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Places, b.Opaque, b.IgnoresResource, b.NoRefreshTokens, b.FormAnswers = nil, "gho_", true, true, true
		b.Missing = append(b.Missing, "/introspect", "/revoke", "/userinfo", "/jwks")
		b.AccessToken = noAudience
		b.Response = func(endpoint string, members map[string]any) {
			if endpoint == "/token" {
				members["token_type"] = "bearer"
				delete(members, "expires_in")
			}
		}
		b.Lacks = append(b.Lacks, idp.ErrorShape, idp.RequireChallenge, idp.RequireChallengeConfidential, idp.RefusePlain,
			idp.NoDefaultMethod, idp.SendIssuer, idp.IssuerOnError)
	},
	resource: anyAudience,
}

func noAudience(_, claims map[string]any) { delete(claims, "aud") }

// anyAudience makes a server accept tokens whose audience it cannot know.
func anyAudience(p *mcpserver.Policy) { p.Lacks = append(p.Lacks, mcpserver.RequireAudience) }
