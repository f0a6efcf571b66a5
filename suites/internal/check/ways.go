package check

import (
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// way is a kind of request with a token.
type way struct {
	name    string
	request func(session mcp.Call) wire.Request
}

// wayPeek is how long an open stream is watched.
const wayPeek = 100 * time.Millisecond

// RefusedInEveryWay sends a bad token in each kind of request of a session: some servers verify it in one handler, and only read it in
// another. The session is that of a good token of the same user. If the request works without a token too, other checks judge that.
func (t MCPServer) RefusedInEveryWay(kind, bad string) {
	t.RefusedInEveryWayOf(t.FirstToken(), kind, bad)
}

// RefusedInEveryWayOf is RefusedInEveryWay in the session of a given good token.
func (t MCPServer) RefusedInEveryWayOf(good, kind, bad string) {
	session, refused := t.SessionOf(good)
	if refused != nil {
		return // the earlier rows have reported it
	}
	ways := t.ways()
	var variants []Variant
	for _, w := range ways {
		variants = append(variants, presented(w, session, kind, mcp.Bearer(bad)))
	}
	last := len(ways) - 1 // it may end the session
	answers := append(t.All(variants[:last]), t.Do(variants[last].Request))
	for i, ex := range answers {
		if served(ex) && !served(t.anonymously(ways[i])) {
			t.Expect(ex, "%s", variants[i].About).To(expect.Refuse(401))
		}
	}
}

func presented(w way, session mcp.Call, kind string, credentials ...reports.Field) Variant {
	return Variant{About: kind + ", in " + w.name, Request: w.request(session.With(credentials...))}
}

// served reports whether a request got past the guard, whatever the result.
func served(ex *reports.Exchange) bool {
	s := expect.Status(ex)
	return s >= 200 && s <= 299 && !expect.RefusedInside(ex)
}

// anonymously sends the request of a way without a token, in its own session.
func (t MCPServer) anonymously(w way) *reports.Exchange {
	session, refused := t.SessionOf(t.FirstToken())
	if refused != nil {
		return refused
	}
	return t.Do(w.request(session))
}

// usingMethods are JSON-RPC methods whose parameters name nothing that exists.
var usingMethods = []struct {
	rpc    string
	params map[string]any
}{
	{rpc: "tools/list"},
	{rpc: "tools/call", params: map[string]any{"name": "mcpauth_no_such_tool", "arguments": map[string]any{}}},
	{rpc: "resources/list"},
	{rpc: "resources/read", params: map[string]any{"uri": "mcpauth:no-such-resource"}},
	{rpc: "prompts/list"},
	{rpc: "prompts/get", params: map[string]any{"name": "mcpauth_no_such_prompt"}},
	{rpc: "completion/complete", params: map[string]any{
		"ref":      map[string]any{"type": "ref/prompt", "name": "mcpauth_no_such_prompt"},
		"argument": map[string]any{"name": "a", "value": "b"},
	}},
	{rpc: "ping"},
	{rpc: "tasks/list"},
	{rpc: "notifications/mcpauth_unknown"},
	{rpc: "subscriptions/listen"},
}

// ways returns all ways; the one that ends the session is last.
func (t MCPServer) ways() []way {
	var out []way
	for _, m := range usingMethods {
		if t.serves(m.rpc) {
			out = append(out, way{m.rpc, func(c mcp.Call) wire.Request { return watched(c.Method(m.rpc, m.params)) }})
		}
	}
	old := document.Origin(t.Survey.URL) + "/sse"
	return append(out,
		way{"GET /sse", func(c mcp.Call) wire.Request {
			c.Endpoint, c.SessionID = old, ""
			return watched(c.Using("GET"))
		}},
		way{"GET", func(c mcp.Call) wire.Request { return watched(c.Using("GET")) }},
		way{"GET with Last-Event-ID", func(c mcp.Call) wire.Request {
			return watched(c.Using("GET").With(mcp.Field("Last-Event-ID", "mcpauth")))
		}},
		way{"DELETE", func(c mcp.Call) wire.Request { return c.Using("DELETE").Request() }})
}

func watched(c mcp.Call) wire.Request {
	r := c.Request()
	r.Peek = wayPeek
	return r
}

// serves reports whether the judged wire has a method that is not public.
func (t MCPServer) serves(rpc string) bool {
	ofOneWire := map[string]mcp.Wire{"ping": mcp.Stateful, "tasks/list": mcp.Stateful, "notifications/mcpauth_unknown": mcp.Stateful,
		"subscriptions/listen": mcp.Stateless}
	w, bound := ofOneWire[rpc]
	return (!bound || w == t.wire()) && !t.Public(rpc) && !t.DeclaredPublic(rpc)
}
