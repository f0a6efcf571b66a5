package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func granted() {
	Must("AS-SCOPE-UNKNOWN", grantsNoUnknownScope)
	Must("AS-SCOPE-SYNTAX", parsesScopeStrictly)
	Must("AS-SCOPE-ESCALATION-AT-TOKEN", grantsNothingMoreAtTheTokenEndpoint)
	Practice("AS-SCOPE-GRANTED-SUBSET", grantsNoMoreThanRequested)
	Must("AS-SCOPE-CONSENT-HONOURED", honoursConsent)
	Must("AS-SCOPE-DEFAULT", reportsTheDefault)
	Should("AS-SCOPE-ADVERTISED-OBTAINABLE", grantsWhatIsAdvertised)
	Should("AS-SCOPE-STEP-UP", grantsMoreLater)
}

// grant says where a flow ended, and which scopes its token has.
type grant struct {
	*Grant
	answer *reports.Exchange // the answer of the token endpoint; nil without a code
	tokens *oauth.Tokens     // nil if none were issued
	held   []string          // the scopes, by the token, by introspection, or by the response
	// silent says that nothing shows the scopes: the response names none, which means those of the request (RFC 6749 section 5.1).
	silent bool
}

// Evidence is the exchange that shows how the flow ended.
func (g *grant) Evidence() *reports.Exchange {
	if g.answer != nil {
		return g.answer
	}
	return g.Exchange
}

// grantOf completes a flow. The edits change its authorization request, and those of AtToken its token request.
func grantOf(t *T, edits ...Edit) *grant {
	flow, ok := t.AS.CodeFlow().Send(edits...).(*Flow)
	if !ok {
		t.Inconclusive("no flow was sent")
	}
	return resultOf(t, flow.Grant, flow.Answer)
}

// grantAsked completes a flow with a consent page, if the server has one.
func grantAsked(t *T, edits ...Edit) *grant {
	g := t.Pages.Asked(edits...)
	if g.Code() == "" {
		return resultOf(t, g, nil)
	}
	return resultOf(t, g, t.AS.Redeem(g))
}

// resultOf is the result of a flow, with the answer of the token endpoint if there was one.
func resultOf(t *T, ended *Grant, answer *reports.Exchange) *grant {
	t.AS.MustReachDecision(ended)
	g := &grant{Grant: ended, answer: answer}
	if g.tokens = t.AS.Tokens(answer, ended.Client); g.tokens != nil {
		real, shown := t.AS.RealScope(g.tokens)
		if g.held = Union(real, g.tokens.Scope); !shown && !g.tokens.HasScope {
			g.held, g.silent = strings.Fields(ended.Request.Get("scope")), true
		}
	}
	return g
}

// lackScope expects a flow to end without a token that has a scope: with a refusal, or with a token without it.
var lackScope = expect.Family("lackScope", func(t *T, scopes ...string) expect.Matcher {
	return expect.Refusing("no token with "+strings.Join(scopes, " or "), func(g *grant) string {
		for _, s := range scopes {
			if g.tokens == nil || !slices.Contains(g.held, s) {
				continue
			}
			switch tool := runsWith(t, s, g.tokens.Access); {
			case g.silent && tool != "":
				return tool + ", which needs " + s + ", runs"
			case g.silent: // see sayWhatIsGranted
			case tool != "":
				return g.says(t) + " " + s + ", and " + tool + " runs with it"
			default:
				return g.says(t) + " " + s
			}
		}
		return ""
	})
})

// says names what shows the scopes of the token.
func (g *grant) says(t *T) string {
	if _, shown := t.AS.RealScope(g.tokens); shown {
		return "the token has"
	}
	return "the response grants"
}

// expectLack expects a flow to end without a token that has a scope. Where nothing shows what a token has, the response should.
func expectLack(t *T, g *grant, about string, scopes ...string) {
	if t.Expect(g, "%s", about).To(lackScope(t, scopes...)) && g.tokens != nil && g.silent {
		t.Expect(g, "%s", about).Ideally(sayWhatIsGranted(t, scopes...))
	}
}

// sayWhatIsGranted expects a response to name the scope of a token that lacks a requested one. A tool that needs only this scope, and does
// not run, shows that it lacks it.
var sayWhatIsGranted = expect.Family("sayWhatIsGranted", func(t *T, scopes ...string) expect.Matcher {
	return expect.That("a response that says what is granted, if that is less than what was requested", func(g *grant) string {
		for _, s := range scopes {
			tried := slices.ContainsFunc(t.MCP.ScopedTools(), func(tool Tool) bool { return SameSet(tool.Scopes(), []string{s}) })
			if slices.Contains(g.held, s) && !tried {
				return "no scope is named, which means that " + s + " is granted, too (RFC 6749 section 5.1); nothing else shows the token's scopes"
			}
		}
		return ""
	})
})

func grantsNoUnknownScope(t *T) {
	t.AS.MustGetTokens() // the control: an ordinary request
	base := strings.Join(t.Session.RequestedScopes(), " ")
	Each(t, Cases[string]{
		{"an unknown scope with known ones", strings.TrimSpace(base + " mcpauth:unknown")},
		{"an unknown scope alone", "mcpauth:unknown"},
		{"a scope with admin in its name", "mcpauth-admin"},
		{"*", "*"},
	}, func(t *T, scope string) {
		expectLack(t, grantOf(t, With("scope", scope)), "", "mcpauth:unknown", "mcpauth-admin", "*")
	})
	expandsNoPattern(t)
	if len(t.Session.RegisteredScopes()) > 0 {
		Untried(t, "a client that registered no scopes", "one that the server restricts to none (--client-id)")
	}
}

// expandsNoPattern requests what a server may read as a pattern of scopes, though its metadata lists no such scope.
func expandsNoPattern(t *T) {
	all, _ := t.AS.Server().Metadata.Strings("scopes_supported")
	usual := Union(grantOf(t, Without("scope")).held, grantOf(t).held)
	for _, s := range all {
		i := strings.LastIndexAny(s, ":./")
		if i < 1 || slices.Contains(usual, s) || slices.Contains(all, s[:i+1]+"*") {
			continue
		}
		t.Expect(grantOf(t, With("scope", s[:i+1]+"*")), "%s", s[:i+1]+"*").Ideally(lackScope(t, s))
		return
	}
}

// RFC 6749 section 3.3: case-sensitive strings, separated by spaces, in any order.
func parsesScopeStrictly(t *T) {
	pool := t.AS.ScopePool()
	a, b := pool[0], pool[1]
	t.Expect(grantOf(t, Scope(b, a)), "the scopes in another order").To(holdTheSameAs(grantOf(t, Scope(a, b))))
	splitsAtSpacesOnly(t, a, b)
	Each(t, Cases[string]{
		{"a quotation mark", a + `"`}, {"a backslash", a + `\`}, {"two spaces", a + "  " + b},
		{"2,000 scopes", strings.TrimSpace(strings.Repeat("a ", 2000))},
	}.In("scope"), func(t *T, scope string) { t.Expect(t.AS.Authorize(With("scope", scope)).Exchange).Ideally(notCrash) })
}

// splitsAtSpacesOnly requests words that resemble two scopes. A server may grant its default where it knows no word.
func splitsAtSpacesOnly(t *T, a, b string) {
	usual := grantOf(t, With("scope", "mcpauth:unknown")).held
	if upper := strings.ToUpper(a); upper != a {
		if g := grantOf(t, With("scope", upper)); t.Expect(g.Evidence(), "%s instead of %s", upper, a).Ideally(notCrash) {
			t.Expect(g, "%s instead of %s", upper, a).To(lackMore(t, usual, a))
		}
	}
	Each(t, Cases[string]{{"scope: a comma", a + "," + b}, {"scope: a tab", a + "\t" + b}}, func(t *T, scope string) {
		if g := grantOf(t, With("scope", scope)); t.Expect(g.Evidence()).Ideally(notCrash) {
			t.Expect(g).Ideally(lackMore(t, usual, a, b))
		}
	})
}

// lackMore is lackScope for the scopes that the server does not grant anyway: that it grants the others shows nothing
// (AS-SCOPE-GRANTED-SUBSET).
func lackMore(t *T, usual []string, scopes ...string) expect.Matcher {
	var more []string
	for _, s := range scopes {
		if slices.Contains(usual, s) {
			t.Note("the server grants %s where it was not requested, so that a token with it shows nothing here", s)
			continue
		}
		more = append(more, s)
	}
	return lackScope(t, more...)
}

var notCrash = expect.That("an answer below 500", func(ex *reports.Exchange) string {
	if expect.Status(ex) < 500 || expect.Status(ex) == 501 {
		return ""
	}
	return expect.Describe(ex)
})

var holdTheSameAs = expect.Family("holdTheSameAs", func(first *grant) expect.Matcher {
	return expect.That("the same grant whatever the order of scopes", func(g *grant) string {
		if first.tokens == nil || g.tokens == nil || SameSet(first.held, g.held) {
			return ""
		}
		return list(g.held) + ", and " + list(first.held) + " in the other order"
	})
})

// OAuth 2.1 section 3.2.2: scope in the token request does not widen the grant.
func grantsNothingMoreAtTheTokenEndpoint(t *T) {
	pool := t.AS.ScopePool()
	t.AS.MustGetTokens(Scope(pool[0]))
	usual := grantOf(t, Scope(pool[0])).held
	Each(t, Cases[string]{
		{"one scope more", pool[0] + " " + pool[1]},
		{"another scope", pool[1]},
		{"admin", "admin"},
	}, func(t *T, scope string) {
		g := grantOf(t, Scope(pool[0]), AtToken(With("scope", scope)))
		if g.tokens == nil {
			t.Expect(g.answer, "scope %s at the token endpoint", scope).To(expect.RefuseGrant("invalid_scope", "invalid_request", "invalid_grant"))
			return
		}
		t.Expect(g, "scope %s at the token endpoint", scope).To(lackMore(t, usual, pool[1], "admin"))
	})
}

func grantsNoMoreThanRequested(t *T) {
	pool := t.AS.ScopePool()
	g := grantOf(t, Scope(pool[0]))
	if g.tokens == nil {
		t.Inconclusive("a request for %s alone is refused: %s", pool[0], g.Describe())
	}
	more := slices.DeleteFunc(slices.Clone(pool[1:]), func(s string) bool { return t.MCP.Includes(pool[0], s) })
	t.Expect(g, "a token for %s", pool[0]).To(lackScope(t, more...))
}

// The user decides, on a page of the server.
func honoursConsent(t *T) {
	pool := t.AS.ScopePool()
	choice := false
	reduced := grantAsked(t, Scope(pool[0], pool[1]), Submitting(func(_ *login.Page, f *login.Form, values *oauth.Form) {
		if offers(f, pool[1]) {
			choice = true
			*values = slices.DeleteFunc(*values, func(p oauth.Parameter) bool { return p.Value == pool[1] || p.Name == pool[1] })
		}
	}))
	if !choice {
		t.Pages.NoConsent(reduced.Grant, "the consent page lets the user deselect no scope")
	}
	expectLack(t, reduced, pool[1]+" deselected", pool[1])
	noteAddition(t, pool)
}

// noteAddition adds a scope to the form of a request for another one. Only the user can do that, and the instructions of the user may
// be more than the request (RFC 6749 section 3.3).
func noteAddition(t *T, pool []string) {
	offered := false
	added := grantAsked(t, Scope(pool[0]), Submitting(func(p *login.Page, f *login.Form, values *oauth.Form) {
		if offered = offered || offers(f, pool[1]); p.Login() == nil && !offered {
			for _, name := range []string{"scope", "scopes", "scopes[]", "scope[]"} {
				values.Add(name, pool[1])
			}
		}
	}))
	switch {
	case added.Code() != "" && !added.Consented:
		t.Note("a scope added to a form: not tried, since a request for one scope is not asked about")
	case offered:
		t.Note("the form itself offers %s, which was not requested: the user who approves it may add it", pool[1])
	case added.tokens != nil && slices.Contains(added.held, pool[1]):
		t.Note("%s is granted where the user adds it to a form that does not offer it, as RFC 6749 section 3.3 allows", pool[1])
	}
}

// offers reports that a form lets the user choose a scope.
func offers(f *login.Form, scope string) bool {
	for _, in := range f.Inputs {
		if in.Type == "checkbox" && (in.Value == scope || in.Name == scope) {
			return true
		}
	}
	return false
}

// RFC 6749 section 3.3: a default that is documented, or invalid_scope. Section 5.1: scope is required in the response if it differs
// from the request; a token without scopes needs none.
func reportsTheDefault(t *T) {
	g := grantOf(t, Without("scope"))
	if g.tokens == nil {
		if g.Code() != "" {
			t.Expect(g.answer, "the code of a request without scope").To(expect.IssueTokens())
		} else {
			t.Expect(g.Grant, "a request without scope").To(expect.EndWithoutCode("invalid_scope", "invalid_request"))
		}
		return
	}
	real := realScopes(t, g.tokens)
	if !g.tokens.HasScope {
		t.Expect(real, "no scope was requested").SeenIn(g.answer).To(beNoScope)
	}
	known, _ := t.AS.Server().Metadata.Strings("scopes_supported")
	if len(Union(t.Session.RegisteredScopes(), known)) == len(t.Session.RegisteredScopes()) {
		return // the client registered all of them, which may be its default
	}
	t.Expect(Union(real, g.tokens.Scope), "a token that was requested without scope").SeenIn(g.answer).Ideally(beLessThan(known))
}

// realScopes are those of a token, by its claims, by introspection, or by the tools that it may call; the check ends where
// none of these shows it, and the response does not say it either.
func realScopes(t *T, tokens *oauth.Tokens) []string {
	real, known := t.AS.RealScope(tokens)
	if known || tokens.HasScope {
		return real
	}
	if claims := oauth.Payload(tokens.Access); claims != "" {
		return nil // a token that can be read, and names no scope
	}
	tools := t.MCP.ScopedTools()
	for _, tool := range tools {
		if neutral := t.MCP.CallTool("mcpauth-not-a-token", tool); !expect.Ran(neutral) && expect.Ran(t.MCP.CallTool(tokens.Access, tool)) {
			real = Union(real, tool.Scopes())
		}
	}
	if len(tools) == 0 {
		t.Inconclusive("the response names no scope, and nothing shows what the token holds: declare a tool with a scope")
	}
	return real
}

var beNoScope = expect.That("the scope of the token in the response, since it is not what was requested (RFC 6749 section 5.1)",
	func(real []string) string {
		if len(real) == 0 {
			return ""
		}
		return "scope is absent, and the token has " + list(real)
	})

var beLessThan = expect.Family("beLessThan", func(known []string) expect.Matcher {
	return expect.That("a modest default scope", func(real []string) string {
		if len(known) <= 2 || len(Union(real, known)) > len(real) {
			return ""
		}
		return "a request without scope is granted everything: " + list(real)
	})
})

func grantsWhatIsAdvertised(t *T) {
	published, _ := t.MCP.Resource().Object.Strings("scopes_supported")
	rows := Cases[[]string]{}
	if len(published) > 0 {
		rows = rows.And("the resource's scopes_supported", published)
	}
	if scopes := Challenged(t.MCP.Anonymous()); len(scopes) > 0 {
		rows = rows.And("the challenge's scope", scopes)
	}
	if len(rows) == 0 {
		t.NotApplicable("no scopes are advertised")
	}
	Each(t, rows, func(t *T, scopes []string) {
		t.Expect(requestAdvertised(t, scopes)).To(knowScopes(scopes))
	})
}

// requestAdvertised asks for scopes, if need be by a client that registered them (RFC 7591 section 2, scope).
func requestAdvertised(t *T, scopes []string) *Grant {
	g := t.AS.MustReachDecision(t.AS.Authorize(Scope(scopes...)))
	if g.Error() != "invalid_scope" {
		return g
	}
	if c, _ := t.AS.Register(map[string]any{"scope": strings.Join(scopes, " ")}); c != nil {
		return t.AS.MustReachDecision(t.AS.Authorize(As(c), Scope(scopes...)))
	}
	return g
}

var knowScopes = expect.Family("knowScopes", func(scopes []string) expect.Matcher {
	return expect.Unless(expect.That("an authorization server that knows the scopes "+list(scopes), func(g *Grant) string {
		if g.Error() != "invalid_scope" {
			return ""
		}
		return "error invalid_scope"
	}), func(g *Grant) string { return expect.NoAnswer(g.Exchange) })
})

// MCP 2025-11-25, Step-Up Authorization Flow: the client asks for the union of what it had and what it needs.
func grantsMoreLater(t *T) {
	pool := t.AS.ScopePool()
	first := t.AS.MustAuthorize(Scope(pool[0]), SignedOut())
	t.AS.MustRedeem(first)
	g := grantOf(t, Scope(pool[0], pool[1]), InJar(first.Jar))
	if g.Code() == "" {
		t.Expect(g.Grant, "a wider request by a client that has a grant already").To(expect.EndWithCode())
		return
	}
	if !t.Expect(g.answer, "the code of the wider grant").To(expect.IssueTokens()) {
		return
	}
	real, seen := t.AS.RealScope(g.tokens)
	if !seen {
		real = g.held
	}
	t.Expect(real, "the wider grant").SeenIn(g.answer).To(keepScope(pool[0]))
	if reported := g.tokens.Scope; g.tokens.HasScope && !slices.Contains(reported, pool[1]) {
		t.Expect(real, "the wider grant").SeenIn(g.answer).Ideally(keepScope(pool[1])) // the response reports this policy of the server
		return
	}
	t.Expect(real, "the wider grant, which the response does not say to lack any").SeenIn(g.answer).To(keepScope(pool[1]))
}

var keepScope = expect.Family("keepScope", func(scope string) expect.Matcher {
	return expect.That("a token with the requested scope "+scope, func(real []string) string {
		if slices.Contains(real, scope) {
			return ""
		}
		return fmt.Sprintf("the token has %s", list(real))
	})
})
