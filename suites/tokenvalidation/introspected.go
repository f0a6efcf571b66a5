package tokenvalidation

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// introspected registers the checks on a target that verifies tokens by introspection (RFC 7662).
func introspected() {
	Must("RS-TOKEN-INTROSPECTION-FAIL-CLOSED", failsClosed)
	Must("RS-TOKEN-INTROSPECTION-CLAIMS", readsIntrospectedClaims)
	Practice("RS-TOKEN-INTROSPECTION-CACHE", forgetsPositiveAnswers)
	Practice("RS-TOKEN-INTROSPECTION-REQUEST", asksSafely)
}

func failsClosed(t *T) {
	Each(t, noAnswers(t).In("the introspection answer"), func(t *T, a introspector.Answer) {
		ex := askedAbout(t, a)
		if t.Expect(ex).To(notServe(t)) {
			t.Expect(ex).Ideally(answerBelow500)
		}
	})
	asText := t.Mint.ActiveAnswer(map[string]any{"active": "true"})
	t.Expect(t.MCP.Use(t.Mint.OpaqueToken(asText).Value),
		`the introspection answer: active as the text "true" (RFC 7662 section 2.2 has a boolean)`).Ideally(notServe(t))
	t.Mint.OpaqueControl()
	forgetsWhileDown(t)
}

// forgetsWhileDown ends a token, and lets introspection fail only when the target has learned that. What it kept from before does not
// count.
func forgetsWhileDown(t *T) {
	token := t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
	t.Expect(t.MCP.Use(token.Value), "an ordinary opaque token").AsControl(t.MCP.Serve())
	token.Say(introspector.Inactive)
	if _, dead := t.MCP.UntilRefused(token.Value); !dead {
		t.Note("a token that has ended, while introspection fails: not tried, since the end is not seen in time (RS-TOKEN-INTROSPECTION-CACHE)")
		return
	}
	token.Say(introspector.Answer{Break: true})
	t.Expect(t.MCP.Use(token.Value), "the connection is closed, about a token that was active and has ended").To(notServe(t))
}

// askedAbout is the target's answer to a token with a given introspection answer. A busy target may give up before it asks: then
// another token is tried.
func askedAbout(t *T, a introspector.Answer) (ex *reports.Exchange) {
	for range 3 {
		token := t.Mint.OpaqueToken(a)
		if ex = t.MCP.Use(token.Value); len(token.Asked()) > 0 || t.MCP.Served(ex) {
			return ex
		}
	}
	t.Inconclusive("the target did not ask about the token, and answered %s", expect.Describe(ex))
	return nil
}

// notServe expects a token not to be served. Any refusal is accepted: the verifying endpoint may be broken.
var notServe = expect.Family("notServe", func(t *T) expect.Matcher {
	return expect.That("a refusal, because no answer says that the token is active", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return "the token is served: " + expect.Describe(ex)
		}
		return ""
	})
})

// answerBelow500 expects no server error except one that reports the failure of another server.
var answerBelow500 = expect.That("HTTP 401, or 503", func(ex *reports.Exchange) string {
	if expect.Crashed(ex) && expect.Status(ex) != 503 {
		return expect.Describe(ex)
	}
	return ""
})

func readsIntrospectedClaims(t *T) {
	now := t.MCP.Now().Unix()
	Refuses(t, t.Mint.OpaquePresented(), Cases[map[string]any]{
		{"for another resource", map[string]any{"aud": otherServer}},
		{"for two other resources", map[string]any{"aud": []string{otherServer, "https://more.example"}}},
		{"expired yesterday", map[string]any{"exp": now - 86400}},
	}, expect.Refuse(401))
	Each(t, Cases[map[string]any]{
		{"without an audience", map[string]any{"aud": nil}},
		{"valid from tomorrow on", map[string]any{"nbf": now + 86400}},
		{"of a foreign issuer", map[string]any{"iss": "https://evil.example"}},
		{"of an issuer with more at the end", map[string]any{"iss": issuerOfAnswers(t) + ".evil.example"}},
		{"a refresh token by its token_type", map[string]any{"token_type": "refresh_token"}},
	}, func(t *T, changes map[string]any) {
		t.Expect(t.Mint.OpaquePresented().Send(changes)).Ideally(expect.Refuse(401))
	})
	ours := map[string]any{"aud": []string{otherServer, t.MCP.Identifier()}}
	t.Expect(t.Mint.OpaquePresented().Send(ours), "for several resources, of which this is one").Ideally(expect.BeServed())
	scopeOfAnswer(t)
}

// issuerOfAnswers is the iss of an ordinary introspection answer.
func issuerOfAnswers(t *T) string {
	o, _, _ := document.ParseObject(t.Mint.ActiveAnswer(nil).Body)
	return cmp.Or(o.String("iss"), "https://issuer.example")
}

// scopeOfAnswer calls the first tool that runs with its scope, and whose scope the answer does not name. A tool that runs with another
// scope too is open to all, which other checks judge.
func scopeOfAnswer(t *T) {
	var last *reports.Exchange
	call := func(tool Tool, scope any) *reports.Exchange {
		return t.MCP.CallTool(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"scope": scope})).Value, tool)
	}
	for _, tool := range t.MCP.ScopedTools() {
		own := call(tool, strings.Join(Union(t.Base, tool.Scopes()), " "))
		if last = own; !expect.Ran(own) {
			continue
		}
		last = nil
		if expect.Ran(call(tool, "mcpauth:other")) {
			t.Note("%s runs without its scope, which RS-SCOPE-EVERY-TOOL judges", tool.Name)
			continue
		}
		t.Expect(own, "%s with its scope", tool.Name).AsControl(expect.Run())
		t.Expect(call(tool, nil), "without a scope").To(notRunWithout(tool))
		return
	}
	if last != nil {
		t.Leave("without a scope", "this proves nothing: no tool runs with its scope; the last is answered with "+expect.Describe(last))
	}
}

var notRunWithout = expect.Family("notRunWithout", func(tool Tool) expect.Matcher {
	return expect.That("a refusal of "+tool.Name, func(ex *reports.Exchange) string {
		if expect.Ran(ex) {
			return "the tool runs"
		}
		return ""
	})
})

// RFC 7662 section 4: a cached answer must not outlive what is acceptable for the resource.
func forgetsPositiveAnswers(t *T) {
	token := t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
	t.Expect(t.MCP.Use(token.Value), "an ordinary opaque token").AsControl(t.MCP.Serve())
	token.Say(introspector.Inactive)
	last, dead := t.MCP.UntilRefused(token.Value)
	within := "a refusal within " + expect.Span(t.Patience) + " of the authorization server calling the token inactive"
	t.Expect(dead).SeenIn(last).Ideally(expect.That(within, func(dead bool) string {
		if dead {
			return ""
		}
		return "the token is still accepted; if a cache of such a length is meant, say so with --patience"
	}))
	late := t.Mint.OpaqueToken(introspector.Inactive)
	t.MCP.Use(late.Value)
	late.Say(t.Mint.ActiveAnswer(nil))
	if ex := t.MCP.Use(late.Value); !t.MCP.Served(ex) {
		t.Note("a token that was inactive once is refused for a while after it became active")
	}
}

func asksSafely(t *T) {
	var token *introspector.Token
	var ex *reports.Exchange
	for tries := 0; token == nil || len(token.Asked()) == 0; tries++ {
		if tries == 3 {
			t.Inconclusive("the target did not ask about the token")
		}
		token = t.Mint.OpaqueToken(t.Mint.ActiveAnswer(nil))
		ex = t.Send(t.MCP.Call().With(mcp.Bearer(token.Value), mcp.Field("Cookie", "mcpauth=1"), mcp.Field("X-Mcpauth-Canary", "1")))
	}
	q := token.Asked()[0]
	if t.Expect(q, "the token").SeenIn(ex).To(stayOutOfURL(token.Value)) {
		t.Expect(q.Method, "the method (RFC 7662 section 2.1)").SeenIn(ex).To(expect.Be("POST"))
		t.Expect(strings.Split(q.Body, "&"), "the body").SeenIn(ex).To(holdToken(token.Value))
		form := expect.Be("application/x-www-form-urlencoded")
		t.Expect(mediaType(q), "the media type (RFC 7662 section 2.1)").SeenIn(ex).Ideally(form)
	}
	t.Expect(q, "the other header fields of the caller").SeenIn(ex).To(passNothingOn)
	t.Expect(q, "the resource server").SeenIn(ex).Ideally(authenticateItself)
}

func mediaType(q introspector.Question) string {
	kind, _, _ := strings.Cut(q.Header.Get("Content-Type"), ";")
	return strings.TrimSpace(kind)
}

var stayOutOfURL = expect.Family("stayOutOfURL", func(token string) expect.Matcher {
	return expect.That("in the body of a POST (RFC 7662 section 2.1)", func(q introspector.Question) string {
		if strings.Contains(q.Query, token) {
			return "the token is in the query, where logs keep it"
		}
		return ""
	})
})

var holdToken = expect.Family("holdToken", func(token string) expect.Matcher {
	return expect.That("token=, with the token as it was sent", func(members []string) string {
		if slices.Contains(members, "token="+token) {
			return ""
		}
		return "the body has no such token"
	})
})

var passNothingOn = expect.That("kept from the authorization server", func(q introspector.Question) string {
	if q.Header.Get("Cookie") != "" || q.Header.Get("X-Mcpauth-Canary") != "" {
		return "header fields of the caller are passed on"
	}
	return ""
})

var authenticateItself = expect.That("authenticated by credentials of its own (RFC 7662 section 2.1)",
	func(q introspector.Question) string {
		if q.Header.Get("Authorization") == "" && !strings.Contains(q.Body, "client_") && q.Header.Get("X-Api-Key") == "" {
			return "the request has no credentials"
		}
		return ""
	})

// noAnswers are answers that do not say that a token is active. Everything else in them is right.
func noAnswers(t *T) Cases[introspector.Answer] {
	whole := t.Mint.ActiveAnswer(nil).Body
	with := func(active any) introspector.Answer { return t.Mint.ActiveAnswer(map[string]any{"active": active}) }
	return Cases[introspector.Answer]{
		{"the connection is closed", introspector.Answer{Break: true}},
		{"HTTP 500", introspector.Answer{Status: 500, Body: `{"error":"server_error"}`}},
		{"HTTP 500 with an active token", introspector.Answer{Status: 500, Body: whole}},
		{"HTTP 401", introspector.Answer{Status: 401, Body: `{"error":"invalid_client"}`}},
		{"HTTP 401 with an active token", introspector.Answer{Status: 401, Body: whole}},
		{"a redirect", introspector.Answer{Status: 302, Location: "/login", Type: "text/html"}},
		{"a page", introspector.Answer{Type: "text/html", Body: "<!doctype html><title>Sign in</title>"}},
		{"an empty body", introspector.Answer{}},
		{"an empty object", introspector.Answer{Body: "{}"}},
		{"active is missing", with(nil)},
		{"active: null", with(Null)},
		{"active: 1", with(1)},
		{`active: "false"`, with("false")},
		{"active: {}", with(map[string]any{})},
		{"a list", introspector.Answer{Body: "[" + whole + "]"}},
		{"a body that is cut short", introspector.Answer{Body: whole[:len(whole)-2]}},
		{"ACTIVE instead of active", t.Mint.ActiveAnswer(map[string]any{"active": nil, "ACTIVE": true})},
	}
}
