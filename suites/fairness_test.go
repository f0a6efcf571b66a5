package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// behind sets the clock back by two minutes, and with it the Date field of every answer.
func behind(o *reference.Options) { o.Policy.ClockAhead = -2 * time.Minute }

// fairness is a right server that differs from the reference, or other declarations, with the expected verdict of one check.
type fairness struct {
	bend    func(o *reference.Options)
	declare func(c *suites.Config)
	check   string
	want    reports.Verdict
}

// refusingByName serves no client with one of these names, whatever its token is.
func refusingByName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body := string(answer.Peek(r)); strings.Contains(body, `"name":"test-client"`) || strings.Contains(body, `"name":"mcp"`) {
			http.Error(w, "this client is not allowed here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// expectFairness tries each server: all of them where -run names the test, and in CI; a third of them in "go test ./...".
func expectFairness(t *testing.T, servers map[string]fairness) {
	t.Helper()
	all := whole.Asked(t.Name())
	for name, c := range servers {
		t.Run(name, func(t *testing.T) {
			if !all && whole.Number(name)%3 != 0 {
				t.Skip("beyond the sample")
			}
			t.Parallel()
			o := reference.Ideal()
			if c.bend != nil {
				c.bend(&o)
			}
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Skip, cfg.Only = nil, []string{c.check}
			if c.declare != nil {
				c.declare(&cfg)
			}
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			require.NotEmpty(t, run.Results)
			for _, r := range run.Results {
				assert.Equal(t, c.want, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
			}
		})
	}
}

// limitingFields refuses credentials of more than 4 KiB as a proxy does.
func limitingFields(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Get("Authorization")) > 4<<10 {
				http.Error(w, "too long", http.StatusRequestHeaderFieldsTooLarge)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// withoutTheFirstNote answers that the first resource in the list does not exist.
func withoutTheFirstNote(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Body = io.NopCloser(bytes.NewReader(body)); bytes.Contains(body, []byte(`"note://notes/1"`)) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"Resource not found"}}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// pageOverPlainHTTP answers every request over plain HTTP with the same page.
func pageOverPlainHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<!doctype html><title>Notes</title><p>Notes for everybody.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func noOrigin(c *suites.Config) { c.Origins = nil }

// withoutCORS offers no CORS, and answers requests of a method from pages with a status.
func withoutCORS(method string, status int) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == method && r.Header.Get("Origin") != "" {
					w.WriteHeader(status)
					return
				}
				if r.Method == http.MethodGet && r.URL.Path == "/mcp" { // a stream
					next.ServeHTTP(w, r)
					return
				}
				a := answer.Of(next, r)
				a.Header().Del("Access-Control-Allow-Origin")
				a.Send(w)
			})
		}
	}
}

// faultyErrorPages redirects to an error page of the authorization server, which names the error in its address and has status 500.
func faultyErrorPages(o *reference.Options) {
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/fallback") {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, "<!doctype html><title>An error occurred</title><p>Configure a page of your own.")
				return
			}
			a := answer.Of(next, r)
			if strings.HasSuffix(r.URL.Path, "/authorize") && a.Status >= 400 {
				http.Redirect(w, r, r.URL.Path+"/fallback?error=invalid_client", http.StatusFound)
				return
			}
			a.Send(w)
		})
	}
}

// One check judges each right server that differs from the reference, and each declaration that does not fit.
func TestFairness(t *testing.T) {
	t.Parallel()
	key := func(name string, tools ...string) mcpserver.Static {
		return mcpserver.Static{Name: name, Value: "key_" + mcpserver.RandomID(), User: name, Header: mcpserver.KeyHeader, Tools: tools}
	}
	metered := func(c mcpserver.Static) mcpserver.Static {
		c.Limit, c.Window = 20, time.Second
		return c
	}
	expectFairness(t, map[string]fairness{
		"a tool with a name that is not listed": {nil, func(c *suites.Config) { c.Tools, c.Objects = []suites.Tool{{Name: "raed_note"}}, nil },
			"RS-ABUSE-INPUT-VALIDATION", reports.Inconclusive},
		"a listed resource that this user cannot read": {func(o *reference.Options) { o.Wrap = withoutTheFirstNote }, nil,
			"RS-ABUSE-RESOURCE-TRAVERSAL", reports.Pass},
		"a page about the product over plain HTTP": {func(o *reference.Options) {
			o.Host, o.PlainToo, o.Behaviour.Wrap = flaws.Public, true, pageOverPlainHTTP
		}, nil, "AS-TLS-ENFORCED", reports.Pass},
		"a key set that fails, and signed metadata": {behaving(func(b *idp.Behaviour) { failsAt(b, "/jwks", each) }), nil,
			"AS-META-SIGNED-METADATA", reports.Inconclusive},
		"a refusal that pages may read, and a refused preflight": {missing(mcpserver.OpenPreflight),
			func(c *suites.Config) { c.Origins = nil }, "RS-TRANSPORT-CORS-PREFLIGHT", reports.Warn},
		"a preflight that fails": {withoutCORS("OPTIONS", 500), noOrigin,
			"RS-TRANSPORT-CORS-PREFLIGHT", reports.Inconclusive},
		"a preflight that is answered with 501": {withoutCORS("OPTIONS", 501), noOrigin,
			"RS-TRANSPORT-CORS-PREFLIGHT", reports.NotApplicable},
		"a request from a page that fails": {withoutCORS("POST", 500), noOrigin,
			"RS-TRANSPORT-CORS-PREFLIGHT", reports.Inconclusive},
		"a preflight that fails, and a hidden challenge": {withoutCORS("OPTIONS", 500), noOrigin,
			"RS-TRANSPORT-CORS-EXPOSE", reports.Inconclusive},
		"no preflight at all, and a hidden challenge": {withoutCORS("OPTIONS", 501), noOrigin,
			"RS-TRANSPORT-CORS-EXPOSE", reports.NotApplicable},
		"answers that no cache stores, and public": {func(o *reference.Options) { o.Policy.CacheControl = "public, no-store" }, nil,
			"RS-TRANSPORT-CACHE", reports.Pass},
		"a list that needs a scope hides nothing from those without it": {func(o *reference.Options) { o.Policy.ListScope = "notes:read" }, nil,
			"RS-SCOPE-HIDDEN-NOT-CALLABLE", reports.Pass},
		"a base scope that everything needs": {func(o *reference.Options) { o.Policy.ScopeAtTheDoor = "notes:read" },
			func(c *suites.Config) { c.Base = []string{"notes:read"} }, "RS-SCOPE-EVERY-TOOL", reports.Pass},
		"a base scope that nothing needs": {nil, func(c *suites.Config) { c.Base = []string{"notes:read"} },
			"RS-SCOPE-EVERY-TOOL", reports.Fail},
		"a token that may call less than declared": {nil, func(c *suites.Config) {
			i := slices.IndexFunc(c.Credentials, func(c suites.Credential) bool { return c.Name == "the reader token" })
			c.Credentials[i].Tools = append(slices.Clone(c.Credentials[i].Tools), "write_note")
		}, "RS-STATIC-TOKEN-PERMISSIONS", reports.Warn},
		"a prefix that is a tool itself": {func(o *reference.Options) { o.Static = []mcpserver.Static{key("a", "whoami*")} }, nil,
			"RS-APIKEY-WILDCARDS", reports.Pass},
		"a limit answered by a crash": {func(o *reference.Options) { o.Policy.LimitStatus = http.StatusInternalServerError }, nil,
			"RS-RATE-ENFORCED", reports.Inconclusive},
		"a stranger who is nobody": {func(o *reference.Options) { o.Static = []mcpserver.Static{metered(key("a"))} }, func(c *suites.Config) {
			c.Token, c.Users, c.Issuer, c.SharedSecret, c.Introspection, c.Verification = "", nil, nil, suites.SharedSecret{}, nil, nil
			c.Credentials = append(c.Credentials, suites.Credential{Name: "nobody", Header: "X-API-Key", Value: "nobodys-key"})
		}, "RS-RATE-PER-PRINCIPAL", reports.Inconclusive},
		"a limit on bodies beyond ours": {nil, func(c *suites.Config) { c.BodyLimit = 64 << 20 }, "RS-ABUSE-BODY-LIMIT", reports.NotTested},
		"a tool for debugging, on purpose": {func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.NoDebugTool) },
			func(c *suites.Config) { c.Tools = append(c.Tools, suites.Tool{Name: "debug_env"}) },
			"RS-ABUSE-DEBUG-TOOLS", reports.Pass},
		"resources by template": {func(o *reference.Options) { o.Policy.TemplatesOnly = true }, nil, "RS-ABUSE-RESOURCE-TRAVERSAL",
			reports.Pass},
		"a token on a server without tools": {func(o *reference.Options) { o.Policy.NoTools = true }, nil, "RS-STATIC-TOKEN-ACCEPTED",
			reports.Pass},
		"a key on a server without tools": {func(o *reference.Options) { o.Policy.NoTools = true }, nil, "RS-APIKEY-ACCEPTED", reports.Pass},
		"an expired token that crashes": {func(o *reference.Options) {
			o.Policy.Crash = func(token string) bool { return strings.Count(token, ".") == 2 }
		}, nil, "RS-SESSION-EXPIRY-MIDWAY", reports.Inconclusive},
		"an nbf that nobody looks at, of another type": {func(o *reference.Options) {
			o.Policy.Lacks = []mcpserver.Defence{mcpserver.CheckNotBefore, mcpserver.NumericNotBefore}
		}, nil, "RS-TOKEN-NUMERIC-DATES", reports.Pass},
		"a date that no number holds crashes":       {crashesOnPart(1, "1e400"), nil, "RS-TOKEN-NUMERIC-DATES", reports.Pass},
		"a crit that no producer may write crashes": {crashesOnPart(0, `"crit":"exp"`), nil, "RS-TOKEN-CRIT-UNKNOWN", reports.Pass},
		"a look-alike scope that crashes": {func(o *reference.Options) { o.Policy.ScopeStatus = 500 }, nil, "RS-SCOPE-NO-SUBSTRING",
			reports.Inconclusive},
		"users of opaque tokens that are known by their username, if they have one": {func(o *reference.Options) {
			o.Policy.UserOfAnswer = func(answer map[string]any) string {
				if name, _ := answer["username"].(string); name != "" {
					return name
				}
				return fmt.Sprint(answer["sub"])
			}
		}, nil, "RS-TOKEN-CLIENT-USER-CONFUSION", reports.Pass},
		"users of opaque tokens, and nobody signs tokens": {nil, func(c *suites.Config) { c.Issuer, c.SecondIssuer = nil, nil },
			"RS-TOKEN-CLIENT-USER-CONFUSION", reports.Pass},
		"clients that are refused by their names": {func(o *reference.Options) { o.Wrap = refusingByName }, nil, "RS-CHALLENGE-EVERY-CLIENT",
			reports.Pass},
		"a narrower scope that crashes": {func(o *reference.Options) { o.Policy.ScopeStatus = 500 }, nil, "RS-SCOPE-HIERARCHY",
			reports.Inconclusive},
		"a missing effect of a crash": {func(o *reference.Options) { o.Policy.ScopeStatus = 500 }, nil, "RS-SCOPE-NOT-EXECUTED",
			reports.Inconclusive},
		"an opaque token that crashes": {func(o *reference.Options) { o.Policy.Status = 500 }, nil, "RS-TOKEN-INTROSPECTION-CLAIMS",
			reports.Inconclusive},
		"an opaque audience that crashes": {func(o *reference.Options) { o.Policy.Status = 500 }, nil, "RS-AUD-OPAQUE", reports.Inconclusive},
		"a tool that always fails": {func(o *reference.Options) { o.Policy.NoTools = true }, nil, "RS-STATIC-TOKEN-PERMISSIONS",
			reports.Inconclusive},
		"tools that refuse what was revoked": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RefuseBeforeTools, mcpserver.ScopeOverHTTP, mcpserver.GuardVerbs)
		}, nil, "AS-REVOKE-REFRESH-KILLS-ACCESS", reports.Pass},
		"tokens that only the resource server may introspect, undeclared": {byResourceServer, nil, "AS-INTROSPECT-ACTIVE-SHAPE",
			reports.Inconclusive},
		"tokens that only the resource server may introspect": {byResourceServer, introspecting, "AS-INTROSPECT-ACTIVE-SHAPE",
			reports.Pass},
		"dead tokens that only the resource server may introspect": {byResourceServer, introspecting, "AS-INTROSPECT-INACTIVE",
			reports.Pass},
		"an account whose password is another": {nil, func(c *suites.Config) {
			c.Users = append(c.Users[:2:2], suites.User{Name: "carol", Password: "not hers", Sacrificial: true})
		}, "AS-RATE-LOGIN", reports.Inconclusive},
		"an upstream that is not used": {func(o *reference.Options) { o.Proxy = true }, unused,
			"AS-PROXY-UPSTREAM-TOKEN-HIDDEN", reports.Inconclusive},
		"no token of an unused upstream": {func(o *reference.Options) { o.Proxy = true },
			func(c *suites.Config) { unused(c); c.API = nil }, "RS-PASS-FOREIGN-TOKEN-REFUSED", reports.NotTested},
		"a login elsewhere, a page before it": {func(o *reference.Options) { o.Proxy = true }, nil,
			"AS-PROXY-CONSENT-BEFORE-UPSTREAM", reports.Pass},
		"a login elsewhere, known by userinfo":    {byUserinfo, nil, "AS-PROXY-UPSTREAM-ID-TOKEN", reports.NotApplicable},
		"accounts elsewhere, known by userinfo":   {byUserinfo, nil, "AS-PROXY-ACCOUNT-LINKING", reports.NotApplicable},
		"failures elsewhere, known by userinfo":   {byUserinfo, nil, "AS-PROXY-UPSTREAM-ERROR", reports.Pass},
		"failures elsewhere, told as JSON":        {byJSON, nil, "AS-PROXY-UPSTREAM-ERROR", reports.Warn},
		"a login elsewhere, a page after it":      {afterwards, nil, "AS-PROXY-CONSENT-BEFORE-UPSTREAM", reports.Warn},
		"a login elsewhere, each client asked":    {afterwards, nil, "AS-PROXY-CONSENT-PER-CLIENT", reports.Pass},
		"a login elsewhere, nothing remembered":   {afterwards, nil, "AS-PROXY-CONSENT-COOKIE", reports.NotApplicable},
		"a login elsewhere, bound to its browser": {afterwards, nil, "AS-PROXY-STATE-BOUND-TO-BROWSER", reports.Pass},
		"a crit that nobody may produce": {func(o *reference.Options) { o.Policy.CritUnknownOnly = true }, nil,
			"RS-TOKEN-CRIT-UNKNOWN", reports.Pass},
		"a clock two minutes behind, and nbf":                    {behind, nil, "RS-TOKEN-NBF", reports.Pass},
		"a clock two minutes behind, and skew":                   {behind, nil, "RS-TOKEN-CLOCK-SKEW", reports.Pass},
		"a clock two minutes behind, and an answer about tokens": {behind, nil, "RS-TOKEN-INTROSPECTION-CLAIMS", reports.Pass},
		"the last of two members": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks,
				mcpserver.RefuseDuplicates)
		}, nil, "RS-TOKEN-DUPLICATE-MEMBERS", reports.Pass},
		"a host that decides nothing": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks,
				mcpserver.CheckAudience)
		}, nil, "RS-AUD-HOST-DERIVED", reports.NotApplicable},
		"members of a token whose audience nobody looks at": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckAudience, mcpserver.RefuseDuplicates, mcpserver.ClaimsWithCase)
		}, nil, "RS-TOKEN-DUPLICATE-MEMBERS", reports.Pass},
		"a token that DPoP leaves unbound": {func(o *reference.Options) { o.Behaviour.Lacks = []idp.Defence{idp.DPoPOnRequest} }, nil,
			"AS-DPOP-BINDING", reports.NotApplicable},
		"scopes for those who register them": {func(o *reference.Options) { o.Behaviour.DefaultScopes = []string{"notes:read"} }, nil,
			"AS-TOKEN-SUCCESS-SHAPE", reports.Pass},
		"openid for those who register it": {func(o *reference.Options) {
			o.Behaviour.DefaultScopes = []string{"notes:read", "notes:write", "notes:admin", "mcp:tool:roll_dice", "mcp:tool:flip_coin",
				"offline_access"}
		}, nil, "AS-KEYS-ID-TOKEN", reports.Pass},
		"no scopes for those who register none": {func(o *reference.Options) {
			o.Behaviour.DefaultScopes, o.Behaviour.DropsScopes, o.Policy.ScopeAtTheDoor = []string{}, true, "notes:read"
		}, nil, "RS-TOKEN-VALID-ACCEPTED", reports.Pass},
		"a redirect to an error page with status 500, client_id missing": {faultyErrorPages, nil, "AS-AUTHZ-MISSING-CLIENT", reports.Pass},
		"a redirect to an error page with status 500, another redirect URI": {faultyErrorPages, nil, "AS-AUTHZ-REDIRECT-UNREGISTERED",
			reports.Pass},
		"a token without the scope that everything needs": {func(o *reference.Options) { o.Policy.ScopeAtTheDoor = "notes:read" },
			func(c *suites.Config) { c.Base, c.Scopes = nil, []string{"notes:write"} }, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"all scopes that a client registers, by default": {func(o *reference.Options) {
			all := []string{"notes:read", "notes:write", "openid"}
			o.Behaviour.DefaultScopes, o.Behaviour.RequestDefault = all[:1], all
			o.Behaviour.Metadata = func(_ string, doc map[string]any) { doc["scopes_supported"] = all }
		}, nil, "AS-SCOPE-DEFAULT", reports.Pass},
		"events without ids": {func(o *reference.Options) { o.Policy.NoEventIDs = true }, nil, "RS-SESSION-EVENT-ISOLATION",
			reports.NotApplicable},
		"a state on which nothing depends": {func(o *reference.Options) { o.Policy.StateIgnored = true }, nil,
			"RS-SESSION-REQUESTSTATE-INTEGRITY", reports.NotApplicable},
		"calls that are never tasks": {func(o *reference.Options) { o.Policy.NoTasks = true }, nil, "RS-SESSION-TASK-OWNERSHIP",
			reports.NotApplicable},
		"a limit told in JSON-RPC": {func(o *reference.Options) { o.Policy.LimitStatus = http.StatusOK }, nil,
			"RS-RATE-OTHER-OPERATIONS", reports.Pass},
		"a server that says nothing of DPoP": {func(o *reference.Options) { o.Policy.DPoP = false }, nil, "RS-DPOP-DOWNGRADE",
			reports.NotApplicable},
		"a bound token that crashes": {func(o *reference.Options) { o.Policy.Status = 500 }, nil, "RS-DPOP-DOWNGRADE",
			reports.Inconclusive},
		"keys that are configured": {func(o *reference.Options) { o.Host = "mcp.example.com" }, nil, "RS-TOKEN-KEY-ROTATION",
			reports.NotApplicable},
		"no limit announced": {func(o *reference.Options) { o.Policy.RateHeaders = "" }, nil, "RS-RATE-HEADERS",
			reports.NotApplicable},
		"the old transport, not offered": {func(o *reference.Options) { o.Policy.LegacySSE = false }, nil, "RS-CHALLENGE-LEGACY-SSE",
			reports.NotApplicable},
		"a made-up code answered with 401": {func(o *reference.Options) { o.Behaviour.UnauthorizedGrants = true }, nil,
			"AS-DCR-SECRET-WORKS", reports.Pass},
		"another client, and a made-up code answered with 401": {func(o *reference.Options) { o.Behaviour.UnauthorizedGrants = true }, nil,
			"AS-DCR-NO-CLIENT-CHOSEN-IDS", reports.Pass},
		"a member of the server's own that is null": {func(o *reference.Options) {
			o.Behaviour.Response = func(_ string, members map[string]any) { members["x_internal"] = nil }
		}, nil, "AS-DCR-NO-NULLS", reports.Pass},
		"redirect URIs by application_type, and what is registered": {func(o *reference.Options) { o.Behaviour.TypedRedirects = true }, nil,
			"AS-DCR-ECHO-METADATA", reports.Pass},
		"redirect URIs by application_type, and loopback": {func(o *reference.Options) { o.Behaviour.TypedRedirects = true }, nil,
			"AS-DCR-LOOPBACK-ACCEPTED", reports.Pass},
		"redirect URIs by application_type, and strangers": {func(o *reference.Options) { o.Behaviour.TypedRedirects = true }, nil,
			"AS-DCR-SUPPORTED", reports.Pass},
		"clients without redirect URIs for grants without redirects": {func(o *reference.Options) {
			o.Behaviour.MachineWithoutRedirects = true
		}, nil, "AS-DCR-REDIRECTS-REQUIRED", reports.Pass},
		"proofs whose ids are not remembered": {func(o *reference.Options) { o.Policy.DPoPLacks = dpop.ID }, nil, "RS-DPOP-DOWNGRADE",
			reports.Pass},
		"an address that is blocked": {func(o *reference.Options) { o.Policy.BlockAfter, o.Policy.BlockFor = 60, time.Second },
			func(c *suites.Config) {
				c.BlockAfter, c.BlockFor = 60, time.Second
			}, "RS-ABUSE-ADDRESS-BLOCK", reports.Pass},
		"a block that ends before anybody can look": {func(o *reference.Options) { o.Policy.BlockAfter, o.Policy.BlockFor = 60, time.Nanosecond },
			func(c *suites.Config) {
				c.BlockAfter, c.BlockFor = 60, time.Nanosecond
			}, "RS-ABUSE-ADDRESS-BLOCK", reports.Inconclusive},
		"a limit whose window is longer than declared": {func(o *reference.Options) {
			o.Static, o.Policy.RetryAfter = []mcpserver.Static{metered(key("a"))}, ""
		}, func(c *suites.Config) {
			for i := range c.Credentials {
				c.Credentials[i].Window /= 2
			}
		}, "RS-RATE-RECOVERS", reports.Pass},
		"a form that says where no password belongs": {asking("To whom? Never enter a password here.", "name", `{"type":"string"}`), nil,
			"RS-ELICIT-NO-SECRETS-IN-FORM", reports.Pass},
		"a limit of 4 KiB for credentials, and a long kid":    {limitingFields, nil, "RS-TOKEN-UNKNOWN-KID", reports.Pass},
		"a limit of 4 KiB for credentials, and a valid token": {limitingFields, nil, "RS-TOKEN-OVERSIZED", reports.Pass},
		"a form that asks for a yes": {asking("Should we reset your password?", "reset_password", `{"type":"boolean"}`), nil,
			"RS-ELICIT-NO-SECRETS-IN-FORM", reports.Pass},
		"a form that sends a link": {asking("Where to send the password reset link?", "email", `{"type":"string"}`), nil,
			"RS-ELICIT-NO-SECRETS-IN-FORM", reports.Warn},
		"a link with a state that is signed": {func(o *reference.Options) {
			o.Policy.Link = func(address string) string {
				return address + "?state=eyJhbGciOiJIUzI1NiJ9.eyJub25jZSI6IjEifQ.c2ln&back=@home"
			}
		}, nil, "RS-ELICIT-URL-SAFE", reports.Pass},
		"documents on this machine, for a server that may fetch them": {func(o *reference.Options) {
			o.Host, o.Behaviour.TrustedDocumentHost = "mcp.example.com", "127.0.0.1"
		}, nil, "AS-CIMD-SSRF-PRIVATE", reports.Pass},
		"documents on this machine, for a server that may not": {func(o *reference.Options) { o.Host = "mcp.example.com" }, nil,
			"AS-CIMD-SSRF-PRIVATE", reports.Inconclusive},
		"redirect URIs on the host of the document only": {func(o *reference.Options) { o.Behaviour.RedirectsToDocumentHost = true }, nil,
			"AS-CIMD-FLAG-TRUTHFUL", reports.Pass},
		"redirect URIs on the host of the document only, and its content": {func(o *reference.Options) {
			o.Behaviour.RedirectsToDocumentHost = true
		}, nil, "AS-CIMD-REJECT-ID-MISMATCH", reports.Pass},
		"an origin list that allows any port of this machine": {func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.Header.Get("Origin"), "http://127.0.0.1:") {
						r.Header.Del("Origin")
					}
					next.ServeHTTP(w, r)
				})
			}
		}, nil, "RS-TRANSPORT-ORIGIN-INVALID", reports.Warn},
		"a failure over an event that the server has not kept": {func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Last-Event-ID") != "" && strings.Count(r.Header.Get("Authorization"), ".") == 2 { // a JWT
						http.Error(w, "no such event", http.StatusInternalServerError)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		}, nil, "RS-SESSION-STREAM-NEEDS-TOKEN", reports.Pass},
		"a session of a server without tools": {func(o *reference.Options) { o.Policy.NoTools = true }, nil, "RS-CHALLENGE-EVERY-HTTP-METHOD",
			reports.Pass},
		"a gateway that answers HEAD": {func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodHead {
						next.ServeHTTP(w, r)
					}
				})
			}
		}, nil, "RS-CHALLENGE-EVERY-HTTP-METHOD", reports.Warn},
		"a batch where everything runs": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.NoBatches, mcpserver.CheckScopes)
		}, nil, "RS-SCOPE-BATCH-MEMBERS", reports.Inconclusive},
	})
}

// crashesOnPart answers HTTP 500 to tokens whose header (0) or claims (1) contain a text, and which it does not accept.
func crashesOnPart(part int, text string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Policy.Crash = func(token string) bool {
			parts := strings.Split(strings.TrimPrefix(token, "Bearer "), ".")
			if len(parts) != 3 {
				return false
			}
			decoded, err := base64.RawURLEncoding.DecodeString(parts[part])
			return err == nil && strings.Contains(string(decoded), text)
		}
	}
}

// asking makes the form ask for one value.
func asking(message, name, schema string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Policy.Form = func(params map[string]any) {
			params["message"] = message
			params["requestedSchema"] = map[string]any{"type": "object", "properties": map[string]any{name: json.RawMessage(schema)}}
		}
	}
}

// byResourceServer lets only one client introspect tokens; no user signs in with it.
func byResourceServer(o *reference.Options) { o.Behaviour.Introspector = "machine-with-secret" }

// introspecting declares that client.
func introspecting(c *suites.Config) {
	for i := range c.Clients {
		c.Clients[i].Introspects = c.Clients[i].ID == "machine-with-secret"
	}
}

// afterwards asks users for consent after they come back from another provider, where they only sign in.
func afterwards(o *reference.Options) {
	o.Proxy, o.Behaviour.Lacks = true, []idp.Defence{idp.ConsentBeforeUpstream}
}

// byUserinfo identifies users by the provider's userinfo endpoint.
func byUserinfo(o *reference.Options) { o.Proxy, o.ByUserinfo = true, true }

// byJSON is a proxy that shows the error of its upstream as JSON, which no browser reads as markup.
func byJSON(o *reference.Options) {
	o.Proxy = true
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if !strings.HasSuffix(r.URL.Path, "/callback") || q.Get("error") == "" {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"server_error","error_description":"`+q.Get("error_description")+`"}`)
		})
	}
}

// unused declares an upstream that the target does not use.
func unused(c *suites.Config) {
	u, err := idp.New("http://unused.example", idp.Ideal())
	if err != nil {
		panic(err)
	}
	c.Upstream = u
}

// Servers run by mcpauth are not judged: with fake_idp the requirements for the authorization server do not apply, unless the target names
// its own. Then that one alone is judged, whichever is first.
func TestTheFakeIssuerIsNotJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]runByMcpauth{
		"the only authorization servers": {true, true, true},
		"before one of the target":       {false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.expect(t)
		})
	}
}

// runByMcpauth is a target that lists an address where nobody answers, and the authorization server that answers.
type runByMcpauth struct {
	answers bool // fake_idp is the one that answers, else the other one
	second  bool // the other one is second_idp
	all     bool // no authorization server is left to judge
}

func (c runByMcpauth) expect(t *testing.T) {
	const silent = "https://fake.example"
	r := against.Start(t, publishingServers(silent))
	cfg := against.SigningIn(r)
	cfg.Issuer, cfg.SecondIssuer, cfg.SecondIDP = r.IDP, idp.NewSecond(silent, cfg.URL), nil
	cfg.FakeIDP = &target.FakeIDP{Issuer: silent, Listen: "127.0.0.1:0", Audience: cfg.URL}
	if c.answers {
		cfg.FakeIDP.Issuer = r.IDP.Identifier()
	}
	if c.second {
		cfg.SecondIDP = &target.SecondIDP{Issuer: silent + "/", Listen: "127.0.0.1:0", Audience: cfg.URL}
	}
	cfg.Only = []string{"AS-META-*", "AS-KEYS-*", "AS-PKCE-REJECT-MISSING-VERIFIER", "RS-TOKEN-SIG-STRIPPED"}
	for _, res := range against.Run(t, cfg).Results {
		ofServer, own := strings.HasPrefix(res.ID, "AS-"), strings.Contains(res.Reason, "run by mcpauth")
		assert.Equal(t, c.all && ofServer, own, "%s: %s %s", res.ID, res.Verdict, res.Reason)
		if ofServer {
			assert.NotContains(t, res.Reason+fmt.Sprint(res.Findings, res.Tried, res.Notes), silent, res.ID)
		}
	}
}

// publishingServers lists another authorization server before the one that answers.
func publishingServers(other string) reference.Options {
	o := reference.Ideal()
	publishing(func(d map[string]any) {
		d["authorization_servers"] = append([]string{other}, d["authorization_servers"].([]string)...)
	})(&o)
	return o
}
