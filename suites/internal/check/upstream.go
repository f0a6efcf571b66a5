package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// Tools returns the declared tools that call an external API.
func (t UpstreamSide) Tools() []Tool {
	return slices.DeleteFunc(slices.Clone(t.World.Tools), func(tool Tool) bool { return !tool.Upstream || tool.DeniedOnly })
}

// FetchingTools returns the declared tools that fetch a URL in their arguments.
func (t MCPServer) FetchingTools() []Tool {
	return slices.DeleteFunc(slices.Clone(t.Special), func(tool Tool) bool { return !tool.Fetches() || tool.DeniedOnly })
}

// Reaching calls a tool, and returns the requests that arrive at a listener run by mcpauth in the meantime. Other checks may run
// concurrently.
func (t UpstreamSide) Reaching(l *listener.Listener, call func() *reports.Exchange) (*reports.Exchange, []listener.Request) {
	before := len(l.Seen())
	ex := call()
	return ex, l.Seen()[before:]
}

// ServeAPI makes the API run by mcpauth answer everything, and ends the check unless a call of the tool reaches it.
func (t UpstreamSide) ServeAPI(tool Tool, token string) {
	t.API.Answer(Plenty)
	ex, seen := t.Reaching(t.API, func() *reports.Exchange { return t.MCP.CallTool(token, tool) })
	t.Expect(len(seen), "%s is answered with %s, and", tool.Name, expect.Describe(ex)).SeenIn(ex).AsControl(callAPI(t.API.URL("/")))
}

var callAPI = expect.Family("callAPI", func(address string) expect.Matcher {
	return expect.Serving("a call of "+address, func(calls int) string {
		if calls > 0 {
			return ""
		}
		return "calls nothing at " + address
	})
})

// Plenty returns the answer of an API that accepts everything.
func Plenty(listener.Request) listener.Answer {
	return listener.Answer{Status: 200, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"login":"alice","id":1,"sub":"alice","email":"alice@users.example","active":true,"ok":true,"data":[]}`}
}

// Issued returns the tokens and codes that an upstream run by mcpauth has issued, oldest first, and keeps them out of reports.
func (t UpstreamSide) Issued() []string {
	issued := t.World.Upstream.Issued()
	for _, v := range issued {
		t.Hide(v)
	}
	return issued
}

// CredentialFields are header fields that carry credentials of servers for APIs.
var CredentialFields = []string{
	"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token", "Private-Token",
	"X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "X-Amz-Security-Token", "X-Vault-Token",
}

// APISecrets returns the credentials with which the target itself calls the API.
func (t UpstreamSide) APISecrets() []string {
	var out []string
	for _, r := range t.API.Seen() {
		for _, name := range CredentialFields {
			_, bare, found := strings.Cut(r.Header.Get(name), " ")
			if !found {
				bare = r.Header.Get(name)
			}
			if len(bare) >= 8 && !slices.Contains(out, bare) {
				t.Secrets.Add("upstream_credential", bare)
				out = append(out, bare)
			}
		}
	}
	return out
}

// CallWith calls a tool with a token and further header fields.
func (t MCPServer) CallWith(token string, tool Tool, fields ...reports.Field) *reports.Exchange {
	call, refused := t.SessionOf(token)
	if refused != nil {
		return refused
	}
	return t.Send(call.Method("tools/call", tool.Params()).With(mcp.Bearer(token)).With(fields...))
}
