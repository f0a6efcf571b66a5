package audience

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func siblings() {
	Should("AS-RES-SWITCH-AT-TOKEN", keepsResourceOfGrant)
	Should("AS-RES-MULTIPLE", readsSeveralResources)
	Must("RS-AUD-CROSS-RESOURCE", refusesSiblingsToken)
}

// foreign is a change of a request that must not lead to a token for a resource.
type foreign struct {
	edits    []Edit
	resource string
}

// RFC 8707 section 2.2: the token request may select among the resources of the grant.
func keepsResourceOfGrant(t *T) {
	s, own := t.Sibling.Apart(), With("resource", t.Session.Resource)
	Each(t, Cases[foreign]{
		{"another resource at the token endpoint", foreign{[]Edit{With("resource", s.Resource)}, s.Resource}},
		{"a second resource at the token endpoint", foreign{[]Edit{own, Also("resource", s.Resource)}, s.Resource}},
		{"a foreign resource at the token endpoint", foreign{[]Edit{With("resource", Attacker)}, Attacker}},
	}, func(t *T, f foreign) {
		g := t.AS.MustAuthorize(own)
		t.Sibling.Within(s, t.AS.Redeem(g, f.edits...), g.Client, "", f.resource)
	})
}

// RFC 8707 section 2: "Multiple resource parameters MAY be used".
func readsSeveralResources(t *T) {
	s, own := t.Sibling.Apart(), With("resource", t.Session.Resource)
	Each(t, Cases[Edit]{{"two resources", Also("resource", s.Resource)}}, func(t *T, both Edit) {
		g := t.AS.MustReachDecision(t.AS.Authorize(own, both))
		if g.Code() != "" {
			several(t, s, g)
		} else if g.Error() != "invalid_target" {
			t.Expect(g, "or error invalid_target, where several are not supported").Ideally(expect.EndWithCode())
		}
	})
	mixed(t, s, own)
}

// mixed names a foreign resource together with that of the server. AS-RES-UNKNOWN-TARGET judges a server that accepts it alone.
func mixed(t *T, s Sibling, own Edit) {
	anyResource := ""
	if _, alone := t.AS.TokensFor(Attacker); alone != nil {
		if audience, _ := t.AS.Audience(alone); Names(audience, Attacker) {
			anyResource = "a token for " + Attacker + " alone is issued too (AS-RES-UNKNOWN-TARGET)"
		}
	}
	Each(t, Cases[Edit]{
		{"a foreign resource after that of the server", Also("resource", Attacker)},
		{"a foreign resource before that of the server", Before("resource", Attacker)},
	}, func(t *T, both Edit) {
		if anyResource != "" {
			t.NotApplicable("%s", anyResource)
		}
		g := t.AS.MustReachDecision(t.AS.Authorize(own, both))
		if g.Code() == "" {
			t.Expect(g).To(expect.EndWithoutCode())
			return
		}
		t.Sibling.Within(s, t.AS.Redeem(g, Without("resource")), g.Client, "", Attacker)
	})
}

func refusesSiblingsToken(t *T) {
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
		t.Inconclusive("this proves nothing: a token for %s is answered there with %s", s.Resource, expect.Describe(ex))
	}
	ours, ex := t.AS.MustGetTokens(), t.MCP.Use(theirs.Access)
	audience, seen := t.AS.Audience(theirs)
	oursServed := t.Sibling.Served(s, t.Sibling.Use(s, ours.Access))
	same := seen && (Names(audience, t.MCP.Identifier()) || sameFor(t, ours, audience))
	if t.MCP.Served(ex) && (same || !seen && oursServed) {
		t.Inconclusive("the authorization server's tokens do not tell %s from %s (AS-RES-AUDIENCE-BOUND)", s.Resource, t.MCP.Identifier())
	}
	t.Expect(ex, "a token that was issued for %s", s.Resource).To(expect.Refuse(401))
	if oursServed {
		t.Note("the other endpoint serves a token for %s too: test it as a target of its own", t.MCP.Identifier())
	}
}

// crossForeign judges the MCP server by a token for a resource that is not registered, if no other one is declared.
func crossForeign(t *T) {
	p, own := t.AS.Present(Attacker), t.MCP.Identifier()
	switch {
	case p.Tokens == nil:
		t.NotTestedWithout("two-resources", "the authorization server issues no token for another resource than this one; declare one "+
			"(target.other_resource)")
	case !p.Served:
		t.Expect(p.At, "a token for %s", Attacker).To(expect.Refuse(401))
	case p.Ours(own), p.Seen && sameFor(t, t.AS.MustGetTokens(), p.Audience):
		t.NotTestedWithout("two-resources", "the authorization server issues a token for %s, "+
			"with any requested resource (AS-RES-UNKNOWN-TARGET); "+
			"declare another resource (target.other_resource)", strings.Join(p.Audience, " "))
	case p.Seen && len(p.Audience) == 0 && issuesItself(t):
		t.NotTestedWithout("two-resources", "the tokens of the server's own authorization server name no audience (AS-RES-AUDIENCE-BOUND), "+
			"and nothing shows that it issues tokens for others; declare another resource (target.other_resource)")
	case p.Seen && len(p.Audience) == 0:
		t.Expect(p.At, "a token that names no audience, requested for %s", Attacker).To(expect.Refuse(401))
	case p.Seen:
		t.Expect(p.At, "a token that was issued for %s", strings.Join(p.Audience, " ")).To(expect.Refuse(401))
	default:
		t.Inconclusive("a token that was requested for %s is served, and whether it is meant for %s cannot be seen (AS-RES-UNKNOWN-TARGET); %s",
			Attacker, own, t.AS.ToSeeTokens())
	}
}

// issuesItself reports that the authorization server is at the target's own origin: its tokens may be for the target alone, whatever they
// say.
func issuesItself(t *T) bool {
	at, err := document.ParseURL(t.AS.Server().Token)
	return err == nil && document.Origin(at) == document.Origin(t.Survey.URL)
}

// sameFor reports that an ordinary token has the same audience: a name that the authorization server gave the target, such as
// api://default, which does not distinguish resources.
func sameFor(t *T, ordinary *oauth.Tokens, audience []string) bool {
	own, seen := t.AS.Audience(ordinary)
	return seen && len(own) > 0 && slices.Equal(slices.Sorted(slices.Values(own)), slices.Sorted(slices.Values(audience)))
}

// several looks at the token of a grant for two resources, of which the token request names the target.
func several(t *T, s Sibling, g *Grant) {
	ex := t.AS.Redeem(g, With("resource", t.Session.Resource))
	tokens := t.AS.Tokens(ex, g.Client)
	if !t.Expect(ex, "one of two granted resources at the token endpoint").To(expect.IssueTokens()) || tokens == nil {
		return
	}
	audience, _ := t.AS.Audience(tokens)
	about := "a token for the one resource that the token request names (RFC 8707 section 2.2)"
	t.Expect(audience, "%s", about).SeenIn(ex).Ideally(leaveOut(s.Resource))
	if tokens.Refresh == "" {
		return
	}
	refreshed := t.AS.Refresh(tokens, With("resource", t.Session.Resource))
	if next := t.AS.Tokens(refreshed, g.Client); next != nil {
		if audience, seen := t.AS.Audience(next); seen {
			t.Expect(audience, "a refresh for the one of two granted resources that it names").SeenIn(refreshed).Ideally(leaveOut(s.Resource))
		}
	}
}
