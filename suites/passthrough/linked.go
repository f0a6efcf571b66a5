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

// rounds is how often two users call at once.
const rounds = 10

func linked() {
	Must("RS-PASS-UPSTREAM-PER-USER", usesOwnAccounts)
	Must("RS-PASS-UPSTREAM-STATUS", endsWithUpstreamGrant)
}

// "MCP servers MUST NOT use one user's third-party authorization for another."
func usesOwnAccounts(t *T) {
	first, second := t.AS.MustGetTokens().Access, t.AS.MustGetTokens(By(1)).Access
	Each(t, linkingTools(t, first), func(t *T, tool Tool) { usesOwnAccountsIn(t, tool, first, second) })
}

func usesOwnAccountsIn(t *T, tool Tool, first, second string) {
	mine, theirs := link(t, tool, first, 0), link(t, tool, second, 1)
	if mine == "" || theirs == "" {
		t.Inconclusive("the users could not both link an account by the URL that %s sends them to", tool.Name)
	}
	name := strings.ToLower(t.Session.Identity(0).User.Name)
	if mine == theirs && !strings.Contains(strings.ToLower(theirs), name) {
		t.Inconclusive("%s does not distinguish accounts: both users get %q", tool.Name, reports.OneLine(mine, 80))
	}
	ownAccount := beAbout("the second user's own account", mine)
	if !t.Expect(theirs, "what %s says to the second user", tool.Name).SeenIn(t.Last()).To(ownAccount) {
		return
	}
	atOnce(t, session(t, tool, first), session(t, tool, second), mine, theirs)
}

// atOnce has both users call the tool at once: neither must get the answer about the account of the other.
func atOnce(t *T, one, other mcp.Call, mine, theirs string) {
	for range rounds {
		answers := t.Race([]Variant{Call(one, "the first user"), Call(other, "the second user")})
		for _, ex := range answers {
			if why := expect.NoAnswer(ex); why != "" {
				t.Inconclusive("two users call at once: %s", why)
			}
		}
		right := t.Expect(Text(answers[0]), "the first user, where two call at once").SeenIn(answers[0]).To(beAbout("their own account",
			theirs)) &&
			t.Expect(Text(answers[1]), "the second user, where two call at once").SeenIn(answers[1]).To(beAbout("their own account", mine))
		if !right {
			return
		}
	}
}

// beAbout expects another answer than the one about another user's account.
var beAbout = expect.Family("beAbout", func(whose, foreign string) expect.Matcher {
	return expect.That(whose, func(said string) string {
		if said == foreign {
			return "the answer is about the account of the other user: " + reports.OneLine(said, 80)
		}
		return ""
	})
})

// MCP 2025-03-26, Third-Party Authorization Flow: "validate third-party token status before honoring MCP tokens".
func endsWithUpstreamGrant(t *T) {
	began := time.Now()
	tokens := t.AS.MustGetTokens(SignedOut())
	t.Expect(t.MCP.Use(tokens.Access), "a new token").AsControl(t.MCP.Serve())
	t.World.Upstream.EndGrants(began)
	ex, dead := t.MCP.UntilRefused(tokens.Access)
	if dead {
		t.Expect(ex, "a token whose third-party grant is gone").To(expect.RefuseAnyway())
		return
	}
	Each(t, named(t.Upstream.Tools()), func(t *T, tool Tool) { // others may work without the third party
		t.Expect(t.MCP.CallTool(tokens.Access, tool), "%s after the third-party grant is gone", expect.Span(t.Patience)).To(expect.NotRun())
	})
	t.Expect(ex, "%s after the third-party grant is gone", expect.Span(t.Patience)).Ideally(expect.RefuseAnyway())
}

// linkingTools are the declared tools that send their user to a URL to link an account, or did so before.
func linkingTools(t *T, token string) (out Cases[Tool]) {
	for _, tool := range t.MCP.Eliciting() {
		ex := ask(t, tool, token)
		asked := Elicitations(tool, ex)
		if slices.ContainsFunc(asked, func(e Elicitation) bool { return e.URL != "" }) || expect.Ran(ex) && len(asked) == 0 {
			out = out.And(tool.Name, tool)
		}
	}
	if len(out) == 0 {
		t.NotApplicable("no declared tool sends its user to a URL to link an account")
	}
	return out
}

func ask(t *T, tool Tool, token string) *reports.Exchange {
	return t.MCP.CallCapably(tool, FormAndURL, mcp.Bearer(token))
}

// session is the call of the tool in the user's own session.
func session(t *T, tool Tool, token string) mcp.Call {
	call, refused := t.MCP.CapableSession(FormAndURL, mcp.Bearer(token))
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return call.Method("tools/call", tool.Params()).With(mcp.Bearer(token))
}

// link makes a user link an account, unless that is done, and returns what the tool says then; empty if it still asks.
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
