// Package flaws is the table of deliberate defects. Each deviates from the reference in one place, and names the checks that must notice
// it.
package flaws

import (
	"encoding/json"
	"net/http"
	"net/url"
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
	Row     string   // the row of a check's table that a finding of each of Noticed must name; empty: any
	Rows    []string // further rows of this kind: one accepted row must not hide the next
}

// Public is the host name of variants that stand for a server on the internet.
const Public = "mcp.example.com"

func policy(bend func(p *mcpserver.Policy)) func(o *reference.Options) {
	return func(o *reference.Options) { bend(&o.Policy) }
}

func behaviour(bend func(b *idp.Behaviour)) func(o *reference.Options) {
	return func(o *reference.Options) { bend(&o.Behaviour) }
}

// prm changes every copy of the protected resource metadata.
func prm(bend func(doc map[string]any)) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) { p.PRM = func(_ string, doc map[string]any) { bend(doc) } })
}

// metadata changes every form of the authorization server metadata.
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

// BeforeLogin returns the flaws that a run with a token can see.
func BeforeLogin() []Flaw {
	return slices.Concat(discovery, challenges, otherRefusals, metadataFlaws, tokens, sessions, transport, otherTransport, publishedKeys,
		sessionIDs, crossOrigin, rootDocument, exemptions, forgotten)
}

// AfterLogin returns the flaws of the authorization server that only a run that registers clients and signs in can see.
func AfterLogin() []Flaw {
	return slices.Concat(issuedRows, authorizationEndpoint, comparisons, pkce, tokenEndpoint, refreshing, refreshRows, inspection,
		registrations,
		registrationNeeds, registrationAnswers, redirectsTaken, registrationRows, registrationRights, clientDocuments, consents,
		grants, proxies, machines, binding, assertions, rowsOfAssertions, macs, linking, idTokens, renewedSessions, revokedWays,
		crossOriginClients, onePath, elsewhere, grantsUnlisted, hostsWithCase, issuerProofs, singleRowsOfIssuers, describedTokens, similarNames)
}

// bareCookie makes the endpoint of an https target set a cookie without one attribute.
func bareCookie(name, row, attributes string) Flaw {
	return Flaw{Name: "cookie-" + name, Says: "A cookie of the endpoint lacks an attribute.", Row: row,
		Noticed: []string{"RS-TRANSPORT-COOKIES"},
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Set-Cookie", "balancer=west-17; Path=/; "+attributes)
					next.ServeHTTP(w, r)
				})
			}
		}}
}

// dangling makes the metadata name an endpoint that does not exist.
func dangling(member, also string) Flaw {
	f := Flaw{Name: "as-dangling-" + strings.ReplaceAll(member, "_", "-"), Says: "The metadata names a " + member + " that does not exist.",
		Bend:    metadata(func(d map[string]any) { d[member] = d["issuer"].(string) + "/nowhere" }),
		Noticed: []string{"AS-META-ENDPOINTS-EXIST"}, Row: member}
	if also != "" {
		f.Also = []string{also}
	}
	return f
}

// wrongType gives a member of the metadata a value of another type.
func wrongType(name string, value any) Flaw {
	return Flaw{
		Name: "as-type-" + strings.ReplaceAll(name, "_", "-"), Says: name + " has another type than it is registered with.",
		Bend: metadata(func(d map[string]any) { d[name] = value }), Noticed: []string{"AS-META-TYPES-NO-NULLS"}, Row: name,
		Also: []string{"AS-META-*", "AS-CC-*", "AS-EMA-*", "AS-TOKEN-*", "RS-DISC-*"},
	}
}

var discovery = []Flaw{
	{
		Name: "no-metadata", Says: "There is no protected resource metadata, and the challenge names none.",
		Bend: func(o *reference.Options) {
			o.Policy.PRMRoot = false
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.MetadataAtPath)
			o.Policy.Challenge = always(`Bearer realm="mcp"`)
		},
		Noticed: []string{"RS-DISC-PRM-PUBLISHED"},
		Also:    []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA"},
	},
	{
		Name: "metadata-at-root-only", Says: "The path-inserted location is missing, although the challenge names it.",
		Bend: lacks(mcpserver.MetadataAtPath), Noticed: []string{"RS-DISC-WELL-KNOWN-LOCATION", "RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "metadata-as-text", Says: "The document is sent as text/plain.",
		Bend: policy(func(p *mcpserver.Policy) { p.PRMType = "text/plain" }), Noticed: []string{"RS-DISC-HTTP-SHAPE"},
	},
	{
		Name: "metadata-twice-resource", Says: "The document names resource twice.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.PRMEncode = func(doc map[string]any) string {
				r, _ := doc["resource"].(string)
				return `{"resource":"` + r + `","resource":"` + r + `","authorization_servers":["` + strings.TrimSuffix(r, "/mcp") + `"]}`
			}
		}),
		Noticed: []string{"RS-DISC-HTTP-SHAPE"}, Also: []string{"RS-CHALLENGE-SCOPE-PARAM", "RS-DISC-LOCATIONS-AGREE"},
	},
	{
		Name: "metadata-guarded", Says: "Authentication wraps the well-known routes too.",
		Bend: lacks(mcpserver.OpenMetadata), Noticed: []string{"RS-DISC-UNAUTHENTICATED", "RS-DISC-PRM-PUBLISHED"},
		Also: []string{"RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "no-resource", Says: "The document lacks resource.",
		Bend: prm(func(d map[string]any) { delete(d, "resource") }), Noticed: []string{"RS-DISC-RESOURCE-PRESENT"},
		Also: []string{"RS-DISC-PRM-PUBLISHED", "RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "internal-resource", Says: "resource is built from an internal host name.",
		Bend: prm(func(d map[string]any) { d["resource"] = "http://127.0.0.9:8000/mcp" }), Noticed: []string{"RS-DISC-RESOURCE-MATCH"},
		Also: []string{"RS-DISC-WELL-KNOWN-LOCATION"},
	},
	{
		Name: "resource-slash", Says: "resource ends in a slash that the endpoint does not have.",
		Bend: prm(func(d map[string]any) { d["resource"] = d["resource"].(string) + "/" }), Noticed: []string{"RS-DISC-RESOURCE-MATCH"},
	},
	{
		Name: "relative-resource", Says: "resource has no scheme.",
		Bend: prm(func(d map[string]any) { d["resource"] = "mcp.example.com/mcp" }), Noticed: []string{"RS-DISC-RESOURCE-FORM"},
	},
	{
		Name: "resource-fragment", Says: "resource ends in an empty fragment.",
		Bend: prm(func(d map[string]any) { d["resource"] = d["resource"].(string) + "#" }), Noticed: []string{"RS-DISC-RESOURCE-FORM"},
		Also: []string{"RS-DISC-RESOURCE-MATCH", "RS-DISC-WELL-KNOWN-LOCATION"},
	},
	{
		Name: "no-servers", Says: "authorization_servers is empty.",
		Bend:    prm(func(d map[string]any) { d["authorization_servers"] = []string{} }),
		Noticed: []string{"RS-DISC-AS-PRESENT", "RS-DISC-NO-EMPTY-OR-NULL"},
	},
	{
		Name: "server-objects", Says: "authorization_servers contains objects, as in a published guide.",
		Bend: prm(func(d map[string]any) {
			d["authorization_servers"] = []any{map[string]any{"issuer": d["resource"], "authorization_endpoint": "https://as.example/authorize"}}
		}),
		Noticed: []string{"RS-DISC-AS-ENTRIES"},
	},
	{
		Name: "issuer-slash", Says: "The listed issuer has a slash that the metadata does not have.",
		Bend: prm(func(d map[string]any) {
			d["authorization_servers"] = []string{strings.TrimSuffix(d["resource"].(string), "mcp")}
		}),
		Noticed: []string{"RS-DISC-AS-RESOLVES", "AS-META-ISSUER-IDENTICAL"},
	},
	{
		Name: "scopes-as-string", Says: "scopes_supported is one string.",
		Bend:    prm(func(d map[string]any) { d["scopes_supported"] = "notes:read notes:write" }),
		Noticed: []string{"RS-DISC-SCOPES-SHAPE"},
	},
	{
		Name: "omnibus-scope", Says: "scopes_supported contains *.",
		Bend:    prm(func(d map[string]any) { d["scopes_supported"] = []string{"*", "notes:read"} }),
		Noticed: []string{"RS-DISC-SCOPES-MINIMAL"}, Also: []string{"AS-META-SCOPES-COHERENT"},
	},
	{
		Name: "offline-access", Says: "scopes_supported lists offline_access.",
		Bend:    prm(func(d map[string]any) { d["scopes_supported"] = []string{"notes:read", "offline_access"} }),
		Noticed: []string{"RS-DISC-NO-OFFLINE-ACCESS"},
	},
	{
		Name: "query-method", Says: "bearer_methods_supported lists query.",
		Bend:    prm(func(d map[string]any) { d["bearer_methods_supported"] = []string{"header", "query"} }),
		Noticed: []string{"RS-DISC-BEARER-METHODS"},
	},
	{
		Name: "null-member", Says: "The serializer writes null members.",
		Bend: prm(func(d map[string]any) { d["resource_documentation"] = nil }), Noticed: []string{"RS-DISC-NO-EMPTY-OR-NULL"},
	},
	{
		Name: "dpop-none", Says: "DPoP proofs may be unsigned.",
		Bend:    prm(func(d map[string]any) { d["dpop_signing_alg_values_supported"] = []string{"none"} }),
		Noticed: []string{"RS-DISC-KEYS-AND-ALGS"}, Also: []string{"RS-DPOP-CHALLENGE"},
	},
	{
		Name: "unsigned-metadata", Says: "signed_metadata has alg none.",
		Bend:    prm(func(d map[string]any) { d["signed_metadata"] = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0." }),
		Noticed: []string{"RS-DISC-SIGNED-METADATA"},
	},
	{
		Name: "private-server-listed", Says: "A public server lists an authorization server by a private address.",
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Policy.PRM = func(_ string, d map[string]any) {
				d["authorization_servers"] = append(d["authorization_servers"].([]string), "http://10.0.0.5:8080")
			}
		},
		Noticed: []string{"RS-DISC-URLS-PUBLIC-HTTPS", "RS-DISC-AS-ENTRIES"},
	},
	{
		Name: "host-derived", Says: "Discovery data follows X-Forwarded-Host.",
		Bend: lacks(mcpserver.FixedHost), Noticed: []string{"RS-DISC-HOST-HEADER"},
	},
	{
		Name: "locations-differ", Says: "The root document lists an old authorization server.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.PRM = func(place string, d map[string]any) {
				if place == "root" {
					d["authorization_servers"] = []string{strings.TrimSuffix(d["resource"].(string), "/mcp") + "/old"}
				}
			}
		}),
		Noticed: []string{"RS-DISC-LOCATIONS-AGREE"},
		Also:    []string{"AS-META-PATH-INSERTED", "AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "html-fallback", Says: "Unknown paths are answered 200 with an HTML page.",
		Bend: lacks(mcpserver.NoFallback), Noticed: []string{"RS-DISC-NO-HTML-FALLBACK", "AS-META-NO-CATCH-ALL"},
		Also: []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"},
	},
	{
		Name: "echoed-path", Says: "Every well-known suffix is answered by a document for it.",
		Bend: lacks(mcpserver.OneMetadata), Noticed: []string{"RS-DISC-NO-HTML-FALLBACK"},
	},
	{
		Name: "metadata-redirect", Says: "The document is redirected to the identity provider.",
		Bend: policy(func(p *mcpserver.Policy) { p.PRMRedirect = "https://login.example/" }), Noticed: []string{"RS-DISC-NO-REDIRECT"},
		Also: []string{"RS-DISC-PRM-PUBLISHED", "RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "metadata-moved", Says: "The document is redirected within the origin.",
		Bend:    func(o *reference.Options) { o.Wrap = moved("/.well-known/oauth-protected-resource", "/metadata") },
		Noticed: []string{"RS-DISC-NO-REDIRECT"}, Also: []string{"RS-DISC-NO-HTML-FALLBACK"},
	},
	{
		Name: "metadata-page", Says: "Where clients look first, there is an HTML page.",
		Bend:    func(o *reference.Options) { o.Wrap = nothingAtPath("text/html", "<!doctype html><title>App</title>") },
		Noticed: []string{"RS-DISC-HTTP-SHAPE"}, Also: []string{"RS-DISC-WELL-KNOWN-LOCATION", "RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "metadata-empty", Says: "Where clients look first, there is an empty body.",
		Bend:    func(o *reference.Options) { o.Wrap = nothingAtPath("application/json", "") },
		Noticed: []string{"RS-DISC-HTTP-SHAPE"}, Also: []string{"RS-DISC-WELL-KNOWN-LOCATION", "RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "dpop-unannounced", Says: "DPoP is offered in the challenge and not in the metadata.",
		Bend:    prm(func(d map[string]any) { delete(d, "dpop_signing_alg_values_supported") }),
		Noticed: []string{"RS-DISC-LOCATIONS-AGREE"}, Also: []string{"RS-DPOP-*"},
	},
	{
		Name: "metadata-sniffed", Says: "The protected resource metadata has no nosniff, so browsers may guess its type.",
		Bend: lacks(mcpserver.NoSniffing), Noticed: []string{"RS-DISC-NOSNIFF"},
	},
	{
		Name: "as-metadata-sniffed", Says: "The authorization server metadata has no nosniff, so browsers may guess its type.",
		Bend: lacks(idp.NoSniffing), Noticed: []string{"RS-DISC-NOSNIFF"},
	},
	reflecting("X-Forwarded-Host", ""), reflecting("Forwarded", ""), reflecting("X-Original-Host", ""),
	reflecting("X-Forwarded-Server", ""), reflecting("X-Forwarded-Prefix", ""), reflecting("X-Forwarded-Proto", "scheme"),
	reflecting("X-Forwarded-Port", "port"),
	{
		Name: "metadata-without-cors", Says: "CORS covers the endpoint only.",
		Bend: lacks(mcpserver.MetadataCORS), Noticed: []string{"RS-DISC-CORS"},
	},
	{
		Name: "empty-claim", Says: "The capabilities claim that authentication is required, but the server does not require it.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.RequireToken)
			p.Capabilities = map[string]any{"experimental": map[string]any{"authentication": map[string]any{"required": true}}}
		}),
		Noticed: []string{"RS-DISC-CAPABILITY-CLAIMS"}, Also: []string{"RS-CHALLENGE-401-STATUS"},
	},
}

var challenges = []Flaw{
	{
		Name: "forbidden", Says: "A missing token is answered 403.",
		Bend: policy(func(p *mcpserver.Policy) { p.Status = 403 }), Noticed: []string{"RS-CHALLENGE-401-STATUS"},
		Also: []string{"RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*"},
	},
	{
		Name: "soft-refusal", Says: "A missing token is answered 200 with a JSON-RPC error.",
		Bend: lacks(mcpserver.RefuseByStatus), Noticed: []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-AUTH-ERROR-IN-200"},
		Also: []string{"RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*", "RS-DISC-*"},
	},
	{
		Name: "challenge-on-one-path", Says: "Only the refusal of a missing token has a challenge.",
		Bend: challenge(func(cause, url string) []string {
			if cause == "missing" {
				return always(`Bearer resource_metadata="{url}", scope="notes:read"`)(cause, url)
			}
			return nil
		}),
		Noticed: []string{"RS-CHALLENGE-401-WWW-AUTHENTICATE"}, Also: []string{"RS-CHALLENGE-RESOURCE-METADATA"},
	},
	{
		Name: "odd-scheme", Says: "The challenge offers the scheme JWT.",
		Bend: challenge(always(`JWT resource_metadata="{url}", scope="notes:read"`)), Noticed: []string{"RS-CHALLENGE-BEARER-SCHEME"},
	},
	{
		Name: "scheme-of-keys-alone", Says: "The challenge offers the scheme ApiKey, though there is metadata for OAuth clients.",
		Bend:    challenge(always(`ApiKey realm="mcp"`)),
		Noticed: []string{"RS-CHALLENGE-BEARER-SCHEME"}, Also: []string{"RS-CHALLENGE-*", "RS-DPOP-*"},
	},
	{
		Name: "unquoted", Says: "resource_metadata is not quoted.",
		Bend: challenge(always(`Bearer resource_metadata={url}`)), Noticed: []string{"RS-CHALLENGE-GRAMMAR"},
		Also: []string{
			"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-SCOPE-PARAM",
		},
	},
	{
		Name: "bare-bearer", Says: "The challenge is the bare word Bearer.",
		Bend: challenge(always(`Bearer`)), Noticed: []string{"RS-CHALLENGE-BEARER-PARAMS"},
		Also: []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-CHALLENGE-RESOURCE-METADATA", "RS-CHALLENGE-SCOPE-PARAM"},
	},
	{
		Name: "repeated-parameter", Says: "scope is sent twice.",
		Bend: challenge(func(cause, url string) []string {
			e := ""
			if cause == "invalid" {
				e = `, error="invalid_token"`
			}
			return []string{`Bearer resource_metadata="` + url + `", scope="notes:read", Scope="notes:write"` + e}
		}),
		Noticed: []string{"RS-CHALLENGE-UNIQUE-PARAMS"}, Also: []string{"RS-CHALLENGE-GRAMMAR"},
	},
	{
		Name: "scope-commas", Says: "Scopes are separated by commas.",
		Bend: challenge(func(cause, url string) []string {
			e := ""
			if cause == "invalid" {
				e = `, error="invalid_token"`
			}
			return []string{`Bearer resource_metadata="` + url + `", scope="notes:read,notes:write"` + e}
		}),
		Noticed: []string{"RS-CHALLENGE-PARAM-CHARSETS"}, Also: []string{"AS-META-SCOPES-COHERENT", "RS-DPOP-CHALLENGE"},
	},
	{
		Name: "no-resource-metadata", Says: "The challenge does not name the metadata.",
		Bend: challenge(func(cause, _ string) []string {
			e := ""
			if cause == "invalid" {
				e = `, error="invalid_token"`
			}
			return []string{`Bearer realm="mcp", scope="notes:read"` + e}
		}),
		Noticed: []string{"RS-CHALLENGE-RESOURCE-METADATA"},
	},
	{
		Name: "relative-metadata", Says: "resource_metadata is a relative reference.",
		Bend: challenge(func(cause, _ string) []string {
			e := ""
			if cause == "invalid" {
				e = `, error="invalid_token"`
			}
			return []string{`Bearer resource_metadata="/.well-known/oauth-protected-resource/mcp", scope="notes:read"` + e}
		}),
		Noticed: []string{"RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
	{
		Name: "no-scope-hint", Says: "The challenge names no scope although every tool needs one.",
		Bend: lacks(mcpserver.ScopeInChallenge), Noticed: []string{"RS-CHALLENGE-SCOPE-PARAM"},
	},
	{
		Name: "error-without-token", Says: "The challenge has invalid_token where no token was sent.",
		Bend:    policy(func(p *mcpserver.Policy) { p.ErrorCode = func(string) string { return "invalid_token" } }),
		Noticed: []string{"RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS"}, Also: []string{"RS-CHALLENGE-MALFORMED-400"},
	},
	{
		Name: "no-error-code", Says: "A bad token is answered without an error code.",
		Bend:    policy(func(p *mcpserver.Policy) { p.ErrorCode = func(string) string { return "" } }),
		Noticed: []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR"},
	},
	{
		Name: "error-code-in-body", Says: "The error code of a bad token is only in the body.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.ErrorCode, p.BodyError = func(string) string { return "" }, "invalid_token"
		}),
		Noticed: []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR"}, Row: "which is only in the body",
	},
	{ // other checks expect a refusal with a fitting status
		Name: "login-redirect", Says: "A missing token is redirected to a login page.",
		Bend:    policy(func(p *mcpserver.Policy) { p.RedirectTo = "/login" }),
		Noticed: []string{"RS-CHALLENGE-NO-REDIRECT-TO-LOGIN", "RS-CHALLENGE-401-STATUS"},
		Also:    []string{"RS-SESSION-*", "RS-TOKEN-*", "RS-TRANSPORT-*"},
	},
	{
		Name: "parser-crash", Says: "Two dots in a token crash the parser.",
		Bend:    policy(func(p *mcpserver.Policy) { p.Crash = func(v string) bool { return strings.Count(v, ".") >= 2 } }),
		Noticed: []string{"RS-CHALLENGE-NO-5XX"}, Also: []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"},
	},
	{
		Name: "echo", Says: "The refusal shows the credential.",
		Bend: lacks(mcpserver.SilentRefusals), Noticed: []string{"RS-CHALLENGE-BODY-HYGIENE"},
	},
	{
		Name: "moody", Says: "Browsers are answered 403 by a bot rule.",
		Bend: lacks(mcpserver.SameForBrowsers), Noticed: []string{"RS-CHALLENGE-STABLE"},
	},
	{
		Name: "swallowed-parameters", Says: "The Bearer parameters are in the challenge of another scheme.",
		Bend: challenge(func(cause, url string) []string {
			e := ""
			if cause == "invalid" {
				e = `, error="invalid_token"`
			}
			return []string{`ApiKey realm="mcp", resource_metadata="` + url + `", Bearer scope="notes:read"` + e}
		}),
		Noticed: []string{"RS-CHALLENGE-MULTI-SCHEME"},
	},
	{
		Name: "calls-only", Says: "Only tools/call is guarded.",
		Bend: lacks(mcpserver.GuardEveryMethod), Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"},
		Also: []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-UNKNOWN-ID", "RS-CHALLENGE-EXISTING-TOOLS",
			"RS-TRANSPORT-VERSION-HEADER"},
	},
	{
		Name: "notifications-open", Says: "Notifications need no token.",
		Bend: lacks(mcpserver.GuardNotifications), Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"},
		Also: []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-CHALLENGE-EXISTING-TOOLS"},
	},
	{
		Name: "verbs-open", Says: "GET and DELETE are not guarded.",
		Bend: lacks(mcpserver.GuardVerbs), Noticed: []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"},
		Also: []string{"RS-SESSION-STREAM-NEEDS-TOKEN", "RS-TOKEN-QUERY-IGNORED", "RS-SESSION-UNKNOWN-ID"},
	},
	{
		Name: "slash-open", Says: "The endpoint with a trailing slash is not guarded.",
		Bend: lacks(mcpserver.GuardPathVariants), Noticed: []string{"RS-CHALLENGE-PATH-VARIANTS"},
	},
	{
		Name: "side-route", Says: "POST /tools/{name} runs tools without a token.",
		Bend: lacks(mcpserver.GuardSideRoutes), Noticed: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
}

var metadataFlaws = []Flaw{
	{
		Name: "metadata-signed-by-nobody", Says: "signed_metadata has alg none.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.SignedMetadata = func(d map[string]any) { d["signed_metadata"] = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0." }
		}),
		Noticed: []string{"AS-META-SIGNED-METADATA"},
	},
	{
		Name: "metadata-signed-before", Says: "signed_metadata contains other endpoints.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.SignedMetadata = func(d map[string]any) { d["revocation_endpoint"] = "https://other.example/revoke" }
		}),
		Noticed: []string{"AS-META-SIGNED-METADATA"}, Also: []string{"AS-META-*", "AS-REVOKE-*"},
	},
	{
		Name: "metadata-odd-resources", Says: "protected_resources is a text.",
		Bend: metadata(func(d map[string]any) { d["protected_resources"] = "mcp" }), Noticed: []string{"AS-META-PROTECTED-RESOURCES"},
		Also: []string{"AS-META-TYPES-NO-NULLS"},
	},
	{
		Name: "metadata-changes", Says: "After a few requests another instance answers, with another endpoint.",
		Bend: behaviour(func(b *idp.Behaviour) {
			var n atomic.Int32
			b.Metadata = func(_ string, d map[string]any) {
				if n.Add(1) > 3 {
					d["introspection_endpoint"] = "https://old.example/introspect"
				}
			}
		}),
		Noticed: []string{"AS-META-STABLE"}, Also: []string{"AS-META-*", "AS-INTROSPECT-*"},
	},
	{
		Name: "as-no-metadata", Says: "The authorization server publishes no metadata.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.Places = nil }),
		Noticed: []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "as-no-defaults", Says: "There is no metadata and no default token endpoint either.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.Places, b.Missing = nil, []string{"/token"} }),
		Noticed: []string{"AS-META-DEFAULT-PATHS"}, Also: []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "as-oidc-only", Says: "Only the OpenID document is served.",
		Bend: behaviour(func(b *idp.Behaviour) { b.Places = []string{"oidc-appended"} }), Noticed: []string{"AS-META-RFC8414-FORM"},
	},
	{
		Name: "as-appended", Says: "The suffix is appended to the issuer's path.",
		Bend: func(o *reference.Options) {
			o.IssuerPath, o.Behaviour.Places = "/mcp", []string{"rfc8414-appended"}
		},
		Noticed: []string{"AS-META-ORIGIN-ROOT", "AS-META-PATH-INSERTED", "AS-META-PUBLISHED"},
		Also:    []string{"AS-META-DEFAULT-PATHS", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "as-html-fallback", Says: "Unknown paths of the authorization server are answered 200 with HTML.",
		Bend: func(o *reference.Options) {
			o.Apart = true
			o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.NoFallback)
		},
		Noticed: []string{"AS-META-NO-CATCH-ALL"},
	},
	{
		Name: "as-no-issuer", Says: "The metadata of the authorization server names no issuer.",
		Bend:    metadata(func(d map[string]any) { delete(d, "issuer") }),
		Noticed: []string{"AS-META-REQUIRED-FIELDS", "RS-DISC-AS-RESOLVES"}, Also: []string{"AS-META-SIGNED-METADATA"},
	},
	{
		Name: "as-issuer-query", Says: "The issuer has a query.",
		Bend:    metadata(func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "?tenant=1" }),
		Noticed: []string{"AS-META-ISSUER-FORM", "AS-META-ISSUER-IDENTICAL"}, Also: []string{"RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "as-text", Says: "The metadata is sent as text/plain.",
		Bend: behaviour(func(b *idp.Behaviour) { b.ContentType = "text/plain" }), Noticed: []string{"AS-META-HTTP-SHAPE"},
	},
	{
		Name: "as-no-response-types", Says: "response_types_supported is missing.",
		Bend: metadata(func(d map[string]any) { delete(d, "response_types_supported") }), Noticed: []string{"AS-META-REQUIRED-FIELDS"},
	},
	{
		Name: "as-oidc-incomplete", Says: "The OpenID document lacks jwks_uri.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Metadata = func(place string, d map[string]any) {
				if place != "rfc8414" {
					delete(d, "jwks_uri")
				}
			}
		}),
		Noticed: []string{"AS-META-OIDC-REQUIRED-FIELDS"},
	},
	{
		Name: "as-null", Says: "A member is null.",
		Bend: metadata(func(d map[string]any) { d["service_documentation"] = nil }), Noticed: []string{"AS-META-TYPES-NO-NULLS"},
	},
	{
		Name: "as-string-list", Says: "A list is given as a string.",
		Bend: metadata(func(d map[string]any) { d["response_modes_supported"] = "query" }), Noticed: []string{"AS-META-TYPES-NO-NULLS"},
	},
	{
		Name: "as-no-pkce", Says: "The metadata does not advertise PKCE.",
		Bend:    metadata(func(d map[string]any) { delete(d, "code_challenge_methods_supported") }),
		Noticed: []string{"AS-META-S256-ADVERTISED"},
	},
	{
		Name: "as-plain", Says: "plain is advertised too.",
		Bend:    metadata(func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain", "S256"} }),
		Noticed: []string{"AS-META-NO-PLAIN"},
	},
	{
		Name: "as-http-endpoint", Says: "The token endpoint is http on a public host.",
		Bend:    metadata(func(d map[string]any) { d["token_endpoint"] = "http://192.0.2.1/token" }),
		Noticed: []string{"AS-META-ENDPOINTS-HTTPS"}, Also: []string{"AS-META-ENDPOINTS-EXIST", "AS-TOKEN-UNKNOWN-CLIENT"},
	},
	{
		Name: "as-fragment", Says: "The authorization endpoint has a fragment.",
		Bend:    metadata(func(d map[string]any) { d["authorization_endpoint"] = d["authorization_endpoint"].(string) + "#x" }),
		Noticed: []string{"AS-META-ENDPOINT-URL-FORM"},
	},
	{
		Name: "as-dangling", Says: "The registration endpoint does not exist.",
		Bend: behaviour(func(b *idp.Behaviour) { b.Missing = []string{"/register"} }), Noticed: []string{"AS-META-ENDPOINTS-EXIST"},
		Also: []string{"AS-DCR-SUPPORTED"},
	},
	dangling("authorization_endpoint", ""), dangling("pushed_authorization_request_endpoint", "AS-PAR-*"),
	dangling("device_authorization_endpoint", ""), dangling("backchannel_authentication_endpoint", ""),
	dangling("userinfo_endpoint", "AS-USERINFO-*"), dangling("end_session_endpoint", "AS-LOGIN-LOGOUT"), dangling("check_session_iframe", ""),
	{
		Name: "as-host-derived", Says: "The metadata follows X-Forwarded-Host.",
		Bend: lacks(idp.FixedHost), Noticed: []string{"AS-META-HOST-HEADER"},
	},
	{
		Name: "as-implicit-grant", Says: "The implicit grant is listed.",
		Bend: metadata(func(d map[string]any) {
			listed, _ := d["grant_types_supported"].([]string)
			d["grant_types_supported"] = append(slices.Clone(listed), "implicit")
		}),
		Noticed: []string{"AS-META-GRANT-TYPES-EXPLICIT"},
	},
	{
		Name: "as-implicit-response", Says: "A response type returns access tokens.",
		Bend:    metadata(func(d map[string]any) { d["response_types_supported"] = []string{"code", "token"} }),
		Noticed: []string{"AS-META-NO-IMPLICIT"},
	},
	{
		Name: "as-no-algs", Says: "private_key_jwt is offered without algorithms.",
		Bend: metadata(func(d map[string]any) {
			d["token_endpoint_auth_methods_supported"] = []string{"none", "private_key_jwt"}
			delete(d, "token_endpoint_auth_signing_alg_values_supported")
		}),
		Noticed: []string{"AS-META-SIGNING-ALGS"}, Also: []string{"AS-CC-METADATA"},
	},
	wrongType("request_parameter_supported", "true"), wrongType("claims_parameter_supported", []string{"true"}),
	wrongType("token_endpoint", true), wrongType("grant_types_supported", "authorization_code"),
	wrongType("acr_values_supported", []any{1}), wrongType("ui_locales_supported", []any{}),
	wrongType("request_object_signing_alg_values_supported", true), wrongType("mtls_endpoint_aliases", "none"),
	{
		Name: "as-moved", Says: "The RFC 8414 document is redirected within the origin.",
		Bend: behaviour(func(b *idp.Behaviour) { b.MovedDocuments = true }), Noticed: []string{"AS-META-NO-REDIRECT"},
		Also: []string{"AS-META-NO-CATCH-ALL"},
	},
	{
		Name: "as-page-first", Says: "Where clients look first, there is an HTML page.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Encode = func(place string, d map[string]any) string {
				if place == "rfc8414" {
					return "<!doctype html><title>App</title>"
				}
				body, _ := json.Marshal(d)
				return string(body)
			}
		}),
		Noticed: []string{"AS-META-HTTP-SHAPE"}, Also: []string{"AS-META-RFC8414-FORM", "AS-META-PATH-INSERTED", "AS-META-PUBLISHED"},
	},
	{
		Name: "as-forms-differ", Says: "The OpenID document names another token endpoint.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Metadata = func(place string, d map[string]any) {
				if place != "rfc8414" {
					d["token_endpoint"] = d["issuer"].(string) + "/old/token"
				}
			}
		}),
		Noticed: []string{"AS-META-FORMS-AGREE"},
	},
	{
		Name: "as-redirect", Says: "The metadata is redirected to another origin.",
		Bend: behaviour(func(b *idp.Behaviour) { b.Redirect = "https://login.example/" }), Noticed: []string{"AS-META-NO-REDIRECT"},
		Also: []string{"AS-META-PUBLISHED", "AS-META-RFC8414-FORM", "RS-DISC-AS-RESOLVES"},
	},
	{
		Name: "as-without-cors", Says: "Browser clients cannot read the metadata.",
		Bend: lacks(idp.CORS), Noticed: []string{"AS-META-CORS"}, Also: []string{"AS-REVOKE-CORS"},
	},
	{
		Name: "as-version-strict", Says: "Unknown protocol versions are refused on the metadata.",
		Bend: lacks(idp.AnyVersion), Noticed: []string{"AS-META-VERSION-HEADER"},
	},
	{
		Name: "as-empty-jwks", Says: "The key set is empty.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.JWKS = func(d map[string]any) { d["keys"] = []any{} } }),
		Noticed: []string{"AS-KEYS-JWKS-SHAPE"}, Also: []string{"AS-META-SIGNED-METADATA"},
	},
	{
		Name: "as-one-kid-twice", Says: "Two keys of one type share a key id.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.JWKS = func(d map[string]any) { d["keys"] = append(d["keys"].([]any), d["keys"].([]any)[0]) }
		}),
		Noticed: []string{"AS-KEYS-JWKS-SHAPE"},
	},
	{
		Name: "as-private-key", Says: "The key set holds a private key.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.JWKS = func(d map[string]any) {
				d["keys"].([]any)[1].(map[string]any)["d"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
			}
		}),
		Noticed: []string{"AS-KEYS-NO-PRIVATE"},
	},
	{
		Name: "as-short-key", Says: "An RSA key has 1024 bits.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.JWKS = func(d map[string]any) {
				k := d["keys"].([]any)[0].(map[string]any)
				k["n"] = k["n"].(string)[:170] + "E" // 1028 bits, odd
			}
		}),
		Noticed: []string{"AS-KEYS-STRENGTH"}, Also: []string{"AS-META-SIGNED-METADATA"},
	},
	{
		Name: "as-none-listed", Says: "none is listed for client authentication.",
		Bend: metadata(func(d map[string]any) {
			d["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256", "none"}
		}),
		Noticed: []string{"AS-KEYS-ALG-LISTS"}, Also: []string{"AS-META-SIGNING-ALGS"},
	},
	{
		Name: "as-closed", Says: "Registration is closed.",
		Bend: behaviour(func(b *idp.Behaviour) { b.Registration = "closed" }), Noticed: []string{"AS-DCR-SUPPORTED"},
	},
	{
		Name: "as-no-way", Says: "There is no way to get a client identifier.",
		Bend: metadata(func(d map[string]any) {
			delete(d, "registration_endpoint")
			delete(d, "client_id_metadata_document_supported")
		}),
		Noticed: []string{"AS-REG-SOME-WAY", "AS-DCR-SUPPORTED"}, Also: []string{"AS-CIMD-SUPPORTED"},
	},
	{
		Name: "as-crash", Says: "The token endpoint answers 500.",
		Bend: lacks(idp.AnswerAtToken), Noticed: []string{"AS-TOKEN-UNKNOWN-CLIENT"},
		Also: []string{"AS-META-ENDPOINTS-EXIST"},
	},
	{
		Name: "as-hidden-revocation", Says: "Revocation exists, but is not advertised.",
		Bend: metadata(func(d map[string]any) { delete(d, "revocation_endpoint") }), Noticed: []string{"AS-REVOKE-ADVERTISED"},
	},
	{
		Name: "as-omnibus", Says: "One scope gives every permission.",
		Bend: metadata(func(d map[string]any) {
			d["scopes_supported"] = []string{"notes:read", "notes:write", "*"}
		}),
		Noticed: []string{"AS-SCOPE-NO-OMNIBUS"},
	},
}

var tokens = []Flaw{
	{
		Name: "refuses-its-own", Says: "A valid token gets no tools/list.",
		Bend: lacks(mcpserver.ServeLists), Noticed: []string{"RS-TOKEN-VALID-ACCEPTED"},
		Also: []string{
			"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-TOKEN-RENEWAL",
			"RS-TRANSPORT-HEADER-MISMATCH",
		},
	},
	{
		Name: "scheme-case", Says: "The comparison of the scheme is case-sensitive.",
		Bend: lacks(mcpserver.SchemeAnyCase), Noticed: []string{"RS-TOKEN-SCHEME-CASE"},
	},
	{
		Name: "any-scheme", Says: "Any scheme is accepted, and none too.",
		Bend: lacks(mcpserver.OnlyBearer), Noticed: []string{"RS-TOKEN-WRONG-SCHEME"},
		Also: []string{"RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS"},
	},
	{
		Name: "query-token", Says: "A token in the query string is accepted.",
		Bend: lacks(mcpserver.NoQueryToken), Noticed: []string{"RS-TOKEN-QUERY-IGNORED"},
		Also: []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"},
	},
	{
		Name: "body-token", Says: "A token in the message is accepted.",
		Bend: lacks(mcpserver.NoBodyToken), Noticed: []string{"RS-TOKEN-BODY-IGNORED"},
	},
	{
		Name: "cookie-token", Says: "A token in a cookie is accepted.",
		Bend: lacks(mcpserver.NoCookieToken), Noticed: []string{"RS-TOKEN-COOKIE-IGNORED"},
		Also: []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"},
	},
	{
		Name: "two-credentials", Says: "Of two Authorization fields, one good one is enough.",
		Bend: lacks(mcpserver.OneCredential), Noticed: []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"},
		Also: []string{"RS-CHALLENGE-MALFORMED-400"},
	},
	{ // every check that sends a token to be refused sees it served
		Name: "any-token", Says: "Any bearer string is accepted.",
		Bend: lacks(mcpserver.VerifyTokens), Noticed: []string{"RS-TOKEN-GARBAGE"},
		Also: []string{"RS-CHALLENGE-*", "RS-SESSION-*", "RS-STATIC-*", "RS-TOKEN-*", "RS-TRANSPORT-*", "RS-EXT-*", "RS-AUD-*"},
	},
	{
		Name: "quoted-token", Says: "Quotes and punctuation around the token are dropped.",
		Bend: lacks(mcpserver.StrictSyntax), Noticed: []string{"RS-TOKEN-SYNTAX-BYTES"},
	},
	{
		Name: "token-written-into-a-form", Says: "The token is written into a form as it is, so that its end and its encoding change.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if token, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); is && len(r.Header["Authorization"]) == 1 {
					token, _, _ = strings.Cut(token, "&")
					if plain, err := url.PathUnescape(token); err == nil {
						r.Header.Set("Authorization", "Bearer "+plain)
					}
				}
				return false
			})
		},
		Noticed: []string{"RS-TOKEN-SYNTAX-BYTES"}, Row: "a parameter of a form after the token",
		Rows: []string{"a percent-encoded character in the token"},
		Also: []string{"RS-STATIC-TOKEN-NEAR-MISS", "RS-APIKEY-REJECTED", "RS-TOKEN-GARBAGE", "RS-MULTI-*"},
	},
	{
		Name: "long-token-crash", Says: "A long token crashes the server.",
		Bend:    policy(func(p *mcpserver.Policy) { p.Crash = func(v string) bool { return len(v) > 6000 } }),
		Noticed: []string{"RS-TOKEN-OVERSIZED"},
	},
	{
		Name: "alg-none", Says: "alg none is accepted in every spelling.",
		Bend: lacks(mcpserver.RefuseNone), Noticed: []string{"RS-TOKEN-ALG-NONE"}, Also: []string{"RS-TOKEN-FORMAT-CONFUSION"},
	},
	{
		Name: "key-confusion", Says: "The public key is accepted as HMAC secret.",
		Bend: lacks(mcpserver.RefuseSymmetric), Noticed: []string{"RS-TOKEN-KEY-CONFUSION"},
	},
	{
		Name: "key-confusion-ec", Says: "The public EC key is accepted as HMAC secret.",
		Bend: lacks(mcpserver.RefuseSymmetricEC), Noticed: []string{"RS-TOKEN-KEY-CONFUSION"},
	},
	{
		Name: "alg-missing", Says: "A token without an algorithm needs no signature.",
		Bend: lacks(mcpserver.RefuseNoAlgorithm), Noticed: []string{"RS-TOKEN-ALG-NONE"},
	},
	{
		Name: "embedded-rsa-key", Says: "An RSA key in the token's header is trusted.",
		Bend: lacks(mcpserver.RefuseEmbeddedRSA), Noticed: []string{"RS-TOKEN-EMBEDDED-JWK"},
	},
	{
		Name: "embedded-certificate", Says: "A certificate in the token's header is trusted.",
		Bend: lacks(mcpserver.RefuseCertificates), Noticed: []string{"RS-TOKEN-EMBEDDED-JWK"},
	},
	{
		Name: "kid-is-enough", Says: "A known key id is enough.",
		Bend: lacks(mcpserver.KidIsNoProof), Noticed: []string{"RS-TOKEN-FOREIGN-KEY"}, Also: []string{"RS-TOKEN-*"},
	},
	{
		Name: "kid-path", Says: "The key id is a path to the key.",
		Bend: lacks(mcpserver.RefuseKidPath), Noticed: []string{"RS-TOKEN-KID-INJECTION"},
	},
	{
		Name: "embedded-key", Says: "The key in the token's header is trusted.",
		Bend: lacks(mcpserver.RefuseEmbedded), Noticed: []string{"RS-TOKEN-EMBEDDED-JWK"},
	},
	{
		Name: "fetches-jku", Says: "jku and x5u are fetched.",
		Bend: lacks(mcpserver.FetchNoHeaderURLs), Noticed: []string{"RS-TOKEN-JKU-X5U"},
	},
	{
		Name: "no-signature", Says: "The signature is not verified.",
		Bend:    lacks(mcpserver.VerifySignature),
		Noticed: []string{"RS-TOKEN-FORMAT-CONFUSION", "RS-TOKEN-FOREIGN-KEY", "RS-TOKEN-ALG-NONE"},
		Also:    []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"},
	},
	{
		Name: "tutorial-secret", Says: "HS256 with a tutorial's secret is accepted.",
		Bend: lacks(mcpserver.RefuseWeakSecret), Noticed: []string{"RS-TOKEN-WEAK-SECRET"},
	},
	{
		Name: "sample-token", Says: "A token from the documentation works.",
		Bend:    policy(func(p *mcpserver.Policy) { p.SampleToken = "admin-token-123" }),
		Noticed: []string{"RS-STATIC-DEFAULT-CREDENTIALS"},
	},
	{
		Name: "public-and-open", Says: "A public server requires no token.",
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RequireToken)
		},
		Noticed: []string{"RS-STATIC-NOAUTH-EXPOSURE", "RS-CHALLENGE-401-STATUS"},
	},
	{
		Name: "open-with-metadata", Says: "The metadata names an authorization server, and the server requires no token.",
		Bend: lacks(mcpserver.RequireToken), Noticed: []string{"RS-CHALLENGE-401-STATUS"},
	},
	{
		Name: "open-without-metadata", Says: "The server requires no token, and nothing names an authorization server.",
		Bend: func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RequireToken)
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				published := strings.Contains(r.URL.Path, "/.well-known/")
				if published {
					http.NotFound(w, r)
				}
				return published
			})
		},
		Noticed: []string{"RS-CHALLENGE-401-STATUS"},
	},
	{
		Name: "open-in-strict-sessions", Says: "The server requires no token, in sessions that are bound and begin with a whole handshake.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks, p.AwaitsInitialized, p.BindsAnonymous = append(p.Lacks, mcpserver.RequireToken), true, true
		}),
		Noticed: []string{"RS-CHALLENGE-401-STATUS"},
	},
	{
		Name: "lists-open-in-strict-sessions", Says: "Handshake and lists are open, in sessions that are bound to their users.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Public = []string{"initialize", "server/discover", "ping", "notifications/initialized"}
			p.Lacks, p.AwaitsInitialized, p.BindsAnonymous = append(p.Lacks, mcpserver.GuardEveryMethod), true, true
		}),
		Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, Also: []string{"RS-SESSION-*", "RS-CHALLENGE-EXISTING-TOOLS"},
	},
	{
		Name: "lists-open-behind-handshake", Says: "Behind a handshake that is declared public, lists are open too.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Public = []string{"initialize", "server/discover", "ping", "notifications/initialized"}
			p.Lacks = append(p.Lacks, mcpserver.GuardEveryMethod)
		}),
		Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, Also: []string{"RS-SESSION-*", "RS-CHALLENGE-EXISTING-TOOLS"},
	},
	{
		Name: "handshake-open", Says: "The handshake needs no token, although it is not declared public.",
		Bend: lacks(mcpserver.GuardHandshake), Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, Also: []string{"RS-STATIC-NOAUTH-EXPOSURE"},
	},
}

var sessions = []Flaw{
	{
		Name: "session-is-credential", Says: "A session id is accepted instead of a token.",
		Bend:    lacks(mcpserver.SessionIsNoCredential),
		Noticed: []string{"RS-SESSION-NOT-AUTHENTICATION", "RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-HEADER-IGNORED"},
		Also:    []string{"RS-CHALLENGE-EXISTING-TOOLS", "RS-CHALLENGE-EVERY-*"},
	},
	{
		Name: "counted-sessions", Says: "Session ids are consecutive numbers.",
		Bend: func(o *reference.Options) {
			n := make(chan int, 1)
			n <- 0
			o.Policy.NewSessionID = func(*http.Request) string {
				i := <-n + 1
				n <- i
				return "session-" + strings.Repeat("0", 3-len(digits(i))) + digits(i)
			}
		},
		Noticed: []string{"RS-SESSION-ID-ENTROPY"},
	},
	{
		Name: "blank-in-session-id", Says: "Session ids contain a space.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.NewSessionID = func(*http.Request) string { return mcpserver.RandomID() + " " + mcpserver.RandomID() }
		}),
		Noticed: []string{"RS-SESSION-ID-CHARSET"},
	},
	{
		Name: "adopted-session", Says: "A session id chosen by the client is adopted.",
		Bend: lacks(mcpserver.OwnSessionIDs), Noticed: []string{"RS-SESSION-FIXATION"},
	},
	{
		Name: "session-on-refusal", Says: "Refusals set a session id.",
		Bend: lacks(mcpserver.NoSessionOnRefusal), Noticed: []string{"RS-SESSION-NOT-BEFORE-AUTH"},
	},
	{
		Name: "sessions-never-end", Says: "Unknown and ended sessions are served.",
		Bend: lacks(mcpserver.CheckSession), Noticed: []string{"RS-SESSION-UNKNOWN-ID"}, Also: []string{"RS-SESSION-FIXATION"},
	},
	{
		Name: "session-on-stateless", Says: "A session id has an effect in the protocol without sessions.",
		Bend: lacks(mcpserver.NoStatelessSessions), Noticed: []string{"RS-SESSION-HEADER-IGNORED"},
	},
}

var transport = []Flaw{
	{
		Name: "any-origin", Says: "Origin is not checked.",
		Bend: lacks(mcpserver.CheckOrigin), Noticed: []string{"RS-TRANSPORT-ORIGIN-INVALID", "RS-TRANSPORT-ORIGIN-EVERY-METHOD"},
		Also: []string{"RS-TRANSPORT-ERA-PARITY"},
	},
	{
		Name: "own-origin-refused", Says: "The server's own origin is refused.",
		Bend: lacks(mcpserver.AllowOwnOrigin), Noticed: []string{"RS-TRANSPORT-ORIGIN-ALLOWED"},
	},
	{
		Name: "origin-on-post-only", Says: "Origin is checked on POST only.",
		Bend: lacks(mcpserver.OriginEveryVerb), Noticed: []string{"RS-TRANSPORT-ORIGIN-EVERY-METHOD"},
	},
	{
		Name: "any-host", Says: "Host is not checked.",
		Bend: lacks(mcpserver.CheckHost), Noticed: []string{"RS-TRANSPORT-HOST-REBINDING"},
	},
	{
		Name: "preflight-guarded", Says: "The preflight needs a token.",
		Bend: lacks(mcpserver.OpenPreflight), Noticed: []string{"RS-TRANSPORT-CORS-PREFLIGHT"},
	},
	{
		Name: "challenge-hidden", Says: "Browser code cannot see the challenge.",
		Bend: lacks(mcpserver.ExposeChallenge), Noticed: []string{"RS-TRANSPORT-CORS-EXPOSE"},
	},
	{
		Name: "reflected-origin", Says: "Every origin is reflected, with credentials.",
		Bend: lacks(mcpserver.NoReflectedOrigin), Noticed: []string{"RS-TRANSPORT-CORS-CREDENTIALS"},
		Also: []string{"RS-TRANSPORT-CORS-EXPOSE", "RS-TRANSPORT-ORIGIN-EVERY-METHOD", "RS-TRANSPORT-ORIGIN-INVALID"},
	},
	{
		Name: "slash-redirect", Says: "The published URL redirects.",
		Bend: policy(func(p *mcpserver.Policy) { p.RedirectEndpoint = 307 }), Noticed: []string{"RS-TRANSPORT-NO-REDIRECT"},
		Also: []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-REDIRECT-TO-LOGIN"},
	},
	{
		Name: "shared-cache", Says: "Authorized answers are marked public.",
		Bend: policy(func(p *mcpserver.Policy) { p.CacheControl = "public, max-age=60" }), Noticed: []string{"RS-TRANSPORT-CACHE"},
	},
	{
		Name: "cookie-credential", Says: "A cookie alone authenticates a request.",
		Bend: lacks(mcpserver.NoCookieCredential), Noticed: []string{"RS-TRANSPORT-COOKIES"},
	},
	bareCookie("no-httponly", "HttpOnly is missing", "SameSite=Lax; Secure"),
	bareCookie("no-samesite", "SameSite is missing", "HttpOnly; Secure"),
	bareCookie("no-secure", "Secure is missing", "HttpOnly; SameSite=Strict"),
	{
		Name: "old-version-open", Says: "A request of an old protocol version needs no token.",
		Bend: lacks(mcpserver.GuardAnyVersion), Noticed: []string{"RS-TRANSPORT-VERSION-HEADER"},
	},
	{
		Name: "any-version", Says: "Unsupported protocol versions are served.",
		Bend: lacks(mcpserver.CheckVersion), Noticed: []string{"RS-TRANSPORT-VERSION-HEADER"},
	},
	{
		Name: "stateless-open", Says: "The protocol without sessions needs no token.",
		Bend: lacks(mcpserver.GuardStateless), Noticed: []string{"RS-TRANSPORT-ERA-PARITY"},
	},
	{
		Name: "headers-ignored", Says: "Headers may contradict the message.",
		Bend: lacks(mcpserver.CheckHeaders), Noticed: []string{"RS-TRANSPORT-HEADER-MISMATCH"},
		Also: []string{"RS-TRANSPORT-VERSION-HEADER"},
	},
	{ // chance decides which request uses an authorized connection
		Name: "connection-identity", Says: "A connection stays authorized after its first authorized request.",
		Bend: lacks(mcpserver.TokenPerRequest), Noticed: []string{"RS-TRANSPORT-CONNECTION-IDENTITY"},
		Also: []string{"RS-CHALLENGE-*", "RS-SESSION-*", "RS-STATIC-*", "RS-TOKEN-*", "RS-TRANSPORT-*"},
	},
	{
		Name: "plain-http", Says: "The endpoint is served over plain HTTP too.",
		Bend: func(o *reference.Options) { o.Host, o.PlainToo = Public, true }, Noticed: []string{"RS-TLS-ENFORCED"},
		Also: []string{"AS-TLS-ENFORCED"},
	},
	{
		Name: "as-plain-http", Says: "The authorization server answers over plain HTTP too.",
		Bend: func(o *reference.Options) { o.Host, o.PlainToo = Public, true }, Noticed: []string{"AS-TLS-ENFORCED"},
		Also: []string{"RS-TLS-ENFORCED"},
	},
	{
		Name: "plain-at-tls-port", Says: "The port that speaks TLS answers plain HTTP too.", Row: "the port of TLS",
		Bend: func(o *reference.Options) { o.Host, o.PlainAtTLS = Public, true }, Noticed: []string{"RS-TLS-ENFORCED", "AS-TLS-ENFORCED"},
	},
	{
		Name: "old-tls", Says: "TLS 1.1 is still offered.",
		Bend: func(o *reference.Options) { o.Host, o.OldTLS = Public, true }, Noticed: []string{"RS-TLS-MODERN", "AS-TLS-MODERN"},
	},
	{
		Name: "as-no-hsts", Says: "The pages of the authorization server lack Strict-Transport-Security.",
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.HSTS)
		},
		Noticed: []string{"AS-TLS-HSTS"},
	},
	{
		Name: "no-hsts", Says: "There is no Strict-Transport-Security.",
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.HSTS)
		},
		Noticed: []string{"RS-TLS-HSTS"},
	},
	{
		Name: "hsts-short", Says: "Strict-Transport-Security is for an hour.", Row: `"max-age=3600"`,
		Bend: func(o *reference.Options) {
			o.Host = Public
			o.Wrap = heading(func(h http.Header) { h.Set("Strict-Transport-Security", "max-age=3600") })
		},
		Noticed: []string{"RS-TLS-HSTS", "AS-TLS-HSTS"},
	},
}

func digits(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return digits(n/10) + string(rune('0'+n%10))
}
