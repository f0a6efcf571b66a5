package flaws

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// forgotten are the flaws of servers whose other requests are guarded: only one kind of caller, route or credential is forgotten.
var forgotten = []Flaw{
	withOpenLists(opensFor("claim-with-open-lists", "RS-CHALLENGE-EVERY-CLIENT", "X-WebAuth-User: ", field("X-WebAuth-User", ""))),
	withOpenLists(formFlaw("with-open-lists", "the media type text/plain", field("Content-Type", "text/plain"))),
	withOpenLists(Flaw{
		Name: "slash-with-open-lists", Says: "Anybody may list the tools; the endpoint with a trailing slash is not guarded.",
		Bend: lacks(mcpserver.GuardPathVariants), Noticed: []string{"RS-CHALLENGE-PATH-VARIANTS"}, Row: "/mcp/",
	}),
	formFlaw("any-token", "resources/list with a garbage token", func(r *http.Request, body []byte) bool {
		return rpcMethod(body) == "resources/list" && !anonymous(r)
	}),
	unspokenOldWire,
	sideRouteFlaw("of-a-tool", "POST /tools/whoami", func(r *http.Request) string {
		if r.URL.Path != "/tools/whoami" {
			return ""
		}
		return `{"content":[{"type":"text","text":"nobody"}]}`
	}),
	sessionsOnStatusPage(),
	sideRouteFlaw("array", "GET /tools", func(r *http.Request) string {
		if r.Method != http.MethodGet || r.URL.Path != "/tools" {
			return ""
		}
		return `[{"name":"whoami","inputSchema":{"type":"object"}}]`
	}),
	sideRouteFlaw("resources", "GET /resources", func(r *http.Request) string {
		if r.URL.Path != "/resources" {
			return ""
		}
		return `{"resources":[{"uri":"note://notes/1","name":"The first note"}]}`
	}),
	{
		Name: "password-in-refusal", Says: "The refusal of Basic credentials repeats them.", Row: "a password that is looked for",
		Bend: func(o *reference.Options) {
			basic := credential(func(v string) bool { return strings.HasPrefix(v, "Basic ") })
			o.Wrap = bending(basic, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Refused", r.Header.Get("Authorization"))
			})
		},
		Noticed: []string{"RS-CHALLENGE-BODY-HYGIENE"},
	},
	{
		Name: "challenge-empty", Says: "The WWW-Authenticate field is empty.",
		Bend: challenge(always("")), Noticed: []string{"RS-CHALLENGE-401-WWW-AUTHENTICATE"}, Also: []string{"RS-CHALLENGE-RESOURCE-METADATA"},
	},
	{
		Name: "scheme-of-bad-tokens", Says: "The challenge offers another scheme where a token was refused.", Row: "a garbage token",
		Bend: challenge(func(cause, url string) []string {
			if cause == "invalid" {
				return always(`JWT error="invalid_token", resource_metadata="{url}"`)(cause, url)
			}
			return always(`Bearer resource_metadata="{url}", scope="notes:read"`)(cause, url)
		}),
		Noticed: []string{"RS-CHALLENGE-BEARER-SCHEME"},
	},
	challengeFrom("error-without-token-get", "RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", "GET without a token",
		`Bearer error="invalid_token"`, asked(http.MethodGet, false)),
	challengeFrom("error-without-token-delete", "RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", "DELETE without a token",
		`Bearer error="invalid_token"`, asked(http.MethodDelete, false)),
	challengeFrom("error-without-token-in-session", "RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", "no token, in a session",
		`Bearer error="invalid_token"`, func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.Header.Get("Mcp-Session-Id") != "" && r.Header.Get("Authorization") == ""
		}),
	challengeFrom("error-without-token-page", "RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", "no token, from the server's own page",
		`Bearer error="invalid_token"`, func(r *http.Request) bool {
			return r.Header.Get("Origin") == "http://"+r.Host && r.Header.Get("Authorization") == ""
		}),
	challengeFrom("error-without-token-revision", "RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", "no token, at 2025-06-18",
		`Bearer error="invalid_token"`, func(r *http.Request) bool {
			return bytes.Contains(answer.Peek(r), []byte(`"2025-06-18"`)) && r.Header.Get("Authorization") == ""
		}),
	challengeFrom("no-error-of-bad-token-get", "RS-CHALLENGE-INVALID-TOKEN-ERROR", "GET with a garbage token", `Bearer realm="mcp"`,
		asked(http.MethodGet, true)),
	challengeFrom("no-error-of-bad-token-delete", "RS-CHALLENGE-INVALID-TOKEN-ERROR", "DELETE with a garbage token", `Bearer realm="mcp"`,
		asked(http.MethodDelete, true)),
	challengeFrom("no-error-of-bad-token-in-session", "RS-CHALLENGE-INVALID-TOKEN-ERROR", "a garbage token, in a session",
		`Bearer realm="mcp"`, func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.Header.Get("Mcp-Session-Id") != "" && r.Header.Get("Authorization") != ""
		}),
	challengeFrom("scheme-of-get", "RS-CHALLENGE-BEARER-SCHEME", "GET without a token", `JWT realm="mcp"`, asked(http.MethodGet, false)),
	{
		Name: "metadata-of-second-scheme", Says: "The second challenge to a malformed token names metadata that does not exist.", Row: "/nowhere",
		Bend: func(o *reference.Options) {
			o.Wrap = bending(credential(func(v string) bool { return strings.Count(v, " ") == 2 }), func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("WWW-Authenticate", `DPoP algs="ES256", resource_metadata="http://`+r.Host+`/nowhere"`)
			})
		},
		Noticed: []string{"RS-CHALLENGE-RESOURCE-METADATA-URL"},
	},
}

// forgottenKeys are the flaws of servers that treat an API key in a field of its own in another way than a bad token.
var forgottenKeys = []Flaw{
	{
		Name: "key-refused-barely", Says: "The refusal of a bad API key has no challenge.", Row: "a made-up value in X-API-Key",
		Bend: func(o *reference.Options) {
			o.Wrap = bending(badKey, func(w http.ResponseWriter, _ *http.Request) { w.Header().Del("WWW-Authenticate") })
		},
		Noticed: []string{"RS-CHALLENGE-401-WWW-AUTHENTICATE"},
	},
	{
		Name: "key-in-refusal", Says: "The refusal of a bad API key shows it.", Row: "a key that is looked for, in X-API-Key",
		Bend: func(o *reference.Options) {
			o.Wrap = bending(badKey, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Refused", r.Header.Get("X-API-Key")) })
		},
		Noticed: []string{"RS-CHALLENGE-BODY-HYGIENE"},
	},
	{
		Name: "key-trace", Says: "The refusal of a bad API key shows where in the program it happened.", Row: "a made-up value in X-API-Key",
		Bend: func(o *reference.Options) {
			o.Wrap = bending(badKey, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Refused", "/usr/lib/python3.12/site-packages/keys/verify.py")
			})
		},
		Noticed: []string{"RS-CHALLENGE-BODY-HYGIENE"},
	},
	{
		Name: "any-key-for-tools", Says: "A tool runs for every API key.", Row: "a made-up value in X-API-Key",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Opens = func(r *http.Request, body []byte) bool {
				return r.Header.Get("X-API-Key") != "" && existing("tools/call", "name")(r, body)
			}
		}),
		Noticed: []string{"RS-CHALLENGE-EXISTING-TOOLS"},
	},
}

// forgottenHalves are the flaws of what only a second look shows: an effect, another place in a request or an answer, another kind of
// object.
var forgottenHalves = []Flaw{
	sideRouteFlaw("in-own-form", "POST /api/tools/whoami", func(r *http.Request) string {
		if r.URL.Path != "/api/tools/whoami" {
			return ""
		}
		return `{"caller":{"name":"alice"}}`
	}),
	{
		Name: "session-ended-by-anybody-400", Says: "DELETE without a token is refused, and ends the session: its user is answered 400.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.GoneStatus, p.Lacks = http.StatusBadRequest, append(p.Lacks, mcpserver.VerifyBeforeEnding)
		}),
		Noticed: []string{"RS-SESSION-STREAM-NEEDS-TOKEN"}, Row: "anyway",
		Also: []string{"RS-CHALLENGE-EVERY-HTTP-METHOD", "RS-SESSION-*"},
	},
	{
		Name: "session-unknown-401", Says: "A session id that names no session is answered 401, although the token is good.",
		Bend:    policy(func(p *mcpserver.Policy) { p.GoneStatus = http.StatusUnauthorized }),
		Noticed: []string{"RS-SESSION-FIXATION"}, Also: []string{"RS-SESSION-*"},
	},
	{
		Name: "task-cancelled-first", Says: "Another user is refused, and the task is cancelled anyway.", Row: "tried to cancel",
		Bend:    lacks(mcpserver.OwnerBeforeCancelling),
		Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "task-shared-when-completed", Says: "A completed task may be seen by every user.", Row: "once the task is completed",
		Bend:    policy(func(p *mcpserver.Policy) { p.SharesTask = func(status string) bool { return status == "completed" } }),
		Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"}, Also: []string{"RS-SESSION-*"},
	},
	{
		Name: "task-shared-when-cancelled", Says: "A cancelled task may be seen by every user.", Row: "once the task is cancelled",
		Bend:    policy(func(p *mcpserver.Policy) { p.SharesTask = func(status string) bool { return status == "cancelled" } }),
		Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"}, Also: []string{"RS-SESSION-*"},
	},
	opensFor("task-updated", "RS-SESSION-TASK-OWNERSHIP", "tasks/update without a token", ofMethod("tasks/update")),
	opensFor("task-result", "RS-SESSION-TASK-OWNERSHIP", "tasks/result without a token", existing("tasks/result", "taskId")),
	opensFor("task-cancelled", "RS-SESSION-TASK-OWNERSHIP", "tasks/cancel without a token", existing("tasks/cancel", "taskId")),
	{
		Name: "task-updated-by-anybody", Says: "Every user may answer for a task.", Row: "tasks/update by another user",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				body := answer.Peek(r)
				if rpcMethod(body) != "tasks/update" || anonymous(r) {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				if bytes.Contains(body, []byte("inputResponses")) {
					_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete"}}`)
				} else {
					_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"inputResponses is missing"}}`)
				}
				return true
			})
		},
		Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	nameOfOthersFlaw("resource", "resources/read", "Mcp-Name of another resource"),
	nameOfOthersFlaw("prompt", "prompts/get", "Mcp-Name of another prompt"),
	credentialsFor("with-a-domain-behind", "the own host with a domain at its end", func(origin string, host string) bool {
		return strings.HasPrefix(origin, "http://"+host+".")
	}),
	credentialsFor("with-a-word-before", "the own host with a word before it", func(origin string, host string) bool {
		return strings.HasSuffix(origin, "-"+host)
	}),
	{
		Name: "cache-revalidated", Says: "Answers to authorized requests may be kept by shared caches, and used until they are out of date.",
		Bend:    policy(func(p *mcpserver.Policy) { p.CacheControl = "max-age=60, must-revalidate" }),
		Noticed: []string{"RS-TRANSPORT-CACHE"},
	},
	{
		Name: "result-shows-key", Says: "The result of a tool shows the request to the API, with its key.", Row: "the API answers well",
		Bend: lacks(mcpserver.HideKeyInResults), Noticed: []string{"RS-PASS-UPSTREAM-SECRET-HIDDEN"},
	},
	{
		Name: "key-in-another-field-for-any-url", Says: "The key for the API, in a field of its own, goes to whatever address a caller names.",
		Bend:    all(lacks(mcpserver.KeyForAPI), policy(func(p *mcpserver.Policy) { p.KeyField = "Ocp-Apim-Subscription-Key" })),
		Noticed: []string{"RS-PASS-URL-TOOL-NO-LEAK"},
	},
	{
		Name: "page-shows-key", Says: "The page of the API, which shows the key in a field of its own, is passed on.", Row: "the API answers 500",
		Bend: policy(func(p *mcpserver.Policy) {
			p.KeyField, p.Lacks = "X-Api-Key", append(p.Lacks, mcpserver.HideUpstreamPage)
		}),
		Noticed: []string{"RS-PASS-UPSTREAM-SECRET-HIDDEN"},
	},
	linkTo("mail-behind-another", "an e-mail address is in who", func(a string) string { return a + "?who=1&who=alice%40users.example" }),
	linkTo("claims-in-path", "a JWT with the claim email is in the path", func(a string) string {
		return a + "/" + unsigned(`{"email":"alice@users.example"}`)
	}),
	linkTo("token-in-fragment", "the URL has the parameter access_token", func(a string) string { return a + "#access_token=4711" }),
	linkTo("password-of-user", "the URL has a password", func(a string) string { return strings.Replace(a, "://", "://u:4711@", 1) }),
}

// nameOfOthersFlaw accepts any Mcp-Name field for a method.
func nameOfOthersFlaw(name, method, row string) Flaw {
	return Flaw{
		Name: "header-name-of-" + name, Says: "Not compared with the message: " + row + ".", Row: row,
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				var m struct{ Params struct{ Name, URI string } }
				if body := answer.Peek(r); rpcMethod(body) == method && json.Unmarshal(body, &m) == nil {
					r.Header.Set("Mcp-Name", cmp.Or(m.Params.Name, m.Params.URI))
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-HEADER-MISMATCH"},
	}
}

// credentialsFor lets pages of some foreign origins read answers to requests with credentials.
func credentialsFor(name, row string, foreign func(origin, host string) bool) Flaw {
	return Flaw{
		Name: "credentials-for-origin-" + name, Says: "Pages of an origin that resembles the own one may read with credentials.", Row: row,
		Bend: func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					host, _, _ := strings.Cut(r.Host, ":")
					if origin := r.Header.Get("Origin"); foreign(origin, host) {
						w = &headed{ResponseWriter: w, bend: func(h http.Header) {
							h.Set("Access-Control-Allow-Origin", origin)
							h.Set("Access-Control-Allow-Credentials", "true")
						}}
					}
					next.ServeHTTP(w, r)
				})
			}
		},
		Noticed: []string{"RS-TRANSPORT-CORS-CREDENTIALS"}, Also: []string{"RS-TRANSPORT-*"},
	}
}

// linkTo changes the address at which an account is linked.
func linkTo(name, row string, link func(address string) string) Flaw {
	return Flaw{
		Name: "link-with-" + name, Says: "The address at which an account is linked gives something away: " + row + ".", Row: row,
		Bend:    policy(func(p *mcpserver.Policy) { p.Link = link }),
		Noticed: []string{"RS-ELICIT-URL-SAFE"},
	}
}

// forgottenLists are the flaws of lists, names and scopes that only another caller or another tool shows.
var forgottenLists = []Flaw{
	{
		Name: "resources-of-another", Says: "The list of resources is that of the previous caller.", Row: "resources/list",
		Bend: func(o *reference.Options) {
			var mu sync.Mutex
			before := map[string]string{}
			o.Wrap = rewritten("resources/list", func(r *http.Request, body string) string {
				mu.Lock()
				defer mu.Unlock()
				wire := r.Header.Get("MCP-Protocol-Version")
				stale := before[wire]
				before[wire] = body
				return cmp.Or(stale, body)
			})
		},
		Noticed: []string{"RS-SCOPE-LIST-PER-CALLER"},
	},
	{
		Name: "resources-public", Says: "Shared caches may keep the resources of one caller for all.", Row: "resources/list",
		Bend: func(o *reference.Options) {
			o.Wrap = rewritten("resources/list", func(_ *http.Request, body string) string {
				return strings.ReplaceAll(body, `"cacheScope":"private"`, `"cacheScope":"public"`)
			})
		},
		Noticed: []string{"RS-SCOPE-CACHESCOPE"},
	},
	{
		Name: "user-from-header-among-words", Says: "A header names the user, and the tool that names the caller says more than the name.",
		Bend:    all(lacks(mcpserver.NoUserHeader), policy(func(p *mcpserver.Policy) { p.TellsTime = true })),
		Noticed: []string{"RS-SCOPE-OBJECT-OWNERSHIP", "RS-SCOPE-OTHER-PRIMITIVES"},
	},
	{
		Name: "hierarchy-of-one-tool", Says: "A tool that needs two scopes knows no broader scope.", Row: "copy_note with notes:admin",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				_, payload, _ := strings.Cut(r.Header.Get("Authorization"), ".")
				claims, _, _ := strings.Cut(payload, ".")
				text, _ := base64.RawURLEncoding.DecodeString(claims) // a token that cannot be read has no scope
				refused := bytes.Contains(text, []byte("notes:admin")) && !bytes.Contains(text, []byte("notes:write")) &&
					bytes.Contains(answer.Peek(r), []byte(`"copy_note"`))
				if refused {
					w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="notes:read notes:write"`)
					w.WriteHeader(http.StatusForbidden)
				}
				return refused
			})
		},
		Noticed: []string{"RS-SCOPE-HIERARCHY"},
	},
}

// rewritten changes the body of the answers to a method.
func rewritten(method string, change func(r *http.Request, body string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rpcMethod(answer.Peek(r)) != method {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := rec.Body.String()
			if rec.Code == http.StatusOK {
				body = change(r, body)
			}
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = io.WriteString(w, body)
		})
	}
}

// withOpenLists changes a flaw so that anybody may list what there is: then the first request that needs a token calls a tool.
func withOpenLists(f Flaw) Flaw {
	f.Also = []string{"RS-CHALLENGE-EXISTING-TOOLS"}
	f.Bend = all(f.Bend, policy(func(p *mcpserver.Policy) {
		p.Public = []string{"initialize", "server/discover", "ping", "notifications/initialized", "tools/list", "resources/list",
			"resources/templates/list", "prompts/list"}
	}))
	return f
}

// sideRouteFlaw answers on a route besides the endpoint without a token. The function returns the answer; empty: the route is another one.
func sideRouteFlaw(name, row string, answer func(r *http.Request) string) Flaw {
	return Flaw{
		Name: "side-route-" + name, Says: row + " is answered without a token.", Row: row, Noticed: []string{"RS-CHALLENGE-SIDE-ROUTES"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				text := answer(r)
				if text != "" {
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, text)
				}
				return text != ""
			})
		},
	}
}

// sessionsOnStatusPage names all sessions on a page for a monitoring system.
func sessionsOnStatusPage() Flaw {
	var mu sync.Mutex
	var ids []string
	f := sideRouteFlaw("status", "GET /health", nil)
	f.Says = "A public status page names all sessions."
	f.Bend = func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/health" {
					next.ServeHTTP(w, r)
				}
				mu.Lock()
				defer mu.Unlock()
				if id := w.Header().Get("Mcp-Session-Id"); id != "" {
					ids = append(ids, id)
				}
				if r.URL.Path == "/health" {
					_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "sessions": ids})
				}
			})
		}
	}
	return f
}

// unspokenOldWire answers a list without a version, though the server speaks only the protocol without sessions.
var unspokenOldWire = func() Flaw {
	f := formFlaw("unspoken-old-wire", "tools/list without a token, at 2025-03-26", nil)
	f.Bend = func(o *reference.Options) {
		o.Policy.Revisions = []string{"2026-07-28"}
		o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
			var m struct{ Params json.RawMessage }
			_ = json.Unmarshal(answer.Peek(r), &m) // a message that cannot be read has no method
			answered := rpcMethod(answer.Peek(r)) == "tools/list" && m.Params == nil && r.Header.Get("MCP-Protocol-Version") == ""
			if answered {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
			}
			return answered
		})
	}
	return f
}()

// badKey reports whether a request has an API key that the server has not issued.
func badKey(r *http.Request) bool {
	key := r.Header.Get("X-API-Key")
	return key != "" && !strings.HasPrefix(key, "key_")
}

// asked matches requests of a method, with or without a token.
func asked(method string, token bool) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && (r.Header.Get("Authorization") != "") == token
	}
}

// challengeFrom sends another challenge with the refusals of some requests.
func challengeFrom(name, noticed, row, field string, when func(r *http.Request) bool) Flaw {
	return Flaw{
		Name: "challenge-" + name, Says: "The challenge of some requests is not as others are: " + row + ".", Row: row,
		Noticed: []string{noticed}, Also: []string{"RS-CHALLENGE-*", "RS-DPOP-*"},
		Bend: func(o *reference.Options) {
			o.Wrap = bending(when, func(w http.ResponseWriter, _ *http.Request) {
				if w.Header().Get("WWW-Authenticate") != "" {
					w.Header().Set("WWW-Authenticate", field)
				}
			})
		},
	}
}

// bending changes the header of some refusals.
func bending(when func(*http.Request) bool, bend func(w http.ResponseWriter, r *http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if when(r) {
				w = &headed{ResponseWriter: w, bend: func(http.Header) { bend(w, r) }}
			}
			next.ServeHTTP(w, r)
		})
	}
}
