package check

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// mostExisting bounds the tools that are called with bad credentials.
const mostExisting = 12

// ExistingTools returns tools to call with bad credentials: the declared ones, or else those that the target lists as read-only, if the
// user permits attacks. The check ends if there is none.
func (t MCPServer) ExistingTools() []Tool {
	tools, unread := t.declaredOrReadOnly()
	switch {
	case unread != nil:
		t.Inconclusive("%s", Because(t.T, unread, listUnread(unread)))
	case len(tools) == 0:
		t.NotTested("no existing tool was tried: declare one (tools in the target file); a listed tool is called only if it is annotated as " +
			"read-only, on loopback or with --i-am-authorized")
	}
	return tools[:min(len(tools), mostExisting)]
}

// AnExistingTool returns the first existing tool that is not public, or none.
func (t MCPServer) AnExistingTool() []Tool {
	if t.DeclaredPublic("tools/call") {
		return nil
	}
	tools, unread := t.declaredOrReadOnly()
	if unread != nil {
		t.Leave("an existing tool", Because(t.T, unread, listUnread(unread)))
	}
	return tools[:min(len(tools), 1)]
}

// declaredOrReadOnly returns the declared tools, or else the listed ones that claim to be read-only. If the list could not be read, it
// returns the failed request.
func (t MCPServer) declaredOrReadOnly() (tools []Tool, unread *reports.Exchange) {
	if len(t.Tools) > 0 {
		return slices.Clone(t.Tools), nil
	}
	return t.readOnlyTools()
}

func listUnread(ex *reports.Exchange) string {
	return "the list of tools could not be read: " + expect.Describe(ex)
}

// AMirroringTool returns a declared tool with a parameter that clients repeat in a header field, and arguments with a value for it.
// Undeclared tools are not called with an accepted token. added says that the parameter is optional.
func (t MCPServer) AMirroringTool() (tool Tool, m mcp.Mirror, added, ok bool) {
	tools := slices.DeleteFunc(slices.Clone(t.Tools), func(x Tool) bool { return x.DeniedOnly })
	slices.SortStableFunc(tools, func(a, b Tool) int { return len(a.Scope) - len(b.Scope) }) // tools without a scope first
	for _, tool := range tools {
		for _, m := range t.Survey.Mirrored[tool.Name] {
			_, given := m.Value(tool.Arguments)
			if !given {
				tool.Arguments = m.Set(tool.Arguments, sample(m.Schema, 0))
			}
			if _, ok := m.Value(tool.Arguments); ok {
				return tool, m, !given, true
			}
		}
	}
	return Tool{}, mcp.Mirror{}, false, false
}

// readOnlyTools returns the listed tools that claim to be read-only, with arguments that fit their schemas.
func (t MCPServer) readOnlyTools() (out []Tool, unread *reports.Exchange) {
	if !t.Loopback() && !t.MayAttack {
		return nil, nil
	}
	list := t.List("tools/list", t.ownCredentials()...)
	ex := list.First()
	if failure(ex) != "" {
		return nil, ex
	}
	if !expect.Accepted(ex) {
		return nil, nil
	}
	for _, listed := range list.Entries("tools") {
		if readOnly, _ := listed.Object("annotations").Bool("readOnlyHint"); readOnly && listed.String("name") != "" {
			arguments, _ := sample(listed.Object("inputSchema"), 0).(map[string]any)
			out = append(out, Tool{Name: listed.String("name"), Arguments: arguments})
		}
	}
	return out, nil
}

// deepest bounds the depth to which a schema is followed.
const deepest = 5

// sample returns a value that fits a JSON Schema, as far as its types, enumerations and bounds are concerned.
func sample(schema *document.Object, depth int) any {
	if v, ok := named(schema); ok {
		return v
	}
	switch schema.String("type") {
	case "integer", "number":
		if v, ok := schema.Get("minimum"); ok {
			return v
		}
		return 1
	case "boolean":
		return false
	case "array":
		return []any{}
	case "string":
		return "mcpauth"
	}
	fields := map[string]any{}
	required, _ := schema.Strings("required")
	for _, name := range required {
		if depth < deepest {
			fields[name] = sample(schema.Object("properties").Object(name), depth+1)
		}
	}
	return fields
}

// named returns a value that a schema names: its constant, one of its enumeration, an example, or the default.
func named(schema *document.Object) (any, bool) {
	if v, ok := schema.Get("const"); ok {
		return v, true
	}
	for _, name := range []string{"enum", "examples"} {
		v, _ := schema.Get(name)
		if list, _ := v.([]any); len(list) > 0 {
			return list[0], true
		}
	}
	return schema.Get("default")
}

// BadTokens returns bearer tokens that no server may accept: garbage, an expired one, and one with another signer.
func (t Minter) BadTokens() Cases[string] {
	g, a := t.Genuine(), mint.NewAttacker()
	expired, now := a.ES256(g.Header.With("alg", "ES256"), expiredClaims(g.Claims)), time.Now().Unix()
	if t.Trusted() {
		expired = t.Token(map[string]any{"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600})
	}
	rows := Cases[string]{
		{"a garbage token", survey.BogusToken},
		{"an expired token", expired},
		{"a token signed by a key that is not trusted", a.ES256(g.Header.With("alg", "ES256"), g.Claims)},
	}
	for _, c := range slices.Concat(t.MCP.Withdrawn(), t.MCP.ForeignTokens()) {
		if c.Header == "" {
			rows = append(rows, Cases[string]{{c.Name, c.Value}}...)
		}
	}
	return rows
}

// KeyFields returns the names of the header fields in which declared API keys are sent; where none is declared, the most common one.
func (t MCPServer) KeyFields() (names []string) {
	for _, c := range t.Credentials {
		if c.Header != "" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.Header) }) {
			names = append(names, c.Header)
		}
	}
	if len(names) == 0 {
		return []string{"X-API-Key"}
	}
	return names
}

// BadKeys returns header fields of API keys that no server may accept: for each field of KeyFields a made-up value, and the declared
// keys that are withdrawn or foreign.
func (t MCPServer) BadKeys() Cases[reports.Field] {
	var rows Cases[reports.Field]
	for _, name := range t.KeyFields() {
		rows = rows.And("a made-up value in "+name, mcp.Field(name, t.Hide(Random(24))))
	}
	for _, c := range slices.Concat(t.Withdrawn(), t.ForeignTokens()) {
		if c.Header != "" {
			rows = rows.And(c.Name, c.Field())
		}
	}
	return rows
}

func expiredClaims(claims mint.Claims) mint.Claims {
	out, now := mint.Claims{}, time.Now().Unix()
	for name, v := range claims {
		out[name] = v
	}
	out["iat"], out["exp"] = now-7200, now-3600
	return out
}
