package refresh

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A refresh may ask for less; a refresh token keeps the scope of its grant all the same (OAuth 2.1 section 4.3.1).
func narrowsScope(t *T) {
	pool := t.AS.ScopePool()
	tokens := t.AS.MustGetRefreshToken(Scope(pool[0], pool[1]))
	if tokens.HasScope && !slices.Contains(tokens.Scope, pool[1]) {
		t.Inconclusive("the user was not granted both scopes: %v", tokens.Scope)
	}
	ex := t.AS.Refresh(tokens, Scope(pool[0]))
	narrow := t.AS.Tokens(ex, tokens.Client)
	if narrow == nil {
		t.Expect(ex, "a refresh with a narrower scope").Ideally(expect.IssueTokens())
		return
	}
	if held, seen := t.AS.RealScope(narrow); seen && slices.Contains(held, pool[1]) {
		t.Expect(narrow, "a refresh with a narrower scope").To(reportScope(pool[1]))
		t.Expect(held, "a refresh with a narrower scope").SeenIn(ex).Ideally(lackScope(pool[1]))
	}
	if narrow.Refresh == "" {
		narrow.Refresh = tokens.Refresh
	}
	wide := t.AS.MustRefresh(narrow)
	if held, seen := t.AS.RealScope(wide); seen {
		t.Expect(held, "a refresh without scope after that").SeenIn(wide.Exchange).To(holdScope(pool[1]))
	}
}

func neverWidensScope(t *T) {
	pool := t.AS.ScopePool()
	Each(t, Cases[string]{
		{"the granted scope and another", pool[0] + " " + pool[1]},
		{"another scope", pool[1]},
		{"scope admin", "admin"},
		{"an unknown scope", "mcpauth:unknown"},
	}, func(t *T, wanted string) {
		tokens := t.AS.MustGetRefreshToken(Scope(pool[0]))
		if held, seen := t.AS.RealScope(tokens); seen && slices.Contains(held, pool[1]) {
			t.Inconclusive("a request for %s is granted %s too (AS-SCOPE-GRANTED-SUBSET)", pool[0], pool[1])
		}
		ex := t.AS.Refresh(tokens, With("scope", wanted))
		next := t.AS.Tokens(ex, tokens.Client)
		if next == nil {
			t.Expect(ex).To(expect.RefuseGrant("invalid_scope", "invalid_grant"))
			return
		}
		held, _ := t.AS.RealScope(next)
		for _, scope := range strings.Fields(wanted) {
			if scope != pool[0] {
				t.Expect(slices.Concat(held, next.Scope)).SeenIn(ex).To(lackScope(scope))
			}
		}
	})
}

func reportScope(scope string) expect.Matcher {
	return expect.That("a response that reports "+scope+", which the token has", func(tokens *oauth.Tokens) string {
		if tokens.HasScope && !slices.Contains(tokens.Scope, scope) {
			return "scope " + strings.Join(tokens.Scope, " ")
		}
		return ""
	})
}

func holdScope(scope string) expect.Matcher {
	return expect.That("the scope "+scope, func(held []string) string {
		if slices.Contains(held, scope) {
			return ""
		}
		return "scope " + strings.Join(held, " ")
	})
}

func lackScope(scope string) expect.Matcher {
	return expect.That("a token without "+scope, func(held []string) string {
		if slices.Contains(held, scope) {
			return "scope " + strings.Join(held, " ")
		}
		return ""
	})
}
