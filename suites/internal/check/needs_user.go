package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
)

// needsOfTheUser are needs for tokens, logins, static credentials, tools and objects.
var needsOfTheUser = map[string]need{
	"token-given":  {give: "--token-env", met: (*T).hasGivenToken},
	"token-served": {give: "--token-env", met: (*T).tokenIsServed},
	"access-token": {give: "--token-env", after: []string{"token-given", "protected", "token-served"}},
	"access-token-jwt": {give: "--token-env", after: []string{"token-given"}, then: []string{"protected", "token-served"},
		met: has(func(t *T) bool { return t.Issuer != nil || strings.Count(t.Survey.Token, ".") == 2 }, "the access token is opaque")},
	"caller":                   {give: "--token-env", unless: func(t *T) bool { return t.open(t.wire()) }, after: []string{"access-token"}},
	"access-token-second-user": {signsIn: true, give: "--second-username", unless: minted, after: []string{"login-2"}},
	"access-token-narrow":      chosenScopes,
	"access-token-broad":       chosenScopes,

	"login":                        {signsIn: true, give: "--username", after: codeFlow, met: (*T).isSignedIn},
	"login-or-controlled-upstream": {signsIn: true, give: "--username", after: []string{"login"}},
	"login-2": {signsIn: true, give: "--second-username", after: codeFlow, then: []string{"login"},
		met: (*T).hasSecondUser},
	"user-credentials": {signsIn: true, give: "--username", after: codeFlow, met: (*T).hasUser},
	"refresh-grant": {signsIn: true, give: "--username", after: []string{"login"},
		met: has((*T).mayRefresh, "the authorization server issues no refresh token")},
	"scopes-2": {signsIn: true, give: "scopes.request in the target file", after: codeFlow, met: (*T).hasTwoScopes},
	"userinfo-or-introspection": {signsIn: true, give: "--username", after: codeFlow,
		unless: func(t *T) bool { return t.Session != nil && t.Session.Server.Userinfo != "" },
		met: has((*T).seesTokens, "the user of a token cannot be seen: it is not a JWT, there are no credentials for introspection, "+
			"and no declared tool names its caller (tools in the target file, tells: caller)")},
	"sacrificial-user": {give: "login.users in the target file",
		met: has(func(t *T) bool { return t.Session != nil && t.Session.Sacrificial() != nil },
			"it needs an account that may be locked (login.users in the target file, sacrificial: true)")},
	"grants-page": {signsIn: true, give: "login.grants_page in the target file", met: has(func(t *T) bool { return t.GrantsPage != "" },
		"it needs the page at which users end what acts for them (login.grants_page in the target file)")},
	"id-token-callback": {give: "login.id_token_callback in the target file", after: []string{"login-by-script"},
		met: has(func(t *T) bool { return t.IDTokenCallback != "" },
			"it needs the address to which the login page sends an ID token (login.id_token_callback in the target file); where there is none, "+
				"nothing is to be tested")},
	"privileged-scope": {give: "scopes.privileged in the target file", met: has(func(t *T) bool { return len(t.Privileged) > 0 },
		"it needs a scope that the first user may grant and the second may not (scopes.privileged in the target file)")},

	"static-token":    credential("a static bearer token", func(t *T) bool { return len(t.MCP.StaticTokens()) > 0 }),
	"static-token-2":  credential("a second static bearer token, with fewer tools", func(t *T) bool { return len(t.MCP.StaticTokens()) > 1 }),
	"api-key":         credential("an API key", func(t *T) bool { return len(t.MCP.APIKeys()) > 0 }),
	"api-key-limited": credential("an API key that may call some tools only", func(t *T) bool { return len(t.MCP.LimitedKeys()) > 0 }),
	"static-revoked":  credential("a credential that was withdrawn", func(t *T) bool { return len(t.MCP.Withdrawn()) > 0 }),
	"static-credential": credential("a static token or an API key", func(t *T) bool {
		return len(t.MCP.StaticTokens())+len(t.MCP.APIKeys()) > 0
	}),
	"multi-auth": credential("an API key and a bearer token", func(t *T) bool { return len(t.MCP.APIKeys()) > 0 && len(t.MCP.Bearers()) > 0 }),
	"declared-limits": {give: ofCredentials, met: has(func(t *T) bool { return len(t.MCP.Metered()) > 0 },
		"it needs a credential with the limit that it is meant to have (credentials in the target file, limit)")},
	"foreign-token": {give: ofCredentials, met: has(func(t *T) bool {
		return t.API != nil || t.World.Upstream != nil || len(t.MCP.ForeignTokens()) > 0
	}, "it needs a token of another provider (credentials in the target file, foreign: true), or an API or upstream run by mcpauth")},

	"tools-matrix": tool("tools that may be called (tools in the target file)", func(t *T) bool { return len(t.Tools) > 0 }),
	"tool-args":    tool("tools that may be called (tools in the target file)", func(t *T) bool { return len(t.Tools) > 0 }),
	"tool-free": tool("a tool that may be called (tools in the target file)", func(t *T) bool {
		return slices.ContainsFunc(t.Tools, func(tool Tool) bool { return !tool.DeniedOnly })
	}),
	"tool-scope": tool("a tool with a scope that may be called (tools in the target file)",
		func(t *T) bool { return len(t.MCP.ScopedTools()) > 0 }),
	"tool-whoami": tool("a tool that says who its caller is (tools in the target file, tells: caller)", func(t *T) bool {
		_, ok := t.MCP.WhoAmI()
		return ok
	}),
	"tool-effect": tool("a tool with a scope whose effect another tool shows (tools in the target file, effect)", func(t *T) bool {
		_, _, ok := t.MCP.EffectiveTool()
		return ok
	}),
	"tool-handle": tool("a tool that returns a handle, and one that accepts it (tools in the target file, handle_from)", func(t *T) bool {
		return len(t.MCP.HandleTools()) > 0
	}),
	"tool-url": tool("a tool that fetches a URL of its arguments (tools in the target file, with {url} in its arguments)", func(t *T) bool {
		return len(t.MCP.FetchingTools()) > 0
	}),
	"tool-elicits": tool("a tool that asks the user for something (tools in the target file, elicits: true)", func(t *T) bool {
		return len(t.MCP.Eliciting()) > 0
	}),
	"step-up-auth": tool("a tool that needs a stronger login (tools in the target file, acr)", func(t *T) bool {
		return slices.ContainsFunc(t.Special, func(tool Tool) bool { return tool.ACR != "" })
	}),
	"object-owned": tool("a tool whose result only the first user may see (tools in the target file, private)", func(t *T) bool {
		return len(t.MCP.OwnedTools()) > 0
	}),
	"object-private": {give: "objects in the target file", met: has(func(t *T) bool { return len(t.Objects) > 0 },
		"it needs a resource, a prompt or a completion that shows something to the first user only (objects in the target file)")},
	"object-changing": {give: "objects in the target file", met: has(func(t *T) bool { _, _, ok := t.MCP.Changing(); return ok },
		"it needs a resource of the first user that changes by a tool (objects in the target file, changed_by)")},
}

// chosenScopes is met if tokens with chosen scopes are available.
var chosenScopes = need{
	signsIn: true, give: "--username", unless: minted, then: []string{"login"}, met: (*T).mayChooseScopes,
}

func (t *T) mayChooseScopes() *lack {
	switch {
	case t.Session != nil:
		return nil
	case t.trustOpen(): // minted has asked
		return unusable("%s", t.distrusted)
	}
	return missing("it needs tokens with chosen scopes: a login (--username), or a target that trusts an issuer run by mcpauth")
}

// minted reports whether mcpauth can mint tokens that the target accepts.
func minted(t *T) bool { return t.Mint.Trusted() }

// credential returns the need for a static credential.
func credential(what string, condition func(*T) bool) need {
	return need{give: ofCredentials, after: []string{"protected-wire"},
		met: has(condition, "it needs "+what+" (credentials in the target file)")}
}

// tool returns the need for a declared tool.
func tool(what string, condition func(*T) bool) need {
	return need{give: ofTools, met: has(condition, "it needs "+what)}
}

// tokenIsServed finds out whether the target accepts the supplied token.
func (t *T) tokenIsServed() *lack {
	for _, w := range t.tokenWires() {
		if ex := t.Survey.WithToken[w]; !t.Survey.Served(w, ex) {
			t.transcript = append(t.transcript, ex)
			return unusable("in the protocol %s, the token given is answered with %s, so nothing can be concluded from it",
				reports.WireWords(string(w)), expect.Describe(ex))
		}
	}
	return nil
}

func (t *T) isSignedIn() *lack {
	s := t.Session
	if s.Ready {
		return nil
	}
	if lack := t.mayLogIn(0); lack != nil {
		t.transcript = append(t.transcript, s.Exchanges()...)
		return lack
	}
	if s.UserCount() == 0 {
		return missing("it needs a user who signs in; give one with --username (%s)", s.Why)
	}
	t.transcript = append(t.transcript, s.Exchanges()...)
	return unusable("no user could sign in: %s", s.Why)
}

func (t *T) hasUser() *lack {
	if t.Session.UserCount() == 0 {
		return missing("it needs a user's name and password; give them with --username")
	}
	return t.mayLogIn(0)
}

func (t *T) hasSecondUser() *lack {
	if t.Session.UserCount() < 2 {
		return missing("it needs a second user; give one with --second-username")
	}
	return t.mayLogIn(1)
}

// hasGivenToken is met by a token of the user's, or of the login of the run.
func (t *T) hasGivenToken() *lack {
	switch {
	case t.Survey.Token != "":
		return nil
	case t.Session != nil && t.Session.LoginLost(0):
		return unusable("%s", t.Session.NoLogin(0))
	}
	return missing("it needs a valid access token; give one with --token-env")
}

// mayLogIn is met if the n-th user may still sign in.
func (t *T) mayLogIn(n int) *lack {
	switch why := t.Session.NoLogin(n); {
	case why == "":
		return nil
	case t.Session.LoginLost(n):
		return unusable("%s", why)
	default:
		return missing("%s", why)
	}
}

func (t *T) hasTwoScopes() *lack {
	if n := len(t.AS.ScopePool()); n < 2 {
		return missing("it needs two scopes that the user may grant, and the target names %d", n)
	}
	return nil
}

// mayRefresh reports whether a client gets refresh tokens: the shared one, or one with a secret. Where no flow completes, the check says
// why.
func (t *T) mayRefresh() (gets bool) {
	ended := t.guarded(func() *stop {
		gets = t.AS.refresher() != nil
		return nil
	})
	return gets || ended != nil
}

// seesTokens reports whether something tells the user of a token.
func (t *T) seesTokens() bool {
	s := t.Session
	if _, declared := t.MCP.WhoAmI(); declared {
		return true
	}
	if s.Ready {
		if h, _ := oauth.Claims(s.Tokens.Access); h != nil {
			return true
		}
	}
	if s.Server.Introspection == "" {
		return false
	}
	return t.mayIntrospect() == nil
}

// ScopePool returns the scopes that an ordinary user may grant to the shared client: those that the target names and the client can use,
// without those that OpenID Connect defines.
func (t AuthorizationServer) ScopePool() []string {
	pool := t.Session.Pool
	if usable := t.registeredScopes(); len(usable) > 0 {
		pool = slices.DeleteFunc(Union(pool, usable), func(v string) bool {
			return !slices.Contains(usable, v) && !slices.Contains(t.Session.RequestedScopes(), v)
		})
	}
	return slices.DeleteFunc(slices.Clone(pool), func(v string) bool {
		return slices.Contains([]string{"openid", "profile", "email", "address", "phone", "offline_access"}, v)
	})
}

// registeredScopes returns the scopes that the server has registered for the shared client (RFC 7591 section 2, scope); none if it says
// nothing. They are sorted, because a server may list them in another order each time.
func (t AuthorizationServer) registeredScopes() []string {
	c, _ := t.Session.Client(t.ctx, session.Public)
	if c == nil || c.Registered == nil {
		return nil
	}
	return slices.Sorted(slices.Values(strings.Fields(c.Registered.String("scope"))))
}
