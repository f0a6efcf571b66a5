package suites_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// publishing changes the protected resource metadata.
func publishing(change func(d map[string]any)) func(o *reference.Options) {
	return func(o *reference.Options) { o.Policy.PRM = func(_ string, d map[string]any) { change(d) } }
}

// serving changes the authorization server metadata.
func serving(change func(d map[string]any)) func(o *reference.Options) {
	return func(o *reference.Options) { o.Behaviour.Metadata = func(_ string, d map[string]any) { change(d) } }
}

// withUser is a URL with user information.
func withUser(address any) string { return strings.Replace(address.(string), "://", "://mcpauth@", 1) }

// listingPrivateServer is a public server that lists an authorization server in a private network.
func listingPrivateServer(o *reference.Options) {
	o.Host = flaws.Public
	publishing(func(d map[string]any) {
		d["authorization_servers"] = append(d["authorization_servers"].([]string), "https://10.0.0.5:8443")
	})(o)
}

// sniffingForbiddenInCapitals has the metadata of the resource say NOSNIFF.
func sniffingForbiddenInCapitals(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/.well-known/oauth-protected-resource/mcp", func(_ *http.Request, a *answer.Answer) {
			a.Fields.Set("X-Content-Type-Options", "NOSNIFF")
		})
	}
}

// failing answers requests for a path with a server error, where they have a text in their query.
func failing(path, query string) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, path) && strings.Contains(r.URL.RawQuery, query) {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// breaksOffAtEmptyForm gives no answer to a token request without parameters, as a framework that waits for a body that it has read.
func breaksOffAtEmptyForm(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/token") && r.ContentLength == 0 {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// failingAtUnlistedScope names a scope that the authorization server does not list, and fails over it.
func failingAtUnlistedScope(o *reference.Options) {
	publishing(func(d map[string]any) { d["scopes_supported"] = []string{"notes:read", "unlisted"} })(o)
	failing("/authorize", "unlisted")(&o.Behaviour)
}

func withToken(c *suites.Config) { c.Users = nil }

// Documents that are right in another way than those of the reference, or risky where no clause forbids it.
func TestFairnessOfWhatIsPublished(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a resource with user information": {publishing(func(d map[string]any) { d["resource"] = withUser(d["resource"]) }), withToken,
			"RS-DISC-RESOURCE-FORM", reports.Warn},
		"a bearer method of another specification": {
			publishing(func(d map[string]any) { d["bearer_methods_supported"] = []string{"header", "sealed"} }), nil,
			"RS-DISC-BEARER-METHODS", reports.Warn},
		"a public server with an authorization server in a private network": {listingPrivateServer, withToken,
			"RS-DISC-URLS-PUBLIC-HTTPS", reports.Warn},
		"an issuer whose path ends like that of an endpoint": {
			func(o *reference.Options) { o.Apart, o.IssuerPath = true, "/tenants/token" }, withToken, "RS-DISC-AS-ENTRIES", reports.Pass},
		"a document of the origin, and all other paths behind the guard": {ofTheOrigin("/"), withToken, "RS-DISC-UNAUTHENTICATED", reports.Warn},
		"a document of the endpoint, whose own place is behind the guard": {ofTheOrigin("/mcp"), withToken,
			"RS-DISC-UNAUTHENTICATED", reports.Fail},
		"a document that appears when the first token is verified": {connectingLate, withToken, "RS-DISC-PRM-PUBLISHED", reports.Pass},
		"keys that no metadata name":                               {unlistedKeys(), withToken, "RS-TOKEN-KEY-CONFUSION", reports.Pass},
		"keys that no metadata name, accepted as the secret of a MAC": {
			unlistedKeys(mcpserver.RefuseSymmetric), withToken, "RS-TOKEN-KEY-CONFUSION", reports.Fail},
		"keys that no metadata name, and that verify tokens": {unlistedKeys(), nil, "AS-KEYS-JWT-SIGNATURE", reports.Pass},
		"keys that no metadata name, at a place that fails": {func(o *reference.Options) {
			serving(func(d map[string]any) { delete(d, "jwks_uri") })(o)
			o.Wrap = answeringWith("/.well-known/jwks.json", http.StatusServiceUnavailable)
		}, nil, "AS-KEYS-JWT-SIGNATURE", reports.Inconclusive},
		"keys that no metadata name, and that do not verify tokens": {func(o *reference.Options) {
			unlistedKeys()(o)
			o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.SignedTokens)
		}, nil, "AS-KEYS-JWT-SIGNATURE", reports.Warn},
		"keys that nobody publishes": {serving(func(d map[string]any) { delete(d, "jwks_uri") }), nil, "AS-KEYS-JWT-SIGNATURE",
			reports.Fail},
		"nosniff in capitals": {sniffingForbiddenInCapitals, nil, "RS-DISC-NOSNIFF", reports.Pass},
		"keys of the resource that are not there": {
			publishing(func(d map[string]any) { d["jwks_uri"] = withPath(d["resource"], "/nowhere") }), nil,
			"RS-DISC-KEYS-AND-ALGS", reports.Inconclusive},
		"an endpoint with user information": {
			serving(func(d map[string]any) {
				d["device_authorization_endpoint"] = withUser(d["device_authorization_endpoint"])
			}), nil,
			"AS-META-ENDPOINT-URL-FORM", reports.Warn},
		"a key set with a fragment": {serving(func(d map[string]any) { d["jwks_uri"] = d["jwks_uri"].(string) + "#keys" }), nil,
			"AS-META-ENDPOINT-URL-FORM", reports.Warn},
		"a token endpoint that breaks off at an empty form": {behaving(breaksOffAtEmptyForm), withToken, "AS-META-ENDPOINTS-EXIST",
			reports.Inconclusive},
		"a key set that fails":                              {behaving(failing("/jwks", "")), withToken, "AS-META-ENDPOINTS-EXIST", reports.Warn},
		"a document of the resource behind three redirects": {redirecting(ofResource, 3, ""), withToken, "RS-DISC-PRM-PUBLISHED", reports.Pass},
		"a document of the server behind three redirects":   {redirecting(ofServer, 3, ""), withToken, "AS-META-RFC8414-FORM", reports.Pass},
		"three redirects to a document of the resource":     {redirecting(ofResource, 3, ""), withToken, "RS-DISC-NO-REDIRECT", reports.Warn},
		"three redirects to a document of the server":       {redirecting(ofServer, 3, ""), withToken, "AS-META-NO-REDIRECT", reports.Warn},
		"a document of the resource at another origin":      {atOtherOrigin, withToken, "RS-DISC-PRM-PUBLISHED", reports.Fail},
		"a redirect of the resource to another origin":      {atOtherOrigin, withToken, "RS-DISC-NO-REDIRECT", reports.Warn},
		"a scope over which the server fails":               {failingAtUnlistedScope, nil, "AS-META-SCOPES-COHERENT", reports.Inconclusive},
	})
}

// A document of another product at the root is not judged, whatever is wrong with it.
func TestADocumentOfAnotherProductIsNotJudged(t *testing.T) {
	t.Parallel()
	table := map[string]fairness{}
	for _, id := range []string{
		"RS-DISC-RESOURCE-FORM", "RS-DISC-AS-PRESENT", "RS-DISC-AS-ENTRIES", "RS-DISC-SCOPES-SHAPE", "RS-DISC-SCOPES-MINIMAL",
		"RS-DISC-NO-OFFLINE-ACCESS", "RS-DISC-BEARER-METHODS", "RS-DISC-KEYS-AND-ALGS", "RS-DISC-CORS", "RS-DISC-UNAUTHENTICATED",
	} {
		table[id+" at the origin"] = fairness{anotherProduct(""), withToken, id, reports.Pass}
		table[id+" at another path"] = fairness{anotherProduct("/shop#"), withToken, id, reports.Pass}
	}
	table["a signed copy"] = fairness{anotherProduct("/shop"), withToken, "RS-DISC-SIGNED-METADATA", reports.NotApplicable}
	expectFairness(t, table)
}

// anotherProduct publishes a faulty document at the root, about a resource with another path.
func anotherProduct(path string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Policy.PRM = func(place string, d map[string]any) {
			if place != "root" {
				return
			}
			d["resource"] = withPath(d["resource"], path)
			d["authorization_servers"] = []any{map[string]any{}}
			d["scopes_supported"], d["bearer_methods_supported"] = "* offline_access", []string{"query"}
			d["dpop_signing_alg_values_supported"], d["signed_metadata"] = []string{"none"}, "eyJhbGciOiJub25lIn0.e30."
		}
		o.Wrap = func(next http.Handler) http.Handler {
			return answer.Changed(next, ofResource, func(r *http.Request, a *answer.Answer) {
				if r.URL.Path == ofResource {
					a.Fields.Del("Access-Control-Allow-Origin")
				}
			})
		}
	}
}

// connectingLate asks its authorization server when the first token comes, and publishes nothing before.
func connectingLate(o *reference.Options) {
	var connected atomic.Bool
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if given := r.Header.Get("Authorization"); given != "" && given != "Bearer "+survey.BogusToken {
				connected.Store(true)
			}
			if strings.HasPrefix(r.URL.Path, ofResource) && !connected.Load() {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// unlistedKeys publishes the key set at its usual place, and leaves jwks_uri out of the metadata.
func unlistedKeys(lacks ...mcpserver.Defence) func(o *reference.Options) {
	return func(o *reference.Options) {
		serving(func(d map[string]any) { delete(d, "jwks_uri") })(o)
		o.Policy.Lacks = append(o.Policy.Lacks, lacks...)
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/.well-known/jwks.json" {
					r.URL.Path = "/jwks"
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// ofTheOrigin publishes a document at the root alone, about the resource with a path, and guards the place for the endpoint.
func ofTheOrigin(path string) func(o *reference.Options) {
	return func(o *reference.Options) {
		publishing(func(d map[string]any) { d["resource"] = withPath(d["resource"], path) })(o)
		o.Policy.PRMRoot = true
		o.Policy.Challenge = func(string, string) []string { return []string{"Bearer"} }
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == ofResource+"/mcp" {
					w.Header().Set("WWW-Authenticate", "Bearer")
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// redirecting leads from each document below a path to itself, by a number of redirects within the origin, and then perhaps elsewhere.
func redirecting(path string, steps int, elsewhere string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				step, _ := strconv.Atoi(r.URL.Query().Get("step"))
				switch {
				case !strings.HasPrefix(r.URL.Path, path):
					next.ServeHTTP(w, r)
				case step < steps:
					http.Redirect(w, r, r.URL.Path+"?step="+strconv.Itoa(step+1), http.StatusFound)
				case elsewhere != "":
					http.Redirect(w, r, elsewhere, http.StatusFound)
				default:
					next.ServeHTTP(w, r)
				}
			})
		}
	}
}

// A server that names the introspection endpoint run by mcpauth as its issuer is not judged by what answers there.
func TestFairnessWithTheIntrospectionEndpointAsIssuer(t *testing.T) {
	t.Parallel()
	var issuer atomic.Value
	bend := publishing(func(d map[string]any) {
		if named, ok := issuer.Load().(string); ok {
			d["authorization_servers"] = []string{named}
		}
	})
	declare := func(c *suites.Config) {
		issuer.Store(strings.TrimSuffix(c.Introspection.URL(), "/introspect"))
		c.Users, c.Issuer, c.SecondIssuer = nil, nil, nil
	}
	expectFairness(t, map[string]fairness{
		"metadata of the issuer":       {bend, declare, "AS-META-REQUIRED-FIELDS", reports.NotApplicable},
		"PKCE in its metadata":         {bend, declare, "AS-META-S256-ADVERTISED", reports.NotApplicable},
		"the issuer resolves":          {bend, declare, "RS-DISC-AS-RESOLVES", reports.NotApplicable},
		"the issuer of its own server": {nil, nil, "RS-DISC-AS-RESOLVES", reports.Pass},
	})
}

const (
	ofResource = "/.well-known/oauth-protected-resource"
	ofServer   = "/.well-known/oauth-authorization-server"
)

// atOtherOrigin leads to another origin for the documents of the resource.
var atOtherOrigin = redirecting(ofResource, 1, "https://other.example/")

// withPath is another path at the origin of a URL.
func withPath(address any, path string) string {
	return strings.TrimSuffix(address.(string), "/mcp") + path
}

// answeringWith answers requests for a path with a status.
func answeringWith(path string, status int) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
