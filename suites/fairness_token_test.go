package suites_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// opaque issues access tokens that cannot be read: they have no claims, and introspection is not available.
func opaque(o *reference.Options) {
	o.Behaviour.Opaque = "at_"
	o.Behaviour.Metadata = func(_ string, d map[string]any) { delete(d, "introspection_endpoint") }
}

// unseen issues opaque access tokens whose user the authorization server tells nobody.
func unseen(o *reference.Options) {
	opaque(o)
	o.Behaviour.Metadata = func(_ string, d map[string]any) {
		delete(d, "introspection_endpoint")
		delete(d, "userinfo_endpoint")
	}
}

// pairwise are ID tokens that name the user in another way than the MCP server.
func pairwise(o *reference.Options) {
	unseen(o)
	o.Behaviour.IDToken = func(_, claims map[string]any) { claims["sub"] = "p8Kq2" }
}

func requestingOpenID(c *suites.Config) { c.Scopes = append(slices.Clone(c.Scopes), "openid") }

// firewall refuses requests that have __proto__ or an operator of a database in their body.
func firewall(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body := answer.Peek(r); bytes.Contains(body, []byte("__proto__")) || bytes.Contains(body, []byte("regex")) {
				http.Error(w, "Forbidden", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func sideDoor(o *reference.Options)     { o.Behaviour.Lacks = []idp.Defence{idp.NoSideDoor} }
func keepsTokens(o *reference.Options)  { o.Behaviour.Lacks = []idp.Defence{idp.RefreshExpires} }
func widensOpaque(o *reference.Options) { opaque(o); o.Behaviour.Lacks = []idp.Defence{idp.NoWidening} }

// malformedIsBadRequest answers a field that does not match the grammar of a token with HTTP 400 (RFC 6750 section 3.1).
func malformedIsBadRequest(o *reference.Options) {
	opaque(o)
	field := regexp.MustCompile(`(?i)^Bearer +[A-Za-z0-9._~+/-]+=*$`)
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sent := r.Header.Get("Authorization"); strings.HasPrefix(sent, "Bearer ") && !field.MatchString(sent) {
				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_request"`)
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// quirk is a quirk of an authorization server.
func quirk(name string) func(o *reference.Options) {
	return quirks.Servers[slices.IndexFunc(quirks.Servers, func(q quirks.Quirk) bool { return q.Name == name })].Bend
}

// keysForNobody declares the clients with keys as clients with which users sign in, which the server refuses.
func keysForNobody(c *suites.Config) {
	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		c.Clients[i].Machine = c.Clients[i].Machine && c.Clients[i].Key == ""
	}
}

// revokesPairs ends a refresh token with its access token, and then answers its revocation with an error.
func revokesPairs(b *idp.Behaviour) {
	var mu sync.Mutex
	pairs, ended := map[string]string{}, map[string]bool{}
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			a := answer.Of(next, r)
			mu.Lock()
			defer mu.Unlock()
			var tokens struct {
				Access  string `json:"access_token"`
				Refresh string `json:"refresh_token"`
			}
			if json.Unmarshal(a.Body.Bytes(), &tokens) == nil && tokens.Refresh != "" {
				pairs[tokens.Access] = tokens.Refresh
			}
			if ended[form.Get("token")] || ended[form.Get("refresh_token")] {
				a.Status = http.StatusBadRequest
				a.Say(`{"error":"invalid_grant"}`)
			}
			if r.URL.Path == "/revoke" {
				ended[pairs[form.Get("token")]] = true
				delete(ended, "")
			}
			a.Send(w)
		})
	}
}

// confidentialRefresh issues no refresh tokens to public clients.
func confidentialRefresh(b *idp.Behaviour) { b.NoPublicRefresh = true }

// refreshesForOthers does not compare the client of a refresh token.
func refreshesForOthers(b *idp.Behaviour) {
	confidentialRefresh(b)
	b.Lacks = []idp.Defence{idp.RefreshClient}
}

// refreshesForSecretsOnly does the same, and refuses every refresh without a secret.
func refreshesForSecretsOnly(b *idp.Behaviour) {
	refreshesForOthers(b)
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := string(answer.Peek(r))
			secret := strings.Contains(body, "client_secret=") || r.Header.Get("Authorization") != ""
			if strings.Contains(body, "grant_type=refresh_token") && !secret {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// keepsOldTokens lets confidential clients, whose refresh tokens need not rotate, use the earlier ones.
func keepsOldTokens(b *idp.Behaviour) {
	confidentialRefresh(b)
	b.Lacks = []idp.Defence{idp.OldRefreshDies}
}

// refreshesWithAccess accepts access tokens as refresh tokens, of confidential clients.
func refreshesWithAccess(b *idp.Behaviour) {
	confidentialRefresh(b)
	b.Lacks = []idp.Defence{idp.KnowTokenType}
}

// shuffledAudience names the userinfo endpoint as an audience too, in turn before the resource and after it.
func shuffledAudience(o *reference.Options) {
	var issued atomic.Int32
	o.Behaviour.AccessToken = func(_, claims map[string]any) {
		if both := []any{claims["aud"], "https://as.example/userinfo"}; issued.Add(1)%4 < 2 {
			claims["aud"] = []any{both[1], both[0]}
		} else {
			claims["aud"] = both
		}
	}
}

func refreshesNever(b *idp.Behaviour) { b.NoRefreshTokens = true }

// confidentialRevocation lets clients without a secret neither refresh nor revoke.
func confidentialRevocation(b *idp.Behaviour) {
	confidentialRefresh(b)
	authenticatedRevocation(b)
}

// authenticatedRevocation lets only clients with a secret revoke.
func authenticatedRevocation(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			if strings.HasSuffix(r.URL.Path, "/revoke") && r.Header.Get("Authorization") == "" && !strings.Contains(string(body), "client_secret=") {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// formsOnly makes userinfo accept POST only with a form, which may contain the token (RFC 6750 section 2.2).
func formsOnly(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
			if strings.HasSuffix(r.URL.Path, "/userinfo") && r.Method == http.MethodPost && !form {
				http.Error(w, "", http.StatusUnsupportedMediaType)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// forbids makes userinfo refuse with HTTP 403.
func forbids(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/userinfo", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusUnauthorized {
				a.Status = http.StatusForbidden
			}
		})
	}
}

// approvedForGood keeps approvals for a client, whatever the scope, and issues tokens that cannot be read. It knows one redirect URI.
func approvedForGood(o *reference.Options) {
	silent(o)
	o.Behaviour.Consent = "client"
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Query().Get("redirect_uri"), "/second") {
				http.Error(w, "The redirect URI is not known.", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// failsAtTheSixth answers the sixth token request of a run with HTTP 500, as a server does that fails now and then.
func failsAtTheSixth(b *idp.Behaviour) { failsAt(b, "/token", func(n int32) bool { return n == 6 }) }

// failsAt answers requests for an endpoint with a server error, by their number there, from 1.
func failsAt(b *idp.Behaviour, at string, fails func(n int32) bool) {
	var asked atomic.Int32
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Failing(next, at, func() bool { return fails(asked.Add(1)) })
	}
}

// failsInTheRace answers refreshes with the four refresh tokens before the race, and those with any other with HTTP 500.
func failsInTheRace(b *idp.Behaviour) {
	var mu sync.Mutex
	served := map[string]bool{}
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			sent, _ := url.ParseQuery(string(body))
			mu.Lock()
			value := sent.Get("refresh_token")
			if len(served) < 4 && value != "" {
				served[value] = true
			}
			known := value == "" || served[value]
			mu.Unlock()
			if !known {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// postOnly lists no other method for clients with a secret than the secret in the body.
func postOnly(_ string, d map[string]any) {
	for _, endpoint := range []string{"token", "revocation", "introspection"} {
		d[endpoint+"_endpoint_auth_methods_supported"] = []string{"none", "client_secret_post"}
	}
}

// revokesByURL reads the query of revocations too, and has clients that send their secret in the body only.
func revokesByURL(b *idp.Behaviour) {
	confidentialRevocation(b)
	b.Metadata = postOnly
	authenticated := b.Wrap
	b.Wrap = func(next http.Handler) http.Handler {
		next = authenticated(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/revoke") && r.URL.RawQuery != "" {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body) + "&" + r.URL.RawQuery))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// confirmsWithout confirms revocations with HTTP 204.
func confirmsWithout(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/revoke", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusOK {
				a.Status = http.StatusNoContent
				a.Body.Reset()
			}
		})
	}
}

// encrypts makes userinfo answer with claims that only the client's key decrypts (OpenID Connect Core section 5.3.2).
func encrypts(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/userinfo", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusOK {
				a.Fields.Set("Content-Type", "application/jwt")
				a.Say("eyJhbGciOiJFQ0RILUVTIn0..c29tZQ.dGhpbmc.ZWxzZQ")
			}
		})
	}
}

// silent issues opaque access tokens, and does not state their scope.
func silent(o *reference.Options) {
	opaque(o)
	o.Behaviour.Response = func(endpoint string, members map[string]any) {
		if endpoint == "/token" {
			delete(members, "scope")
		}
	}
}

// namesNoScope leaves the scope out of access tokens and introspection, where it is optional.
func namesNoScope(b *idp.Behaviour) {
	b.AccessToken = func(_, claims map[string]any) { delete(claims, "scope") }
	b.Response = func(endpoint string, members map[string]any) {
		if endpoint == "/introspect" {
			delete(members, "scope")
		}
	}
}

// shortUserCodes tells devices user codes of four characters.
func shortUserCodes(b *idp.Behaviour) {
	code := regexp.MustCompile(`"user_code": ?"[^"]*"`)
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/device_authorization", func(_ *http.Request, a *answer.Answer) {
			body := code.ReplaceAll(a.Body.Bytes(), []byte(`"user_code":"BCDF"`))
			a.Body.Reset()
			a.Body.Write(body)
		})
	}
}

// impatientDevices answers slow_down to each poll for a device code but the first (RFC 8628 section 3.5).
func impatientDevices(b *idp.Behaviour) {
	var polled sync.Map
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			form, _ := url.ParseQuery(string(body))
			if code := form.Get("device_code"); code != "" {
				if _, again := polled.LoadOrStore(code, true); again {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, `{"error":"slow_down"}`)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// failsForDevices answers each request for a device code but the first with a server error.
func failsForDevices(b *idp.Behaviour) {
	failsAt(b, "/device_authorization", func(n int32) bool { return n > 1 })
}

// oneClientForAll gives each public client with the same redirect URIs the same client_id.
func oneClientForAll(b *idp.Behaviour) {
	var first sync.Map
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			var m map[string]any
			if !strings.HasSuffix(r.URL.Path, "/register") || json.Unmarshal(body, &m) != nil || m["token_endpoint_auth_method"] != "none" {
				next.ServeHTTP(w, r)
				return
			}
			a, _ := first.LoadOrStore(fmt.Sprint(m["redirect_uris"]), sync.OnceValue(func() *answer.Answer { return answer.Of(next, r) }))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(a.(func() *answer.Answer)().Body.Bytes())
		})
	}
}

// unmarked says nothing of the kind of a token at introspection, and fails at the n-th request there.
func unmarked(n int32) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		b.Lacks = []idp.Defence{idp.IntrospectTypes}
		b.Response = func(endpoint string, members map[string]any) {
			if endpoint == "/introspect" {
				delete(members, "token_type")
			}
		}
		failsAt(b, "/introspect", func(asked int32) bool { return asked == n })
	}
}

// loginAnywhere shows the login page where a device's user is not signed in, and after signing out.
func loginAnywhere(b *idp.Behaviour) { b.LoginAnywhere = true }

// registeredDevices offers the device grant to clients that have registered it only.
func registeredDevices(b *idp.Behaviour) {
	b.DevicesRegister = true
	b.ConfirmsGrant = func(grant string) bool { return strings.HasSuffix(grant, ":device_code") }
}

// opaqueToClients issues access tokens that say nothing to their clients; introspection does.
func opaqueToClients(o *reference.Options) { o.Behaviour.Opaque = "at_" }

// refusesFragments answers invalid_request to a token request whose redirect URI has a fragment, which no redirect URI may have (RFC 6749
// section 3.1.2).
func refusesFragments(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			a := answer.Of(next, r)
			if r.URL.Path == "/token" && strings.Contains(form.Get("redirect_uri"), "#") {
				a.Status = http.StatusBadRequest
				a.Say(`{"error":"invalid_request"}`)
			}
			a.Send(w)
		})
	}
}

// reportsResourceScopesOnly leaves openid out of the scope of token responses: it is not for the resource of the access token.
func reportsResourceScopesOnly(b *idp.Behaviour) {
	b.Response = func(endpoint string, members map[string]any) {
		if scope, ok := members["scope"].(string); ok && endpoint == "/token" {
			members["scope"] = strings.Join(slices.DeleteFunc(strings.Fields(scope), func(s string) bool { return s == "openid" }), " ")
		}
	}
}

// One check judges each token endpoint that is right and differs from the reference, or shows less.
func TestFairnessOfTokens(t *testing.T) {
	t.Parallel()
	limited := func(status int) func(o *reference.Options) {
		return behaving(func(b *idp.Behaviour) { b.LimitOfOthers = status })
	}
	expectFairness(t, map[string]fairness{
		"opaque tokens that are bound to keys, alone":      {opaqueToClients, byLogin, "RS-DPOP-DOWNGRADE", reports.Pass},
		"opaque tokens that are bound to keys, and proofs": {opaqueToClients, byLogin, "RS-DPOP-PROOF", reports.Pass},
		"clients that prove their secret by a MAC": {behaving(func(b *idp.Behaviour) { b.SecretAssertions = true }), nil,
			"AS-TOKEN-WRONG-SECRET", reports.Pass},
		"a redirect URI with a fragment is malformed": {behaving(refusesFragments), nil,
			"AS-TOKEN-CODE-BOUND-REDIRECT", reports.Pass},
		"a limit of errors that holds for all clients of an address":         {limited(429), nil, "AS-RATE-TOKEN-429", reports.Pass},
		"a limit of errors that holds for all clients of an address, by 503": {limited(503), nil, "AS-RATE-TOKEN-429", reports.Pass},
		"a limit of errors that ends the grants of others":                   {limited(400), nil, "AS-RATE-TOKEN-429", reports.Warn},
		"a limit of all token requests of an address": {quirk("token-limit-per-address"), nil, "AS-RATE-TOKEN-429",
			reports.Pass},
		"a second refresh endpoint with the rules of the first":    {sideDoor, nil, "AS-REFRESH-SIDE-ENDPOINTS", reports.Pass},
		"opaque tokens, a narrower refresh":                        {opaque, nil, "AS-REFRESH-SCOPE-NARROW", reports.Pass},
		"opaque tokens, a wider refresh":                           {opaque, nil, "AS-REFRESH-SCOPE-WIDEN", reports.Pass},
		"opaque tokens that a refresh widens":                      {widensOpaque, nil, "AS-REFRESH-SCOPE-WIDEN", reports.Fail},
		"opaque tokens, a narrower refresh, no scope in responses": {silent, nil, "AS-REFRESH-SCOPE-NARROW", reports.Pass},
		"tokens and introspection that name no scope":              {behaving(namesNoScope), nil, "AS-CC-SECRET-FLOW", reports.Inconclusive},
		"opaque tokens, and ID tokens with other names":            {pairwise, requestingOpenID, "AS-REFRESH-SAME-USER", reports.Pass},
		"opaque tokens, whom a refreshed one stands for":           {opaque, nil, "AS-REFRESH-SAME-USER", reports.Pass},
		"refresh tokens that live longer than a year, as declared": {keepsTokens, idleFor(365 * 24 * time.Hour), "AS-REFRESH-EXPIRES",
			reports.Warn},
		"a firewall before the token endpoint, and codes":             {behaving(firewall), nil, "AS-TOKEN-INVALID-CODE", reports.Pass},
		"a firewall before the token endpoint, and refresh tokens":    {behaving(firewall), nil, "AS-REFRESH-INVALID", reports.Pass},
		"a firewall before the token endpoint, and secrets":           {behaving(firewall), nil, "AS-TOKEN-WRONG-SECRET", reports.Pass},
		"nobody signs in with the client that has a key, no verifier": {nil, keysForNobody, "AS-PKCE-REJECT-MISSING-VERIFIER", reports.Pass},
		"nobody signs in with the client that has a key, another one": {nil, keysForNobody, "AS-PKCE-REJECT-WRONG-VERIFIER", reports.Pass},
		"nobody signs in with the client that has a key, a downgrade": {nil, keysForNobody, "AS-PKCE-DOWNGRADE", reports.Pass},
		"nobody signs in with the client that has a key, no challenge": {nil, keysForNobody, "AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL",
			reports.Pass},
		"a refresh token ends with its access token, and is unknown then": {behaving(revokesPairs), nil, "AS-REVOKE-REFRESH-TOKEN",
			reports.Pass},
		"opaque tokens, and a malformed one is a malformed request": {malformedIsBadRequest, nil, "RS-TOKEN-GARBAGE", reports.Pass},
		"confidential clients alone get refresh tokens, and revoke them": {behaving(confidentialRefresh), nil,
			"AS-REVOKE-CLIENT-AUTH", reports.Pass},
		"confidential clients alone refresh": {behaving(confidentialRefresh), nil, "AS-REFRESH-WORKS", reports.Pass},
		"confidential clients alone get refresh tokens, which are listed": {behaving(confidentialRefresh), nil,
			"AS-META-GRANTS-MATCH-BEHAVIOUR", reports.Pass},
		"nobody gets refresh tokens, which are listed": {behaving(refreshesNever), nil,
			"AS-META-GRANTS-MATCH-BEHAVIOUR", reports.Warn},
		"confidential clients alone refresh, with their secrets": {behaving(confidentialRefresh), nil,
			"AS-REFRESH-CONFIDENTIAL-AUTH", reports.Pass},
		"confidential clients alone refresh, and invalid tokens": {behaving(confidentialRefresh), nil, "AS-REFRESH-INVALID", reports.Pass},
		"confidential clients alone refresh, by other clients":   {behaving(confidentialRefresh), nil, "AS-REFRESH-BOUND-CLIENT", reports.Pass},
		"confidential clients alone refresh, for each other":     {behaving(refreshesForOthers), nil, "AS-REFRESH-BOUND-CLIENT", reports.Fail},
		"clients with a secret alone may refresh, for each other": {behaving(refreshesForSecretsOnly), nil,
			"AS-REFRESH-BOUND-CLIENT", reports.Fail},
		"confidential clients alone refresh, and revoke": {behaving(confidentialRefresh), nil,
			"AS-REVOKE-REFRESH-TOKEN", reports.Pass},
		"confidential clients alone refresh, for the same user": {behaving(confidentialRefresh), nil, "AS-REFRESH-SAME-USER", reports.Pass},
		"confidential clients alone refresh, and keep the old token": {behaving(keepsOldTokens), nil,
			"AS-REFRESH-OLD-DIES", reports.NotApplicable},
		"confidential clients alone refresh, with access tokens too": {behaving(refreshesWithAccess), nil,
			"AS-TOKEN-TYPE-CONFUSION", reports.Fail},
		"a refresh has to name its resource": {func(o *reference.Options) { o.Behaviour.ResourceAtRefresh = true }, nil,
			"AS-REFRESH-RESOURCE", reports.Pass},
		"ID tokens beside the scopes of the resource": {behaving(reportsResourceScopesOnly), nil, "AS-KEYS-ID-TOKEN", reports.Pass},
		"audiences have no order":                     {shuffledAudience, nil, "AS-REFRESH-RESOURCE", reports.Pass},
		"nobody refreshes":                            {behaving(refreshesNever), nil, "AS-REFRESH-INVALID", reports.NotApplicable},
		"confidential clients alone revoke": {behaving(confidentialRevocation), nil,
			"AS-REVOKE-WRONG-CLIENT", reports.Pass},
		"confidential clients alone revoke, and all refresh": {behaving(authenticatedRevocation), nil, "AS-REFRESH-REVOKED", reports.Pass},
		"a URL does not revoke for confidential clients": {behaving(confidentialRevocation), nil,
			"AS-REVOKE-REQUEST-FORM", reports.Pass},
		"a URL revokes for clients that send their secret in the body": {behaving(revokesByURL), nil,
			"AS-REVOKE-REQUEST-FORM", reports.Fail},
		"userinfo reads a POST as a form, as the token is in it": {behaving(formsOnly), nil, "AS-USERINFO-SHAPE", reports.Pass},
		"userinfo encrypts":                            {behaving(encrypts), nil, "AS-USERINFO-HYGIENE", reports.Inconclusive},
		"userinfo forbids what others answer with 401": {behaving(forbids), nil, "AS-USERINFO-TOKEN-STATE", reports.Warn},
		"a proxy forbids at userinfo what others answer with 401": {func(o *reference.Options) {
			o.Proxy = true
			forbids(&o.Behaviour)
		}, nil, "AS-PROXY-UPSTREAM-TOKEN-NOT-GRANT", reports.Warn},
		"a short user code of a device":                {behaving(shortUserCodes), nil, "AS-DEVICE-GRANT", reports.Warn},
		"devices of clients that registered the grant": {behaving(registeredDevices), nil, "AS-DEVICE-GRANT", reports.Pass},
		"devices of clients that registered the grant, and need no user": {func(o *reference.Options) {
			o.Behaviour.Lacks = []idp.Defence{idp.DeviceNeedsUser}
			registeredDevices(&o.Behaviour)
		}, nil, "AS-DEVICE-GRANT", reports.Fail},
		"devices whose page signs users in": {behaving(loginAnywhere), nil, "AS-DEVICE-GRANT", reports.Pass},
		"devices that poll too soon":        {behaving(impatientDevices), nil, "AS-DEVICE-GRANT", reports.Pass},
		"devices that poll too soon, with the codes of others": {func(o *reference.Options) {
			o.Behaviour.Lacks = []idp.Defence{idp.DeviceClientToTheEnd}
			impatientDevices(&o.Behaviour)
		}, nil, "AS-DEVICE-GRANT", reports.Fail},
		"device codes that are not issued are not the same one": {behaving(failsForDevices), nil, "AS-DEVICE-GRANT", reports.Inconclusive},
		"refresh tokens and access tokens without their kinds":  {behaving(unmarked(0)), nil, "AS-INTROSPECT-REFRESH-TOKEN", reports.Warn},
		"introspection that the metadata does not name, for its clients": {func(o *reference.Options) {
			o.Behaviour.Metadata = func(_ string, d map[string]any) { delete(d, "introspection_endpoint") }
		}, nil, "AS-INTROSPECT-SIDE-ENDPOINTS", reports.Pass},
		"refresh tokens without their kind, and one server error about the access token": {behaving(unmarked(2)), nil,
			"AS-INTROSPECT-REFRESH-TOKEN", reports.Warn},
		"the access token that a client holds already, and one client for all": {func(o *reference.Options) {
			opaque(o)
			o.Behaviour.ReusesTokens = true
			oneClientForAll(&o.Behaviour)
		}, nil, "AS-TOKEN-RANDOM", reports.Warn},
		"introspection with null members": {behaving(func(b *idp.Behaviour) {
			b.Response = told(func(m map[string]any) { m["username"], m["nbf"], m["aud"] = nil, nil, nil })
		}), nil, "AS-INTROSPECT-ACTIVE-SHAPE", reports.Pass},
		"introspection that tells the resource server less": {func(o *reference.Options) {
			byResourceServer(o)
			o.Behaviour.Response = told(func(m map[string]any) { m["scope"] = "" })
		}, introspecting, "AS-INTROSPECT-ACTIVE-SHAPE", reports.Pass},
		"introspection by a clock that is ahead": {func(o *reference.Options) { o.Behaviour.ClockAhead = 2 * time.Minute }, nil,
			"AS-INTROSPECT-ACTIVE-SHAPE", reports.Pass},
		"client_secret_post alone, and Basic is accepted": {func(o *reference.Options) {
			o.Behaviour.Metadata = postOnly
			o.Behaviour.TakesSecret = func(right, sent, method string) bool { return right == sent && method == "client_secret_basic" }
		}, nil, "AS-TOKEN-METHOD-PINNED", reports.Warn},
		"client_secret_post alone": {func(o *reference.Options) { o.Behaviour.Metadata = postOnly }, nil,
			"AS-TOKEN-METHOD-PINNED", reports.Pass},
		"the access token that a client holds already": {func(o *reference.Options) { opaque(o); o.Behaviour.ReusesTokens = true }, nil,
			"AS-TOKEN-RANDOM", reports.Warn},
		"the refresh token that a client holds already": {func(o *reference.Options) {
			o.Behaviour.ReusesRefresh, o.Behaviour.Lacks = true, []idp.Defence{idp.RotateRefresh}
		}, nil, "AS-REFRESH-RANDOM", reports.Pass},
		"DPoP proofs with a nonce": {func(o *reference.Options) { o.Behaviour.ProofNonce = true }, nil,
			"AS-DPOP-BINDING", reports.Pass},
		"refresh tokens that live for 30 days, as declared": {nil, idleFor(30 * 24 * time.Hour), "AS-REFRESH-EXPIRES", reports.Pass},
		"an ordinary code fails once":                       {behaving(failsAtTheSixth), nil, "AS-TOKEN-RANDOM", reports.Pass},
		"refreshes at once are not answered":                {behaving(failsInTheRace), nil, "AS-REFRESH-RACE", reports.Inconclusive},
		"userinfo forbids strangers":                        {behaving(forbids), nil, "AS-USERINFO-UNAUTHENTICATED", reports.Warn},
		"opaque tokens, and nothing says what they may do":  {silent, nil, "AS-TOKEN-SCOPE-REPORTED", reports.NotApplicable},
		"opaque tokens, and one approval for everything":    {approvedForGood, nil, "AS-CONSENT-NEW-SCOPE", reports.Warn},
		"revocations are confirmed with HTTP 204":           {behaving(confirmsWithout), nil, "AS-REVOKE-REFRESH-KILLS-ACCESS", reports.Warn},
		"a refresh token is revoked with HTTP 204":          {behaving(confirmsWithout), nil, "AS-REFRESH-REVOKED", reports.Pass},
	})
}

func idleFor(idle time.Duration) func(c *suites.Config) {
	return func(c *suites.Config) { c.Lifetimes.Refresh = idle }
}

// withScopeOfTheServer gives every token a scope of the server's own, which is seen only in tokens of an exchange. An exchange for scopes
// that the subject token has not is answered with those that it has.
func withScopeOfTheServer(b *idp.Behaviour) {
	var exchanging atomic.Bool
	b.Metadata = func(_ string, d map[string]any) { delete(d, "introspection_endpoint") }
	b.AccessToken = func(_, claims map[string]any) {
		scope, _ := claims["scope"].(string)
		if claims["scope"] = scope + " base"; !exchanging.Load() {
			delete(claims, "scope")
		}
	}
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			exchange := strings.HasSuffix(form.Get("grant_type"), "token-exchange")
			if exchanging.Store(exchange); exchange && b.Lacks == nil {
				form.Del("scope")
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(form.Encode())), int64(len(form.Encode()))
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestFairnessOfExchanges(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a scope of the server, seen only after the exchange": {behaving(withScopeOfTheServer), nil, "AS-TX-VALIDATION", reports.Pass},
		"a scope of the server, and one that the subject token has not": {behaving(func(b *idp.Behaviour) {
			b.Lacks = []idp.Defence{idp.ExchangeNarrows}
			withScopeOfTheServer(b)
		}), nil, "AS-TX-VALIDATION", reports.Warn},
		"a scope that nothing shows": {func(o *reference.Options) {
			silent(o)
			o.Behaviour.Lacks = []idp.Defence{idp.ExchangeNarrows}
		}, nil, "AS-TX-VALIDATION", reports.Inconclusive},
		"a resource like the own one, whose audience nothing shows": {func(o *reference.Options) {
			opaque(o)
			o.Behaviour.Lacks = []idp.Defence{idp.WholeResource}
		}, nil, "AS-RES-CANONICAL-VARIANTS", reports.Inconclusive},
		"a foreign resource, whose audience nothing shows": {behaving(func(b *idp.Behaviour) {
			b.Opaque, b.Lacks = "at_", []idp.Defence{idp.CodeResources, idp.KnownResources}
			b.Response = func(endpoint string, members map[string]any) {
				if endpoint == "/introspect" {
					delete(members, "aud")
				}
			}
		}), nil, "AS-CC-SECRET-FLOW", reports.Inconclusive},
		"a scope that only the response shows": {func(o *reference.Options) {
			opaque(o)
			o.Behaviour.Lacks = []idp.Defence{idp.ExchangeNarrows}
		}, nil, "AS-TX-VALIDATION", reports.Warn},
	})
}

// Assertions that are tried with several grants are new each time: a server may remember the jti even of those that it refuses.
func TestWrongAssertionsAreNewForEachGrant(t *testing.T) {
	t.Parallel()
	o, seen, mu := reference.Ideal(), map[string]bool{}, sync.Mutex{}
	o.Behaviour.Believes = func(_, claims map[string]any) bool {
		exp, _ := claims["exp"].(float64)
		return exp > 0 && exp < float64(time.Now().Unix())
	}
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			assertion := form.Get("client_assertion")
			mu.Lock()
			again := assertion != "" && seen[assertion]
			seen[assertion] = true
			mu.Unlock()
			if again {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Skip, cfg.Only = nil, []string{"AS-CIMD-KEY-AUTH-ENFORCED"}
	var found []string
	for _, r := range against.Run(t, cfg).Results {
		for _, f := range r.Findings {
			found = append(found, f.Said().String())
		}
	}
	assert.Contains(t, strings.Join(found, "\n"), "sent: a refresh, expired")
}

// told changes what introspection answers about an active token.
func told(bend func(members map[string]any)) func(endpoint string, members map[string]any) {
	return func(endpoint string, members map[string]any) {
		if endpoint == "/introspect" && members["active"] == true {
			bend(members)
		}
	}
}

// failsOnce answers some of the requests with an assertion with HTTP 500, and counts those that come again after it.
func failsOnce(at []int, again *[]string) func(b *idp.Behaviour) {
	var mu sync.Mutex
	count, failed := 0, map[string]bool{}
	return func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				form, _ := url.ParseQuery(string(answer.Peek(r)))
				assertion := cmp.Or(form.Get("assertion"), form.Get("client_assertion"))
				if !strings.HasSuffix(r.URL.Path, "/token") || assertion == "" {
					next.ServeHTTP(w, r)
					return
				}
				mu.Lock()
				count++
				fails := slices.Contains(at, count)
				if failed[assertion] {
					*again = append(*again, assertion)
				}
				failed[assertion] = failed[assertion] || fails
				mu.Unlock()
				if fails {
					http.Error(w, "out of memory", http.StatusInternalServerError)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// A wrong assertion that gets a server error has a new jti when it is sent again: a server may remember that of the first.
func TestWrongAssertionsAreNewAfterAServerError(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"AS-CC-ASSERTION-REJECTED", "AS-EMA-SIGNATURE-REJECTED", "AS-EMA-CLAIMS-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED",
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			var again []string
			o := reference.Ideal()
			failsOnce([]int{5, 9, 14}, &again)(&o.Behaviour)
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Skip, cfg.Only = nil, []string{id}
			for _, r := range against.Run(t, cfg).Results {
				assert.Equal(t, reports.Pass, r.Verdict, "%s: %s", r.ID, r.Reason)
			}
			assert.Empty(t, again, "assertions are sent again as they were")
		})
	}
}
