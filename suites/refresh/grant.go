package refresh

import (
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
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
	tokens := t.AS.MustGetTokens(As(t.AS.Refresher()), t.AS.ForRefresh())
	if tokens.Refresh == "" {
		t.NotApplicable("the authorization server issues no refresh token; its clients must sign in again")
	}
	works := t.MCP.Works(tokens) // before the refresh, which may end it
	ex := t.AS.Refresh(tokens)
	next := t.AS.Tokens(ex, tokens.Client)
	if t.Expect(ex, "a refresh").To(expect.IssueTokens()) && works {
		t.Expect(t.MCP.Use(next.Access), "the refreshed access token").To(expect.BeServed())
	}
}

func issuesNewAccessToken(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	next := t.AS.MustRefresh(tokens)
	if next.Access == tokens.Access && prolongs(t, next) {
		t.Note("a refresh returns the same access token, and prolongs it")
		return
	}
	t.Expect(next, "a refresh").To(bringAnother(tokens), liveAsLongAs(tokens))
}

// prolongs reports that another refresh moves the expiry of a token that stays the same.
func prolongs(t *T, tokens *oauth.Tokens) bool {
	before, _ := expect.Number(expiry(t, tokens))
	t.Sleep(2 * time.Second)
	after, known := expect.Number(expiry(t, t.AS.MustRefresh(tokens)))
	return known && after > before
}

func expiry(t *T, tokens *oauth.Tokens) any {
	exp, _ := t.AS.Introspected(tokens).Get("exp")
	return exp
}

var bringAnother = expect.Family("bringAnother", func(tokens *oauth.Tokens) expect.Matcher {
	return expect.That("a new access token", func(next *oauth.Tokens) string {
		if next.Access == tokens.Access {
			return "the earlier access token, which expires no later"
		}
		return ""
	})
})

// A limit on the whole grant may shorten the lifetime of tokens near its end. Here the grant has just begun.
var liveAsLongAs = expect.Family("liveAsLongAs", func(tokens *oauth.Tokens) expect.Matcher {
	first, known := oauth.Seconds(tokens.Body)
	return expect.That("an access token that lives about as long as the first one: "+expect.InSeconds(first), func(next *oauth.Tokens) string {
		if seconds, said := oauth.Seconds(next.Body); known && said && seconds < first/2 {
			return "expires_in: " + expect.InSeconds(seconds)
		}
		return ""
	})
})

// The refreshed token belongs to the grant of the refresh token, even if another user has signed in meanwhile.
func keepsUserAndClient(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	before := t.AS.Subject(withoutID(tokens))
	if before == "" {
		t.Inconclusive("the user of a token cannot be seen: it is not a JWT with a subject, and neither userinfo nor introspection " +
			"(client.clients, introspects: true) nor a tool (tools, tells: caller) tells")
	}
	if t.Session.UserCount() > 1 {
		t.AS.MustGetTokens(By(1), SignedOut()) // another user is the last to sign in
	}
	next := t.AS.MustRefresh(tokens)
	after := t.AS.Subject(withoutID(next))
	if after == "" {
		t.Inconclusive("the user of the first token can be seen, and that of the refreshed one cannot; %s", t.AS.ToSeeTokens())
	}
	t.Expect(after, "the user of a refreshed token").SeenIn(next.Exchange).To(expect.Be(before))
	if first, second := clientOf(t, tokens), clientOf(t, next); first != "" && second != "" { // neither is required to name it
		t.Expect(second, "the client of a refreshed token").SeenIn(next.Exchange).To(expect.Be(first))
	}
}

// withoutID are tokens without their ID token: a refresh need not bring one, and what another source says may have another form.
func withoutID(tokens *oauth.Tokens) *oauth.Tokens {
	access := *tokens
	access.ID = ""
	return &access
}

// clientOf is the client that a token names, in its claims or at introspection; empty where that cannot be read.
func clientOf(t *T, tokens *oauth.Tokens) string {
	if _, claims := oauth.Claims(tokens.Access); claims != nil {
		return claims.String("client_id")
	}
	return t.AS.Introspected(tokens).String("client_id")
}

func issuesUnguessableTokens(t *T) {
	var values []string
	for range 4 {
		tokens := t.AS.MustGetRefreshToken()
		values = append(values, tokens.Refresh)
		t.Expect(tokens, "a refresh token compared with its access token").To(haveNothingInCommon)
	}
	other := func(edits ...Edit) string { return t.AS.MustGetRefreshToken(edits...).Refresh }
	t.Expect(Compared(t, values, other)).To(expect.BeUnguessable("refresh tokens"))
}

// Whoever has the access token must not be able to make the refresh token from it.
var haveNothingInCommon = expect.That("a refresh token that does not follow from the access token", func(tokens *oauth.Tokens) string {
	if tokens.Refresh == tokens.Access {
		return "the refresh token equals the access token"
	}
	for _, made := range madeFrom(tokens.Access) {
		if strings.EqualFold(tokens.Refresh, made.Value) {
			return "the refresh token is " + made.Name
		}
	}
	return ""
})

// madeFrom are values that can be made from a token.
func madeFrom(token string) (out Cases[string]) {
	sums := Cases[[]byte]{{"MD5", sum(md5.New(), token)}, {"SHA-1", sum(sha1.New(), token)}, {"SHA-256", sum(sha256.New(), token)}}
	for _, s := range sums {
		out = out.And("the "+s.Name+" of the access token", hex.EncodeToString(s.Value))
		out = out.And("the "+s.Name+" of the access token", base64.RawURLEncoding.EncodeToString(s.Value))
		out = out.And("the "+s.Name+" of the access token", base64.StdEncoding.EncodeToString(s.Value))
	}
	return out
}

func sum(h hash.Hash, text string) []byte {
	h.Write([]byte(text))
	return h.Sum(nil)
}

func refusesInvalidTokens(t *T) {
	invalid := NearMisses("refresh_token").
		And("a JWT refresh token without a signature, alg none", Change("refresh_token", unsigned)).
		And("a JWT refresh token with a later exp", Change("refresh_token", prolonged))
	Refuses(t, t.AS.RefreshGrant(), invalid, expect.RefuseGrant("invalid_grant"))
	Refuses(t, t.AS.RefreshGrant(), InheritedAs("refresh_token").In("refresh_token"), expect.RefuseGrant()) // a firewall may know these names
	Refuses(t, t.AS.RefreshGrant(), Cases[Edit]{
		{"refresh_token[$regex] with most of the token", Operator("refresh_token")},
	}, expect.RefuseGrant())
	Refuses(t, t.AS.RefreshGrant(), Cases[Edit]{
		{"an empty refresh_token", With("refresh_token", "")},
		{"no refresh_token", Without("refresh_token")},
	}, expect.RefuseGrant("invalid_request", "invalid_grant"))
	Refuses(t, t.AS.RefreshGrant(), Cases[Edit]{
		{"a refresh token that was never issued", With("refresh_token", "mcpauth-"+Random(24))},
	}, sayInvalidGrant)
}

// A client drops a refresh token, and asks the user to sign in again, when it gets invalid_grant (OAuth 2.1 section 3.2.4).
var sayInvalidGrant = expect.Refusing("a refusal with error invalid_grant", func(ex *reports.Exchange) string {
	switch code := oauth.ErrorCode(ex); {
	case code == "invalid_grant", expect.NoAnswer(ex) != "":
		return ""
	case code == "":
		return expect.Describe(ex) + ", without an error code"
	}
	return expect.Describe(ex)
})

// unsigned is a JWT with the header alg none and no signature; anything else is left as it is.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	if header, _ := oauth.Claims(token); header == nil {
		return token
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
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
	body, _ = json.Marshal(claims) // values decoded from JSON can always be encoded
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "." + parts[2]
}

func issuesToClientsThatCanRefresh(t *T) {
	Each(t, Cases[func(t *T)]{
		{"a client that registered authorization_code only", getsNone},
		{"offline_access, which is advertised", acceptsOfflineAccess},
	}, func(t *T, look func(t *T)) { look(t) })
}

func getsNone(t *T) {
	c := t.AS.MustRegister(map[string]any{"grant_types": []string{"authorization_code"}})
	if granted, _ := c.Registered.Strings("grant_types"); slices.Contains(granted, "refresh_token") {
		t.NotApplicable("the server registers it with the grant type refresh_token, and says so")
	}
	t.Expect(t.AS.MustGetTokens(As(c))).Ideally(bringNoRefreshToken)
}

func acceptsOfflineAccess(t *T) {
	if !t.AS.Lists("scopes_supported", "offline_access") {
		t.NotApplicable("the metadata does not list the scope offline_access")
	}
	g := t.AS.MustReachDecision(t.AS.Authorize(Scope(append(slices.Clone(t.Session.RequestedScopes()), "offline_access")...)))
	t.Expect(g).To(grantOrIgnoreScope)
}

var bringNoRefreshToken = expect.That("no refresh token", func(tokens *oauth.Tokens) string {
	if tokens.Refresh != "" {
		return "a refresh token is issued"
	}
	return ""
})

var grantOrIgnoreScope = expect.That("a scope that is granted or ignored", func(g *Grant) string {
	if g.Error() == "invalid_scope" {
		return "error invalid_scope"
	}
	return ""
})

// Some designs have a separate refresh endpoint in addition to the token endpoint.
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
	c := used.Client.ID
	t.AS.MustRefresh(used)
	Each(t, Cases[[]string]{
		{path + " with a made-up refresh token", []string{"mcpauth", c}},
		{path + " with a used refresh token", []string{used.Refresh, c}},
		{path + " without a client", []string{t.AS.MustGetRefreshToken().Refresh}},
	}, func(t *T, members []string) {
		t.Expect(refreshAt(t, endpoint, members...)).To(expect.RefuseGrant())
	})
}

// refreshAt sends a refresh token, and the client's identifier where one is given, in JSON.
func refreshAt(t *T, endpoint string, members ...string) *reports.Exchange {
	body := fmt.Sprintf(`{"refresh_token":%q}`, members[0])
	if len(members) > 1 {
		body = fmt.Sprintf(`{"refresh_token":%q,"client_id":%q}`, members[0], members[1])
	}
	return t.Do(wire.Request{Method: "POST", URL: endpoint, Body: body,
		Header: []reports.Field{mcp.Field("Content-Type", "application/json")}})
}

func isRefreshEndpoint(ex *reports.Exchange) bool {
	s := expect.Status(ex)
	return s != 404 && s != 405 && strings.Contains(expect.MediaType(ex), "json")
}

func refusesRevokedTokens(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	ex := t.AS.Revoke(tokens, tokens.Refresh)
	if c := t.AS.Confidential(); expect.Status(ex) == 401 && tokens.Client.Public() && c != nil { // AS-REVOKE-PUBLIC-CLIENT judges this
		tokens = t.AS.MustGetRefreshToken(As(c))
		ex = t.AS.Revoke(tokens, tokens.Refresh)
	}
	if !expect.Confirmed(ex) {
		t.Inconclusive("the refresh token could not be revoked (AS-REVOKE-REFRESH-TOKEN): %s", expect.Describe(ex))
	}
	t.Expect(t.AS.Refresh(tokens), "a revoked refresh token").To(expect.RefuseGrant("invalid_grant"))
}

// No clause says how long a refresh token may stay unused. If the owner declares no time, a token that works after a year is a finding.
func endsIdleTokens(t *T) {
	const month, year = 30 * 24 * time.Hour, 365 * 24 * time.Hour
	idle := cmp.Or(t.Lifetimes.Refresh, month)
	ex := unused(t, idle)
	if t.Lifetimes.Refresh == 0 && oauth.ReadTokens(ex) != nil {
		t.Note("a refresh token still works after %s without use", expect.Span(idle))
		idle = year
		ex = unused(t, idle)
	}
	t.Expect(ex, "a refresh token after %s without use", expect.Span(idle)).To(expect.RefuseGrant("invalid_grant"))
}

// unused is the answer to a refresh after some time without one.
func unused(t *T, idle time.Duration) *reports.Exchange {
	tokens := t.AS.MustGetRefreshToken()
	t.Elapse(idle + time.Minute)
	ex := t.AS.Refresh(tokens)
	t.AS.Tokens(ex, tokens.Client)
	return ex
}
