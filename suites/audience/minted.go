package audience

import (
	"maps"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// refused expects minted tokens with wrong audiences to be refused.
func refused(t *T, kinds map[string]any) {
	var variants []Variant
	for about, aud := range Sorted(kinds) {
		variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.Token(map[string]any{"aud": aud}))), "%s", about))
	}
	t.Mint.Control()
	t.ExpectAll(variants, expect.Refuse(401))
}

// own is the audience of an ordinary token.
func own(t *T) string {
	switch aud := t.Mint.Claims(nil)["aud"].(type) {
	case string:
		return aud
	case []any:
		if len(aud) > 0 {
			s, _ := aud[0].(string)
			return s
		}
	}
	t.Inconclusive("an ordinary token of the issuer has no audience")
	return ""
}

// wrong are audiences of others: whatever an ordinary token names is none of them.
func wrong(own, issuer, origin string, client any) map[string]any {
	kinds := map[string]any{
		"another server":        "https://other.example/mcp",
		"the issuer":            issuer,
		"the client":            client,
		"account":               "account",
		"api://":                "api://x",
		"a UUID":                "6f1e8f3a-0000-4000-8000-000000000000",
		"the origin's userinfo": origin + "/userinfo",
	}
	maps.DeleteFunc(kinds, func(_ string, v any) bool { return v == nil || v == own })
	return kinds
}

func minted() {
	Must("RS-AUD-WRONG", func(t *T) {
		origin := strings.TrimSuffix(t.Survey.Endpoint, t.Survey.URL.Path)
		refused(t, wrong(own(t), t.Issuer.Identifier(), origin, t.Mint.Claims(nil)["client_id"]))
	})

	Must("RS-AUD-MISSING", func(t *T) {
		refused(t, map[string]any{"no aud": nil, "aud null": Null, "an empty aud": "", "an empty list": []any{}})
	})

	Must("RS-AUD-ARRAY", func(t *T) {
		me, other := own(t), "https://other.example/mcp"
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": []any{me}})); !t.MCP.Served(ex) {
			t.Unmet(ex, "a list that holds the server alone to be accepted (RFC 7519 section 4.1.3)", "%s", expect.Describe(ex))
		}
		refused(t, map[string]any{
			"another server alone": []any{other}, "two other servers": []any{other, "https://third.example"}, "a list in a list": []any{[]any{me}}, "one string with two": me + " other", "the other way round": "other " + me,
			"joined by a comma": me + ",other", "true": true, "a number": 1, "an object": map[string]any{"0": me}, "the server as a key": map[string]any{me: true},
		})
		for about, aud := range Sorted(map[string]any{"the server first": []any{me, other}, "the server last": []any{other, me}}) {
			if ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": aud})); expect.Crashed(ex) {
				t.Finding(ex, about, "an answer below 500", expect.Describe(ex))
			} else if !t.MCP.Served(ex) {
				t.Note("a token for several servers, %s, is refused", about)
			}
		}
	})

	Must("RS-AUD-LOOKALIKE", func(t *T) {
		me := own(t)
		kinds := map[string]any{
			"a suffix at the host": me + ".evil.example", "the server in a query": "https://evil.example/?x=" + me, "one character more": me + "x", "one character less": me[:len(me)-1], "a way up": me + "/../other",
			"a fragment": me + "#f", "*": "*", "https://*": "https://*", "a space in front": " " + me, "a line feed behind": me + "\n",
		}
		if u, err := url.Parse(me); err == nil && u.Host != "" {
			kinds["a prefix at the host"] = u.Scheme + "://evil" + u.Host + u.Path
			kinds["the host below another"] = u.Scheme + "://" + u.Host + ".evil.example" + u.Path
			kinds["a user name"] = u.Scheme + "://user@" + u.Host + u.Path
			kinds["another port"] = u.Scheme + "://" + u.Hostname() + ":8443" + u.Path
			kinds["another scheme"] = map[string]string{"http": "https", "https": "http"}[u.Scheme] + "://" + u.Host + u.Path
		}
		refused(t, kinds)
		for about, v := range Sorted(map[string]string{"a path below": me + "/sub", "a query": me + "?t=1"}) {
			if ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": v})); t.MCP.Served(ex) {
				t.Advise(ex, "the server's own identifier as audience", "%s is accepted", about)
			}
		}
	})

	// The path is part of the identifier (MCP Authorization, Canonical Server URI).
	Must("RS-AUD-SIBLING", func(t *T) {
		resource := t.MCP.Resource().Object.String("resource")
		u, err := url.Parse(resource)
		if err != nil || strings.Trim(u.Path, "/") == "" {
			t.NotApplicable("the published resource has no path: %s", resource)
		}
		origin := u.Scheme + "://" + u.Host
		refused(t, map[string]any{"another path of the same host": origin + "/mcpauth-sibling", "a path beside it": resource + "-sibling"})
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": origin})); t.MCP.Served(ex) {
			t.Advise(ex, "the published resource "+resource+" as audience", "its origin alone is accepted")
		}
	})

	Must("RS-AUD-OPAQUE", func(t *T) {
		if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"aud": "https://other.example/mcp"})).Value); t.MCP.Served(ex) {
			t.Unmet(ex, "a refusal of an opaque token that is meant for another resource", "%s", expect.Describe(ex))
		} else {
			t.RefusedBy(ex)
		}
		if ex := t.MCP.Use(t.Mint.OpaqueToken(t.Mint.ActiveAnswer(map[string]any{"aud": nil})).Value); t.MCP.Served(ex) {
			t.Advise(ex, "an audience, unless the authorization server answers for this resource only", "a token without one is accepted")
		}
		t.Mint.OpaqueControl()
	})

	Should("RS-AUD-NORMALISATION", func(t *T) {
		resource := t.MCP.Resource().Object.String("resource")
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": resource})); !t.MCP.Served(ex) {
			t.Unmet(ex, "the published resource "+resource+" as audience to be accepted", "%s", expect.Describe(ex))
		}
		u, err := url.Parse(resource)
		if err != nil || strings.ToUpper(u.Path) == u.Path {
			return
		}
		ex := t.MCP.Use(t.Mint.Token(map[string]any{"aud": u.Scheme + "://" + u.Host + strings.ToUpper(u.Path)}))
		t.Expect(ex, "the path in upper case").To(expect.Refuse(401))
		if strings.HasSuffix(resource, "/") {
			resource = strings.TrimSuffix(resource, "/")
		} else {
			resource += "/"
		}
		t.Note("the audience with the slash at the end toggled is answered with %s", expect.Describe(t.MCP.Use(t.Mint.Token(map[string]any{"aud": resource}))))
	})

	Practice("RS-AUD-OTHER-CLAIM", func(t *T) {
		me := own(t)
		var variants []Variant
		for name, v := range Sorted(map[string]any{"resource": me, "azp": me, "audience": me, "aud2": me, "authorization_details": []any{map[string]any{"type": "mcp", "locations": []any{me}}}}) {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.Token(map[string]any{"aud": "https://other.example/mcp", name: v}))), "a foreign aud, the server in %s", name))
		}
		t.Mint.Control()
		t.ExpectAll(variants, expect.Refuse(401))
	})

	Must("RS-AUD-HOST-DERIVED", func(t *T) {
		path := t.Survey.URL.EscapedPath()
		foreign := t.Mint.Token(map[string]any{"aud": "https://evil.example" + path})
		plain := t.Mint.Token(map[string]any{"aud": "http://evil.example" + path})
		for about, fields := range Sorted(map[string]string{"X-Forwarded-Host": "X-Forwarded-Host: evil.example\r\n", "Forwarded": "Forwarded: host=evil.example\r\n", "X-Forwarded-Host and -Proto": "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"}) {
			for _, token := range []string{foreign, plain} {
				ex := t.Do(RawPost(t, fields+"Authorization: Bearer "+token+"\r\n"))
				if t.MCP.Served(ex) {
					t.Finding(ex, about, "the audience compared with a configured identifier", "it follows the request's "+about)
				}
			}
		}
		for _, token := range []string{foreign, plain} {
			req := t.MCP.Call().With(mcp.Bearer(token)).Request()
			req.Host = "evil.example"
			if ex := t.Do(req); t.MCP.Served(ex) {
				t.Finding(ex, "Host", "the audience compared with a configured identifier", "it follows the request's Host")
			}
		}
		t.Refused()
		t.Mint.Control()
	})
}
