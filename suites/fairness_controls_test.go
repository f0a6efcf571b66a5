package suites_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// livesFor issues JWTs with a lifetime, whatever expires_in says, to a server that reads their signature only.
func livesFor(d time.Duration) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckRevocation)
		o.Behaviour.AccessToken = func(_, claims map[string]any) {
			if claims["exp"] != nil {
				claims["exp"] = time.Now().Add(d).Unix()
			}
		}
	}
}

// expiresUnsaid leaves expires_in out of token responses, where it is optional (OAuth 2.1 section 3.2.3).
func expiresUnsaid(b *idp.Behaviour) {
	b.Response = func(endpoint string, members map[string]any) {
		if endpoint == "/token" {
			delete(members, "expires_in")
		}
	}
}

// inTwoLines makes the tool that tells its caller say more, on a second line.
func inTwoLines(next http.Handler) http.Handler {
	return answer.ChangedWhere(next, `"whoami"`, func(_ []byte, a *answer.Answer) {
		a.Say(strings.Replace(a.Body.String(), `"text":"alice`, `"text":"a caller\nalice`, 1))
	})
}

// onlyURIs refuses to read what is not a URI, before it looks at anything else.
func onlyURIs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := answer.Peek(r)
		if bytes.Contains(body, []byte(`"resources/read"`)) && !bytes.Contains(body, []byte("://")) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"uri: not a URI"}}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forbidsUnknown answers 403 for a tool, resource or prompt that does not exist: before it compares the header fields, or afterwards.
func forbidsUnknown(first bool) func(o *reference.Options) {
	unknown := regexp.MustCompile(`"(mcpauth://no/such|mcpauth-no-such|mcpauth_no_such_tool.*)"`)
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if !unknown.Match(body) {
					next.ServeHTTP(w, r)
					return
				}
				a := answer.Of(next, r)
				if a.Status != http.StatusUnauthorized && (first || !strings.Contains(a.Body.String(), "-32020")) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				a.Send(w)
			})
		}
	}
}

// saying adds a field to each answer.
func saying(name, value string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					next.ServeHTTP(w, r)
					return
				}
				a := answer.Of(next, r)
				a.Header().Set(name, value)
				a.Send(w)
			})
		}
	}
}

// failingAtTwo fails where a request has two good credentials.
func failingAtTwo(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, token := r.Header.Get(mcpserver.KeyHeader), r.Header.Get("Authorization")
		if key != "" && token != "" && !strings.Contains(key+token, "garbage") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cached keeps the first answer to each GET of metadata for all.
func cached(o *reference.Options) {
	follows := o.Wrap
	o.Wrap = func(next http.Handler) http.Handler {
		var mu sync.Mutex
		kept := map[string]*answer.Answer{}
		origin := follows(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
				origin.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			key := r.Method + r.Host + r.URL.String()
			if kept[key] == nil {
				kept[key] = answer.Of(origin, r)
			}
			kept[key].Send(w)
		})
	}
}

// readsZeroAsNone accepts a message with the id 0 as a notification, and does nothing.
func readsZeroAsNone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bytes.Contains(answer.Peek(r), []byte(`"id":0,`)) && r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// challengesFirstRevisionBarely refuses clients of 2025-03-26, which has no resource_metadata, with the realm alone.
func challengesFirstRevisionBarely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bytes.Contains(answer.Peek(r), []byte(`"protocolVersion":"2025-03-26"`)) && r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="mcp"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// headerFirewall refuses requests whose header looks like an attack.
func headerFirewall(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, values := range r.Header {
			if text := strings.Join(values, " "); strings.Contains(text, "__proto__") || strings.Contains(text, "$ne") {
				http.Error(w, "Forbidden", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// banning refuses everything after a request that headerFirewall refuses.
func banning() func(next http.Handler) http.Handler {
	var banned atomic.Bool
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if banned.CompareAndSwap(false, r.Header.Get("Mcp-Session-Id") == "__proto__"); banned.Load() {
				http.Error(w, "Forbidden", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// onlyAlternatives declares one tool that needs a scope: either of two is enough.
func onlyAlternatives(c *suites.Config) {
	c.Tools = slices.DeleteFunc(slices.Clone(c.Tools), func(t suites.Tool) bool { return t.Scope != "" })
}

// firstNeverRuns has a first tool with a scope that is forbidden to every caller.
var firstNeverRuns = neverRuns("read_note")

// neverRuns forbids messages with a name to every caller.
func neverRuns(name string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bytes.Contains(answer.Peek(r), []byte(`"`+name+`"`)) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// A control that fails leaves a check undecided, and what a server does not say is not held against it.
func TestFairnessOfControls(t *testing.T) {
	t.Parallel()
	noTools := func(o *reference.Options) { o.Policy.NoTools = true }
	const second = adminKey
	withAdminKey := func(c *suites.Config) {
		c.Credentials = append(c.Credentials, suites.Credential{Name: "the admin key", Header: "X-Admin-Key", Value: second})
	}
	expectFairness(t, map[string]fairness{
		"a grace that ends in a crash": {func(o *reference.Options) { o.Policy.Status = http.StatusInternalServerError }, nil,
			"RS-TOKEN-CLOCK-SKEW", reports.Inconclusive},
		"a token that is active after its revocation": {func(o *reference.Options) {
			byResourceServer(o)
			o.Behaviour.Lacks = []idp.Defence{idp.RevokeAccess}
		}, introspecting, "RS-TOKEN-REVOKED", reports.Inconclusive},
		"a revoked JWT that lives for a day": {livesFor(24 * time.Hour), nil, "RS-TOKEN-REVOKED", reports.Fail},
		"a revoked JWT that lives for ten minutes, which no answer says": {func(o *reference.Options) {
			livesFor(10 * time.Minute)(o)
			expiresUnsaid(&o.Behaviour)
		}, nil, "RS-TOKEN-REVOKED", reports.Warn},
		"an expired token, and no tool may be called": {neverRuns("tools/call"), nil, "RS-TOKEN-EXPIRED", reports.Inconclusive},
		"users of similar names, none of whom is known": {func(o *reference.Options) {
			o.Policy.Accepts = func(claims map[string]any) bool {
				return claims["sub"] == "alice" || claims["sub"] == "bob"
			}
		}, nil, "RS-SCOPE-OBJECT-OWNERSHIP", reports.Pass},
		"a call with the id 0, read as a notification": {func(o *reference.Options) { o.Wrap = readsZeroAsNone }, nil,
			"RS-SCOPE-EVERY-TOOL", reports.Pass},
		"a challenge that 2025-03-26 has without metadata": {func(o *reference.Options) { o.Wrap = challengesFirstRevisionBarely }, nil,
			"RS-CHALLENGE-RESOURCE-METADATA", reports.Pass},
		"an expired token of a second issuer that is not trusted": {nil, func(c *suites.Config) {
			c.SecondIssuer = idp.NewSecond("https://third.example", c.URL)
		}, "RS-TOKEN-EXPIRED", reports.Inconclusive},
		"an expired token, and the first tool never runs": {firstNeverRuns, nil, "RS-TOKEN-EXPIRED", reports.Pass},
		"an introspection answer that is kept, also while introspection fails": {func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.IntrospectAgain)
		}, nil, "RS-TOKEN-INTROSPECTION-FAIL-CLOSED", reports.Pass},
		"an introspected scope, and the first tool never runs": {firstNeverRuns, nil, "RS-TOKEN-INTROSPECTION-CLAIMS", reports.Pass},
		"a tool with alternative scopes, in sessions":          {nil, onlyAlternatives, "RS-SESSION-SCOPE-PER-REQUEST", reports.Pass},
		"a tool that runs with any token, in sessions": {nil, declaring("whoami", "notes:write"),
			"RS-SESSION-SCOPE-PER-REQUEST", reports.Pass},
		"no tool runs with its scopes, nor with all": {noTools, nil, "RS-SCOPE-DOWNSCOPED-OK", reports.Inconclusive},
		"a place for a stream that is free again late": {func(o *reference.Options) { o.Policy.OneStream = 2500 * time.Millisecond }, nil,
			"RS-SESSION-EVENT-ISOLATION", reports.Pass},
		"an introspected scope for a tool that never runs": {noTools, nil, "RS-TOKEN-INTROSPECTION-CLAIMS", reports.Inconclusive},
		"tokens for any resource, none of which is served": {func(o *reference.Options) {
			opaque(o)
			o.Behaviour.IgnoresResource = true
			o.Policy.Accepts = func(claims map[string]any) bool { return claims["client_id"] == "nobody" }
		}, func(c *suites.Config) {
			c.Token, c.Issuer, c.SharedSecret, c.Introspection, c.Verification = "", nil, suites.SharedSecret{}, nil, nil
		}, "AS-RES-AUDIENCE-BOUND", reports.Inconclusive},
		"two credentials at a server that fails": {func(o *reference.Options) { o.Wrap = failingAtTwo }, nil,
			"RS-MULTI-CONFLICT", reports.Inconclusive},
		"two credentials for tools that never run": {noTools, nil, "RS-MULTI-CONFLICT", reports.Inconclusive},
		"a status page that counts the sessions": {func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/health" {
						_, _ = io.WriteString(w, `{"status":"ok","sessions":3}`)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		}, nil, "RS-CHALLENGE-SIDE-ROUTES", reports.Pass},
		"a firewall, and API keys":    {func(o *reference.Options) { o.Wrap = headerFirewall }, nil, "RS-APIKEY-REJECTED", reports.Pass},
		"a firewall, and session ids": {func(o *reference.Options) { o.Wrap = headerFirewall }, nil, "RS-SESSION-UNKNOWN-ID", reports.Pass},
		"a firewall that bans an address for a session id": {func(o *reference.Options) { o.Wrap = banning() }, nil,
			"RS-SESSION-UNKNOWN-ID", reports.Inconclusive},
		"a status page of a server that is not well": {func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/health" {
						http.Error(w, "degraded", http.StatusServiceUnavailable)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		}, nil, "RS-CHALLENGE-SIDE-ROUTES", reports.Pass},
		"a document that follows X-Forwarded-Host, behind a cache": {func(o *reference.Options) {
			flawed("root-document-host-derived")(o)
			cached(o)
		}, nil, "RS-DISC-HOST-HEADER", reports.Warn},
		"a token without aud, whatever else it has": {missing(mcpserver.RequireAudience), nil, "RS-AUD-OTHER-CLAIM", reports.Pass},
		"a caller that is told on two lines": {func(o *reference.Options) { o.Wrap = inTwoLines }, nil,
			"RS-SCOPE-OBJECT-OWNERSHIP", reports.Pass},
		"reads of URIs only": {func(o *reference.Options) { o.Wrap = onlyURIs }, nil,
			"RS-TRANSPORT-HEADER-MISMATCH", reports.Pass},
		"what does not exist is forbidden, and fields are compared first": {forbidsUnknown(false), nil,
			"RS-TRANSPORT-HEADER-MISMATCH", reports.Pass},
		"what does not exist is forbidden, before fields are compared": {forbidsUnknown(true), nil,
			"RS-TRANSPORT-HEADER-MISMATCH", reports.Inconclusive},
		"an answer that a cache keeps and verifies": {saying("Cache-Control", "public, max-age=0, must-revalidate"), nil,
			"RS-TRANSPORT-CACHE", reports.Pass},
		"a second field for keys, compared by their beginning": {func(o *reference.Options) {
			o.Static = reference.Credentials()
			var good string
			for _, c := range o.Static {
				if c.Header != "" && c.Limit == 0 && c.Tools == nil {
					good = c.Value
				}
			}
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.Header.Get("X-Admin-Key"), second[:12]) {
						r.Header.Set(mcpserver.KeyHeader, good)
					}
					next.ServeHTTP(w, r)
				})
			}
		}, withAdminKey, "RS-APIKEY-REJECTED", reports.Fail},
		"a second field for keys, whose garbage is a user": {adminKeys(func(h http.Header) bool {
			key := h.Get("X-Admin-Key")
			return key == second || key == "garbage" && h.Get("Authorization") == ""
		}), withAdminKey, "RS-MULTI-NO-FALLTHROUGH", reports.Fail},
		"a second field for keys, beside which no token counts": {adminKeys(func(h http.Header) bool {
			if h.Get("X-Admin-Key") != second {
				return false
			}
			h.Del("Authorization")
			return true
		}), withAdminKey, "RS-MULTI-CONFLICT", reports.Warn},
		"a second field for keys, beside which the first is not read": {
			adminKeys(func(h http.Header) bool { return h.Get("X-Admin-Key") == second }), withAdminKey, "RS-MULTI-CONFLICT", reports.Warn},
		"a second field for keys, which must be alone": {adminKeys(func(h http.Header) bool {
			return h.Get("X-Admin-Key") == second && h.Get(mcpserver.KeyHeader) == ""
		}), withAdminKey, "RS-MULTI-CONFLICT", reports.Pass},
		"a second field for keys, which is not read": {adminKeys(func(http.Header) bool { return false }), withAdminKey,
			"RS-MULTI-EACH-ALONE", reports.Warn},
		"a second field for keys, like the first": {adminKeys(func(h http.Header) bool { return h.Get("X-Admin-Key") == second }), withAdminKey,
			"RS-MULTI-NO-FALLTHROUGH", reports.Pass},
	})
}

const adminKey = "adm_0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// adminKeys treats some requests with a key in a second header field like those with the ordinary key. The server also refuses a request
// with a good key and a token, as the reference does.
func adminKeys(good func(h http.Header) bool) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Static = reference.Credentials()
		i := slices.IndexFunc(o.Static, func(c mcpserver.Static) bool { return c.Header != "" && c.Limit == 0 && c.Tools == nil })
		ordinary := o.Static[i].Value
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Admin-Key") != "" {
					r.Header.Set(mcpserver.KeyHeader, map[bool]string{true: ordinary, false: "garbage"}[good(r.Header)])
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}
