package passthrough

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// rounds of calls by two users at once.
const rounds = 10

func linked() {
	// "MCP servers MUST NOT use one user's third-party authorization for another."
	Must("RS-PASS-UPSTREAM-PER-USER", func(t *T) {
		first, second := t.AS.MustGetTokens().Access, t.AS.MustGetTokens(By(1)).Access
		tool := linkingTool(t, first)
		mine, theirs := link(t, tool, first, 0), link(t, tool, second, 1)
		if mine == "" || theirs == "" {
			t.Inconclusive("the users could not both link an account by the URL that %s sends them to", tool.Name)
		}
		t.Controlled()
		switch name := t.Session.Identity(0).User.Name; {
		case mine != theirs:
		case strings.Contains(strings.ToLower(theirs), strings.ToLower(name)):
			t.Unmet(t.Last(), "the second user's own account behind "+tool.Name, "it is the first one's: %q", reports.OneLine(theirs, 80))
			return
		default:
			t.Inconclusive("%s does not tell accounts apart: both users get %q", tool.Name, reports.OneLine(mine, 80))
		}
		one, other := session(t, tool, first), session(t, tool, second)
		for range rounds {
			answers := t.Race([]Variant{Call(one, "the first user"), Call(other, "the second user")})
			for i, want := range []string{mine, theirs} {
				if said := Text(answers[i]); said != want && slices.Contains([]string{mine, theirs}, said) {
					t.Unmet(answers[i], "each user's own account, also where two call at once", "one gets the other's")
					return
				}
			}
		}
		t.Refused()
	})

	// MCP 2025-03-26, Third-Party Authorization Flow: "validate third-party token status before honoring MCP tokens".
	Must("RS-PASS-UPSTREAM-STATUS", func(t *T) {
		began := time.Now()
		tokens := t.AS.MustGetTokens(SignedOut())
		if ex := t.MCP.Use(tokens.Access); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: a new token is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		t.World.Upstream.EndGrants(began)
		ex, dead := t.MCP.UntilRefused(tokens.Access)
		if dead {
			t.RefusedBy(ex)
			return
		}
		for _, tool := range t.Upstream.Tools() { // others may go on without the third party
			if ran := t.MCP.CallTool(tokens.Access, tool); expect.Ran(ran) {
				t.Unmet(ran, "a refusal once the third-party grant is gone to which the token is bound", "%v later %s runs", t.Patience, tool.Name)
				return
			}
		}
		t.Advise(ex, "a refusal once the third-party grant is gone to which the token is bound", "%v later the token is still taken", t.Patience)
	})
}

// linkingTool is a declared tool that sends its user to a URL to link an account, or did so before.
func linkingTool(t *T, token string) Tool {
	for _, tool := range t.MCP.Eliciting() {
		ex := ask(t, tool, token)
		for _, e := range Elicitations(tool, ex) {
			if e.URL != "" {
				return tool
			}
		}
		if expect.Ran(ex) && len(Elicitations(tool, ex)) == 0 {
			return tool
		}
	}
	t.NotApplicable("no declared tool sends its user to a URL to link an account")
	return Tool{}
}

func ask(t *T, tool Tool, token string) *reports.Exchange {
	return t.MCP.CallCapably(tool, FormAndURL, mcp.Bearer(token))
}

// session is the tool's call in a session of the user's own.
func session(t *T, tool Tool, token string) mcp.Call {
	call, refused := t.MCP.CapableSession(FormAndURL, mcp.Bearer(token))
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return call.Method("tools/call", tool.Params()).With(mcp.Bearer(token))
}

// link has a user link an account, unless that is done, and returns what the tool says then; empty where it still asks.
func link(t *T, tool Tool, token string, user int) string {
	ex := ask(t, tool, token)
	for _, e := range Elicitations(tool, ex) {
		if e.URL != "" {
			t.Pages.Visit(t.Hide(e.URL), user)
			ex = ask(t, tool, token)
			break
		}
	}
	if !expect.Ran(ex) || len(Elicitations(tool, ex)) > 0 {
		return ""
	}
	return Text(ex)
}
