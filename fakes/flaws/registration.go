package flaws

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

var registrations = []Flaw{
	one("dcr-200", idp.RegisterCreated, "AS-DCR-SUCCESS-SHAPE"),
	one("dcr-silent", idp.EchoMetadata, "AS-DCR-ECHO-METADATA", "AS-DCR-DEFAULTS"),
	one("dcr-nulls", idp.NoNulls, "AS-DCR-NO-NULLS"),
	one("dcr-secret-for-public", idp.NoSecretForPublic, "AS-DCR-PUBLIC-NO-SECRET"),
	one("dcr-secret-without-expiry", idp.SecretExpiry, "AS-DCR-SECRET-EXPIRY"),
	one("dcr-secret-does-not-work", idp.WorkingSecret, "AS-DCR-SECRET-WORKS",
		"AS-DCR-NO-PRIVILEGED-GRANTS", "AS-META-AUTH-METHODS-TRUE", "AS-REFRESH-BOUND-CLIENT", "AS-TOKEN-CODE-BOUND-CLIENT",
		"AS-TOKEN-SECRET-BASIC", "AS-TOKEN-SECRET-POST"),
	one("dcr-no-defaults", idp.RegistrationDefaults, "AS-DCR-DEFAULTS"),
	one("dcr-strict-schema", idp.IgnoreUnknownMetadata, "AS-DCR-UNKNOWN-IGNORED"),
	one("dcr-no-application-type", idp.AnyApplicationType, "AS-DCR-APPLICATION-TYPE"),
	one("dcr-javascript", idp.SafeSchemes, "AS-DCR-REJECT-DANGEROUS-SCHEME"),
	one("dcr-plain-http", idp.NoPlainHTTP, "AS-DCR-REJECT-PLAIN-HTTP", "AS-DCR-REJECT-LOOPBACK-LOOKALIKE"),
	one("dcr-lookalike", idp.ExactLoopback, "AS-DCR-REJECT-LOOPBACK-LOOKALIKE", "AS-DCR-REJECT-NON-ABSOLUTE"),
	one("dcr-fragment", idp.NoFragments, "AS-DCR-REJECT-FRAGMENT"),
	one("dcr-scheme-relative", idp.AbsoluteRedirects, "AS-DCR-REJECT-NON-ABSOLUTE"),
	one("dcr-patterns", idp.NoWildcards, "AS-DCR-WILDCARD"),
	one("dcr-any-scheme", idp.PrivateSchemes, "AS-DCR-PRIVATE-SCHEME"),
	one("dcr-no-redirects", idp.RequireRedirects, "AS-DCR-REDIRECTS-REQUIRED", "AS-DCR-MALFORMED-BODY"),
	one("dcr-framework-errors", idp.RegistrationErrors, "AS-DCR-ERROR-SHAPE", "AS-DCR-REJECT-*",
		"AS-DCR-REDIRECTS-REQUIRED", "AS-DCR-WILDCARD"),
	one("dcr-null-crashes", idp.SurviveOddBodies, "AS-DCR-MALFORMED-BODY"),
	one("dcr-implicit", idp.ConsistentTypes, "AS-DCR-CONSISTENT-TYPES", "AS-DCR-ERROR-SHAPE"),
	{
		Name: "dcr-machines", Says: "Who registers for client_credentials alone gets that grant.", Row: "client_credentials alone",
		Noticed: []string{"AS-DCR-NO-PRIVILEGED-GRANTS"}, Also: []string{"AS-DCR-CONSISTENT-TYPES"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersTypes = func(grants, _ []string) bool { return len(grants) == 1 && grants[0] == "client_credentials" }
		}),
	},
	one("dcr-client-credentials", idp.NoPrivilegedGrants, "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-DCR-CONSISTENT-TYPES"),
	one("dcr-scope-forgotten", idp.RegisteredScope, "AS-DCR-SCOPE-LIMITS"),
	one("dcr-chosen-id", idp.OwnIDs, "AS-DCR-NO-CLIENT-CHOSEN-IDS"),
	one("dcr-secret-counts", idp.RandomSecrets, "AS-DCR-IDS-UNIQUE-RANDOM"),
	one("dcr-stored", idp.RegisterNoStore, "AS-DCR-NO-STORE"),
	one("dcr-client-list", idp.NoClientList, "AS-DCR-METHODS"),
	one("dcr-forgotten", idp.ClientsKept, "AS-DCR-CLIENT-USABLE",
		"AS-AUTHZ-GET", "AS-AUTHZ-LOOPBACK-PORT", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-DCR-SECRET-WORKS", "AS-REVOKE-UNKNOWN-200",
		"AS-TOKEN-GRANT-TYPE-ERRORS"),
	one("dcr-localhost-only", idp.LoopbackRegistered, "AS-DCR-LOOPBACK-ACCEPTED", "AS-DCR-SUPPORTED", "AS-TOKEN-CODE-BOUND-REDIRECT"),
	one("dcr-believes-statements", idp.NoUnsignedStatements, "AS-DCR-SOFTWARE-STATEMENT"),
	// Every registration changes the client that all other checks use.
	// Each registration changes the client of every other check, so which of them notice depends on the order.
	alsoNoticed(one("dcr-one-client-for-all", idp.DistinctClients, "AS-DCR-NO-SHARED-UPSTREAM", "AS-DCR-*", "AS-TOKEN-*", "AS-REFRESH-*",
		"AS-CONSENT-*"), "AS-DCR-IDS-UNIQUE-RANDOM"),
	one("dcrm-any-token", idp.ManagementToken, "AS-DCRM-TOKEN-REQUIRED"),
	one("dcrm-update-unchecked", idp.RevalidateUpdates, "AS-DCRM-UPDATE-REVALIDATES"),
	one("dcrm-delete-does-nothing", idp.DeleteClients, "AS-DCRM-DELETE"),
}

var registrationNeeds = []Flaw{
	{
		Name: "dcr-needs-response-types", Says: "A registration without response_types is refused.", Row: "redirect_uris alone",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistrationNeeds = []string{"response_types"} }),
		Noticed: []string{"AS-DCR-DEFAULTS"}, Also: []string{"AS-DCR-*"},
	},
	{
		Name: "dcr-needs-auth-method", Says: "A registration without token_endpoint_auth_method is refused.",
		Row:     "grant_types authorization_code alone",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistrationNeeds = []string{"token_endpoint_auth_method"} }),
		Noticed: []string{"AS-DCR-DEFAULTS"}, Also: []string{"AS-DCR-*"},
	},
	refusesLoopback("portless", "127.0.0.1 without a port", "http://127.0.0.1/callback"),
	refusesLoopback("ipv4", "127.0.0.1", "http://127.0.0.1:53111/callback"),
	refusesLoopback("localhost", "localhost", "http://localhost:53111/callback"),
	refusesLoopback("ipv6", "[::1]", "http://[::1]:53111/callback"),
	{
		Name: "dcr-needs-application-type", Says: "Loopback redirect URIs need application_type native, and nothing says so.",
		Row:     "without application_type",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistrationNeeds = []string{"application_type"} }),
		Noticed: []string{"AS-DCR-LOOPBACK-ACCEPTED"},
	},
	{
		Name: "dcr-confirms-any-grant", Says: "A grant type that does not exist is confirmed.", Row: "a grant type that does not exist",
		Bend:    behaviour(func(b *idp.Behaviour) { b.ConfirmsGrant = func(string) bool { return true } }),
		Noticed: []string{"AS-DCR-CONSISTENT-TYPES"}, Also: []string{"AS-DCR-*"},
	},
}

// despiteTheForm grants what the user has deselected.
var despiteTheForm = Flaw{
	Name: "scope-despite-the-form", Says: "The token has the scopes of the request, whatever the consent form says.",
	Bend:    atEndpoint("/consent", func(form url.Values, _ *http.Request) { form.Del("scope") }),
	Noticed: []string{"AS-SCOPE-CONSENT-HONOURED"},
}

var grants = []Flaw{
	one("scope-copied", idp.KnownScopes, "AS-SCOPE-UNKNOWN"),
	one("scope-lower-cased", idp.ScopeCase, "AS-SCOPE-SYNTAX"),
	one("scope-at-token", idp.NoScopeAtToken, "AS-SCOPE-ESCALATION-AT-TOKEN"),
	one("scope-extra", idp.RequestedScopesOnly, "AS-SCOPE-GRANTED-SUBSET", "AS-SCOPE-CONSENT-HONOURED", "AS-SCOPE-ESCALATION-AT-TOKEN",
		"AS-TX-VALIDATION"),
	despiteTheForm,
	one("scope-default-all", idp.NamedDefaultScope, "AS-SCOPE-DEFAULT"),
	{
		Name: "scope-unobtainable", Says: "The resource publishes a scope that the authorization server does not know.",
		Bend:    prm(func(d map[string]any) { d["scopes_supported"] = []string{"notes:read", "notes:write", "notes:share"} }),
		Noticed: []string{"AS-SCOPE-ADVERTISED-OBTAINABLE", "AS-META-SCOPES-COHERENT"},
	},
	one("scope-no-step-up", idp.StepUp, "AS-SCOPE-STEP-UP"),
	one("resource-parameter-refused", idp.KnowResource, "AS-RES-ACCEPTED", "AS-AUTHZ-EMPTY-PARAMS", "AS-RES-CANONICAL-VARIANTS",
		"AS-TX-VALIDATION"),
	one("audience-fixed", idp.BindAudience, "AS-RES-AUDIENCE-BOUND", "AS-RES-UNKNOWN-TARGET", "AS-EMA-VALID-ACCEPTED",
		"AS-INTROSPECT-ACTIVE-SHAPE"),
	one("audience-copied", idp.KnownResources, "AS-RES-UNKNOWN-TARGET", "AS-RES-MULTIPLE"),
	one("resource-with-fragment", idp.ResourceForm, "AS-RES-MALFORMED"),
	one("resource-switched", idp.CodeResources, "AS-RES-SWITCH-AT-TOKEN"),
	one("resource-switched-at-refresh", idp.RefreshResources, "AS-REFRESH-RESOURCE"),
	rowOf(one("resource-switched-at-second-refresh", idp.LaterRefreshResources, "AS-REFRESH-RESOURCE"),
		"another resource at a second refresh"),
	rowOf(one("resource-of-the-server-at-refresh", idp.OwnResourceAtRefresh, "AS-REFRESH-RESOURCE"), "a grant for the other resource"),
	rowOf(one("resources-not-narrowed-at-refresh", idp.NarrowedRefresh, "AS-RES-MULTIPLE"), "a refresh for the one of two granted"),
	one("resource-last-checked", idp.EveryResource, "AS-RES-MULTIPLE"),
	one("resource-first-checked", idp.LaterResources, "AS-RES-MULTIPLE"),
	one("resource-for-all", idp.OneDefaultResource, "AS-TOKEN-AUD-NOT-UNIVERSAL"),
	{
		Name: "audience-of-any-sibling", Says: "The MCP server accepts a token for any resource of its authorization server.",
		Bend: lacks(mcpserver.CheckAudience), Noticed: []string{"RS-AUD-CROSS-RESOURCE"},
		Also: []string{
			"RS-AUD-*", "RS-TOKEN-DUPLICATE-MEMBERS", "AS-RES-*", "AS-REFRESH-RESOURCE", "AS-TOKEN-AUD-NOT-UNIVERSAL",
			"RS-TOKEN-ID-TOKEN", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-HMAC-MODE",
		},
	},
	{
		Name: "one-document-for-all", Says: "The metadata of a second endpoint names the first.",
		Bend: func(o *reference.Options) { o.OneDocument = true }, Noticed: []string{"RS-DISC-MULTI-RESOURCE"},
	},
	one("resource-prefix", idp.WholeResource, "AS-RES-CANONICAL-VARIANTS", "AS-RES-MALFORMED"),
	one("token-unpublished-key", idp.SignedTokens, "AS-KEYS-JWT-SIGNATURE"),
	one("token-weak-secret", idp.StrongKeys, "AS-KEYS-NO-WEAK-HMAC", "AS-KEYS-JWT-SIGNATURE", "RS-TOKEN-WEAK-SECRET"),
	{
		Name: "id-token-for-the-server", Says: "The ID token names the MCP server as audience, and is accepted as access token.",
		Bend: lacks(idp.RightIDToken), Noticed: []string{"AS-KEYS-ID-TOKEN", "RS-TOKEN-ID-TOKEN"},
	},
	{
		Name: "metadata-lists-grant", Says: "A grant is listed, but the token endpoint does not know it.",
		Bend: metadata(func(d map[string]any) {
			listed, _ := d["grant_types_supported"].([]string)
			d["grant_types_supported"] = append(slices.Clone(listed), "urn:ietf:params:oauth:grant-type:uma-ticket")
		}),
		Noticed: []string{"AS-META-GRANTS-MATCH-BEHAVIOUR"},
	},
	{
		Name: "metadata-without-none", Says: "Public clients are registered, but none is not listed.",
		Bend: metadata(func(d map[string]any) {
			d["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
		}),
		Noticed: []string{"AS-META-AUTH-METHODS-LISTED"},
	},
	{
		Name: "metadata-lists-post", Says: "client_secret_post is listed, but does not work.",
		Bend: lacks(idp.SecretByPost), Noticed: []string{"AS-META-AUTH-METHODS-TRUE"},
		Also: []string{"AS-TOKEN-SECRET-POST", "AS-REVOKE-CLIENT-AUTH"},
	},
	{
		Name: "prm-names-another-resource", Says: "The verifier wants a slash at the end of the audience, and the metadata has none.",
		Bend: wantingSlash, Noticed: []string{"RS-AUD-MATCHES-PRM"}, Also: []string{"RS-SCOPE-DOWNSCOPED-OK", "RS-SCOPE-EVERY-TOOL"},
	},
	{
		Name: "audience-refused-in-words", Says: "A token for the published resource is refused, and the challenge says why.",
		Bend: func(o *reference.Options) { o.Wrap = before(refusesAudience) }, Noticed: []string{"RS-AUD-MATCHES-PRM"},
		Also: []string{"RS-SCOPE-DOWNSCOPED-OK", "RS-SCOPE-EVERY-TOOL"},
	},
}

// wantingSlash has an authorization server that knows the resource with a slash at its end as well, and an MCP server that knows no other.
func wantingSlash(o *reference.Options) {
	o.Behaviour.TakesResource = func(own, sent string) (string, bool) { return sent, sent == own+"/" }
	slashed := func(c map[string]any) bool {
		aud, _ := c["aud"].(string)
		return strings.HasSuffix(aud, "/")
	}
	o.Policy.Accepts = slashed
	o.Policy.Overlooks = func(_ *http.Request, part string, c map[string]any) bool {
		return part == mcpserver.Audience && slashed(c)
	}
}

func refusesAudience(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(claimOf(r.Header.Get("Authorization"), "aud"), "/mcp") {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="http://`+r.Host+`/.well-known/oauth-protected-resource/mcp", `+
		`error="invalid_token", error_description="Audience mismatch"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

var clientDocuments = []Flaw{
	{
		Name: "cimd-missing", Says: "Client ID metadata documents are not supported.",
		Bend:    metadata(func(d map[string]any) { delete(d, "client_id_metadata_document_supported") }),
		Noticed: []string{"AS-CIMD-SUPPORTED", "AS-CIMD-FLAG-TRUTHFUL"},
	},
	{
		Name: "cimd-flag-text", Says: "Support is claimed by a string.",
		Bend:    metadata(func(d map[string]any) { d["client_id_metadata_document_supported"] = "true" }),
		Noticed: []string{"AS-CIMD-FLAG-TRUTHFUL"}, Row: `: "true"`, Also: []string{"AS-CIMD-SUPPORTED", "AS-META-TYPES-NO-NULLS"},
	},
	{
		Name: "cimd-claimed-only", Says: "Support is claimed, but every document is refused.",
		Bend: lacks(idp.DocumentsAtAll), Noticed: []string{"AS-CIMD-FLAG-TRUTHFUL"},
	},
	one("cimd-other-identity", idp.DocumentIdentity, "AS-CIMD-REJECT-ID-MISMATCH", "AS-CIMD-NO-REDIRECT-FOLLOW"),
	one("cimd-without-redirects", idp.DocumentContent, "AS-CIMD-REJECT-INVALID-DOC"),
	{
		Name: "cimd-any-redirect", Says: "The redirect URI is compared by its beginning.",
		Bend: lacks(idp.MatchWholeRedirect), Noticed: []string{"AS-CIMD-REDIRECT-LISTED"},
		Also: []string{"AS-AUTHZ-LOOPBACK-STRICT", "AS-AUTHZ-REDIRECT-EXACT"},
	},
	one("cimd-any-url", idp.DocumentURLs, "AS-CIMD-REJECT-BAD-URL"),
	one("cimd-secret-in-document", idp.DocumentSecrets, "AS-CIMD-REJECT-SHARED-SECRET"),
	publishedSecret("client_secret_basic", "client_secret_basic"),
	publishedSecret("client_secret_post", "client_secret_post"),
	publishedSecret("client_secret_jwt", "client_secret_jwt"),
	publishedSecret("none", "client_secret with the method none"),
	{
		Name: "cimd-secret-ignored", Says: "Documents with a secret are accepted, and their clients are public.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.IgnoresPublishedSecrets = true }),
		Noticed: []string{"AS-CIMD-REJECT-SHARED-SECRET"}, Row: "the document is accepted",
	},
	alsoNoticed(one("cimd-failure-ignored", idp.DocumentFailures, "AS-CIMD-FETCH-FAILURE", "AS-CIMD-NO-REDIRECT-FOLLOW",
		"AS-CIMD-REJECT-ID-MISMATCH", "AS-CIMD-REJECT-SHARED-SECRET", "AS-CIMD-SIZE-AND-TIME",
		"AS-CIMD-SSRF-REBIND"), "AS-CIMD-REJECT-INVALID-DOC"),
	one("cimd-failure-remembered", idp.DocumentRetries, "AS-CIMD-CACHE"),
	rememberedFailure("500", "an error: 500", "status 500"),
	rememberedFailure("404", "an error: 404", "status 404"),
	rememberedFailure("json", "broken JSON", "not a JSON object"),
	rowOf(one("cimd-never-fetched-again", idp.DocumentFreshness, "AS-CIMD-CACHE"), "a document that must not be stored"),
	one("cimd-redirect-followed", idp.DocumentRedirects, "AS-CIMD-NO-REDIRECT-FOLLOW"),
	followed("301", 301, ""),
	followed("302", 302, ""),
	followed("303", 303, ""),
	followed("307", 307, ""),
	followed("308", 308, ""),
	followed("302 to http", 302, "http://"),
	followed("302 to 0.0.0.0", 302, "https://0.0.0.0:"),
	rowOf(one("cimd-any-size", idp.DocumentSize, "AS-CIMD-SIZE-AND-TIME"), "16 MiB"),
	{
		Name: "cimd-any-size-compressed", Says: "The size of a document is limited before it is decompressed only.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.LimitsOnTheWire = true }),
		Noticed: []string{"AS-CIMD-SIZE-AND-TIME"}, Row: "16 MiB, compressed",
	},
	rowOf(one("cimd-any-time", idp.DocumentTime, "AS-CIMD-SIZE-AND-TIME"), "20 seconds"),
	dialled("0.0.0.0", func(host string) bool { return host == "0.0.0.0" }),
	dialled("[::]", func(host string) bool { return host == "::" }),
	dialled("a private address of the machine", func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.IsPrivate()
	}),
	{
		Name: "cimd-private-addresses", Says: "A server on the internet fetches documents from its own machine.",
		Bend: func(o *reference.Options) {
			o.Host = Public
			lacks(idp.DocumentAddresses)(o)
		},
		Noticed: []string{"AS-CIMD-SSRF-PRIVATE"},
	},
	rowOf(one("cimd-host-hidden", idp.DocumentHosts, "AS-CIMD-CONSENT-HOSTS"), "the document"),
	rowOf(one("cimd-redirect-hidden", idp.ConsentNamesRedirect, "AS-CIMD-CONSENT-HOSTS", "AS-CONSENT-CONTENT"), "a web client"),
	otherHost("first", "the second of two redirect URIs", func(registered []string, _ string) string { return registered[0] }),
	otherHost("loopback", "a client on loopback", func(_ []string, requested string) string {
		if strings.HasPrefix(requested, "http://") {
			return "your application"
		}
		return requested
	}),
	documentLink("client_uri"), documentLink("tos_uri"), documentLink("policy_uri"), documentLink("logo_uri"),
	one("cimd-no-warning", idp.LocalhostWarning, "AS-CIMD-LOCALHOST-WARNING"),
	{
		Name: "cimd-markup", Says: "The consent page shows a document's values unescaped.",
		Bend: lacks(idp.EscapePages), Noticed: []string{"AS-CIMD-UNSAFE-URIS"}, Row: "client_name with markup",
		Also: []string{"AS-AUTHZ-REFLECTED-XSS", "AS-CONSENT-XSS"},
	},
}

// publishedSecret accepts the secret in a document as the client's authentication, for one method.
func publishedSecret(method, row string) Flaw {
	return Flaw{
		Name: "cimd-secret-" + method, Says: "A secret in a document authenticates its client: " + row + ".",
		Bend:    behaviour(func(b *idp.Behaviour) { b.PublishedSecret = method }),
		Noticed: []string{"AS-CIMD-REJECT-SHARED-SECRET"}, Row: row,
	}
}

// rememberedFailure remembers one kind of failure to fetch a document.
func rememberedFailure(name, row, reason string) Flaw {
	return Flaw{
		Name: "cimd-remembers-" + name, Says: "The failure of a document is cached: " + row + ".",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RemembersFailure = func(why string) bool { return strings.Contains(why, reason) }
		}),
		Noticed: []string{"AS-CIMD-CACHE"}, Row: row,
	}
}

// followed follows one kind of redirect.
func followed(row string, status int, prefix string) Flaw {
	return Flaw{
		Name: "cimd-follows-" + strings.ReplaceAll(row, " ", "-"), Says: "A redirect to a document is followed: " + row + ".",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.FollowsRedirect = func(got int, to *url.URL) bool { return got == status && strings.HasPrefix(to.String(), prefix) }
			b.DialsAnyway = func(host string) bool { return prefix != "" && host == "0.0.0.0" }
		}),
		Noticed: []string{"AS-CIMD-NO-REDIRECT-FOLLOW"}, Row: row, Also: []string{"AS-CIMD-SSRF-PRIVATE"},
	}
}

// dialled fetches documents from one kind of special-use address.
func dialled(row string, is func(host string) bool) Flaw {
	return Flaw{
		Name: "cimd-dials-" + strings.ReplaceAll(row, " ", "-"), Says: "A document is fetched from a special-use address: " + row + ".",
		Bend:    behaviour(func(b *idp.Behaviour) { b.DialsAnyway = is }),
		Noticed: []string{"AS-CIMD-SSRF-PRIVATE"}, Row: row,
	}
}

// otherHost makes the consent page show another host than that of the redirect URI.
func otherHost(name, row string, shown func(registered []string, requested string) string) Flaw {
	return Flaw{
		Name: "cimd-shows-" + name, Says: "The consent page does not show where the answer goes: " + row + ".",
		Bend:    behaviour(func(b *idp.Behaviour) { b.ShowsOtherHost = shown }),
		Noticed: []string{"AS-CIMD-CONSENT-HOSTS"}, Row: row, Also: []string{"AS-CONSENT-CONTENT"},
	}
}

// documentLink shows an address from a document without escaping.
func documentLink(member string) Flaw {
	return Flaw{
		Name: "cimd-links-" + member, Says: "The consent page links " + member + " of a document as it is.", Row: member,
		Bend:    behaviour(func(b *idp.Behaviour) { b.ShowsRaw = []string{member} }),
		Noticed: []string{"AS-CIMD-UNSAFE-URIS"}, Also: []string{"AS-CONSENT-XSS"},
	}
}

// refusesLoopback refuses to register one loopback redirect URI.
func refusesLoopback(name, row, uri string) Flaw {
	return Flaw{
		Name: "dcr-refuses-" + name, Says: "The redirect URI " + uri + " cannot be registered.", Row: row,
		Noticed: []string{"AS-DCR-LOOPBACK-ACCEPTED"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				refused := r.URL.Path == "/register" && strings.Contains(string(answer.Peek(r)), `"`+uri+`"`)
				if refused {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusBadRequest)
					_, _ = w.Write([]byte(`{"error":"invalid_redirect_uri"}`))
				}
				return refused
			})
		},
	}
}
