package flaws

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// otherTransport are flaws that one row each notices.
var otherTransport = []Flaw{
	originFlaw("own-at-the-front", "the own origin with a domain at its end",
		func(origin, own string) bool { return strings.HasPrefix(origin, own+".") }),
	originFlaw("host-at-the-front", "the own host with a domain at its end",
		func(origin, _ string) bool { return strings.HasPrefix(origin, "http://127.0.0.1.") }),
	originFlaw("user-information", "the own origin as user information",
		func(origin, own string) bool { return strings.HasPrefix(origin, own+"@") }),
	originFlaw("host-at-the-end", "the own host with a word before it",
		func(origin, _ string) bool {
			return strings.HasSuffix(origin, "127.0.0.1") && strings.Contains(origin, "-")
		}),
	originFlaw("null", "the opaque origin null",
		func(origin, _ string) bool { return origin == "null" }),
	originFlaw("file", "a file",
		func(origin, _ string) bool { return origin == "file://" }),
	originFlaw("upper-case", "another site in upper case",
		func(origin, _ string) bool { return strings.ToUpper(origin) == origin }),
	originFlaw("http", "another site over http",
		func(origin, _ string) bool { return origin == "http://evil.example" }),
	originFlaw("own-port", "another site at the own port", func(origin, own string) bool {
		return strings.HasPrefix(origin, "http://evil.example:") && origin[strings.LastIndex(origin, ":"):] == own[strings.LastIndex(own, ":"):]
	}),
	{
		Name: "origin-as-host", Says: "The Origin is compared with the Host of the request, which is not checked.",
		Bend: func(o *reference.Options) {
			originFlaw("", "", func(origin, own string) bool { return origin == own }).Bend(o)
			lacks(mcpserver.CheckHost)(o)
		},
		Noticed: []string{"RS-TRANSPORT-ORIGIN-INVALID"}, Also: []string{"RS-TRANSPORT-*"},
		Row: "a foreign site in Origin and in Host",
	},
	unlookedAt("get", "GET", func(r *http.Request) bool { return r.Method == http.MethodGet }),
	unlookedAt("delete", "DELETE", func(r *http.Request) bool { return r.Method == http.MethodDelete }),
	unlookedAt("notification", "a notification", func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.Contains(string(answer.Peek(r)), `"notifications/cancelled"`)
	}),
	unlookedAt("text", "POST as text/plain", func(r *http.Request) bool {
		text := strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain")
		if text { // the server accepts it too
			r.Header.Set("Content-Type", "application/json")
		}
		return text
	}),
	{
		Name: "origin-unseen-stateless", Says: "The Origin does not matter in the protocol without sessions.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("MCP-Protocol-Version") >= "2026-07-28" {
					r.Header.Del("Origin")
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-ERA-PARITY"}, Also: []string{"RS-TRANSPORT-*"}, Row: "from a foreign Origin",
	},
	methodFlaw("missing", "no Mcp-Method", func(methods []string) bool { return len(methods) == 0 }),
	methodFlaw("other", "Mcp-Method: tools/call on a tools/list", func(methods []string) bool {
		return len(methods) == 1 && methods[0] == "tools/call"
	}),
	methodFlaw("upper-case", "Mcp-Method in upper case", func(methods []string) bool {
		return len(methods) == 1 && methods[0] == "TOOLS/LIST"
	}),
	nameFlaw("upper-case", "Mcp-Name in upper case",
		func(names []string) bool { return len(names) == 1 && strings.HasPrefix(names[0], "MCPAUTH") }),
	nameFlaw("missing", "no Mcp-Name",
		func(names []string) bool { return len(names) == 0 }),
	nameFlaw("empty", "Mcp-Name empty",
		func(names []string) bool { return len(names) == 1 && names[0] == "" }),
	nameFlaw("first-counts", "Mcp-Name twice, the right one first",
		func(names []string) bool { return len(names) == 2 && names[0] == "mcpauth_no_such_tool" }),
	nameFlaw("last-counts", "Mcp-Name twice, the right one last",
		func(names []string) bool { return len(names) == 2 && names[1] == "mcpauth_no_such_tool" }),
	nameFlaw("not-ascii", "Mcp-Name with a letter that is not ASCII, not in Base64",
		func(names []string) bool { return len(names) == 1 && strings.HasSuffix(names[0], "é") }),
	nameFlaw("base64", "Mcp-Name of another tool in Base64",
		func(names []string) bool { return len(names) == 1 && strings.HasPrefix(names[0], "=?base64?") }),
	{
		Name: "host-prefix", Says: "A Host that begins with localhost is treated as this machine.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.Host, "localhost.") {
					r.Host = "localhost"
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-HOST-REBINDING"}, Row: "localhost.evil.example",
	},
	hostUnread("GET"),
	hostUnread("DELETE"),
	{
		Name: "token-known-by-turns", Says: "Every second request with a token reaches an instance that does not know it.",
		Bend:    func(o *reference.Options) { o.Wrap = byTurns() },
		Noticed: []string{"RS-TRANSPORT-CONNECTION-IDENTITY"}, Row: "of 6 tries", // and no other check
	},
	{
		Name: "store-not-shared", Says: "Every second connection reaches an instance that does not know the token.",
		Bend:    func(o *reference.Options) { o.Wrap = everySecond() },
		Noticed: []string{"RS-TRANSPORT-CONNECTION-IDENTITY"}, Row: "of 6 tries",
	},
}

// hostUnread returns the flaw of a server that does not look at the Host of requests with one method.
func hostUnread(verb string) Flaw {
	return Flaw{
		Name: "host-unread-" + strings.ToLower(verb), Says: "Host is not checked on " + verb + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == verb {
					r.Host = "localhost"
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-HOST-REBINDING"}, Row: verb + ", Host: evil.example",
	}
}

// byTurns makes every second token unknown.
func byTurns() func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var requests atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" && r.Header.Get("Authorization") != "" && requests.Add(1)%2 == 0 {
				r.Header.Set("Authorization", "Bearer unknown-to-this-instance")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// originFlaw accepts a foreign origin as its own.
func originFlaw(name, row string, taken func(origin, own string) bool) Flaw {
	return Flaw{
		Name: "origin-" + name, Says: "The Origin is accepted of " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if origin := r.Header.Get("Origin"); origin != "" && taken(origin, "http://"+r.Host) {
					r.Header.Del("Origin")
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-ORIGIN-INVALID"}, Also: []string{"RS-TRANSPORT-*"}, Row: row,
	}
}

// nameFlaw accepts some Mcp-Name fields that differ from the name in the message.
func nameFlaw(name, row string, taken func(names []string) bool) Flaw {
	return mismatchFlaw("header-name-"+name, row, "Mcp-Name", func(m *calledTool) string { return m.Params.Name },
		func(names []string, _ string) bool { return taken(names) })
}

// parameterFields show if the tools are declared: no other tool is called.
var parameterFields = []Flaw{
	paramFlaw("missing", "no Mcp-Param-Region", func(values []string, _ string) bool { return len(values) == 0 }),
	paramFlaw("other", "Mcp-Param-Region with another value", func(values []string, region string) bool {
		return len(values) == 1 && strings.HasPrefix(values[0], region)
	}),
	paramFlaw("base64", "Mcp-Param-Region with another value in Base64", func(values []string, _ string) bool {
		return len(values) == 1 && strings.HasPrefix(values[0], "=?base64?")
	}),
	paramFlaw("not-ascii", "Mcp-Param-Region with a letter that is not ASCII, not in Base64", func(values []string, region string) bool {
		return len(values) == 1 && values[0] == region && strings.HasSuffix(region, "é")
	}),
	paramFlaw("first-counts", "Mcp-Param-Region twice, the right one first", func(values []string, region string) bool {
		return len(values) == 2 && values[0] == region
	}),
	paramFlaw("last-counts", "Mcp-Param-Region twice, the right one last", func(values []string, region string) bool {
		return len(values) == 2 && values[1] == region
	}),
}

// paramFlaw accepts some fields of a parameter that differ from the value in the message.
func paramFlaw(name, row string, taken func(values []string, region string) bool) Flaw {
	return mismatchFlaw("header-param-"+name, row, "Mcp-Param-Region", func(m *calledTool) string { return m.Params.Arguments.Region }, taken)
}

// calledTool holds the values of a message that header fields repeat.
type calledTool struct {
	Params struct {
		Name      string `json:"name"`
		Arguments struct {
			Region string `json:"region"`
		} `json:"arguments"`
	} `json:"params"`
}

// mismatchFlaw makes the server use the value in the message if the header field that repeats it has a form that the flaw accepts.
func mismatchFlaw(name, row, field string, value func(*calledTool) string, accepted func(values []string, value string) bool) Flaw {
	return Flaw{
		Name: name, Says: "Not compared with the message: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				var m calledTool
				if json.Unmarshal(answer.Peek(r), &m) == nil && value(&m) != "" && accepted(r.Header.Values(field), value(&m)) {
					r.Header.Set(field, "=?base64?"+base64.StdEncoding.EncodeToString([]byte(value(&m)))+"?=")
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-HEADER-MISMATCH"}, Also: []string{"RS-SCOPE-*", "RS-TRANSPORT-*"}, Row: row,
	}
}

// everySecond refuses requests with a token on every second connection that serves one request.
func everySecond() func(http.Handler) http.Handler {
	var n atomic.Int32
	return before(func(w http.ResponseWriter, r *http.Request) bool {
		refuses := r.Close && r.Header.Get("Authorization") != "" && n.Add(1)%2 == 0
		if refuses {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return refuses
	})
}

// unlookedAt skips the Origin check for some requests.
func unlookedAt(name, row string, when func(r *http.Request) bool) Flaw {
	return Flaw{
		Name: "origin-unseen-" + name, Says: "The Origin does not matter to some requests: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if when(r) {
					r.Header.Del("Origin")
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-ORIGIN-EVERY-METHOD"}, Row: row,
	}
}

// methodFlaw accepts some Mcp-Method fields that differ from the method in the message.
func methodFlaw(name, row string, taken func(methods []string) bool) Flaw {
	return Flaw{
		Name: "header-method-" + name, Says: "Not compared with the message: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				var m struct {
					Method string `json:"method"`
				}
				if taken(r.Header.Values("Mcp-Method")) && r.Header.Get("MCP-Protocol-Version") >= "2026-07-28" &&
					json.Unmarshal(answer.Peek(r), &m) == nil && m.Method != "" {
					r.Header.Set("Mcp-Method", m.Method)
				}
				return false
			})
		},
		Noticed: []string{"RS-TRANSPORT-HEADER-MISMATCH"}, Also: []string{"RS-SCOPE-*", "RS-TRANSPORT-*"}, Row: row,
	}
}
