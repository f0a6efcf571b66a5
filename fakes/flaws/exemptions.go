package flaws

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// exemptions are servers that ask for no token if a request has some mark: one flaw for each mark.
var exemptions = []Flaw{
	claimFlaw("address", "X-Cluster-Client-IP", "127.0.0.1"),
	claimFlaw("forwarded-for", "X-Forwarded-For", "127.0.0.1"),
	claimFlaw("private-network", "X-Real-IP", "10.0.0.1"),
	claimFlaw("loopback-6", "X-Client-IP", "::1"),
	claimFlaw("last-address", "X-Forwarded-For", "203.0.113.7, 127.0.0.1"),
	claimFlaw("other-credential", "X-Auth-Token", ""),
	claimFlaw("forwarded", "Forwarded", "for=127.0.0.1"),
	claimFlaw("host-field", "X-Original-Host", "localhost"),
	claimFlaw("user", "X-WebAuth-User", ""),
	claimFlaw("remote-user", "Remote-User", ""),
	claimFlaw("mail", "X-Auth-Request-Email", ""),
	claimFlaw("inside", "X-Internal-Request", "true"),
	claimFlaw("certificate", "SSL-Client-Verify", "SUCCESS"),
	claimFlaw("subrequest", "X-Middleware-Subrequest", "middleware:"),
	claimFlaw("public-path", "X-Forwarded-URI", "/.well-known/"),
	claimFlaw("preflight", "X-Forwarded-Method", "OPTIONS"),
	claimFlaw("same-site", "Sec-Fetch-Site", "same-origin"),
	claimFlaw("referer", "Referer", "http"),
	claimFlaw("local-page", "Origin", "http://localhost"),
	claimFlaw("cookie", "Cookie", "session=mcpauth"),
	opensFor("cookie-token", "RS-CHALLENGE-EVERY-CLIENT", "with Cookie: access_token=", field("Cookie", "auth_token=mcpauth")),
	forgedFlaw("gateway-token", "Cf-Access-Jwt-Assertion", "with Cf-Access-Jwt-Assertion: a forged token"),
	forgedFlaw("key-is-token", "X-API-Key", "with X-API-Key: a forged token"),
	forgedFlaw("cookie-is-token", "Cookie", "with Cookie: a forged token"),
	claimFlaw("cache", "If-None-Match", "*"),
	claimFlaw("preflight-field", "Access-Control-Request-Method", "POST"),
	claimFlaw("part", "Range", "bytes="),
	claimFlaw("kubernetes", "User-Agent", "kube-probe/"),
	claimFlaw("aws", "User-Agent", "ELB-HealthChecker/"),
	claimFlaw("google", "User-Agent", "GoogleHC/"),
	clientFlaw("claude-ai"), clientFlaw("openai-mcp"), clientFlaw("Visual Studio Code"), clientFlaw("cursor-vscode"),
	clientFlaw("mcp-remote"),
	clientFlaw("mcp-inspector"), clientFlaw("inspector-client"), clientFlaw("mcp"), clientFlaw("ExampleClient"), clientFlaw("test-client"),
	clientFlaw("health-check"), sessionOfClient("mcp-inspector"),
	claimFlaw("inspector", "User-Agent", "mcp-inspector"),
	opensFor("host", "RS-CHALLENGE-EVERY-CLIENT", "Host: localhost", func(r *http.Request, _ []byte) bool { return r.Host == "localhost" }),
	hostFlaw("loopback", "127.0.0.1"), hostFlaw("unknown", "mcpauth.invalid"), hostFlaw("absolute", "127.0.0.1."),
	opensFor("upgrade", "RS-CHALLENGE-EVERY-CLIENT", "with Upgrade: websocket", field("Upgrade", "websocket")),
	opensFor("two-claims", "RS-CHALLENGE-EVERY-CLIENT", "claiming a request from inside", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("X-Internal") != "" && r.Header.Get("X-From-Gateway") != ""
	}),

	formFlaw("text", "the media type text/plain", field("Content-Type", "text/plain")),
	formFlaw("form", "the media type application/x-www-form-urlencoded", field("Content-Type", "application/x-www-form-urlencoded")),
	formFlaw("charset", "application/json; charset=utf-8", field("Content-Type", "charset")),
	formFlaw("upper-case", "the media type APPLICATION/JSON", field("Content-Type", "JSON")),
	formFlaw("vendor-type", "the media type application/vnd.mcp+json", field("Content-Type", "+json")),
	formFlaw("charset-upper-case", "the media type application/json; charset=UTF-8", field("Content-Type", "charset=UTF-8")),
	formFlaw("charset-of-two-bytes", "the media type application/json;charset=utf-16", field("Content-Type", ";charset=utf-16")),
	formFlaw("charset-quoted", "the media type application/json; charset=\"utf-8\"", field("Content-Type", `"`)),
	formFlaw("two-types", "the media type application/json, text/plain", field("Content-Type", ", ")),
	formFlaw("text-json", "the media type text/json", field("Content-Type", "text/json")),
	formFlaw("rpc-type", "the media type application/json-rpc", field("Content-Type", "json-rpc")),
	formFlaw("bytes", "the media type application/octet-stream", field("Content-Type", "octet-stream")),
	formFlaw("empty-type", "the media type ", func(r *http.Request, body []byte) bool {
		return len(r.Header["Content-Type"]) == 1 && r.Header.Get("Content-Type") == "" && len(body) > 0
	}),
	formFlaw("no-answer-type", "no Accept field", func(r *http.Request, body []byte) bool {
		return r.Method == http.MethodPost && r.Header.Get("Accept") == "" && len(body) > 0
	}),
	formFlaw("no-type", "no Content-Type field", func(r *http.Request, body []byte) bool {
		return len(r.Header["Content-Type"]) == 0 && len(body) > 0
	}),
	formFlaw("chunked", "a chunked message", func(r *http.Request, _ []byte) bool { return r.ContentLength < 0 }),
	formFlaw("any-answer", "Accept: */*", field("Accept", "*/*")),
	formFlaw("json-answer", "Accept: application/json", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("Accept") == "application/json"
	}),
	formFlaw("stream-answer", "Accept: text/event-stream", func(r *http.Request, _ []byte) bool {
		return r.Method == http.MethodPost && r.Header.Get("Accept") == "text/event-stream"
	}),
	formFlaw("page-answer", "Accept: text/html", field("Accept", "text/html")),
	formFlaw("space", "white space before the message", begins(" ")),
	formFlaw("long", "96 KiB of white space before the message", begins(strings.Repeat(" ", 1<<16))),
	formFlaw("spaced", "white space around the colon", holdsText(`"method" : `)),
	formFlaw("escaped-name", "an escaped letter in the name method", holdsText(`m\u0065thod`)),
	formFlaw("escaped-method", "an escaped letter in the method", holdsText(`"method":"\u00`)),
	formFlaw("other-case", "the name Method", holdsText(`"Method"`)),
	formFlaw("text-as-id", "the id \"mcpauth\"", begins(`{"id":"mcpauth"`)),
	marked(formFlaw("method-in-upper-case", "the method in upper case", field(mark, "")), func(r *http.Request) bool {
		body := answer.Peek(r)
		method := rpcMethod(body)
		odd := method != "" && method == strings.ToUpper(method)
		if odd { // the server knows methods in any case
			body = bytes.Replace(body, []byte(method), []byte(strings.ToLower(method)), 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return odd
	}),
	marked(formFlaw("no-version", "no member jsonrpc", field(mark, "")), func(r *http.Request) bool {
		body := answer.Peek(r)
		bare := bytes.HasPrefix(body, []byte(`{"id"`)) && !bytes.Contains(body, []byte(`"jsonrpc"`))
		if bare {
			body = append([]byte(`{"jsonrpc":"2.0",`), body[1:]...)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return bare
	}),
	formFlaw("first-method", "two methods, a harmless one first", func(_ *http.Request, body []byte) bool {
		return strings.HasPrefix(string(body), `{"method":"ping"`)
	}),
	marked(formFlaw("last-method", "two methods, a harmless one last", field(mark, "")), func(r *http.Request) bool {
		first, two := strings.CutSuffix(string(answer.Peek(r)), `,"method":"ping"}`)
		if two { // the guard reads the last one, and the server reads the first
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(first+"}")), int64(len(first)+1)
		}
		return two
	}),
	formFlaw("batch", "a batch of one message", begins("[")),
	formFlaw("field-method", "Mcp-Method: ping", field("Mcp-Method", "ping")),
	formFlaw("notified-call", "tools/call without an id", func(_ *http.Request, body []byte) bool {
		return rpcMethod(body) == "tools/call" && !strings.Contains(string(body), `"id"`)
	}),
	formFlaw("listen", "subscriptions/listen", func(_ *http.Request, body []byte) bool { return rpcMethod(body) == "subscriptions/listen" }),
	formFlaw("subscribe", "resources/subscribe", func(_ *http.Request, body []byte) bool { return rpcMethod(body) == "resources/subscribe" }),
	formFlaw("old-http", "HTTP/1.0", func(r *http.Request, _ []byte) bool { return !r.ProtoAtLeast(1, 1) }),
	formFlaw("whole-url", "the whole URL in the request line", func(r *http.Request, _ []byte) bool {
		return strings.HasPrefix(r.RequestURI, "http")
	}),
	formFlaw("upgrade", "Upgrade: websocket", field("Upgrade", "websocket")),
	formFlaw("upgrade-h2c", "Upgrade: h2c", field("Upgrade", "h2c")),
	formFlaw("continue", "Expect: 100-continue", field("Expect", "100-continue")),
	formFlaw("coded-plain", "Content-Encoding: identity", field("Content-Encoding", "identity")),
	marked(formFlaw("packed", "Content-Encoding: gzip", field(mark, "")), unpacked("gzip", func(r io.Reader) (io.Reader, error) {
		return gzip.NewReader(r)
	})),
	marked(formFlaw("packed-by-old-name", "Content-Encoding: x-gzip", field(mark, "")),
		unpacked("x-gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })),
	marked(formFlaw("packed-otherwise", "Content-Encoding: deflate", field(mark, "")),
		unpacked("deflate", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })),
	formFlaw("cancel", "notifications/cancelled", ofMethod("notifications/cancelled")),
	formFlaw("progress", "notifications/progress", ofMethod("notifications/progress")),
	formFlaw("roots", "notifications/roots/list_changed", ofMethod("notifications/roots/list_changed")),
	formFlaw("unsubscribe", "resources/unsubscribe", ofMethod("resources/unsubscribe")),
	formFlaw("task", "tasks/get", ofMethod("tasks/get")),
	formFlaw("task-result", "tasks/result", ofMethod("tasks/result")),
	formFlaw("task-cancel", "tasks/cancel", ofMethod("tasks/cancel")),
	formFlaw("called-as-task", "tools/call as a task", holdsText(`"task":{`)),
	formFlaw("crowd", "one of 24 at once", crowd(10, func(r *http.Request, _ []byte) bool { return anonymous(r) })),
	toolsInCrowd("tools-in-crowd", "no token, 24 at once", anonymous),
	toolsInCrowd("tools-in-crowd-with-garbage", "a garbage token, 24 at once", func(r *http.Request) bool {
		return !anonymous(r) && !strings.Contains(r.Header.Get("Authorization"), ".")
	}),
	afterMany,
	formFlaw("existing-resource", "resources/read of ", existing("resources/read", "uri")),
	formFlaw("existing-subscription", "resources/subscribe of ", existing("resources/subscribe", "uri")),
	formFlaw("existing-prompt", "prompts/get of ", existing("prompts/get", "name")),
	strayLists("no-session", "tools/list without a token and without a session", func(id string, _ bool) bool { return id == "" }),
	strayLists("any-session", "in a session that was never opened", func(id string, known bool) bool { return id != "" && !known }),
	unspokenWire,
	unspokenTool,
	opensFor("undefined", "RS-TOKEN-GARBAGE", "undefined", field("Authorization", "Bearer undefined")),
	opensFor("null", "RS-TOKEN-GARBAGE", "null", field("Authorization", "Bearer null")),
	opensFor("none", "RS-TOKEN-GARBAGE", "None", field("Authorization", "Bearer None")),
	opensFor("short-signature", "RS-TOKEN-GARBAGE", "without its last two characters", func(r *http.Request, _ []byte) bool {
		parts := strings.Split(r.Header.Get("Authorization"), ".")
		return len(parts) == 3 && len(parts[2]) == 84 // an ES256 signature has 86
	}),
	inRows(opensFor("inherited-name", "RS-TOKEN-GARBAGE", "a member of every JavaScript object", func(r *http.Request, _ []byte) bool {
		return inherited(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}), ofEveryObject...),
	opensFor("placeholder", "RS-TOKEN-GARBAGE", "a placeholder of guides", field("Authorization", "YOUR_TOKEN")),
	opensFor("empty-query", "RS-TOKEN-QUERY-IGNORED", "?access_token= and no value", func(r *http.Request, _ []byte) bool {
		return strings.HasSuffix(r.URL.RawQuery, "access_token=")
	}),
	opensFor("key-in-query", "RS-TOKEN-QUERY-IGNORED", "?api_key=", func(r *http.Request, _ []byte) bool {
		return r.URL.Query().Has("api_key")
	}),
	opensFor("basic-nobody", "RS-TOKEN-WRONG-SCHEME", "without a user and a password", field("Authorization", "Basic Og==")),
	opensFor("basic-of-anybody", "RS-TOKEN-WRONG-SCHEME", "Basic, a made-up user and password",
		field("Authorization", "Basic bWNwYXV0aDptY3BhdXRo")),
	opensFor("scheme-of-keys", "RS-TOKEN-WRONG-SCHEME", "ApiKey, with a made-up credential", field("Authorization", "ApiKey ")),
	opensFor("scheme-token", "RS-TOKEN-WRONG-SCHEME", "Token, with a made-up credential", field("Authorization", "Token bWNw")),
	opensFor("scheme-negotiate", "RS-TOKEN-WRONG-SCHEME", "Negotiate, with a made-up credential", field("Authorization", "Negotiate ")),
	opensFor("scheme-digest", "RS-TOKEN-WRONG-SCHEME", "Digest, with a made-up credential", field("Authorization", "Digest bWNw")),
	opensFor("two-fields", "RS-TOKEN-WRONG-SCHEME", "two Authorization fields, each with a bad token", func(r *http.Request, _ []byte) bool {
		return len(r.Header.Values("Authorization")) > 1 && !strings.Contains(r.Header.Get("Authorization"), "eyJ")
	}),
	opensFor("two-tokens", "RS-TOKEN-WRONG-SCHEME", "Bearer, with two bad tokens", field("Authorization", ", Bearer a")),
	opensFor("lower-case-bearer", "RS-TOKEN-WRONG-SCHEME", "in lower case, with a bad token", field("Authorization", "bearer ")),
	opensFor("version", "RS-TRANSPORT-VERSION-HEADER", "2025-06-18", field("MCP-Protocol-Version", "2025-06-18")),
	opensFor("no-version", "RS-TRANSPORT-VERSION-HEADER", "no version in a session", func(r *http.Request, body []byte) bool {
		return r.Header.Get("MCP-Protocol-Version") == "" && rpcMethod(body) == "tools/list"
	}),

	pathFlaw("below", "/mcp/mcpauth", func(uri string) bool { return strings.HasPrefix(uri, "/mcp/") && len(uri) > len("/mcp/") }),
	versionFlaw("before", "/v1/mcp"), versionFlaw("behind", "/mcp/v2"),
	pathFlaw("sse", "/mcp/sse", func(uri string) bool { return uri == "/mcp/sse" }),
	pathFlaw("messages", "/mcp/messages", func(uri string) bool { return uri == "/mcp/messages" }),
	oldMessages, falseID,
	pathFlaw("message", "/mcp/message", func(uri string) bool { return uri == "/mcp/message" }),
	pathFlaw("well-known-query", "?next=/.well-known/", func(uri string) bool {
		return strings.HasPrefix(uri, "/mcp?") && strings.Contains(uri, "/.well-known/")
	}),
	pathFlaw("debug", "?debug=true", func(uri string) bool { return uri == "/mcp?debug=true" }),
	pathFlaw("double-slash", "//mcp", func(uri string) bool { return strings.HasPrefix(uri, "//mcp") }),
	pathFlaw("upper-case", "/MCP", func(uri string) bool { return uri == "/MCP" }),
	pathFlaw("parameter", "/mcp;x=1", func(uri string) bool { return strings.HasPrefix(uri, "/mcp;") }),
	pathFlaw("encoded", "/%2e/mcp", func(uri string) bool { return strings.HasPrefix(uri, "/%2e/") }),
	pathFlaw("encoded-letter", "/%6dcp", func(uri string) bool { return uri == "/%6dcp" }),
	pathFlaw("encoded-slash", "/%2fmcp", func(uri string) bool { return uri == "/%2fmcp" }),
	pathFlaw("backslash", "%5cmcp", func(uri string) bool { return strings.HasSuffix(uri, "%5cmcp") }),
	pathFlaw("dots", "/x/../mcp", func(uri string) bool { return uri == "/x/../mcp" }),
	pathFlaw("ending", "/mcp.json", func(uri string) bool { return uri == "/mcp.json" }),
	pathFlaw("three-slashes", "///mcp", func(uri string) bool { return uri == "///mcp" }),
	pathFlaw("encoded-end", "/mcp%2F", func(uri string) bool { return uri == "/mcp%2F" }),
	pathFlaw("encoded-hash", "/mcp%23", func(uri string) bool { return uri == "/mcp%23" }),
	pathFlaw("encoded-question", "/mcp%3f", func(uri string) bool { return uri == "/mcp%3f" }),
	pathFlaw("tab", "/mcp%09", func(uri string) bool { return uri == "/mcp%09" }),
	pathFlaw("empty-parameter", "/mcp;", func(uri string) bool { return uri == "/mcp;" }),
	pathFlaw("out-of-public", "/.well-known/../mcp", func(uri string) bool { return uri == "/.well-known/../mcp" }),
	pathFlaw("rewritten", "X-Rewrite-URL", func(uri string) bool { return uri == "/" }),

	opensFor("replay", "RS-CHALLENGE-EVERY-HTTP-METHOD", "GET with Last-Event-ID", field("Last-Event-ID", "")),
	verbFlawOf("QUERY"), verbFlawOf("OPTIONS"), verbFlawOf("PUT"), verbFlawOf("PATCH"), verbFlawOf("GET"), verbFlawOf("DELETE"),
	headServed,
	marked(opensFor("verb-overridden", "RS-CHALLENGE-EVERY-HTTP-METHOD", "with X-HTTP-Method-Override: POST", field(mark, "")), overridden),
}

// existing matches requests for something that the server has.
func existing(method, member string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool {
		var m struct{ Params map[string]any }
		_ = json.Unmarshal(body, &m)
		name, _ := m.Params[member].(string)
		return rpcMethod(body) == method && !strings.Contains(name, "no-such") && !strings.Contains(name, "no_such")
	}
}

// unpacked makes the server decompress a message before it reads it.
func unpacked(coding string, open func(io.Reader) (io.Reader, error)) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		if r.Header.Get("Content-Encoding") != coding {
			return false
		}
		plain, err := open(bytes.NewReader(answer.Peek(r)))
		if err != nil {
			return false
		}
		body, err := io.ReadAll(plain)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Del("Content-Encoding")
		return err == nil
	}
}

// anonymous reports whether a request has no token.
func anonymous(r *http.Request) bool { return r.Header.Get("Authorization") == "" }

// crowd exempts a request if n requests like it are in progress at once.
func crowd(n int32, like func(*http.Request, []byte) bool) func(*http.Request, []byte) bool {
	var under atomic.Int32
	return func(r *http.Request, body []byte) bool {
		if !like(r, body) {
			return false
		}
		in := under.Add(1) >= n
		time.Sleep(50 * time.Millisecond) // the time of a look-up in a shared store
		under.Add(-1)
		return in
	}
}

// toolsInCrowd exempts a tool call if many calls with a similar credential are in progress at once.
func toolsInCrowd(name, row string, with func(r *http.Request) bool) Flaw {
	return opensFor(name, "RS-CHALLENGE-EXISTING-TOOLS", row, crowd(16, func(r *http.Request, body []byte) bool {
		return with(r) && existing("tools/call", "name")(r, body)
	}))
}

// afterMany exempts every request once the guard has refused some: the limiter in front of it fails open.
var afterMany = func() Flaw {
	f := opensFor("after-many", "RS-CHALLENGE-EVERY-RPC-METHOD", "without a token", nil)
	f.Says, f.Row, f.Bend = "After 40 refusals no request needs a token.", "", func(o *reference.Options) {
		var refused atomic.Int32
		o.Policy.Opens = func(r *http.Request, _ []byte) bool {
			return anonymous(r) && refused.Add(1) > 60
		}
	}
	return f
}()

// strayLists answers tools/list for some session ids. known says whether the server issued the id.
func strayLists(name, row string, answers func(id string, known bool) bool) Flaw {
	f := formFlaw(name, row, func(*http.Request, []byte) bool { return false })
	f.Bend = func(o *reference.Options) {
		var known sync.Map
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id := r.Header.Get("Mcp-Session-Id")
				lists := rpcMethod(answer.Peek(r)) == "tools/list" && r.Header.Get("MCP-Protocol-Version") < "2026"
				if _, is := known.Load(id); lists && answers(id, is) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
					return
				}
				next.ServeHTTP(w, r)
				known.Store(w.Header().Get("Mcp-Session-Id"), true)
			})
		}
	}
	return f
}

// unspokenWire answers a list in the protocol without sessions, which the server does not speak otherwise.
var unspokenWire = func() Flaw {
	f := formFlaw("unspoken-wire", "tools/list without a token, at 2026-07-28", nil)
	f.Bend = func(o *reference.Options) {
		o.Policy.Revisions = []string{"2025-06-18", "2025-11-25"}
		o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
			answered := r.Header.Get("Mcp-Method") == "tools/list" && rpcMethod(answer.Peek(r)) == "tools/list"
			if answered {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
			}
			return answered
		})
	}
	return f
}()

// unspokenTool looks a tool up without a token in the protocol without sessions, which the server does not speak otherwise.
var unspokenTool = func() Flaw {
	f := formFlaw("unspoken-tool", "tools/call without a token, at 2026-07-28", nil)
	f.Bend = func(o *reference.Options) {
		o.Policy.Revisions = []string{"2025-06-18", "2025-11-25"}
		o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
			called := r.Header.Get("Mcp-Method") == "tools/call" && rpcMethod(answer.Peek(r)) == "tools/call"
			if called {
				var m struct{ Params struct{ Name string } }
				_ = json.Unmarshal(answer.Peek(r), &m) // a message that cannot be read has no name
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: %s"}}`, m.Params.Name)
			}
			return called
		})
	}
	return f
}()

// opensFor needs no token for some requests.
func opensFor(name, check, row string, when func(r *http.Request, body []byte) bool) Flaw {
	return Flaw{
		Name: "exempt-" + name, Says: "A request with this needs no token: " + row + ".", Row: row, Noticed: []string{check},
		Bend: policy(func(p *mcpserver.Policy) { p.Opens = when }),
		Also: []string{"RS-CHALLENGE-*", "RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*", "RS-STATIC-*"},
	}
}

func claimFlaw(name, header, value string) Flaw {
	return opensFor("claim-"+name, "RS-CHALLENGE-EVERY-CLIENT", header+": "+value, field(header, value))
}

// clientFlaw needs no token of a client that has this name.
func clientFlaw(name string) Flaw {
	slug := strings.ReplaceAll(strings.ToLower(name), " ", "-")
	return opensFor("client-"+slug, "RS-CHALLENGE-EVERY-CLIENT", fmt.Sprintf("the client name %q", name),
		func(_ *http.Request, body []byte) bool { return clientName(body) == name })
}

// clientName is the name of the client in a message.
func clientName(body []byte) string {
	type info struct{ Name string }
	var m struct {
		Params struct {
			ClientInfo info
			Meta       struct {
				ClientInfo info `json:"io.modelcontextprotocol/clientInfo"`
			} `json:"_meta"`
		}
	}
	_ = json.Unmarshal(body, &m) // a message that cannot be read has no name
	return m.Params.ClientInfo.Name + m.Params.Meta.ClientInfo.Name
}

// sessionOfClient lets anybody open a session, and needs no token in those of a client that has this name.
func sessionOfClient(name string) Flaw {
	f := opensFor("session-of-client", "RS-CHALLENGE-EVERY-CLIENT", fmt.Sprintf("the client name %q", name), nil)
	f.Bend = func(o *reference.Options) {
		var sessions sync.Map
		o.Policy.Public = []string{"initialize", "server/discover", "ping", "notifications/initialized"}
		o.Policy.Opens = func(r *http.Request, _ []byte) bool {
			_, exempt := sessions.Load(r.Header.Get("Mcp-Session-Id"))
			return exempt
		}
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				named := clientName(answer.Peek(r)) == name
				next.ServeHTTP(w, r)
				if id := w.Header().Get("Mcp-Session-Id"); named && id != "" {
					sessions.Store(id, true)
				}
			})
		}
	}
	return f
}

// hostFlaw serves another host name without a guard.
func hostFlaw(name, host string) Flaw {
	return marked(opensFor("host-"+name, "RS-CHALLENGE-EVERY-CLIENT", "with Host: "+host, field(mark, "")), func(r *http.Request) bool {
		other := r.Host == host
		if other {
			r.Host = r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
		}
		return other
	})
}

// forgedFlaw returns the flaw of a server that reads a token from another header field and does not verify it.
func forgedFlaw(name, header, row string) Flaw {
	return opensFor(name, "RS-CHALLENGE-EVERY-CLIENT", row, field(header, "eyJ"))
}

func formFlaw(name, row string, when func(r *http.Request, body []byte) bool) Flaw {
	return opensFor("form-"+name, "RS-CHALLENGE-EVERY-RPC-METHOD", row, when)
}

// field matches requests whose header field contains a text.
func field(name, text string) func(*http.Request, []byte) bool {
	return func(r *http.Request, _ []byte) bool {
		return r.Header.Get(name) != "" && strings.Contains(r.Header.Get(name), text)
	}
}

func holdsText(text string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool { return strings.Contains(string(body), text) }
}

func ofMethod(method string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool { return rpcMethod(body) == method }
}

func begins(text string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool { return strings.HasPrefix(string(body), text) }
}

func rpcMethod(body []byte) string {
	var m struct {
		Method string `json:"method"`
	}
	_ = json.Unmarshal(body, &m)
	return m.Method
}

// pathFlaw serves the endpoint under another path without a guard.
func pathFlaw(name, row string, is func(uri string) bool) Flaw {
	return marked(opensFor("path-"+name, "RS-CHALLENGE-PATH-VARIANTS", row, field(mark, "")), func(r *http.Request) bool {
		served := is(r.RequestURI) && r.Method == http.MethodPost
		if served {
			r.URL.Path = "/mcp"
		}
		return served
	})
}

// versionFlaw serves another version of the endpoint without a guard. Its lists are the same for all callers.
func versionFlaw(name, path string) Flaw {
	f := pathFlaw("version-"+name, path, func(uri string) bool { return uri == path })
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Policy.ListsByScope = false
	}
	return f
}

// falseID reads a request whose id counts as false as a notification.
var falseID = Flaw{
	Name: "exempt-false-id", Says: "A request whose id counts as false is treated as a notification, and needs no token.",
	Bend: policy(func(p *mcpserver.Policy) {
		p.Opens = func(_ *http.Request, body []byte) bool {
			var m struct{ ID json.RawMessage }
			return json.Unmarshal(body, &m) == nil && (string(m.ID) == "0" || string(m.ID) == `""`)
		}
	}),
	Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, Row: "the id 0", Rows: []string{`the id ""`},
	Also: []string{"RS-CHALLENGE-*"},
}

// oldMessages answers at the message address of the HTTP+SSE transport, without a stream and without a token.
var oldMessages = Flaw{
	Name: "exempt-old-messages", Says: "POST /messages/ is answered without a token.", Noticed: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	Row: "POST /messages/",
	Bend: func(o *reference.Options) {
		o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
			old := r.URL.Path == "/messages/" && rpcMethod(answer.Peek(r)) == "tools/list"
			if old {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
			}
			return old
		})
	},
}

// verbFlawOf handles another HTTP method like POST, without a guard.
func verbFlawOf(verb string) Flaw {
	f := opensFor("verb-"+strings.ToLower(verb), "RS-CHALLENGE-EVERY-HTTP-METHOD", verb, field(mark, ""))
	return marked(f, func(r *http.Request) bool {
		served := r.Method == verb && len(answer.Peek(r)) > 0
		if served {
			r.Method = http.MethodPost
		}
		return served
	})
}

// headServed handles a message sent with HEAD, and writes only the header of its answer.
var headServed = func() Flaw {
	f := opensFor("verb-head", "RS-CHALLENGE-EVERY-HTTP-METHOD", "HEAD with the message", field(mark, ""))
	f.Bend = func(o *reference.Options) {
		o.Policy.Opens = field(mark, "")
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del(mark)
				if r.Method != http.MethodHead || rpcMethod(answer.Peek(r)) == "" {
					next.ServeHTTP(w, r)
					return
				}
				post := r.Clone(r.Context())
				post.Method = http.MethodPost
				post.Header.Set(mark, "1")
				next.ServeHTTP(w, post)
			})
		}
	}
	return f
}()

// overridden makes the server treat a GET with a message as a POST.
func overridden(r *http.Request) bool {
	post := r.Method == http.MethodGet && r.Header.Get("X-HTTP-Method-Override") == http.MethodPost && len(answer.Peek(r)) > 0
	if post {
		r.Method = http.MethodPost
	}
	return post
}

// mark is the header field that the flaw sets before the server handles the request.
const mark = "X-Fake-Mark"

// marked changes requests before the server handles them, and marks the changed ones.
func marked(f Flaw, change func(r *http.Request) bool) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del(mark)
			if change(r) {
				r.Header.Set(mark, "1")
			}
			return false
		})
	}
	return f
}
