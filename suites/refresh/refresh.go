// Package refresh holds the checks on refresh tokens: rotation, families, binding and scope (OAuth 2.1
// section 4.3, RFC 9700 section 4.14).
package refresh

import (
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

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.3: Refresh Token Grant", grant)
	Describe("OAuth 2.1 section 4.3.1: rotation", rotation)
	Describe("OAuth 2.1 section 4.3.1: binding", binding)
	Describe("OAuth 2.1 section 4.3.3: Refresh Token Recommendations", idle)
	Describe("RFC 8707 section 2.2: Access Token Request", resources)
}

func grant() {
	Must("AS-REFRESH-WORKS", func(t *T) {
		tokens := t.AS.MustGetTokens()
		if tokens.Refresh == "" {
			t.NotApplicable("the authorization server issues no refresh token; its clients must sign in again")
		}
		ex := t.AS.Refresh(tokens)
		next := t.AS.Tokens(ex, tokens.Client)
		if !t.Expect(ex, "a refresh").To(expect.IssueTokens()) {
			return
		}
		if t.MCP.Served(t.MCP.Use(tokens.Access)) {
			t.Expect(t.MCP.Use(next.Access), "the refreshed access token").To(t.MCP.Serve())
		}
	})

	Practice("AS-REFRESH-NEW-ACCESS-TOKEN", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		next := t.AS.MustRefresh(tokens)
		if next.Access == tokens.Access {
			t.Unmet(next.Exchange, "a new access token", "the same one")
		}
	})

	// OAuth 2.1 section 4.3.3: the refreshed token stands for the same grant.
	Must("AS-REFRESH-SAME-USER", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		before := t.AS.Subject(tokens)
		if before == "" {
			t.Inconclusive("whom a token stands for cannot be seen")
		}
		if t.Session.UserCount() > 1 {
			t.AS.MustGetTokens(By(1), SignedOut()) // somebody else is the last to sign in
		}
		next := t.AS.MustRefresh(tokens)
		next.ID = "" // it may be the first one's
		if after := t.AS.Subject(next); after != before && after != "" {
			t.Unmet(next.Exchange, "a refreshed token for "+before, "it stands for %s", after)
		}
		if a, b := clientOf(tokens.Access), clientOf(next.Access); a != b {
			t.Unmet(next.Exchange, "a refreshed token for the client "+a, "it names %s", b)
		}
	})

	Must("AS-REFRESH-RANDOM", func(t *T) {
		var values []string
		for range 4 {
			tokens := t.AS.MustGetRefreshToken()
			values = append(values, tokens.Refresh)
			if tokens.Refresh == tokens.Access {
				t.Unmet(tokens.Exchange, "a refresh token that is not the access token", "they are equal")
			}
		}
		t.Expect(values).To(expect.BeUnguessable("refresh tokens"))
	})

	Must("AS-REFRESH-INVALID", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		rt := tokens.Refresh
		middle := len(rt) / 2
		for about, edit := range Sorted(map[string]Edit{
			"a refresh token that was never issued": With("refresh_token", "mcpauth-"+Random(24)), "an empty refresh_token": With("refresh_token", ""),
			"no refresh_token": Without("refresh_token"), "a real one with a character changed in the middle": With("refresh_token", t.NearMiss(rt, middle)),
			"a JWT with alg none": With("refresh_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."),
		}) {
			t.RefusedWith(t.AS.Refresh(tokens, edit), about, "invalid_grant", "invalid_request")
		}
	})

	Practice("AS-REFRESH-CLIENT-CAPABILITY", func(t *T) {
		c := t.AS.MustRegister(map[string]any{"grant_types": []string{"authorization_code"}})
		if granted, ok := c.Registered.Strings("grant_types"); !ok || !slices.Contains(granted, "refresh_token") {
			if tokens := t.AS.MustGetTokens(As(c)); tokens.Refresh != "" {
				t.Advise(tokens.Exchange, "no refresh token for a client that registered authorization_code only", "one is issued")
			}
		}
		supported, _ := t.AS.Server().Metadata.Strings("scopes_supported")
		if !slices.Contains(supported, "offline_access") {
			return
		}
		scopes := append(slices.Clone(t.Session.RequestedScopes()), "offline_access")
		if g := t.AS.MustReachDecision(t.AS.Authorize(Scope(scopes...))); g.Error() == "invalid_scope" {
			t.Unmet(g.Exchange, "offline_access to be granted or ignored, since it is advertised", "error invalid_scope")
		}
	})

	Practice("AS-REFRESH-SIDE-ENDPOINTS", func(t *T) {
		found := false
		for _, path := range []string{"/refresh", "/auth/refresh", "/oauth/refresh", "/api/refresh"} {
			endpoint := strings.TrimSuffix(t.AS.Server().Issuer, "/") + path
			send := func(token string) *reports.Exchange {
				return t.Do(wire.Request{Method: "POST", URL: endpoint, Body: fmt.Sprintf(`{"refresh_token":%q}`, token), Header: []reports.Field{mcp.Field("Content-Type", "application/json")}})
			}
			ex := send("mcpauth")
			if s := expect.Status(ex); s == 404 || s == 405 || endpoint == t.AS.Server().Token || !strings.Contains(expect.MediaType(ex), "json") {
				continue
			}
			found = true
			t.RefusedWith(ex, path+" with a made-up refresh token")
			tokens := t.AS.MustGetRefreshToken()
			used := tokens.Refresh
			t.AS.MustRefresh(tokens)
			t.RefusedWith(send(used), path+" with a used refresh token")
			t.RefusedWith(send(t.AS.MustGetRefreshToken().Refresh), path+" without a client")
		}
		if !found {
			t.NotApplicable("there is no other refresh endpoint in the usual places")
		}
	})

	Must("AS-REFRESH-REVOKED", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		ex := t.AS.Revoke(tokens, tokens.Refresh)
		if expect.Status(ex) != 200 {
			t.Inconclusive("the refresh token could not be revoked (AS-REVOKE-REFRESH-TOKEN): %s", expect.Describe(ex))
		}
		t.RefusedWith(t.AS.Refresh(tokens), "a revoked refresh token", "invalid_grant")
	})

	Should("AS-REFRESH-SCOPE-NARROW", func(t *T) {
		pool := t.AS.ScopePool()
		tokens := t.AS.MustGetRefreshToken(Scope(pool[0], pool[1]))
		if !slices.Contains(tokens.Scope, pool[1]) && tokens.HasScope {
			t.Inconclusive("the user was not granted both scopes: %v", tokens.Scope)
		}
		ex := t.AS.Refresh(tokens, Scope(pool[0]))
		narrow := t.AS.Tokens(ex, tokens.Client)
		if narrow == nil {
			t.Advise(ex, "a narrower token", "the narrower scope is refused: %s", expect.Describe(ex))
			return
		}
		if real, seen := t.AS.RealScope(narrow); seen && slices.Contains(real, pool[1]) {
			if narrow.HasScope && !slices.Contains(narrow.Scope, pool[1]) {
				t.Unmet(ex, "a token with the reported scope", "it has %s too", pool[1])
			} else {
				t.Advise(ex, "a narrower token", "the wider scope is kept, and reported")
			}
		}
		if narrow.Refresh == "" {
			narrow.Refresh = tokens.Refresh
		}
		wide := t.AS.MustRefresh(narrow)
		if real, seen := t.AS.RealScope(wide); seen && !slices.Contains(real, pool[1]) {
			t.Unmet(wide.Exchange, "the whole scope again, since a refresh token keeps the scope of its grant (OAuth 2.1 section 4.3.1)", "scope %s", strings.Join(real, " "))
		}
	})

	Must("AS-REFRESH-SCOPE-WIDEN", func(t *T) {
		pool := t.AS.ScopePool()
		for _, wanted := range []string{pool[0] + " " + pool[1], pool[1], "admin", "mcpauth:unknown"} {
			tokens := t.AS.MustGetRefreshToken(Scope(pool[0]))
			if real, seen := t.AS.RealScope(tokens); seen && slices.Contains(real, pool[1]) {
				t.Inconclusive("a request for %s is granted %s too (AS-SCOPE-GRANTED-SUBSET)", pool[0], pool[1])
			}
			ex := t.AS.Refresh(tokens, With("scope", wanted))
			next := t.AS.Tokens(ex, tokens.Client)
			if next == nil {
				t.RefusedWith(ex, "scope "+wanted, "invalid_scope", "invalid_grant")
				continue
			}
			real, _ := t.AS.RealScope(next)
			for _, v := range strings.Fields(wanted) {
				if v != pool[0] && (slices.Contains(real, v) || slices.Contains(next.Scope, v)) {
					t.Finding(ex, "scope "+wanted, "no scope that was not granted", "the new token has "+v)
				}
			}
		}
	})
}

func rotation() {
	Must("AS-REFRESH-ROTATES", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		if !tokens.Client.Public() {
			t.NotApplicable("the client is confidential; rotation is for public clients")
		}
		seen := []string{tokens.Refresh}
		for range 2 {
			ex := t.AS.Refresh(tokens)
			next := t.AS.Tokens(ex, tokens.Client)
			if next == nil {
				t.Inconclusive("an ordinary refresh fails (AS-REFRESH-WORKS): %s", expect.Describe(ex))
			}
			if next.Refresh == "" || slices.Contains(seen, next.Refresh) {
				t.Unmet(ex, "a new refresh token with every refresh", "the old one stays")
				return
			}
			seen, tokens = append(seen, next.Refresh), next
		}
	})

	Must("AS-REFRESH-OLD-DIES", func(t *T) {
		tokens := rotating(t)
		t.AS.MustRefresh(tokens)
		ex := t.AS.Refresh(tokens)
		if t.AS.Tokens(ex, tokens.Client) == nil {
			t.RefusedWith(ex, "a used refresh token", "invalid_grant")
			return
		}
		// A short overlap, for lost responses, is allowed. Another family shows whether it ends.
		tokens = t.AS.MustGetRefreshToken()
		t.AS.MustRefresh(tokens)
		wait(t)
		if late := t.AS.Refresh(tokens); t.AS.Tokens(late, tokens.Client) != nil {
			t.Unmet(late, "a used refresh token refused", "it still works after %v", t.Patience)
		} else {
			t.Advise(ex, "a used refresh token refused", "it works again for a while")
		}
	})

	Must("AS-REFRESH-REUSE-REVOKES-FAMILY", func(t *T) {
		first := rotating(t)
		third := t.AS.MustRefresh(t.AS.MustRefresh(first))
		ex := t.AS.Refresh(first)
		if t.AS.Tokens(ex, first.Client) != nil {
			wait(t)
			if ex = t.AS.Refresh(first); t.AS.Tokens(ex, first.Client) != nil {
				t.NotApplicable("a used refresh token still works (AS-REFRESH-OLD-DIES)")
			}
		}
		if last := t.AS.Refresh(third); t.AS.Tokens(last, first.Client) != nil {
			t.Unmet(last, "the whole family revoked, since a used refresh token came back", "the newest refresh token still works")
		} else {
			t.RefusedWith(last, "the newest refresh token of a family after reuse", "invalid_grant")
		}
	})

	Should("AS-REFRESH-REUSE-KILLS-ACCESS", func(t *T) {
		first := rotating(t)
		third := t.AS.MustRefresh(t.AS.MustRefresh(first))
		if !t.MCP.Works(third) {
			t.Inconclusive("the access token has no effect here that could end")
		}
		if ex := t.AS.Refresh(first); t.AS.Tokens(ex, first.Client) != nil {
			t.NotApplicable("a used refresh token still works (AS-REFRESH-OLD-DIES)")
		}
		if ex, dead := t.MCP.UntilRefused(third.Access); !dead {
			t.Advise(ex, "the access tokens of the family revoked too", "the newest one is still served after %v", t.Patience)
		}
	})

	Practice("AS-REFRESH-RACE", func(t *T) {
		tokens := rotating(t)
		var same []Variant
		for i := range 5 {
			r := t.AS.BuildRefresh(tokens)
			r.Fresh = true
			same = append(same, Variant{About: fmt.Sprint(i), Request: r})
		}
		lineages := map[string]*oauth.Tokens{}
		for _, ex := range t.Race(same) {
			if next := t.AS.Tokens(ex, tokens.Client); next != nil && next.Refresh != "" {
				lineages[next.Refresh] = next
			}
		}
		if len(lineages) < 2 {
			return
		}
		wait(t)
		alive := 0
		for _, next := range Sorted(lineages) {
			if t.AS.Tokens(t.AS.Refresh(next), tokens.Client) != nil {
				alive++
			}
		}
		if alive > 1 {
			t.Unmet(nil, "one lineage after 5 refreshes at once", "%d different refresh tokens go on working", alive)
		}
	})
}

// wait lets a documented overlap pass.
func wait(t *T) {
	select {
	case <-time.After(t.Patience):
	case <-t.Context().Done():
	}
}

// rotating is a flow at a server that rotates refresh tokens.
func rotating(t *T) *oauth.Tokens {
	probe := t.AS.MustGetRefreshToken()
	if next := t.AS.MustRefresh(probe); next.Refresh == probe.Refresh {
		t.NotApplicable("refresh tokens do not rotate (AS-REFRESH-ROTATES)")
	}
	return t.AS.MustGetRefreshToken()
}

func binding() {
	Must("AS-REFRESH-BOUND-CLIENT", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		t.RefusedWith(t.AS.Refresh(tokens, As(t.AS.SecondClient())), "a refresh token of another client", "invalid_grant")
		if c := t.AS.Confidential(); c != nil && c != tokens.Client {
			t.RefusedWith(t.AS.Refresh(tokens, As(c)), "a refresh token of a public client, used by a confidential one", "invalid_grant")
		}
		anonymous := t.AS.Refresh(tokens, Unidentified())
		if next := t.AS.Tokens(anonymous, tokens.Client); next != nil {
			t.Advise(anonymous, "client_id in a refresh", "the refresh token alone is enough")
			return
		}
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, tokens.Client) == nil {
			t.Advise(ex, "a refresh token that survives the attempts of others", "its own client is refused: %s", expect.Describe(ex))
		}
	})

	Must("AS-REFRESH-CONFIDENTIAL-AUTH", func(t *T) {
		c := t.AS.ConfidentialClient()
		tokens := t.AS.MustGetTokens(As(c))
		if tokens.Refresh == "" {
			t.NotApplicable("a confidential client gets no refresh token")
		}
		t.AS.RefreshMustWork()
		t.RefusedWith(t.AS.Refresh(tokens, Unidentified(), With("client_id", c.ID)), "client_id alone", "invalid_client", "invalid_request")
		t.RefusedWith(t.AS.Refresh(tokens, Unidentified(), Header(oauth.BasicAuth(c.ID, "mcpauth-wrong"))), "a wrong secret", "invalid_client")
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, c) == nil {
			t.Advise(ex, "a refresh token that survives failed authentication", "the right client is refused: %s", expect.Describe(ex))
		}
	})
}

// clientOf is the client that a token names; empty where that cannot be read.
func clientOf(token string) string {
	_, claims := oauth.Claims(token)
	return claims.String("client_id")
}
