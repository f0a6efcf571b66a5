package token

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func refusesInvalidCodes(t *T) {
	unknown := NearMisses("code").
		And("a code that was never issued", With("code", "mcpauth-"+Random(24))).
		And("a code with a space", With("code", "mcpauth "+Random(12)))
	Refuses(t, t.AS.Redemption(), unknown, expect.RefuseGrant("invalid_grant"))
	Refuses(t, t.AS.Redemption(), InheritedAs("code").In("code"), expect.RefuseGrant()) // a firewall may know these names
	Refuses(t, t.AS.Redemption(), Cases[Edit]{{"code[$regex] with most of the code", Operator("code")}}, expect.RefuseGrant())
	Refuses(t, t.AS.Redemption(), Cases[Edit]{
		{"an empty code", With("code", "")},
		{"no code", Without("code")},
		{"a code of 64 kB", With("code", strings.Repeat("a", 64<<10))},
		{"NUL and quotes", With("code", "a\x00'\"--")},
	}, expect.RefuseGrant("invalid_grant", "invalid_request"))
}

func redeemsCodeOnce(t *T) {
	early := t.AS.MustAuthorize()
	t.AS.MustRedeem(early)
	WaitAside(t, min(t.Patience, 5*time.Second))
	g := t.AS.MustAuthorize()
	t.AS.MustRedeem(g)
	t.Expect(t.AS.Redeem(g), "the same code again").To(expect.RefuseGrant("invalid_grant"))
	t.Expect(t.AS.Redeem(early), "the same code again, after some time").To(expect.RefuseGrant("invalid_grant"))
}

// A server may lose a race now and then only: five races show little, and more are run while they are quick.
const (
	leastRaces, mostRaces = 5, 20
	timeOfRaces           = 5 * time.Second
)

func redeemsCodeOnceInARace(t *T) {
	began := time.Now()
	for i := range mostRaces {
		if i >= leastRaces && !t.Seeded() && time.Since(began) > timeOfRaces {
			return
		}
		won := winners(t)
		if won == 0 && i < leastRaces {
			t.Inconclusive("none of 10 requests sent at once got tokens")
		}
		if !t.Expect(won).To(oneWinner) {
			return
		}
	}
}

// winners is how many of ten token requests with one code, sent at once, get tokens.
func winners(t *T) (won int) {
	g := t.AS.MustAuthorize()
	var same []Variant
	for i := range 10 {
		r := t.AS.BuildRedeem(g)
		r.Fresh = true
		same = append(same, Variant{About: fmt.Sprint(i), Request: r})
	}
	for _, ex := range t.Race(same) {
		if t.AS.Tokens(ex, g.Client) != nil {
			won++
		}
	}
	return won
}

var oneWinner = expect.That("one token response for one code", func(won int) string {
	if won <= 1 {
		return ""
	}
	return fmt.Sprintf("%d of 10 requests sent at once got tokens", won)
})

// replayed are the tokens for a code that is used again; nil for a refusal. If there is neither, the server may not have seen the code.
func replayed(t *T, g *Grant) *oauth.Tokens {
	ex := t.AS.Redeem(g)
	if expect.Crashed(ex) {
		t.Inconclusive("%s", Because(t, ex, "a code that is used again is answered with "+expect.Describe(ex)))
	}
	return t.AS.Tokens(ex, g.Client)
}

// OAuth 2.1 section 4.1.3: if a code is used again, it was stolen, or its tokens were.
func revokesOnReplay(t *T) {
	g := t.AS.MustAuthorize(As(t.AS.Refresher()), t.AS.ForRefresh())
	tokens := t.AS.MustRedeem(g)
	if replayed(t, g) != nil {
		t.NotApplicable("the code can be redeemed twice (AS-TOKEN-CODE-SINGLE-USE)")
	}
	if tokens.Refresh != "" {
		t.AS.RefreshMustWork(As(g.Client))
		t.Expect(t.AS.Refresh(tokens), "the refresh token of a replayed code").To(expect.RefuseGrant())
		revokesRefreshedOnReplay(t)
	}
	if t.MCP.Works(t.AS.MustGetTokens()) {
		last, _ := t.MCP.UntilRefused(tokens.Access)
		t.Expect(last, "the access token of a replayed code").Ideally(expect.RefuseAnyway())
	} else if tokens.Refresh == "" {
		t.MCP.MustWork(tokens, "there is no refresh token, and the access token has no effect here that could end")
	}
}

// Refreshed tokens are issued on the code as well: a thief who refreshes at once must not keep them.
func revokesRefreshedOnReplay(t *T) {
	g := t.AS.MustAuthorize(As(t.AS.Refresher()), t.AS.ForRefresh())
	newest := t.AS.MustRefresh(t.AS.MustRedeem(g))
	replayed(t, g)
	ex := t.AS.Refresh(newest)
	t.AS.Tokens(ex, g.Client)
	t.Expect(ex, "the refreshed refresh token of a replayed code").Ideally(expect.RefuseGrant())
}

// OAuth 2.1 section 7.5.3: an attacker who has a code, and cannot redeem it, must not be able to end the client's grant with it.
func keepsTokensOnInvalidReplay(t *T) {
	rows := Cases[Edit]{{"the code again, with a wrong verifier", With("code_verifier", oauth.NewPKCE(43).Verifier)}}
	if other, why := t.Session.Client(t.Context(), session.Second); other != nil {
		rows = rows.And("the code again, as another client", As(other))
	} else {
		t.Note("the code was not sent again as another client: %s", why)
	}
	Each(t, rows, func(t *T, defect Edit) {
		g := t.AS.MustAuthorize(As(t.AS.Refresher()), t.AS.ForRefresh())
		tokens := t.AS.MustRedeem(g)
		if tokens.Refresh == "" {
			t.NotApplicable("no refresh token is issued, so what a replay revokes is not seen")
		}
		t.AS.RefreshMustWork(As(g.Client))
		replay := t.AS.Redeem(g, defect)
		t.AS.Tokens(replay, g.Client)
		t.Expect(replay).To(expect.RefuseGrant())
		t.Expect(t.AS.Refresh(tokens), "a refresh after that").To(expect.IssueTokens())
	})
}

func bindsCodeToClient(t *T) {
	rows := Cases[Edit]{
		{"redeemed by another public client", As(t.AS.SecondClient())},
		{"redeemed without any client_id", Unidentified()},
	}
	if c := t.AS.Confidential(); c != nil && c != t.AS.AnyClient() {
		rows = rows.And("redeemed by a confidential client", As(c))
	}
	refused := expect.RefuseGrant("invalid_grant", "invalid_client", "invalid_request")
	Refuses(t, t.AS.Redemption(As(t.AS.AnyClient())), rows, refused)
	if c := t.AS.DocumentClient(); c != nil && c.ID != t.AS.AnyClient().ID { // a server may have separate code for such clients
		Refuses(t, t.AS.Redemption(As(c)), Cases[Edit]{
			{"the code of the client of a metadata document, redeemed by another client", As(t.AS.AnyClient())},
		}, refused)
	}
	t.AS.NoteDocuments()
}

// An OAuth 2.1 server may ignore the parameter; one that follows RFC 6749 must compare it (OAuth 2.1 section 10.2).
func bindsCodeToRedirectURI(t *T) {
	base := t.Session.Callback
	c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{base, base + "/second"}})
	good := t.AS.Redemption(As(c), With("redirect_uri", base))
	without := expect.ExchangeOf(good.Send(Without("redirect_uri")))
	if why := expect.NoAnswer(without); why != "" {
		t.Inconclusive("whether redirect_uri is demanded is not seen: %s", why)
	}
	refuses := func(rows Cases[Edit], m expect.Matcher) {
		if expect.Status(without) == 200 {
			Each(t, rows, func(t *T, uri Edit) { t.Expect(good.Send(uri)).Ideally(m) })
		} else {
			Refuses(t, good, rows, m)
		}
	}
	others, malformed := otherRedirectURIs(base)
	refuses(others, expect.RefuseGrant("invalid_grant"))
	refuses(malformed, expect.RefuseGrant("invalid_grant", "invalid_request"))
	Each(t, Cases[Edit]{
		{"the redirect URI with another port", Change("redirect_uri", otherPort)},
	}, func(t *T, port Edit) { t.Expect(good.Send(port)).Ideally(expect.RefuseGrant()) })
}

// otherRedirectURIs returns redirect URIs that differ from that of the code. The malformed ones have a fragment (RFC 6749 section
// 3.1.2): a server may say so before it looks at the code.
func otherRedirectURIs(base string) (others, malformed Cases[Edit]) {
	others = Cases[Edit]{
		{"the client's other redirect URI", With("redirect_uri", base+"/second")},
		{"an unregistered redirect URI", With("redirect_uri", "https://attacker.example/cb")},
		{"the redirect URI with a slash", With("redirect_uri", base+"/")},
	}
	for _, m := range nearmiss.OfURL(base, nearmiss.LetterCase, nearmiss.Query) {
		name, uri := "the redirect URI: "+m.Name, With("redirect_uri", m.Value)
		if strings.Contains(m.Value, "#") {
			malformed = malformed.And(name, uri)
		} else {
			others = others.And(name, uri)
		}
	}
	return others, malformed
}

// otherPort is a loopback URI with another port; any other URI is left as it is.
func otherPort(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return uri
	}
	if u.Host = net.JoinHostPort(u.Hostname(), "8766"); u.String() == uri {
		u.Host = net.JoinHostPort(u.Hostname(), "8767")
	}
	return u.String()
}

// OAuth 2.1 section 10.2 and RFC 6749 section 4.1.3 disagree: neither outcome is a defect.
func servesRequestsWithoutRedirectURI(t *T) {
	ex := expect.ExchangeOf(t.AS.Redemption().Send(Without("redirect_uri")))
	if oauth.ReadTokens(ex) != nil {
		t.Note("redirect_uri may be left out of the token request, as OAuth 2.1 has it")
	} else if t.Expect(ex, "no redirect_uri").To(expect.RefuseGrant()) {
		t.Note("redirect_uri is demanded in the token request, as RFC 6749 has it")
	}
}

func refusesUnregisteredGrants(t *T) {
	Each(t, Cases[func(t *T)]{
		{"a refresh by a client that registered authorization_code only", refusesUnregisteredRefresh},
		{"client_credentials of a client that registered authorization_code only", refusesUnregisteredCredentials},
	}, func(t *T, look func(t *T)) { look(t) })
}

// registeredWithout is a new client that registered authorization_code only, and that the server gave no other grant type.
func registeredWithout(t *T, grant string, further map[string]any) *oauth.Client {
	further["grant_types"] = []string{"authorization_code"}
	c := t.AS.MustRegister(further)
	if granted, _ := c.Registered.Strings("grant_types"); slices.Contains(granted, grant) {
		t.NotApplicable("the server adds %s to the client's grant types and says so", grant)
	}
	return c
}

func refusesUnregisteredCredentials(t *T) {
	c := registeredWithout(t, "client_credentials", map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	if c.Secret == "" {
		t.NotApplicable("a client that asks for a secret gets none, and AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC is about such clients")
	}
	t.AS.MustGetTokens(As(c)) // the control: the client can authenticate, so a later refusal is about the grant type
	ex := t.AS.RequestForItself(c)
	t.AS.Tokens(ex, c)
	t.Expect(ex).To(expect.RefuseGrant("unauthorized_client", "unsupported_grant_type"))
}

func refusesUnregisteredRefresh(t *T) {
	c := registeredWithout(t, "refresh_token", map[string]any{})
	tokens := t.AS.MustGetTokens(As(c))
	if tokens.Refresh == "" {
		return
	}
	ex := t.AS.Refresh(tokens)
	t.AS.Tokens(ex, c)
	t.Expect(ex).To(expect.RefuseGrant("unauthorized_client", "unsupported_grant_type", "invalid_grant"))
}

func distinguishesTokens(t *T) {
	c := As(t.AS.Refresher())
	tokens, code := t.AS.MustGetTokens(c, openID(t), t.AS.ForRefresh()), t.AS.MustAuthorize(c).Code()
	codes := Cases[Edit]{{"an access token as code", With("code", tokens.Access)}}
	if tokens.ID != "" {
		codes = codes.And("an ID token as code", With("code", tokens.ID))
	}
	if tokens.Refresh != "" {
		codes = codes.And("a refresh token as code", With("code", tokens.Refresh))
		refreshes := Cases[Edit]{
			{"an access token as refresh token", With("refresh_token", tokens.Access)},
			{"a code as refresh token", With("refresh_token", code)},
		}
		if tokens.ID != "" {
			refreshes = refreshes.And("an ID token as refresh token", With("refresh_token", tokens.ID))
		}
		Refuses(t, t.AS.RefreshGrant(), refreshes, expect.RefuseGrant("invalid_grant"))
	}
	Refuses(t, t.AS.Redemption(c), codes, expect.RefuseGrant("invalid_grant"))
	if t.MCP.Works(tokens) { // otherwise a refusal there proves nothing
		Refuses(t, t.MCP.CallWithToken(tokens.Access), notAccessTokens(t, tokens, code), expect.NotBypass())
	}
	if t.AS.Server().Userinfo != "" {
		Each(t, Cases[func(t *T)]{{"userinfo", distinguishesTokensAtUserinfo}}, func(t *T, look func(t *T)) { look(t) })
	}
}

// Userinfo accepts access tokens with the scope openid (OpenID Connect Core section 5.3.1).
func distinguishesTokensAtUserinfo(t *T) {
	ask := func(token string) *reports.Exchange { return t.Get(t.AS.Server().Userinfo, mcp.Bearer(token)) }
	c := As(t.AS.Refresher())
	tokens := t.AS.MustGetTokens(c, openID(t), t.AS.ForRefresh())
	if expect.Status(ask(tokens.Access)) != 200 {
		return // a refusal there proves nothing
	}
	others := Cases[string]{{"a code at userinfo", t.AS.MustAuthorize(c, openID(t)).Code()}}
	if tokens.Refresh != "" {
		others = others.And("a refresh token at userinfo", tokens.Refresh)
	}
	if tokens.ID != "" {
		others = others.And("an ID token at userinfo", tokens.ID)
	}
	Each(t, others, func(t *T, token string) { t.Expect(ask(token)).To(expect.RefuseAnyway()) })
}

// openID asks for the scope openid besides the usual ones, where the metadata lists it.
func openID(t *T) Edit {
	if !t.AS.Lists("scopes_supported", "openid") {
		return Unchanged
	}
	return Scope(append(slices.Clone(t.Session.RequestedScopes()), "openid")...)
}

// notAccessTokens are values that the server issued for another purpose, presented as access tokens.
func notAccessTokens(t *T, tokens *oauth.Tokens, code string) Cases[CallEdit] {
	out := Cases[CallEdit]{{"a code as access token", Presenting(code)}}
	if tokens.Refresh != "" {
		out = out.And("a refresh token as access token", Presenting(tokens.Refresh))
	}
	if value := tokens.Client.Registered.String("registration_access_token"); value != "" {
		out = out.And("a registration access token as access token", Presenting(value))
	}
	return out
}
