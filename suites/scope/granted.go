package scope

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// grantedBy completes a flow for a scope and returns what the token really has; nil where the request is
// refused.
func grantedBy(t *T, edits ...Edit) (*Grant, *oauth.Tokens, []string) {
	g := t.AS.MustReachDecision(t.AS.Authorize(edits...))
	if g.Code() == "" {
		if expect.Status(g.Exchange) >= 500 {
			t.Unmet(g.Exchange, "a grant or error invalid_scope", "%s", g.Describe())
		}
		return g, nil, nil
	}
	tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
	if tokens == nil {
		return g, nil, nil
	}
	real, seen := t.AS.RealScope(tokens)
	if !seen {
		real = tokens.Scope
	}
	return g, tokens, real
}

func granted() {
	Must("AS-SCOPE-UNKNOWN", func(t *T) {
		base := strings.Join(t.Session.RequestedScopes(), " ")
		for _, v := range []string{strings.TrimSpace(base + " mcpauth:unknown"), "mcpauth:unknown", "mcpauth-admin", "*"} {
			g, tokens, real := grantedBy(t, With("scope", v))
			if tokens == nil {
				continue // invalid_scope
			}
			for _, bad := range []string{"mcpauth:unknown", "mcpauth-admin", "*"} {
				if slices.Contains(real, bad) || slices.Contains(tokens.Scope, bad) {
					t.Finding(g.Exchange, "scope "+v, "no scope that does not exist", "the token has "+bad)
				}
			}
		}
	})

	Must("AS-SCOPE-SYNTAX", func(t *T) {
		pool := t.AS.ScopePool()
		a, b := pool[0], pool[1]
		_, first, one := grantedBy(t, Scope(a, b))
		_, second, two := grantedBy(t, Scope(b, a))
		if first != nil && second != nil && len(one) != len(two) {
			t.Unmet(nil, "the same grant whatever the order of scopes", "%v and %v", one, two)
		}
		for about, v := range Sorted(map[string]string{"upper case": strings.ToUpper(a), "a comma": a + "," + b, "a tab": a + "\t" + b, "a quotation mark": a + `"`, "a backslash": a + `\`}) {
			g, tokens, real := grantedBy(t, With("scope", v))
			if tokens == nil {
				continue
			}
			if strings.ToUpper(a) != a && about == "upper case" && slices.Contains(real, a) && tokens.HasScope {
				t.Finding(g.Exchange, about, "scopes compared with case (OAuth 2.1 section 1.4.1)", "the token has "+a)
			} else if (about == "a comma" || about == "a tab") && slices.Contains(real, a) && slices.Contains(real, b) {
				t.Advise(g.Exchange, "scopes separated by spaces only", "%s separates them too", about)
			}
		}
		if g := t.AS.Authorize(With("scope", strings.TrimSpace(strings.Repeat("a ", 2000)))); expect.Status(g.Exchange) >= 500 && expect.Status(g.Exchange) != 501 {
			t.Finding(g.Exchange, "2,000 scopes", "an answer below 500", expect.Describe(g.Exchange))
		}
	})

	Must("AS-SCOPE-ESCALATION-AT-TOKEN", func(t *T) {
		pool := t.AS.ScopePool()
		for _, wanted := range []string{pool[0] + " " + pool[1], "admin"} {
			g := t.AS.MustAuthorize(Scope(pool[0]))
			ex := t.AS.Redeem(g, With("scope", wanted))
			tokens := t.AS.Tokens(ex, g.Client)
			if tokens == nil {
				t.RefusedWith(ex, "scope "+wanted+" at the token endpoint", "invalid_scope", "invalid_request", "invalid_grant")
				continue
			}
			real, _ := t.AS.RealScope(tokens)
			for _, v := range strings.Fields(wanted) {
				if v != pool[0] && (slices.Contains(real, v) || slices.Contains(tokens.Scope, v)) {
					t.Finding(ex, "scope "+wanted+" at the token endpoint", "the scope of the authorization request", "the token has "+v)
				}
			}
		}
	})

	Practice("AS-SCOPE-GRANTED-SUBSET", func(t *T) {
		pool := t.AS.ScopePool()
		g, tokens, real := grantedBy(t, Scope(pool[0]))
		if tokens == nil {
			t.Inconclusive("a request for %s alone is refused: %s", pool[0], g.Describe())
		}
		for _, v := range pool[1:] {
			if slices.Contains(real, v) {
				t.Unmet(tokens.Exchange, "no more than the requested scope "+pool[0], "the token has %s", v)
			}
		}
	})

	Must("AS-SCOPE-CONSENT-HONOURED", func(t *T) {
		pool := t.AS.ScopePool()
		choice := false
		_, tokens, real := grantedBy(t, Scope(pool[0], pool[1]), Submitting(func(_ *login.Page, f *login.Form, values *oauth.Form) {
			for _, in := range f.Inputs {
				if in.Type == "checkbox" && (in.Value == pool[1] || in.Name == pool[1]) {
					choice = true
					var kept oauth.Form
					for _, p := range *values {
						if p.Name != in.Name || p.Value != in.Value {
							kept = append(kept, p)
						}
					}
					*values = kept
				}
			}
		}))
		if choice && tokens != nil && slices.Contains(real, pool[1]) {
			t.Unmet(tokens.Exchange, "no scope that the user deselected", "the token has %s", pool[1])
		}
		_, tokens, real = grantedBy(t, Scope(pool[0]), Submitting(func(p *login.Page, f *login.Form, values *oauth.Form) {
			if p.Login() == nil {
				for _, name := range []string{"scope", "scopes", "scopes[]", "scope[]"} {
					values.Add(name, pool[1])
				}
			}
		}))
		if tokens != nil && slices.Contains(real, pool[1]) {
			t.Unmet(tokens.Exchange, "no scope that was not requested", "a form with %s added brings it", pool[1])
		}
	})

	Must("AS-SCOPE-DEFAULT", func(t *T) {
		g, tokens, real := grantedBy(t, Without("scope"))
		if tokens == nil {
			if g.Code() != "" {
				t.Unmet(g.Exchange, "a code that can be redeemed, or error invalid_scope", "the code cannot be redeemed")
			} else if e := g.Error(); e != "" && e != "invalid_scope" && e != "invalid_request" {
				t.Advise(g.Exchange, "error invalid_scope", "error %s", e)
			}
			return
		}
		known, _ := t.AS.Server().Metadata.Strings("scopes_supported")
		if !tokens.HasScope && len(known) > 0 {
			t.Unmet(tokens.Exchange, "the default scope in the answer, since none was requested", "scope is absent")
		}
		if len(known) > 2 && len(real) >= len(known) {
			t.Advise(tokens.Exchange, "a modest default scope", "a request without scope is granted everything: %s", strings.Join(real, " "))
		}
	})

	Should("AS-SCOPE-ADVERTISED-OBTAINABLE", func(t *T) {
		published, _ := t.MCP.Resource().Object.Strings("scopes_supported")
		sets := map[string][]string{"the resource's scopes_supported": published}
		if v, ok := expect.Param(t.MCP.Anonymous(), "scope"); ok {
			sets["the challenge's scope"] = strings.Fields(v)
		}
		any := false
		for about, scopes := range Sorted(sets) {
			if len(scopes) == 0 {
				continue
			}
			any = true
			if g := t.AS.MustReachDecision(t.AS.Authorize(Scope(scopes...))); g.Error() == "invalid_scope" {
				t.Finding(g.Exchange, about, "scopes that the authorization server knows", "error invalid_scope for "+strings.Join(scopes, " "))
			}
		}
		if !any {
			t.NotApplicable("no scopes are advertised")
		}
	})

	Should("AS-SCOPE-STEP-UP", func(t *T) {
		pool := t.AS.ScopePool()
		first := t.AS.MustAuthorize(Scope(pool[0]), SignedOut())
		t.AS.Tokens(t.AS.Redeem(first), first.Client)
		g := t.AS.MustReachDecision(t.AS.Authorize(Scope(pool[0], pool[1]), InJar(first.Jar)))
		if g.Code() == "" {
			t.Unmet(g.Exchange, "a wider grant for a client that has one already", "%s", g.Describe())
			return
		}
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		real, seen := t.AS.RealScope(tokens)
		switch {
		case tokens == nil:
			t.Unmet(g.Exchange, "a code that can be redeemed", "it cannot")
		case seen && !slices.Contains(real, pool[0]):
			t.Unmet(tokens.Exchange, "the scope of before, which was requested again", "%s is lost", pool[0])
		case seen && !slices.Contains(real, pool[1]) && slices.Contains(tokens.Scope, pool[1]):
			t.Unmet(tokens.Exchange, "the scope that is reported", "the token lacks %s", pool[1])
		case seen && !slices.Contains(real, pool[1]) && !tokens.HasScope:
			t.Unmet(tokens.Exchange, "the added scope, or a report that it is missing", "neither")
		case seen && !slices.Contains(real, pool[1]):
			t.Advise(tokens.Exchange, "the added scope "+pool[1], "the user granted both, and the token has %s", strings.Join(real, " "))
		}
	})
}
