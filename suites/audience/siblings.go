package audience

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func siblings() {
	Must("AS-RES-SWITCH-AT-TOKEN", func(t *T) {
		s, own := t.Sibling.Apart(), With("resource", t.Session.Resource)
		grant := func() *Grant { return t.AS.MustAuthorize(own) }
		g := grant()
		t.Sibling.Within(s, t.AS.Redeem(g, With("resource", s.Resource)), g.Client, "another resource at the token endpoint", s.Resource)
		g = grant()
		t.Sibling.Within(s, t.AS.Redeem(g, own, Also("resource", s.Resource)), g.Client, "a second resource at the token endpoint", s.Resource)
		g = grant()
		t.Sibling.Within(s, t.AS.Redeem(g, With("resource", Attacker)), g.Client, "a foreign resource at the token endpoint", Attacker)
	})

	Must("AS-RES-MULTIPLE", func(t *T) {
		s, own := t.Sibling.Apart(), With("resource", t.Session.Resource)
		g := t.AS.MustReachDecision(t.AS.Authorize(own, Also("resource", s.Resource)))
		switch {
		case g.Code() != "":
			several(t, s, g)
		case g.Error() != "invalid_target":
			t.Advise(g.Exchange, "a code, or error invalid_target where several resources are not supported", "two resources: %s", g.Describe())
		}
		for about, edit := range Sorted(map[string]Edit{"a foreign resource behind ours": Also("resource", Attacker), "a foreign resource before ours": Before("resource", Attacker)}) {
			if g := t.AS.MustReachDecision(t.AS.Authorize(own, edit)); g.Code() == "" {
				t.RefusedBy(g.Exchange)
			} else {
				t.Sibling.Within(s, t.AS.Redeem(g, Without("resource")), g.Client, about, Attacker)
			}
		}
	})

	Must("RS-AUD-CROSS-RESOURCE", func(t *T) {
		if t.OtherResource == "" {
			crossForeign(t)
			return
		}
		s := t.Sibling.Separate()
		t.Sibling.MustBeGuarded(s)
		_, theirs := t.AS.TokensFor(s.Resource)
		if theirs == nil {
			t.Inconclusive("the authorization server issues no token for %s", s.Resource)
		}
		if ex := t.Sibling.Use(s, theirs.Access); !t.Sibling.Served(s, ex) {
			t.Inconclusive("the control failed: a token for %s is answered there with %s", s.Resource, expect.Describe(ex))
		}
		ours := t.AS.MustGetTokens()
		audience, seen := t.AS.Audience(theirs)
		ex := t.MCP.Use(theirs.Access)
		switch {
		case !t.MCP.Served(ex):
			t.Expect(ex, "a token for %s", s.Resource).To(expect.Refuse(401))
		case seen && !Names(audience, t.MCP.Identifier()), !seen && !t.Sibling.Served(s, t.Sibling.Use(s, ours.Access)):
			t.Unmet(ex, "a refusal of a token that was issued for "+s.Resource, "the request is served")
		default:
			t.Inconclusive("the authorization server's tokens do not tell %s from %s (AS-RES-AUDIENCE-BOUND)", s.Resource, t.MCP.Identifier())
		}
		if ex := t.Sibling.Use(s, ours.Access); t.Sibling.Served(s, ex) {
			t.Note("the other endpoint serves a token for %s too: test it as a target of its own", t.MCP.Identifier())
		}
	})
}

// crossForeign judges the MCP server by a token for a resource that nobody registered, where no other one is declared.
func crossForeign(t *T) {
	p, own := t.AS.Present(Attacker), t.MCP.Identifier()
	switch {
	case p.Tokens == nil:
		t.NotTestedWithout("two-resources", "the authorization server issues no token for another resource than this one; declare one (target.other_resource)")
	case !p.Served:
		t.Expect(p.At, "a token for %s", Attacker).To(expect.Refuse(401))
	case p.Ours(own):
		t.NotTestedWithout("two-resources", "the authorization server issues a token for %s whatever is requested (AS-RES-UNKNOWN-TARGET); "+
			"declare another resource (target.other_resource)", own)
	case p.Seen:
		t.Unmet(p.At, "a refusal of a token that was issued for "+strings.Join(p.Audience, " "), "the request is served")
	default:
		t.Inconclusive("a token that was requested for %s is served, and whether it is meant for %s cannot be seen (AS-RES-UNKNOWN-TARGET)", Attacker, own)
	}
}

// several looks at the token of a grant for two resources, of which the token request names ours.
func several(t *T, s Sibling, g *Grant) {
	ex := t.AS.Redeem(g, With("resource", t.Session.Resource))
	tokens := t.AS.Tokens(ex, g.Client)
	if tokens == nil {
		t.Finding(ex, "one of two granted resources at the token endpoint", "a token for it", expect.Describe(ex)+" "+oauth.ErrorCode(ex))
		return
	}
	if audience, _ := t.AS.Audience(tokens); Names(audience, s.Resource) {
		t.Advise(ex, "a token for the one resource that the token request names (RFC 8707 section 2.2)", "its audience is %s", strings.Join(audience, " "))
	}
}
