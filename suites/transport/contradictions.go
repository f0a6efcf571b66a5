package transport

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

const noTool = "mcpauth_no_such_tool"

// notASCII is a letter that a header field may contain only in the Base64 form (Value Encoding).
const notASCII = "é"

// 2026-07-28, Server Validation: 400 with HeaderMismatch, -32020.
func refusesContradictions(t *T) {
	list := mcp.Probe(t.Survey.Endpoint, t.Revision).Method("tools/list", nil)
	Refuses(t, withToken(t, list, expect.Accept()), Cases[CallEdit]{
		{"Mcp-Method: tools/call on a tools/list", saying("Mcp-Method", "tools/call")},
		{"Mcp-Method in upper case", saying("Mcp-Method", "TOOLS/LIST")},
		{"no Mcp-Method", lacking("Mcp-Method")},
		{"MCP-Protocol-Version unlike the _meta", saying("MCP-Protocol-Version", "2025-11-25")},
	}, refuseMismatch())
	call := list.Method("tools/call", map[string]any{"name": noTool, "arguments": map[string]any{}})
	Refuses(t, unknown(t, call, reachTheCall), Cases[CallEdit]{
		{"no Mcp-Name", lacking("Mcp-Name")},
		{"Mcp-Name of another tool", saying("Mcp-Name", "mcpauth_other_tool")},
		{"Mcp-Name in upper case", saying("Mcp-Name", strings.ToUpper(noTool))},
		{"Mcp-Name of another tool in Base64", saying("Mcp-Name", sentinel("mcpauth_other_tool"))},
		{"Mcp-Name empty", saying("Mcp-Name", "")},
		{"Mcp-Name twice, the right one first", saying("Mcp-Name", noTool, "mcpauth_other_tool")},
		{"Mcp-Name twice, the right one last", saying("Mcp-Name", "mcpauth_other_tool", noTool)},
	}, refuseMismatch())
	if encoded := t.Send(saying("Mcp-Name", sentinel(noTool))(t.MCP.Authorized(call))); !forbidden(t, call, encoded) {
		t.Expect(encoded, "Mcp-Name of the tool in Base64").To(passTheHeaders)
	}
	refusesOddName(t, list)
	refusesOtherNames(t, list)
	refusesOtherParameters(t)
}

// refusesOtherNames are requests besides tools/call that need Mcp-Name. A server without resources or prompts may say so first.
func refusesOtherNames(t *T, list mcp.Call) {
	for _, kind := range []struct{ list, entries, method, member, none, about, other string }{
		{"resources/list", "resources", "resources/read", "uri", "mcpauth://no/such", "another resource", "mcpauth://an/other"},
		{"prompts/list", "prompts", "prompts/get", "name", "mcpauth-no-such", "another prompt", "mcpauth-other"},
	} {
		entries := mcp.ReadList(t.MCP.Authorized(list.Method(kind.list, nil)), t.Send)
		if why := expect.NoAnswer(entries.Last()); why != "" {
			t.Leave(kind.method, why)
		}
		if len(entries.Entries(kind.entries)) == 0 {
			continue
		}
		call := list.Method(kind.method, map[string]any{kind.member: kind.none})
		Refuses(t, unknown(t, call, getPastTheHeaders), Cases[CallEdit]{
			{"no Mcp-Name, " + kind.method, lacking("Mcp-Name")},
			{"Mcp-Name of " + kind.about, saying("Mcp-Name", kind.other)},
		}, refuseMismatch())
	}
}

func refusesOtherParameters(t *T) {
	switch tool, m, added, declared := t.MCP.AMirroringTool(); {
	case declared:
		refusesContradictingParameters(t, tool, m, added)
	case len(t.Survey.Mirrored) > 0:
		Each(t, Cases[struct{}]{{"Mcp-Param fields", struct{}{}}}, func(t *T, _ struct{}) {
			t.NotTested("a listed tool has a parameter with x-mcp-header, but undeclared tools are not called; declare it in the target file")
		})
	default:
		t.Note("no Mcp-Param field was tried: no tool has a parameter with x-mcp-header")
	}
}

// Validation fails if a field "contains invalid characters". Only for Mcp-Param fields is the refusal a MUST.
func refusesOddName(t *T, list mcp.Call) {
	name := noTool + notASCII
	call := list.Method("tools/call", map[string]any{"name": name, "arguments": map[string]any{}})
	if odd := t.Send(saying("Mcp-Name", name)(t.MCP.Authorized(call))); !forbidden(t, call, odd) {
		t.Expect(odd, "Mcp-Name with a letter that is not ASCII, not in Base64").Ideally(refuseMismatch())
	}
}

// 2026-07-28, Server Behavior for Custom Headers: decoded values match those in the message, and a value has its field.
func refusesContradictingParameters(t *T, tool Tool, m mcp.Mirror, added bool) {
	call := t.MCP.Call().Method("tools/call", tool.Params())
	value, _ := m.Value(tool.Arguments)
	other := otherValue(value)
	Refuses(t, withToken(t, call, expect.Accept()), Cases[CallEdit]{
		{"no " + m.Name, lacking(m.Name)},
		{m.Name + " with another value", saying(m.Name, other)},
		{m.Name + " with another value in Base64", saying(m.Name, sentinel(other))},
		{m.Name + " twice, the right one first", saying(m.Name, value, other)},
		{m.Name + " twice, the right one last", saying(m.Name, other, value)},
	}, refuseMismatch())
	t.Expect(withToken(t, call, expect.Accept()).Send(saying(m.Name, sentinel(value))), "%s in Base64", m.Name).To(passTheHeaders)
	refusesInvalidCharacters(t, tool, m, value)
	invented := withToken(t, call, expect.Accept()).Send(saying("Mcp-Param-Mcpauth-Invented", "1"))
	t.Expect(invented, "a field of no parameter, Mcp-Param-Mcpauth-Invented").Ideally(passTheHeaders)
	if added { // the tool does not require the parameter: a client that omits it omits the field too
		bare := call.Method("tools/call", map[string]any{"name": tool.Name, "arguments": m.Unset(tool.Arguments)})
		t.Expect(withToken(t, bare, expect.Accept()).Send(saying(m.Name, value)), "%s without the parameter", m.Name).Ideally(refuseMismatch())
	}
}

// "Servers MUST reject requests with a recognized Mcp-Param-{Name} header that contains invalid characters". The tool may refuse the
// value itself, after the comparison of the fields.
func refusesInvalidCharacters(t *T, tool Tool, m mcp.Mirror, value string) {
	if m.Schema.String("type") != "string" {
		return
	}
	tool.Arguments = m.Set(tool.Arguments, value+notASCII)
	Refuses(t, withToken(t, t.MCP.Call().Method("tools/call", tool.Params()), passTheHeaders), Cases[CallEdit]{
		{m.Name + " with a letter that is not ASCII, not in Base64", saying(m.Name, value+notASCII)},
	}, refuseMismatch())
}

// otherValue is another value of the type that a text has.
func otherValue(text string) string {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n+1, 10)
	}
	if other, ok := map[string]string{"true": "false", "false": "true"}[text]; ok {
		return other
	}
	return text + "-other"
}

// withToken is a call with the valid token, whose header fields match its message.
func withToken(t *T, c mcp.Call, good expect.Matcher) Attempt[CallEdit] {
	return Attempt[CallEdit]{Name: "the " + c.RPC + " with matching header fields", Good: good, Send: func(edits ...CallEdit) any {
		edited := t.MCP.Authorized(c)
		for _, e := range edits {
			edited = e(edited)
		}
		return t.Send(edited)
	}}
}

// saying replaces a field by others with the same name.
func saying(name string, values ...string) CallEdit {
	return func(c mcp.Call) mcp.Call {
		for _, v := range values {
			c = c.With(mcp.Field(name, v))
		}
		return c
	}
}

// lacking leaves out a field that mirrors the message.
func lacking(name string) CallEdit {
	return func(c mcp.Call) mcp.Call {
		c = c.WithBody(c.Message())
		c.Header = slices.DeleteFunc(c.Header, func(f reports.Field) bool { return strings.EqualFold(f.Name, name) })
		return c
	}
}

// unknown is withToken for a call of what does not exist. A row that is forbidden like the call without the edit is undecided.
func unknown(t *T, c mcp.Call, good expect.Matcher) Attempt[CallEdit] {
	attempt := withToken(t, c, good)
	send := attempt.Send
	attempt.Send = func(edits ...CallEdit) any {
		answer := send(edits...)
		if len(edits) > 0 && forbidden(t, c, answer.(*reports.Exchange)) {
			t.Inconclusive("the server forbids the %s of what does not exist (HTTP 403), whatever the header fields say", c.RPC)
		}
		return answer
	}
	return attempt
}

// forbidden reports that an answer is 403, and that of the call with matching header fields too: some servers forbid what does not exist
// before they compare the fields.
func forbidden(t *T, c mcp.Call, ex *reports.Exchange) bool {
	return expect.Status(ex) == 403 && expect.Status(t.Send(t.MCP.Authorized(c))) == 403
}

// passTheHeaders expects an answer about the call itself, which follows the comparison of the header fields.
var passTheHeaders = pastTheHeaders("a call that gets past the comparison of header fields", func(ex *reports.Exchange) bool {
	return expect.Status(ex) != 403 && isOfTheCall(ex)
})

// reachTheCall is passTheHeaders for a tool that does not exist, which a server may forbid.
var reachTheCall = pastTheHeaders("a call that gets past the comparison of header fields", isOfTheCall)

// isOfTheCall tells a refusal of the call, such as an unknown tool, from another 400.
func isOfTheCall(ex *reports.Exchange) bool {
	code := mcp.Read(ex).Code
	return expect.Status(ex) != 400 || code == "-32602" || code == "-32601"
}

// getPastTheHeaders is reachTheCall for what each server refuses with another code.
var getPastTheHeaders = pastTheHeaders("a request that gets past the comparison of header fields", func(ex *reports.Exchange) bool {
	return mcp.Read(ex).Code != "-32022"
})

func pastTheHeaders(expected string, is func(ex *reports.Exchange) bool) expect.Matcher {
	return expect.Serving(expected, func(ex *reports.Exchange) string {
		if expect.NoAnswer(ex) != "" || expect.Status(ex) == 401 || mcp.Read(ex).Code == "-32020" || !is(ex) {
			return expect.Describe(ex)
		}
		return ""
	})
}

// sentinel is the form of a value that is not plain ASCII (Mcp-Name, Value Encoding).
func sentinel(v string) string {
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// refuseMismatch expects 400, ideally with HeaderMismatch, or UnsupportedProtocolVersion for the version.
func refuseMismatch() expect.Matcher {
	return expect.Advised(expect.Refuse(400), "JSON-RPC error -32020", func(ex *reports.Exchange) bool {
		code := mcp.Read(ex).Code
		return code == "-32020" || code == "-32022"
	})
}

// tries is how often the valid token is sent, each time on a new connection. Instances that do not share their state refuse some.
const tries = 6

func judgesEachRequestAlone(t *T) {
	if !servesOnEveryConnection(t) {
		return
	}
	for range 3 { // on the same connection, where the server keeps it open
		t.Expect(t.MCP.ServedOrControl(t.MCP.Call().With(t.MCP.BearerField()).Request(), t.MCP.Control), "the valid token").To(t.MCP.Serve())
		t.Expect(t.Send(t.MCP.Call()), "without credentials, after an authorized request").To(expect.Refuse(401))
		t.Expect(t.Send(t.MCP.Call().With(mcp.Bearer(survey.BogusToken))), "a bad token, after an authorized request").To(expect.Refuse(401))
	}
}

// servesOnEveryConnection sends the valid token on new connections. If it is refused each time, this is evidence of nothing.
func servesOnEveryConnection(t *T) bool {
	served, refused := 0, (*reports.Exchange)(nil)
	for i := range tries {
		if i == tries/2 { // changes the instance, where requests go to two instances in turn and each try sends two
			t.Send(t.MCP.Call().OnFreshConnection())
		}
		switch ex := t.Send(t.MCP.Call().With(t.MCP.BearerField()).OnFreshConnection()); {
		case t.MCP.Served(ex):
			served++
		case expect.NoAnswer(ex) == "":
			refused = ex
		}
	}
	if served == 0 || refused == nil {
		return true
	}
	return t.Expect(refused, "on new connections").To(expect.That("the valid token served each time", func(ex *reports.Exchange) string {
		return fmt.Sprintf("the valid token is served in %d of %d tries: is the store of tokens shared by all instances? (%s)", served, tries,
			expect.Describe(ex))
	}))
}
