package scope

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Resources, prompts and completions must be protected like tools.
func primitives() { Must("RS-SCOPE-OTHER-PRIMITIVES", guardsOtherPrimitives) }

func guardsOtherPrimitives(t *T) {
	owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
	own, other := t.MCP.MustOpenSession(owner), t.MCP.MustOpenSession(stranger)
	me := identitiesOf(t, owner, stranger)
	rows := Cases[Object]{}
	for _, o := range t.Objects {
		rows = rows.And(o.Name(), o)
	}
	Each(t, rows, func(t *T, o Object) {
		t.Expect(t.Send(o.Call(own)), "%s for the first user", o.Name()).AsControl(show(o.Shows))
		ex := t.Send(o.Call(other))
		if t.Expect(ex, "for the second user").To(hide(o.Shows)) {
			asAnother(me, func(claim reports.Field) bool {
				return t.Expect(t.Send(o.Call(other.With(claim))),
					"for the second user, with the first user's name in %s", claim.Name).To(hide(o.Shows))
			})
		}
		Each(t, t.MCP.Namesakes(t, o.Name(), o.Private), func(t *T, token string) { hidesFrom(t, o, token) })
		if o.Resource != "" && o.Argument == "" {
			unknown := o
			unknown.Resource = strings.TrimSuffix(o.Resource, "/") + "-mcpauth-none"
			t.Expect(ex, "for the second user").Ideally(beAnsweredLike(t.Send(unknown.Call(other))))
		}
	})
}

// hidesFrom expects an object to be hidden from the user of a token, whose name resembles that of its owner.
func hidesFrom(t *T, o Object, token string) {
	session, ex := t.MCP.SessionOf(token)
	if ex == nil { // an unknown user may be refused before
		ex = t.Send(o.Call(session.With(mcp.Bearer(token))))
	}
	t.Expect(ex).Ideally(hide(o.Shows))
}

// asAnother repeats a request with another user's names in fields by which proxies name the user, until the answer to one is not right.
func asAnother(names []string, right func(claim reports.Field) bool) {
	for _, field := range identityFields {
		for _, name := range inFields(names) {
			if !right(mcp.Field(field, name)) {
				return
			}
		}
	}
}

// beAnsweredLike expects the same answer for an object of another user as for one that does not exist.
var beAnsweredLike = expect.Family("beAnsweredLike", func(none *reports.Exchange) expect.Matcher {
	return expect.That("the same answer as for a URI that does not exist", func(ex *reports.Exchange) string {
		if mcp.Read(none).Code == mcp.Read(ex).Code && expect.Status(none) == expect.Status(ex) {
			return ""
		}
		return expect.Describe(ex) + "; for a URI that does not exist: " + expect.Describe(none)
	})
})
