package challenge

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// guardsAgainstEveryClient repeats refused requests as another client: authorization must not depend on what a client claims to be,
// because any client can claim it.
func guardsAgainstEveryClient(t *T) {
	g, a := t.Mint.Genuine(), mint.NewAttacker()
	call := t.MCP.Call()
	rows := Cases[mcp.Call]{
		{"without a token", call},
		{"with a garbage token", call.With(mcp.Bearer(t.Hide(Random(32))))},
		{"with a forged token", call.With(mcp.Bearer(a.Sign(a.Algorithms(g.Header)[0], g.Header, g.Claims)))},
	}
	for _, tool := range t.MCP.AnExistingTool() {
		rows = rows.And("the tool "+tool.Name+", without a token", t.MCP.CallOfAnybody().Method("tools/call", tool.Marked(Random(6)).Params()))
	}
	understood(t, call)
	Each(t, rows, func(t *T, c mcp.Call) {
		ex := t.MCP.SendAsOrdinaryClient(c)
		if t.MCP.GotPast(ex) && t.MCP.GotPast(t.Send(c)) {
			return // the request of the suite is served too, which other checks judge
		}
		t.Expect(ex).To(refuseLikeTheTest(t))
	})
	believesNoName(t)
	believesNoClaim(t)
	t.MCP.Control()
}

var refuseLikeTheTest = expect.Family("refuseLikeTheTest", func(t *T) expect.Matcher {
	return expect.Refusing("the answer that the test gets: a refusal", func(ex *reports.Exchange) string {
		if t.MCP.GotPast(ex) {
			return "the server behaves differently towards the test: an ordinary client is served"
		}
		return ""
	})
})

// understood ends the check if an ordinary client with the valid token is not served: its refusals would be evidence of nothing.
func understood(t *T, call mcp.Call) {
	if !t.MCP.HasToken() {
		return
	}
	if ex := t.MCP.SendAsOrdinaryClient(call.With(t.MCP.BearerField())); !t.MCP.Served(ex) {
		t.Inconclusive("this proves nothing: an ordinary client with the valid token is answered with %s", expect.Describe(ex))
	}
}
