package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Elicitation is a request of the target to its user.
type Elicitation struct {
	Tool     Tool
	Exchange *reports.Exchange
	// URL is set in URL mode, and Schema in form mode.
	URL, Message string
	Schema       *document.Object
}

// FormAndURL are the capabilities of a client that supports both modes of elicitation; FormOnly those of one that cannot open URLs.
var (
	FormAndURL = map[string]any{"elicitation": map[string]any{"form": map[string]any{}, "url": map[string]any{}}}
	FormOnly   = map[string]any{"elicitation": map[string]any{}}
)

// Eliciting returns the declared tools that elicit something from the user.
func (t MCPServer) Eliciting() []Tool {
	return slices.DeleteFunc(slices.Clone(t.Special), func(tool Tool) bool { return !tool.Elicits || tool.DeniedOnly })
}

// CapableSession opens a session of a client with capabilities; refused is the answer if that fails.
func (t MCPServer) CapableSession(capabilities map[string]any, credentials ...reports.Field) (call mcp.Call, refused *reports.Exchange) {
	call, refused = t.session(capabilities, credentials)
	call.Capabilities = capabilities
	return call, refused
}

// CallCapably calls a tool as a client with capabilities, and returns the answer: it ends with a request to the client.
func (t MCPServer) CallCapably(tool Tool, capabilities map[string]any, credentials ...reports.Field) *reports.Exchange {
	call, refused := t.CapableSession(capabilities, credentials...)
	if refused != nil {
		return refused
	}
	return t.CallInto(call.Method("tools/call", tool.Params()).With(credentials...))
}

// CallInto sends a call, and reads its event stream until an answer or a request to the client.
func (t MCPServer) CallInto(call mcp.Call) *reports.Exchange {
	r := call.Request()
	answered := r.Until
	r.Until = func(data string) bool {
		return answered(data) || strings.Contains(data, `"elicitation/create"`)
	}
	return t.Do(r)
}

// Elicitations returns the elicitations in an answer: in the stream (up to MCP 2025-11-25), in the error -32042 (2025-11-25), or in
// inputRequests (2026-07-28).
func Elicitations(tool Tool, ex *reports.Exchange) []Elicitation {
	var out []Elicitation
	add := func(params *document.Object) {
		if params != nil {
			out = append(out, Elicitation{Tool: tool, Exchange: ex, URL: params.String("url"), Message: params.String("message"),
				Schema: params.Object("requestedSchema")})
		}
	}
	for _, m := range mcp.Messages(ex) {
		if m.String("method") == "elicitation/create" {
			add(m.Object("params"))
		}
		list, _ := m.Object("error").Object("data").Get("elicitations")
		elements, _ := list.([]any)
		for _, e := range elements {
			o, _ := e.(*document.Object)
			add(o)
		}
		requests := m.Object("result").Object("inputRequests")
		for _, name := range requests.Names() {
			if r := requests.Object(name); r.String("method") == "elicitation/create" {
				add(r.Object("params"))
			}
		}
	}
	return out
}

// Elicited returns the elicitations of the declared tools for a client with these capabilities.
func (t MCPServer) Elicited(token string, capabilities map[string]any) []Elicitation {
	var out []Elicitation
	for _, tool := range t.Eliciting() {
		out = append(out, Elicitations(tool, t.CallCapably(tool, capabilities, mcp.Bearer(token)))...)
	}
	return out
}

// Visit opens a URL in a new browser as a user, or without a login, and follows the pages and forms as far as possible.
func (t Pages) Visit(address string, user int) *login.Outcome {
	agent := &login.Agent{Jar: login.NewJar(), Secrets: t.Secrets, Send: t.Do, Record: t.browsed}
	if user >= 0 {
		if !t.Session.Identity(user).Proven() {
			t.AS.Authorize(By(user)) // an ordinary request first: a page that refuses an account proves nothing about its password
		}
		agent.User = t.Session.Identity(user).User
	}
	out := t.Session.Carry(t.ctx, agent, address, login.Route{RedirectURI: "mcpauth:none"}, false)
	t.browser.Lock()
	t.transcript = append(t.transcript, t.inBrowser...)
	t.inBrowser = nil
	t.browser.Unlock()
	return out
}

// Browse opens a page in a browser with these cookies, as the first user.
func (t Pages) Browse(address string, jar *login.Jar) *login.Outcome {
	return t.Click(wire.Request{Method: "GET", URL: address}, jar)
}

// Click sends a request in a browser with these cookies, as the first user, and follows the pages as far as possible. It leaves forms that
// ask for a decision.
func (t Pages) Click(req wire.Request, jar *login.Jar) *login.Outcome {
	return t.Continue(t.agent(jar), req, login.Route{RedirectURI: "mcpauth:none", Decision: login.Leave})
}

// Confirm is Click, and approves if a page asks. It stops before the browser leaves the origin of the request, and at a login page: it
// shows what the browser can do as it is.
func (t Pages) Confirm(req wire.Request, jar *login.Jar) *login.Outcome {
	return t.confirm(req, jar, login.Route{StopAtLogin: true})
}

// Approve is Confirm, and signs the first user in if a page asks for that.
func (t Pages) Approve(req wire.Request, jar *login.Jar) *login.Outcome {
	return t.confirm(req, jar, login.Route{})
}

// Deny is Approve, but denies. It reports whether a page offered that.
func (t Pages) Deny(req wire.Request, jar *login.Jar) bool {
	out := t.confirm(req, jar, login.Route{Decision: login.Deny})
	return out.Consented && out.Stage != login.AtConsent
}

func (t Pages) confirm(req wire.Request, jar *login.Jar, route login.Route) *login.Outcome {
	from, err := document.ParseURL(req.URL)
	if err != nil {
		t.Inconclusive("%s is not a URL: %v", req.URL, err)
	}
	away := func(address string) bool {
		to, err := document.ParseURL(address)
		return err != nil || document.Origin(to) != document.Origin(from)
	}
	route.RedirectURI, route.Until = "mcpauth:none", away
	return t.Continue(t.agent(jar), req, route)
}
