package scope

import (
	"iter"
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
	for _, tool := range t.MCP.OwnedTools() {
		rows = rows.And(tool.Name, tool)
	}
	Each(t, rows, func(t *T, tool Tool) {
		shows := func(ex *reports.Exchange) bool { return strings.Contains(Text(ex), tool.Private) }
		t.Expect(t.MCP.CallTool(owner, tool), "%s for the first user", tool.Name).AsControl(show(shows))
		Each(t, disguises(t, stranger, tool, me), func(t *T, answers iter.Seq[*reports.Exchange]) {
			for ex := range answers { // the next request is sent only if this answer is right
				if !t.Expect(ex).To(hide(shows)) {
					return
				}
			}
		})
		Each(t, t.MCP.Namesakes(t, tool.Name, tool.Private), func(t *T, token string) {
			t.Expect(t.MCP.CallTool(token, tool)).Ideally(hide(shows))
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

// mostNames bounds the names that are claimed, each in many places.
const mostNames = 4

// identitiesOf are names by which the target may know the bearer of a token, the most telling first. A server looks up one of them.
func identitiesOf(t *T, owner, stranger string) (names []string) {
	_, claims := oauth.Claims(owner)
	told, whole := toldApart(t, owner, stranger)
	names = Union(nil, nonEmpty(claims.String("sub")))
	if t.Session != nil && len(t.Users) > 0 {
		names = Union(names, nonEmpty(t.Users[0].Name))
	}
	names = Union(names, told[:min(len(told), 1)])
	for _, name := range []string{claims.String("email"), claims.String("preferred_username"), whole, claims.String("username")} {
		names = Union(names, nonEmpty(name))
	}
	names = Union(names, told)
	if len(names) == 0 {
		Untried(t, "a request with the first user's name", "a tool that tells who calls (tools in the target file, tells), or "+ALogin)
	}
	return names[:min(len(names), mostNames)]
}

// toldApart returns what the tool that names the caller says to the owner alone: at most two words, and the whole text unless it differs
// each time.
func toldApart(t *T, owner, stranger string) (words []string, whole string) {
	tool, ok := t.MCP.WhoAmI()
	if !ok {
		return nil, ""
	}
	ask := func(token string) *reports.Exchange { return t.MCP.CallTool(token, tool) }
	first := ask(owner)
	if !expect.Ran(first) {
		return nil, ""
	}
	second := ask(owner)
	words = Apart([2][]string{Words(first), Words(second)}, [2][]string{Words(ask(stranger)), Words(ask(stranger))})
	if Text(first) == Text(second) {
		whole = strings.TrimSpace(Text(first))
	}
	return words[:min(len(words), 2)], whole
}

// inFields are the names that a header field can have: no line break or other control character.
func inFields(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.ContainsFunc(name, unicode.IsControl) })
}

func nonEmpty(s string) []string {
	return slices.DeleteFunc([]string{s}, func(s string) bool { return s == "" })
}

// disguises call a tool with a token and another user's names in every place that a server might read.
func disguises(t *T, token string, tool Tool, names []string) Cases[iter.Seq[*reports.Exchange]] {
	out := Cases[iter.Seq[*reports.Exchange]]{{"as itself", func(judge func(*reports.Exchange) bool) {
		judge(t.MCP.CallTool(token, tool))
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

// withEach sends a request with each of the names, until an answer is judged as the last one.
func withEach(names []string, send func(name string) *reports.Exchange) iter.Seq[*reports.Exchange] {
	return func(judge func(*reports.Exchange) bool) {
		for _, name := range names {
			if !judge(send(name)) {
				return
			}
		}
	}
}
