package presets

import (
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// auth0: an issuer with a trailing slash. It ignores resource unless a compatibility profile is on; the API comes from audience, or from
// the tenant's default. Scopes are in scope, and clients in azp. The login page needs scripts (Universal Login).
// Sources: auth0.com docs, "Resource Parameter Compatibility Profile", "Dynamic Client Registration" (off by default), "JWT
// access tokens" (2026-11); LibreChat#13401 (the slash), vscode#274226 (opaque without an audience).
var auth0 = Preset{
	Name: "auth0",
	Says: "The issuer ends with a slash, resource is ignored, the API is the tenant's default audience; the login page is made of scripts.",
	Path: "/", ByHand: true,
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Pages, b.IgnoresResource, b.LockTime = "javascript", true, time.Second // a browser types slowly
		b.Places = []string{"rfc8414", "oidc-appended"}
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "at+jwt" // "JWT" in the Auth0 token dialect, at+jwt in the RFC 9068 one
			claims["azp"] = claims["client_id"]
		}
		b.Lacks = append(b.Lacks, idp.RequireChallengeConfidential, idp.CheckChallengeFormat)
	},
}

// firebase: not an authorization server for third parties: it has no authorization, token or registration endpoint. Its ID tokens serve as
// bearer tokens, with the project as audience. Keys rotate, and have a kid.
// Sources: firebase.google.com/docs/auth/admin/verify-id-tokens (2026-11); oauth2-proxy#1316, mcp-use#2298.
var firebase = Preset{
	Name: "firebase",
	Says: "There is no authorization server for third parties; ID tokens whose audience is the project serve as bearer tokens.",
	behaviour: func(b *idp.Behaviour) {
		closed(b)
		b.Places = []string{"oidc-appended"}
		b.Missing = []string{"/authorize", "/login", "/consent", "/token", "/register", "/revoke", "/introspect", "/userinfo", "/par",
			"/device", "/device_authorization", "/logout"}
		b.Metadata = func(_ string, doc map[string]any) {
			for name := range doc {
				switch name {
				case "issuer", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported":
				default:
					delete(doc, name)
				}
			}
			doc["response_types_supported"] = []string{"id_token"}
		}
		b.AccessToken = func(header, claims map[string]any) {
			header["typ"] = "JWT"
			claims["aud"], claims["auth_time"], claims["user_id"] = "your-project", claims["iat"], claims["sub"]
			claims["firebase"] = map[string]any{"sign_in_provider": "password"}
			drop(claims, "scope", "client_id", "jti")
		}
	},
	resource: func(p *mcpserver.Policy) {
		p.Audience = "your-project"
		p.Lacks = append(p.Lacks, mcpserver.CheckScopes)
	},
}
