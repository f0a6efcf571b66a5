// Package userinfo contains the checks on the userinfo endpoint (OpenID Connect Core section 5.3).
package userinfo

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OpenID Connect Core section 5.3: UserInfo Endpoint", func() {
		Must("AS-USERINFO-UNAUTHENTICATED", challengesStrangers)
		Must("AS-USERINFO-SHAPE", namesUser)
		Should("AS-USERINFO-SCOPES", goesByScope)
		Must("AS-USERINFO-TOKEN-STATE", refusesDeadTokens)
		Must("AS-USERINFO-NO-QUERY-TOKEN", readsHeaderOnly)
		Practice("AS-USERINFO-HYGIENE", holdsNoCredentials)
	})
}

// wanted are the usual scopes and openid, with others that the server lists.
func wanted(t *T, more ...string) []string {
	scopes := slices.Clone(t.Session.RequestedScopes())
	for _, v := range append([]string{"openid"}, more...) {
		if t.AS.Lists("scopes_supported", v) {
			scopes = append(scopes, v)
		}
	}
	return scopes
}

// bring gets tokens with the usual scopes, and openid if the server has that scope; with the resource parameter or without.
func bring(t *T, resource bool, more ...string) *oauth.Tokens {
	scopes := Scope(wanted(t, more...)...)
	if resource {
		return t.AS.MustGetTokens(scopes)
	}
	flow := t.AS.CodeFlow(scopes, Without("resource"), AtToken(Without("resource"))).Send().(*Flow)
	return t.AS.Tokens(flow.Answer, flow.Client)
}

// mustServe is a new token that the endpoint serves. The endpoint may not accept a token for the MCP server; then one that was
// requested without resource is tried.
func mustServe(t *T, more ...string) *oauth.Tokens {
	type look struct {
		served, resource bool
		last             *reports.Exchange
	}
	seen := Once(t, "userinfo", func() (l look) {
		for _, l.resource = range []bool{true, false} {
			if tokens := bring(t, l.resource); tokens != nil {
				l.last = ask(t, tokens.Access)
				if l.served = expect.Status(l.last) == 200; l.served {
					break
				}
			}
		}
		return l
	})
	if !seen.served {
		t.NotApplicable("the userinfo endpoint serves no token of an ordinary flow, with resource or without: %s", expect.Describe(seen.last))
	}
	tokens := bring(t, seen.resource, more...)
	if tokens == nil {
		t.Inconclusive("a flow that worked before returns no token")
	}
	return tokens
}

func ask(t *T, token string) *reports.Exchange {
	return t.Get(t.AS.Server().Userinfo, mcp.Bearer(token))
}

// mustAnswer is the endpoint's answer for a new token.
func mustAnswer(t *T, tokens *oauth.Tokens) *reports.Exchange {
	ex := ask(t, tokens.Access)
	if expect.Status(ex) != 200 {
		t.Inconclusive("a new token is answered with %s, though an earlier one was served", expect.Describe(ex))
	}
	return ex
}

// claims are those of an answer: a JSON object, or a JWT (OpenID Connect Core section 5.3.2).
func claims(ex *reports.Exchange) *document.Object {
	if expect.MediaType(ex) == "application/jwt" {
		_, c := oauth.Claims(expect.Body(ex))
		return c
	}
	return oauth.Object(ex)
}

func challengesStrangers(t *T) {
	Each(t, Cases[[]reports.Field]{
		{"no token", nil},
		{"a made-up token", []reports.Field{mcp.Bearer("mcpauth-made-up")}},
		{"an unsigned JWT", []reports.Field{mcp.Bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")}},
	}, func(t *T, fields []reports.Field) {
		ex := t.Get(t.AS.Server().Userinfo, fields...) // the challenge is a MUST (RFC 6750 section 3), and 401 a SHOULD (section 3.1)
		if t.Expect(ex).To(expect.RefusePreferably(401, 400, 403), expect.HaveChallengeOf("Bearer")) && fields != nil {
			t.Expect(ex).Ideally(expect.NameInChallenge("invalid_token"))
		}
	})
	Each(t, Cases[reports.Field]{ // what is not a bearer token at all may be answered 400 (RFC 6750 section 3.1)
		{"Basic credentials", oauth.BasicAuth("demo_client", "demo_secret")},
		{"an empty Bearer token", mcp.Field("Authorization", "Bearer ")},
	}, func(t *T, field reports.Field) {
		ex := t.Get(t.AS.Server().Userinfo, field)
		if t.Expect(ex).To(expect.Refuse(401, 400, 403)) {
			t.Expect(ex).Ideally(expect.Refuse(401, 400))
		}
	})
	post := t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Userinfo})
	t.Expect(post, "POST, no token").To(tellNothing)
	acceptsNoCookies(t, t.AS.Server().Userinfo)
}

// acceptsNoCookies sends the cookies of a signed-in user without a token.
func acceptsNoCookies(t *T, endpoint string) {
	if !t.Session.Ready || t.Session.NoLogin(0) != "" {
		Untried(t, "the cookies of a signed-in user", ALogin)
		return
	}
	if u, err := document.ParseURL(endpoint); err == nil {
		cookies := t.AS.MustAuthorize().Jar.Field(u)
		t.Expect(t.Get(endpoint, cookies...), "the cookies of a signed-in user, and no token").Ideally(tellNothing)
	}
}

func namesUser(t *T) {
	tokens := mustServe(t)
	ex := mustAnswer(t, tokens)
	answer := claims(ex)
	if !t.Expect(answer).SeenIn(ex).To(expect.HaveMember("sub", expect.NotEmpty)) {
		return
	}
	if _, id := oauth.Claims(tokens.ID); id.String("sub") != "" {
		t.Expect(answer, "the sub, compared with the ID token's").SeenIn(ex).To(expect.HaveMember("sub", id.String("sub")))
	}
	t.Expect(answer, "the subject of the answer").SeenIn(ex).To(expect.HaveMember("sub", otherThan(tokens.Client.ID)))
	post := wire.Request{Method: "POST", URL: t.AS.Server().Userinfo, Header: []reports.Field{mcp.Bearer(tokens.Access)}}
	answered := t.Do(post)
	if expect.Status(answered) != 200 { // the server may look for a token in the body, which then must be a form (RFC 6750 section 2.2)
		post.Header = append(post.Header, mcp.Field("Content-Type", "application/x-www-form-urlencoded"))
		answered = t.Do(post)
	}
	t.Expect(answered, "POST, like GET (OpenID Connect Core section 5.3.1)").Ideally(expect.HaveStatus(200))
}

func otherThan(client string) expect.Value {
	return expect.ValueThat("the user's identifier, and not the client's", func(v any) bool { return v != client })
}
