package challenge

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// refusals are the answers to requests that must be refused, one for each reason: servers often have separate code for each challenge.
func refusals(t *T) Cases[*reports.Exchange] {
	return slices.Concat(ofTokens(t), ofRevisionsSince(t, ""), ofEmptyToken(t), ofOtherCredentials(t))
}

// ofTokens are the refusals of requests without a token or with a bad one.
func ofTokens(t *T) Cases[*reports.Exchange] {
	return refusalsOnce(t, "tokens", func() Cases[*reports.Exchange] {
		out := Cases[*reports.Exchange]{{"no token", t.MCP.Anonymous()}, {"a garbage token", t.MCP.Bogus()}}
		return answersTo(t, out, append(badTokens(t), elsewhere(t)...))
	})
}

// ofRevisionsSince are the refusals of requests without a token at other revisions of the wire, from one on.
func ofRevisionsSince(t *T, first string) (out Cases[*reports.Exchange]) {
	for _, revision := range t.Survey.Judged() {
		if mcp.WireOf(revision) == t.Wire && revision >= first && revision != t.Survey.Protected[t.Wire].Revision {
			out = append(out, atRevision(t, revision)...)
		}
	}
	return out
}

func atRevision(t *T, revision string) Cases[*reports.Exchange] {
	return refusalsOnce(t, revision, func() Cases[*reports.Exchange] {
		return answersTo(t, nil, []Variant{Call(t.MCP.CallAt(revision), "no token, at %s", revision)})
	})
}

// ofEmptyToken is the refusal of the scheme without a token.
func ofEmptyToken(t *T) Cases[*reports.Exchange] {
	return refusalsOnce(t, "an empty token", func() Cases[*reports.Exchange] {
		return answersTo(t, nil, []Variant{Call(t.MCP.Call().With(mcp.Field("Authorization", "Bearer ")), "an empty token")})
	})
}

// ofOtherCredentials are the refusals of malformed tokens, of other credentials, and of a token without a scope.
func ofOtherCredentials(t *T) Cases[*reports.Exchange] {
	return refusalsOnce(t, "other credentials", func() Cases[*reports.Exchange] {
		out := answersTo(t, nil, badCredentials(t))
		if tools := t.MCP.ScopedTools(); t.Mint.Trusted() && len(tools) > 0 {
			out = out.And("a token without the scope of "+tools[0].Name,
				t.MCP.CallTool(t.Mint.Token(map[string]any{"scope": "mcpauth:none"}), tools[0]))
		}
		return out
	})
}

// refusalsOnce sends requests once for all checks of a wire and a revision.
func refusalsOnce(t *T, of string, send func() Cases[*reports.Exchange]) Cases[*reports.Exchange] {
	return Once(t, "refusals of "+of+" "+string(t.Wire)+" "+t.Revision, send)
}

func answersTo(t *T, out Cases[*reports.Exchange], calls []Variant) Cases[*reports.Exchange] {
	for i, ex := range t.All(calls) {
		out = out.And(calls[i].About, ex)
	}
	return out
}

func badTokens(t *T) (out []Variant) {
	for _, verb := range []string{"GET", "DELETE"} {
		out = append(out, Call(t.MCP.Call().Using(verb), "%s without a token", verb),
			Call(t.MCP.Call().Using(verb).With(mcp.Bearer(survey.BogusToken)), "%s with a garbage token", verb))
	}
	for _, bad := range t.Mint.BadTokens()[1:] { // the first is the garbage token
		out = append(out, Call(t.MCP.Call().With(mcp.Bearer(bad.Value)), "%s", bad.Name))
	}
	return out
}

// elsewhere are requests without a good token in a session, and from the server's own page.
func elsewhere(t *T) (out []Variant) {
	if session := t.MCP.CallInSession(); session.SessionID != "" {
		list := session.Method("tools/list", nil)
		out = append(out, Call(list, "no token, in a session"),
			Call(list.With(mcp.Bearer(survey.BogusToken)), "a garbage token, in a session"))
	}
	page := mcp.Field("Origin", document.Origin(t.Survey.URL))
	return append(out, Call(t.MCP.Call().With(page), "no token, from the server's own page"))
}

func badCredentials(t *T) []Variant {
	authorization := func(value string) mcp.Call { return t.MCP.Call().With(mcp.Field("Authorization", value)) }
	out := []Variant{
		Call(authorization("Bearer made-up token"), "two words after Bearer"),
		Call(authorization("Basic dTpw"), "Basic credentials"),
	}
	for _, bad := range t.MCP.BadKeys() {
		out = append(out, Call(t.MCP.Call().With(bad.Value), "%s", bad.Name))
	}
	return out
}

// withChallenge are the refusals that carry a challenge, each different challenge once. On loopback, where no other virtual host can
// answer, the answer to a foreign Host is among them.
func withChallenge(t *T) Cases[*reports.Exchange] {
	all := refusals(t)
	if t.MCP.Loopback() {
		req := t.MCP.Call().Request()
		req.Host = "mcpauth.example"
		all = all.And("a foreign Host", t.Do(req))
	}
	var seen []string
	all = all.Where(func(ex *reports.Exchange) bool {
		fields := strings.Join(expect.HeaderValues(ex, "WWW-Authenticate"), "\n")
		known := fields == "" || slices.Contains(seen, fields)
		seen = append(seen, fields)
		return !known
	})
	if !t.Mint.Trusted() || len(t.MCP.ScopedTools()) == 0 {
		Untried(t, "the challenge for a missing scope", ATrustedIssuer+", and "+AScopedTool)
	}
	if len(all) == 0 {
		t.NotApplicable("there is no challenge to read (RS-CHALLENGE-401-WWW-AUTHENTICATE)")
	}
	return all
}

// withBearer are the refusals that carry a Bearer challenge.
func withBearer(t *T) Cases[*reports.Exchange] {
	all := withChallenge(t).Where(func(ex *reports.Exchange) bool { return len(expect.Bearer(ex)) > 0 })
	if len(all) == 0 {
		t.NotApplicable("there is no Bearer challenge (RS-CHALLENGE-BEARER-SCHEME)")
	}
	return all
}

// answered ends a row whose answer is evidence of nothing: a server error, a limit, or no answer.
func answered(t *T, ex *reports.Exchange) *reports.Exchange {
	if why := Unanswered(t, t.Cite(ex)); why != "" {
		t.Inconclusive("%s", why)
	}
	return ex
}
