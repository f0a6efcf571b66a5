package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func enforced() {
	Must("RS-SCOPE-403-STATUS", answersWith403)
	Should("RS-SCOPE-403-CHALLENGE", challengesInsufficientScope)
	Should("RS-SCOPE-403-SCOPES", namesNeededScopes)
	Should("RS-SCOPE-403-RESOURCE-METADATA", namesMetadataInThe403)
	Should("RS-SCOPE-403-COMPLETE", namesAllScopesAtOnce)
	Should("RS-SCOPE-CHALLENGE-CONSISTENT", challengesTheSameWay)
	Practice("RS-SCOPE-CHALLENGE-NOT-CATALOGUE", asksForWhatTheCallNeeds)
	Must("RS-SCOPE-EVERY-TOOL", guardsEveryTool)
}

// RFC 9110 section 15.5.4 lets a server hide what is forbidden: it then answers as for an unknown tool, which is as clear as a 403.
func answersWith403(t *T) {
	eachDenial(t, func(t *T, d *denial) {
		if d.hidden(t) {
			t.Expect(d).Ideally(expect.BeForbidden())
			return
		}
		t.Expect(d).To(expect.BeForbidden())
	})
}

// The field is a MUST of OAuth 2.1 section 5.3.1, the code a SHOULD of RFC 6750 section 3.1.
func challengesInsufficientScope(t *T) {
	eachChallenge(t, func(t *T, d *denial) {
		if t.Expect(d).To(expect.HaveChallengeOf("Bearer")) {
			t.Expect(d).Ideally(expect.NameInChallenge("insufficient_scope"))
		}
	})
}

func namesNeededScopes(t *T) {
	eachChallenge(t, func(t *T, d *denial) {
		if _, named := expect.Param(d.answer, "scope"); !named {
			t.Expect(d).Ideally(nameAScope)
			return
		}
		asked := Union(d.held, Challenged(d.answer))
		if t.MCP.Permits(short(asked), d.tool) || d.tool.DeniedOnly {
			return
		}
		if token, _, why := t.MCP.TokenOf(asked); why == "" && expect.Ran(t.MCP.CallTool(token, d.tool)) {
			return // the target uses another name for the scope than the declaration
		}
		t.Expect(d).To(nameScopesOf(d.tool))
	})
}

var nameAScope = expect.That("scope in the challenge, so that the client knows what to ask for",
	func(*denial) string { return "scope is absent" })

var nameScopesOf = expect.Family("nameScopesOf", func(tool Tool) expect.Matcher {
	return expect.That("scopes in the challenge that enable the tool: "+tool.Needs(), func(d *denial) string {
		return fmt.Sprintf("scope=%q", strings.Join(Challenged(d.answer), " "))
	})
})

// short are scopes with, for those that are URIs, their last segments: some authorization servers put only these into tokens.
func short(scopes []string) []string {
	out := slices.Clone(scopes)
	for _, s := range scopes {
		if i := strings.LastIndex(s, "/"); i >= 0 && strings.Contains(s, "://") {
			out = append(out, s[i+1:])
		}
	}
	return out
}

func namesMetadataInThe403(t *T) {
	before, had := expect.Param(t.MCP.Anonymous(), "resource_metadata")
	eachChallenge(t, func(t *T, d *denial) {
		_, has := expect.Param(d.answer, "resource_metadata")
		if !had && !has {
			t.NotApplicable("the 401 names no resource_metadata either")
		}
		if t.Expect(d).To(expect.HaveChallengeParam("resource_metadata")) && had {
			t.Expect(d).Ideally(expect.HaveChallengeParamOf("resource_metadata", before))
		}
	})
}

func namesAllScopesAtOnce(t *T) {
	eachChallenge(t, func(t *T, d *denial) {
		if len(Challenged(d.answer)) == 0 || d.tool.DeniedOnly {
			t.NotApplicable("the 403 names no scope that may be tried (RS-SCOPE-403-SCOPES)")
		}
		asked := Union(d.held, Challenged(d.answer))
		token, held, why := t.MCP.TokenOf(asked)
		if lost := t.MCP.Without(asked, held); why == "" && len(lost) > 0 {
			why = "the authorization server does not grant " + strings.Join(lost, " ")
		}
		if why != "" {
			t.Inconclusive("%s", why)
		}
		t.Expect(t.MCP.CallTool(token, d.tool), "the call again, with %s", list(asked)).To(expect.Run())
	})
}

// The calls differ only in their sessions.
func challengesTheSameWay(t *T) {
	eachChallenge(t, func(t *T, d *denial) {
		want, _ := expect.Param(d.answer, "scope")
		for range 3 {
			ex := t.MCP.CallTool(d.token, d.tool)
			if s := t.Session; expect.Status(ex) == 401 && s != nil && s.EndsGrants {
				t.Inconclusive("the token without the scope has ended meanwhile: a login ends the grants before it")
			}
			if !t.Expect(ex).To(challengeFor(want)) {
				return
			}
		}
	})
}

var challengeFor = expect.Family("challengeFor", func(scopes string) expect.Matcher {
	return expect.That("the scopes of the first 403 for the same call: "+scopes, func(ex *reports.Exchange) string {
		got, _ := expect.Param(ex, "scope")
		switch {
		case expect.Status(ex) != 403:
			return expect.Describe(ex)
		case !sameWords(got, scopes):
			return fmt.Sprintf("scope=%q", got)
		}
		return ""
	})
})

func asksForWhatTheCallNeeds(t *T) {
	var all []string
	for _, tool := range t.Tools {
		all = Union(all, tool.Scopes())
	}
	eachChallenge(t, func(t *T, d *denial) {
		if _, named := expect.Param(d.answer, "scope"); !named {
			t.NotApplicable("the 403 names no scope (RS-SCOPE-403-SCOPES)")
		}
		t.Expect(d).Ideally(askForLessThan(all))
	})
}

// askForLessThan expects a challenge without catch-all scopes, and without every scope that tools need.
var askForLessThan = expect.Family("askForLessThan", func(all []string) expect.Matcher {
	return expect.That("the scopes that the call needs", func(d *denial) string {
		asked := Challenged(d.answer)
		beyond := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return slices.Contains(d.tool.Scopes(), s) })
		switch {
		case slices.ContainsFunc(beyond, expect.Omnibus):
			return "a scope that means everything: " + list(asked)
		case len(all) > 2 && len(d.tool.Scopes()) < len(all) && len(Union(asked, all)) == len(asked):
			return "every scope there is: " + list(asked)
		}
		return ""
	})
})

// If a tool refuses more than declared, this is not a bypass: the declaration does not match.
func guardsEveryTool(t *T) {
	eachDenial(t, func(t *T, d *denial) {
		if t.Expect(d).To(expect.NotRun()) {
			d.stays(t)
		}
	})
	for _, tool := range t.MCP.ScopedTools() {
		Each(t, Cases[Tool]{{tool.Name + " with " + tool.Needs(), tool}}, matchesDeclaration)
	}
	for _, s := range t.Base {
		Each(t, Cases[string]{{"without the base scope " + s, s}}, guardsEverything)
	}
}

// guardsEverything sends what needs the scopes of every request (scopes.base) with a token that lacks one of them.
func guardsEverything(t *T, base string) {
	token, _ := t.MCP.TokenWithout(base)
	whole := t.MCP.TokenWithScopes(t.MCP.OrdinaryScopes()...)
	if !t.MCP.Public("tools/list") {
		t.Expect(t.MCP.CallMethod(whole, "tools/list"), "tools/list with every declared scope").AsControl(expect.Accept())
		t.Expect(t.MCP.CallMethod(token, "tools/list"), "tools/list").To(refuseList)
	}
	judged := !t.MCP.Public("tools/list")
	for _, tool := range t.MCP.ScopedTools() {
		if tool.DeniedOnly {
			continue
		}
		with := t.MCP.CallTool(whole, tool)
		if !expect.Ran(with) {
			continue
		}
		t.Expect(with, "%s with every declared scope", tool.Name).AsControl(expect.Run())
		t.Expect(t.MCP.CallTool(token, tool), "%s", tool.Name).To(expect.NotRun())
		judged = true
	}
	if !judged {
		t.Leave("the scope "+base, "no tool runs with a token with every declared scope")
	}
}

var refuseList = expect.Refusing("a refusal: by declaration, every request needs this scope", func(ex *reports.Exchange) string {
	if expect.Accepted(ex) {
		return "the tools are listed"
	}
	return ""
})

// stays sends a refused call in other forms, for which a server may have other code, and expects a refusal. A form that the server does
// not support is not a finding.
func (d *denial) stays(t *T) {
	session, refused := t.MCP.SessionOf(d.token)
	if refused != nil {
		return
	}
	call := func(params map[string]any) mcp.Call {
		return session.Method("tools/call", params).With(mcp.Bearer(d.token))
	}
	Each(t, withOtherParameters(d.tool), func(t *T, params map[string]any) { runsNeither(t, call(params).Request()) })
	if none := t.Send(call(Nonexistent(d.tool).Params())); expect.Ran(none) {
		t.Note("%s by similar names: not tried, since a tool that does not exist seems to run, too", d.tool.Name)
	} else {
		Each(t, underOtherNames(d.tool), func(t *T, params map[string]any) { runsNeither(t, call(params).Request()) })
	}
	Each(t, inOtherForms(t, call(d.tool.Params())), runsNeither)
	if t.Wire == mcp.Stateful {
		Each(t, Cases[mcp.Call]{{"as a call in a session whose stream was resumed", call(d.tool.Params())}}, func(t *T, c mcp.Call) {
			t.Send(c.Using("GET").With(mcp.Field("Last-Event-ID", "mcpauth")))
			runsNeither(t, c.Request())
		})
	}
}

// withOtherParameters are calls of a tool with other parameters than an ordinary one.
func withOtherParameters(tool Tool) Cases[map[string]any] {
	with := func(name string, value any) map[string]any {
		params := tool.Params()
		params[name] = value
		return params
	}
	resumed, bare := with("requestState", "mcpauth"), tool.Params()
	resumed["inputResponses"] = map[string]any{}
	delete(bare, "arguments")
	return Cases[map[string]any]{
		{"as a call that asks for progress", with("_meta", map[string]any{"progressToken": "mcpauth"})},
		{"as a call without arguments", bare},
		{"as a call to run as a task", with("task", map[string]any{"ttl": 1000})},
		{"as a call with answers to questions", resumed},
		{"as a call with the state of another one", with("requestState", "mcpauth")},
	}
}

// underOtherNames are calls of a tool by names that resemble its own: a server that looks it up more loosely than its guard runs it.
func underOtherNames(tool Tool) (out Cases[map[string]any]) {
	for _, m := range nearmiss.Of(tool.Name, nearmiss.LetterCase, nearmiss.Space, nearmiss.Encoded, nearmiss.Null) {
		params := tool.Params()
		params["name"] = m.Value
		out = out.And("as a call by another name, "+m.Name, params)
	}
	return out
}

// inOtherForms are a call in forms that a guard of scopes may overlook.
func inOtherForms(t *T, call mcp.Call) Cases[wire.Request] {
	message, id := call.Message(), fmt.Sprintf(`"id":%d`, mcp.ID)
	withID := func(value string) mcp.Call { return call.WithBody(strings.Replace(message, id, `"id":`+value, 1)) }
	preflight := call.With(mcp.Field("Access-Control-Request-Method", "POST"), mcp.Field("Access-Control-Request-Headers", "authorization"))
	rows := Cases[wire.Request]{
		{"as a call that accepts a stream alone", call.With(mcp.Field("Accept", "text/event-stream")).Request()},
		{"as a call with the fields of a preflight", preflight.Request()},
		{"as a call from the server's own page", call.With(mcp.Field("Origin", document.Origin(t.Survey.URL))).Request()},
		{"as a call with a query", call.WithQuery("mcpauth", "1").Request()},
		{"as a call with a charset", call.With(mcp.Field("Content-Type", "application/json; charset=utf-8")).Request()},
		{"as a call with a text as its id", withID(`"mcpauth"`).Request()},
		{"as a call with the id 0", withID("0").Request()},
	}
	if t.Wire == mcp.Stateless {
		return rows
	}
	unversioned := call.Request()
	unversioned.Header = slices.DeleteFunc(unversioned.Header, func(f reports.Field) bool { return f.Name == "MCP-Protocol-Version" })
	rows = rows.And("as a call without its protocol version", unversioned)
	return append(rows, underOtherFields(call)...)
}

// underOtherFields are a call whose fields of the protocol without sessions name something else. In the protocol with sessions they say
// nothing, and a guard that believes them looks at the wrong tool.
func underOtherFields(call mcp.Call) Cases[wire.Request] {
	with := func(method, name string) wire.Request {
		return call.With(mcp.Field("Mcp-Method", method), mcp.Field("Mcp-Name", name)).Request()
	}
	return Cases[wire.Request]{
		{"as a call whose Mcp-Name is that of no tool", with("tools/call", "mcpauth_no_such_tool")},
		{"as a call whose Mcp-Method is tools/list", call.With(mcp.Field("Mcp-Method", "tools/list")).Request()},
	}
}

// runsNeither expects no result of the tool. A form that the server does not support is not a finding, nor is one that it reads as a
// notification (202).
func runsNeither(t *T, form wire.Request) {
	if ex := t.Do(form); expect.Ran(ex) && mcp.Read(ex).Result != nil {
		t.Expect(ex).To(expect.NotRun())
	}
}

func matchesDeclaration(t *T, tool Tool) {
	ex, used := allowed(t, tool)
	declared := Union(t.Base, tool.Scopes())
	switch {
	case expect.Ran(ex) && len(used) > len(declared):
		t.Note("%s runs with %s only, more than the declared %s: see scopes.base and scope in the target file", tool.Name, list(used),
			list(declared))
	case expect.Ran(ex), expect.Accepted(ex):
	case expect.Status(ex) == 401:
		t.Inconclusive("the token is refused as a whole, which says nothing about a scope: %s", expect.Describe(ex))
	default:
		t.Expect(ex).Ideally(beEnough(tool))
	}
}

var beEnough = expect.Family("beEnough", func(tool Tool) expect.Matcher {
	return expect.That("a call for which the declared scopes are enough: "+tool.Needs(), func(ex *reports.Exchange) string {
		return "the declaration does not match: " + expect.Describe(ex)
	})
})
