package flaws

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// ways are servers that do not check a part of a token in one kind of request.
var ways = []Flaw{
	unjudged("signature", "a list", mcpserver.Signature, "tools/list", calls("tools/list")),
	unjudged("signature", "a tool call", mcpserver.Signature, "tools/call", calls("tools/call")),
	unjudged("signature", "a list of resources", mcpserver.Signature, "resources/list", calls("resources/list")),
	unjudged("signature", "a resource", mcpserver.Signature, "resources/read", calls("resources/read")),
	unjudged("signature", "a list of prompts", mcpserver.Signature, "prompts/list", calls("prompts/list")),
	unjudged("signature", "a prompt", mcpserver.Signature, "prompts/get", calls("prompts/get")),
	unjudged("signature", "completion", mcpserver.Signature, "completion/complete", calls("completion/complete")),
	unjudged("signature", "ping", mcpserver.Signature, "ping", calls("ping")),
	unjudged("signature", "tasks", mcpserver.Signature, "tasks/list", calls("tasks/list")),
	unjudged("signature", "a notification", mcpserver.Signature, "notifications/mcpauth_unknown", calls("notifications/mcpauth_unknown")),
	unjudged("signature", "a subscription", mcpserver.Signature, "subscriptions/listen", calls("subscriptions/listen")),
	unjudged("signature", "the old stream", mcpserver.Signature, "GET /sse", func(r *http.Request) bool { return r.URL.Path == "/sse" }),
	unjudged("signature", "a stream", mcpserver.Signature, "in GET", func(r *http.Request) bool {
		return r.Method == http.MethodGet && r.URL.Path == "/mcp" && r.Header.Get("Last-Event-ID") == ""
	}),
	unjudged("signature", "a resumption", mcpserver.Signature, "GET with Last-Event-ID", func(r *http.Request) bool {
		return r.Header.Get("Last-Event-ID") != ""
	}),
	unjudged("signature", "the end of a session", mcpserver.Signature, "DELETE", verb(http.MethodDelete)),
	unjudged("expiry", "a resource", mcpserver.Expiry, "resources/read", calls("resources/read")),
	unjudged("expiry", "a stream", mcpserver.Expiry, "GET", verb(http.MethodGet)),
	unjudged("audience", "a tool call", mcpserver.Audience, "tools/call", calls("tools/call")),
	unjudged("audience", "a stream", mcpserver.Audience, "GET", verb(http.MethodGet)),
	unjudged("issuer", "a prompt", mcpserver.Issuer, "prompts/get", calls("prompts/get")),
	unjudged("issuer", "the end of a session", mcpserver.Issuer, "DELETE", verb(http.MethodDelete)),
}

// revokedWays show after a login.
var revokedWays = []Flaw{
	unjudged("revocation", "the end of a session", mcpserver.Revoked, "a revoked token, in DELETE", verb(http.MethodDelete)),
	unjudged("revocation", "a stream", mcpserver.Revoked, "a revoked token, in GET", verb(http.MethodGet)),
	unjudged("revocation", "a resource", mcpserver.Revoked, "a revoked token, in resources/read", calls("resources/read")),
}

// wayChecks are the checks for the parts of a token.
var wayChecks = map[string]string{mcpserver.Signature: "RS-TOKEN-FOREIGN-KEY", mcpserver.Expiry: "RS-TOKEN-EXPIRED",
	mcpserver.Audience: "RS-AUD-WRONG", mcpserver.Issuer: "RS-TOKEN-WRONG-ISS", mcpserver.Revoked: "RS-TOKEN-REVOKED"}

func unjudged(what, in, part, row string, when func(r *http.Request) bool) Flaw {
	return Flaw{
		Name: what + "-unjudged-in-" + strings.ReplaceAll(in, " ", "-"), Says: "The " + what + " of a token does not matter to " + in + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Del(mark); r.Method == http.MethodPost && r.URL.Path == "/mcp" {
					r.Header.Set(mark, rpcMethod(answer.Peek(r)))
				}
				return false
			})
			o.Policy.Overlooks = func(r *http.Request, of string, _ map[string]any) bool { return of == part && when(r) }
		},
		Noticed: []string{wayChecks[part]}, Row: row,
		Also: []string{"RS-TOKEN-*", "RS-AUD-*", "RS-SESSION-*", "RS-CHALLENGE-*", "RS-SCOPE-*", "RS-EXT-*", "RS-MULTI-*"},
	}
}

func calls(method string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(mark) == method }
}

func verb(method string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// rememberedTokens are servers that store a verified token under less than the whole token.
var rememberedTokens = []Flaw{
	samePassing("its-first-half", "the first half of it", func(kept, sent string) bool {
		return len(sent) >= len(kept)/2 && strings.HasPrefix(sent, kept[:len(kept)/2])
	}),
	samePassing("its-claims", "its claims", func(kept, sent string) bool {
		a, b := strings.Split(kept, "."), strings.Split(sent, ".")
		return len(a) == 3 && len(b) == 3 && a[1] == b[1]
	}),
	samePassing("its-letters", "its letters, in either case", strings.EqualFold),
	samePassing("its-length-and-ends", "its length and its ends", func(kept, sent string) bool {
		return len(kept) == len(sent) && kept[:8] == sent[:8] && kept[len(kept)-4:] == sent[len(sent)-4:]
	}),
}

func samePassing(name, by string, same func(kept, sent string) bool) Flaw {
	return Flaw{
		Name: "kept-by-" + name, Says: "A token that was verified is remembered by " + by + ".",
		Bend:    func(o *reference.Options) { o.Policy.SameToken = same },
		Noticed: []string{"RS-TOKEN-GARBAGE"}, Also: []string{"RS-TOKEN-*", "RS-AUD-*", "RS-SESSION-*", "RS-CHALLENGE-*", "RS-EXT-*",
			"RS-STATIC-*", "RS-SCOPE-*", "RS-MULTI-*"},
	}
}

// forgottenScopes are servers that require no scope if a call looks unusual.
var forgottenScopes = []Flaw{
	scopeForgotten("with-progress", "a call that asks for progress", func(_ *http.Request, params map[string]any) bool {
		meta, _ := params["_meta"].(map[string]any)
		return meta["progressToken"] != nil
	}),
	scopeForgotten("with-a-stream", "a call that accepts a stream alone",
		func(r *http.Request, _ map[string]any) bool { return r.Header.Get("Accept") == "text/event-stream" }),
	scopeForgotten("without-arguments", "a call without arguments",
		func(_ *http.Request, params map[string]any) bool { return params["arguments"] == nil }),
	scopeForgotten("of-a-task", "a call to run as a task", func(_ *http.Request, params map[string]any) bool { return params["task"] != nil }),
	scopeForgotten("with-answers", "a call with answers to questions",
		func(_ *http.Request, params map[string]any) bool { return params["inputResponses"] != nil }),
	scopeForgotten("with-a-state", "a call with the state of another one",
		func(_ *http.Request, params map[string]any) bool {
			return params["requestState"] != nil && params["inputResponses"] == nil
		}),
	scopeForgotten("of-a-preflight", "a call with the fields of a preflight", forgetsFor(field("Access-Control-Request-Method", ""))),
	scopeForgotten("of-own-page", "a call from the server's own page", forgetsFor(func(r *http.Request, _ []byte) bool {
		return r.Header.Get("Origin") == "http://"+r.Host
	})),
	scopeForgotten("with-a-query", "a call with a query", func(r *http.Request, _ map[string]any) bool { return r.URL.RawQuery != "" }),
	named("upper-case", "upper and lower case swapped", strings.ToLower),
	named("space-before", "a space before it", func(name string) string { return trimmed(name, " ", "") }),
	named("space-after", "a space after it", func(name string) string { return trimmed(name, "", " ") }),
	named("line-break", "a line break after it", func(name string) string { return trimmed(name, "", "\n") }),
	named("encoded", "a character percent-encoded", func(name string) string { tool, _ := url.PathUnescape(name); return tool }),
	named("nul", "a NUL byte at the end", func(name string) string { return trimmed(name, "", "\x00") }),
	named("cut-at-nul", "a NUL byte and more at the end", func(name string) string { tool, _, _ := strings.Cut(name, "\x00"); return tool }),
	scopeForgotten("with-a-charset", "a call with a charset", forgetsFor(field("Content-Type", "charset"))),
	scopeForgotten("without-a-version", "a call without its protocol version", func(r *http.Request, _ map[string]any) bool {
		return r.Header.Get("MCP-Protocol-Version") == ""
	}),
	scopeForgotten("under-another-name", "a call whose Mcp-Name is that of no tool", beforeSessionsEnd("Mcp-Name", "mcpauth_no_such_tool")),
	scopeForgotten("under-another-method", "a call whose Mcp-Method is tools/list", beforeSessionsEnd("Mcp-Method", "tools/list")),
	scopeForgottenOf("a-text-as-id", "a call with a text as its id", func(r *http.Request) bool {
		return bytes.Contains(answer.Peek(r), []byte(`"id":"`))
	}),
	scopeForgottenOf("id-0", "a call with the id 0", func(r *http.Request) bool { return bytes.Contains(answer.Peek(r), []byte(`"id":0,`)) }),
	scopeForgottenOf("a-resumed-stream", "a call in a session whose stream was resumed", resumedBefore()),
	{
		Name: "notified-tool-runs", Says: "A call without an id runs its tool, whatever the scope.",
		Bend:    lacks(mcpserver.NotificationsRunNothing),
		Noticed: []string{"RS-SCOPE-NOT-EXECUTED"}, Row: "without the scope and without an id",
	},
}

// beforeSessionsEnd matches a field of requests in the protocol with sessions, where it says nothing.
func beforeSessionsEnd(name, value string) func(*http.Request, map[string]any) bool {
	return func(r *http.Request, _ map[string]any) bool {
		return r.Header.Get("MCP-Protocol-Version") < "2026-07-28" && r.Header.Get(name) == value
	}
}

// forgetsFor makes the condition of a request one of a call.
func forgetsFor(when func(*http.Request, []byte) bool) func(*http.Request, map[string]any) bool {
	return func(r *http.Request, _ map[string]any) bool { return when(r, nil) }
}

// scopeForgottenOf is scopeForgotten for what only the whole request shows.
func scopeForgottenOf(name, row string, when func(r *http.Request) bool) Flaw {
	return marked(scopeForgotten(name, row, forgetsFor(field(mark, ""))), when)
}

// resumedBefore matches requests in sessions in which a client has resumed a stream.
func resumedBefore() func(r *http.Request) bool {
	var resumed sync.Map
	return func(r *http.Request) bool {
		id := r.Header.Get("Mcp-Session-Id")
		if r.Header.Get("Last-Event-ID") != "" {
			resumed.Store(id, true)
		}
		_, is := resumed.Load(id)
		return is && id != ""
	}
}

func trimmed(name, before, after string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, before), after)
}

// named runs a tool for a name that resembles its own, without a look at the scope that it needs.
func named(name, row string, tool func(name string) string) Flaw {
	f := scopeForgotten("by-name-"+name, "a call by another name, "+row, func(_ *http.Request, params map[string]any) bool {
		sent, _ := params["name"].(string)
		return tool(sent) != sent
	})
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Policy.NamesTool = func(_ *http.Request, name string) string { return tool(name) }
	}
	f.Also = append(f.Also, "RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-*")
	return f
}

func scopeForgotten(name, row string, when func(r *http.Request, params map[string]any) bool) Flaw {
	return Flaw{
		Name: "scope-forgotten-" + name, Says: "No scope is asked for " + row + ".",
		Bend:    func(o *reference.Options) { o.Policy.ForgetsScope = when },
		Noticed: []string{"RS-SCOPE-EVERY-TOOL"}, Row: "as " + row, Also: []string{"RS-SCOPE-*"},
	}
}
