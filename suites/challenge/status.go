package challenge

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func status() {
	Must("RS-CHALLENGE-401-STATUS", answersWith401)
	Must("RS-CHALLENGE-NO-AUTH-ERROR-IN-200", refusesByStatus)
	Must("RS-CHALLENGE-NO-REDIRECT-TO-LOGIN", redirectsToNoLogin)
	Must("RS-CHALLENGE-NO-5XX", survivesBadRequests)
	Practice("RS-CHALLENGE-BODY-HYGIENE", showsNoInternals)
	Practice("RS-CHALLENGE-STABLE", refusesAlike)
}

func answersWith401(t *T) {
	ex := t.MCP.Anonymous()
	if expect.Accepted(ex) {
		if declared := servedWithoutToken(t); !declared || t.Meant() != "" {
			t.MCP.ServesAnyone(ex)
		}
		return
	}
	t.Expect(ex, "a request without a token").To(expect.Refuse(401))
	if t.Wire != mcp.Stateful || expect.Status(ex) != 401 {
		return
	}
	withSession := t.Send(t.MCP.Call().InSession(Random(18)).OnFreshConnection())
	if s := expect.Status(withSession); s == 400 || s == 404 { // the session may be looked up first
		t.Expect(withSession, "with an unknown session id").Ideally(expect.Refuse(401))
	} else {
		t.Expect(withSession, "with an unknown session id").To(expect.Refuse(401))
	}
}

// servedWithoutToken tries the tools that are declared to need a scope, if nothing else is protected: a server with a declared scope is
// not meant to be open.
func servedWithoutToken(t *T) bool {
	tools, call := t.MCP.ScopedTools(), t.MCP.CallOfAnybody()
	for _, tool := range tools {
		ex := t.Send(call.Method("tools/call", tool.Params()))
		t.Expect(ex, "%s, which needs %s", tool.Name, tool.Needs()).To(expect.Refuse(401))
	}
	return len(tools) > 0
}

// The server must refuse by the HTTP status, not by a JSON-RPC error or a tool result inside HTTP 200.
func refusesByStatus(t *T) {
	if ex := t.MCP.Anonymous(); expect.Accepted(ex) {
		defer t.MCP.Unguarded(ex)
	}
	call, credentials := t.MCP.CallOfAnybody(), Cases[[]reports.Field]{{"no token", nil}}
	for _, bad := range t.Mint.BadTokens()[:2] {
		credentials = credentials.And(bad.Name, []reports.Field{mcp.Bearer(bad.Value)})
	}
	Each(t, credentials, func(t *T, with []reports.Field) {
		calls := []Variant{Call(t.MCP.Call().With(with...), "the protected request")}
		for _, method := range []string{"tools/list", "resources/list"} {
			calls = append(calls, Call(call.Method(method, nil).With(with...), "%s", method))
		}
		for _, tool := range t.MCP.ScopedTools() {
			calls = append(calls, Call(call.Method("tools/call", tool.Params()).With(with...), "the tool %s", tool.Name))
		}
		for i, ex := range t.All(calls) {
			t.Expect(ex, "%s", calls[i].About).To(notHideRefusal())
		}
	})
}

// notHideRefusal expects the HTTP status to show a refusal, if the answer is one.
var notHideRefusal = expect.Family("notHideRefusal", func() expect.Matcher {
	return expect.That("HTTP 401, which clients act on", func(ex *reports.Exchange) string {
		if expect.RefusedInside(ex) {
			return expect.Describe(ex)
		}
		return ""
	})
})

func redirectsToNoLogin(t *T) {
	protected(t)
	browser := []reports.Field{
		mcp.Field("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
		mcp.Field("Accept", "text/html, application/json, text/event-stream"),
	}
	Each(t, Cases[*reports.Exchange]{
		{"no token", t.MCP.Anonymous()},
		{"no token, with the header fields of a browser", t.Send(t.MCP.Call().With(browser...))},
		{"GET without a token", t.Send(t.MCP.Call().Using("GET"))},
	}, func(t *T, ex *reports.Exchange) {
		if t.Expect(answered(t, ex)).To(notShowLogin()) && expect.Status(ex) >= 400 {
			t.Expect(ex).To(expect.NotBypass())
		}
	})
}

var notShowLogin = expect.Family("notShowLogin", func() expect.Matcher {
	return expect.That("HTTP 401: no MCP client can follow a login page", func(ex *reports.Exchange) string {
		switch s := expect.Status(ex); {
		case s >= 300 && s <= 399:
			return expect.Describe(ex)
		case s == 200 && expect.MediaType(ex) == "text/html":
			return "HTTP 200 with an HTML page"
		}
		return ""
	})
})

// protected ends a check that makes no sense where anonymous callers are served.
func protected(t *T) {
	if ex := t.MCP.Anonymous(); expect.Accepted(ex) {
		t.MCP.Unguarded(ex)
	}
}

// A bad credential of any form is an error of the client, and so is a body without a credential.
func survivesBadRequests(t *T) {
	t.Expect(t.MCP.Bogus(), "Bearer, 47 characters of base64url").To(expect.RefuseAnyway())
	var variants []Variant
	for _, token := range brokenTokens {
		variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(token)), "Bearer %s", short(token)))
	}
	for _, value := range []string{"Bearer", "Bearer ", "bearer:", "Bearer\tnot-a-token", "Basic !!!", "Digest x", "Basic dTpw", ""} {
		variants = append(variants, Call(t.MCP.Call().With(mcp.Field("Authorization", value)), "Authorization: %q", value))
	}
	t.ExpectAll(variants, expect.RefuseAnyway())
	t.ExpectAll(unreadableBodies(t), expect.NotBypass())
	large := t.Do(withBody(t, "application/json", `{"padding":"`+strings.Repeat("A", largeBody)+`"}`))
	if large.Response == nil { // a server that limits bodies may close the connection (RFC 9110 section 15.5.14)
		t.Note("a body of 2 MiB without a token: the connection ends: %s", large.Error)
		return
	}
	t.Expect(large, "a body of 2 MiB without a token").To(expect.NotBypass())
}

const largeBody = 2 << 20

var brokenTokens = []string{
	"a", "a.b", "a.b.c", "..", ".", "null", "undefined", "%00", "e30.e30.", "e30.e30.e30", "eyJhbGciOjF9.e30.e30", // alg is the number 1
	"W10.e30.e30", "bnVsbA.e30.e30", "eyJhbGciOiJSUzI1NiJ9.W10.e30", "eyJhbGciOiJSUzI1NiJ9.bnVsbA.e30", // [] and null where objects belong
	"eyJhbGciOiJSUzI1NiJ9.!!!.???", "a.b.c.d.e", strings.Repeat("A", 4096),
}

func short(token string) string {
	if len(token) > 64 {
		return fmt.Sprintf("%s... (%d characters)", token[:8], len(token))
	}
	return token
}

// unreadableBodies are requests without a token whose bodies are not a JSON-RPC message.
func unreadableBodies(t *T) []Variant {
	var out []Variant
	for _, b := range []struct{ about, mediaType, body string }{
		{"a form", "application/x-www-form-urlencoded", "jsonrpc=2.0&method=tools%2Flist"},
		{"a multipart form", "multipart/form-data; boundary=mcpauth",
			"--mcpauth\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--mcpauth--\r\n"},
		{"a multipart form without a boundary", "multipart/form-data", "a=b"},
		{"plain text", "text/plain", "mcpauth"},
		{"XML", "application/xml", "<methodCall/>"},
		{"an unknown media type", "application/x-mcpauth", "mcpauth"},
		{"an unknown charset", "application/json; charset=mcpauth", "{}"},
		{"an empty body", "application/json", ""},
		{"JSON that ends early", "application/json", `{"jsonrpc":`},
		{"an array of arrays", "application/json", `[[],[[]]]`},
		{"null", "application/json", `null`},
	} {
		out = append(out, Variant{About: b.about + " without a token", Request: withBody(t, b.mediaType, b.body)})
	}
	return out
}

func showsNoInternals(t *T) {
	secret := "canary" + Random(20)
	word := base64.StdEncoding.EncodeToString([]byte("u:" + secret))
	rows := refusals(t).
		And("a token that is looked for", t.Send(t.MCP.Call().With(mcp.Bearer(secret)))).
		And("a password that is looked for", t.Send(t.MCP.Call().With(mcp.Field("Authorization", "Basic "+word))))
	for _, name := range t.MCP.KeyFields() {
		rows = rows.And("a key that is looked for, in "+name, t.Send(t.MCP.Call().With(mcp.Field(name, secret))))
	}
	Each(t, rows, func(t *T, ex *reports.Exchange) {
		if ex.Response != nil {
			t.Expect(ex).To(notShow("the credential of the request", append(spellings(secret), word)), notShowInternals)
		}
		LeaveIfFailed(t, ex)
	})
}

func spellings(secret string) []string {
	return []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret))}
}

var notShowInternals = expect.That("an answer that does not show internals of the server", func(ex *reports.Exchange) string {
	if shown := expect.Internals(whole(ex)); shown != "" {
		return fmt.Sprintf("the answer shows %q", shown)
	}
	return ""
})

// whole is the body of an answer, and the values of its header fields.
func whole(ex *reports.Exchange) string {
	all := ex.Response.Body
	for _, f := range ex.Response.Header {
		all += "\n" + f.Value
	}
	return all
}

var notShow = expect.Family("notShow", func(what string, texts []string) expect.Matcher {
	return expect.That("an answer that does not show "+what, func(ex *reports.Exchange) string {
		all := whole(ex)
		if i := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(all, text) }); i >= 0 {
			return fmt.Sprintf("the answer shows %q", strings.TrimSpace(texts[i]))
		}
		return ""
	})
})

func refusesAlike(t *T) {
	first := t.MCP.Anonymous()
	alike := expect.That("the same status and the same challenges every time", func(ex *reports.Exchange) string {
		if expect.Status(ex) != expect.Status(first) || !slices.Equal(challengeSet(ex), challengeSet(first)) {
			return fmt.Sprintf("%s, after %s", expect.Describe(ex), expect.Describe(first))
		}
		return ""
	})
	for _, agent := range []string{"mcp-conformance", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"} {
		again := Call(t.MCP.Call().With(mcp.Field("User-Agent", agent)).OnFreshConnection(), "User-Agent: %s", agent)
		t.ExpectAll([]Variant{again, again, again}, alike)
	}
}

// challengeSet is the content of a challenge, without the parts that may differ each time.
func challengeSet(ex *reports.Exchange) []string {
	var out []string
	for _, c := range expect.Challenges(ex) {
		for _, p := range c.Parameters {
			if n := strings.ToLower(p.Name); n != "error_description" && n != "nonce" {
				out = append(out, c.Scheme+" "+n+"="+p.Value)
			}
		}
		if len(c.Parameters) == 0 {
			out = append(out, c.Scheme)
		}
	}
	slices.Sort(out)
	return out
}

// withBody is the protected request without a token and with another body.
func withBody(t *T, mediaType, body string) wire.Request {
	return wire.Request{Method: "POST", URL: t.Survey.Endpoint, Body: body, Header: []reports.Field{
		mcp.Field("Content-Type", mediaType), mcp.Field("Accept", "application/json, text/event-stream"),
	}}
}
