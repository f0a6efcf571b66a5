package session

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// MCP 2026-07-28, multi round-trip requests: requestState "MUST be treated as attacker-controlled".
func verifiesRequestState(t *T) {
	first, others := askingTools(t)
	verifiesStateOf(t, first)
	Each(t, others, verifiesStateOf)
}

func verifiesStateOf(t *T, asked *question) {
	good := Attempt[forgery]{Name: "the same request with the state as it came", Good: beCarriedOut(), Send: func(edits ...forgery) any {
		fresh := asked.again(t)
		state := fresh.state
		for _, forge := range edits {
			if state = forge(state); state == "" || state == fresh.state {
				t.NotApplicable("it makes no difference to this state")
			}
		}
		return fresh.answer(t, t.Hide(state), asked.token, asked.tool)
	}}
	Refuses(t, good, tampered(), refuseRequest())
}

// A binding to more than the user is advice: the specification names only the user.
func bindsRequestState(t *T) {
	first, others := askingTools(t)
	bindsStateToUser(t, first)
	Refuses(t, inUse(t, first), otherUses(first), refuseRequest())
	Each(t, others, bindsStateToUser)
}

func bindsStateToUser(t *T, asked *question) {
	stranger := t.MCP.SecondToken()
	Refuses(t, inUse(t, asked), Cases[stateEdit]{
		{"the first user's state, sent by the second", func(_ *T, u *use) { u.token = stranger }},
	}, refuseRequest())
}

// inUse is the use of a new state as it was meant.
func inUse(t *T, asked *question) Attempt[stateEdit] {
	return Attempt[stateEdit]{Name: "the same request with the state as it came", Good: beCarriedOut(), Send: func(edits ...stateEdit) any {
		u := use{asked.again(t), asked.token, asked.tool}
		for _, e := range edits {
			e(t, &u)
		}
		return u.answer(t, u.state, u.token, u.tool)
	}}
}

// use is one use of a state: by a caller, for a tool.
type use struct {
	*question
	token string
	tool  Tool
}

type stateEdit func(t *T, u *use)

func withAnotherArgument(tool Tool) Tool {
	tool.Arguments = maps.Clone(tool.Arguments)
	if tool.Arguments == nil {
		tool.Arguments = map[string]any{}
	}
	tool.Arguments["mcpauth"] = "another"
	return tool
}

func otherUses(asked *question) Cases[stateEdit] {
	return Cases[stateEdit]{
		{"a state for other arguments than it was given for", func(_ *T, u *use) { u.tool = withAnotherArgument(u.tool) }},
		{"a state for another tool than it was given for", func(t *T, u *use) {
			for _, tool := range t.MCP.Eliciting() {
				if tool.Name != asked.tool.Name && ask(t, asked.token, tool) != nil {
					u.tool = tool
					return
				}
			}
			t.NotApplicable("no other declared tool asks for input")
		}},
		{"a state that was used before", func(t *T, u *use) {
			if ex := u.question.answer(t, u.state, u.token, u.tool); !complete(ex) {
				t.Inconclusive("this proves nothing: its first use is answered with %s", expect.Describe(ex))
			}
		}},
		{"a state that is 15 minutes old", func(t *T, u *use) {
			if t.Clock == nil && t.MaxWait < old || !t.Mint.Trusted() {
				t.NotApplicable("it needs a clock that can be moved, and an issuer run by mcpauth")
			}
			t.Elapse(old)
			u.token = t.MCP.FirstToken()
		}},
	}
}

// old is the age of a state that should have expired.
const old = 15 * time.Minute

var beCarriedOut = expect.Family("beCarriedOut", func() expect.Matcher {
	return expect.That("a request that is carried out", func(ex *reports.Exchange) string {
		if complete(ex) {
			return ""
		}
		return expect.Describe(ex)
	})
})

var refuseRequest = expect.Family("refuseRequest", func() expect.Matcher {
	return expect.Refusing("a JSON-RPC error, or the question again", func(ex *reports.Exchange) string {
		if complete(ex) {
			return "the request is carried out"
		}
		return ""
	})
})

// forgery changes a state in one way; it is empty if the way does not apply.
type forgery func(state string) string

// question is a request that waits for input, with the state that the target sent with it.
type question struct {
	token string
	tool  Tool
	call  mcp.Call
	state string
	input *document.Object // inputRequests
}

// mostAsking bounds the tools whose states are judged.
const mostAsking = 3

// askingTools are declared tools that ask for input with a state that matters: an ordinary answer completes the request, and one with
// another state does not. Each may have code of its own.
func askingTools(t *T) (first *question, others Cases[*question]) {
	why := "no declared tool asks for input that can be given, with a requestState"
	for _, tool := range t.MCP.Eliciting() {
		if len(others) == mostAsking-1 {
			break
		}
		switch q, careless := asking(t, tool); {
		case careless:
			why = tool.Name + " is carried out with any state: nothing depends on it"
		case q == nil:
		case first == nil:
			first = q
		default:
			others = others.And(tool.Name, q)
		}
	}
	if first == nil {
		t.NotApplicable("%s", why)
	}
	return first, others
}

// asking is a tool that asks for input that the check can give; nil if it does not. careless reports that it ignores the state.
func asking(t *T, tool Tool) (q *question, careless bool) {
	token := t.MCP.FirstToken()
	if q = ask(t, token, tool); q == nil {
		return nil, false
	}
	ex := q.answer(t, q.state, token, tool)
	if !complete(ex) {
		return nil, false // it asks for more than the check can fill in
	}
	t.Expect(ex, "the state given, with an ordinary answer,").AsControl(expect.Run())
	return q, complete(q.again(t).answer(t, "mcpauth-no-state", token, tool))
}

// ask calls a tool until it asks; nil if it does not, or sends no state.
func ask(t *T, token string, tool Tool) *question {
	call, refused := t.MCP.CapableSession(FormAndURL, mcp.Bearer(token))
	if refused != nil {
		return nil
	}
	call = call.With(mcp.Bearer(token))
	result := mcp.Read(t.Send(call.Method("tools/call", tool.Params()))).Result
	state := result.String("requestState")
	if result.String("resultType") != "input_required" || state == "" {
		return nil
	}
	return &question{token: token, tool: tool, call: call, state: t.Hide(state), input: result.Object("inputRequests")}
}

func (q *question) again(t *T) *question {
	fresh := ask(t, q.token, q.tool)
	if fresh == nil {
		t.Inconclusive("%s asked once, and not again", q.tool.Name)
	}
	return fresh
}

// answer sends the requested input, with a state, as a caller, for a tool.
func (q *question) answer(t *T, state, token string, tool Tool) *reports.Exchange {
	params := tool.Params()
	params["requestState"] = state
	responses := map[string]any{}
	for _, name := range q.input.Names() {
		responses[name] = map[string]any{"action": "accept", "content": filled(q.input.Object(name).Object("params").Object("requestedSchema"))}
	}
	params["inputResponses"] = responses
	call := q.call
	call.Header = nil
	return t.Send(call.Method("tools/call", params).With(mcp.Bearer(token)))
}

// filled is what a form asks for, as simply as its schema allows.
func filled(schema *document.Object) map[string]any {
	out := map[string]any{}
	properties := schema.Object("properties")
	for _, name := range properties.Names() {
		p := properties.Object(name)
		switch choices, _ := p.Strings("enum"); {
		case len(choices) > 0:
			out[name] = choices[0]
		case p.String("type") == "boolean":
			out[name] = true
		case p.String("type") == "number", p.String("type") == "integer":
			out[name] = 1
		case p.String("format") == "email":
			out[name] = "mcpauth@users.example"
		default:
			out[name] = "mcpauth"
		}
	}
	return out
}

// complete reports that a request was carried out.
func complete(ex *reports.Exchange) bool {
	return expect.Ran(ex) && mcp.Read(ex).Result.String("resultType") != "input_required"
}

func tampered() Cases[forgery] {
	return Cases[forgery]{
		{"its second character changed", func(s string) string { return flip(s, min(1, len(s)-1)) }},
		{"a character in its middle changed", func(s string) string { return flip(s, len(s)/2) }},
		{"a character near its end changed", func(s string) string { return flip(s, max(0, len(s)-4)) }},
		{"cut short", func(s string) string { return s[:len(s)*3/4] }},
		{"its last four characters left out", func(s string) string { return s[:max(0, len(s)-4)] }},
		{"its content changed", contentChanged},
		{"as an unsigned JWT", unsigned},
		{"four characters more at its end", lengthened},
		{"a mebibyte more at its end", func(s string) string { return s + strings.Repeat("A", 1<<20-4096) }},
		{"without what follows the first point", func(s string) string {
			head, _, found := strings.Cut(s, ".")
			return map[bool]string{true: head}[found]
		}},
		{"with an empty part after the last point", func(s string) string {
			return s[:strings.LastIndexByte(s, '.')+1]
		}},
	}
}

// lengthened decodes to more bytes, from base64 or hexadecimal. A decoder may drop a single extra character, which is not a whole byte.
func lengthened(s string) string {
	end := len(strings.TrimRight(s, "="))
	return s[:end] + "AAAA" + s[end:]
}

// flip changes one character of a state that is long enough for it.
func flip(s string, at int) string {
	if len(s) < 8 {
		return ""
	}
	return nearmiss.ChangedAt(s, at)
}

// contentChanged changes every value in a state that is JSON, whether or not in base64.
func contentChanged(state string) string {
	head, rest, dotted := strings.Cut(state, ".")
	for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding, base64.StdEncoding, base64.RawStdEncoding} {
		b, err := encoding.DecodeString(head)
		if changed := other(b); err == nil && changed != nil {
			out := encoding.EncodeToString(changed)
			if dotted {
				out += "." + rest
			}
			return out
		}
	}
	return string(other([]byte(state)))
}

// other is a JSON object with another value in each member that may name the user or the request; nil if it is not an object.
func other(b []byte) []byte {
	var o map[string]any
	if json.Unmarshal(b, &o) != nil || len(o) == 0 {
		return nil
	}
	for k, v := range o {
		switch v := v.(type) {
		case float64:
			if v < 1e6 { // larger numbers may be times, which another row changes
				o[k] = v + 1
			}
		case bool:
			o[k] = !v
		}
	}
	o["admin"] = true
	out, _ := json.Marshal(o) // decoded JSON can always be encoded
	return out
}

// unsigned is a state that is a JWT, with alg none.
func unsigned(state string) string {
	parts := strings.Split(state, ".")
	if len(parts) != 3 {
		return ""
	}
	return mint.Base64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
}
