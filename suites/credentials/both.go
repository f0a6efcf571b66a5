package credentials

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// both are the checks on targets that take an API key as well as a bearer token.
func both() {
	Practice("RS-MULTI-EACH-ALONE", func(t *T) {
		key, bearer := t.MCP.APIKeys()[0], t.MCP.Bearers()[0]
		t.Expect(t.MCP.Anonymous(), "neither").To(expect.Refuse(401))
		for _, c := range []Credential{bearer, key} { // the key last: it must not inherit the other's user
			t.Expect(t.Send(t.MCP.CallFor(c).With(c.Field())), "%s alone", c.Name).To(t.MCP.Serve())
			identity(t, c)
		}
	})

	Must("RS-MULTI-NO-FALLTHROUGH", func(t *T) {
		key, bearer := t.MCP.APIKeys()[0], t.MCP.Bearers()[0]
		t.MCP.ControlOf(key)
		t.MCP.ControlOf(bearer)
		unsigned := mint.Unsigned(mint.Header{"alg": "none"}, mint.Claims{"sub": key.Value, "jti": key.Value})
		variants := []Variant{
			Call(t.MCP.Call().With(mcp.Bearer(spoiled(t, bearer))), "the bearer token with its end changed, alone"),
			Call(t.MCP.Call().With(key.With(bearer.Value)), "the bearer token as the key"),
			Call(t.MCP.Call().With(mcp.Bearer(t.Hide(unsigned))), "an unsigned token that names the key"),
			Call(t.MCP.Call().With(key.With("garbage"), mcp.Bearer("garbage")), "garbage in both"),
			Call(t.MCP.Call().With(mcp.Field("X-Auth-Type", "api_key"), mcp.Bearer("garbage")), "garbage, with the type said to be api_key"),
		}
		if t.Mint.Trusted() {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.Token(map[string]any{"exp": 1}))), "an expired token, alone"))
		}
		t.ExpectAll(variants, expect.RefuseAnyway())
		if ex := t.Send(t.MCP.CallFor(key).With(mcp.Bearer(key.Value))); t.MCP.Served(ex) {
			t.Advise(ex, "the key in its own field only", "it is accepted as a bearer token too")
		}
	})

	Practice("RS-MULTI-CONFLICT", func(t *T) {
		key, bearer := t.MCP.APIKeys()[0], t.MCP.Bearers()[0]
		t.MCP.ControlOf(key)
		t.MCP.ControlOf(bearer)
		oneOfTwo(t, t.MCP.CallFor(key), "a good key beside a bad bearer token", key.Header+": "+key.Value, "Authorization: Bearer garbage")
		oneOfTwo(t, t.MCP.CallFor(bearer), "a bad key beside a good bearer token", key.Header+": garbage", "Authorization: Bearer "+bearer.Value)
		union(t)
	})
}

// spoiled is a credential with its last characters replaced.
func spoiled(t *T, c Credential) string {
	n := min(len(c.Value), 12)
	return t.Hide(c.Value[:len(c.Value)-n] + "AAAAAAAAAAAA"[:n])
}

// oneOfTwo sends a good and a bad credential, in both orders.
func oneOfTwo(t *T, call mcp.Call, about, first, second string) {
	var served []bool
	for _, lines := range []string{first + "\r\n" + second + "\r\n", second + "\r\n" + first + "\r\n"} {
		ex := t.Do(RawCall(t, call, lines))
		if served = append(served, t.MCP.Served(ex)); t.MCP.Served(ex) {
			t.Advise(ex, "a refusal of a request whose credentials contradict each other", "%s is served", about)
		} else if expect.Crashed(ex) {
			t.Finding(ex, about, "a refusal", expect.Describe(ex))
		} else {
			t.Refused()
		}
	}
	if served[0] != served[1] {
		t.Unmet(nil, "the same answer in whichever order the fields come", "%s is served in one order only", about)
	}
}

// union sends a key and a bearer token that may each call a tool that the other may not: at most one of the two
// may decide.
func union(t *T) {
	for _, key := range t.MCP.LimitedKeys() {
		for _, bearer := range limitedBearers(t, key) {
			mine := slices.IndexFunc(t.Tools, func(tool Tool) bool { return key.Permits(tool.Name) && !bearer.Permits(tool.Name) && !tool.DeniedOnly })
			other := slices.IndexFunc(t.Tools, func(tool Tool) bool { return !key.Permits(tool.Name) && bearer.Permits(tool.Name) && !tool.DeniedOnly })
			if mine < 0 || other < 0 {
				continue
			}
			call := func(i int) *reports.Exchange { return t.MCP.CallToolAs(t.Tools[i], key.Field(), bearer.Field()) }
			if first, second := call(mine), call(other); expect.Ran(first) && expect.Ran(second) {
				t.Cite(first)
				t.Unmet(second, "one credential to decide", "with %s and %s the rights of both are added: %s and %s run", key.Name, bearer.Name, t.Tools[mine].Name, t.Tools[other].Name)
			}
			return
		}
	}
	t.Note("whether the rights of two credentials are added was not tried: it takes a key and a token that may each call a tool that the other may not")
}

// limitedBearers are static tokens with tools of their own, and minted ones with a single scope.
func limitedBearers(t *T, key Credential) []Credential {
	out := slices.DeleteFunc(t.MCP.StaticTokens(), func(c Credential) bool { return c.Tools == nil })
	if !t.Mint.Trusted() {
		return out
	}
	for _, tool := range t.MCP.ScopedTools() {
		if key.Permits(tool.Name) {
			continue
		}
		var tools []string
		for _, other := range t.Tools {
			if t.MCP.Permits(Union(t.Base, tool.Scopes()), other) {
				tools = append(tools, other.Name)
			}
		}
		out = append(out, CredentialOf("a token with the scope "+tool.Needs(), t.MCP.TokenWithScopes(tool.Scopes()...), tools))
	}
	return out
}
