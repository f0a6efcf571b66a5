package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// moved redirects paths with one prefix to the same paths with another.
func moved(from, to string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, from):
				http.Redirect(w, r, to+strings.TrimPrefix(r.URL.Path, from), http.StatusMovedPermanently)
				return
			case strings.HasPrefix(r.URL.Path, to):
				r.URL.Path = from + strings.TrimPrefix(r.URL.Path, to)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// nothingAtPath answers the path-specific well-known location, which the challenge names, with something that is not a document.
func nothingAtPath(mediaType, body string) func(http.Handler) http.Handler {
	return before(func(w http.ResponseWriter, r *http.Request) bool {
		at := r.URL.Path == "/.well-known/oauth-protected-resource/mcp" && r.Method == http.MethodGet
		if at {
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Access-Control-Allow-Origin", "*")
			_, _ = w.Write([]byte(body))
		}
		return at
	})
}

// reflecting returns the flaw of a document that copies a field of the request into its URLs: as a host, or as another part of the URL.
func reflecting(field, part string) Flaw {
	resource := func(v string) string {
		switch part {
		case "scheme":
			return v + "://mcp.example/mcp"
		case "port":
			return "https://mcp.example:" + v // a resource need not have a path
		}
		return "https://mcp.example/" + v + "/mcp"
	}
	return Flaw{
		Name: "reflects-" + strings.ToLower(field), Says: "The document follows " + field + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				v := r.Header.Get(field)
				reflects := v != "" && strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource")
				if reflects {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"resource":"` + resource(v) + `"}`))
				}
				return reflects
			})
		},
		Noticed: []string{"RS-DISC-HOST-HEADER"}, Row: field,
	}
}

// rootDocument are flaws of the document at the root of the origin only: the one that clients find first is right.
var rootDocument = []Flaw{
	rootFlaw("fragment", "has a fragment in resource", "", "RS-DISC-RESOURCE-FORM",
		func(d map[string]any) { d["resource"] = d["resource"].(string) + "#" }, "RS-DISC-RESOURCE-MATCH"),
	rootFlaw("no-servers", "lists no authorization server", "", "RS-DISC-AS-PRESENT",
		func(d map[string]any) { delete(d, "authorization_servers") }),
	rootFlaw("server-objects", "lists authorization servers as objects", "entry 1 of authorization_servers", "RS-DISC-AS-ENTRIES",
		func(d map[string]any) {
			d["authorization_servers"] = []any{map[string]any{"issuer": "https://as.example"}}
		}),
	rootFlaw("scopes-as-string", "has scopes_supported as one string", "", "RS-DISC-SCOPES-SHAPE",
		func(d map[string]any) { d["scopes_supported"] = "notes:read notes:write" }),
	rootFlaw("omnibus-scope", "lists *", "", "RS-DISC-SCOPES-MINIMAL",
		func(d map[string]any) { d["scopes_supported"] = []string{"*", "notes:read"} }, "RS-DISC-SCOPES-SHAPE"),
	rootFlaw("offline-access", "lists offline_access", "scopes_supported", "RS-DISC-NO-OFFLINE-ACCESS",
		func(d map[string]any) { d["scopes_supported"] = []string{"notes:read", "offline_access"} }),
	rootFlaw("query-method", "advertises tokens in the query", "", "RS-DISC-BEARER-METHODS",
		func(d map[string]any) { d["bearer_methods_supported"] = []string{"header", "query"} }),
	rootFlaw("unsigned-proofs", "has none for DPoP", "", "RS-DISC-KEYS-AND-ALGS",
		func(d map[string]any) { d["dpop_signing_alg_values_supported"] = []string{"none"} }, "RS-DPOP-*"),
	rootFlaw("unsigned-copy", "has a signed_metadata with alg none", "", "RS-DISC-SIGNED-METADATA",
		func(d map[string]any) { d["signed_metadata"] = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0." }),
	{
		Name: "root-document-plain-http", Says: "The document at the root of a public server has an http URL of keys.",
		Row: "oauth-protected-resource", Noticed: []string{"RS-DISC-URLS-PUBLIC-HTTPS"}, Also: []string{"RS-DISC-KEYS-AND-ALGS"},
		Bend: func(o *reference.Options) {
			o.Host = Public
			atRoot(func(d map[string]any) { d["jwks_uri"] = "http://keys.example/jwks" })(o)
		},
	},
	{
		Name: "root-document-unreadable", Says: "Browsers cannot read the document at the root.",
		Row: "oauth-protected-resource, GET with Origin", Noticed: []string{"RS-DISC-CORS"}, Also: []string{"RS-TRANSPORT-CORS-*"},
		Bend: func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return answer.Changed(next, wellKnownResource, func(r *http.Request, a *answer.Answer) {
					if r.URL.Path == wellKnownResource {
						a.Fields.Del(allowOrigin)
					}
				})
			}
		},
	},
	{
		Name: "root-document-for-no-agent", Says: "A bot rule refuses the document at the root to most clients.",
		Row: "oauth-protected-resource, User-Agent: curl/8", Noticed: []string{"RS-DISC-UNAUTHENTICATED"},
		Bend: func(o *reference.Options) {
			o.Wrap = forNoAgent(func(path string) bool { return path == wellKnownResource })
		},
	},
}

const wellKnownResource = "/.well-known/oauth-protected-resource"

// rootFlaw returns a flaw of the document at the root; part is what its finding names beside the URL.
func rootFlaw(name, has, part, noticed string, change func(d map[string]any), also ...string) Flaw {
	row := wellKnownResource
	if part != "" {
		row += ", " + part
	}
	return Flaw{
		Name: "root-document-" + name, Says: "The document at the root " + has + ".", Row: row, Bend: atRoot(change),
		Noticed: []string{noticed}, Also: append(also, "RS-DISC-NO-EMPTY-OR-NULL", "RS-DISC-LOCATIONS-AGREE"),
	}
}

// atRoot changes the document at the root of the origin.
func atRoot(change func(d map[string]any)) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) {
		p.PRM = func(place string, d map[string]any) {
			if place == "root" {
				change(d)
			}
		}
	})
}
