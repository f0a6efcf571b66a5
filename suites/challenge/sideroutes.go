package challenge

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// sideRoute is a request at a path where servers offer the same tools outside MCP, or that they leave open by mistake.
type sideRoute struct{ verb, path, body string }

const listing = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

var sideRoutes = []sideRoute{
	{"POST", "/call", listing},
	{"POST", "/messages", listing},
	{"POST", "/messages/", listing},
	{"POST", "/message?sessionId=00000000-0000-4000-8000-000000000000", listing},
	{"POST", "/rpc", listing},
	{"POST", "/tools/list", listing},
	{"POST", "/tools/mcpauth_no_such_tool", listing},
	{"GET", "/sse", ""},
	{"GET", "/tools", ""},
	{"GET", "/resources", ""},
	{"GET", "/debug/vars", ""},
	{"GET", "/env", ""},
	{"GET", "/.env", ""},
	{"GET", "/actuator/env", ""},
}

// routesOf are the routes by which servers offer a tool: a route refuses a tool that does not exist, whoever calls.
func routesOf(tool Tool) []sideRoute {
	arguments, named := mint.JSON(tool.Params()["arguments"]), mint.JSON(tool.Params())
	name := url.PathEscape(tool.Name)
	return []sideRoute{
		{"POST", "/tools/" + name, arguments},
		{"POST", "/tools/" + name + "/call", arguments},
		{"POST", "/api/tools/" + name, arguments},
		{"POST", "/tools/call", named},
		{"POST", "/call", named},
	}
}

func guardsSideRoutes(t *T) {
	routes, own := sideRoutes, ""
	for _, tool := range t.MCP.AnExistingTool() {
		routes = slices.Concat(routes, routesOf(tool))
		own = ownResult(t, tool)
	}
	var all []Variant
	for _, base := range bases(t.Survey.URL) {
		for _, route := range routes {
			all = append(all, route.at(base))
		}
	}
	for i, ex := range t.All(all) {
		if t.Expect(ex, "%s", all[i].About).To(giveNothingAway(own)) && expect.Status(ex) >= 400 && expect.Status(ex) <= 499 {
			t.Expect(ex, "%s", all[i].About).To(expect.NotBypass())
		}
	}
	namesNoSessions(t)
}

// ownResult is what a tool says to the user; empty without a token, for a tool that may not be called with one, and where the text is so
// short that it may be in any answer.
func ownResult(t *T, tool Tool) string {
	if !t.MCP.HasToken() || len(t.Tools) == 0 || tool.DeniedOnly {
		Untried(t, "results of tools that are not in a form of MCP", "a tool that may be called")
		return ""
	}
	const telling = 5
	if ex := t.MCP.CallTool(t.MCP.Token(), tool); expect.Ran(ex) && len(Text(ex)) >= telling {
		return Text(ex)
	}
	return ""
}

// bases are the origin of the endpoint, and the folder in which it is.
func bases(u *url.URL) []string {
	origin, path := document.Origin(u), u.EscapedPath()
	out := []string{origin}
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		out = append(out, origin+path[:i])
	}
	return out
}

func (s sideRoute) at(base string) Variant {
	r := wire.Request{Method: s.verb, URL: base + s.path, Body: s.body, Header: []reports.Field{
		mcp.Field("Accept", "application/json, text/event-stream"),
	}}
	if s.verb == "POST" {
		r.Header = append(r.Header, mcp.Field("Content-Type", "application/json"))
	} else {
		r.Peek = silence
	}
	u, _ := url.Parse(base) // it is a part of the target's address
	return Variant{About: s.verb + " " + u.EscapedPath() + s.path, Request: r}
}

var giveNothingAway = expect.Family("giveNothingAway", func(own string) expect.Matcher {
	return expect.That("no tool and no data without a token on a side route", func(ex *reports.Exchange) string {
		if what := givenAway(ex, own); what != "" {
			return fmt.Sprintf("%s: %s", expect.Describe(ex), what)
		}
		return ""
	})
})

// endpointEvent is the first event of the transport of 2024-11-05.
var endpointEvent = regexp.MustCompile(`(?m)^event: ?endpoint\r?$`)

// givenAway is the part of an answer of a side route that is not public. own is what a tool says to the user.
func givenAway(ex *reports.Exchange, own string) string {
	if expect.Status(ex) != 200 || expect.MediaType(ex) == "text/html" { // a page for every path is not data
		return ""
	}
	body := expect.Body(ex)
	v, err := document.ParseValue(body)
	o, _ := v.(*document.Object)
	switch {
	case expect.MediaType(ex) == "text/event-stream" && endpointEvent.MatchString(body):
		return "the old transport's stream"
	case mcp.Read(ex).Result != nil:
		return "a JSON-RPC result"
	case own != "" && strings.Contains(said(v, body), own):
		return "what the tool says to its user"
	case err == nil && (lists(nil, o, "content", "type") || lists(v, o, "tools", "inputSchema", "input_schema")):
		return "tools, or what they return"
	case err == nil && lists(v, o, "resources", "uri") && lists(v, o, "resources", "name"):
		return "resources"
	case err == nil && (o.Object("memstats") != nil || lists(nil, o, "propertySources", "name")):
		return "the server's own state"
	case strings.HasSuffix(ex.Request.URL, "/.env") && strings.Contains(body, "="):
		return "the environment"
	}
	return ""
}

// said is the text of a plain answer, or all texts in a JSON answer.
func said(v any, body string) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, said(e, ""))
		}
		return strings.Join(all, "\n")
	case *document.Object:
		var all []string
		for _, name := range v.Names() {
			member, _ := v.Get(name)
			all = append(all, said(member, ""))
		}
		return strings.Join(all, "\n")
	}
	return body
}

// lists reports whether an answer is a list of objects with one of the inner members, by itself or as a member.
func lists(v any, o *document.Object, name string, inner ...string) bool {
	list, alone := v.([]any)
	if !alone {
		member, _ := o.Get(name)
		list, _ = member.([]any)
	}
	return slices.ContainsFunc(list, func(e any) bool {
		entry, _ := e.(*document.Object)
		return slices.ContainsFunc(inner, func(member string) bool { _, has := entry.Get(member); return has })
	})
}
