// Package quirks has right servers that differ from the ideal reference. Each does one thing that real servers do, that clients do not
// expect, and that no clause forbids. No check may fail because of a quirk.
package quirks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Quirk is one variation of the reference.
type Quirk struct {
	Name string
	// Says describes the behaviour in one sentence.
	Says string
	// Allows is the clause that allows it, or that leaves it open.
	Allows string
	Bend   func(o *reference.Options)
}

// All are the quirks.
var All = []Quirk{
	{
		Name: "lists-in-pages", Says: "A page of a list has three entries.",
		Allows: "MCP Pagination: the server determines the page size, and clients must not assume a fixed one.",
		Bend:   func(o *reference.Options) { o.Policy.Pages = func(string) int { return 3 } },
	},
	{
		Name: "first-page-empty", Says: "The first page of each list is empty, and names the second.",
		Allows: "MCP Pagination: the server determines the page size, and the end of a list is a missing nextCursor.",
		Bend:   func(o *reference.Options) { o.Policy.Pages = func(string) int { return -1 } },
	},
	{
		Name: "earlier-grants-end", Says: "A new authorization ends what the same user granted the same client before.",
		Allows: "RFC 6749 section 5.2 has revoked grants (invalid_grant); no clause asks for two grants of a user and a client at a time.",
		Bend:   func(o *reference.Options) { o.Behaviour.EndsEarlierGrants = true },
	},
	{
		Name: "replay-ends-all-grants", Says: "A code that comes back ends every grant of its user.",
		Allows: "OAuth 2.1 section 4.1.3 asks for the tokens of the code to be revoked, and forbids no more.",
		Bend:   func(o *reference.Options) { o.Behaviour.ReplayEndsAllGrants = true },
	},
	{
		Name: "one-refresh-token", Says: "A user and a client have one refresh token: a new one replaces that of an earlier grant.",
		Allows: "RFC 6749 section 1.5: issuing a refresh token is at the discretion of the authorization server.",
		Bend:   func(o *reference.Options) { o.Behaviour.OneRefreshToken = true },
	},
	{
		Name: "key-cooldown", Says: "A key set is not fetched again within 30 seconds, whatever it held.",
		Allows: "OpenID Connect Core section 10.1.1 has verifiers fetch keys again for an unfamiliar kid, and names no interval.",
		Bend:   func(o *reference.Options) { o.Policy.KeyPause = KeyPause },
	},
	{
		Name: "key-cooldown-after-failures", Says: "The key set is not asked for again within 30 seconds, also after a failure.",
		Allows: "OpenID Connect Core section 10.1.1 names no interval; a limit keeps an issuer in trouble from more of it.",
		Bend: func(o *reference.Options) {
			o.Policy.KeyPause, o.Policy.PauseAfterFailures = KeyPause, true
		},
	},
	{
		Name: "ten-key-fetches", Says: "The key set is fetched for unknown kids, at most ten times a minute.",
		Allows: "OpenID Connect Core section 10.1.1 names no interval; ten fetches a minute are the default of a common library.",
		Bend:   func(o *reference.Options) { o.Policy.KeyFetches = 10 },
	},
	{
		Name: "limit-per-token", Says: "Each token has 100 requests a minute.",
		Allows: "RFC 6585 section 4: 429 with Retry-After.",
		Bend:   func(o *reference.Options) { o.Wrap = Limited(RequestsPerMinute, time.Minute) },
	},
	{
		Name: "slow-passwords", Says: "To compare a password takes 300 milliseconds.",
		Allows: "NIST SP 800-63B section 5.1.1.2: passwords are hashed as slowly as the server can afford.",
		Bend:   func(o *reference.Options) { o.Behaviour.HashTime = HashTime },
	},
	{
		Name: "one-sign-in", Says: "Signing in ends the user's login session in another browser.",
		Allows: "No clause of OAuth 2.1 says how long a login session lasts, nor that a user has two.",
		Bend:   func(o *reference.Options) { o.Behaviour.OneSession = true },
	},
	{
		Name: "scope-at-the-door", Says: "Everything needs a base scope, and a tool another one besides.",
		Allows: "RFC 6750 section 3.1: insufficient_scope, for whatever privileges a request requires.",
		Bend:   func(o *reference.Options) { o.Policy.ScopeAtTheDoor = BaseScope },
	},
	{
		Name: "default-scope", Says: "A request that names no scope is granted two.",
		Allows: "RFC 6749 section 3.3: the server uses a pre-defined default where the client omits the scope.",
		Bend:   func(o *reference.Options) { o.Behaviour.RequestDefault = []string{"notes:read", "notes:write"} },
	},
	{
		Name: "offline-access", Says: "Refresh tokens are issued for offline_access with prompt=consent only.",
		Allows: "OpenID Connect Core section 11: offline_access is ignored without prompt=consent.",
		Bend:   func(o *reference.Options) { o.Behaviour.OfflineOnly = true },
	},
	{
		Name: "introspection-by-resource-server", Says: "Only the resource server's client learns about tokens; to others each is inactive.",
		Allows: "RFC 7662 section 2.2: the server answers active=false where the caller may not know about a token.",
		Bend:   func(o *reference.Options) { o.Behaviour.Introspector = Introspector },
	},
	{
		Name: "registration-read-only", Says: "A client can read its registration, but not change or delete it.",
		Allows: "RFC 7592 section 2.3: 405 where the server does not support the method.",
		Bend:   func(o *reference.Options) { o.Behaviour.ReadOnlyRegistration = true },
	},
	{
		Name: "registration-by-type", Says: "Loopback redirect URIs are for application_type native, and https ones for web.",
		Allows: "OpenID Connect Dynamic Client Registration section 2: native clients use custom schemes or loopback, web clients https.",
		Bend:   func(o *reference.Options) { o.Behaviour.TypedRedirects = true },
	},
	{
		Name: "registration-for-machines", Says: "Who registers no redirect URI gets no grant that needs one.",
		Allows: "RFC 7591 section 2: redirect URIs are for clients that use flows with redirection.",
		Bend:   func(o *reference.Options) { o.Behaviour.MachineWithoutRedirects = true },
	},
	{
		Name: "loopback-for-native", Says: "The port of a loopback redirect URI varies for clients of application_type native only.",
		Allows: "RFC 8252 section 7.3 is about native apps; OpenID Connect Registration section 2: application_type is web by default.",
		Bend:   func(o *reference.Options) { o.Behaviour.NativeLoopback = true },
	},
	{
		Name: "code-before-client", Says: "The code is looked up before the client is authenticated.",
		Allows: "RFC 6749 section 5.2 names the errors, and no order in which they are found.",
		Bend:   func(o *reference.Options) { o.Behaviour.CodeFirst = true },
	},
	{
		Name: "errors-in-fragment", Says: "An error about an unknown response_type is sent in the fragment.",
		Allows: "OAuth 2.0 Multiple Response Type Encoding Practices section 2.1: the default mode depends on the response type.",
		Bend:   func(o *reference.Options) { o.Behaviour.FragmentErrors = true },
	},
	{
		Name: "refresh-overlap", Says: "A used refresh token works for another 30 seconds.",
		Allows: "RFC 9700 section 4.14.2 asks for rotation, and leaves open when a used token counts as replayed.",
		Bend:   func(o *reference.Options) { o.Behaviour.ReuseInterval = ReuseInterval },
	},
	{
		Name: "nonce-once", Says: "The MCP server wants a new nonce in each DPoP proof.",
		Allows: "RFC 9449 section 9: a resource server may supply a nonce, and section 8.2 leaves open how long it is good.",
		Bend:   func(o *reference.Options) { o.Policy.DPoPNonce = "once" },
	},
	{
		Name: "refresh-ends-access", Says: "A refresh ends the earlier access tokens of its grant.",
		Allows: "RFC 6749 section 6 says nothing about earlier access tokens: the server may end them.",
		Bend:   func(o *reference.Options) { o.Behaviour.RefreshEndsAccess = true },
	},
	{
		Name: "resource-at-refresh", Says: "A refresh has to name its resource.",
		Allows: "RFC 8707 section 2: the server may require clients to specify the resource, with the error invalid_target.",
		Bend:   func(o *reference.Options) { o.Behaviour.ResourceAtRefresh = true },
	},
	{
		Name: "utf-8-realm", Says: "The challenge has a realm that is not ASCII.",
		Allows: "RFC 9110 section 5.6.4: a quoted string may contain obs-text.",
		Bend:   func(o *reference.Options) { o.Policy.Realm = Realm },
	},
	{
		Name: "moved-openid-document", Says: "The OpenID document is redirected to another path of the same origin.",
		Allows: "RFC 9110 section 15.4: a client may follow a redirect of a GET.",
		Bend:   func(o *reference.Options) { o.Behaviour.MovedOpenID = true },
	},
	{
		Name: "full-metadata", Says: "The metadata has members of OpenID Connect that clients of MCP do not know.",
		Allows: "OpenID Connect Discovery section 3; RFC 8414 section 2: additional members are allowed.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Metadata = func(_ string, d map[string]any) {
				d["request_object_signing_alg_values_supported"] = []string{"RS256"}
				d["claims_parameter_supported"], d["request_parameter_supported"] = false, false
				d["backchannel_authentication_request_signing_alg_values_supported"] = []string{"RS256"}
				d["acr_values_supported"], d["display_values_supported"] = []string{"1"}, []string{"page"}
				d["vendor_extension"] = map[string]any{"a": nil}
			}
		},
	},
	{
		Name: "incomplete-scope-list", Says: "The metadata of the authorization server lists only some of its scopes.",
		Allows: "RFC 8414 section 2: servers may choose not to advertise some supported scope values.",
		Bend: func(o *reference.Options) {
			o.Behaviour.Metadata = func(_ string, d map[string]any) { d["scopes_supported"] = []string{"openid", "notes:read"} }
		},
	},
	{
		Name: "clean-state", Says: "Control characters are removed from state.",
		Allows: "RFC 6749 appendix A.5: state is made of visible characters and spaces, so a value with others may be cleaned.",
		Bend: func(o *reference.Options) {
			o.Behaviour.State = func(v string) (string, bool) { return strings.NewReplacer("\r", "", "\n", "").Replace(v), true }
		},
	},
	{
		Name: "scopes-of-the-client", Says: "A client that registers no scope can use some of the scopes only, as the answer says.",
		Allows: "RFC 7591 section 2: where scope is omitted, the server may register a client with a default set of scopes.",
		Bend: func(o *reference.Options) {
			o.Behaviour.DefaultScopes = []string{
				"notes:read", "mcp:tool:roll_dice", "mcp:tool:flip_coin", "openid", "profile", "email", "offline_access",
			}
		},
	},
	{
		Name: "no-scope-unless-registered", Says: "A client that registers no scope gets tokens without any, and nothing works without one.",
		Allows: "RFC 7591 section 2, and RFC 6749 section 3.3: the server may ignore the requested scopes, and says which it grants.",
		Bend: func(o *reference.Options) {
			o.Behaviour.DefaultScopes, o.Behaviour.DropsScopes = []string{}, true
			o.Policy.ScopeAtTheDoor = "notes:read"
		},
	},
	{
		Name: "root-document", Says: "The metadata is at the root of the origin only, which the challenge names.",
		Allows: "MCP 2025-11-25, Protected Resource Metadata Discovery Requirements: at the path of the endpoint, or at the root.",
		Bend: func(o *reference.Options) {
			o.Policy.Revisions = []string{"2025-11-25", "2026-07-28"}
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.MetadataAtPath)
			o.Wrap = namesRoot
		},
	},
	{
		Name: "sealed-refresh-tokens", Says: "Refresh tokens are JWTs, which the server signs with a secret of its own.",
		Allows: "RFC 6749 section 1.5: a refresh token is usually opaque to the client; nobody but the server reads it.",
		Bend:   func(o *reference.Options) { o.Behaviour.RefreshToken = sealedRefreshToken },
	},
	{
		Name: "awkward-key-set", Says: "The key set has keys that few clients know, and the metadata lists none for request objects.",
		Allows: "RFC 7517 section 5: keys of unknown types are ignored. OpenID Connect Discovery section 3: none for request objects, userinfo.",
		Bend:   awkwardKeys,
	},
	{
		Name: "refusal-ends-session", Says: "A session ends with the first message in it that is refused.",
		Allows: "MCP 2025-11-25, Session Management: the server may terminate the session at any time, and answers 404 after that.",
		Bend:   func(o *reference.Options) { o.Policy.RefusalEndsSession = true },
	},
	{
		Name: "public-version", Says: "At /v1/mcp anybody may use one of the tools that the endpoint has for its users.",
		Allows: "MCP, Authorization: authorization is optional; each endpoint is a resource of its own.",
		Bend:   func(o *reference.Options) { o.Wrap = publicVersion },
	},
	{
		Name: "strict-sessions", Says: "A session is its user's, and serves nothing before notifications/initialized.",
		Allows: "MCP 2025-11-25, Lifecycle: the client sends notifications/initialized before it begins normal operation.",
		Bend:   func(o *reference.Options) { o.Policy.AwaitsInitialized, o.Policy.BindsAnonymous = true, true },
	},
	{
		Name: "public-handshake-strict-sessions", Says: "Anybody may open a session, which is bound to who opened it.",
		Allows: "MCP 2025-11-25, Session Hijacking: session ids SHOULD be bound to information of the user.",
		Bend: func(o *reference.Options) {
			o.Policy.AwaitsInitialized, o.Policy.BindsAnonymous = true, true
			o.Policy.Public = []string{"initialize", "server/discover", "ping", "notifications/initialized"}
		},
	},
	{
		Name: "tokens-for-several", Says: "Access tokens are for three audiences, of which the server is the second.",
		Allows: "RFC 7519 section 4.1.3: aud is an array of strings in the general case.",
		Bend: func(o *reference.Options) {
			o.Behaviour.AccessToken = func(_, claims map[string]any) {
				if aud, is := claims["aud"].(string); is {
					claims["aud"] = []string{"https://as.example/userinfo", aud, "https://more.example/api"}
				}
			}
		},
	},
	{
		Name: "tokens-of-a-provider", Says: "Access tokens have many claims, dates with fractions, and no typ.",
		Allows: "RFC 7519 sections 2, 4.3 and 5.1: a NumericDate may have a fraction, private claims are allowed, typ is optional.",
		Bend:   func(o *reference.Options) { o.Behaviour.AccessToken = likeAProvider },
	},
	{
		Name: "rsa-pss", Says: "Access tokens are signed PS256.",
		Allows: "RFC 7518 section 3.5: RSASSA-PSS with SHA-256.",
		Bend:   func(o *reference.Options) { o.Algorithm = "PS256" },
	},
	{
		Name: "certified-keys", Says: "Keys have certificates and thumbprints, and a URL for a kid.",
		Allows: "RFC 7517 sections 4.5 and 4.7 to 4.9: the structure of kid is not specified; x5c, x5t and x5t#S256 are optional.",
		Bend:   certifiedKeys,
	},
	{
		Name: "clock-leeway", Says: "A token is accepted for 60 seconds after its exp, and before its nbf.",
		Allows: "RFC 7519 section 4.1.4: some small leeway, usually no more than a few minutes.",
		Bend:   func(o *reference.Options) { o.Policy.Leeway = time.Minute },
	},
	{
		Name: "opaque-tokens", Says: "Access tokens say nothing to their clients.",
		Allows: "RFC 6749 section 1.4: the string is usually opaque to the client.",
		Bend:   func(o *reference.Options) { o.Behaviour.Opaque = "at_" },
	},
	{
		Name: "refusals-in-html", Says: "HTTP 401 has an HTML page for a body, and no error_description.",
		Allows: "RFC 9110 section 15.5.2 asks for a challenge, and for no body; RFC 6750 section 3: error_description is optional.",
		Bend: func(o *reference.Options) {
			o.Wrap = refusingWith("text/html; charset=utf-8", "<!doctype html><title>401</title><h1>Unauthorized</h1>\n")
		},
	},
	{
		Name: "refusals-in-json-rpc", Says: "HTTP 401 has a JSON-RPC error without an id for a body, and no error_description.",
		Allows: "MCP, Streamable HTTP: the body of an HTTP error may be a JSON-RPC error response that has no id.",
		Bend: func(o *reference.Options) {
			o.Wrap = refusingWith("application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Unauthorized"}}`)
		},
	},
	{
		Name: "refusals-without-body", Says: "HTTP 401 has no body, and no error_description.",
		Allows: "RFC 9110 section 15.5.2 asks for a challenge, and for no body; RFC 6750 section 3: error_description is optional.",
		Bend:   func(o *reference.Options) { o.Wrap = refusingWith("", "") },
	},
	{
		Name: "hidden-tools", Says: "A tool is hidden from callers without its scope, also when they call it.",
		Allows: "RFC 9110 section 15.5.4: a server may hide what is forbidden; MCP leaves open which tools a caller is shown.",
		Bend:   func(o *reference.Options) { o.Policy.HidesTools = true },
	},
	{
		Name: "scope-refused-without-code", Says: "The challenge of the 403 for a missing scope has no error.",
		Allows: "RFC 6750 section 3: the field is a MUST; section 3.1: the error code is a SHOULD.",
		Bend:   refusingScopes(`Bearer scope="{scope}", resource_metadata="{url}"`),
	},
	{
		Name: "scope-refused-with-another-code", Says: "The challenge of the 403 for a missing scope has the error invalid_token.",
		Allows: "RFC 6750 section 3: the field is a MUST; section 3.1: the error code is a SHOULD.",
		Bend:   refusingScopes(`Bearer error="invalid_token", scope="{scope}", resource_metadata="{url}"`),
	},
	{
		Name: "cancelled-call-unanswered", Says: "A call that its own session cancels gets no answer, and its stream stays open.",
		Allows: "MCP 2025-11-25, Cancellation: the receiver should not send a response for the cancelled request.",
		Bend:   func(o *reference.Options) { o.Wrap = leavesCancelled },
	},
	{
		Name: "late-header", Says: "A stream sends its header with the first event.",
		Allows: "MCP Streamable HTTP: the server answers GET with an event stream, and may send messages on it; no clause says when.",
		Bend:   func(o *reference.Options) { o.Policy.LateHeader = true },
	},
	{
		Name: "one-stream", Says: "A session has one stream, and refuses another one for a moment after its end.",
		Allows: "MCP Streamable HTTP: the client MAY remain connected to multiple streams; no clause has the server keep several from GET.",
		Bend:   func(o *reference.Options) { o.Policy.OneStream = PlaceKept },
	},
	{
		Name: "large-messages-unread", Says: "A message above 300 KiB is left unread, and its connection reset.",
		Allows: "RFC 9110 section 15.5.14: a server that refuses a message for its size may close the connection.",
		Bend:   func(o *reference.Options) { o.Wrap = leavesLargeUnread },
	},
}

// The limits and names of the quirks.
const (
	KeyPause          = 30 * time.Second
	RequestsPerMinute = 100
	HashTime          = 300 * time.Millisecond
	BaseScope         = "notes:read"
	Introspector      = "machine-with-secret"
	ReuseInterval     = 30 * time.Second
	Realm             = "Café Übersee"
	RunTime           = 5 * time.Millisecond
	PlaceKept         = 400 * time.Millisecond
	MostRead          = 300 << 10 // bytes
)

// Limited allows each token a number of requests in a window.
func Limited(most int, window time.Duration) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		var mu sync.Mutex
		began := map[string]time.Time{}
		count := map[string]int{}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := r.Header.Get("Authorization")
			if token == "" || r.URL.Path != "/mcp" {
				h.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			if time.Since(began[token]) > window {
				began[token], count[token] = time.Now(), 0
			}
			count[token]++
			over, left := count[token] > most, window-time.Since(began[token])
			mu.Unlock()
			if over {
				w.Header().Set("Retry-After", strconv.Itoa(int(left/time.Second)+1))
				http.Error(w, "too many requests", http.StatusTooManyRequests)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// leavesLargeUnread resets the connection of a client that sends a large message.
func leavesLargeUnread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp" || r.ContentLength <= MostRead {
			next.ServeHTTP(w, r)
			return
		}
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = connection.Close()
	})
}

// publicVersion serves a second endpoint without authorization, with one tool.
func publicVersion(next http.Handler) http.Handler {
	results := map[string]string{
		"initialize":      `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"public","version":"1"}}`,
		"server/discover": `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"public","version":"1"}}`,
		"tools/list":      `{"tools":[{"name":"weather","inputSchema":{"type":"object"}}]}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/mcp" {
			next.ServeHTTP(w, r)
			return
		}
		var m struct{ Method string }
		result := ""
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			result = results[m.Method]
		}
		if result == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":`+result+"}")
	})
}

// namesRoot makes challenges name the metadata at the root of the origin.
func namesRoot(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&namingRoot{w}, r) })
}

type namingRoot struct{ http.ResponseWriter }

// Unwrap gives access to the Flusher.
func (n *namingRoot) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (n *namingRoot) WriteHeader(status int) {
	fields := n.Header()["Www-Authenticate"]
	for i, f := range fields {
		fields[i] = strings.ReplaceAll(f, "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource")
	}
	n.ResponseWriter.WriteHeader(status)
}

// leavesCancelled never answers a call of whoami that the same session cancels while it runs, and leaves its stream open.
func leavesCancelled(next http.Handler) http.Handler {
	var running sync.Map // a channel for each call, by session
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := answer.Peek(r)
		session := r.Header.Get("Mcp-Session-Id")
		if bytes.Contains(body, []byte(`"notifications/cancelled"`)) {
			if end, runs := running.LoadAndDelete(session); runs {
				close(end.(chan struct{}))
			}
		}
		if session == "" || !bytes.Contains(body, []byte(`"whoami"`)) {
			next.ServeHTTP(w, r)
			return
		}
		end := make(chan struct{})
		running.Store(session, end)
		select {
		case <-end:
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case <-time.After(RunTime):
			running.CompareAndDelete(session, end)
			next.ServeHTTP(w, r)
		}
	})
}

// likeAProvider adds the claims that large identity providers use.
func likeAProvider(header, claims map[string]any) {
	delete(header, "typ")
	now := float64(time.Now().UnixMilli()) / 1000
	for _, date := range []string{"iat", "exp"} {
		if v, is := claims[date].(int64); is {
			claims[date] = float64(v) + 0.25
		}
	}
	if len(claims) == 0 {
		return
	}
	for name, v := range map[string]any{
		"nbf": now - 5.5, "auth_time": now - 60, "azp": claims["client_id"], "ver": "2.0", "acr": "1", "amr": []string{"pwd", "mfa"},
		"sid": "f2b6f6c4", "roles": []string{}, "groups": []string{"staff", "été"}, "email_verified": true, "locale": nil,
		"realm_access": map[string]any{"roles": []string{"offline_access"}}, "https://claims.example/plan": map[string]any{"n": 1.5},
	} {
		claims[name] = v
	}
}

// certifiedKeys publishes certificates with the keys. One key has a URL as its kid.
func certifiedKeys(o *reference.Options) {
	const kid = "https://as.example/keys/2026?version=1#ec"
	o.Behaviour.Certificates = true
	o.Behaviour.JWKS = func(d map[string]any) {
		for _, k := range d["keys"].([]any) {
			if k := k.(map[string]any); k["kid"] == "ec-1" {
				k["kid"] = kid
			}
		}
	}
	o.Behaviour.AccessToken = func(header, _ map[string]any) {
		if header["kid"] == "ec-1" {
			header["kid"] = kid
		}
	}
}

// refusingWith makes the MCP server answer 401 with another body, and without error_description.
func refusingWith(mediaType, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" {
				w = &refusing{ResponseWriter: w, mediaType: mediaType, body: body}
			}
			next.ServeHTTP(w, r)
		})
	}
}

type refusing struct {
	http.ResponseWriter
	mediaType, body string
	done            bool
}

// Unwrap gives access to the Flusher.
func (w *refusing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var describing = regexp.MustCompile(`, error_description="[^"]*"`)

// WriteHeader replaces the body of a refusal.
func (w *refusing) WriteHeader(status int) {
	if status != http.StatusUnauthorized {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	h := w.Header()
	for i, field := range h["Www-Authenticate"] {
		h["Www-Authenticate"][i] = describing.ReplaceAllString(field, "")
	}
	h.Del("Content-Length")
	if h.Del("Content-Type"); w.mediaType != "" {
		h.Set("Content-Type", w.mediaType)
	}
	w.ResponseWriter.WriteHeader(status)
	_, _ = io.WriteString(w.ResponseWriter, w.body)
	w.done = true
}

// Write drops the body of a refusal.
func (w *refusing) Write(b []byte) (int, error) {
	if w.done {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// sealedRefreshToken returns a JWT with a random id, signed with a random secret.
func sealedRefreshToken() string {
	encode := base64.RawURLEncoding.EncodeToString
	random := seeded.Fakes.Bytes(64)
	header := encode([]byte(`{"alg":"HS512","typ":"JWT","kid":"refresh"}`))
	input := header + "." + encode([]byte(`{"typ":"Refresh","jti":"`+encode(random[:16])+`"}`))
	seal := hmac.New(sha512.New, random)
	seal.Write([]byte(input))
	return input + "." + encode(seal.Sum(nil))
}

// awkwardKeys adds a key of an unknown type, one on a rare curve, an encryption key, and null members.
func awkwardKeys(o *reference.Options) {
	o.Behaviour.JWKS = func(d map[string]any) {
		for _, k := range d["keys"].([]any) {
			k.(map[string]any)["d"] = nil
			k.(map[string]any)["key_ops"] = []string{"verify"}
		}
		d["keys"] = append(d["keys"].([]any),
			map[string]any{"kty": "AKP", "kid": "ml-1", "use": "sig", "alg": "ML-DSA-44", "pub": "AAAA"},
			map[string]any{"kty": "NEW", "kid": "new-1", "use": "sig", "p": "AAAA", "q": "AAAA", "k": "AAAA"},
			map[string]any{"kty": "OKP", "kid": "ed448-1", "use": "sig", "alg": "EdDSA", "crv": "Ed448",
				"x": base64.RawURLEncoding.EncodeToString(make([]byte, 57))},
			map[string]any{"kty": "OKP", "kid": "x-1", "use": "enc", "alg": "ECDH-ES", "crv": "X25519",
				"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
	}
	o.Behaviour.Metadata = func(_ string, d map[string]any) {
		d["request_object_signing_alg_values_supported"] = []string{"none", "RS256"}
		d["userinfo_signing_alg_values_supported"] = []string{"none", "RS256"}
	}
}

// refusingScopes answers calls without the scope with this challenge.
func refusingScopes(field string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Policy.ScopeChallenge = func(url, scope string) string {
			return strings.NewReplacer("{scope}", scope, "{url}", url).Replace(field)
		}
	}
}
