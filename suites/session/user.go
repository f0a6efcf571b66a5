package session

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A session that belongs to the token instead of its user ends with each refresh.
func goesOnWithRenewedToken(t *T) {
	Each(t, renewals(t), func(t *T, renew func() (first, second string)) {
		first, second := renew()
		if first == second {
			t.NotTested("it needs a second token of the same user: a login (--username), or a target that trusts an issuer run by mcpauth")
		}
		session, refused := t.MCP.SessionOf(first)
		if refused != nil || session.SessionID == "" {
			t.NotApplicable("no session with an id opens")
		}
		t.Expect(t.MCP.Use(second), "outside the session, the new token").AsControl(t.MCP.Serve())
		ex := t.Send(session.Method("ping", nil).With(mcp.Bearer(second)))
		t.Expect(ex).To(continueSession())
	})
}

// renewals are ways to a second token of the same user and client.
func renewals(t *T) Cases[func() (first, second string)] {
	out := Cases[func() (first, second string)]{{"another token of the user", func() (string, string) {
		first, second := t.MCP.FirstToken(), t.MCP.FirstToken()
		if first == second { // tokens that are issued in the same second may be equal
			t.Sleep(1100 * time.Millisecond)
			second = t.MCP.FirstToken()
		}
		return first, second
	}}}
	if t.Session == nil || !t.Session.Ready {
		return out
	}
	return out.And("a refreshed token", func() (string, string) {
		tokens := t.AS.MustGetTokens()
		if tokens.Refresh == "" {
			t.NotApplicable("no refresh token is issued")
		}
		first := tokens.Access
		return first, t.AS.MustRefresh(tokens).Access
	})
}

// A session that ends has to be opened again, which clients do at 404.
var continueSession = expect.Family("continueSession", func() expect.Matcher {
	goesOn := expect.Refusing("a session that continues", func(ex *reports.Exchange) string {
		if expect.Accepted(ex) || expect.Status(ex) == 404 {
			return ""
		}
		return expect.Describe(ex)
	})
	return expect.Advised(goesOn, "the same session, without a new one", expect.Accepted)
})

// A request has the permissions of the token that it contains. A tool that runs without its scope in a session of its own shows nothing.
func judgesScopesByRequest(t *T) {
	var last *reports.Exchange
	for _, tool := range t.MCP.ScopedTools() {
		var used []string
		if last, used = t.MCP.Allowed(tool); !expect.Ran(last) {
			continue
		}
		lacking := tool.Scopes()[:1]
		if len(strings.Fields(tool.Scope)) == 0 {
			lacking = tool.AnyOf
		}
		narrow, _ := t.MCP.TokenWithout(lacking...)
		if expect.Ran(t.MCP.CallTool(narrow, tool)) {
			t.Note("%s runs without its scope, which RS-SCOPE-EVERY-TOOL judges", tool.Name)
			continue
		}
		judgesSessions(t, tool, t.MCP.TokenWithScopes(used...), narrow, strings.Join(lacking, " or "))
		return
	}
	t.Inconclusive("this proves nothing: no declared tool runs with its scope, and not without it; the last is answered with %s",
		expect.Describe(last))
}

// judgesSessions sends the broad and the narrow token in sessions of each other.
func judgesSessions(t *T, tool Tool, broad, narrow, lacking string) {
	session := func(token string) mcp.Call {
		call, refused := t.MCP.SessionOf(token)
		if refused != nil || call.SessionID == "" {
			t.NotApplicable("no session with an id opens")
		}
		return call.Method("tools/call", tool.Params())
	}
	wide := session(broad)
	good := Attempt[CallEdit]{Name: tool.Name + " with its scope, in the same session", Good: expect.Run(), Send: func(edits ...CallEdit) any {
		return t.Send(edited(wide.With(mcp.Bearer(broad)), edits))
	}}
	Refuses(t, good, Cases[CallEdit]{
		{"a token without " + lacking + " in a session that was opened with it", Presenting(narrow)},
	}, expect.NotRun())
	Each(t, Cases[string]{{"a session that was opened without " + lacking, narrow}}, func(t *T, narrow string) {
		small := session(narrow)
		t.Expect(t.Send(small.With(mcp.Bearer(narrow))), "a token without it").To(expect.NotRun())
		t.Expect(t.Send(small.With(mcp.Bearer(broad))), "a token with it").Ideally(expect.Run())
	})
}
