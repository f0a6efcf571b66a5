package challenge

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// ordinaryAgent is the User-Agent of a client that many people use.
const ordinaryAgent = "node"

// guardsAgainstEveryClient repeats refused requests as another client: authorization does not depend on what a client says of
// itself, since anybody can say it.
func guardsAgainstEveryClient(t *T) {
	g, a := t.Mint.Genuine(), mint.NewAttacker()
	call := t.MCP.Call()
	rows := Cases[mcp.Call]{
		{"without a token", call},
		{"with a garbage token", call.With(mcp.Bearer(t.Hide(Random(32))))},
		{"with a forged token", call.With(mcp.Bearer(a.ES256(g.Header.With("alg", "ES256"), g.Claims)))},
	}
	if len(t.Tools) > 0 && !t.DeclaredPublic("tools/call") {
		rows = rows.And("a declared tool, without a token", t.MCP.CallInSession().Method("tools/call", t.Tools[0].Marked(Random(6)).Params()))
	}
	Each(t, rows, func(t *T, c mcp.Call) {
		ex := t.Send(asOrdinaryClient(c))
		if expect.Accepted(ex) && !expect.Accepted(t.Send(c)) { // where the test is served too, other checks judge that
			t.Unmet(ex, "the answer that the test gets: a refusal", "the server behaves differently towards the test: an ordinary client is served")
		} else if !expect.Accepted(ex) {
			t.RefusedBy(ex)
		}
	})
	t.MCP.Control()
}

// asOrdinaryClient is a call without any mark of this tool.
func asOrdinaryClient(c mcp.Call) mcp.Call {
	message := strings.ReplaceAll(c.Message(), `"name":"mcpauth"`, `"name":"claude-code"`)
	return c.WithBody(strings.ReplaceAll(message, "mcpauth", "search")).With(mcp.Field("User-Agent", ordinaryAgent))
}
