package tokenvalidation

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// introspected are the checks on a target that asks about tokens (RFC 7662).
func introspected() {
	Must("RS-TOKEN-INTROSPECTION-FAIL-CLOSED", func(t *T) {
		for about, a := range Sorted(noAnswers(t)) {
			switch ex := t.MCP.Use(t.Mint.OpaqueToken(a).Value); {
			case t.MCP.Served(ex):
				t.Finding(ex, about, "a refusal where the authorization server does not say that the token is active", expect.Describe(ex))
			case expect.Crashed(ex) && expect.Status(ex) != 503:
				t.Advise(ex, "HTTP 401, or 503", "%s: %s", about, expect.Describe(ex))
			default:
				t.Refused()
			}
		}
		if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"active": "true"})).Value); t.MCP.Served(ex) {
			t.Advise(ex, "active to be a boolean (RFC 7662 section 2.2)", `the text "true" is taken for it`)
		}
		t.Mint.OpaqueControl()
	})

	Must("RS-TOKEN-INTROSPECTION-CLAIMS", func(t *T) {
		now := time.Now().Unix()
		for about, changes := range Sorted(map[string]map[string]any{
			"for another resource": {"aud": "https://other.example/mcp"}, "for a list of other resources": {"aud": []string{"https://other.example/mcp", "https://more.example"}}, "expired yesterday": {"exp": now - 86400},
		}) {
			if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(changes)).Value); t.MCP.Served(ex) {
				t.Finding(ex, about, "a refusal of what the authorization server's answer shows", expect.Describe(ex))
			} else {
				t.RefusedBy(ex)
			}
		}
		for about, changes := range Sorted(map[string]map[string]any{
			"without an audience": {"aud": nil}, "valid from tomorrow on": {"nbf": now + 86400}, "of a foreign issuer": {"iss": "https://evil.example"}, "a refresh token": {"token_type": "refresh_token"},
		}) {
			if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(changes)).Value); t.MCP.Served(ex) {
				t.Advise(ex, "a refusal", "a token %s is accepted", about)
			}
		}
		if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"aud": []string{"https://other.example/mcp", t.MCP.Identifier()}})).Value); !t.MCP.Served(ex) {
			t.Advise(ex, "a token for several resources, of which this is one, to be accepted", "%s", expect.Describe(ex))
		}
		if tools := t.MCP.ScopedTools(); len(tools) > 0 {
			call := func(scope any) *reports.Exchange {
				return t.MCP.CallTool(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"scope": scope})).Value, tools[0])
			}
			if ex := call(nil); expect.Ran(ex) && !expect.Ran(call("mcpauth:other")) { // a tool open to all is another matter
				t.Finding(ex, "without a scope", "a refusal of "+tools[0].Name, "the tool runs")
			}
		}
		t.Mint.OpaqueControl()
	})

	// RFC 7662 section 4: a cached answer must not outlive what is acceptable for the resource.
	Practice("RS-TOKEN-INTROSPECTION-CACHE", func(t *T) {
		token := t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
		if ex := t.MCP.Use(token.Value); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: an ordinary opaque token is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		token.Say(introspector.Inactive)
		if ex, dead := t.MCP.UntilRefused(token.Value); !dead {
			t.Advise(ex, "a refusal soon after the authorization server calls the token inactive", "it is still accepted after %v; if a cache of such a length is meant, say so with --patience", t.Patience)
		}
		late := t.Mint.OpaqueToken(introspector.Inactive)
		t.MCP.Use(late.Value)
		late.Say(t.Mint.ActiveAnswer(nil))
		if ex := t.MCP.Use(late.Value); !t.MCP.Served(ex) {
			t.Note("a token that was inactive once is refused for a while after it became active")
		}
	})

	Practice("RS-TOKEN-INTROSPECTION-REQUEST", func(t *T) {
		token := t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
		ex := t.Send(t.MCP.Call().With(mcp.Bearer(token.Value), mcp.Field("Cookie", "mcpauth=1"), mcp.Field("X-Mcpauth-Canary", "1")))
		asked := token.Asked()
		if len(asked) == 0 {
			t.Inconclusive("the target did not ask about the token")
		}
		q := asked[0]
		switch {
		case strings.Contains(q.Query, token.Value):
			t.Unmet(ex, "the token in the body of a POST (RFC 7662 section 2.1)", "it is in the query, where logs keep it")
		case q.Method != "POST":
			t.Unmet(ex, "POST (RFC 7662 section 2.1)", "%s", q.Method)
		case !strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			t.Advise(ex, "application/x-www-form-urlencoded (RFC 7662 section 2.1)", "%s", q.Header.Get("Content-Type"))
		case !slices.Contains(strings.Split(q.Body, "&"), "token="+token.Value):
			t.Unmet(ex, "the token as it was sent", "the body holds no such token")
		}
		if q.Header.Get("Cookie") != "" || q.Header.Get("X-Mcpauth-Canary") != "" {
			t.Unmet(ex, "nothing of the caller's but the token", "header fields of the caller are passed on")
		}
		if q.Header.Get("Authorization") == "" && !strings.Contains(q.Body, "client_") && q.Header.Get("X-Api-Key") == "" {
			t.Advise(ex, "the resource server to authenticate itself (RFC 7662 section 2.1)", "the request has no credentials of its own")
		}
	})
}

// noAnswers do not say that a token is active, however they look. All else in them is as it should be.
func noAnswers(t *T) map[string]introspector.Answer {
	whole := t.Mint.ActiveAnswer(nil).Body
	with := func(active any) introspector.Answer { return t.Mint.ActiveAnswer(map[string]any{"active": active}) }
	return map[string]introspector.Answer{
		"the connection is closed":      {Break: true},
		"HTTP 500":                      {Status: 500, Body: `{"error":"server_error"}`},
		"HTTP 500 with an active token": {Status: 500, Body: whole},
		"HTTP 401":                      {Status: 401, Body: `{"error":"invalid_client"}`},
		"HTTP 401 with an active token": {Status: 401, Body: whole},
		"a redirect":                    {Status: 302, Location: "/login", Type: "text/html"},
		"a page":                        {Type: "text/html", Body: "<!doctype html><title>Sign in</title>"},
		"an empty body":                 {},
		"an empty object":               {Body: "{}"},
		"active is missing":             with(nil),
		"active: 1":                     with(1),
		`active: "false"`:               with("false"),
		"active: {}":                    with(map[string]any{}),
		"a list":                        {Body: "[" + whole + "]"},
		"a body that is cut short":      {Body: whole[:len(whole)-2]},
		"ACTIVE in place of active":     t.Mint.ActiveAnswer(map[string]any{"active": nil, "ACTIVE": true}),
	}
}
