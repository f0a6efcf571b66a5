package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// SendAsOrdinaryClient sends a call in the style of the MCP TypeScript SDK under Node: without a mark of this tool in its fields, their
// order and letter case, or its message. A target without HTTP/1.1 gets the same fields and message over HTTP/2.
func (t MCPServer) SendAsOrdinaryClient(c mcp.Call) *reports.Exchange {
	ordinary := asOrdinaryClient(c)
	ex := t.Do(ordinary)
	if ex.Response == nil {
		ordinary.Fetch = false
		ex = t.Do(ordinary)
	}
	return ex
}

// Introduced returns a text of this check in the form for requests that do not name this tool.
func (t MCPServer) Introduced(text string) string { return t.Client.Introduced(t.id, text) }

func asOrdinaryClient(c mcp.Call) wire.Request {
	r := c.Request()
	r.Fetch = true
	r.Body = unmarked(strings.ReplaceAll(r.Body, `"name":"mcpauth"`, `"name":"claude-code"`))
	r.Header = slices.Clone(r.Header)
	for i, f := range r.Header {
		if f.Name != "Authorization" { // the SDK writes all other names in lower case
			r.Header[i] = mcp.Field(strings.ToLower(f.Name), unmarked(f.Value)) // Mcp-Name repeats a name in the message
		}
	}
	slices.SortStableFunc(r.Header, func(a, b reports.Field) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	r.Header = append(r.Header, mcp.Field("User-Agent", wire.FetchAgent))
	return r
}

func unmarked(text string) string { return strings.ReplaceAll(text, "mcpauth", "search") }

// sdkOrder is the order in which the SDK sets the fields of a request.
var sdkOrder = []string{"Authorization", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "content-type", "accept"}

// rank returns the position of a field in the order of the SDK; other fields come first, like those that users configure.
func rank(name string) int { return slices.Index(sdkOrder, name) }
