package extension

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 8693 section 2.
func exchange() { Practice("AS-TX-VALIDATION", validatesSubjectTokens) }

func validatesSubjectTokens(t *T) {
	if !t.AS.Lists("grant_types_supported", TokenExchange) {
		t.NotApplicable("grant_types_supported does not list token exchange")
	}
	c := t.AS.ConfidentialClient()
	subject := t.AS.MustGetTokens(As(c))
	good := Exchanging(t, c, subject.Access)
	if ex := expect.ExchangeOf(good.Send()); t.AS.Tokens(ex, c) == nil {
		t.Inconclusive("an ordinary exchange is answered with %s, so that a refusal proves nothing", expect.Describe(ex))
	}
	Refuses(t, good, wrongSubjects(t, subject), expect.RefuseGrant("invalid_request", "invalid_grant"))
	unauthenticated := t.AS.WrongSecrets(c).And("without client authentication", Unidentified())
	Refuses(t, good, unauthenticated, expect.RefuseGrant("invalid_client", "invalid_request", "unauthorized_client"))
	narrows(t, c, good)
	if public, _ := t.Session.Client(t.Context(), session.Public); public != nil {
		own := t.AS.MustGetTokens(As(public))
		t.Expect(Exchanging(t, public, own.Access).Send(), "a public client's exchange (RFC 8693 section 2.1)").Ideally(expect.RefuseGrant())
	}
	revokedSubject(t, c)
}

// wrongSubjects are what is not a valid access token of the authorization server.
func wrongSubjects(t *T, subject *oauth.Tokens) Cases[Edit] {
	g, a := t.Mint.Genuine(), mint.NewAttacker()
	foreign := t.Hide(a.Sign(a.Algorithms(g.Header)[0], g.Header, g.Claims))
	rows := NearMisses("subject_token").And("garbage", With("subject_token", "mcpauth-not-a-token")).
		And("a token signed with another key", With("subject_token", foreign))
	if subject.ID != "" {
		rows = rows.And("an ID token for an access token", With("subject_token", subject.ID))
	}
	if subject.Refresh != "" {
		rows = rows.And("a refresh token for an access token", With("subject_token", subject.Refresh))
	}
	return rows
}

// narrows expects that a token is not exchanged for a more powerful one.
func narrows(t *T, c *oauth.Client, good Attempt[Edit]) {
	// This row comes first, because another grant may end the grant of the good subject token.
	elsewhere := expect.ExchangeOf(good.Send(With("resource", Attacker)))
	granting(t, elsewhere, c, "a foreign resource", "invalid_target", func(other *oauth.Tokens) { audienceOf(t, other, "a foreign resource") })
	if pool := t.AS.ScopePool(); len(pool) > 1 {
		less := t.AS.MustGetTokens(As(c), Scope(pool[0]))
		ex := expect.ExchangeOf(Exchanging(t, c, less.Access).Send(Scope(pool...)))
		const wider = "a scope that the subject token has not"
		granting(t, ex, c, wider, "invalid_scope", func(more *oauth.Tokens) {
			granted, seen := t.AS.RealScope(more)
			if !seen && !more.HasScope {
				t.Leave(wider, "the scope of the token cannot be seen")
				return
			}
			if !seen {
				granted = more.Scope
			}
			t.Expect(added(t, less, pool, granted), wider).SeenIn(ex).To(addNoScope)
		})
	}
}

// added are the granted scopes that a subject token, which was requested for the first of the pool, has not. A server may give each token
// scopes of its own, so that only the requested ones count where those of the subject token cannot be seen.
func added(t *T, subject *oauth.Tokens, pool, granted []string) []string {
	_, seen := t.AS.RealScope(subject)
	held, _ := t.AS.Held(subject, pool[:1])
	return slices.DeleteFunc(slices.Clone(granted), func(v string) bool {
		includes := func(h string) bool { return t.MCP.Includes(h, v) }
		return !seen && !slices.Contains(pool, v) || slices.ContainsFunc(held, includes)
	})
}

var addNoScope = expect.That("error invalid_scope, or a token without it", func(added []string) string {
	if len(added) > 0 {
		return "the scope " + strings.Join(added, " ") + " is granted"
	}
	return ""
})

// revokedSubject judges a subject token that was valid until it was revoked.
func revokedSubject(t *T, c *oauth.Client) {
	if t.AS.Server().Revocation == "" {
		return
	}
	refused := expect.RefuseGrant("invalid_request", "invalid_grant")
	if ended := t.AS.TokensIfAny(As(c), t.AS.ForRefresh()); ended != nil && t.AS.EndsWithRefresh(ended) {
		answer := Exchanging(t, c, ended.Access).Send()
		t.Expect(answer, "a token that the MCP server refuses since its refresh token was revoked").To(refused)
	}
	subject := t.AS.MustGetTokens(As(c))
	t.AS.Revoke(subject, subject.Access)
	if _, dead := t.MCP.UntilRefused(subject.Access); !dead {
		t.Note("a revoked token: not tried, since the revocation of an access token has no effect that can be seen (AS-REVOKE-ACCESS-TOKEN)")
	} else {
		t.Expect(Exchanging(t, c, subject.Access).Send(), "a revoked token").To(refused)
	}
}
