package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// TokenWithScopes returns a token of the first user with these scopes, and with those that every request needs by declaration:
// minted, or by a login.
func (t MCPServer) TokenWithScopes(scopes ...string) string {
	wanted := Union(t.Base, scopes)
	token, held, why := t.TokenOf(wanted)
	if missing := t.missing(held, wanted); why == "" && len(missing) > 0 {
		why = fmt.Sprintf("the authorization server grants %s where %s was requested", words(held), words(wanted))
	}
	if why != "" {
		t.Inconclusive("%s", why)
	}
	return token
}

// TokenWithout returns a token of the first user that holds none of some scopes, and as many others as can be had: where the
// authorization server adds a default, another request is tried. What counts is what the token really holds.
func (t MCPServer) TokenWithout(lacking ...string) (token string, held []string) {
	if t.Mint.Trusted() {
		token, held, _ = t.TokenOf(t.Without(t.OrdinaryScopes(), lacking))
		return token, held
	}
	var reasons []string
	for _, scopes := range t.requestsWithout(lacking) {
		token, held, why := t.TokenOf(scopes)
		if why == "" && len(t.Without(held, lacking)) < len(held) {
			why = fmt.Sprintf("a request for %s is granted %s", words(scopes), words(held))
		}
		if why == "" {
			return token, held
		}
		if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	t.Inconclusive("no token could be had that lacks %s: %s", strings.Join(lacking, " and "), strings.Join(reasons, "; "))
	return "", nil
}

// requestsWithout returns lists of scopes to ask for, so that the token lacks some: all that tools need besides, what the target
// publishes besides, each of these alone, openid, which no tool needs, and none.
func (t MCPServer) requestsWithout(lacking []string) (out [][]string) {
	published := t.Session.Pool
	if d := t.Survey.Resource(); d != nil {
		scopes, _ := d.Object.Strings("scopes_supported")
		published = Union(published, scopes)
	}
	declared, published := t.Without(t.OrdinaryScopes(), lacking), t.Without(published, lacking)
	for _, scopes := range append([][]string{declared, published}, each(Union(declared, published))...) {
		if len(scopes) > 0 && !slices.ContainsFunc(out, func(o []string) bool { return SameScopes(o, scopes) }) {
			out = append(out, scopes)
		}
	}
	const most = 4 // logins take time
	out = out[:min(len(out), most)]
	if !slices.Contains(lacking, "openid") && !slices.Contains(published, "openid") {
		out = append(out, []string{"openid"})
	}
	return append(out, nil)
}

func each(list []string) (out [][]string) {
	for _, s := range list {
		out = append(out, []string{s})
	}
	return out
}

// TokenOf returns a token for which these scopes were requested, and what it holds; why says why there is none.
func (t MCPServer) TokenOf(scopes []string) (token string, held []string, why string) {
	if t.Mint.Trusted() {
		return t.Mint.Token(map[string]any{"scope": strings.Join(scopes, " ")}), scopes, ""
	}
	if t.Session == nil || !t.Session.Ready {
		t.NotTested("it needs tokens with chosen scopes: a login (--username), or a target that trusts an issuer run by mcpauth")
	}
	edit := Scope(scopes...)
	if len(scopes) == 0 {
		edit = Without("scope")
	}
	g := t.AS.MustReachDecision(t.AS.Authorize(edit))
	if g.Code() == "" {
		return "", nil, fmt.Sprintf("a request for %s ends with %s", words(scopes), g.Describe())
	}
	tokens := t.AS.MustRedeem(g)
	held, known := t.AS.Held(tokens, scopes)
	if !known {
		return "", nil, fmt.Sprintf("nothing says what a token for %s holds", words(scopes))
	}
	return tokens.Access, held, ""
}

// Held returns the scopes of a token: by its own claims, by introspection, or by the token response, where an absent scope means
// that it is what was requested (RFC 6749 section 5.1). Where none of these tells, it is not known.
func (t AuthorizationServer) Held(tokens *oauth.Tokens, requested []string) (scopes []string, known bool) {
	if scopes, known = t.RealScope(tokens); known {
		return scopes, true
	}
	if tokens.HasScope {
		return tokens.Scope, true
	}
	return requested, len(requested) > 0
}

// Holds reports whether a token has a scope, and whether that can be seen: by its claims, by introspection, by a declared tool
// that needs nothing but this scope and runs, or by the token response. Scopes that were requested are those that it has where
// the response names none (RFC 6749 section 5.1).
func (t AuthorizationServer) Holds(tokens *oauth.Tokens, requested []string, scope string) (holds, seen bool) {
	if held, known := t.RealScope(tokens); known {
		return slices.Contains(held, scope), true
	}
	for _, tool := range t.MCP.ScopedTools() {
		if SameScopes(tool.Scopes(), []string{scope}) && len(tool.AnyOf) == 0 && expect.Ran(t.MCP.CallTool(tokens.Access, tool)) {
			return true, true
		}
	}
	held, known := t.Held(tokens, requested)
	return slices.Contains(held, scope), known
}

// missing returns the scopes of a list for which none is held.
func (t MCPServer) missing(held, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(s string) bool {
		return slices.ContainsFunc(held, func(h string) bool { return t.Includes(h, s) })
	})
}

func words(scopes []string) string {
	if len(scopes) == 0 {
		return "no scope"
	}
	return strings.Join(scopes, " ")
}

// Allowed returns the answer to a call of a tool with the scopes that it needs by declaration, and used are those of the token. Where
// the target asks for more in its challenge, what it asks for is added: it may be stricter than declared.
func (t MCPServer) Allowed(tool Tool) (ex *reports.Exchange, used []string) {
	used = Union(t.Base, tool.Scopes())
	ex = t.CallTool(t.TokenWithScopes(used...), tool)
	for range 2 {
		more := Union(used, Challenged(ex))
		if expect.Status(ex) != 403 || len(more) == len(used) {
			break
		}
		token, held, why := t.TokenOf(more)
		if why != "" || len(t.missing(held, more)) > 0 {
			break
		}
		ex, used = t.CallTool(token, tool), more
	}
	return ex, used
}

// Challenged returns the scopes that the challenge of an answer names (RFC 6750 section 3).
func Challenged(ex *reports.Exchange) []string {
	scope, _ := expect.Param(ex, "scope")
	return strings.Fields(scope)
}

// Unknown reports whether a call of a tool is answered as if there were no tool of that name, with these very credentials: a
// server may hide what is forbidden (RFC 9110 section 15.5.4).
func (t MCPServer) Unknown(ex *reports.Exchange, tool Tool, credentials ...reports.Field) bool {
	if expect.Ran(ex) || expect.Status(ex) == 401 || expect.Status(ex) == 403 || expect.NoAnswer(ex) != "" {
		return false
	}
	none := tool
	none.Name = "mcpauth_no_such_tool"
	other := t.CallToolAs(none, credentials...)
	same := func(ex *reports.Exchange, name string) string { return strings.ReplaceAll(expect.Body(ex), name, "") }
	return expect.Status(ex) == expect.Status(other) && same(ex, tool.Name) == same(other, none.Name)
}
