package session

import (
	"slices"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// attempt is a call with a handle, as a caller.
type attempt struct {
	handle      string
	credentials string
}

// MCP Security Best Practices: a handle is a name, not a credential.
func checksOwnersOfHandles(t *T) {
	owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
	t.MCP.MustOpenSession(stranger) // only the handle is wrong in the other user's call
	rows := Cases[HandleTools]{}
	for _, pair := range t.MCP.HandleTools() {
		rows = rows.And(pair.Takes.Name, pair)
	}
	Each(t, rows, func(t *T, pair HandleTools) { checksOwnersIn(t, pair.Makes, pair.Takes, owner, stranger) })
}

func checksOwnersIn(t *T, makes, takes Tool, owner, stranger string) {
	var made []string
	for range 5 {
		made = append(made, handle(t, makes, owner, made))
	}
	mine := made[0]
	good := Attempt[attempt]{Name: takes.Name + " with a handle of " + makes.Name, Good: expect.Run(), Send: func(instead ...attempt) any {
		a := append(instead, attempt{mine, owner})[0]
		return t.MCP.CallToolAs(takes.Holding(a.handle), mcp.Bearer(a.credentials))
	}}
	rows := Cases[attempt]{
		{"the handle of another user", attempt{mine, stranger}},
		{"a handle with a bad token", attempt{mine, survey.BogusToken}},
	}
	for _, m := range nearmiss.Of(mine, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.Pattern) {
		rows = rows.And("the owner, with the handle, "+m.Name, attempt{t.Hide(m.Value), owner})
	}
	for _, name := range Inherited() {
		rows = rows.And("the owner, with the handle "+name.Name, attempt{name.Value, owner})
	}
	Refuses(t, good, rows, expect.NotRun())
	t.Expect(made, "the handles that the tool gives out").Ideally(expect.BeUnguessable("handles"))
}

// handle makes a handle and finds it in the tool's result: the longest word that no other result contains.
func handle(t *T, makes Tool, token string, before []string) string {
	ex := t.MCP.CallTool(token, makes)
	if !expect.Ran(ex) {
		t.Inconclusive("%s is answered with %s", makes.Name, expect.Describe(ex))
	}
	other := t.MCP.CallTool(token, makes)
	longest := ""
	for _, word := range Words(ex) {
		if len(word) > len(longest) && !slices.Contains(Words(other), word) && !slices.Contains(before, word) {
			longest = word
		}
	}
	if longest == "" {
		t.Inconclusive("the results of %s do not differ, so none contains a handle", makes.Name)
	}
	return t.Hide(longest)
}
