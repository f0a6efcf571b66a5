// Package flaws is the table of deliberate defects: each deviates from the reference in one place, and
// names the checks that must notice.
package flaws

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// Flaw is one deliberate defect.
type Flaw struct {
	Name    string
	Says    string // the defect, in one sentence
	Bend    func(o *reference.Options)
	Noticed []string // requirements whose checks must find it
	Also    []string // requirements, or globs of them, that may find it too
}

// Public is the host name of variants that stand for a server on the internet.
const Public = "mcp.example.com"

func policy(bend func(p *mcpserver.Policy)) func(o *reference.Options) {
	return func(o *reference.Options) { bend(&o.Policy) }
}

func behaviour(bend func(b *idp.Behaviour)) func(o *reference.Options) {
	return func(o *reference.Options) { bend(&o.Behaviour) }
}

// prm bends every copy of the protected resource metadata.
func prm(bend func(doc map[string]any)) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) { p.PRM = func(_ string, doc map[string]any) { bend(doc) } })
}

// metadata bends every form of the authorization server metadata.
func metadata(bend func(doc map[string]any)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) { b.Metadata = func(_ string, doc map[string]any) { bend(doc) } })
}

// challenge replaces the WWW-Authenticate fields.
func challenge(fields func(cause, url string) []string) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) { p.Challenge = fields })
}

func always(field string) func(cause, url string) []string {
	return func(_, url string) []string { return []string{strings.ReplaceAll(field, "{url}", url)} }
}

// All returns every flaw.
func All() []Flaw { return slices.Concat(BeforeLogin(), Trusting(), AfterLogin()) }

// BeforeLogin are the flaws that a token suffices to see.
func BeforeLogin() []Flaw {
	return slices.Concat(discovery, challenges, metadataFlaws, tokens, sessions, transport)
}

// AfterLogin are the flaws of the authorization server that only somebody sees who registers clients and signs
// in.
func AfterLogin() []Flaw {
	return slices.Concat(authorizationEndpoint, pkce, tokenEndpoint, refreshing, inspection, registrations, clientDocuments, consents, grants, proxies, machines, binding, assertions, linking)
}

var discovery = []Flaw{
	{"no-metadata", "No protected resource metadata anywhere, and none named in the challenge.", func(o *reference.Options) {
		o.Policy.PRMPath, o.Policy.PRMRoot = false, false
		o.Policy.Challenge = always(`Bearer realm="mcp"`)
	}, []string{"RS-DISC-PRM-PUBLISHED"}, []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA"}},
	{"metadata-at-root-only", "The path-inserted location is missing, though the challenge names it.", policy(func(p *mcpserver.Policy) { p.PRMPath = false }), []string{"RS-DISC-WELL-KNOWN-LOCATION", "RS-CHALLENGE-RESOURCE-METADATA-URL"}, nil},
	{"metadata-as-text", "The document is sent as text/plain.", policy(func(p *mcpserver.Policy) { p.PRMType = "text/plain" }), []string{"RS-DISC-HTTP-SHAPE"}, nil},
	{"metadata-twice-resource", "The document names resource twice.", policy(func(p *mcpserver.Policy) {
		p.PRMEncode = func(doc map[string]any) string {
			r, _ := doc["resource"].(string)
			return `{"resource":"` + r + `","resource":"` + r + `","authorization_servers":["` + strings.TrimSuffix(r, "/mcp") + `"]}`
		}
	}), []string{"RS-DISC-HTTP-SHAPE"}, []string{"RS-CHALLENGE-SCOPE-PARAM"}},
	{"metadata-guarded", "Authentication wraps the well-known routes too.", policy(func(p *mcpserver.Policy) { p.PRMGuarded = true }), []string{"RS-DISC-UNAUTHENTICATED", "RS-DISC-PRM-PUBLISHED"}, []string{"RS-CHALLENGE-RESOURCE-METADATA-URL"}},
	{"no-resource", "The document lacks resource.", prm(func(d map[string]any) { delete(d, "resource") }), []string{"RS-DISC-RESOURCE-PRESENT"}, []string{"RS-DISC-PRM-PUBLISHED", "RS-CHALLENGE-RESOURCE-METADATA-URL"}},
	{"internal-resource", "resource is built from an internal host name.", prm(func(d map[string]any) { d["resource"] = "http://127.0.0.9:8000/mcp" }), []string{"RS-DISC-RESOURCE-MATCH"}, []string{"RS-DISC-WELL-KNOWN-LOCATION"}},
	{"resource-slash", "resource ends in a slash that the endpoint has not.", prm(func(d map[string]any) { d["resource"] = d["resource"].(string) + "/" }), []string{"RS-DISC-RESOURCE-MATCH"}, nil},
	{"relative-resource", "resource has no scheme.", prm(func(d map[string]any) { d["resource"] = "mcp.example.com/mcp" }), []string{"RS-DISC-RESOURCE-FORM"}, nil},
	{"resource-fragment", "resource ends in an empty fragment.", prm(func(d map[string]any) { d["resource"] = d["resource"].(string) + "#" }), []string{"RS-DISC-RESOURCE-FORM"}, []string{"RS-DISC-RESOURCE-MATCH", "RS-DISC-WELL-KNOWN-LOCATION"}},
	{"no-servers", "authorization_servers is empty.", prm(func(d map[string]any) { d["authorization_servers"] = []string{} }), []string{"RS-DISC-AS-PRESENT", "RS-DISC-NO-EMPTY-OR-NULL"}, nil},
	{"server-objects", "authorization_servers holds objects, as a published guide shows.", prm(func(d map[string]any) {
		d["authorization_servers"] = []any{map[string]any{"issuer": d["resource"], "authorization_endpoint": "https://as.example/authorize"}}
	}), []string{"RS-DISC-AS-ENTRIES"}, nil},
	{"issuer-slash", "The listed issuer has a slash that the metadata has not.", prm(func(d map[string]any) {
		d["authorization_servers"] = []string{strings.TrimSuffix(d["resource"].(string), "mcp")}
	}), []string{"RS-DISC-AS-RESOLVES", "AS-META-ISSUER-IDENTICAL"}, nil},
	{"scopes-as-string", "scopes_supported is one string.", prm(func(d map[string]any) { d["scopes_supported"] = "notes:read notes:write" }), []string{"RS-DISC-SCOPES-SHAPE"}, nil},
	{"omnibus-scope", "scopes_supported holds *.", prm(func(d map[string]any) { d["scopes_supported"] = []string{"*", "notes:read"} }), []string{"RS-DISC-SCOPES-MINIMAL"}, []string{"AS-META-SCOPES-COHERENT"}},
	{"offline-access", "scopes_supported lists offline_access.", prm(func(d map[string]any) { d["scopes_supported"] = []string{"notes:read", "offline_access"} }), []string{"RS-DISC-NO-OFFLINE-ACCESS"}, nil},
	{"query-method", "bearer_methods_supported lists query.", prm(func(d map[string]any) { d["bearer_methods_supported"] = []string{"header", "query"} }), []string{"RS-DISC-BEARER-METHODS"}, nil},
	{"null-member", "The serializer writes null members.", prm(func(d map[string]any) { d["resource_documentation"] = nil }), []string{"RS-DISC-NO-EMPTY-OR-NULL"}, nil},
	{"dpop-none", "DPoP proofs may be unsigned.", prm(func(d map[string]any) { d["dpop_signing_alg_values_supported"] = []string{"none"} }), []string{"RS-DISC-KEYS-AND-ALGS"}, []string{"RS-DPOP-CHALLENGE"}},
	{"unsigned-metadata", "signed_metadata has alg none.", prm(func(d map[string]any) { d["signed_metadata"] = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0." }), []string{"RS-DISC-SIGNED-METADATA"}, nil},
	{"private-server-listed", "A public server lists an authorization server by a private address.", func(o *reference.Options) {
		o.Host = Public
		o.Policy.PRM = func(_ string, d map[string]any) {
			d["authorization_servers"] = append(d["authorization_servers"].([]string), "http://10.0.0.5:8080")
		}
	}, []string{"RS-DISC-URLS-PUBLIC-HTTPS", "RS-DISC-AS-ENTRIES"}, nil},
	{"host-derived", "Discovery data follows X-Forwarded-Host.", policy(func(p *mcpserver.Policy) { p.FixedHost = false }), []string{"RS-DISC-HOST-HEADER"}, nil},
	{"locations-differ", "The root document lists an old authorization server.", policy(func(p *mcpserver.Policy) {
		p.PRM = func(place string, d map[string]any) {
			if place == "root" {
				d["authorization_servers"] = []string{strings.TrimSuffix(d["resource"].(string), "/mcp") + "/old"}
			}
		}
	}), []string{"RS-DISC-LOCATIONS-AGREE"}, []string{"AS-META-PATH-INSERTED", "AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"}},
	{"html-fallback", "Unknown paths are answered 200 with an HTML page.", policy(func(p *mcpserver.Policy) { p.Fallback = true }), []string{"RS-DISC-NO-HTML-FALLBACK", "AS-META-NO-CATCH-ALL"}, []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"}},
	{"echoed-path", "Every well-known suffix is answered by a document for it.", policy(func(p *mcpserver.Policy) { p.EchoPath = true }), []string{"RS-DISC-NO-HTML-FALLBACK"}, nil},
	{"metadata-redirect", "The document is redirected to the identity provider.", policy(func(p *mcpserver.Policy) { p.PRMRedirect = "https://login.example/" }), []string{"RS-DISC-NO-REDIRECT"}, []string{"RS-DISC-PRM-PUBLISHED", "RS-CHALLENGE-RESOURCE-METADATA-URL"}},
	{"metadata-without-cors", "CORS covers the endpoint only.", policy(func(p *mcpserver.Policy) { p.PRMCORS = false }), []string{"RS-DISC-CORS"}, nil},
	{"empty-claim", "The capabilities claim that authentication is required, but nobody asks for it.", policy(func(p *mcpserver.Policy) {
		p.Authenticate = false
		p.Capabilities = map[string]any{"experimental": map[string]any{"authentication": map[string]any{"required": true}}}
	}), []string{"RS-DISC-CAPABILITY-CLAIMS"}, nil},
}

var challenges = []Flaw{
	{"forbidden", "A missing token is answered 403.", policy(func(p *mcpserver.Policy) { p.Status = 403 }), []string{"RS-CHALLENGE-401-STATUS"}, []string{"RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*"}},
	{"soft-refusal", "A missing token is answered 200 with a JSON-RPC error.", policy(func(p *mcpserver.Policy) { p.Soft = true }), []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-AUTH-ERROR-IN-200"}, []string{"RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*", "RS-DISC-*"}},
	{"challenge-on-one-path", "Only the missing-token path sends a challenge.", challenge(func(cause, url string) []string {
		if cause == "missing" {
			return always(`Bearer resource_metadata="{url}", scope="notes:read"`)(cause, url)
		}
		return nil
	}), []string{"RS-CHALLENGE-401-WWW-AUTHENTICATE"}, []string{"RS-CHALLENGE-RESOURCE-METADATA"}},
	{"odd-scheme", "The challenge offers the scheme JWT.", challenge(always(`JWT resource_metadata="{url}", scope="notes:read"`)), []string{"RS-CHALLENGE-BEARER-SCHEME"}, nil},
	{"unquoted", "resource_metadata is not quoted.", challenge(always(`Bearer resource_metadata={url}`)), []string{"RS-CHALLENGE-GRAMMAR"}, []string{"RS-CHALLENGE-BEARER-PARAMS", "RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA", "RS-CHALLENGE-SCOPE-PARAM"}},
	{"bare-bearer", "The challenge is the bare word Bearer.", challenge(always(`Bearer`)), []string{"RS-CHALLENGE-BEARER-PARAMS"}, []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA", "RS-CHALLENGE-SCOPE-PARAM"}},
	{"repeated-parameter", "scope stands twice.", challenge(func(cause, url string) []string {
		e := ""
		if cause == "invalid" {
			e = `, error="invalid_token"`
		}
		return []string{`Bearer resource_metadata="` + url + `", scope="notes:read", Scope="notes:write"` + e}
	}), []string{"RS-CHALLENGE-UNIQUE-PARAMS"}, []string{"RS-CHALLENGE-GRAMMAR"}},
	{"scope-commas", "Scopes are separated by commas.", challenge(func(cause, url string) []string {
		e := ""
		if cause == "invalid" {
			e = `, error="invalid_token"`
		}
		return []string{`Bearer resource_metadata="` + url + `", scope="notes:read,notes:write"` + e}
	}), []string{"RS-CHALLENGE-PARAM-CHARSETS"}, []string{"AS-META-SCOPES-COHERENT", "RS-DPOP-CHALLENGE"}},
	{"no-resource-metadata", "The challenge does not name the metadata.", challenge(func(cause, _ string) []string {
		e := ""
		if cause == "invalid" {
			e = `, error="invalid_token"`
		}
		return []string{`Bearer realm="mcp", scope="notes:read"` + e}
	}), []string{"RS-CHALLENGE-RESOURCE-METADATA"}, nil},
	{"relative-metadata", "resource_metadata is a relative reference.", challenge(func(cause, _ string) []string {
		e := ""
		if cause == "invalid" {
			e = `, error="invalid_token"`
		}
		return []string{`Bearer resource_metadata="/.well-known/oauth-protected-resource/mcp", scope="notes:read"` + e}
	}), []string{"RS-CHALLENGE-RESOURCE-METADATA-URL"}, nil},
	{"no-scope-hint", "The challenge names no scope although every tool needs one.", policy(func(p *mcpserver.Policy) { p.ScopeInField = false }), []string{"RS-CHALLENGE-SCOPE-PARAM"}, nil},
	{"error-without-token", "invalid_token is said where no token was sent.", policy(func(p *mcpserver.Policy) { p.ErrorCode = func(string) string { return "invalid_token" } }), []string{"RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS"}, []string{"RS-CHALLENGE-MALFORMED-400"}},
	{"no-error-code", "A bad token is answered without an error code.", policy(func(p *mcpserver.Policy) { p.ErrorCode = func(string) string { return "" } }), []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR"}, nil},
	{"login-redirect", "A missing token is redirected to a login page.", policy(func(p *mcpserver.Policy) { p.RedirectTo = "/login" }), []string{"RS-CHALLENGE-NO-REDIRECT-TO-LOGIN", "RS-CHALLENGE-401-STATUS"}, []string{"RS-*"}},
	{"parser-crash", "Two dots in a token crash the parser.", policy(func(p *mcpserver.Policy) { p.Crash = func(v string) bool { return strings.Count(v, ".") >= 2 } }), []string{"RS-CHALLENGE-NO-5XX"}, []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"}},
	{"echo", "The refusal shows the credential.", policy(func(p *mcpserver.Policy) { p.Echo = true }), []string{"RS-CHALLENGE-BODY-HYGIENE"}, nil},
	{"moody", "Browsers are answered 403 by a bot rule.", policy(func(p *mcpserver.Policy) { p.Moody = true }), []string{"RS-CHALLENGE-STABLE"}, nil},
	{"swallowed-parameters", "The Bearer parameters stand under another scheme.", challenge(func(cause, url string) []string {
		e := ""
		if cause == "invalid" {
			e = `, error="invalid_token"`
		}
		return []string{`ApiKey realm="mcp", resource_metadata="` + url + `", Bearer scope="notes:read"` + e}
	}), []string{"RS-CHALLENGE-MULTI-SCHEME"}, nil},
	{"calls-only", "Only tools/call is guarded.", policy(func(p *mcpserver.Policy) { p.GuardEveryMethod = false }), []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-UNKNOWN-ID"}},
	{"notifications-open", "Notifications need no token.", policy(func(p *mcpserver.Policy) { p.GuardNotifications = false }), []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, []string{"RS-SESSION-NOT-AUTHENTICATION"}},
	{"verbs-open", "GET and DELETE are not guarded.", policy(func(p *mcpserver.Policy) { p.GuardVerbs = false }), []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"}, []string{"RS-SESSION-STREAM-NEEDS-TOKEN", "RS-TOKEN-QUERY-IGNORED"}},
	{"slash-open", "The endpoint with a trailing slash is not guarded.", policy(func(p *mcpserver.Policy) { p.GuardPathVariants = false }), []string{"RS-CHALLENGE-PATH-VARIANTS"}, nil},
	{"side-route", "POST /tools/{name} runs tools without a token.", policy(func(p *mcpserver.Policy) { p.GuardSideRoutes = false }), []string{"RS-CHALLENGE-SIDE-ROUTES"}, nil},
}

var metadataFlaws = []Flaw{
	{"metadata-signed-by-nobody", "signed_metadata has alg none.", behaviour(func(b *idp.Behaviour) {
		b.SignedMetadata = func(d map[string]any) { d["signed_metadata"] = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0." }
	}), []string{"AS-META-SIGNED-METADATA"}, nil},
	{"metadata-signed-before", "signed_metadata holds other endpoints.", behaviour(func(b *idp.Behaviour) {
		b.SignedMetadata = func(d map[string]any) { d["revocation_endpoint"] = "https://other.example/revoke" }
	}), []string{"AS-META-SIGNED-METADATA"}, []string{"AS-META-*", "AS-REVOKE-*"}},
	{"metadata-odd-resources", "protected_resources is a text.", metadata(func(d map[string]any) { d["protected_resources"] = "mcp" }), []string{"AS-META-PROTECTED-RESOURCES"}, []string{"AS-META-TYPES-NO-NULLS"}},
	{"metadata-changes", "After a few requests another instance answers, with another endpoint.", behaviour(func(b *idp.Behaviour) {
		var n atomic.Int32
		b.Metadata = func(_ string, d map[string]any) {
			if n.Add(1) > 3 {
				d["introspection_endpoint"] = "https://old.example/introspect"
			}
		}
	}), []string{"AS-META-STABLE"}, []string{"AS-META-*", "AS-INTROSPECT-*"}},
	{"as-no-metadata", "The authorization server publishes no metadata.", behaviour(func(b *idp.Behaviour) { b.Places = nil }), []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"}, nil},
	{"as-no-defaults", "There is no metadata and no default token endpoint either.", behaviour(func(b *idp.Behaviour) { b.Places, b.Missing = nil, []string{"/token"} }), []string{"AS-META-DEFAULT-PATHS"}, []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"}},
	{"as-oidc-only", "Only the OpenID document is served.", behaviour(func(b *idp.Behaviour) { b.Places = []string{"oidc-appended"} }), []string{"AS-META-RFC8414-FORM"}, nil},
	{"as-appended", "The suffix is appended to the issuer's path.", func(o *reference.Options) {
		o.IssuerPath, o.Behaviour.Places = "/mcp", []string{"rfc8414-appended"}
	}, []string{"AS-META-ORIGIN-ROOT", "AS-META-PATH-INSERTED", "AS-META-PUBLISHED"}, []string{"AS-META-DEFAULT-PATHS", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"}},
	{"as-html-fallback", "Unknown paths of the authorization server are answered 200 with HTML.", func(o *reference.Options) {
		o.Apart, o.Behaviour.NoFallback = true, false
	}, []string{"AS-META-NO-CATCH-ALL"}, nil},
	{"as-issuer-query", "The issuer has a query.", metadata(func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "?tenant=1" }), []string{"AS-META-ISSUER-FORM", "AS-META-ISSUER-IDENTICAL"}, []string{"RS-DISC-AS-RESOLVES"}},
	{"as-text", "The metadata is sent as text/plain.", behaviour(func(b *idp.Behaviour) { b.ContentType = "text/plain" }), []string{"AS-META-HTTP-SHAPE"}, nil},
	{"as-no-response-types", "response_types_supported is missing.", metadata(func(d map[string]any) { delete(d, "response_types_supported") }), []string{"AS-META-REQUIRED-FIELDS"}, nil},
	{"as-oidc-incomplete", "The OpenID document lacks jwks_uri.", behaviour(func(b *idp.Behaviour) {
		b.Metadata = func(place string, d map[string]any) {
			if place != "rfc8414" {
				delete(d, "jwks_uri")
			}
		}
	}), []string{"AS-META-OIDC-REQUIRED-FIELDS"}, nil},
	{"as-null", "A member is null.", metadata(func(d map[string]any) { d["service_documentation"] = nil }), []string{"AS-META-TYPES-NO-NULLS"}, nil},
	{"as-string-list", "A list is given as a string.", metadata(func(d map[string]any) { d["response_modes_supported"] = "query" }), []string{"AS-META-TYPES-NO-NULLS"}, nil},
	{"as-no-pkce", "PKCE is not advertised.", metadata(func(d map[string]any) { delete(d, "code_challenge_methods_supported") }), []string{"AS-META-S256-ADVERTISED"}, nil},
	{"as-plain", "plain is advertised too.", metadata(func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain", "S256"} }), []string{"AS-META-NO-PLAIN"}, nil},
	{"as-http-endpoint", "The token endpoint is http on a public host.", metadata(func(d map[string]any) { d["token_endpoint"] = "http://192.0.2.1/token" }), []string{"AS-META-ENDPOINTS-HTTPS"}, []string{"AS-META-ENDPOINTS-EXIST", "AS-TOKEN-UNKNOWN-CLIENT"}},
	{"as-fragment", "The authorization endpoint has a fragment.", metadata(func(d map[string]any) { d["authorization_endpoint"] = d["authorization_endpoint"].(string) + "#x" }), []string{"AS-META-ENDPOINT-URL-FORM"}, nil},
	{"as-dangling", "The registration endpoint does not exist.", behaviour(func(b *idp.Behaviour) { b.Missing = []string{"/register"} }), []string{"AS-META-ENDPOINTS-EXIST"}, []string{"AS-DCR-SUPPORTED"}},
	{"as-host-derived", "The metadata follows X-Forwarded-Host.", behaviour(func(b *idp.Behaviour) { b.FixedHost = false }), []string{"AS-META-HOST-HEADER"}, nil},
	{"as-implicit-grant", "The implicit grant is listed.", metadata(func(d map[string]any) {
		listed, _ := d["grant_types_supported"].([]string)
		d["grant_types_supported"] = append(slices.Clone(listed), "implicit")
	}), []string{"AS-META-GRANT-TYPES-EXPLICIT"}, nil},
	{"as-implicit-response", "A response type returns access tokens.", metadata(func(d map[string]any) { d["response_types_supported"] = []string{"code", "token"} }), []string{"AS-META-NO-IMPLICIT"}, nil},
	{"as-no-algs", "private_key_jwt is offered without algorithms.", metadata(func(d map[string]any) {
		d["token_endpoint_auth_methods_supported"] = []string{"none", "private_key_jwt"}
		delete(d, "token_endpoint_auth_signing_alg_values_supported")
	}), []string{"AS-META-SIGNING-ALGS"}, []string{"AS-CC-METADATA"}},
	{"as-other-scopes", "The authorization server knows none of the resource's scopes.", metadata(func(d map[string]any) { d["scopes_supported"] = []string{"profile"} }), []string{"AS-META-SCOPES-COHERENT"}, nil},
	{"as-forms-differ", "The OpenID document names another token endpoint.", behaviour(func(b *idp.Behaviour) {
		b.Metadata = func(place string, d map[string]any) {
			if place != "rfc8414" {
				d["token_endpoint"] = d["issuer"].(string) + "/old/token"
			}
		}
	}), []string{"AS-META-FORMS-AGREE"}, nil},
	{"as-redirect", "The metadata is redirected to another origin.", behaviour(func(b *idp.Behaviour) { b.Redirect = "https://login.example/" }), []string{"AS-META-NO-REDIRECT"}, []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"}},
	{"as-without-cors", "Browser clients cannot read the metadata.", behaviour(func(b *idp.Behaviour) { b.CORS = false }), []string{"AS-META-CORS"}, []string{"AS-REVOKE-CORS"}},
	{"as-version-strict", "Unknown protocol versions are refused on the metadata.", behaviour(func(b *idp.Behaviour) { b.AnyVersion = false }), []string{"AS-META-VERSION-HEADER"}, nil},
	{"as-empty-jwks", "The key set is empty.", behaviour(func(b *idp.Behaviour) { b.JWKS = func(d map[string]any) { d["keys"] = []any{} } }), []string{"AS-KEYS-JWKS-SHAPE"}, []string{"AS-META-SIGNED-METADATA"}},
	{"as-one-kid-twice", "Two keys of one type share a key id.", behaviour(func(b *idp.Behaviour) {
		b.JWKS = func(d map[string]any) { d["keys"] = append(d["keys"].([]any), d["keys"].([]any)[0]) }
	}), []string{"AS-KEYS-JWKS-SHAPE"}, nil},
	{"as-private-key", "The key set holds a private key.", behaviour(func(b *idp.Behaviour) {
		b.JWKS = func(d map[string]any) {
			d["keys"].([]any)[1].(map[string]any)["d"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
		}
	}), []string{"AS-KEYS-NO-PRIVATE"}, nil},
	{"as-short-key", "An RSA key has 1024 bits.", behaviour(func(b *idp.Behaviour) {
		b.JWKS = func(d map[string]any) {
			k := d["keys"].([]any)[0].(map[string]any)
			k["n"] = k["n"].(string)[:170] + "E" // 1028 bits, odd
		}
	}), []string{"AS-KEYS-STRENGTH"}, []string{"AS-META-SIGNED-METADATA"}},
	{"as-none-listed", "none is listed for client authentication.", metadata(func(d map[string]any) {
		d["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256", "none"}
	}), []string{"AS-KEYS-ALG-LISTS"}, []string{"AS-META-SIGNING-ALGS"}},
	{"as-closed", "Registration is closed.", behaviour(func(b *idp.Behaviour) { b.Registration = "closed" }), []string{"AS-DCR-SUPPORTED"}, nil},
	{"as-no-way", "There is no way to get a client identifier.", metadata(func(d map[string]any) {
		delete(d, "registration_endpoint")
		delete(d, "client_id_metadata_document_supported")
	}), []string{"AS-REG-SOME-WAY", "AS-DCR-SUPPORTED"}, []string{"AS-CIMD-SUPPORTED"}},
	{"as-any-initial-token", "Any initial access token is good enough.", behaviour(func(b *idp.Behaviour) { b.Registration = "any-token" }), []string{"AS-DCR-PROTECTED-401"}, []string{"AS-DCR-SUPPORTED"}},
	{"as-wrong-error", "An unknown client is told invalid_grant.", behaviour(func(b *idp.Behaviour) { b.UnknownError = "invalid_grant" }), []string{"AS-TOKEN-UNKNOWN-CLIENT"}, nil},
	{"as-crash", "The token endpoint answers 500.", behaviour(func(b *idp.Behaviour) { b.CrashOnToken = true }), []string{"AS-TOKEN-UNKNOWN-CLIENT"}, []string{"AS-META-ENDPOINTS-EXIST"}},
	{"as-hidden-revocation", "Revocation exists, but is not advertised.", metadata(func(d map[string]any) { delete(d, "revocation_endpoint") }), []string{"AS-REVOKE-ADVERTISED"}, nil},
	{"as-omnibus", "A scope means everything.", metadata(func(d map[string]any) {
		d["scopes_supported"] = []string{"notes:read", "notes:write", "*"}
	}), []string{"AS-SCOPE-NO-OMNIBUS"}, nil},
}

var tokens = []Flaw{
	{"refuses-its-own", "A valid token gets no tools/list.", policy(func(p *mcpserver.Policy) { p.ServesLists = false }), []string{"RS-TOKEN-VALID-ACCEPTED"}, []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-TOKEN-RENEWAL", "RS-TRANSPORT-HEADER-MISMATCH"}},
	{"scheme-case", "The scheme is compared with case.", policy(func(p *mcpserver.Policy) { p.SchemeAnyCase = false }), []string{"RS-TOKEN-SCHEME-CASE"}, nil},
	{"any-scheme", "Any scheme, or none, will do.", policy(func(p *mcpserver.Policy) { p.OnlyBearer = false }), []string{"RS-TOKEN-WRONG-SCHEME"}, []string{"RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS"}},
	{"query-token", "A token in the query string counts.", policy(func(p *mcpserver.Policy) { p.OnlyHeader = false }), []string{"RS-TOKEN-QUERY-IGNORED"}, []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"}},
	{"body-token", "A token in the message counts.", policy(func(p *mcpserver.Policy) { p.NoBodyToken = false }), []string{"RS-TOKEN-BODY-IGNORED"}, nil},
	{"cookie-token", "A token in a cookie counts.", policy(func(p *mcpserver.Policy) { p.NoCookieToken = false }), []string{"RS-TOKEN-COOKIE-IGNORED"}, []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"}},
	{"two-credentials", "Of two Authorization fields any may be good.", policy(func(p *mcpserver.Policy) { p.OneCredential = false }), []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"}, []string{"RS-CHALLENGE-MALFORMED-400"}},
	{"any-token", "Any bearer string is accepted.", policy(func(p *mcpserver.Policy) { p.Verify = false }), []string{"RS-TOKEN-GARBAGE"}, []string{"RS-*"}},
	{"quoted-token", "Quotes and punctuation around the token are dropped.", policy(func(p *mcpserver.Policy) { p.StrictSyntax = false }), []string{"RS-TOKEN-SYNTAX-BYTES"}, nil},
	{"long-token-crash", "A long token crashes the server.", policy(func(p *mcpserver.Policy) { p.Crash = func(v string) bool { return len(v) > 6000 } }), []string{"RS-TOKEN-OVERSIZED"}, nil},
	{"alg-none", "alg none is accepted in every spelling.", policy(func(p *mcpserver.Policy) { p.RefuseNone = false }), []string{"RS-TOKEN-ALG-NONE"}, []string{"RS-TOKEN-FORMAT-CONFUSION"}},
	{"key-confusion", "The public key serves as HMAC secret.", policy(func(p *mcpserver.Policy) { p.RefuseSymmetric = false }), []string{"RS-TOKEN-KEY-CONFUSION"}, nil},
	{"kid-is-enough", "A known key id is enough.", policy(func(p *mcpserver.Policy) { p.KidOnly = false }), []string{"RS-TOKEN-FOREIGN-KEY"}, []string{"RS-TOKEN-*"}},
	{"kid-path", "The key id is a path to the key.", policy(func(p *mcpserver.Policy) { p.RefuseKidPath = false }), []string{"RS-TOKEN-KID-INJECTION"}, nil},
	{"embedded-key", "The key in the token's header is trusted.", policy(func(p *mcpserver.Policy) { p.RefuseEmbedded = false }), []string{"RS-TOKEN-EMBEDDED-JWK"}, nil},
	{"fetches-jku", "jku and x5u are fetched.", policy(func(p *mcpserver.Policy) { p.FetchesHeaderURLs = true }), []string{"RS-TOKEN-JKU-X5U"}, nil},
	{"no-signature", "The signature is not verified.", policy(func(p *mcpserver.Policy) { p.VerifySignature = false }), []string{"RS-TOKEN-FORMAT-CONFUSION", "RS-TOKEN-FOREIGN-KEY", "RS-TOKEN-ALG-NONE"}, []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"}},
	{"tutorial-secret", "HS256 with a tutorial's secret is accepted.", policy(func(p *mcpserver.Policy) { p.RefuseWeakSecret = false }), []string{"RS-TOKEN-WEAK-SECRET"}, nil},
	{"sample-token", "A token from the documentation works.", policy(func(p *mcpserver.Policy) { p.SampleToken = "admin-token-123" }), []string{"RS-STATIC-DEFAULT-CREDENTIALS"}, nil},
	{"public-and-open", "A public server asks nobody for a token.", func(o *reference.Options) { o.Host, o.Policy.Authenticate = Public, false }, []string{"RS-STATIC-NOAUTH-EXPOSURE"}, nil},
}

var sessions = []Flaw{
	{"session-is-credential", "A session id passes for a token.", policy(func(p *mcpserver.Policy) { p.SessionIsNoCredential = false }), []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-STREAM-NEEDS-TOKEN"}, nil},
	{"counted-sessions", "Session ids are counted.", func(o *reference.Options) {
		n := make(chan int, 1)
		n <- 0
		o.Policy.NewSessionID = func() string {
			i := <-n + 1
			n <- i
			return "session-" + strings.Repeat("0", 3-len(digits(i))) + digits(i)
		}
	}, []string{"RS-SESSION-ID-ENTROPY"}, nil},
	{"blank-in-session-id", "Session ids hold a blank.", policy(func(p *mcpserver.Policy) {
		p.NewSessionID = func() string { return mcpserver.RandomID() + " " + mcpserver.RandomID() }
	}), []string{"RS-SESSION-ID-CHARSET"}, nil},
	{"adopted-session", "A session id chosen by the client is adopted.", policy(func(p *mcpserver.Policy) { p.OwnSessionIDs = false }), []string{"RS-SESSION-FIXATION"}, nil},
	{"session-on-refusal", "Refusals set a session id.", policy(func(p *mcpserver.Policy) { p.SessionOnFail = true }), []string{"RS-SESSION-NOT-BEFORE-AUTH"}, nil},
	{"sessions-never-end", "Unknown and ended sessions are served.", policy(func(p *mcpserver.Policy) { p.CheckSession = false }), []string{"RS-SESSION-UNKNOWN-ID"}, []string{"RS-SESSION-FIXATION"}},
	{"session-on-stateless", "A session id is looked up on the stateless wire.", policy(func(p *mcpserver.Policy) { p.NoSessionHeader = false }), []string{"RS-SESSION-HEADER-IGNORED"}, nil},
}

var transport = []Flaw{
	{"any-origin", "Origin is not checked.", policy(func(p *mcpserver.Policy) { p.CheckOrigin = false }), []string{"RS-TRANSPORT-ORIGIN-INVALID", "RS-TRANSPORT-ORIGIN-EVERY-METHOD"}, []string{"RS-TRANSPORT-ERA-PARITY"}},
	{"own-origin-refused", "The server's own origin is refused.", policy(func(p *mcpserver.Policy) { p.OwnOrigin = false }), []string{"RS-TRANSPORT-ORIGIN-ALLOWED"}, nil},
	{"origin-on-post-only", "Origin is checked on POST only.", policy(func(p *mcpserver.Policy) { p.OriginEveryVerb = false }), []string{"RS-TRANSPORT-ORIGIN-EVERY-METHOD"}, nil},
	{"any-host", "Host is not checked.", policy(func(p *mcpserver.Policy) { p.CheckHost = false }), []string{"RS-TRANSPORT-HOST-REBINDING"}, nil},
	{"preflight-guarded", "The preflight needs a token.", policy(func(p *mcpserver.Policy) { p.GuardPreflight = true }), []string{"RS-TRANSPORT-CORS-PREFLIGHT"}, nil},
	{"challenge-hidden", "Browser code cannot see the challenge.", policy(func(p *mcpserver.Policy) { p.Expose = false }), []string{"RS-TRANSPORT-CORS-EXPOSE"}, nil},
	{"reflected-origin", "Every origin is reflected, with credentials.", policy(func(p *mcpserver.Policy) { p.ReflectOrigin = true }), []string{"RS-TRANSPORT-CORS-CREDENTIALS"}, []string{"RS-TRANSPORT-CORS-EXPOSE", "RS-TRANSPORT-ORIGIN-EVERY-METHOD", "RS-TRANSPORT-ORIGIN-INVALID"}},
	{"slash-redirect", "The published URL redirects.", policy(func(p *mcpserver.Policy) { p.RedirectEndpoint = 307 }), []string{"RS-TRANSPORT-NO-REDIRECT"}, []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-REDIRECT-TO-LOGIN"}},
	{"shared-cache", "Authorized answers are marked public.", policy(func(p *mcpserver.Policy) { p.CacheControl = "public, max-age=60" }), []string{"RS-TRANSPORT-CACHE"}, nil},
	{"cookie-credential", "A cookie authenticates by itself.", policy(func(p *mcpserver.Policy) { p.CookieAuth = true }), []string{"RS-TRANSPORT-COOKIES"}, nil},
	{"old-version-open", "An old protocol version passes without a token.", policy(func(p *mcpserver.Policy) { p.GuardAnyVersion = false }), []string{"RS-TRANSPORT-VERSION-HEADER"}, nil},
	{"any-version", "Unsupported protocol versions are served.", policy(func(p *mcpserver.Policy) { p.CheckVersion = false }), []string{"RS-TRANSPORT-VERSION-HEADER"}, nil},
	{"stateless-open", "The stateless wire needs no token.", policy(func(p *mcpserver.Policy) { p.GuardStateless = false }), []string{"RS-TRANSPORT-ERA-PARITY"}, nil},
	{"headers-ignored", "Headers may contradict the message.", policy(func(p *mcpserver.Policy) { p.CheckHeaders = false }), []string{"RS-TRANSPORT-HEADER-MISMATCH"}, []string{"RS-TRANSPORT-VERSION-HEADER"}},
	{"connection-identity", "A connection once authorized stays so.", policy(func(p *mcpserver.Policy) { p.PerRequest = false }), []string{"RS-TRANSPORT-CONNECTION-IDENTITY"}, []string{"RS-*"}},
	{"plain-http", "The endpoint is served over plain HTTP too.", func(o *reference.Options) { o.Host, o.PlainToo = Public, true }, []string{"RS-TLS-ENFORCED"}, []string{"AS-TLS-ENFORCED"}},
	{"as-plain-http", "The authorization server answers over plain HTTP too.", func(o *reference.Options) { o.Host, o.PlainToo = Public, true }, []string{"AS-TLS-ENFORCED"}, []string{"RS-TLS-ENFORCED"}},
	{"old-tls", "TLS 1.1 is still offered.", func(o *reference.Options) { o.Host, o.OldTLS = Public, true }, []string{"RS-TLS-MODERN", "AS-TLS-MODERN"}, nil},
	{"as-no-hsts", "The pages of the authorization server lack Strict-Transport-Security.", func(o *reference.Options) { o.Host, o.Behaviour.HSTS = Public, false }, []string{"AS-TLS-HSTS"}, nil},
	{"no-hsts", "There is no Strict-Transport-Security.", func(o *reference.Options) { o.Host, o.Policy.HSTS = Public, false }, []string{"RS-TLS-HSTS"}, nil},
}

func digits(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return digits(n/10) + string(rune('0'+n%10))
}
