package scope

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func ownership() { Must("RS-SCOPE-OBJECT-OWNERSHIP", identifiesUserByToken) }

func identifiesUserByToken(t *T) {
	owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
	me := identitiesOf(t, owner, stranger)
	rows := Cases[Tool]{}
	for _, tool := range t.Tools {
		if tool.Private != "" {
			rows = rows.And(tool.Name, tool)
		}
	}
	Each(t, rows, func(t *T, tool Tool) {
		shows := func(ex *reports.Exchange) bool { return strings.Contains(Text(ex), tool.Private) }
		t.Expect(t.MCP.CallTool(owner, tool), "%s for the first user", tool.Name).AsControl(show(shows))
		Each(t, disguises(t, stranger, tool, me), func(t *T, send func() []*reports.Exchange) {
			for _, ex := range send() {
				if !t.Expect(ex).To(hide(shows)) {
					return
				}
			}
		})
	})
}

// show expects an answer to show the first user what other users may not see.
func show(shows func(*reports.Exchange) bool) expect.Matcher {
	return expect.Serving("what only the first user may see", func(ex *reports.Exchange) string {
		if shows(ex) {
			return ""
		}
		return expect.Describe(ex) + ", without what only the first user may see"
	})
}

// hide expects an answer to show nothing of the first user. An error about an unknown argument counts as such an answer.
func hide(shows func(*reports.Exchange) bool) expect.Matcher {
	return expect.Refusing("nothing of the first user's for the second", func(ex *reports.Exchange) string {
		if shows(ex) {
			return "the answer shows the first user's object"
		}
		return ""
	})
}

// identityFields are header fields in which proxies name the user.
var identityFields = []string{
	"X-User-Id", "X-Forwarded-User", "X-Auth-Request-Email", "X-Auth-Request-User", "X-Remote-User", "Remote-User",
}

// identitiesOf are names by which the target may know the bearer of a token: claims of the token, the word by which the tool that tells
// callers apart does so, the whole answer of that tool, and the name of the first user who signs in. A server looks up one of them.
func identitiesOf(t *T, owner, stranger string) (names []string) {
	_, claims := oauth.Claims(owner)
	for _, name := range []string{"sub", "preferred_username", "username", "email"} {
		names = Union(names, nonEmpty(claims.String(name)))
	}
	if tool, ok := t.MCP.WhoAmI(); ok {
		ask := func(token string) *reports.Exchange { return t.MCP.CallTool(token, tool) }
		if first := ask(owner); expect.Ran(first) {
			mine := [2][]string{Words(first), Words(ask(owner))}
			told := Apart(mine, [2][]string{Words(ask(stranger)), Words(ask(stranger))})
			names = Union(names, told[:min(len(told), 2)])
			names = Union(names, nonEmpty(strings.TrimSpace(Text(first))))
		}
	}
	if t.Session != nil && len(t.Users) > 0 {
		names = Union(names, nonEmpty(t.Users[0].Name))
	}
	if len(names) == 0 {
		Untried(t, "a request with the first user's name", "a tool that tells who calls (tools in the target file, tells), or "+ALogin)
	}
	return names
}

// inFields are the names that a header field can have: no line break or other control character.
func inFields(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.ContainsFunc(name, unicode.IsControl) })
}

func nonEmpty(s string) []string {
	return slices.DeleteFunc([]string{s}, func(s string) bool { return s == "" })
}

// disguises call a tool with a token and another user's names in every place that a server might read.
func disguises(t *T, token string, tool Tool, names []string) Cases[func() []*reports.Exchange] {
	out := Cases[func() []*reports.Exchange]{{"as itself", func() []*reports.Exchange {
		return []*reports.Exchange{t.MCP.CallTool(token, tool)}
	}}}
	for _, field := range identityFields {
		out = out.And("with "+field, withEach(inFields(names), func(name string) *reports.Exchange {
			return t.MCP.CallToolAs(tool, mcp.Bearer(token), mcp.Field(field, name))
		}))
	}
	for _, member := range []string{"user_id", "owner", "email", "account"} {
		if _, own := tool.Arguments[member]; own {
			continue // the call contains it already
		}
		out = out.And("with the argument "+member, withEach(names, func(name string) *reports.Exchange {
			claimed := tool
			claimed.Arguments = map[string]any{member: name}
			maps.Copy(claimed.Arguments, tool.Arguments)
			return t.MCP.CallTool(token, claimed)
		}))
	}
	return out
}

// withEach sends a request with each of the names.
func withEach(names []string, send func(name string) *reports.Exchange) func() []*reports.Exchange {
	return func() (answers []*reports.Exchange) {
		for _, name := range names {
			answers = append(answers, send(name))
		}
		return answers
	}
}
