package extension

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

const accessType = "urn:ietf:params:oauth:token-type:access_token"

// RFC 8693 section 2.
func exchange() {
	Practice("AS-TX-VALIDATION", func(t *T) {
		if !t.AS.Lists("grant_types_supported", TokenExchange) {
			t.NotApplicable("grant_types_supported does not list token exchange")
		}
		c := t.AS.ConfidentialClient()
		subject := t.AS.MustGetTokens(As(c))
		ask := func(token string, edits ...Edit) *reports.Exchange {
			return t.AS.TokenRequest(c, append([]Edit{With("grant_type", TokenExchange), With("subject_token", token), With("subject_token_type", accessType)}, edits...)...)
		}
		ex := ask(subject.Access)
		exchanged := t.AS.Tokens(ex, c)
		if exchanged == nil {
			t.Inconclusive("an ordinary exchange is answered with %s %s, so that a refusal proves nothing", expect.Describe(ex), oauth.ErrorCode(ex))
		}
		t.Controlled()
		invalid := []string{"invalid_request", "invalid_grant"}
		for about, token := range Sorted(map[string]string{"garbage": "mcpauth-not-a-token", "a token of another issuer": foreign(t)}) {
			t.RefusedWith(ask(token), about, invalid...)
		}
		if subject.ID != "" {
			t.RefusedWith(ask(subject.ID), "an ID token for an access token", invalid...)
		}
		if subject.Refresh != "" {
			t.RefusedWith(ask(subject.Refresh), "a refresh token for an access token", invalid...)
		}
		narrow(t, ask)
		t.RefusedWith(t.AS.TokenRequest(c, With("grant_type", TokenExchange), With("subject_token", subject.Access), With("subject_token_type", accessType), Unidentified()), "without client authentication", "invalid_client", "invalid_request", "unauthorized_client")
		if public, _ := t.Session.Client(t.Context(), session.Public); public != nil {
			own := t.AS.MustGetTokens(As(public))
			if ex := t.AS.TokenRequest(public, With("grant_type", TokenExchange), With("subject_token", own.Access), With("subject_token_type", accessType)); t.AS.Tokens(ex, public) != nil {
				t.Advise(ex, "exchange for authenticated clients only (RFC 8693 section 2.1)", "whoever has a token exchanges it, as a public client")
			}
		}
		if t.AS.Server().Revocation != "" {
			t.AS.Revoke(subject, subject.Access)
			if _, dead := t.MCP.UntilRefused(subject.Access); dead {
				t.RefusedWith(ask(subject.Access), "a revoked token", invalid...)
			}
		}
	})
}

// foreign is a token that somebody else signed.
func foreign(t *T) string {
	return t.Mint.RSAKey("mcpauth").JWT(nil, t.Mint.Genuine().Claims)
}

// narrow judges that a narrow token is not exchanged for a broader one.
func narrow(t *T, ask func(token string, edits ...Edit) *reports.Exchange) {
	pool := t.AS.ScopePool()
	if len(pool) > 1 {
		less := t.AS.MustGetTokens(As(t.AS.ConfidentialClient()), Scope(pool[0]))
		if ex := ask(less.Access, Scope(pool...)); t.AS.Tokens(ex, less.Client) == nil {
			t.RefusedWith(ex, "a scope that the subject token has not", "invalid_scope")
		} else if real, seen := t.AS.RealScope(t.AS.Tokens(ex, less.Client)); seen && len(real) > 1 {
			t.Finding(ex, "a scope that the subject token has not", "error invalid_scope, or a token without it", "it is granted")
		}
	}
	token := t.AS.MustGetTokens(As(t.AS.ConfidentialClient()))
	if ex := ask(token.Access, With("resource", Attacker)); t.AS.Tokens(ex, token.Client) == nil {
		t.RefusedWith(ex, "a foreign resource", "invalid_target")
	} else if audience, _ := t.AS.Audience(t.AS.Tokens(ex, token.Client)); Names(audience, Attacker) {
		t.Finding(ex, "a foreign resource", "error invalid_target", "a token is minted for it")
	}
}
