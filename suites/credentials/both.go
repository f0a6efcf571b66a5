package credentials

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// both are the checks on targets that accept an API key as well as a bearer token.
func both() {
	Practice("RS-MULTI-EACH-ALONE", acceptsEachAlone)
	Must("RS-MULTI-NO-FALLTHROUGH", doesNotFallThrough)
	Practice("RS-MULTI-CONFLICT", letsOneDecide)
}

func acceptsEachAlone(t *T) {
	t.Expect(t.MCP.Anonymous(), "neither").To(expect.Refuse(401))
	// The key comes last: it must not get the user of the bearer token.
	Each(t, rowsOf(append([]Credential{t.MCP.Bearers()[0]}, firstKeys(t)...)), func(t *T, c Credential) {
		if t.Expect(presented(t, c).Send(), "alone").To(t.MCP.Serve()) {
			identity(t, c)
		}
	})
}

// besideEachKey judges the first key, and then the first one of each other header field: each field may have code of its own.
func besideEachKey(t *T, judge func(t *T, key Credential)) {
	keys := firstKeys(t)
	judge(t, keys[0])
	Each(t, fieldsOf(keys[1:]), judge)
}

func doesNotFallThrough(t *T) { besideEachKey(t, doesNotFallThroughBeside) }

func doesNotFallThroughBeside(t *T, key Credential) {
	bearer := t.MCP.Bearers()[0]
	t.MCP.ControlOf(key)
	t.MCP.ControlOf(bearer)
	unsigned := mint.Unsigned(mint.Header{"alg": "none"}, mint.Claims{"sub": key.Value, "jti": key.Value})
	bad := mcp.Bearer("garbage")
	rows := Cases[presentedFields]{
		{"the bearer token with its end changed, alone", presentedFields{mcp.Bearer(spoiled(t, bearer))}},
		{"garbage as the bearer token, alone", presentedFields{bad}},
		{"garbage as the key, alone", presentedFields{key.With("garbage")}},
		{"an unsigned token that names the key", presentedFields{mcp.Bearer(t.Hide(unsigned))}},
		{"garbage in both", presentedFields{key.With("garbage"), bad}},
		{"garbage, with the type said to be api_key", presentedFields{mcp.Field("X-Auth-Type", "api_key"), bad}},
	}
	if access, own := besideStatic(t, bearer); own {
		rows = rows.And("the access token with its end changed, alone", presentedFields{mcp.Bearer(spoiled(t, access))})
	}
	if t.Mint.Trusted() {
		rows = rows.And("an expired token, alone", presentedFields{mcp.Bearer(t.Mint.Token(map[string]any{"exp": 1}))})
	}
	Each(t, rows, func(t *T, fields presentedFields) {
		t.Expect(t.Send(t.MCP.Call().With(fields...))).To(expect.RefuseAnyway())
	})
	inTheOtherPlace(t, key, bearer)
}

// inTheOtherPlace sends a good credential in the place of the other one: that is an alias, which may be documented.
func inTheOtherPlace(t *T, key, bearer Credential) {
	t.Expect(t.Send(t.MCP.CallFor(key).With(mcp.Bearer(key.Value))), "the key as a bearer token").Ideally(expect.RefuseAnyway())
	t.Expect(t.Send(t.MCP.CallFor(bearer).With(key.With(bearer.Value))), "the bearer token as the key").Ideally(expect.RefuseAnyway())
	if access, own := besideStatic(t, bearer); own {
		t.Expect(t.Send(t.MCP.CallFor(access).With(key.With(access.Value))), "the access token as the key").Ideally(expect.RefuseAnyway())
	}
}

// besideStatic is the access token, which another verifier accepts than a static token; own is false where there is no static token.
func besideStatic(t *T, bearer Credential) (access Credential, own bool) {
	if !t.MCP.HasToken() || t.MCP.Token() == bearer.Value {
		return Credential{}, false
	}
	access = CredentialOf("the access token", t.MCP.Token(), nil)
	t.MCP.ControlOf(access)
	return access, true
}

type presentedFields []reports.Field

// spoiled is a credential with its last characters replaced.
func spoiled(t *T, c Credential) string {
	n := min(len(c.Value), 12)
	return t.Hide(c.Value[:len(c.Value)-n] + "AAAAAAAAAAAA"[:n])
}

func letsOneDecide(t *T) {
	besideEachKey(t, letsOneDecideBeside)
	letsOneKeyDecide(t)
	union(t)
}

func letsOneDecideBeside(t *T, key Credential) {
	bearer := t.MCP.Bearers()[0]
	t.MCP.ControlOf(key)
	t.MCP.ControlOf(bearer)
	Each(t, Cases[pair]{
		{"a good key with a bad bearer token", pair{key, key.Header + ": " + key.Value, "Authorization: Bearer garbage"}},
		{"a bad key with a good bearer token", pair{bearer, key.Header + ": garbage", "Authorization: Bearer " + bearer.Value}},
	}, judgePair)
}

// letsOneKeyDecide sends keys in two header fields, of which one is valid.
func letsOneKeyDecide(t *T) {
	keys := firstKeys(t)
	first, field := keys[0], keys[0].Header
	for _, other := range keys[1:] {
		t.MCP.ControlOf(other)
		Each(t, Cases[pair]{
			{"a good " + field + " with a bad " + other.Header, pair{first, field + ": " + first.Value, other.Header + ": garbage"}},
			{"a bad " + field + " with a good " + other.Header, pair{other, field + ": garbage", other.Header + ": " + other.Value}},
		}, judgePair)
	}
}

// pair are two credentials in one request, of which one is valid.
type pair struct {
	good       Credential
	one, other string // header fields
}

// judgePair sends both credentials, in either order.
func judgePair(t *T, p pair) {
	call := t.MCP.CallFor(p.good)
	first := t.Do(RawCall(t, call, p.one+"\r\n"+p.other+"\r\n"))
	second := t.Do(RawCall(t, call, p.other+"\r\n"+p.one+"\r\n"))
	for _, ex := range []*reports.Exchange{first, second} {
		t.Expect(ex).Ideally(notContradict(t))
	}
	if expect.NoAnswer(first) != "" || expect.NoAnswer(second) != "" {
		return // a failure is not an answer
	}
	t.Expect([2]bool{t.MCP.Served(first), t.MCP.Served(second)}).SeenIn(second).To(beIndifferent)
}

var notContradict = expect.Family("notContradict", func(t *T) expect.Matcher {
	return expect.Refusing("a refusal of a request whose credentials contradict each other", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return "the request is served"
		}
		return ""
	})
})

var beIndifferent = expect.That("the same answer in whichever order the fields come", func(served [2]bool) string {
	if served[0] != served[1] {
		return "the request is served in one order of the fields only"
	}
	return ""
})

// union sends a key and a bearer token, each of which may call a tool that the other may not: at most one of the two may
// decide.
func union(t *T) {
	for _, key := range t.MCP.LimitedKeys() {
		for _, bearer := range limitedBearers(t, key) {
			mine, theirs := exclusive(t, key, bearer), exclusive(t, bearer, key)
			if mine == nil || theirs == nil {
				continue
			}
			t.Expect(t.MCP.CallToolAs(*mine, key.Field()), "%s, called with %s,", mine.Name, key.Name).AsControl(expect.Run())
			t.Expect(t.MCP.CallToolAs(*theirs, bearer.Field()), "%s, called with %s,", theirs.Name, bearer.Name).AsControl(expect.Run())
			ran := withBoth(t, key, bearer, mine, theirs)
			t.Expect(ran, "%s and %s in one request", key.Name, bearer.Name).SeenIn(t.Last()).To(haveOneDecide)
			return
		}
	}
	t.Note("whether the rights of two credentials are added was not tried: " +
		"it needs a key and a token that may each call a tool that the other may not")
}

// withBoth are the tools that run with two credentials in one request.
func withBoth(t *T, key, bearer Credential, tools ...*Tool) (ran []string) {
	for _, tool := range tools {
		ex := t.MCP.CallToolAs(*tool, key.Field(), bearer.Field())
		if why := expect.NoAnswer(ex); why != "" {
			t.Leave(tool.Name+", called with both,", why)
		} else if expect.Ran(ex) {
			ran = append(ran, tool.Name)
		}
	}
	return ran
}

// exclusive is a tool that one credential may call, and another may not; nil if there is none.
func exclusive(t *T, one, other Credential) *Tool {
	for i, tool := range t.Tools {
		if one.Permits(tool.Name) && !other.Permits(tool.Name) && !tool.DeniedOnly {
			return &t.Tools[i]
		}
	}
	return nil
}

var haveOneDecide = expect.That("a decision by one of the credentials", func(ran []string) string {
	if len(ran) < 2 {
		return ""
	}
	return "the rights of both are added: " + strings.Join(ran, " and ") + " run"
})

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
