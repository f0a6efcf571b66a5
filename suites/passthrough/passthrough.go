// Package passthrough holds the checks on what an MCP server hands on: to the APIs that its tools call, and from them
// (MCP Security Best Practices: Token Passthrough).
package passthrough

import (
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

// holds reports that a request carries a secret: in its address, a header field, or its body.
func holds(r listener.Request, secret string) bool {
	for _, values := range r.Header {
		if strings.Contains(strings.Join(values, "\n"), secret) {
			return true
		}
	}
	return strings.Contains(r.URL+"\n"+r.Body, secret)
}

// parts are a token and what only its holder knows of it.
func parts(token string) []string {
	out := []string{token}
	if i := strings.LastIndexByte(token, '.'); i > 0 && len(token)-i > 20 {
		out = append(out, token[i+1:])
	}
	return out
}

func outward() {
	Must("RS-PASS-NO-TRANSIT", func(t *T) {
		token := t.MCP.FirstToken()
		for _, tool := range t.Upstream.Tools() {
			t.Upstream.ServeAPI(tool, token)
			t.MCP.CallTool(token, tool) // what is cached at first may be sent later
			for _, r := range t.API.Seen() {
				for _, part := range parts(token) {
					if holds(r, part) {
						t.Finding(nil, tool.Name, "a token of the server's own at the API, or none", "the caller's token arrives there, with "+r.Method)
						return
					}
				}
			}
		}
		t.Refused()
	})

	Must("RS-PASS-URL-TOOL-NO-LEAK", func(t *T) {
		token := t.MCP.FirstToken()
		for _, tool := range t.MCP.FetchingTools() {
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
			for _, r := range append(first.Seen(), second.Seen()...) {
				for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"} {
					if r.Header.Get(name) != "" {
						t.Finding(nil, tool.Name, "no credential for an address that the caller chose", name+" arrives there, for "+r.URL)
					}
				}
				if holds(r, token) {
					t.Finding(nil, tool.Name, "no credential for an address that the caller chose", "the caller's token arrives there")
				}
			}
		}
		t.Refused()
		t.Controlled()
	})

	Practice("RS-PASS-NO-HEADER-FORWARDING", func(t *T) {
		token, mark := t.MCP.FirstToken(), "mcpauth-"+Random(9)
		fields := map[string]string{"X-Forwarded-User": mark + "-user", "Cookie": "c=" + mark + "-cookie", "Proxy-Authorization": "Basic " + mark + "-proxy", "X-Amzn-Oidc-Identity": mark + "-identity", "X-Custom": mark + "-custom"}
		var sent []reports.Field
		for name, v := range Sorted(fields) {
			sent = append(sent, mcp.Field(name, v))
		}
		for _, tool := range t.Upstream.Tools() {
			t.Upstream.ServeAPI(tool, token)
			t.MCP.CallWith(token, tool, sent...)
			for _, r := range t.API.Seen() {
				for name, v := range Sorted(fields) {
					switch {
					case !holds(r, v):
					case name == "X-Custom":
						t.Advise(nil, "a request to the API that the server makes itself", "%s: the caller's field %s arrives there", tool.Name, name)
					default:
						t.Finding(nil, tool.Name, "a request to the API that the server makes itself", "the caller's field "+name+" arrives there")
					}
				}
			}
		}
		t.Refused()
	})
}

func inward() {
	Must("RS-PASS-FOREIGN-TOKEN-REFUSED", func(t *T) {
		tried := len(t.MCP.ForeignTokens()) > 0
		if t.API != nil {
			tried = true
			t.API.Answer(Plenty)
			for about, token := range Sorted(map[string]string{"a token that the API takes": "mcpauth_" + Random(24), "a token of GitHub's form that the API takes": "gho_" + Random(27)[:36]}) {
				t.Expect(t.MCP.Use(t.Hide(token)), "%s", about).To(expect.Refuse(401))
			}
		}
		if t.World.Upstream != nil {
			issued := t.World.Upstream.Issued()
			for _, token := range issued[max(0, len(issued)-4):] {
				tried = true
				t.Expect(t.MCP.Use(t.Hide(token)), "what the upstream issued").To(expect.Refuse(401))
			}
		}
		for _, c := range t.MCP.ForeignTokens() {
			t.Expect(t.Send(t.MCP.Call().With(c.Field())), "%s", c.Name).To(expect.Refuse(401))
		}
		if !tried {
			t.NotTested("the upstream has issued no token yet: it takes a login there")
		}
	})

	Must("RS-PASS-UPSTREAM-SECRET-HIDDEN", func(t *T) {
		token := t.MCP.FirstToken()
		defer t.API.Answer(Plenty)
		for _, tool := range t.Upstream.Tools() {
			t.Upstream.ServeAPI(tool, token)
			secrets := t.Upstream.APISecrets()
			if len(secrets) == 0 {
				t.NotApplicable("the target calls the API without a credential of its own")
			}
			for about, answer := range Sorted(failures) {
				t.API.Answer(answer)
				ex := t.MCP.CallTool(token, tool)
				for _, secret := range secrets {
					if secret != token && shows(ex, secret) {
						t.Finding(ex, tool.Name+", the API "+about, "no credential of the server's in what the client gets", "its credential for the API is there")
					}
				}
			}
		}
		t.Refused()
	})

	Practice("RS-PASS-UPSTREAM-401-NOT-RELAYED", func(t *T) {
		token := t.MCP.FirstToken()
		defer t.API.Answer(Plenty)
		for _, tool := range t.Upstream.Tools() {
			t.Upstream.ServeAPI(tool, token)
			for about, answer := range Sorted(failures) {
				t.API.Answer(answer)
				ex := t.MCP.CallTool(token, tool)
				const want = "a tool result with isError, or a JSON-RPC error"
				switch challenge := strings.Join(expect.HeaderValues(ex, "WWW-Authenticate"), " "); {
				case expect.Status(ex) == 401 || strings.Contains(challenge, "upstream"):
					t.Finding(ex, tool.Name+", the API "+about, want, expect.Describe(ex)+" "+challenge)
				case expect.Status(ex) >= 400:
					t.Advise(ex, want, "%s, the API %s: %s", tool.Name, about, expect.Describe(ex))
				}
			}
			t.API.Answer(Plenty)
			if ex := t.MCP.CallTool(token, tool); !expect.Ran(ex) {
				t.Finding(ex, tool.Name, "the token to be good for the next call", expect.Describe(ex))
			}
		}
		t.Refused()
	})
}

// failures are the ways in which an API fails; one shows what it was sent.
var failures = map[string]func(listener.Request) listener.Answer{
	"answers 401": func(listener.Request) listener.Answer {
		return listener.Answer{Status: 401, Header: map[string]string{"WWW-Authenticate": `Bearer realm="upstream", error="invalid_token"`}, Body: `{"message":"Bad credentials"}`}
	},
	"answers 403": func(listener.Request) listener.Answer {
		return listener.Answer{Status: 403, Header: map[string]string{"WWW-Authenticate": `Bearer realm="upstream", error="insufficient_scope", scope="upstream:all"`}}
	},
	"answers 429": func(listener.Request) listener.Answer {
		return listener.Answer{Status: 429, Header: map[string]string{"Retry-After": "1"}}
	},
	"answers 500 with what it was sent": func(r listener.Request) listener.Answer {
		return listener.Answer{Status: 500, Header: map[string]string{"Content-Type": "text/html"}, Body: "<h1>Error</h1><pre>" + r.URL + " " + r.Header.Get("Authorization") + "</pre>"}
	},
}

// shows reports that an answer holds a text, in its header or its body.
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
