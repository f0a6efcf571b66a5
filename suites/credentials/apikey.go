package credentials

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func apiKeys() {
	Practice("RS-APIKEY-ACCEPTED", acceptsKeys)
	Must("RS-APIKEY-REJECTED", refusesOtherKeys)
	Must("RS-APIKEY-TOOL-PERMISSIONS", limitsKeys)
	Practice("RS-APIKEY-WILDCARDS", matchesWildcardsLiterally)
}

// Field names do not depend on case (RFC 9110 section 5.1).
func acceptsKeys(t *T) {
	Each(t, rowsOf(t.MCP.APIKeys()), func(t *T, c Credential) {
		call := t.MCP.CallFor(c)
		for _, name := range []string{c.Header, strings.ToLower(c.Header), strings.ToUpper(c.Header)} {
			ex := t.MCP.ServedOrControl(RawCall(t, call, name+": "+c.Value+"\r\n"), func() { t.MCP.ControlOf(c) })
			t.Expect(ex, "in the field %s", name).To(t.MCP.Serve())
		}
		later(t, c)
		identity(t, c)
	})
}

// refusesOtherKeys sends what might be accepted instead of a key, and the key in other places. Keys in one header field are compared by
// one verifier, those in another field may have their own.
func refusesOtherKeys(t *T) {
	keys := firstKeys(t)
	refusesOthersThan(t, keys[0])
	Each(t, fieldsOf(keys[1:]), refusesOthersThan)
}

// firstKeys are the first API key of each header field.
func firstKeys(t *T) (out []Credential) {
	for _, c := range t.MCP.APIKeys() {
		if !slices.ContainsFunc(out, func(other Credential) bool { return strings.EqualFold(other.Header, c.Header) }) {
			out = append(out, c)
		}
	}
	return out
}

// fieldsOf are keys by their header fields.
func fieldsOf(keys []Credential) (rows Cases[Credential]) {
	for _, c := range keys {
		rows = rows.And("the field "+c.Header, c)
	}
	return rows
}

func refusesOthersThan(t *T, c Credential) {
	t.MCP.ControlOf(c)
	call := t.MCP.CallFor(c)
	Each(t, otherKeys(t, c, call).In("the key"), func(t *T, r wire.Request) {
		ex := t.Do(r)
		if t.Expect(ex).To(refuseKey(t)) && !t.MCP.RefusedInside(ex) {
			t.Expect(ex).Ideally(expect.HaveStatus(400, 401))
		}
	})
	Each(t, likeAttacks(c, call).In("the key"), func(t *T, r wire.Request) { t.Expect(t.Do(r)).To(refuseKey(t)) })
	two := t.Do(RawCall(t, call, c.Header+": wrong\r\n"+c.Header+": "+c.Value+"\r\n"))
	t.Expect(two, "two %s fields, of which the second is right", c.Header).Ideally(expect.NotBypass())
	t.Expect(t.Send(call.With(mcp.Bearer(c.Value))), "the key as a bearer token").Ideally(expect.NotBypass())
	t.MCP.ControlOf(c)
}

func otherKeys(t *T, c Credential, call mcp.Call) Cases[wire.Request] {
	rows := Cases[wire.Request]{
		{"unknown", call.With(c.With("invalid-key")).Request()},
		{"the name default", call.With(c.With("default")).Request()},
		{"the name production", call.With(c.With("production")).Request()},
		{"bytes that are not ASCII", RawCall(t, call, c.Header+": \xc3\xa4\xff\xfe\r\n")},
		{"in the query, as api_key", call.WithQuery("api_key", c.Value).Request()},
		{"in the query, as apikey", call.WithQuery("apikey", c.Value).Request()},
		{"in the query, as key", call.WithQuery("key", c.Value).Request()},
		{"in the query, under the name of its field", call.WithQuery(c.Header, c.Value).Request()},
	}
	for _, near := range resembling(t, c) {
		rows = rows.And(near.Name, call.With(c.With(near.Value)).Request())
	}
	return rows
}

// likeAttacks are values that a firewall in front of the server may refuse, by a status of its own.
func likeAttacks(c Credential, call mcp.Call) Cases[wire.Request] {
	rows := Cases[wire.Request]{{"a query for any", call.With(c.With(`{"$ne":""}`)).Request()}}
	for _, name := range Inherited() {
		rows = rows.And(name.Name, call.With(c.With(name.Value)).Request())
	}
	return rows
}

// refuseKey expects a refusal that is not a crash.
var refuseKey = expect.Family("refuseKey", func(t *T) expect.Matcher {
	return expect.That("a refusal with HTTP 401", func(ex *reports.Exchange) string {
		if t.MCP.RefusedInside(ex) || !t.MCP.Served(ex) && !expect.Crashed(ex) && expect.Status(ex) >= 300 {
			return ""
		}
		return expect.Describe(ex)
	})
})

func limitsKeys(t *T) { permissions(t, t.MCP.APIKeys()) }

func matchesWildcardsLiterally(t *T) {
	rows := Cases[wildcard]{}
	for _, c := range t.MCP.LimitedKeys() {
		for _, pattern := range c.Tools {
			if prefix, wild := strings.CutSuffix(pattern, "*"); wild && prefix != "" {
				rows = rows.And(c.Name+" with "+pattern, wildcard{key: c, prefix: prefix})
			}
		}
	}
	if len(rows) == 0 {
		t.NotApplicable("no key given has a wildcard among its tools")
	}
	Each(t, rows, func(t *T, w wildcard) { w.judge(t) })
}

// wildcard is a key that may call the tools whose names begin with a prefix.
type wildcard struct {
	key    Credential
	prefix string
}

// judge calls tools by names that match the prefix only if it is not compared literally.
func (w wildcard) judge(t *T) {
	own, foreign := w.tools(t)
	var real []string // names that the key may well call
	for _, tool := range t.MCP.ListedTools(w.key.Field()) {
		real = append(real, tool.String("name"))
	}
	caller := t.MCP.Caller(w.key.Field())
	p, f := w.prefix, foreign.Name
	Each(t, named(p, p+"*", strings.TrimRight(p, "_-:./"), p+"/../"+f, p+"\x00"+f, p+" "+f, f+"?"+p, f+"#"+p), func(t *T, name string) {
		if w.key.Permits(name) && slices.Contains(real, name) {
			t.NotApplicable("there is such a tool")
		}
		t.Expect(caller.CallTool(Tool{Name: name, Arguments: foreign.Arguments})).To(expect.NotRun())
	})
	Each(t, named(strings.ToUpper(own.Name), " "+own.Name), func(t *T, name string) {
		t.Expect(caller.CallTool(Tool{Name: name, Arguments: own.Arguments})).Ideally(expect.NotRun())
	})
}

func named(names ...string) (out Cases[string]) {
	for _, n := range names {
		out = out.And(fmt.Sprintf("the name %q", n), n)
	}
	return out
}

// tools are one that the key may call, which is the control, and one that it may not. The arguments of the latter are sent with other
// names too: without them the tool might not run for any caller.
func (w wildcard) tools(t *T) (own, foreign Tool) {
	for _, tool := range t.Tools {
		switch {
		case !w.key.Permits(tool.Name) && foreign.Name == "":
			foreign = tool.Marked("mcpauth")
		case strings.HasPrefix(tool.Name, w.prefix) && !tool.DeniedOnly && own.Name == "":
			own = tool
		}
	}
	if own.Name == "" || foreign.Name == "" {
		t.NotTested("it needs a tool that begins with %s, and one that %s may not call (tools in the target file)", w.prefix, w.key.Name)
	}
	t.Expect(t.MCP.CallToolAs(own, w.key.Field()), "%s, called with %s,", own.Name, w.key.Name).AsControl(expect.Run())
	return own, foreign
}
