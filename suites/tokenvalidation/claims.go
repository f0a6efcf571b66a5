package tokenvalidation

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// otherServer is an audience that is not the target's.
const otherServer = "https://other.example/mcp"

func claims() {
	Must("RS-TOKEN-EXPIRED", refusesExpired)
	Practice("RS-TOKEN-EXP-MISSING", requiresExpiry)
	Practice("RS-TOKEN-NUMERIC-DATES", readsNumericDates)
	Must("RS-TOKEN-NBF", refusesNotYetValid)
	Practice("RS-TOKEN-CLOCK-SKEW", boundsClockSkew)
	Practice("RS-TOKEN-CLIENT-USER-CONFUSION", tellsClientFromUser)
	Must("RS-TOKEN-WRONG-ISS", refusesOtherIssuers)
	Practice("RS-TOKEN-TYP", refusesOtherTypes)
	Practice("RS-TOKEN-REQUIRED-CLAIMS", requiresSubject)
	Practice("RS-TOKEN-CLAIM-ROBUSTNESS", survivesOddClaims)
}

func refusesExpired(t *T) {
	hourAgo := Claim("exp", in(t, -time.Hour))
	Refuses(t, t.Mint.Presented(), Cases[TokenEdit]{
		{"expired an hour ago", hourAgo},
		{"expired ten minutes ago", Claim("exp", in(t, -10*time.Minute))},
		{"exp 1", Claim("exp", 1)},
		{"exp 0", Claim("exp", 0)},
		{"exp -1", Claim("exp", -1)},
		{"expired, and for another audience", TokenEdits(hourAgo, Claim("aud", otherServer))},
		{"expired, and without a scope", TokenEdits(hourAgo, t.Mint.Scoped(nil))},
	}, expect.Refuse(401))
	t.Mint.RefusedOfSecond(Cases[TokenEdit]{{"expired an hour ago, of the second issuer", hourAgo}})
	if tools := t.MCP.ScopedTools(); len(tools) > 0 {
		changes := mint.Claims{"exp": in(t, -time.Hour)}
		t.Mint.Scoped("")(nil, changes)
		both, tool := t.Mint.Token(changes), served(t, tools)
		Refuses(t, toolCall(t, tool), Cases[CallEdit]{{"expired, and without the scope of " + tool.Name, Presenting(both)}},
			expect.Refuse(401))
	} else {
		Untried(t, "an expired token without the scope of a tool", AScopedTool)
	}
	t.MCP.RefusedInEveryWay("expired an hour ago", t.Mint.Token(map[string]any{"exp": in(t, -time.Hour)}))
}

// served is the first tool that an ordinary token may call; where it may call none, the control of the first one says so.
func served(t *T, tools []Tool) Tool {
	i := slices.IndexFunc(tools, func(tool Tool) bool {
		call := toolCall(t, tool)
		return call.Good.Judge(call.Send()).Met
	})
	return tools[max(i, 0)]
}

// toolCall is a call of a tool in a session of the ordinary token.
func toolCall(t *T, tool Tool) Attempt[CallEdit] {
	return Attempt[CallEdit]{Name: tool.Name + " with an ordinary token", Good: expect.BeServed(), Send: func(edits ...CallEdit) any {
		c := t.MCP.MustOpenSession(t.Mint.Token(nil)).Method("tools/call", tool.Params())
		for _, e := range edits {
			c = e(c)
		}
		return t.Send(c)
	}}
}

func requiresExpiry(t *T) {
	rows := Cases[TokenEdit]{{"no exp", NoClaim("exp")}, {"exp null", Claim("exp", Null)}}
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
}

// NumericDate is a JSON number, which may have a fraction (RFC 7519 section 2).
func readsNumericDates(t *T) {
	t.Expect(t.Mint.Presented().Send(Claim("exp", float64(in(t, time.Hour))+0.5)),
		"exp with a fraction of a second").Ideally(expect.BeServed())
	Refuses(t, t.Mint.Presented(), slices.Concat(Cases[TokenEdit]{
		{"exp true", Claim("exp", true)},
		{"exp as an array", Claim("exp", []any{in(t, time.Hour)})},
		{"exp as an object", Claim("exp", map[string]any{"$gt": 0})},
		{"exp as a date", Claim("exp", "2099-01-01T00:00:00Z")},
	}, notBeforeOfOtherTypes(t)), expect.Refuse(401))
	notJSON := strings.TrimSuffix(mint.JSON(t.Mint.Claims(map[string]any{"exp": nil})), "}") + `,"exp":NaN}`
	t.Expect(t.MCP.Use(t.Mint.Seal(mint.RawInput(t.Mint.Header(), notJSON))), "exp NaN, which is not JSON").To(expect.Refuse(401))
	t.Expect(t.Mint.Presented().Send(Claim("exp", "9999999999")), "exp as a string of digits").Ideally(expect.Refuse(401))
	EachNoted(t, Cases[any]{
		{"exp in milliseconds", in(t, time.Hour) * 1000},
		{"exp of twenty digits", mint.Raw("99999999999999999999")},
		{"exp 1e400", mint.Raw("1e400")},
	}, func(t *T, exp any) { // these are numbers in the future: a server need not refuse them
		if ex := t.Mint.Presented().Send(Claim("exp", exp)); t.MCP.Served(expect.ExchangeOf(ex)) {
			t.Note("a date that is far away is accepted: exp %s", mint.JSON(exp))
		} else if expect.Crashed(expect.ExchangeOf(ex)) {
			t.Note("a date that is far away is answered with %s: exp %s", expect.Describe(expect.ExchangeOf(ex)), mint.JSON(exp))
		}
	})
}

// notBeforeOfOtherTypes are rows for a target that heeds nbf at all, which RS-TOKEN-NBF judges.
func notBeforeOfOtherTypes(t *T) Cases[TokenEdit] {
	if early := t.Mint.Presented().Send(Claim("nbf", in(t, time.Hour))); expect.Status(expect.ExchangeOf(early)) != 401 {
		t.Note("nbf of another type: not tried, since nbf in an hour is not refused (RS-TOKEN-NBF)")
		return nil
	}
	return Cases[TokenEdit]{
		{"nbf as a date in the future", Claim("nbf", "2099-01-01T00:00:00Z")},
		{"nbf as an array", Claim("nbf", []any{in(t, time.Hour)})},
	}
}

func refusesNotYetValid(t *T) {
	inAnHour := TokenEdits(Claim("nbf", in(t, time.Hour)), Claim("exp", in(t, 2*time.Hour)))
	Refuses(t, t.Mint.Presented(), Cases[TokenEdit]{
		{"valid from in an hour", inAnHour},
		{"valid from in ten minutes", Claim("nbf", in(t, 10*time.Minute))},
	}, expect.Refuse(401))
	t.Mint.RefusedOfSecond(Cases[TokenEdit]{{"valid from in an hour, of the second issuer", inAnHour}})
	t.Expect(t.Mint.Presented().Send(Claim("nbf", in(t, -10*time.Second))), "valid for ten seconds").To(expect.BeServed())
}

// RFC 7519 section 4.1.4: "some small leeway, usually no more than a few minutes".
func boundsClockSkew(t *T) {
	Each(t, Cases[func(off time.Duration) TokenEdit]{
		{"an exp in the past", func(off time.Duration) TokenEdit { return Claim("exp", in(t, -off)) }},
		{"an nbf in the future", func(off time.Duration) TokenEdit {
			return TokenEdits(Claim("nbf", in(t, off)), Claim("exp", in(t, off+time.Hour)))
		}},
	}, func(t *T, by func(off time.Duration) TokenEdit) {
		leeway, at := leewayFor(t, by)
		if t.Expect(leeway).SeenIn(at).To(atMost(300 * time.Second)) {
			t.Expect(leeway).SeenIn(at).Ideally(atMost(120 * time.Second))
		}
	})
	t.Mint.Control()
}

// leewayFor is the largest accepted difference of a time claim, and the exchange that shows it.
func leewayFor(t *T, by func(off time.Duration) TokenEdit) (most time.Duration, at *reports.Exchange) {
	for _, seconds := range []time.Duration{5, 30, 60, 120, 300, 600, 1800, 4 * 3600} {
		ex := expect.ExchangeOf(t.Mint.Presented().Send(by(seconds * time.Second)))
		if !t.MCP.Served(ex) {
			if why := expect.NoAnswer(ex); why != "" { // where the grace ends is not seen
				t.Inconclusive("%s", why)
			}
			break
		}
		most, at = seconds*time.Second, ex
	}
	return most, at
}

var atMost = expect.Family("atMost", func(d time.Duration) expect.Matcher {
	return expect.That("a refusal of a token that is off by more than "+expect.Span(d), func(leeway time.Duration) string {
		if leeway > d {
			return "a token that is off by " + expect.Span(leeway) + " is served"
		}
		return ""
	})
})

// A client that acts for itself must not be treated as the user of the same name (RFC 9068 section 5).
func tellsClientFromUser(t *T) {
	tool, _ := t.MCP.WhoAmI()
	var rows Cases[issuance]
	if t.Mint.Trusted() {
		rows = rows.And("signed tokens", t.Mint.Token)
	} else {
		Untried(t, "signed tokens", "an issuer run by mcpauth that the target trusts (fake_idp in the target file)")
	}
	if t.Introspector != nil {
		rows = rows.And("tokens that the target introspects", func(claims map[string]any) string {
			return t.Mint.OpaqueToken(t.Mint.ActiveAnswer(claims)).Value
		})
	} else {
		Untried(t, "tokens that the target introspects", "introspection in the target file")
	}
	Each(t, rows, func(t *T, token issuance) { tellsClientFromUserOf(t, tool, token) })
}

// issuance makes a token with changes to the claims of an ordinary one.
type issuance = func(claims map[string]any) string

func tellsClientFromUserOf(t *T, tool Tool, token issuance) {
	alice, bob := saidOf(t, tool, token, "alice", "client-1"), saidOf(t, tool, token, "bob", "client-1")
	marks := Apart(alice, bob)
	if len(marks) == 0 {
		twoClients := len(Apart(alice, saidOf(t, tool, token, "alice", "client-2"))) > 0
		t.Expect(twoClients, "two users of one client").To(expect.That("the user as the subject", func(apart bool) string {
			if apart {
				return tool.Name + " does not tell two users of one client apart, but one user with two clients"
			}
			return ""
		}))
		t.NotApplicable("%s says the same of two users", tool.Name)
	}
	disguised := saidOf(t, tool, token, "bob", "alice")
	t.Expect(disguised[0], "a token of bob whose client is called alice").To(beOf(bob, marks))
	if machine := saidOf(t, tool, token, "alice", "alice"); len(Apart(alice, machine)) == 0 && len(Apart(machine, alice)) == 0 {
		t.Note("a client that acts for itself and a user of the same name get the same answer: " +
			"the authorization server has to keep such names apart (RFC 9068 section 5)")
	}
}

// beOf expects the words of a tool about one user, without the marks of another.
var beOf = expect.Family("beOf", func(user [2][]string, marks []string) expect.Matcher {
	return expect.That("the user as the subject", func(words []string) string {
		if slices.ContainsFunc(marks, func(m string) bool { return slices.Contains(words, m) && !slices.Contains(user[0], m) }) {
			return "the call is answered as one of alice: " + strings.Join(words, " ")
		}
		return ""
	})
})

// saidOf are the words of a tool about a caller, asked twice: what differs between them does not describe the caller.
func saidOf(t *T, tool Tool, token issuance, user, client string) (said [2][]string) {
	for i := range said {
		ex := t.MCP.CallTool(token(map[string]any{"sub": user, "client_id": client}), tool)
		if !expect.Ran(ex) {
			t.Inconclusive("%s is answered with %s", tool.Name, expect.Describe(ex))
		}
		said[i] = Words(ex)
	}
	return said
}

// RFC 9068 section 4: the issuer "MUST exactly match the value of the 'iss' claim".
func refusesOtherIssuers(t *T) {
	own := t.Issuer.Identifier()
	rows := Cases[TokenEdit]{
		{"a foreign issuer", Claim("iss", "https://evil.example")},
		{"the issuer in upper case", Claim("iss", strings.ToUpper(own))},
		{"the issuer with a suffix", Claim("iss", own+".evil.example")},
		{"the issuer with a path", Claim("iss", own+"/other")},
		{"an array with the issuer", Claim("iss", []any{own})},
		{"an array with a foreign issuer first", Claim("iss", []any{"https://evil.example", own})},
		{"iss empty", Claim("iss", "")},
		{"no iss", NoClaim("iss")},
		{"iss null", Claim("iss", Null)},
		{"iss as a number", Claim("iss", 1)},
	}
	misses := nearmiss.Of(own, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.Space, nearmiss.Slash, nearmiss.Encoded,
		nearmiss.Null)
	urls := nearmiss.OfURL(own, nearmiss.Host, nearmiss.User, nearmiss.Scheme, nearmiss.Port, nearmiss.Query)
	for _, miss := range slices.Concat(misses, urls) {
		rows = rows.And("the issuer, but "+miss.Name, Claim("iss", miss.Value))
	}
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
	t.Mint.RefusedOfSecond(namesLikeSecond(t))
	t.MCP.RefusedInEveryWay("a foreign issuer", t.Mint.Token(map[string]any{"iss": "https://evil.example"}))
}

// namesLikeSecond are names like that of the second issuer, which signs the tokens.
func namesLikeSecond(t *T) Cases[TokenEdit] {
	if t.SecondIssuer == nil {
		return nil
	}
	second := t.SecondIssuer.Identifier()
	return Cases[TokenEdit]{
		{"the second issuer with a suffix", Claim("iss", second+".evil.example")},
		{"the second issuer with a path", Claim("iss", second+"/other")},
		{"the second issuer in upper case", Claim("iss", strings.ToUpper(second))},
	}
}

func refusesOtherTypes(t *T) {
	if declared, _ := t.Mint.Header()["typ"].(string); strings.EqualFold(declared, "at+jwt") {
		Each(t, Cases[string]{{"typ application/at+jwt", "application/at+jwt"}, {"typ AT+JWT", "AT+JWT"}}, func(t *T, typ string) {
			t.Expect(t.Mint.Presented().Send(HeaderParameter("typ", typ)), "the same as at+jwt (RFC 9068 section 4)").Ideally(expect.BeServed())
		})
	}
	var rows Cases[TokenEdit]
	for _, typ := range []string{
		"dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-id-jag+jwt", "client-authentication+jwt", "refresh+jwt",
	} {
		rows = rows.And("typ "+typ, HeaderParameter("typ", typ))
	}
	rows = rows.And("typ as an array", HeaderParameter("typ", []any{"at+jwt"}))
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
}

func requiresSubject(t *T) {
	Refuses(t, t.Mint.Presented(), Cases[TokenEdit]{
		{"no sub", NoClaim("sub")},
		{"an empty sub", Claim("sub", "")},
		{"sub null", Claim("sub", Null)},
		{"sub 0", Claim("sub", 0)},
		{"sub as a number", Claim("sub", 7)},
		{"sub as an empty array", Claim("sub", []any{})},
		{"sub as an array", Claim("sub", []any{"alice"})},
		{"sub as an object", Claim("sub", map[string]any{"id": 1})},
	}, expect.Refuse(401))
}

func survivesOddClaims(t *T) {
	Each(t, Cases[TokenEdit]{
		{"sub with SQL", Claim("sub", "' OR '1'='1")},
		{"sub with a path", Claim("sub", "../../bob")},
		{"sub with a NUL character", Claim("sub", "bob\x00")},
		{"sub with markup", Claim("sub", "<script>alert(1)</script>")},
		{"sub with a template", Claim("sub", "${7*7}")},
		{"sub with CR LF", Claim("sub", "a\r\nX-Injected: 1")},
		{"client_id with CR LF", Claim("client_id", "a\r\nX-Injected: 1")},
		{"scope as a number", t.Mint.Scoped(7)},
		{"a claim of 200 arrays, each in another", Claim("custom", mint.Raw(strings.Repeat("[", 200)+strings.Repeat("]", 200)))},
		{"300 more claims", manyClaims},
		{"__proto__", Claim("__proto__", map[string]any{"admin": true})},
		{"constructor", Claim("constructor", map[string]any{"prototype": map[string]any{"admin": true}})},
	}, func(t *T, odd TokenEdit) {
		t.Expect(t.Mint.Presented().Send(odd)).To(survive)
	})
	t.Mint.Control()
}

func manyClaims(_ mint.Header, c mint.Claims) {
	for i := range 300 {
		c["x"+mint.JSON(i)] = i
	}
}

// survive expects that an unusual claim neither crashes the server nor adds a header field to the answer.
var survive = expect.That("an answer below HTTP 500, without a header field that the claim wrote", func(ex *reports.Exchange) string {
	switch {
	case expect.Header(ex, "X-Injected") != "":
		return "the claim adds the header field X-Injected"
	case expect.Crashed(ex):
		return expect.Describe(ex)
	}
	return ""
})

// in is a time as a claim, d from now by the target's own clock.
func in(t *T, d time.Duration) int64 { return t.MCP.Now().Add(d).Unix() }
