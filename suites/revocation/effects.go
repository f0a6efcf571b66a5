package revocation

import (
	"cmp"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// before is an action on tokens before they are used.
type before func(tokens *oauth.Tokens)

// refresh is a refresh with a new refresh token, after such an action.
func refresh(t *T, base ...Edit) Attempt[before] {
	return Attempt[before]{Name: "a refresh with a token that was not revoked", Good: expect.IssueTokens(), Send: func(happens ...before) any {
		tokens := t.AS.MustGetRefreshToken(base...)
		for _, f := range happens {
			f(tokens)
		}
		ex := t.AS.Refresh(tokens)
		t.AS.Tokens(ex, tokens.Client)
		return ex
	}}
}

// revoked revokes a refresh token. If the server does not confirm that, the token may remain valid.
func revoked(t *T, edits ...Edit) before {
	return func(tokens *oauth.Tokens) { mustConfirm(t, t.AS.Revoke(tokens, tokens.Refresh, edits...)) }
}

// revokedLast revokes a refresh token after its access token, which may end the grant: then the refresh token is unknown, and the answer to
// its revocation is that of AS-REVOKE-UNKNOWN-200.
func revokedLast(t *T) before {
	return func(tokens *oauth.Tokens) {
		t.AS.Revoke(tokens, tokens.Access)
		if why := Unanswered(t, t.AS.Revoke(tokens, tokens.Refresh)); why != "" {
			t.Inconclusive("the revocation of a refresh token: %s", why)
		}
	}
}

func mustConfirm(t *T, ex *reports.Exchange) {
	if !t.Expect(ex, "the revocation").To(expect.ConfirmRevocation()) {
		t.Inconclusive("the revocation is not confirmed, so whether it has an effect is not judged: %s", expect.Describe(ex))
	}
}

func endsRefreshTokens(t *T) {
	Refuses(t, refresh(t, As(revoker(t))), Cases[before]{
		{"a revoked refresh token", revoked(t, With("token_type_hint", "refresh_token"))},
		{"a refresh token that was revoked after its access token", revokedLast(t)},
		{"a revoked refresh token that a refresh issued", revokedRefreshed(t)},
	}, expect.RefuseGrant("invalid_grant"))
}

// revokedRefreshed revokes what a second refresh has issued: it may be in another place than the first refresh token of a grant. That it
// was issued shows that what a refresh issues can be used.
func revokedRefreshed(t *T) before {
	return func(tokens *oauth.Tokens) {
		first := t.AS.MustRefresh(tokens)
		second := t.AS.Refresh(first)
		if oauth.ErrorCode(second) == "invalid_grant" {
			t.NotApplicable("a second refresh is refused in any case: %s", expect.Describe(second))
		}
		next := t.AS.Tokens(second, first.Client)
		if next == nil {
			t.Inconclusive("a second refresh fails: %s", expect.Describe(second))
		}
		next.Refresh = cmp.Or(next.Refresh, first.Refresh)
		*tokens = *next
		mustConfirm(t, t.AS.Revoke(tokens, tokens.Refresh))
	}
}

func findsTokenWhateverTheHint(t *T) {
	Refuses(t, refresh(t, As(revoker(t))), Cases[before]{
		{"a refresh token revoked without a hint", revoked(t)},
		{"a refresh token revoked with token_type_hint access_token", revoked(t, With("token_type_hint", "access_token"))},
		{"a refresh token revoked with an unknown token_type_hint", revoked(t, With("token_type_hint", "mcpauth_bogus"))},
	}, expect.RefuseGrant("invalid_grant"))
	Each(t, Cases[string]{
		{"an access token revoked with token_type_hint refresh_token", "refresh_token"},
	}, findsAccessToken)
}

// findsAccessToken applies where the revocation of an access token has an effect that is seen.
func findsAccessToken(t *T, hint string) {
	c := revoker(t)
	probe := t.AS.MustGetTokens(As(c))
	if !t.MCP.Works(probe) {
		t.NotApplicable("the MCP server does not serve a new access token, so its end cannot be seen")
	}
	mustEndAccess(t, probe)
	tokens := mustWork(t, c)
	mustConfirm(t, t.AS.Revoke(tokens, tokens.Access, With("token_type_hint", hint)))
	last, _ := t.MCP.UntilRefused(tokens.Access)
	t.Expect(last, "after %s", expect.Span(t.Patience)).To(expect.RefuseAnyway())
}

func servesPublicClients(t *T) {
	c := t.AS.PublicClient()
	rows := Cases[before]{{"a refresh token revoked with client_id alone", revoked(t)}}
	Refuses(t, refresh(t, As(c)), rows, expect.RefuseGrant("invalid_grant"))
}

// A revocation without client authentication must have no effect; one by the client itself must.
func authenticatesConfidentialClients(t *T) {
	c := t.AS.ConfidentialClient()
	if t.AS.MustGetTokens(As(c), t.AS.ForRefresh()).Refresh == "" {
		t.NotApplicable("a confidential client gets no refresh token, so the effect is not seen")
	}
	rows := append(Cases[Edit]{{"no credentials", Unidentified()}}, t.AS.WrongSecrets(c)...)
	Each(t, rows, func(t *T, unauthenticated Edit) {
		tokens := t.AS.MustGetRefreshToken(As(c))
		ex := t.AS.Revoke(tokens, tokens.Refresh, unauthenticated)
		t.Expect(ex).Ideally(expect.RefuseGrant("invalid_client", "invalid_request"))
		after := t.AS.Refresh(tokens)
		t.AS.Tokens(after, c)
		t.Expect(after, "a refresh after a revocation that must be refused").To(expect.IssueTokens())
	})
	Refuses(t, refresh(t, As(c)), Cases[before]{{"revoked with " + c.Method, revoked(t)}}, expect.RefuseGrant("invalid_grant"))
	if p, _ := t.Session.Client(t.Context(), session.ConfidentialPost); p != nil && c.Method != oauth.Post {
		Refuses(t, refresh(t, As(p)), Cases[before]{{"revoked with client_secret_post", revoked(t)}}, expect.RefuseGrant("invalid_grant"))
	}
}

// Only the effect counts: many servers answer 200 and do nothing, so that clients do not learn which tokens exist.
func sparesTokensOfOthers(t *T) {
	own := revoker(t)
	other := another(t)
	rows := Cases[*oauth.Client]{{"revoked by another client", other}}
	if other.Public() {
		if c := withSecret(t, own); c != nil { // a server may compare the clients of those requests only that need no secret
			rows = rows.And("revoked by a client with a secret", c)
		}
	}
	Each(t, rows, func(t *T, other *oauth.Client) { sparesTokens(t, own, other) })
}

func sparesTokens(t *T, own, other *oauth.Client) {
	foreign := As(other)
	refreshable := t.AS.MustGetTokens(As(own), t.AS.ForRefresh()).Refresh != ""
	if refreshable {
		tokens := t.AS.MustGetRefreshToken(As(own))
		t.AS.Revoke(tokens, tokens.Refresh, foreign)
		after := t.AS.Refresh(tokens)
		t.AS.Tokens(after, own)
		t.Expect(after, "a refresh after another client revoked the refresh token").To(expect.IssueTokens())
	}
	access := t.AS.MustGetTokens(As(own))
	switch works := t.MCP.Works(access); {
	case !works && !refreshable:
		t.MCP.MustWork(access, "there is no refresh token, and the access token has no effect here that could end")
	case !works:
		return
	}
	t.AS.Revoke(access, access.Access, foreign)
	t.Expect(t.MCP.Use(access.Access), "the access token after another client revoked it").To(expect.BeServed())
}

// withSecret is a client with a secret that may revoke, and is not the one whose tokens are revoked; nil if there is none.
func withSecret(t *T, own *oauth.Client) *oauth.Client {
	c := t.AS.Confidential()
	if c == nil || c.ID == own.ID {
		c, _ = t.AS.Register(map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	}
	if c == nil || c.ID == own.ID || c.Public() || !mayRevoke(t, c) { // equal registrations may get one client
		Untried(t, "revoked by a client with a secret", "another client with a secret, which may revoke")
		return nil
	}
	return c
}

// mayRevoke reports that a client is not refused for what it is.
func mayRevoke(t *T, c *oauth.Client) bool {
	return !wantsAuthentication(t.AS.Revoke(&oauth.Tokens{Client: c}, "mcpauth-"+Random(24)))
}

// another is a client beside the one whose tokens are revoked, which may revoke its own: the second client, or one with a secret.
func another(t *T) *oauth.Client {
	if c := t.AS.SecondClient(); mayRevoke(t, c) {
		return c
	}
	c, _ := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	if c == nil || !mayRevoke(t, c) {
		t.Inconclusive("the second client may not revoke anything here, so that its request is refused for another reason")
	}
	return c
}

// mustWork is a new access token that the MCP server serves; without one, a revocation has no visible effect.
func mustWork(t *T, c *oauth.Client) *oauth.Tokens {
	tokens := t.AS.MustGetTokens(As(c))
	t.MCP.MustWork(tokens, "the MCP server does not serve a new access token, so its end cannot be seen")
	return tokens
}

func endsAccessTokens(t *T) {
	c := revoker(t)
	endsAccessToken(t, mustWork(t, c), "a revoked access token")
	endsAccessTokensOfMachines(t)
	first := t.AS.MustGetTokens(As(c), t.AS.ForRefresh())
	if first.Refresh == "" {
		return
	}
	if refreshed := t.AS.Tokens(t.AS.Refresh(first), c); refreshed != nil && t.MCP.Works(refreshed) {
		endsAccessToken(t, refreshed, "a revoked access token that a refresh issued")
	}
}

// endsAccessTokensOfMachines is about clients that act for themselves: no user's session ends with such a token.
func endsAccessTokensOfMachines(t *T) {
	if len(t.Session.Machines()) == 0 {
		Untried(t, "an access token of a client that acts for itself", AMachine)
		return
	}
	c := t.AS.Machine()
	tokens := t.AS.Tokens(t.AS.RequestForItself(c), c)
	if tokens == nil || !worksInClosedSession(t, tokens) {
		return
	}
	if ex := t.AS.Revoke(tokens, tokens.Access); !expect.Confirmed(ex) {
		t.Note("a client that acts for itself does not revoke its access token here: %s", expect.Describe(ex))
		return
	}
	last, _ := t.MCP.UntilRefused(tokens.Access)
	t.Expect(last, "a revoked access token of a client that acts for itself after %s", expect.Span(t.Patience)).Ideally(expect.RefuseAnyway())
}

// worksInClosedSession reports whether the target serves a token. It ends the session that this opens: after the revocation, no other token
// may end it.
func worksInClosedSession(t *T, tokens *oauth.Tokens) bool {
	t.MCP.MustBeGuarded()
	ex := t.MCP.Use(tokens.Access)
	if id := expect.Header(ex, "Mcp-Session-Id"); id != "" {
		t.Do(t.MCP.Call().InSession(id).Using("DELETE").With(mcp.Bearer(tokens.Access)).Request())
	}
	return t.MCP.Served(ex)
}

func endsAccessToken(t *T, tokens *oauth.Tokens, name string) {
	ex := t.AS.Revoke(tokens, tokens.Access, With("token_type_hint", "access_token"))
	if oauth.ErrorCode(ex) == "unsupported_token_type" {
		t.NotApplicable("the server does not revoke access tokens, and says so")
	}
	mustConfirm(t, ex)
	last, dead := t.MCP.UntilRefused(tokens.Access)
	about := name + " after " + expect.Span(t.Patience)
	if !dead && inactive(t, tokens) {
		t.Note("introspection says that the token is inactive; the MCP server looks at its signature only")
		t.Expect(last, about).Ideally(expect.RefuseAnyway())
		return
	}
	t.Expect(last, about).To(expect.RefuseAnyway())
}

// inactive reports that the authorization server itself says that a token is inactive, which was active before.
func inactive(t *T, tokens *oauth.Tokens) bool {
	if t.AS.Server().Introspection == "" {
		return false
	}
	return t.AS.Introspected(t.AS.MustGetTokens(As(tokens.Client))) != nil && t.AS.Introspected(tokens) == nil
}

// mustEndAccess revokes an access token, and ends the check or the row where that has no effect.
func mustEndAccess(t *T, tokens *oauth.Tokens) {
	if ex := t.AS.Revoke(tokens, tokens.Access); !expect.Confirmed(ex) {
		t.NotApplicable("the server does not revoke access tokens: %s", expect.Describe(ex))
	}
	if _, dead := t.MCP.UntilRefused(tokens.Access); !dead {
		t.NotApplicable("a revoked access token is still served, so nothing ends here (AS-REVOKE-ACCESS-TOKEN)")
	}
}

// RFC 7009 section 2.1: "if the authorization server supports the revocation of access tokens".
func endsAccessTokensOfGrant(t *T) {
	c := revoker(t)
	mustEndAccess(t, mustWork(t, c))
	first := t.AS.MustGetRefreshToken(As(c))
	newest := t.AS.MustRefresh(first)
	mustConfirm(t, t.AS.Revoke(newest, newest.Refresh))
	last, _ := t.MCP.UntilRefused(newest.Access)
	if !t.Expect(last, "the access token of a revoked refresh token after %s", expect.Span(t.Patience)).Ideally(expect.RefuseAnyway()) {
		return
	}
	last, _ = t.MCP.UntilRefused(first.Access)
	t.Expect(last, "an earlier access token of the same grant after %s", expect.Span(t.Patience)).Ideally(expect.RefuseAnyway())
}
