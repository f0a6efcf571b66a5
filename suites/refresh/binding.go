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
	first := func() *oauth.Tokens { return t.AS.MustGetRefreshToken() }
	second := func() *oauth.Tokens { return refreshableAgain(t, t.AS.MustGetRefreshToken) }
	Each(t, Cases[switching]{
		{"another resource at refresh", switching{first, s.Resource}},
		{"another resource at a second refresh", switching{second, s.Resource}},
		{"a foreign resource at refresh", switching{first, Attacker}},
	}, func(t *T, w switching) {
		tokens := w.tokens()
		if tokens.Refresh == "" {
			t.NotApplicable("a refresh issues no refresh token: the first one is used again")
		}
		t.Sibling.Within(s, t.AS.Refresh(tokens, With("resource", w.resource)), tokens.Client, "", w.resource)
	})
	Each(t, Cases[string]{{"a grant for the other resource, and none at refresh", s.Resource}}, staysElsewhere)
}

// refreshableAgain returns the tokens of a refresh. It ends the row where a second refresh is refused in any case: no clause has a grant
// live so long.
func refreshableAgain(t *T, begin func(edits ...Edit) *oauth.Tokens, edits ...Edit) *oauth.Tokens {
	tried := t.AS.MustRefresh(begin(edits...))
	if tried.Refresh == "" {
		return tried
	}
	if ex := t.AS.Refresh(tried); oauth.ErrorCode(ex) == "invalid_grant" && t.AS.Tokens(ex, tried.Client) == nil {
		t.NotApplicable("a second refresh is refused in any case: %s", expect.Describe(ex))
	}
	return t.AS.MustRefresh(begin(edits...))
}

// switching is a refresh for a resource that was not granted.
type switching struct {
	tokens   func() *oauth.Tokens
	resource string
}

// staysElsewhere refreshes what was granted for another resource, without naming one: the token must not be for the target instead.
func staysElsewhere(t *T, resource string) {
	_, theirs := t.AS.TokensFor(resource, t.AS.ForRefresh())
	if theirs == nil || theirs.Refresh == "" {
		t.NotApplicable("no refresh token is issued for %s", resource)
	}
	before, seen := t.AS.Audience(theirs)
	if !seen || Names(before, t.Session.Resource) {
		t.NotApplicable("a token for %s is not seen to be for it alone", resource)
	}
	ex := t.AS.Refresh(theirs, Without("resource"))
	next := t.AS.Tokens(ex, theirs.Client)
	if next == nil {
		t.NotApplicable("the refresh is refused: %s", expect.Describe(ex))
	}
	audience, seen := t.AS.Audience(next)
	if !seen {
		t.Inconclusive("the audience of the token for %s could be seen, and that of the refreshed one cannot", resource)
	}
	t.Expect(audience).SeenIn(ex).To(leaveOut(t.Session.Resource))
}

var leaveOut = expect.Family("leaveOut", func(resource string) expect.Matcher {
	return expect.That("an audience without "+resource+", which was not granted", func(audience []string) string {
		if Names(audience, resource) {
			return "the audience is " + strings.Join(audience, " ")
		}
		return ""
	})
})

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
