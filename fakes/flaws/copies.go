package flaws

import (
	"encoding/base64"
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

// copies are servers of which one copy of a document, or one instance, says something else.
var copies = []Flaw{
	{
		Name: "old-instance", Says: "Of two instances, one still names the old authorization server.", Row: "fetch",
		Noticed: []string{"RS-DISC-LOCATIONS-AGREE"}, Also: []string{"*"},
		Bend: func(o *reference.Options) {
			var answers atomic.Int32
			o.Policy.PRM = func(place string, doc map[string]any) {
				if place == "path" && answers.Add(1)%3 == 0 {
					doc["authorization_servers"] = []string{"https://old.example.com"}
				}
			}
		},
	},
	{
		Name: "metadata-signed-long-ago", Says: "signed_metadata has expired.", Noticed: []string{"RS-DISC-SIGNED-METADATA"},
		Bend: prm(func(doc map[string]any) {
			doc["signed_metadata"] = signedBySomebody(map[string]any{"iss": "https://attest.example", "resource": doc["resource"],
				"exp": 1_700_000_000})
		}),
	},
	{
		Name: "metadata-signed-otherwise", Says: "signed_metadata has other scopes.", Noticed: []string{"RS-DISC-SIGNED-METADATA"},
		Bend: prm(func(doc map[string]any) {
			doc["signed_metadata"] = signedBySomebody(map[string]any{"iss": "https://attest.example", "resource": doc["resource"],
				"scopes_supported": []string{"admin"}})
		}),
	},
	{
		Name: "as-metadata-signed-long-ago", Says: "signed_metadata of the authorization server has expired.",
		Noticed: []string{"AS-META-SIGNED-METADATA"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.SignedMetadata = func(doc map[string]any) {
				doc["signed_metadata"] = signedBySomebody(map[string]any{"iss": "https://attest.example", "exp": 1_700_000_000})
			}
		}),
	},
	{
		Name: "as-metadata-signed-otherwise", Says: "signed_metadata of the authorization server has another PKCE method.",
		Noticed: []string{"AS-META-SIGNED-METADATA"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.SignedMetadata = func(doc map[string]any) {
				doc["signed_metadata"] = signedBySomebody(map[string]any{"iss": "https://attest.example",
					"code_challenge_methods_supported": []string{"plain"}})
			}
		}),
	},
	{
		Name: "as-openid-host-derived", Says: "The OpenID document follows X-Forwarded-Host, and the other one does not.",
		Row: "X-Forwarded-Host", Noticed: []string{"AS-META-HOST-HEADER"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			host := r.Header.Get("X-Forwarded-Host")
			if host == "" || !strings.Contains(r.URL.Path, "openid-configuration") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"issuer":"https://` + host + `"}`))
		}),
	},
	{
		Name: "root-document-host-derived", Says: "The document at the root follows X-Forwarded-Host, and the other one does not.",
		Row: "X-Forwarded-Host", Noticed: []string{"RS-DISC-HOST-HEADER"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				host := r.Header.Get("X-Forwarded-Host")
				follows := host != "" && r.URL.Path == "/.well-known/oauth-protected-resource"
				if follows {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"resource":"https://` + host + `/mcp"}`))
				}
				return follows
			})
		},
	},
}

// unsaid is a server that names its scopes nowhere, with an empty scope in the challenge.
var unsaid = []Flaw{
	{
		Name: "scope-empty-in-challenge", Says: "The challenge has an empty scope, and no scope is published.",
		Noticed: []string{"RS-DISC-SCOPES-PUBLISHED"}, Also: []string{"RS-CHALLENGE-*", "RS-SCOPE-*"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Challenge = always(`Bearer error="invalid_token", resource_metadata="{url}", scope=""`)
			p.PRM = func(_ string, doc map[string]any) { delete(doc, "scopes_supported") }
		}),
	},
}

// grantsUnlisted shows only to who can get a client with a secret.
var grantsUnlisted = []Flaw{
	{
		Name: "unlisted-grant-with-secret", Says: "client_credentials works for each client with a secret, and is not listed.",
		Noticed: []string{"AS-META-GRANTS-MATCH-BEHAVIOUR"},
		Also:    []string{"AS-CC-METADATA", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-REFRESH-CLIENT-CAPABILITY", "AS-TOKEN-UNAUTHORIZED-GRANT"},
		Bend:    unlistedGrant,
	},
}

// hostsWithCase is a server that knows the host of a resource only as it is written.
var hostsWithCase = []Flaw{
	{
		Name: "resource-host-with-case", Says: "The host of a resource is compared with its letter case.",
		Noticed: []string{"AS-RES-CANONICAL-VARIANTS"},
		Bend: func(o *reference.Options) {
			o.Host = Public
			wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				q := r.URL.Query()
				if !atAuthorization(r) || !strings.Contains(q.Get("resource"), strings.ToUpper(Public)) {
					next.ServeHTTP(w, r)
					return
				}
				back := url.Values{"error": {"invalid_target"}, "state": {q.Get("state")}, "iss": {"https://" + Public}}
				http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
			})(o)
		},
	},
}

// unlistedGrant serves client_credentials to each client with a secret, and leaves the grant out of the metadata.
func unlistedGrant(o *reference.Options) {
	lacks(idp.RegisteredGrants)(o)
	metadata(func(doc map[string]any) {
		listed, _ := doc["grant_types_supported"].([]string)
		doc["grant_types_supported"] = slices.DeleteFunc(slices.Clone(listed), func(g string) bool { return g == "client_credentials" })
	})(o)
}

// signedBySomebody returns a JWS with a signature that nobody can verify: nothing says where the keys are.
func signedBySomebody(claims map[string]any) string {
	text, _ := json.Marshal(claims) // plain values always marshal
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString(text) + "." +
		strings.Repeat("A", 86)
}
