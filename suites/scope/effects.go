package scope

import (
	"fmt"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func effects() {
	Must("RS-SCOPE-NOT-EXECUTED", decidesBeforeActing)
	Must("RS-SCOPE-BATCH-MEMBERS", authorizesEachMember)
	Practice("RS-SCOPE-BODY-AMBIGUITY", judgesWhatItExecutes)
}

// guarded is a tool with a scope, with a token that lacks it, and the evidence that the tool has run.
type guarded struct {
	*denial
	shows   Tool // the tool that shows the effect
	visible bool // whether there is such a tool
	marks   Cases[string]
}

// guard is the declared tool whose effect another tool shows; if there is none, a tool that runs with its scope, judged by its answers.
func guard(t *T) *guarded {
	g := &guarded{denial: &denial{}}
	if g.tool, g.shows, g.visible = t.MCP.EffectiveTool(); !g.visible {
		g.tool, _ = runnable(t)
	}
	for _, d := range denials(t) {
		if d.Value.tool.Name == g.tool.Name {
			g.denial = denied(t, d.Value)
			break
		}
	}
	return g
}

// mark is the tool with a new text in its arguments. The effect of the call is where that text appears.
func (g *guarded) mark(about string) Tool {
	m := marker()
	g.marks = g.marks.And(about, m)
	return g.tool.Marked(m)
}

func marker() string { return "mcpauth-" + Random(9) }

// show expects that none of the marked calls had an effect. It looks once the effect of an allowed call is visible, which is the
// control: by then earlier calls have had enough time.
func (g *guarded) show(t *T, expected string) {
	if !g.visible {
		return
	}
	ex := g.seen(t)
	for _, m := range g.marks {
		t.Expect(Text(ex), "%s", m.Name).SeenIn(ex).To(expect.Refusing(expected, func(text string) string {
			if strings.Contains(text, m.Value) {
				return g.shows.Name + " shows that " + g.tool.Name + " has run"
			}
			return ""
		}))
	}
}

// seen is the exchange that shows the effect.
func (g *guarded) seen(t *T) *reports.Exchange {
	_, used := allowed(t, g.tool)
	broad := t.MCP.TokenWithScopes(Union(used, g.shows.Scopes())...)
	control := marker()
	t.Expect(t.MCP.CallTool(broad, g.tool.Marked(control)), "%s with its scope", g.tool.Name).AsControl(expect.Run())
	for wait := 10 * time.Millisecond; wait < 3*time.Second; wait *= 2 {
		if ex := t.MCP.CallTool(broad, g.shows); strings.Contains(Text(ex), control) {
			t.Sleep(wait / 2)
			return t.MCP.CallTool(broad, g.shows)
		}
		t.Sleep(wait)
	}
	t.Inconclusive("this proves nothing: %s does not show what %s did", g.shows.Name, g.tool.Name)
	return nil
}

func decidesBeforeActing(t *T) {
	g := guard(t)
	Each(t, g.refusable(t), func(t *T, send func(tool Tool) *reports.Exchange) {
		m := marker()
		ex := send(g.tool.Marked(m))
		if expect.Ran(ex) {
			t.Inconclusive("the call is served (RS-SCOPE-EVERY-TOOL, RS-CHALLENGE-EXISTING-TOOLS)")
		}
		g.marks = g.marks.And(RowOf(t), m)
		t.Expect(ex).To(expect.NotRun(), bringNoResult)
	})
	g.notify(t)
	g.show(t, "a refused call without any effect")
	if !g.visible && !FoundAny(t) {
		t.NotTestedWithout("tool-effect", "the calls are refused; only a tool that shows what "+
			"another did (effect in the target file) can say whether they had an effect")
	}
}

// notify sends the call without an id: only its effect shows whether it ran, since nothing is answered.
func (g *guarded) notify(t *T) {
	call, refused := t.MCP.SessionOf(g.token)
	if refused != nil || !g.visible {
		return
	}
	c := call.Method("tools/call", g.mark("without the scope and without an id").Params()).With(mcp.Bearer(g.token))
	c.Notification = true
	t.Send(c)
}

// refusable are calls that must be refused: in an open session where there are sessions, so that nothing but the call is.
func (g *guarded) refusable(t *T) Cases[func(tool Tool) *reports.Exchange] {
	rows := Cases[func(tool Tool) *reports.Exchange]{
		{"without the scope", func(tool Tool) *reports.Exchange { return t.MCP.CallTool(g.token, tool) }},
	}
	call, refused := t.MCP.SessionOf(g.token)
	if refused != nil {
		return rows
	}
	send := func(tool Tool, credentials ...reports.Field) *reports.Exchange {
		return t.Send(call.Method("tools/call", tool.Params()).With(credentials...))
	}
	rows = rows.And("without a token", func(tool Tool) *reports.Exchange { return send(tool) })
	for _, bad := range t.Mint.BadTokens() {
		rows = rows.And("with "+bad.Name, func(tool Tool) *reports.Exchange { return send(tool, mcp.Bearer(bad.Value)) })
	}
	return rows
}

var bringNoResult = expect.That("a refusal without the tool's result", func(ex *reports.Exchange) string {
	if a := mcp.Read(ex); expect.Status(ex) >= 400 && a.Result != nil && !a.IsError {
		return "the tool's result is in the body of an HTTP " + fmt.Sprint(expect.Status(ex))
	}
	return ""
})

// Only 2025-03-26 has batches.
func authorizesEachMember(t *T) {
	g := guard(t)
	call, opener := g.session(t)
	call.Revision = "2025-03-26"
	send := func(token string, messages ...string) *reports.Exchange {
		return t.Send(call.WithBody("[" + strings.Join(messages, ",") + "]").With(mcp.Bearer(token)))
	}
	free := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if tool, ok := g.free(t); ok {
		free = message(1, tool)
	}
	ex := send(opener, free, `{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	if !answerBatch.Judge(ex).Met {
		t.NotApplicable("batches are refused: %s", expect.Describe(ex))
	}
	t.Expect(ex, "a batch").AsControl(answerBatch)
	Each(t, Cases[func(guarded string) []string]{
		{"alone in a batch", func(guarded string) []string { return []string{guarded} }},
		{"after a free call", func(guarded string) []string { return []string{free, guarded} }},
		{"before a free call", func(guarded string) []string { return []string{guarded, free} }},
		{"after fifty pings", func(guarded string) []string { return append(fiftyPings(), guarded) }},
	}, func(t *T, batch func(string) []string) {
		t.Expect(send(g.token, batch(message(2, g.mark(RowOf(t))))...)).To(answerNo(g.tool, 2))
	})
	g.show(t, "a separate decision on each message of a batch")
}

var answerBatch = expect.Serving("an answered batch", func(ex *reports.Exchange) string {
	if expect.Succeeded(ex) && len(mcp.Messages(ex)) > 0 {
		return ""
	}
	return expect.Describe(ex)
})

func fiftyPings() (pings []string) {
	for i := range 50 {
		pings = append(pings, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i+10))
	}
	return pings
}

// answerNo expects no result for the message with an id.
var answerNo = expect.Family("answerNo", func(tool Tool, id int) expect.Matcher {
	return expect.Refusing("a refusal of "+tool.Name+" within the batch", func(ex *reports.Exchange) string {
		for _, m := range mcp.Messages(ex) {
			got, _ := m.Get("id")
			failed, _ := m.Object("result").Bool("isError")
			if fmt.Sprint(got) == fmt.Sprint(id) && m.Object("result") != nil && !failed {
				return tool.Name + " is answered with its result, without its scope"
			}
		}
		return ""
	})
})

// session is a session in which the token that lacks the scope may not call the tool, and the token that opens it: this one, or one with
// the scope where the target requires it for every request.
func (g *guarded) session(t *T) (call mcp.Call, opener string) {
	call, refused := t.MCP.SessionOf(g.token)
	if opener = g.token; expect.Status(refused) == 403 {
		_, used := allowed(t, g.tool)
		opener = t.MCP.TokenWithScopes(used...)
		call, refused = t.MCP.SessionOf(opener)
	}
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	if ex := t.Send(call.Method("tools/call", g.tool.Marked(marker()).Params()).With(mcp.Bearer(g.token))); expect.Ran(ex) {
		t.Inconclusive("%s runs without its scope anyway (RS-SCOPE-EVERY-TOOL)", g.tool.Name)
	}
	return call, opener
}

// free is another tool that the token may call.
func (g *guarded) free(t *T) (Tool, bool) {
	for _, tool := range append([]Tool{g.shows}, t.Tools...) {
		if tool.Name != "" && tool.Name != g.tool.Name && !tool.DeniedOnly && t.MCP.Permits(g.held, tool) &&
			expect.Ran(t.MCP.CallTool(g.token, tool)) {
			return tool, true
		}
	}
	return Tool{}, false
}

func judgesWhatItExecutes(t *T) {
	g := guard(t)
	free, ok := g.free(t)
	if !ok {
		t.NotTested("it needs a tool that a token without %s may call (tools in the target file)", strings.Join(g.lacking, " and "))
	}
	call, _ := g.session(t)
	frees := t.MCP.CallTool(g.token, free)
	own, steady := g.says(t)
	telling := steady && own != "" && own != Text(frees)
	if !telling && !g.visible {
		t.NotTestedWithout("tool-effect", "the answers of %s and %s do not tell which of them has run (effect in the target file)", g.tool.Name,
			free.Name)
	}
	t.Expect(frees, "%s, which the token may call,", free.Name).AsControl(expect.Run())
	described := call.With(mcp.Bearer(g.token)).Method("tools/call", free.Params()) // the header fields describe this call
	Each(t, ambiguities, func(t *T, write func(meta string, free, guarded map[string]any) string) {
		marked := g.mark(RowOf(t))
		ex := t.Send(described.WithBody(write(meta(described), free.Params(), marked.Params())))
		t.Expect(ex).To(notBring(g, telling, own, g.marks[len(g.marks)-1].Value))
	})
	g.show(t, "a message that does not run the tool that the token may not call, however it is read")
}

// says is what the guarded tool says to somebody who may call it, without the text in its arguments, which it may repeat. steady reports
// whether it says the same each time.
func (g *guarded) says(t *T) (own string, steady bool) {
	_, used := allowed(t, g.tool)
	token := t.MCP.TokenWithScopes(used...)
	var said [2]string
	for i := range said {
		m := marker()
		ex := t.MCP.CallTool(token, g.tool.Marked(m))
		if why := expect.NoAnswer(ex); why != "" {
			t.Inconclusive("%s with its scope: %s", g.tool.Name, why)
		}
		if !expect.Ran(ex) {
			return "", false
		}
		said[i] = without(Text(ex), m)
	}
	return said[0], said[0] == said[1]
}

func without(text, mark string) string { return strings.ReplaceAll(text, mark, "") }

// notBring expects an answer that is not that of the guarded tool, whatever it repeats of its arguments.
var notBring = expect.Family("notBring", func(g *guarded, telling bool, own, mark string) expect.Matcher {
	return expect.Refusing("an error, or the answer of the tool that the token may call", func(ex *reports.Exchange) string {
		for _, m := range mcp.Messages(ex) {
			if telling && without(text(m.Object("result")), mark) == own {
				return g.tool.Name + " is answered with its result, without its scope"
			}
		}
		return ""
	})
})
