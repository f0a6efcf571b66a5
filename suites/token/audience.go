package token

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

func audiences() {
	Should("AS-TOKEN-AUD-NOT-UNIVERSAL", func(t *T) {
		s := t.Separate()
		t.Guarded(s)
		if _, theirs := t.For(s.Resource); theirs == nil || !t.Served(t.UseAtSibling(s, theirs.Access)) {
			t.Inconclusive("the control failed: a token for %s is not issued, or not served there", s.Resource)
		}
		g := t.Decided(t.Authorize(Without("resource")))
		if g.Code() == "" {
			t.RefusedBy(g.Exchange)
			return
		}
		ex := t.Redeem(g, Without("resource"))
		tokens := t.Tokens(ex, g.Client)
		if tokens == nil {
			t.RefusedBy(ex)
			return
		}
		audience, seen := t.Audience(tokens)
		if t.Works(tokens) && t.Served(t.UseAtSibling(s, tokens.Access)) {
			t.Unmet(ex, "a token that was requested without resource to be good for one resource, or for none", "%s and %s both serve it", t.Survey.Endpoint, s.Endpoint)
		} else if seen && len(audience) == 0 {
			t.Advise(ex, "an audience in every token", "a token that was requested without resource has none")
		}
		t.Refused()
		t.Controlled()
	})
}
