package tokenvalidation

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// in is a time as a claim, d from now.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// minted expects minted tokens that are wrong in one claim to be refused.
func minted(t *T, kinds map[string]map[string]any) {
	f := &forgeries{t: t}
	for about, changes := range Sorted(kinds) {
		f.add(t.Mint.Token(changes), "%s", about)
	}
	t.Mint.Control()
	f.refused()
}

// leniently sends minted tokens that a strict verifier refuses and a lenient one may accept.
func leniently(t *T, kinds map[string]map[string]any) {
	for about, changes := range Sorted(kinds) {
		ex := t.MCP.Use(t.Mint.Token(changes))
		if expect.Crashed(ex) {
			t.Finding(ex, about, "an answer below 500", expect.Describe(ex))
		} else if t.MCP.Served(ex) {
			t.Advise(ex, "a refusal with HTTP 401", "%s: it is served", about)
		}
	}
}

func claims() {
	Must("RS-TOKEN-EXPIRED", func(t *T) {
		minted(t, map[string]map[string]any{
			"expired an hour ago": {"exp": in(-time.Hour)}, "expired ten minutes ago": {"exp": in(-10 * time.Minute)}, "exp 1": {"exp": 1}, "exp 0": {"exp": 0}, "exp -1": {"exp": -1},
		})
	})

	Practice("RS-TOKEN-EXP-MISSING", func(t *T) {
		minted(t, map[string]map[string]any{"no exp": {"exp": nil}, "exp null": {"exp": Null}})
	})

	Practice("RS-TOKEN-NUMERIC-DATES", func(t *T) {
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"exp": float64(in(time.Hour)) + 0.5})); !t.MCP.Served(ex) {
			t.Advise(ex, "a fraction of a second to be allowed (RFC 7519 section 2)", "%s", expect.Describe(ex))
		}
		minted(t, map[string]map[string]any{
			"exp true": {"exp": true}, "exp as array": {"exp": []any{in(time.Hour)}}, "exp as object": {"exp": map[string]any{"$gt": 0}}, "exp as a date": {"exp": "2099-01-01T00:00:00Z"},
		})
		leniently(t, map[string]map[string]any{"exp as a string of digits": {"exp": "9999999999"}, "exp in milliseconds": {"exp": in(time.Hour) * 1000}, "exp of twenty digits": {"exp": mint.Raw("99999999999999999999")}})
		raw := t.Mint.Claims(map[string]any{"exp": nil})
		for _, number := range []string{"1e400", "NaN"} {
			ex := t.MCP.Use(t.Mint.Seal(mint.RawInput(t.Mint.Header(), strings.TrimSuffix(mint.JSON(raw), "}")+`,"exp":`+number+"}")))
			t.Expect(ex, "exp %s", number).To(expect.Refuse(401))
		}
	})

	Must("RS-TOKEN-NBF", func(t *T) {
		minted(t, map[string]map[string]any{
			"valid from in an hour": {"nbf": in(time.Hour), "exp": in(2 * time.Hour)}, "valid from in ten minutes": {"nbf": in(10 * time.Minute)},
		})
		if ex := t.MCP.Use(t.Mint.Token(map[string]any{"nbf": in(-10 * time.Second)})); !t.MCP.Served(ex) {
			t.Unmet(ex, "a token that is valid already to be served", "%s", expect.Describe(ex))
		}
	})

	Practice("RS-TOKEN-CLOCK-SKEW", func(t *T) {
		offset := clockOffset(t)
		steps := []time.Duration{5 * time.Second, 30 * time.Second, 60 * time.Second, 120 * time.Second, 300 * time.Second, 600 * time.Second, 1800 * time.Second}
		largest := func(claim string, sign time.Duration) (most time.Duration, at *reports.Exchange) {
			for _, d := range steps {
				ex := t.MCP.Use(t.Mint.Token(map[string]any{claim: in(offset + sign*d)}))
				if !t.MCP.Served(ex) {
					return most, at
				}
				most, at = d, ex
			}
			return most, at
		}
		for claim, sign := range Sorted(map[string]time.Duration{"exp": -1, "nbf": 1}) {
			most, at := largest(claim, sign)
			switch {
			case most > 300*time.Second:
				t.Unmet(at, "at most 300 s of grace for clocks", "%s: %v are granted", claim, most)
			case most > 120*time.Second:
				t.Advise(at, "at most 120 s of grace for clocks", "%s: %v are granted", claim, most)
			}
		}
		t.Mint.Control()
	})

	// A client that acts for itself must not be taken for the user of the same name (RFC 9068 section 5).
	Practice("RS-TOKEN-CLIENT-USER-CONFUSION", func(t *T) {
		tool, _ := t.MCP.WhoAmI()
		who := func(user, client string) (said [2][]string) {
			for i := range said {
				ex := t.MCP.CallTool(t.Mint.Token(map[string]any{"sub": user, "client_id": client}), tool)
				if !expect.Ran(ex) {
					t.Inconclusive("%s is answered with %s", tool.Name, expect.Describe(ex))
				}
				said[i] = Words(ex)
			}
			return said
		}
		alice, bob := who("alice", "client-1"), who("bob", "client-1")
		t.Controlled()
		marks := Apart(alice, bob)
		if len(marks) == 0 {
			if len(Apart(alice, who("alice", "client-2"))) > 0 {
				t.Unmet(nil, "the subject to be the user", "%s does not tell two users of one client apart, but one user with two clients", tool.Name)
				return
			}
			t.NotApplicable("%s says the same of two users", tool.Name)
		}
		disguised := who("bob", "alice")
		says := func(m string) bool { return slices.Contains(disguised[0], m) }
		if slices.ContainsFunc(marks, says) && !slices.ContainsFunc(Apart(bob, alice), says) {
			t.Unmet(nil, "the subject to be the user", "a token of bob whose client is called alice is answered as one of alice: %s", strings.Join(disguised[0], " "))
		}
		if machine := who("alice", "alice"); len(Apart(alice, machine)) == 0 && len(Apart(machine, alice)) == 0 {
			t.Note("a client that acts for itself and a user of the same name are answered alike: the authorization server has to keep such names apart (RFC 9068 section 5)")
		}
	})

	Must("RS-TOKEN-WRONG-ISS", func(t *T) {
		own := t.Issuer.Identifier()
		kinds := map[string]map[string]any{
			"a foreign issuer": {"iss": "https://evil.example"}, "the issuer in upper case": {"iss": strings.ToUpper(own)}, "the issuer with a suffix": {"iss": own + ".evil.example"},
			"the issuer with a prefix": {"iss": "evil" + own}, "the issuer with a path": {"iss": own + "/other"}, "an array": {"iss": []any{own}}, "an array with a foreign one": {"iss": []any{"https://evil.example", own}},
			"empty": {"iss": ""}, "missing": {"iss": nil}, "null": {"iss": Null}, "a number": {"iss": 1},
		}
		if strings.HasSuffix(own, "/") {
			kinds["the issuer without its slash"] = map[string]any{"iss": strings.TrimSuffix(own, "/")}
		} else {
			kinds["the issuer with a slash"] = map[string]any{"iss": own + "/"}
		}
		minted(t, kinds)
	})

	Practice("RS-TOKEN-TYP", func(t *T) {
		h := t.Mint.Header()
		declared, _ := h["typ"].(string)
		t.Mint.Control()
		if strings.EqualFold(declared, "at+jwt") {
			for _, typ := range []string{"application/at+jwt", "AT+JWT"} {
				if ex := t.MCP.Use(t.Mint.TokenWith(h.With("typ", typ), nil)); !t.MCP.Served(ex) {
					t.Advise(ex, "typ "+typ+" to be taken for at+jwt (RFC 9068 section 4)", "%s", expect.Describe(ex))
				}
			}
		}
		f := &forgeries{t: t}
		for _, typ := range []any{"dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-id-jag+jwt", "client-authentication+jwt", []any{"at+jwt"}} {
			f.add(t.Mint.TokenWith(h.With("typ", typ), nil), "typ %v", typ)
		}
		f.refused()
	})

	Practice("RS-TOKEN-REQUIRED-CLAIMS", func(t *T) {
		minted(t, map[string]map[string]any{
			"no sub": {"sub": nil}, "an empty sub": {"sub": ""}, "sub null": {"sub": Null}, "sub 0": {"sub": 0}, "sub as array": {"sub": []any{}}, "sub as object": {"sub": map[string]any{"id": 1}},
		})
	})

	Practice("RS-TOKEN-CLAIM-ROBUSTNESS", func(t *T) {
		many := map[string]any{}
		for i := range 2000 {
			many["x"+strings.Repeat("a", i%7)+string(rune('a'+i%26))+strings.Repeat("b", i/26)] = i
		}
		deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
		for about, changes := range Sorted(map[string]map[string]any{
			"sub with SQL": {"sub": "' OR '1'='1"}, "sub with a path": {"sub": "../../bob"}, "sub with NUL": {"sub": "bob\x00"}, "sub with markup": {"sub": "<script>alert(1)</script>"},
			"sub with a template": {"sub": "${7*7}"}, "sub with CR LF": {"sub": "a\r\nX-Injected: 1"}, "a deep claim": {"custom": mint.Raw(deep)}, "__proto__": {"__proto__": map[string]any{"admin": true}},
			"roles that nobody defined": {"roles": []string{"admin"}, "admin": true, "permissions": []string{"*"}}, "scope as number": {"scope": 7},
		}) {
			ex := t.MCP.Use(t.Mint.Token(changes))
			if expect.Crashed(ex) {
				t.Finding(ex, about, "an answer below 500", expect.Describe(ex))
			}
			if expect.Header(ex, "X-Injected") != "" {
				t.Finding(ex, about, "one header field", "a claim can add a header field")
			}
		}
		if len(many) > 0 {
			t.Mint.Control()
		}
	})
}

// clockOffset is how far the target's clock is ahead of ours, by its Date field.
func clockOffset(t *T) time.Duration {
	before := time.Now()
	ex := t.MCP.Use(t.Mint.Token(nil))
	date, err := time.Parse(time.RFC1123, expect.Header(ex, "Date"))
	if err != nil {
		return 0
	}
	offset := date.Sub(before.Add(time.Since(before) / 2))
	if offset > -5*time.Second && offset < 5*time.Second {
		return 0
	}
	return offset
}
