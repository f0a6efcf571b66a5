package scope

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// What tools guard, resources, prompts and completions must guard as well.
func primitives() {
	Must("RS-SCOPE-OTHER-PRIMITIVES", func(t *T) {
		owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
		own, other := t.MCP.MustOpenSession(owner), t.MCP.MustOpenSession(stranger)
		for _, o := range t.Objects {
			if ex := t.Send(o.Call(own)); !o.Shows(ex) {
				t.Inconclusive("the control failed: %s does not show the first user what only this one may see: %s", o.Name(), expect.Describe(ex))
			}
			t.Controlled()
			ex := t.Send(o.Call(other))
			if o.Shows(ex) {
				t.Finding(ex, o.Name(), "nothing of the first user's for the second", "it is shown")
				continue
			}
			t.RefusedBy(ex)
			if ex := t.Send(o.Call(other.With(mcp.Field("X-User-Id", identityOf(t, owner))))); o.Shows(ex) {
				t.Finding(ex, o.Name()+", with X-User-Id", "nothing of the first user's for the second", "it is shown")
			}
			if o.Resource == "" || o.Argument != "" {
				continue
			}
			unknown := o
			unknown.Resource = strings.TrimSuffix(o.Resource, "/") + "-mcpauth-none"
			if none := t.Send(unknown.Call(other)); mcp.Read(none).Code != mcp.Read(ex).Code || expect.Status(none) != expect.Status(ex) {
				t.Advise(ex, "the same answer for what is not there as for what is not one's own", "%s, and for an unknown URI %s", expect.Describe(ex), expect.Describe(none))
			}
		}
	})
}
