package presets

import (
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// okta: a custom authorization server with a path; only the appended well-known forms; registration needs an administrator's token; the
// audience is that of the authorization server, not of the request; scopes are in scp, as an array.
// Sources: agentgateway#1831 (well-known, audience), envoyproxy/ai-gateway#2074 (SSWS), developer.okta.com "Access token" (2026-11).
var okta = Preset{
	Name: "okta",
	Says: "Metadata at the appended location only, registration for administrators, one audience for the whole authorization server, " +
		"scopes as an array in scp.",
	Path: "/oauth2/default", ByHand: true,
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Registration, b.Missing = "protected", []string{"/par", "/device", "/device_authorization"}
		b.Places, b.IgnoresResource = []string{"rfc8414-appended", "oidc-appended"}, true
		b.Metadata = without(rare[1:]...)
		b.AccessToken = func(_, claims map[string]any) {
			text, _ := claims["scope"].(string)
			claims["aud"], claims["scp"], claims["cid"] = "api://default", fields(text), claims["client_id"]
			drop(claims, "scope", "client_id")
		}
		b.Lacks = append(b.Lacks, idp.RequireChallengeConfidential)
	},
	resource: func(p *mcpserver.Policy) {
		p.Audience, p.ScopesOf = "api://default", func(claims map[string]any) []string {
			var out []string
			list, _ := claims["scp"].([]any)
			for _, v := range list {
				if text, ok := v.(string); ok {
					out = append(out, text)
				}
			}
			return out
		}
	},
}

// keycloak: an issuer with a path, and OpenID discovery in the appended form; the audience comes from a mapper, and resource is ignored;
// registration answers 400 to unknown metadata, and sends no CORS fields.
// Sources: keycloak#40923 (discovery), keycloak#14946 and turnstone#1082 (unknown fields), keycloak#39629 and #43625 (CORS),
// Keycloak 26.6 "mcp-authz-server" guide (audience mapper).
var keycloak = Preset{
	Name: "keycloak",
	Says: "OpenID discovery at the appended location, the audience by a mapper, registration that refuses what it does not know and lets " +
		"no browser in.",
	Path: "/realms/notes",
	behaviour: func(b *idp.Behaviour) {
		b.Places, b.IgnoresResource = []string{"oidc-appended"}, true
		b.Lacks = append(b.Lacks, idp.SignMetadata)
		b.Missing = []string{"/par", "/device", "/device_authorization"}
		b.Metadata = without(rare[1:]...)
		b.Lacks = append(b.Lacks, idp.IgnoreUnknownMetadata, idp.DPoPOffered, idp.RequireChallenge, idp.RequireChallengeConfidential,
			idp.RefusePlain, idp.NoDefaultMethod)
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "JWT"
			claims["azp"], claims["typ"] = claims["client_id"], "Bearer"
		}
	},
}

// cognito: no registration_endpoint and no code_challenge_methods_supported; access tokens have client_id and token_use, and no aud; scopes
// that the client does not have are refused; another key signs ID tokens.
// Sources: claude-ai-mcp#946, mcp-oauth2-aws-cognito#9 (metadata), fastmcp#3739 (no aud), openchoreo#3217 (invalid_scope),
// docs.aws.amazon.com "Verifying JSON web tokens" (token_use; 2026-11).
var cognito = Preset{
	Name: "cognito", Says: "No registration, no word of PKCE in the metadata, access tokens with token_use and without aud.",
	ByHand: true,
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Places, b.IgnoresResource = []string{"oidc-appended"}, true
		b.Missing = append(b.Missing, "/introspect")
		b.Metadata = without(append(rare, "code_challenge_methods_supported", "introspection_endpoint",
			"introspection_endpoint_auth_methods_supported", "authorization_response_iss_parameter_supported")...)
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "JWT"
			claims["token_use"] = "access"
			drop(claims, "aud")
		}
		b.Lacks = append(b.Lacks, idp.SendIssuer, idp.IssuerOnError, idp.RequireChallenge, idp.RequireChallengeConfidential)
	},
	resource: func(p *mcpserver.Policy) {
		p.Lacks = append(p.Lacks, mcpserver.RequireAudience)
		p.Accepts = func(claims map[string]any) bool { return claims["token_use"] == "access" }
	},
}

// workos: made for MCP, with registration and client documents; the requested resource becomes the audience.
// Sources: workos.com/docs/authkit/mcp (2026-11); fastmcp#3905.
var workos = Preset{
	Name: "workos", Says: "Made for MCP: open registration, client documents, the resource becomes the audience.",
	behaviour: func(b *idp.Behaviour) {
		b.Places = []string{"rfc8414", "oidc-appended"}
		b.Lacks = append(b.Lacks, idp.SignMetadata)
		b.Missing = []string{"/par", "/device", "/device_authorization"}
		b.Metadata = without("pushed_authorization_request_endpoint", "device_authorization_endpoint", "protected_resources",
			"dpop_signing_alg_values_supported")
		b.Lacks = append(b.Lacks, idp.DPoPOffered)
		b.Response = func(endpoint string, members map[string]any) { // RFC 7592 is not offered
			if endpoint == "/register" {
				drop(members, "registration_access_token", "registration_client_uri")
			}
		}
		b.AccessToken = func(header, _ map[string]any) { header["typ"] = "JWT" }
	},
}
