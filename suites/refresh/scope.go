package refresh

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A refresh may ask for less; the refresh token still keeps the scope of its grant (OAuth 2.1 section 4.3.1).
func narrowsScope(t *T) {
	tokens, kept, left := grantedTogether(t)
	ex := t.AS.Refresh(tokens, Scope(kept))
	narrow := t.AS.Tokens(ex, tokens.Client)
	if narrow == nil {
		t.Expect(ex, "a refresh with a narrower scope").Ideally(expect.IssueTokens())
		return
	}
	if held, _ := t.AS.Holds(narrow, []string{kept}, left); held {
		t.Expect(narrow, "a refresh with a narrower scope").To(reportScope(left))
		t.Expect(narrow, "a refresh with a narrower scope").Ideally(lackScope(left, held))
	}
	if narrow.Refresh == "" {
		narrow.Refresh = tokens.Refresh
	}
	wide := t.AS.MustRefresh(narrow)
	held, seen := t.AS.Holds(wide, nil, left)
	if !seen {
		t.Inconclusive("nothing says what the next refreshed token may do: neither the token, nor introspection, nor its response, " +
			"or by a declared tool")
	}
	t.Expect(wide, "a refresh without scope after that").To(holdScope(left, held))
}

// grantedTogether returns tokens with two scopes that the user is granted. It is the first pair of the pool, unless the user is not granted
// both.
func grantedTogether(t *T) (tokens *oauth.Tokens, one, other string) {
	pool := t.AS.ScopePool()
	tokens = t.AS.MustGetRefreshToken(Scope(pool[:2]...))
	granted := grantedOf(t, tokens, pool[:2])
	if len(granted) < 2 {
		granted = grantedOf(t, t.AS.MustGetRefreshToken(Scope(pool...)), pool)
		if len(granted) < 2 {
			t.Inconclusive("of %s, the user was granted %s", ScopesInWords(pool), ScopesInWords(granted))
		}
		tokens = t.AS.MustGetRefreshToken(Scope(granted[:2]...))
		if pair := grantedOf(t, tokens, granted[:2]); len(pair) < 2 {
			t.Inconclusive("of %s alone, the user was granted %s", ScopesInWords(granted[:2]), ScopesInWords(pair))
		}
	}
	return tokens, granted[0], granted[1]
}

// grantedOf returns the requested scopes that tokens hold: all of them where nothing shows it.
func grantedOf(t *T, tokens *oauth.Tokens, requested []string) []string {
	held, seen := t.AS.Held(tokens, requested)
	if !seen {
		return requested
	}
	return slices.DeleteFunc(slices.Clone(requested), func(scope string) bool { return !slices.Contains(held, scope) })
}

// widened is a refresh for more than was granted, and the scope that must not be added.
type widened struct {
	requested, added string
	later            bool // with a refresh token that a refresh has issued
}

// begin returns the tokens whose refresh asks for more.
func (w widened) begin(t *T, granted []string) *oauth.Tokens {
	if w.later {
		return refreshableAgain(t, t.AS.MustGetRefreshToken, requesting(granted))
	}
	return t.AS.MustGetRefreshToken(requesting(granted))
}

func neverWidensScope(t *T) {
	granted := t.AS.ScopePool()
	granted = granted[:min(1, len(granted))]
	if len(granted) == 0 { // an OpenID provider may refuse requests without openid
		granted = t.Session.RequestedScopes()
	}
	Each(t, wideningsOf(t, granted), func(t *T, w widened) {
		tokens := w.begin(t, granted)
		if held, _ := t.AS.Holds(tokens, granted, w.added); held {
			t.Inconclusive("a request for %q is granted %s too (AS-SCOPE-GRANTED-SUBSET)", strings.Join(granted, " "), w.added)
		}
		ex := t.AS.Refresh(tokens, With("scope", w.requested))
		next := t.AS.Tokens(ex, tokens.Client)
		if next == nil {
			t.Expect(ex).To(expect.RefuseGrant("invalid_scope", "invalid_grant"))
			return
		}
		held, seen := t.AS.Holds(next, nil, w.added)
		if !seen {
			t.Inconclusive("a token is issued, and nothing says what it may do: neither the token, nor introspection, nor its response; %s",
				t.AS.ToSeeTokens())
		}
		t.Expect(next).To(lackScope(w.added, held || slices.Contains(next.Scope, w.added)))
	})
}

// wideningsOf are refreshes for more than was granted: for another scope of the target, and for two that were not granted.
func wideningsOf(t *T, granted []string) Cases[widened] {
	with := func(added string) string { return strings.Join(append(slices.Clone(granted), added), " ") }
	var rows Cases[widened]
	if pool := t.AS.ScopePool(); len(pool) > 1 {
		rows = Cases[widened]{
			{"the granted scope and another", widened{with(pool[1]), pool[1], false}},
			{"the granted scope and another, at a second refresh", widened{with(pool[1]), pool[1], true}},
			{"another scope", widened{pool[1], pool[1], false}},
		}
	}
	return rows.And("scope admin", widened{"admin", "admin", false}).
		And("an unknown scope", widened{"mcpauth:unknown", "mcpauth:unknown", false})
}

// requesting asks for scopes, or for none.
func requesting(scopes []string) Edit {
	if len(scopes) == 0 {
		return Without("scope")
	}
	return Scope(scopes...)
}

var reportScope = expect.Family("reportScope", func(scope string) expect.Matcher {
	return expect.That("a response that reports "+scope+", which the token has", func(tokens *oauth.Tokens) string {
		switch {
		case !tokens.HasScope:
			return "no scope, which means that it is what was requested"
		case !slices.Contains(tokens.Scope, scope):
			return "scope " + strings.Join(tokens.Scope, " ")
		}
		return ""
	})
})

var holdScope = expect.Family("holdScope", func(scope string, held bool) expect.Matcher {
	return expect.That("a token with "+scope+", which the user granted", func(tokens *oauth.Tokens) string {
		if held {
			return ""
		}
		return "the token lacks " + scope + "; the response says scope " + strings.Join(tokens.Scope, " ")
	})
})

var lackScope = expect.Family("lackScope", func(scope string, held bool) expect.Matcher {
	return expect.That("a token without "+scope, func(tokens *oauth.Tokens) string {
		if !held {
			return ""
		}
		return "the token has " + scope + "; the response says scope " + strings.Join(tokens.Scope, " ")
	})
})
