package userinfo

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// profileClaims are the claims of the scope profile that say something about the user.
var profileClaims = []string{
	"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender",
	"birthdate", "zoneinfo", "locale",
}

// OpenID Connect Core sections 5.3 and 5.4.
func goesByScope(t *T) {
	tokens := mustServe(t)
	ex := mustAnswer(t, tokens)
	Each(t, Cases[[]string]{
		{"email", []string{"email", "email_verified"}},
		{"profile", profileClaims},
		{"phone", []string{"phone_number", "phone_number_verified"}},
		{"address", []string{"address"}},
	}, func(t *T, names []string) {
		scope := RowOf(t)
		if t.AS.Lists("scopes_supported", scope) && !slices.Contains(held(t, tokens, t.Session.RequestedScopes()), scope) {
			t.Expect(claims(ex)).SeenIn(ex).To(lack(scope, names))
		}
	})
	if t.AS.Lists("scopes_supported", "openid") && !slices.Contains(t.Session.RequestedScopes(), "openid") {
		without := t.AS.MustGetTokens()
		if !slices.Contains(held(t, without, t.Session.RequestedScopes()), "openid") {
			t.Expect(ask(t, without.Access), "a token without the scope openid").Ideally(tellNothing)
		}
	}
}

// held are the scopes of a token if they are visible, otherwise the requested scopes.
func held(t *T, tokens *oauth.Tokens, requested []string) []string {
	if real, seen := t.AS.RealScope(tokens); seen {
		return real
	}
	if tokens.HasScope {
		return tokens.Scope
	}
	return requested
}

var lack = expect.Family("lack", func(scope string, names []string) expect.Matcher {
	return expect.That("claims of the scope "+scope+" only where it was granted", func(o *document.Object) string {
		for _, name := range names {
			if _, is := o.Get(name); is {
				return name + " is in the answer, although its scope was not granted"
			}
		}
		return ""
	})
})

var tellNothing = expect.Refusing("no user data", func(ex *reports.Exchange) string {
	if claims(ex).String("sub") != "" {
		return expect.Describe(ex) + " with sub"
	}
	return ""
})

// presented is a request with a new token; a row sends another value.
func presented(t *T) Attempt[string] {
	return Attempt[string]{Name: "a request with a new access token", Good: expect.HaveStatus(200), Send: func(others ...string) any {
		if len(others) == 0 {
			return ask(t, mustServe(t).Access)
		}
		return ask(t, others[0])
	}}
}

func refusesDeadTokens(t *T) {
	tokens := mustServe(t)
	rows := Cases[string]{{"an authorization code", t.AS.MustAuthorize(Scope(wanted(t)...)).Code()}}
	refreshable := t.AS.MustGetTokens(As(t.AS.Refresher()), Scope(wanted(t)...), t.AS.ForRefresh())
	if refreshable.Refresh != "" {
		rows = rows.And("a refresh token", refreshable.Refresh)
	}
	if tokens.ID != "" {
		rows = rows.And("an ID token", tokens.ID)
	}
	if t.AS.Server().Revocation != "" {
		dead := mustServe(t)
		if ex := t.AS.Revoke(dead, dead.Access); expect.Confirmed(ex) {
			if expect.Status(ask(t, dead.Access)) == 200 { // the revocation may take a while to have an effect
				t.Sleep(t.Patience)
			}
			rows = rows.And("a revoked access token", dead.Access)
		}
	}
	for _, w := range nearmiss.Ways(nearmiss.Changed) { // the last characters of a JWT are its signature
		if forged := forge(tokens.Access, w.To); forged != tokens.Access {
			rows = rows.And("an access token with another signature, "+w.Name, t.Hide(forged))
		}
	}
	Refuses(t, presented(t), rows, expect.RefusePreferably(401, 400, 403)) // 401 is a SHOULD (RFC 6750 section 3.1)
	refusesTokenOfEndedGrant(t, refreshable)
}

// refusesTokenOfEndedGrant revokes the refresh token of a grant. Its access token may stay valid (RFC 7009 section 2.1), but then the MCP
// server does not refuse it.
func refusesTokenOfEndedGrant(t *T, tokens *oauth.Tokens) {
	if expect.Status(ask(t, tokens.Access)) == 200 && t.AS.EndsWithRefresh(tokens) {
		t.Expect(ask(t, tokens.Access), "an access token that the MCP server refuses since its refresh token was revoked").
			Ideally(expect.RefuseAnyway())
	}
}

// forge changes the signature of a JWT, or an opaque token as a whole. Its last character may be padding: the one before is changed.
func forge(token string, to func(string) string) string {
	at := strings.LastIndexByte(token, '.') + 1
	last := len(token) - 1
	return token[:at] + to(token[at:last]) + token[last:]
}

// OAuth 2.1 section 5.1.
func readsHeaderOnly(t *T) {
	good := Attempt[func(token string) wire.Request]{Name: "the token in the Authorization field", Good: expect.HaveStatus(200)}
	good.Send = func(other ...func(token string) wire.Request) any {
		tokens := mustServe(t)
		if len(other) == 0 {
			return ask(t, tokens.Access)
		}
		return t.Do(other[0](tokens.Access))
	}
	Refuses(t, good, Cases[func(token string) wire.Request]{
		{"the token in the query", func(token string) wire.Request {
			address := oauth.AtQuery(t.AS.Server().Userinfo, oauth.Form{{Name: "access_token", Value: token}})
			return wire.Request{Method: "GET", URL: address}
		}},
		{"POST, the token in the query", func(token string) wire.Request {
			address := oauth.AtQuery(t.AS.Server().Userinfo, oauth.Form{{Name: "access_token", Value: token}})
			return wire.Request{Method: "POST", URL: address}
		}},
	}, tellNothing)
}

func holdsNoCredentials(t *T) {
	ex := mustAnswer(t, mustServe(t, "profile", "email"))
	if body := claims(ex); body == nil { // encrypted, or no object
		t.Leave("the answer", "its claims cannot be read: "+expect.Describe(ex))
	} else {
		t.Expect(body, "the answer").SeenIn(ex).To(holdNoCredential)
	}
	t.Expect(ex, "the answer").Ideally(forbidCaching)
	preflight := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Userinfo, Header: []reports.Field{
		mcp.Field("Origin", "http://localhost:6274"), mcp.Field("Access-Control-Request-Method", "GET"),
		mcp.Field("Access-Control-Request-Headers", "authorization"),
	}})
	t.Expect(preflight, "the preflight of a browser client").Ideally(expect.AllowPreflight("http://localhost:6274", "GET", "authorization"))
}

var holdNoCredential = expect.That("nothing that is a credential", func(o *document.Object) string { return credentialIn(o) })

// credentialIn says which member of a value, at any depth, is a credential.
func credentialIn(v any) (found string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			found = cmp.Or(found, credentialIn(e))
		}
	case *document.Object:
		for _, m := range v.Members {
			found = cmp.Or(found, credential(m.Name, v.String(m.Name)), credentialIn(m.Value))
		}
	}
	return found
}

// aboutCredentials are members that say something about a credential, and are none.
var aboutCredentials = []string{"at_hash", "c_hash", "token_type", "token_use"}

// credential says that a member with a text is a credential.
func credential(member, text string) string {
	name := strings.ToLower(member)
	switch h, _ := oauth.Claims(text); {
	case h != nil:
		return member + " is a JWT"
	case text == "", slices.Contains(aboutCredentials, name), strings.HasSuffix(name, "_at"): // such as password_changed_at
	case strings.Contains(name, "token"), strings.Contains(name, "secret"), strings.Contains(name, "password"),
		strings.HasSuffix(name, "_hash"):
		return "the answer has " + member
	}
	return ""
}

var forbidCaching = expect.That("Cache-Control: no-store or private", func(ex *reports.Exchange) string {
	if c := expect.Header(ex, "Cache-Control"); !strings.Contains(c, "no-store") && !strings.Contains(c, "private") {
		if c == "" {
			return "Cache-Control is absent"
		}
		return "Cache-Control: " + c
	}
	return ""
})
