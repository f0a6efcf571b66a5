package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// TokenWithScopes returns a token of the first user, minted or from a login, with these scopes and those that every request needs by
// declaration.
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

// TokenWithout returns a token of the first user with none of some scopes, and as many others as possible. If the authorization server adds
// a default scope, it tries another request. The real scopes of the token count.
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
	t.Inconclusive("no token could be obtained that lacks %s: %s", strings.Join(lacking, " and "), strings.Join(reasons, "; "))
	return "", nil
}

// requestsWithout returns lists of scopes to request, so that the token lacks some: all others that tools need, all others that the target
// publishes, each of these alone, openid, which no tool needs, and none.
func (t MCPServer) requestsWithout(lacking []string) (out [][]string) {
	published := t.Session.Pool
	if d := t.Survey.Resource(); d != nil {
		scopes, _ := d.Object.Strings("scopes_supported")
		published = Union(published, scopes)
	}
	declared, published := t.Without(t.OrdinaryScopes(), lacking), t.Without(published, lacking)
	for _, scopes := range append([][]string{declared, published}, each(Union(declared, published))...) {
		if len(scopes) > 0 && !slices.ContainsFunc(out, func(o []string) bool { return SameSet(o, scopes) }) {
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

// TokenOf returns a token for which these scopes were requested, and its scopes; why says why there is none.
func (t MCPServer) TokenOf(scopes []string) (token string, held []string, why string) {
	if t.Mint.Trusted() {
		return t.Mint.Token(map[string]any{"scope": strings.Join(scopes, " ")}), scopes, ""
	}
	if t.Session == nil || !t.Session.Ready {
		t.mustKnowTrust()
		t.NotTested("it needs tokens with chosen scopes: a login (--username), or a target that trusts an issuer run by mcpauth")
	}
	edit := Scope(scopes...)
	if len(scopes) == 0 {
		edit = Without("scope")
	}
	g := t.AS.MustReachDecision(t.AS.Authorize(t.AS.apart(), edit)) // checks compare tokens with different scopes
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

// RealScope returns the scope of a token by its own claims, or by the client's introspection of its own token; seen is false where neither
// names one, which is optional in both (RFC 9068 section 2.2.3, RFC 7662 section 2.2). Where introspection names that of an ordinary token,
// one without a name has none.
func (t AuthorizationServer) RealScope(tokens *oauth.Tokens) (scopes []string, seen bool) {
	if tokens == nil {
		return nil, false
	}
	_, claims := oauth.Claims(tokens.Access)
	if scopes, seen = scopeIn(claims); !seen {
		introspected := t.Introspected(tokens)
		scopes, seen = scopeIn(introspected)
		seen = seen || introspected != nil && !tokens.HasScope && t.introspectionNamesScopes()
	}
	return inFull(inFull(scopes, t.namedScopes()), tokens.Scope), seen
}

// introspectionNamesScopes reports whether introspection names the scope of an ordinary token.
func (t AuthorizationServer) introspectionNamesScopes() bool {
	return Once(t.T, "introspection names the scope of an ordinary token", func() bool {
		_, names := scopeIn(t.Introspected(t.MustGetTokens(t.apart())))
		return names
	})
}

func scopeIn(o *document.Object) (scopes []string, seen bool) {
	for _, name := range []string{"scope", "scp"} {
		if s := o.String(name); s != "" {
			return strings.Fields(s), true
		}
		if list, ok := o.Strings(name); ok {
			return list, true
		}
	}
	return nil, false
}

// namedScopes are those that the target, its tools and ordinary requests name.
func (t AuthorizationServer) namedScopes() []string {
	scopes := Union(t.Session.RequestedScopes(), t.Session.Pool)
	for _, tool := range t.Tools {
		scopes = Union(Union(scopes, tool.Scopes()), tool.AnyOf)
	}
	return scopes
}

// inFull writes scopes as they are requested where a token has only the last part of their names. Entra ID does so: the scope
// api://notes/read is read in its tokens.
func inFull(scopes, named []string) []string {
	out := slices.Clone(scopes)
	for i, short := range out {
		full := slices.IndexFunc(named, func(name string) bool { return strings.HasSuffix(name, "/"+short) })
		if full >= 0 && !slices.Contains(named, short) {
			out[i] = named[full]
		}
	}
	return out
}

// Held returns the scopes of a token: by its own claims, by introspection, or by the token response, where a missing scope means the
// requested one (RFC 6749 section 5.1). Otherwise they are unknown.
func (t AuthorizationServer) Held(tokens *oauth.Tokens, requested []string) (scopes []string, known bool) {
	if scopes, known = t.RealScope(tokens); known {
		return scopes, true
	}
	if tokens.HasScope {
		return tokens.Scope, true
	}
	return requested, len(requested) > 0
}

// Holds reports whether a token has a scope, and whether that is visible: in its claims, by introspection, by a declared tool that needs
// only this scope and runs, or in the token response. If the response has no scope, the token has the requested scopes (RFC 6749 section
// 5.1).
func (t AuthorizationServer) Holds(tokens *oauth.Tokens, requested []string, scope string) (holds, seen bool) {
	if held, known := t.RealScope(tokens); known {
		return slices.Contains(held, scope), true
	}
	for _, tool := range t.MCP.ScopedTools() {
		if SameSet(tool.Scopes(), []string{scope}) && len(tool.AnyOf) == 0 && expect.Ran(t.MCP.CallTool(tokens.Access, tool)) {
			return true, true
		}
	}
	held, known := t.Held(tokens, requested)
	return slices.Contains(held, scope), known
}

// missing returns the wanted scopes that no held one implies.
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

// Allowed calls a tool with the scopes that it needs by declaration, and returns the answer and the scopes of the token. If the target's
// challenge asks for more scopes, it adds them: the target may be stricter than declared.
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

// Challenged returns the scopes in the challenge of an answer (RFC 6750 section 3).
func Challenged(ex *reports.Exchange) []string {
	scope, _ := expect.Param(ex, "scope")
	return strings.Fields(scope)
}

// Nonexistent returns a tool that does not exist, with the arguments of one that does.
func Nonexistent(tool Tool) Tool {
	tool.Name = "mcpauth_no_such_tool"
	return tool
}

// Unknown reports whether a call of a tool gets the same answer as a call of a tool that does not exist, with the same credentials: a
// server may hide what is forbidden (RFC 9110 section 15.5.4).
func (t MCPServer) Unknown(ex *reports.Exchange, tool Tool, credentials ...reports.Field) bool {
	if expect.Ran(ex) || expect.Status(ex) == 401 || expect.Status(ex) == 403 || expect.NoAnswer(ex) != "" {
		return false
	}
	none := Nonexistent(tool)
	other := t.CallToolAs(none, credentials...)
	same := func(ex *reports.Exchange, name string) string { return strings.ReplaceAll(expect.Body(ex), name, "") }
	return expect.Status(ex) == expect.Status(other) && same(ex, tool.Name) == same(other, none.Name)
}

// ScopesInWords lists scopes: "the scopes a, b".
func ScopesInWords(scopes []string) string {
	switch len(scopes) {
	case 0:
		return "no scope"
	case 1:
		return "the scope " + scopes[0]
	}
	return "the scopes " + strings.Join(scopes, ", ")
}
