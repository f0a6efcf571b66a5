package refresh

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func refreshes(t *T) {
	tokens := t.AS.MustGetTokens(t.AS.ForRefresh())
	if tokens.Refresh == "" {
		t.NotApplicable("the authorization server issues no refresh token; its clients must sign in again")
	}
	ex := t.AS.Refresh(tokens)
	next := t.AS.Tokens(ex, tokens.Client)
	if t.Expect(ex, "a refresh").To(expect.IssueTokens()) && t.MCP.Works(tokens) {
		t.Expect(t.MCP.Use(next.Access), "the refreshed access token").To(expect.BeServed())
	}
}

func issuesNewAccessToken(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	next := t.AS.MustRefresh(tokens)
	t.Expect(next, "a refresh").To(expect.That("a new access token", func(next *oauth.Tokens) string {
		if next.Access == tokens.Access {
			return "the same one"
		}
		return ""
	}))
}

// The refreshed token stands for the grant that the refresh token came from, whoever signed in meanwhile.
func keepsUserAndClient(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	before := bearer(t, tokens)
	if before == "" {
		t.Inconclusive("whom a token stands for cannot be seen: it is no JWT, and neither userinfo nor introspection " +
			"(client.clients, introspects: true) nor a tool (tools, tells: caller) tells")
	}
	if t.Session.UserCount() > 1 {
		t.AS.MustGetTokens(By(1), SignedOut()) // somebody else is the last to sign in
	}
	next := t.AS.MustRefresh(tokens)
	next.ID = "" // it may be the first one's
	if after := bearer(t, next); after != "" {
		t.Expect(after, "the user of a refreshed token").SeenIn(next.Exchange).To(expect.Be(before))
	}
	t.Expect(clientOf(next.Access), "the client of a refreshed token").SeenIn(next.Exchange).To(expect.Be(clientOf(tokens.Access)))
}

// bearer is whom a token stands for: its subject, or what the declared tool says of its caller.
func bearer(t *T, tokens *oauth.Tokens) string {
	if subject := t.AS.Subject(tokens); subject != "" {
		return subject
	}
	if tool, declared := t.MCP.WhoAmI(); declared {
		if ex := t.MCP.CallTool(tokens.Access, tool); expect.Ran(ex) {
			return strings.TrimSpace(Text(ex))
		}
	}
	return ""
}

// clientOf is the client that a token names; empty where that cannot be read.
func clientOf(token string) string {
	_, claims := oauth.Claims(token)
	return claims.String("client_id")
}

func issuesUnguessableTokens(t *T) {
	var values []string
	for range 4 {
		tokens := t.AS.MustGetRefreshToken()
		values = append(values, tokens.Refresh)
		t.Expect(tokens).To(differ)
	}
	t.Expect(values).To(expect.BeUnguessable("refresh tokens"))
}

var differ = expect.That("a refresh token that is not the access token", func(tokens *oauth.Tokens) string {
	if tokens.Refresh == tokens.Access {
		return "they are equal"
	}
	return ""
})

func refusesInvalidTokens(t *T) {
	invalid := NearMisses("refresh_token").
		And("a refresh token that was never issued", With("refresh_token", "mcpauth-"+Random(24))).
		And("a JWT with alg none", With("refresh_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")).
		And("a JWT whose exp was changed", Change("refresh_token", prolonged))
	Refuses(t, t.AS.RefreshGrant(), invalid, expect.RefuseGrant("invalid_grant"))
	Refuses(t, t.AS.RefreshGrant(), Cases[Edit]{
		{"an empty refresh_token", With("refresh_token", "")},
		{"no refresh_token", Without("refresh_token")},
	}, expect.RefuseGrant("invalid_request", "invalid_grant"))
}

// prolonged is a JWT with a later exp under its old signature; anything else is left as it is.
func prolonged(token string) string {
	parts := strings.Split(token, ".")
	var claims map[string]any
	if len(parts) != 3 {
		return token
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &claims) != nil {
		return token
	}
	exp, _ := claims["exp"].(float64)
	claims["exp"] = int64(exp) + 86400
	body, _ = json.Marshal(claims) // what was read marshals
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "." + parts[2]
}

func issuesToClientsThatCanRefresh(t *T) {
	c := t.AS.MustRegister(map[string]any{"grant_types": []string{"authorization_code"}})
	if granted, _ := c.Registered.Strings("grant_types"); !slices.Contains(granted, "refresh_token") {
		t.Expect(t.AS.MustGetTokens(As(c)), "a client that registered authorization_code only").Ideally(bringNoRefreshToken)
	}
	if t.AS.Lists("scopes_supported", "offline_access") {
		scopes := append(slices.Clone(t.Session.RequestedScopes()), "offline_access")
		g := t.AS.MustReachDecision(t.AS.Authorize(Scope(scopes...)))
		t.Expect(g, "offline_access, which is advertised").To(grantOrIgnoreScope)
	}
}

var bringNoRefreshToken = expect.That("no refresh token", func(tokens *oauth.Tokens) string {
	if tokens.Refresh != "" {
		return "one is issued"
	}
	return ""
})

var grantOrIgnoreScope = expect.That("the scope to be granted or ignored", func(g *Grant) string {
	if g.Error() == "invalid_scope" {
		return "error invalid_scope"
	}
	return ""
})

// Some designs have a refresh endpoint of their own beside the token endpoint.
func guardsOtherEndpoints(t *T) {
	found := false
	for _, path := range []string{"/refresh", "/auth/refresh", "/oauth/refresh", "/api/refresh"} {
		endpoint := strings.TrimSuffix(t.AS.Server().Issuer, "/") + path
		if endpoint != t.AS.Server().Token && isRefreshEndpoint(refreshAt(t, endpoint, "mcpauth")) {
			found = true
			guardsEndpoint(t, endpoint, path)
		}
	}
	if !found {
		t.NotApplicable("there is no other refresh endpoint in the usual places")
	}
}

func guardsEndpoint(t *T, endpoint, path string) {
	used := t.AS.MustGetRefreshToken()
	t.AS.MustRefresh(used)
	Each(t, Cases[string]{
		{path + " with a made-up refresh token", "mcpauth"},
		{path + " with a used refresh token", used.Refresh},
		{path + " without a client", t.AS.MustGetRefreshToken().Refresh},
	}, func(t *T, token string) {
		t.Expect(refreshAt(t, endpoint, token)).To(expect.RefuseGrant())
	})
}

func refreshAt(t *T, endpoint, token string) *reports.Exchange {
	body := fmt.Sprintf(`{"refresh_token":%q}`, token)
	return t.Do(wire.Request{Method: "POST", URL: endpoint, Body: body, Header: []reports.Field{mcp.Field("Content-Type", "application/json")}})
}

func isRefreshEndpoint(ex *reports.Exchange) bool {
	s := expect.Status(ex)
	return s != 404 && s != 405 && strings.Contains(expect.MediaType(ex), "json")
}

func refusesRevokedTokens(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	if ex := t.AS.Revoke(tokens, tokens.Refresh); expect.Status(ex) != 200 {
		t.Inconclusive("the refresh token could not be revoked (AS-REVOKE-REFRESH-TOKEN): %s", expect.Describe(ex))
	}
	t.Expect(t.AS.Refresh(tokens), "a revoked refresh token").To(expect.RefuseGrant("invalid_grant"))
}

func endsIdleTokens(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	t.Elapse(30*24*time.Hour + time.Hour)
	t.Expect(t.AS.Refresh(tokens), "a refresh token after 30 days without use").To(expect.RefuseGrant("invalid_grant"))
}
