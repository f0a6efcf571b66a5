package challenge

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func everywhere() {
	// Authorization must be included in every HTTP request, so every method must ask for it.
	Must("RS-CHALLENGE-EVERY-RPC-METHOD", func(t *T) {
		var variants []Variant
		for _, c := range messages(t) {
			if !t.DeclaredPublic(c.RPC) && !t.MCP.PublicHandshake(c.RPC) {
				variants = append(variants, Call(c, "%s", c.RPC))
			}
		}
		for i, ex := range t.All(variants) {
			judge(t, ex, variants[i].About)
		}
		if open := t.MCP.Anonymous(); t.MCP.PublicHandshake("initialize") && !t.DeclaredPublic(t.MCP.Handshake()) {
			t.Advise(open, "HTTP 401, or a handshake that is declared public (target.public in the target file)",
				"%s is served without a token, which tells anybody what the server is and offers", t.MCP.Handshake())
		}
	})

	Must("RS-CHALLENGE-EVERY-HTTP-METHOD", func(t *T) {
		for _, verb := range []string{"GET", "DELETE"} {
			ex := t.Send(t.MCP.Call().Using(verb).OnFreshConnection())
			if expect.Status(ex) == 400 {
				t.Expect(ex, "%s without credentials", verb).Ideally(expect.Refuse(401, 405))
				continue
			}
			t.Expect(ex, "%s without credentials", verb).To(expect.Refuse(401, 405, 404)) // 404: no such stream here
		}
		var unusual []Variant
		for _, verb := range []string{"HEAD", "PUT", "PATCH", "MCPAUTH"} {
			unusual = append(unusual, Call(t.MCP.Call().Using(verb), "%s without credentials", verb))
		}
		t.ExpectAll(unusual, nothingServed())
		override := t.Send(t.MCP.Call().With(mcp.Field("X-HTTP-Method-Override", "GET")))
		t.Expect(override, "POST with X-HTTP-Method-Override: GET").To(expect.NotBypass())
	})

	Must("RS-CHALLENGE-PATH-VARIANTS", func(t *T) {
		var all []Variant
		for _, u := range spellings(t.Survey.URL) {
			c := t.MCP.Call()
			c.Endpoint = u
			all = append(all, Call(c, "%s", u))
		}
		for i, ex := range t.All(all) {
			if expect.Accepted(ex) {
				t.Unmet(ex, "no result under another spelling of the path", "%s at %s", expect.Describe(ex), all[i].About)
			} else if ex.Response != nil && ex.Response.Status < 500 {
				t.Refused()
			}
		}
		for _, header := range []string{"X-Original-URL", "X-Rewrite-URL"} {
			c := t.MCP.Call().With(mcp.Field(header, t.Survey.URL.EscapedPath()))
			c.Endpoint = document.Origin(t.Survey.URL) + "/"
			ex := t.Send(c)
			if expect.Accepted(ex) {
				t.Unmet(ex, "no result under another spelling of the path", "%s at / with %s", expect.Describe(ex), header)
			}
		}
	})

	Must("RS-CHALLENGE-SIDE-ROUTES", func(t *T) {
		origin := document.Origin(t.Survey.URL)
		call := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
		judgeRoute := func(ex *reports.Exchange) {
			if bypassed(ex) {
				t.Unmet(ex, "no tool or data without a token on a side route", "%s", expect.Describe(ex))
			} else if ex.Response != nil && ex.Response.Status >= 400 && ex.Response.Status < 500 {
				t.Refused()
			}
		}
		var all []Variant
		for _, path := range []string{"/call", "/messages", "/message?sessionId=00000000-0000-4000-8000-000000000000", "/rpc", "/tools/list", "/tools/mcpauth_no_such_tool"} {
			all = append(all, Variant{About: path, Request: wire.Request{Method: "POST", URL: origin + path, Body: call, Header: []reports.Field{mcp.Field("Content-Type", "application/json"), mcp.Field("Accept", "application/json, text/event-stream")}}})
		}
		for _, path := range []string{"/sse", "/tools", "/resources", "/debug/vars", "/env", "/.env", "/actuator/env"} {
			all = append(all, Variant{About: path, Request: wire.Request{Method: "GET", URL: origin + path, Peek: 200e6, Header: []reports.Field{mcp.Field("Accept", "application/json, text/event-stream")}}})
		}
		for _, ex := range t.All(all) {
			judgeRoute(ex)
		}
	})
}

// messages are one call of every JSON-RPC method of the revision; none names a tool or resource that
// exists.
func messages(t *T) []mcp.Call {
	probe := mcp.Probe(t.Survey.Endpoint, t.Revision)
	methods := []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list", "mcpauth/no_such_method"}
	if t.Wire == mcp.Stateful {
		methods = append(methods, "initialize", "ping", "notifications/initialized", "notifications/mcpauth_unknown", "logging/setLevel")
	} else {
		methods = append(methods, "server/discover")
	}
	if t.Revision == "2025-11-25" {
		methods = append(methods, "tasks/list")
	}
	var out []mcp.Call
	for _, m := range methods {
		c := probe.Method(m, nil)
		if m == "initialize" {
			c = probe
		}
		out = append(out, c)
	}
	for method, params := range Sorted(map[string]map[string]any{
		"tools/call":          {"name": "mcpauth_no_such_tool", "arguments": map[string]any{}},
		"resources/read":      {"uri": "mcpauth:no-such-resource"},
		"prompts/get":         {"name": "mcpauth_no_such_prompt"},
		"completion/complete": {"ref": map[string]any{"type": "ref/prompt", "name": "mcpauth_no_such_prompt"}, "argument": map[string]any{"name": "a", "value": "b"}},
	}) {
		out = append(out, probe.Method(method, params))
	}
	return out
}

func judge(t *T, ex *reports.Exchange, method string) {
	switch s := expect.Status(ex); {
	case expect.Accepted(ex), expect.Soft(ex):
		t.Unmet(ex, "401 for "+method+" without credentials", "%s", expect.Describe(ex))
	case s == 400 || s == 404 || s == 405:
		t.Expect(ex, "%s without credentials", method).Ideally(expect.Refuse(401))
	default:
		t.Expect(ex, "%s without credentials", method).To(expect.Refuse(401))
	}
}

// nothingServed accepts every refusal of an unusual verb, and OPTIONS-like answers without content.
func nothingServed() expect.Matcher { return expect.RefuseOrNotImplemented() }

func spellings(u *url.URL) []string {
	origin, path := document.Origin(u), u.EscapedPath()
	last := path[strings.LastIndex(path, "/")+1:]
	dir := strings.TrimSuffix(path, last)
	if last == "" {
		return []string{origin + "//", origin + "/./", origin + "/;x=1", origin + "/.json"}
	}
	first := strings.ToUpper(last[:1])
	return []string{
		origin + path + "/", origin + dir + "/" + last, origin + dir + strings.ToUpper(last), origin + path + ";x=1",
		origin + dir + "%2e/" + last, origin + dir + "./" + last, origin + dir + "x/../" + last, origin + path + "%00",
		origin + path + ".json", origin + path + "%20", origin + path + "%2f", origin + dir + first + last[1:],
	}
}

func bypassed(ex *reports.Exchange) bool {
	if expect.Status(ex) != 200 {
		return false
	}
	body := ex.Response.Body
	switch expect.MediaType(ex) {
	case "text/html":
		return false // a page for every path is no data
	case "text/event-stream":
		return strings.Contains(body, "event: endpoint")
	}
	if o, _, err := document.ParseObject(body); err == nil && mcp.Read(ex).Result == nil {
		return holds(o, "content", "type") || holds(o, "tools", "inputSchema") || o.Object("memstats") != nil || holds(o, "propertySources", "name")
	}
	return mcp.Read(ex).Result != nil || strings.HasSuffix(ex.Request.URL, "/.env") && strings.Contains(body, "=")
}

// holds reports that a member is an array of objects with a member of their own.
func holds(o *document.Object, name, inner string) bool {
	v, _ := o.Get(name)
	list, _ := v.([]any)
	for _, e := range list {
		if entry, ok := e.(*document.Object); ok {
			if _, has := entry.Get(inner); has {
				return true
			}
		}
	}
	return false
}
