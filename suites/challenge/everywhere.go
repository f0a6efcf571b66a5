package challenge

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func everywhere() {
	Must("RS-CHALLENGE-EVERY-RPC-METHOD", guardsEveryMessage)
	Must("RS-CHALLENGE-EVERY-HTTP-METHOD", guardsEveryVerb)
	Must("RS-CHALLENGE-PATH-VARIANTS", guardsEverySpelling)
	Must("RS-CHALLENGE-SIDE-ROUTES", guardsSideRoutes)
}

// Authorization must be included in every HTTP request, so every method must ask for it.
func guardsEveryMessage(t *T) {
	calls := slices.DeleteFunc(append(messages(t), existing(t)...), func(c mcp.Call) bool {
		return t.DeclaredPublic(c.RPC) || t.MCP.PublicHandshake(c.RPC)
	})
	open, variants := []string{}, withoutToken(t, calls)
	answers := t.All(variants)
	sessionFirst := looksUpSessionsFirst(t, calls, answers)
	for i, ex := range answers {
		if s := expect.Status(ex); sessionFirst && (s == 400 || s == 404) {
			LeaveWithout(t, "token-given", variants[i].About,
				expect.Describe(ex)+" comes before the token is looked at, since there is no session: the token opens one")
			continue
		}
		expectRefusal(t, ex, variants[i].About)
		if i < len(calls) && (expect.Accepted(ex) || calls[i].RPC == "tools/call" && expect.UnknownTool(ex)) {
			open = append(open, calls[i].RPC)
		}
	}
	t.MCP.AnyoneCan("use", open)
	expectNoBypass(t, withGarbage(calls))
	expectNoBypass(t, append(otherForms(t), outsideSessions(t)...))
	onAnotherWire(t)
	guardsManyAtOnce(t)
	if open := t.MCP.Anonymous(); t.MCP.PublicHandshake("initialize") && !t.DeclaredPublic(t.MCP.Handshake()) {
		t.Expect(open).Ideally(refuseHandshake(t.MCP.Handshake()))
	}
}

// withoutToken are the calls, and the messages that are not a single request, unless some methods are public.
func withoutToken(t *T, calls []mcp.Call) (variants []Variant) {
	for _, c := range calls {
		v := Call(c, "%s without a token", asked(c))
		v.Request.Peek = silence
		variants = append(variants, v)
	}
	if len(t.Survey.Public[t.Wire]) == 0 {
		variants = append(variants, otherMessages(t)...)
	}
	return variants
}

// withGarbage are the calls with a token that nobody has issued: a guard may only look whether there is one.
func withGarbage(calls []mcp.Call) (variants []Variant) {
	for _, c := range calls {
		v := Call(c.With(mcp.Bearer(survey.BogusToken)), "%s with a garbage token", asked(c))
		v.Request.Peek = silence
		variants = append(variants, v)
	}
	return variants
}

var refuseHandshake = expect.Family("refuseHandshake", func(method string) expect.Matcher {
	return expect.That("HTTP 401, or a handshake that is declared public (target.public in the target file)", func(*reports.Exchange) string {
		return method + " is served without a token, which shows anybody what the server is and offers"
	})
})

// looksUpSessionsFirst reports that a request for a list without a token gets the same answer as one without a session, and that no
// session can be opened without a token.
func looksUpSessionsFirst(t *T, calls []mcp.Call, answers []*reports.Exchange) bool {
	if t.Wire != mcp.Stateful || t.MCP.HasToken() || t.MCP.PublicHandshake(t.MCP.Handshake()) {
		return false
	}
	i := slices.IndexFunc(calls, func(c mcp.Call) bool { return c.RPC == "tools/list" })
	return i >= 0 && (expect.Status(answers[i]) == 400 || expect.Status(answers[i]) == 404)
}

// outsideSessions are requests for a list without a session, and in a session that was never opened. The specification wants 400 and
// 404 for these (MCP Transports: Session Management).
func outsideSessions(t *T) []Variant {
	if t.Wire == mcp.Stateless {
		return namingSessions(t)
	}
	if t.MCP.Public("tools/list") || t.DeclaredPublic("tools/list") {
		return nil
	}
	list := mcp.Call{Endpoint: t.Survey.Endpoint, Revision: t.Revision, RPC: "tools/list"}
	return []Variant{Call(list, "tools/list without a token and without a session"),
		Call(list.InSession(Random(18)), "tools/list without a token, in a session that was never opened")}
}

// namingSessions are requests of the protocol without sessions that name one. A server of both protocols may look for the session first,
// and take it for the token of its user.
func namingSessions(t *T) (variants []Variant) {
	for _, id := range SessionIDs(t) {
		call := t.MCP.Call().InSession(id.Value)
		variants = append(variants, Call(call, "without a token, with %s", id.Name),
			Call(call.With(mcp.Bearer(survey.BogusToken)), "with a garbage token and %s", id.Name))
	}
	return variants
}

// unspoken is a revision of the protocol that the target does not announce; empty if it announces both. The old one is that of messages
// without a version.
func unspoken(t *T) string {
	if _, judged := t.Survey.Newest(mcp.Stateless); !judged {
		return mcp.NewestStateless
	}
	if _, judged := t.Survey.Newest(mcp.Stateful); !judged {
		return "2025-03-26"
	}
	return ""
}

// onAnotherWire sends messages of a protocol that the target does not announce: it may serve them anyway.
func onAnotherWire(t *T) {
	revision := unspoken(t)
	if revision == "" {
		return
	}
	var calls []Variant
	for _, c := range everyMethod(mcp.Probe(t.Survey.Endpoint, revision)) {
		if !t.MCP.Public(c.RPC) && !t.DeclaredPublic(c.RPC) && c.RPC != "subscriptions/listen" && c.RPC != unknownMethod {
			calls = append(calls, Call(c, "%s without a token, at %s", c.RPC, revision))
		}
	}
	answers := t.All(calls)
	guarded := slices.ContainsFunc(answers, func(ex *reports.Exchange) bool { return expect.Status(ex) == 401 })
	for i, ex := range answers {
		switch {
		case expect.Crashed(ex):
		case expect.Accepted(ex), expect.UnknownTool(ex) && strings.Contains(expect.Body(ex), t.MCP.Introduced(noSuchTool)):
			t.Expect(ex, "%s", calls[i].About).To(expect.Refuse(401))
		case guarded: // it distinguishes methods
			t.Expect(ex, "%s", calls[i].About).To(expect.NotBypass())
		}
	}
}

// manyAtOnce is how many requests without a good token are sent at once.
const manyAtOnce = 24

// guardsManyAtOnce finds a guard that lets one of many requests pass: it shares the caller between requests, or fails under load.
func guardsManyAtOnce(t *T) {
	if t.Seeded() { // requests are sent one after another, so none overlap
		return
	}
	calls := slices.Repeat([]Variant{Call(t.MCP.Call(), "without a token, one of %d at once", manyAtOnce)}, manyAtOnce)
	for i, ex := range amongServed(t, calls) {
		if !expect.Crashed(ex) {
			t.Expect(ex, "%s", calls[i].About).To(expect.NotBypass())
		}
	}
}

// amongServed sends calls at once, among half as many with the valid token, and returns the answers to the calls.
func amongServed(t *T, calls []Variant) (answers []*reports.Exchange) {
	var all []Variant
	var places []int
	for i, call := range calls {
		places = append(places, len(all))
		all = append(all, call)
		if t.MCP.HasToken() && i%2 == 0 {
			all = append(all, Call(t.MCP.Call().With(t.MCP.BearerField()), "the valid token"))
		}
	}
	sent := t.Race(all)
	for _, place := range places {
		answers = append(answers, sent[place])
	}
	return answers
}

// noSuchTool is a name that no tool has.
const noSuchTool = "mcpauth_no_such_tool"

// existing are calls that ask for a resource and a prompt of the server, as it lists them to the user.
func existing(t *T) (out []mcp.Call) {
	if !t.MCP.HasToken() {
		return nil
	}
	probe := t.MCP.CallOfAnybody()
	first := func(method, member string) *document.Object {
		if all := t.MCP.List(method, t.MCP.BearerField()).Entries(member); len(all) > 0 {
			return all[0]
		}
		return nil
	}
	if uri := first("resources/list", "resources").String("uri"); uri != "" {
		out = append(out, probe.Method("resources/read", map[string]any{"uri": uri}))
		if t.Wire == mcp.Stateful {
			out = append(out, probe.Method("resources/subscribe", map[string]any{"uri": uri}))
		}
	}
	if name := first("prompts/list", "prompts").String("name"); name != "" {
		out = append(out, probe.Method("prompts/get", map[string]any{"name": name}))
	}
	return out
}

// asked describes what a call asks for.
func asked(c mcp.Call) string {
	for _, key := range []string{"uri", "name"} {
		if name, _ := c.Params[key].(string); name != "" && !strings.Contains(name, "no_such") && !strings.Contains(name, "no-such") {
			return c.RPC + " of " + name
		}
	}
	return c.RPC
}

// expectRefusal accepts 400, 404 and 405 as advice only: a method that the server lacks may be refused before the token is looked at.
func expectRefusal(t *T, ex *reports.Exchange, about string) {
	if s := expect.Status(ex); s == 400 || s == 404 || s == 405 {
		if !expect.Soft(ex) && !expect.Accepted(ex) {
			t.Expect(ex, "%s", about).Ideally(expect.Refuse(401))
			return
		}
	}
	t.Expect(ex, "%s", about).To(expect.Refuse(401))
}

// silence is how long a stream that opens without a token is watched.
const silence = 200 * time.Millisecond

// messages are one call of every JSON-RPC method of the revision; none names a tool or resource that exists. They are sent
// in a session that anybody may open, otherwise in the session of the token, so that only the token is missing.
func messages(t *T) []mcp.Call {
	return append([]mcp.Call{mcp.Probe(t.Survey.Endpoint, t.Revision)}, everyMethod(t.MCP.CallOfAnybody())...)
}

const unknownMethod = "mcpauth/no_such_method"

// everyMethod returns one call for each method of the probe's revision. Everything else in the call is as in the probe.
func everyMethod(probe mcp.Call) (out []mcp.Call) {
	methods := []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list", unknownMethod}
	wire := mcp.WireOf(probe.Revision)
	if wire == mcp.Stateful {
		methods = append(methods, "ping", "notifications/initialized", "notifications/mcpauth_unknown", "logging/setLevel",
			"notifications/cancelled", "notifications/progress", "notifications/roots/list_changed")
	}
	if probe.Revision == "2025-11-25" {
		methods = append(methods, "tasks/list")
	}
	if wire == mcp.Stateless {
		methods = append(methods, "subscriptions/listen")
	}
	for _, m := range methods {
		out = append(out, probe.Method(m, nil))
	}
	for _, m := range ofNothing {
		subscription, task := strings.HasSuffix(m.Name, "subscribe"), strings.HasPrefix(m.Name, "tasks/")
		if (wire == mcp.Stateful || !subscription) && (probe.Revision == "2025-11-25" || !task) {
			out = append(out, probe.Method(m.Name, m.Value))
		}
	}
	return out
}

// ofNothing are methods with parameters that name objects that do not exist.
var ofNothing = Cases[map[string]any]{
	{"tools/call", map[string]any{"name": noSuchTool, "arguments": map[string]any{}}},
	{"resources/read", map[string]any{"uri": "mcpauth:no-such-resource"}},
	{"resources/subscribe", map[string]any{"uri": "mcpauth:no-such-resource"}},
	{"resources/unsubscribe", map[string]any{"uri": "mcpauth:no-such-resource"}},
	{"prompts/get", map[string]any{"name": "mcpauth_no_such_prompt"}},
	{"completion/complete", map[string]any{
		"ref": map[string]any{"type": "ref/prompt", "name": "mcpauth_no_such_prompt"}, "argument": map[string]any{"name": "a", "value": "b"},
	}},
	{"tasks/get", map[string]any{"taskId": "mcpauth-no-such-task"}},
	{"tasks/result", map[string]any{"taskId": "mcpauth-no-such-task"}},
	{"tasks/cancel", map[string]any{"taskId": "mcpauth-no-such-task"}},
}

// otherMessages are messages that are not a single request: an answer of the client, and batches (2025-03-26).
func otherMessages(t *T) []Variant {
	call := t.MCP.CallOfAnybody().Method("tools/list", nil)
	tool := call.Method("tools/call", map[string]any{"name": noSuchTool})
	tool.Notification = true
	out := []Variant{
		Call(call.WithBody(`{"jsonrpc":"2.0","id":"mcpauth","result":{}}`), "a JSON-RPC response without a token"),
		Call(tool, "tools/call without an id and without a token"),
	}
	for _, id := range []string{"0", `""`, `"mcpauth"`} { // a guard may read the first two as a notification; MCP forbids null
		body := strings.Replace(call.Message(), fmt.Sprintf(`"id":%d`, mcp.ID), `"id":`+id, 1)
		out = append(out, Call(call.WithBody(body), "tools/list with the id %s and without a token", id))
	}
	if t.Revision == "2025-11-25" {
		asTask := map[string]any{"name": noSuchTool, "arguments": map[string]any{}, "task": map[string]any{"ttl": 1000}}
		out = append(out, Call(call.Method("tools/call", asTask), "tools/call as a task, without a token"))
	}
	if slices.Contains(t.Survey.Judged(), "2025-03-26") && t.Wire == mcp.Stateful {
		out = append(out, Call(call.WithBody("["+call.Message()+"]"), "a batch without a token"))
	}
	return out
}

func guardsEveryVerb(t *T) {
	for _, verb := range []string{"GET", "DELETE"} {
		ex := t.Send(t.MCP.Call().Using(verb).OnFreshConnection())
		if expect.Status(ex) == 400 {
			t.Expect(ex, "%s without a token", verb).Ideally(expect.Refuse(401, 405))
			continue
		}
		t.Expect(ex, "%s without a token", verb).To(expect.Refuse(401, 405, 404)) // 404: no such stream here
	}
	var unusual []Variant
	expectNoHead(t)
	for _, verb := range []string{"PUT", "PATCH", "TRACE", "MCPAUTH"} {
		unusual = append(unusual, Call(t.MCP.Call().Using(verb), "%s without a token", verb))
	}
	t.ExpectAll(unusual, expect.RefuseOrNotImplemented())
	expectNoBypass(t, underOtherVerbs(t))
	override := t.Send(t.MCP.Call().With(mcp.Field("X-HTTP-Method-Override", "GET")))
	t.Expect(override, "POST with X-HTTP-Method-Override: GET").To(expect.NotBypass())
	if t.Wire == mcp.Stateful && t.MCP.HasToken() {
		Each(t, Cases[string]{{"DELETE of a session that is in use", t.MCP.Token()}}, keepsSession)
	}
}

// underOtherVerbs are the protected message under other HTTP methods, and a stream that is resumed.
func underOtherVerbs(t *T) (out []Variant) {
	for _, verb := range []string{"QUERY", "OPTIONS", "post", "GET", "DELETE"} {
		out = append(out, withMessage(t, verb))
	}
	post := withMessage(t, "GET")
	post.About += ", with X-HTTP-Method-Override: POST"
	post.Request.Header = append(slices.Clone(post.Request.Header), mcp.Field("X-HTTP-Method-Override", "POST"))
	again := t.MCP.CallInSession().Using("GET").With(mcp.Field("Last-Event-ID", "mcpauth"))
	return append(out, post, Call(again, "GET with Last-Event-ID, without a token"))
}

// expectNoHead lets a gateway answer HEAD for the server, which is evidence of nothing; an answer with the type of a stream shows that
// GET is open.
func expectNoHead(t *T) {
	ex := t.Send(t.MCP.Call().Using("HEAD"))
	if s := expect.Status(ex); s >= 200 && s <= 299 && expect.MediaType(ex) != "text/event-stream" {
		t.Expect(ex, "HEAD without a token").Ideally(expect.RefuseOrNotImplemented())
		return
	}
	t.Expect(ex, "HEAD without a token").To(expect.RefuseOrNotImplemented())
	expectNoHeadServed(t)
}

// expectNoHeadServed sends the message with HEAD, whose answer has no body. If HEAD succeeds with the message, and fails with another
// body, the server has processed the message.
func expectNoHeadServed(t *T) {
	served, other := withMessage(t, "HEAD"), withMessage(t, "HEAD")
	other.Request.Body = "no message"
	if ex := t.Do(served.Request); expect.Succeeded(ex) && !expect.Succeeded(t.Do(other.Request)) {
		t.Expect(ex, "%s", served.About).To(expect.RefuseOrNotImplemented())
	}
}

// withMessage is the protected request under another HTTP method.
func withMessage(t *T, verb string) Variant {
	v := Call(t.MCP.Call(), "%s with the message, without a token", verb)
	v.Request.Method = verb
	return v
}

// keepsSession sends DELETE without a token for a session of the token, and checks that the session still exists.
func keepsSession(t *T, token string) {
	session := OpenSession(t)
	if session.SessionID == "" {
		t.NotApplicable("the server has no sessions")
	}
	t.Expect(t.Send(session.Using("DELETE")), "without a token").To(expect.Refuse(401, 405, 404))
	list := t.Send(session.Method("tools/list", nil).With(mcp.Bearer(token)))
	t.Expect(list, "the session afterwards, with its token").To(beThere)
}

// beThere expects an answer in a session, which may be the error of a server without tools/list.
var beThere = expect.That("a session that still exists", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s >= 200 && s <= 299 && !expect.RefusedInside(ex) {
		return ""
	}
	return expect.Describe(ex)
})

func guardsEverySpelling(t *T) {
	var all []Variant
	for _, u := range otherSpellings(t.Survey.URL) {
		c := t.MCP.Call()
		c.Endpoint = u
		all = append(all, Call(c, "%s", u))
	}
	for _, header := range []string{"X-Original-URL", "X-Rewrite-URL"} {
		c := t.MCP.Call().With(mcp.Field(header, t.Survey.URL.EscapedPath()))
		c.Endpoint = document.Origin(t.Survey.URL) + "/"
		all = append(all, Call(c, "/ with %s: %s", header, t.Survey.URL.EscapedPath()))
	}
	expectNoBypass(t, all)
	guardsOtherVersions(t)
}

func otherSpellings(u *url.URL) []string {
	origin, path := document.Origin(u), u.EscapedPath()
	last := path[strings.LastIndex(path, "/")+1:]
	dir := strings.TrimSuffix(path, last)
	if last == "" {
		return []string{origin + "//", origin + "/./", origin + "/;x=1", origin + "/.json"}
	}
	first := strings.ToUpper(last[:1])
	out := []string{
		origin + path + "/", origin + dir + "/" + last, origin + dir + strings.ToUpper(last), origin + path + ";x=1",
		origin + dir + "%2e/" + last, origin + dir + "./" + last, origin + dir + "x/../" + last, origin + path + "%00",
		origin + path + ".json", origin + path + "%20", origin + path + "%2f", origin + dir + first + last[1:], origin + path + "?x",
		origin + dir + "%252e/" + last, origin + path + ".", origin + dir + fmt.Sprintf("%%%02x", last[0]) + last[1:],
		origin + dir + "%2f" + last, origin + dir + "%5c" + last, origin + dir + "//" + last, origin + path + "%2F", origin + path + "%23",
		origin + path + "%3f", origin + path + "%09", origin + path + ";", origin + "/.well-known/.." + path,
		origin + path + "/mcpauth", origin + path + "/sse", origin + path + "/message", origin + path + "/messages",
		origin + path + "?next=/.well-known/oauth-protected-resource", origin + path + "?debug=true",
	}
	if dir != "/" {
		out = append(out, origin+strings.ToUpper(path), origin+strings.TrimSuffix(dir, "/")+"%5c"+last)
	}
	return out
}
