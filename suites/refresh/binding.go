package refresh

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func bindsTokenToClient(t *T) {
	foreign := Cases[Edit]{{"used by another public client", As(t.AS.SecondClient())}}
	if c := confidentialBeside(t, t.AS.Refresher()); c != nil {
		foreign = foreign.And("used by a confidential client", As(c))
	}
	Refuses(t, t.AS.RefreshGrant(), foreign, expect.RefuseGrant("invalid_grant"))
	anonymous := t.AS.RefreshGrant().Send(Unidentified())
	t.Expect(anonymous, "used without client_id").Ideally(expect.RefuseGrant("invalid_client", "invalid_request", "invalid_grant"))
	tokens := t.AS.MustGetRefreshToken() // a server may have one refresh token for each user and client: the newest
	t.AS.Refresh(tokens, As(t.AS.SecondClient()))
	t.Expect(t.AS.Refresh(tokens), "used by its own client, after an attempt of another").Ideally(expect.IssueTokens())
}

// confidentialBeside is a confidential client beside another; nil if there is none. A server that refreshes for confidential clients alone
// refuses every public one for what it is.
func confidentialBeside(t *T, other *oauth.Client) *oauth.Client {
	if c := t.AS.Confidential(); c == nil || c.ID != other.ID {
		return c
	}
	c, _ := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	if c == nil || c.Secret == "" {
		Untried(t, "used by a confidential client", "another client with a secret than the one that refreshes")
		return nil
	}
	return c
}

func authenticatesConfidentialClients(t *T) {
	c := t.AS.ConfidentialClient()
	if t.AS.MustGetTokens(As(c), t.AS.ForRefresh()).Refresh == "" {
		t.NotApplicable("a confidential client gets no refresh token")
	}
	Refuses(t, t.AS.RefreshGrant(As(c)), t.AS.WrongSecrets(c), expect.RefuseGrant("invalid_client", "invalid_request"))
	t.AS.SecretsMustBeTried(c)
	tokens := t.AS.MustGetRefreshToken(As(c))
	t.AS.Refresh(tokens, Unidentified(), With("client_id", c.ID))
	t.Expect(t.AS.Refresh(tokens), "the right client after a failed authentication").Ideally(expect.IssueTokens())
}

// Refresh tokens are bound to the resources that the user consented to (RFC 8707 section 2.2).
func keepsResource(t *T) {
	s, own := t.Sibling.Apart(), t.Session.Resource
	Each(t, Cases[Edit]{
		{"no resource at refresh", Without("resource")},
		{"the same resource at refresh", With("resource", own)},
	}, func(t *T, resource Edit) { keepsAudience(t, s, resource) })
	Each(t, Cases[string]{
		{"another resource at refresh", s.Resource},
		{"a foreign resource at refresh", Attacker},
	}, func(t *T, resource string) {
		tokens := t.AS.MustGetRefreshToken()
		t.Sibling.Within(s, t.AS.Refresh(tokens, With("resource", resource)), tokens.Client, "", resource)
	})
}

// keepsAudience refreshes for the resource of the grant. A server may require the parameter (RFC 8707 section 2).
func keepsAudience(t *T, s Sibling, resource Edit) {
	tokens := t.AS.MustGetRefreshToken()
	ex := t.AS.Refresh(tokens, resource)
	next := t.AS.Tokens(ex, tokens.Client)
	if RowOf(t) == "no resource at refresh" && oauth.ErrorCode(ex) == "invalid_target" {
		t.NotApplicable("the server requires the parameter resource")
	}
	if !t.Expect(ex).To(expect.IssueTokens()) {
		return
	}
	if before, seen := t.AS.Audience(tokens); seen {
		audience, again := t.AS.Audience(next)
		if !again {
			t.Inconclusive("the audience of the refreshed token cannot be seen; %s", t.AS.ToSeeTokens())
		}
		if t.Expect(audience).SeenIn(ex).To(keep(before)) {
			keepsAudienceAgain(t, next, resource, before)
		}
	} else {
		t.Expect(t.Sibling.Use(s, next.Access), "at %s", s.Endpoint).To(expect.NotBypass())
	}
}

// keepsAudienceAgain refreshes with what a refresh has issued.
func keepsAudienceAgain(t *T, tokens *oauth.Tokens, resource Edit, before []string) {
	if tokens.Refresh == "" {
		return // the first one may be used again: there is no second one
	}
	ex := t.AS.Refresh(tokens, resource)
	if next := t.AS.Tokens(ex, tokens.Client); next != nil {
		if audience, seen := t.AS.Audience(next); seen {
			t.Expect(audience, "after a second refresh").SeenIn(ex).To(keep(before))
		}
	}
}

var keep = expect.Family("keep", func(before []string) expect.Matcher {
	return expect.That("the audience kept: "+strings.Join(before, " "), func(audience []string) string {
		if slices.Equal(slices.Sorted(slices.Values(audience)), slices.Sorted(slices.Values(before))) {
			return ""
		}
		return "the audience is " + strings.Join(audience, " ")
	})
})
