package presets

import (
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// entra is common to both versions: neither registration nor client documents, no code_challenge_methods_supported, resource is refused,
// refresh tokens stay valid after use, scopes are in scp.
// Sources: azure-devops-mcp#1077 (registration), typescript-sdk#832 (PKCE methods), powerbi-modeling-mcp#68 and
// csharp-sdk#648 (AADSTS9010010, AADSTS901002), Microsoft Learn "Refresh tokens in the Microsoft identity platform" (2026-11).
func entra(b *idp.Behaviour) {
	closed(b)
	b.Places = []string{"oidc-appended"}
	b.Metadata = without(append(rare, "code_challenge_methods_supported", "introspection_endpoint",
		"introspection_endpoint_auth_methods_supported", "revocation_endpoint", "revocation_endpoint_auth_methods_supported",
		"authorization_response_iss_parameter_supported")...)
	b.Missing = append(b.Missing, "/introspect", "/revoke")
	b.Lacks = append(b.Lacks, idp.KnowResource, idp.SendIssuer, idp.IssuerOnError, idp.RequireChallenge, idp.RequireChallengeConfidential,
		idp.RefusePlain, idp.NoDefaultMethod, idp.OldRefreshDies)
}

// entraIssuer is the iss of version 1, which is not the issuer of the metadata.
const entraIssuer = "https://sts.windows.net/00000000-0000-4000-8000-000000000000/"

// scp reads scopes from the claim scp, which is one string.
func scp(claims map[string]any) []string {
	text, _ := claims["scp"].(string)
	return fields(text)
}

// entraV1: the app registration of the API decides that tokens are of version 1, whichever endpoint issues them.
// Source: microsoft-authentication-library-for-js#560, fastmcp#3835.
var entraV1 = Preset{
	Name: "entra-v1",
	Says: "Version 1 tokens: iss is not the metadata's issuer, aud is an api:// URI, scopes are in scp; resource is refused.",
	Path: "/tenant/v2.0", ByHand: true,
	behaviour: func(b *idp.Behaviour) {
		entra(b)
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "JWT"
			claims["iss"], claims["aud"], claims["ver"], claims["scp"], claims["appid"] = entraIssuer, "api://notes", "1.0", claims["scope"],
				claims["client_id"]
			drop(claims, "scope", "client_id")
		}
	},
	resource: func(p *mcpserver.Policy) {
		p.TokenIssuer, p.Audience, p.ScopesOf = entraIssuer, "api://notes", scp
	},
}

// entraV2: aud is the client id of the API, a bare GUID.
var entraV2 = Preset{
	Name: "entra-v2", Says: "Version 2 tokens: aud is the GUID of the API, scopes are in scp; resource is refused.",
	Path: "/tenant/v2.0", ByHand: true,
	behaviour: func(b *idp.Behaviour) {
		entra(b)
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "JWT"
			claims["aud"], claims["ver"], claims["scp"], claims["azp"] = apiGUID, "2.0", claims["scope"], claims["client_id"]
			drop(claims, "scope", "client_id")
		}
	},
	resource: func(p *mcpserver.Policy) { p.Audience, p.ScopesOf = apiGUID, scp },
}

const apiGUID = "11111111-1111-4111-8111-111111111111"
