package token

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func answersInJSON(t *T) {
	accept := func(values ...string) requestEdit {
		return func(r wire.Request) wire.Request {
			r.Header = slices.DeleteFunc(slices.Clone(r.Header), func(f reports.Field) bool { return f.Name == "Accept" })
			for _, v := range values {
				r.Header = append(r.Header, mcp.Field("Accept", v))
			}
			return r
		}
	}
	Each(t, Cases[requestEdit]{
		{"no Accept", accept()},
		{"Accept: */*", accept("*/*")},
		{"Accept: application/json", accept("application/json")},
	}, func(t *T, accept requestEdit) {
		haveFormOfTokens(t, redemption(t).Send(accept))
	})
	atRefresh(t, func(t *T) { haveFormOfTokens(t, refreshing(t).Send()) })
	ofMachine(t, func(t *T, c *oauth.Client) {
		ex := t.AS.RequestForItself(c)
		if t.AS.Tokens(ex, c) == nil && !expect.Succeeded(ex) {
			t.NotApplicable("no token is issued: %s", expect.Describe(ex))
		}
		haveFormOfTokens(t, ex)
	})
}

// haveFormOfTokens judges a token response (OAuth 2.1 section 3.2.3), whatever the grant is.
func haveFormOfTokens(t *T, answer any) {
	if t.Expect(answer).To(expect.HaveStatus(200), expect.HaveMediaType("application/json")) {
		t.Expect(answer).To(expect.HaveMember("access_token", visibleText), expect.HaveMember("token_type", bearerOrDPoP), rightTypes)
		t.Expect(answer).Ideally(noNulls)
	}
}

// ofMachine judges the same of a client that acts for itself.
func ofMachine(t *T, judge func(t *T, c *oauth.Client)) {
	machines := t.Session.Machines()
	if len(machines) == 0 {
		Untried(t, "client_credentials", AMachine)
		return
	}
	Each(t, Cases[*oauth.Client]{{"client_credentials", machines[0]}}, judge)
}

// OAuth 2.1 section 3.2.3: "Numerical values are included as JSON numbers", and other values as JSON strings.
var rightTypes = expect.That("a number as expires_in, and texts as refresh_token and scope", func(answer any) string {
	o := oauth.Object(expect.ExchangeOf(answer))
	if v, is := o.Get("expires_in"); is && v != nil {
		if _, number := expect.Number(v); !number {
			return "expires_in: " + document.Text(v)
		}
	}
	for _, name := range []string{"refresh_token", "scope"} {
		if v, is := o.Get(name); is && v != nil {
			if _, text := v.(string); !text {
				return name + ": " + document.Text(v)
			}
		}
	}
	return ""
})

// A client may read null as a value, and send "null" as its refresh token.
var noNulls = expect.That("no member rather than one that is null", func(answer any) string {
	o := oauth.Object(expect.ExchangeOf(answer))
	for _, name := range []string{"refresh_token", "expires_in", "scope", "id_token"} {
		if v, is := o.Get(name); is && v == nil {
			return name + ": null"
		}
	}
	return ""
})

var visibleText = expect.ValueThat("a text of visible ASCII", func(v any) bool {
	s, ok := v.(string)
	return ok && s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
})

var bearerOrDPoP = expect.ValueThat("Bearer", func(v any) bool {
	s, _ := v.(string)
	return strings.EqualFold(s, "Bearer") || strings.EqualFold(s, "DPoP")
})

func forbidsCaching(t *T) {
	tokens := t.AS.MustGetTokens()
	answers := Cases[*reports.Exchange]{{"code exchange", tokens.Exchange}}
	if tokens.Refresh != "" {
		refreshed := t.AS.Refresh(tokens)
		t.AS.Tokens(refreshed, tokens.Client)
		answers = answers.And("refresh", refreshed)
	}
	if machines := t.Session.Machines(); len(machines) > 0 {
		ex := t.AS.RequestForItself(machines[0])
		t.AS.Tokens(ex, machines[0])
		answers = answers.And("client_credentials", ex)
	} else {
		Untried(t, "client_credentials", AMachine)
	}
	Each(t, answers, forbidsCachingOf)
	Each(t, Cases[func(t *T) *offer]{
		{"token exchange", ofExchanges},
		{"device", ofDevices},
		{"identity assertion", ofIdentityAssertions},
	}, func(t *T, offered func(t *T) *offer) { forbidsCachingOf(t, expect.ExchangeOf(offered(t).good.Send())) })
}

func forbidsCachingOf(t *T, ex *reports.Exchange) {
	if expect.Status(ex) == 200 {
		t.Expect(ex).To(expect.HaveHeader("Cache-Control", expect.Holding("no-store")))
	}
}

func statesLifetime(t *T) {
	tokens := t.AS.SharedTokens()
	if !t.Expect(tokens).Ideally(expect.HaveMember("expires_in", expect.Anything)) {
		return
	}
	if t.Expect(tokens).To(expect.HaveMember("expires_in", positiveSeconds)) {
		t.Expect(tokens).To(agreeWithToken(t))
	}
	own := t.AS.MustGetTokens(As(t.AS.AnyClient()), t.AS.ForRefresh())
	if own.Refresh == "" {
		return
	}
	if refreshed := t.AS.Tokens(t.AS.Refresh(own), own.Client); refreshed != nil {
		if _, says := oauth.Seconds(refreshed.Body); says {
			t.Expect(refreshed, "a refreshed token").To(agreeWithToken(t))
		}
	}
}

var positiveSeconds = expect.ValueThat("a positive number of seconds", func(v any) bool {
	n, ok := expect.Number(v)
	return ok && n > 0 && n <= 1e8
})

var agreeWithToken = expect.Family("agreeWithToken", func(t *T) expect.Matcher {
	return expect.That("expires_in that agrees with the token", func(tokens *oauth.Tokens) string {
		seconds, _ := oauth.Seconds(tokens.Body)
		if lives, known := lifetime(t, tokens); known && math.Abs(lives-seconds) > 60 {
			return fmt.Sprintf("expires_in: %s, while the token lives %s", expect.InSeconds(seconds), expect.InSeconds(lives))
		}
		return ""
	})
})

// lifetime is how long an access token lives by its claims, or by introspection. If iat is absent, the time of the answer is used
// instead, by the server's clock.
func lifetime(t *T, tokens *oauth.Tokens) (seconds float64, known bool) {
	_, c := oauth.Claims(tokens.Access)
	if c == nil {
		c = t.AS.Introspected(tokens)
	}
	e, _ := c.Get("exp")
	exp, known := expect.Number(e)
	i, _ := c.Get("iat")
	iat, has := expect.Number(i)
	if !has {
		began, dated := expect.Date(tokens.Exchange)
		iat, known = float64(began.Unix()), known && dated
	}
	return exp - iat, known
}

func issuesShortLivedTokens(t *T) {
	atRefresh(t, func(t *T) { alsoLivesShortly(t, t.AS.MustRefresh(t.AS.MustGetRefreshToken())) })
	ofMachine(t, func(t *T, c *oauth.Client) { alsoLivesShortly(t, t.AS.Tokens(t.AS.RequestForItself(c), c)) })
	if !livesShortly(t, t.AS.SharedTokens()) {
		t.Inconclusive("nothing says how long the token is valid (AS-TOKEN-EXPIRES-IN); %s", t.AS.ToSeeTokens())
	}
}

func alsoLivesShortly(t *T, tokens *oauth.Tokens) {
	if tokens == nil || !livesShortly(t, tokens) {
		t.NotApplicable("no token is issued, or nothing says how long it is valid (AS-TOKEN-EXPIRES-IN)")
	}
}

// livesShortly judges the lifetime of a token, if anything shows it.
func livesShortly(t *T, tokens *oauth.Tokens) (known bool) {
	seconds, known := oauth.Seconds(tokens.Body)
	if !known {
		seconds, known = lifetime(t, tokens)
	}
	if known && t.Expect(seconds).SeenIn(tokens.Exchange).To(liveAtMost(24*time.Hour)) {
		t.Expect(seconds).SeenIn(tokens.Exchange).Ideally(liveAtMost(time.Hour))
	}
	return known
}

var liveAtMost = expect.Family("liveAtMost", func(longest time.Duration) expect.Matcher {
	const expected = "an access token for an hour at most (the number is mcpauth's; the specifications name none)"
	return expect.That(expected, func(seconds float64) string {
		if seconds <= longest.Seconds() {
			return ""
		}
		return "the token lives " + expect.InSeconds(seconds)
	})
})

// The signature of a JWT is judged by AS-KEYS-JWT-SIGNATURE.
func issuesUnguessableTokens(t *T) {
	var opaque, jwts []string
	for range 4 {
		access := t.AS.MustGetTokens().Access
		if header, _ := oauth.Claims(access); header == nil {
			opaque = append(opaque, access)
		} else {
			jwts = append(jwts, access)
		}
	}
	t.Expect(jwts).Ideally(expect.That("JWTs that are all different (jti)", func(jwts []string) string {
		if len(slices.Compact(slices.Sorted(slices.Values(jwts)))) < len(jwts) {
			return "the same JWT twice, so revoking one revokes the other"
		}
		return ""
	}))
	if len(opaque) > 1 {
		other := func(edits ...Edit) string { return t.AS.MustGetTokens(edits...).Access }
		t.Expect(Compared(t, opaque, other)).To(expect.BeUnguessable("access tokens"))
		t.Expect(opaque).Ideally(beNewEachTime)
	}
}

var beNewEachTime = expect.That("a new access token for each authorization", func(opaque []string) string {
	if len(slices.Compact(slices.Sorted(slices.Values(opaque)))) < len(opaque) {
		return "the same token again, so revoking one revokes the other"
	}
	return ""
})

func scopeRequests(t *T) (rows Cases[Edit]) {
	pool := t.AS.ScopePool()
	if len(pool) > 0 {
		rows = rows.And("one scope requested", Scope(pool[0]))
	}
	if len(pool) > 1 {
		rows = rows.And("two scopes requested", Scope(pool[0], pool[1]))
	}
	return rows.And("no scope requested", Without("scope"))
}

// A server may refuse a scope. It must not grant another one without saying so.
func reportsScope(t *T) {
	Each(t, scopeRequests(t), func(t *T, scope Edit) {
		g := t.AS.MustReachDecision(t.AS.Authorize(scope))
		if g.Code() == "" {
			return
		}
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		if tokens == nil {
			return
		}
		if tokens.HasScope && !t.Expect(tokens).To(expect.HaveMember("scope", scopeNames)) {
			return
		}
		real, seen := t.AS.RealScope(tokens)
		if !tokens.HasScope && !seen {
			t.NotApplicable("scope is absent, and nothing shows which scope the token has")
		}
		t.Expect(tokens).To(reportScope(strings.Fields(g.Request.Get("scope")), real, seen))
	})
}

var scopeNames = expect.ValueThat("a string of names, separated by spaces", func(v any) bool {
	s, ok := v.(string)
	return ok && !strings.Contains(s, ",")
})

// reportScope expects the scope of a token in the response, unless it is the requested scope.
var reportScope = expect.Family("reportScope", func(requested, real []string, seen bool) expect.Matcher {
	return expect.That("scope as the token has it, unless it is what was requested", func(tokens *oauth.Tokens) string {
		switch {
		case !tokens.HasScope && len(requested) == 0 && seen && len(real) > 0:
			return "no scope was requested, and scope is absent, while the token has " + strings.Join(real, " ")
		case seen && tokens.HasScope && !SameSet(real, tokens.Scope):
			return fmt.Sprintf("scope %s, while the token has %s", strings.Join(tokens.Scope, " "), strings.Join(real, " "))
		case seen && !tokens.HasScope && !SameSet(real, requested):
			return "scope is absent, while the token has " + strings.Join(real, " ")
		}
		return ""
	})
})

// RFC 9068 section 2.2.
func fillsClaims(t *T) {
	tokens := t.AS.SharedTokens()
	header, claims := oauth.Claims(tokens.Access)
	if header == nil {
		t.NotApplicable("access tokens are opaque")
	}
	jwt := expect.JWT{Header: header, Claims: claims, From: tokens.Exchange}
	t.Expect(jwt).To(
		expect.HaveClaim("iss", t.AS.Server().Named()),
		expect.HaveClaim("exp", expect.Anything),
		expect.HaveClaim("aud", expect.Anything),
		holdNoCredential,
	)
	t.Expect(jwt).Ideally(
		expect.HaveClaim("sub", expect.Anything),
		expect.HaveClaim("client_id", expect.Anything),
		expect.HaveClaim("iat", expect.Anything),
		expect.HaveClaim("jti", expect.Anything),
		expect.HaveType("at+jwt"),
	)
}

var holdNoCredential = expect.That("no credential in a token", func(jwt expect.JWT) string {
	i := slices.IndexFunc(jwt.Claims.Members, func(m document.Member) bool {
		name := strings.ToLower(m.Name)
		return strings.Contains(name, "password") || strings.Contains(name, "secret")
	})
	if i < 0 {
		return ""
	}
	return "the token has the claim " + jwt.Claims.Members[i].Name
})
