package flaws

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// exemptions are servers that ask for no token where a request has some mark: one flaw for each mark.
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
	claimFlaw("kubernetes", "User-Agent", "kube-probe/"),
	claimFlaw("aws", "User-Agent", "ELB-HealthChecker/"),
	claimFlaw("google", "User-Agent", "GoogleHC/"),
	claimFlaw("inspector", "User-Agent", "mcp-inspector"),
	opensFor("host", "RS-CHALLENGE-EVERY-CLIENT", "Host: localhost", func(r *http.Request, _ []byte) bool { return r.Host == "localhost" }),
	opensFor("upgrade", "RS-CHALLENGE-EVERY-CLIENT", "with Upgrade: websocket", field("Upgrade", "websocket")),
	opensFor("two-claims", "RS-CHALLENGE-EVERY-CLIENT", "claiming a request from inside", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("X-Internal") != "" && r.Header.Get("X-From-Gateway") != ""
	}),

	formFlaw("text", "the media type text/plain", field("Content-Type", "text/plain")),
	formFlaw("form", "the media type application/x-www-form-urlencoded", field("Content-Type", "application/x-www-form-urlencoded")),
	formFlaw("charset", "application/json; charset=utf-8", field("Content-Type", "charset")),
	formFlaw("upper-case", "the media type APPLICATION/JSON", field("Content-Type", "JSON")),
	formFlaw("vendor-type", "the media type application/vnd.mcp+json", field("Content-Type", "+json")),
	formFlaw("no-type", "no media type", func(r *http.Request, body []byte) bool {
		return r.Header.Get("Content-Type") == "" && len(body) > 0
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
	formFlaw("first-method", "two methods, a harmless one first", func(_ *http.Request, body []byte) bool {
		return strings.HasPrefix(string(body), `{"method":"ping"`)
	}),
	marked(formFlaw("last-method", "two methods, a harmless one last", field(mark, "")), func(r *http.Request) bool {
		first, two := strings.CutSuffix(string(peek(r)), `,"method":"ping"}`)
		if two { // the guard reads the last one, and the server the first
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
	marked(formFlaw("packed", "Content-Encoding: gzip", field(mark, "")), unpacked),
	formFlaw("existing-resource", "resources/read of ", existing("resources/read", "uri")),
	formFlaw("existing-subscription", "resources/subscribe of ", existing("resources/subscribe", "uri")),
	formFlaw("existing-prompt", "prompts/get of ", existing("prompts/get", "name")),
	strayLists("no-session", "tools/list without a token and without a session", func(id string, _ bool) bool { return id == "" }),
	strayLists("any-session", "in a session that nobody has opened", func(id string, known bool) bool { return id != "" && !known }),
	unspokenWire,
	opensFor("undefined", "RS-TOKEN-GARBAGE", "undefined", field("Authorization", "Bearer undefined")),
	opensFor("null", "RS-TOKEN-GARBAGE", "null", field("Authorization", "Bearer null")),
	opensFor("none", "RS-TOKEN-GARBAGE", "None", field("Authorization", "Bearer None")),
	opensFor("placeholder", "RS-TOKEN-GARBAGE", "a placeholder of guides", field("Authorization", "YOUR_TOKEN")),
	opensFor("empty-query", "RS-TOKEN-QUERY-IGNORED", "?access_token= and no value", func(r *http.Request, _ []byte) bool {
		return strings.HasSuffix(r.URL.RawQuery, "access_token=")
	}),
	opensFor("key-in-query", "RS-TOKEN-QUERY-IGNORED", "?api_key=", func(r *http.Request, _ []byte) bool {
		return r.URL.Query().Has("api_key")
	}),
	opensFor("basic-nobody", "RS-TOKEN-WRONG-SCHEME", "without a user and a password", field("Authorization", "Basic Og==")),
	opensFor("lower-case-bearer", "RS-TOKEN-WRONG-SCHEME", "in lower case, with a bad token", field("Authorization", "bearer ")),
	opensFor("version", "RS-TRANSPORT-VERSION-HEADER", "2025-06-18", field("MCP-Protocol-Version", "2025-06-18")),
	opensFor("no-version", "RS-TRANSPORT-VERSION-HEADER", "no version in a session", func(r *http.Request, body []byte) bool {
		return r.Header.Get("MCP-Protocol-Version") == "" && rpcMethod(body) == "tools/list"
	}),

	pathFlaw("below", "/mcp/mcpauth", func(uri string) bool { return strings.HasPrefix(uri, "/mcp/") && len(uri) > len("/mcp/") }),
	pathFlaw("sse", "/mcp/sse", func(uri string) bool { return uri == "/mcp/sse" }),
	pathFlaw("message", "/mcp/message", func(uri string) bool { return uri == "/mcp/message" }),
	pathFlaw("well-known-query", "?next=/.well-known/", func(uri string) bool {
		return strings.HasPrefix(uri, "/mcp?") && strings.Contains(uri, "/.well-known/")
	}),
	pathFlaw("double-slash", "//mcp", func(uri string) bool { return strings.HasPrefix(uri, "//mcp") }),
	pathFlaw("upper-case", "/MCP", func(uri string) bool { return uri == "/MCP" }),
	pathFlaw("parameter", "/mcp;x=1", func(uri string) bool { return strings.HasPrefix(uri, "/mcp;") }),
	pathFlaw("encoded", "/%2e/mcp", func(uri string) bool { return strings.HasPrefix(uri, "/%2e/") }),
	pathFlaw("encoded-letter", "/%6dcp", func(uri string) bool { return uri == "/%6dcp" }),
	pathFlaw("encoded-slash", "/%2fmcp", func(uri string) bool { return uri == "/%2fmcp" }),
	pathFlaw("backslash", "%5cmcp", func(uri string) bool { return strings.HasSuffix(uri, "%5cmcp") }),
	pathFlaw("dots", "/x/../mcp", func(uri string) bool { return uri == "/x/../mcp" }),
	pathFlaw("ending", "/mcp.json", func(uri string) bool { return uri == "/mcp.json" }),
	pathFlaw("rewritten", "X-Rewrite-URL", func(uri string) bool { return uri == "/" }),

	opensFor("replay", "RS-CHALLENGE-EVERY-HTTP-METHOD", "GET with Last-Event-ID", field("Last-Event-ID", "")),
	verbFlawOf("QUERY"), verbFlawOf("OPTIONS"), verbFlawOf("PUT"), verbFlawOf("PATCH"),
}

// existing are requests for something that the server has.
func existing(method, member string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool {
		var m struct{ Params map[string]any }
		_ = json.Unmarshal(body, &m)
		name, _ := m.Params[member].(string)
		return rpcMethod(body) == method && !strings.Contains(name, "no-such") && !strings.Contains(name, "no_such")
	}
}

// unpacked has the server read a message that is compressed.
func unpacked(r *http.Request) bool {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return false
	}
	plain, err := gzip.NewReader(bytes.NewReader(peek(r)))
	if err != nil {
		return false
	}
	body, err := io.ReadAll(plain)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Encoding")
	return err == nil
}

// strayLists answers tools/list for some session ids, of which it knows those that the server has given out.
func strayLists(name, row string, answers func(id string, known bool) bool) Flaw {
	f := formFlaw(name, row, func(*http.Request, []byte) bool { return false })
	f.Bend = func(o *reference.Options) {
		var known sync.Map
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id := r.Header.Get("Mcp-Session-Id")
				if _, is := known.Load(id); rpcMethod(peek(r)) == "tools/list" && r.Header.Get("MCP-Protocol-Version") < "2026" && answers(id, is) {
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

// unspokenWire answers a list on the stateless wire, which the server does not speak otherwise.
var unspokenWire = func() Flaw {
	f := formFlaw("unspoken-wire", "tools/list without a token, at 2026-07-28", nil)
	f.Bend = func(o *reference.Options) {
		o.Policy.Revisions = []string{"2025-06-18", "2025-11-25"}
		o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
			answered := r.Header.Get("Mcp-Method") == "tools/list" && rpcMethod(peek(r)) == "tools/list"
			if answered {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
			}
			return answered
		})
	}
	return f
}()

// opensFor needs no token for some requests.
func opensFor(name, check, row string, when func(r *http.Request, body []byte) bool) Flaw {
	return Flaw{
		Name: "exempt-" + name, Says: "A request needs no token that has this: " + row + ".", Row: row, Noticed: []string{check},
		Bend: policy(func(p *mcpserver.Policy) { p.Opens = when }),
		Also: []string{"RS-CHALLENGE-*", "RS-SESSION-*", "RS-TRANSPORT-*", "RS-TOKEN-*", "RS-STATIC-*"},
	}
}

func claimFlaw(name, header, value string) Flaw {
	return opensFor("claim-"+name, "RS-CHALLENGE-EVERY-CLIENT", header+": "+value, field(header, value))
}

func formFlaw(name, row string, when func(r *http.Request, body []byte) bool) Flaw {
	return opensFor("form-"+name, "RS-CHALLENGE-EVERY-RPC-METHOD", row, when)
}

// field reports that a header field is there and holds a text.
func field(name, text string) func(*http.Request, []byte) bool {
	return func(r *http.Request, _ []byte) bool {
		return r.Header.Get(name) != "" && strings.Contains(r.Header.Get(name), text)
	}
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

// pathFlaw serves the endpoint under another path, which nobody guards.
func pathFlaw(name, row string, is func(uri string) bool) Flaw {
	return marked(opensFor("path-"+name, "RS-CHALLENGE-PATH-VARIANTS", row, field(mark, "")), func(r *http.Request) bool {
		served := is(r.RequestURI) && r.Method == http.MethodPost
		if served {
			r.URL.Path = "/mcp"
		}
		return served
	})
}

// verbFlawOf serves another HTTP method like POST, and does not guard it.
func verbFlawOf(verb string) Flaw {
	f := opensFor("verb-"+strings.ToLower(verb), "RS-CHALLENGE-EVERY-HTTP-METHOD", verb, field(mark, ""))
	return marked(f, func(r *http.Request) bool {
		served := r.Method == verb && len(peek(r)) > 0
		if served {
			r.Method = http.MethodPost
		}
		return served
	})
}

// mark is the field of a request that is changed before the server sees it.
const mark = "X-Fake-Mark"

// marked changes requests before the server sees them, and marks those.
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
