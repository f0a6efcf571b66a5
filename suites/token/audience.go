package token

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

func audiences() {
	Should("AS-TOKEN-AUD-NOT-UNIVERSAL", func(t *T) {
		s := t.Sibling.Separate()
		t.Sibling.MustBeGuarded(s)
		if _, theirs := t.AS.TokensFor(s.Resource); theirs == nil || !t.MCP.Served(t.Sibling.Use(s, theirs.Access)) {
			t.Inconclusive("the control failed: a token for %s is not issued, or not served there", s.Resource)
		}
		g := t.AS.MustReachDecision(t.AS.Authorize(Without("resource")))
		if g.Code() == "" {
			t.RefusedBy(g.Exchange)
			return
		}
		ex := t.AS.Redeem(g, Without("resource"))
		tokens := t.AS.Tokens(ex, g.Client)
		if tokens == nil {
			t.RefusedBy(ex)
			return
		}
		audience, seen := t.AS.Audience(tokens)
		if t.MCP.Works(tokens) && t.MCP.Served(t.Sibling.Use(s, tokens.Access)) {
			t.Unmet(ex, "a token that was requested without resource to be good for one resource, or for none", "%s and %s both serve it", t.Survey.Endpoint, s.Endpoint)
		} else if seen && len(audience) == 0 {
			t.Advise(ex, "an audience in every token", "a token that was requested without resource has none")
		}
		t.Refused()
		t.Controlled()
	})
}
