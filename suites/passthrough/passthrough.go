// Package passthrough contains the checks on what an MCP server passes on: to the APIs that its tools call, and from them
// (MCP Security Best Practices: Token Passthrough).
package passthrough

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: Token Passthrough", outward)
	Describe("MCP Security Best Practices: Token Passthrough, what comes back", inward)
	Describe("MCP Authorization: accounts at third parties", linked)
}

// holds reports that a request contains a secret: in its address, a header field, or its body, also in Base64.
func holds(r listener.Request, secret string) bool {
	all := r.URL + "\n" + r.Body
	for _, values := range r.Header {
		all += "\n" + strings.Join(values, "\n")
	}
	return slices.ContainsFunc(append(inBase64(secret), secret), func(text string) bool { return strings.Contains(all, text) })
}

// inBase64 are what all texts that contain a secret have in common in Base64: it depends on where the secret begins, and on the alphabet.
func inBase64(secret string) (out []string) {
	if len(secret) < leastEncoded {
		return nil
	}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + secret))
		text = text[(before*8+5)/6 : (before+len(secret))*8/6] // characters in which only the secret counts
		out = append(out, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return out
}

// leastEncoded is the length of a secret whose encoded form is in no other text by chance.
const leastEncoded = 12

// parts returns a token and the parts of it that are secret.
func parts(token string) []string {
	out := []string{token}
	if i := strings.LastIndexByte(token, '.'); i > 0 && len(token)-i > 20 {
		out = append(out, token[i+1:])
	}
	return out
}

func outward() {
	Must("RS-PASS-NO-TRANSIT", keepsCallersToken)
	Must("RS-PASS-URL-TOOL-NO-LEAK", fetchesWithoutCredentials)
	Practice("RS-PASS-NO-HEADER-FORWARDING", passesNoFieldsOn)
}

func inward() {
	Must("RS-PASS-FOREIGN-TOKEN-REFUSED", refusesForeignTokens)
	Must("RS-PASS-UPSTREAM-SECRET-HIDDEN", hidesItsCredential)
	Practice("RS-PASS-UPSTREAM-401-NOT-RELAYED", translatesFailures)
}

// named are tools as rows.
func named(tools []Tool) (rows Cases[Tool]) {
	for _, tool := range tools {
		rows = rows.And(tool.Name, tool)
	}
	return rows
}

func keepsCallersToken(t *T) {
	token := t.MCP.FirstToken()
	Each(t, named(t.Upstream.Tools()), func(t *T, tool Tool) {
		t.Upstream.ServeAPI(tool, token)
		t.MCP.CallTool(token, tool) // a cached answer may be sent later
		t.Expect(t.API.Seen(), "at the API").To(holdNoneOf(parts(token)))
	})
}

var holdNoneOf = expect.Family("holdNoneOf", func(secrets []string) expect.Matcher {
	return expect.That("an API that does not get the token of the caller", func(seen []listener.Request) string {
		for _, r := range seen {
			for _, secret := range secrets {
				if holds(r, secret) {
					return "the caller's token arrives at the API, in a " + r.Method + " request"
				}
			}
		}
		return ""
	})
})

func fetchesWithoutCredentials(t *T) {
	token := t.MCP.FirstToken()
	Each(t, named(t.MCP.FetchingTools()), func(t *T, tool Tool) {
		first, second := Listen(t), Listen(t)
		second.Answer(Plenty)
		first.Answer(func(r listener.Request) listener.Answer {
			if strings.HasPrefix(r.URL, "/away") {
				return listener.Answer{Status: 302, Header: map[string]string{"Location": second.URL("/there")}}
			}
			return Plenty(r)
		})
		for _, path := range []string{"/page", "/away"} {
			t.MCP.CallTool(token, tool.At(first.URL(path)))
		}
		if first.Hits() == 0 {
			t.Inconclusive("%s fetches nothing from %s", tool.Name, first.Host())
		}
		t.Expect(append(first.Seen(), second.Seen()...), "at an address that the caller chose").To(holdNoCredential(token))
	})
}

var holdNoCredential = expect.Family("holdNoCredential", func(token string) expect.Matcher {
	return expect.That("no credential in a request to a URL that the caller chose", func(seen []listener.Request) string {
		for _, r := range seen {
			for _, name := range CredentialFields {
				if r.Header.Get(name) != "" {
					return name + " arrives there, in the request for " + r.URL
				}
			}
			if slices.ContainsFunc(parts(token), func(part string) bool { return holds(r, part) }) {
				return "the caller's token arrives at the other address"
			}
		}
		return ""
	})
})

func passesNoFieldsOn(t *T) {
	token, mark := t.MCP.FirstToken(), "mcpauth-"+Random(9)
	fields := []reports.Field{
		mcp.Field("Cookie", "c="+mark+"-cookie"), mcp.Field("Proxy-Authorization", "Basic "+mark+"-proxy"),
		mcp.Field("X-Amzn-Oidc-Identity", mark+"-identity"),
		mcp.Field("X-Custom", mark+"-custom"), mcp.Field("X-Forwarded-User", mark+"-user"),
	}
	Each(t, named(t.Upstream.Tools()), func(t *T, tool Tool) {
		t.Upstream.ServeAPI(tool, token)
		t.MCP.CallWith(token, tool, fields...)
		for _, f := range fields {
			t.Expect(t.API.Seen(), "the caller's field %s", f.Name).To(leaveOut(f))
		}
	})
}

var leaveOut = expect.Family("leaveOut", func(f reports.Field) expect.Matcher {
	return expect.That("an API that does not get header fields of the caller", func(seen []listener.Request) string {
		if slices.ContainsFunc(seen, func(r listener.Request) bool { return holds(r, f.Value) }) {
			return "the field arrives at the API"
		}
		return ""
	})
})

func refusesForeignTokens(t *T) {
	var rows Cases[CallEdit]
	if t.API != nil {
		t.API.Answer(Plenty)
		rows = rows.And("a token that the API accepts", Presenting(t.Hide("mcpauth_"+Random(24)))).
			And("a token of the form of GitHub that the API accepts", Presenting(t.Hide("gho_"+Random(27)[:36])))
	}
	if t.World.Upstream != nil {
		issued := t.Upstream.Issued()
		for i, token := range issued[max(0, len(issued)-4):] {
			rows = rows.And(fmt.Sprintf("value %d that the upstream issued", i+1), Presenting(token))
		}
	}
	for _, c := range t.MCP.ForeignTokens() {
		rows = rows.And(c.Name, withCredential(c.Field()))
	}
	if len(rows) == 0 {
		t.NotTested("the upstream has issued no token yet: it needs a login there")
	}
	Refuses(t, t.MCP.TokenCall(), rows, expect.Refuse(401))
}

// withCredential sends a field instead of the Authorization field.
func withCredential(f reports.Field) CallEdit {
	return func(call mcp.Call) mcp.Call {
		isToken := func(h reports.Field) bool { return strings.EqualFold(h.Name, "Authorization") }
		call.Header = slices.DeleteFunc(slices.Clone(call.Header), isToken)
		return call.With(f)
	}
}

func hidesItsCredential(t *T) {
	token := t.MCP.FirstToken()
	defer t.API.Answer(Plenty)
	Each(t, named(t.Upstream.Tools()), func(t *T, tool Tool) {
		t.Upstream.ServeAPI(tool, token)
		secrets := slices.DeleteFunc(t.Upstream.APISecrets(), func(s string) bool { return s == token })
		if len(secrets) == 0 {
			t.NotApplicable("the target calls the API without a credential of its own")
		}
		Each(t, slices.Concat(failures, Cases[func(listener.Request) listener.Answer]{{"the API answers well", Plenty}}),
			func(t *T, answer func(listener.Request) listener.Answer) {
				t.API.Answer(answer)
				t.Expect(t.MCP.CallTool(token, tool)).To(showNoneOf(secrets))
			})
	})
}

var showNoneOf = expect.Family("showNoneOf", func(secrets []string) expect.Matcher {
	return expect.Show("no credential of the server in what the client gets", func(ex *reports.Exchange) string {
		if slices.ContainsFunc(secrets, func(secret string) bool { return shows(ex, secret) }) {
			return "the answer shows the server's credential for the API"
		}
		return ""
	})
})

func translatesFailures(t *T) {
	token := t.MCP.FirstToken()
	defer t.API.Answer(Plenty)
	Each(t, named(t.Upstream.Tools()), func(t *T, tool Tool) {
		t.Upstream.ServeAPI(tool, token)
		Each(t, failures, func(t *T, answer func(listener.Request) listener.Answer) {
			t.API.Answer(answer)
			t.Expect(t.MCP.CallTool(token, tool)).To(beTranslated)
		})
		t.API.Answer(Plenty)
		t.Expect(t.MCP.CallTool(token, tool), "the next call with the same token").To(run)
	})
}

var beTranslated = expect.Show("a tool result with isError, or a JSON-RPC error", func(ex *reports.Exchange) string {
	challenge := strings.Join(expect.HeaderValues(ex, "WWW-Authenticate"), " ")
	if expect.Status(ex) >= 400 || strings.Contains(challenge, "upstream") {
		return strings.TrimSpace(expect.Describe(ex) + " " + challenge)
	}
	return ""
})

var run = expect.That("a tool that runs", func(ex *reports.Exchange) string {
	if expect.Ran(ex) {
		return ""
	}
	return expect.Describe(ex)
})

// failures are the ways in which an API fails; one of them repeats what it was sent.
var failures = Cases[func(listener.Request) listener.Answer]{
	{"the API answers 401", func(listener.Request) listener.Answer {
		challenge := map[string]string{"WWW-Authenticate": `Bearer realm="upstream", error="invalid_token"`}
		return listener.Answer{Status: 401, Header: challenge, Body: `{"message":"Bad credentials"}`}
	}},
	{"the API answers 403", func(listener.Request) listener.Answer {
		challenge := `Bearer realm="upstream", error="insufficient_scope", scope="upstream:all"`
		return listener.Answer{Status: 403, Header: map[string]string{"WWW-Authenticate": challenge}}
	}},
	{"the API answers 429", func(listener.Request) listener.Answer {
		return listener.Answer{Status: 429, Header: map[string]string{"Retry-After": "1"}}
	}},
	{"the API answers 500 with what it was sent", func(r listener.Request) listener.Answer {
		page := "<h1>Error</h1><pre>" + r.URL
		for _, name := range CredentialFields {
			page += " " + r.Header.Get(name)
		}
		page += "</pre>"
		return listener.Answer{Status: 500, Header: map[string]string{"Content-Type": "text/html"}, Body: page}
	}},
}

// shows reports that an answer contains a text, in its header fields or its body.
func shows(ex *reports.Exchange, text string) bool {
	if ex.Response == nil {
		return false
	}
	for _, f := range ex.Response.Header {
		if strings.Contains(f.Value, text) {
			return true
		}
	}
	return strings.Contains(ex.Response.Body, text)
}
