package token

import (
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func restrictsAudienceWithoutResource(t *T) {
	s := t.Sibling.Separate()
	t.MCP.MustBeGuarded()
	t.Sibling.MustBeGuarded(s)
	if _, theirs := t.AS.TokensFor(s.Resource); theirs == nil || !t.Sibling.Served(s, t.Sibling.Use(s, theirs.Access)) {
		t.Inconclusive("this proves nothing: a token for %s is not issued, or not served there", s.Resource)
	}
	flow := t.AS.CodeFlow(Without("resource"), AtToken(Without("resource"))).Send().(*Flow)
	tokens := t.AS.Tokens(flow.Answer, flow.Client)
	if tokens == nil {
		t.Expect(flow, "a request without resource").To(expect.GiveNoTokens())
		return
	}
	served := servedAt{here: t.MCP.Works(tokens), there: t.Sibling.Served(s, t.Sibling.Use(s, tokens.Access))}
	t.Expect(served, "a token that was requested without resource").SeenIn(flow.Answer).To(oneResource)
	if audience, seen := t.AS.Audience(tokens); seen {
		t.Expect(audience, "a token that was requested without resource").SeenIn(flow.Answer).Ideally(someAudience)
	}
}

// servedAt is which of two resources serve a token.
type servedAt struct{ here, there bool }

var oneResource = expect.That("a token that is good for one resource, or for none", func(s servedAt) string {
	if s.here && s.there {
		return "the target and the other resource both serve it"
	}
	return ""
})

var someAudience = expect.That("an audience in every token", func(audience []string) string {
	if len(audience) == 0 {
		return "the token has no aud"
	}
	return ""
})
