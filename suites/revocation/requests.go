package revocation

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 7009 section 2.2: an invalid token is not an error, since the client's purpose is achieved.
func confirmsUnknownTokens(t *T) {
	c := revoker(t)
	rows := Cases[string]{
		{"a token that was never issued", "mcpauth-" + Random(24)},
		{"a made-up JWT", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA"},
	}
	if t.Session.Ready {
		spent := t.AS.MustGetTokens(As(c))
		t.AS.Revoke(spent, spent.Access)
		rows = rows.And("an access token that is revoked already", spent.Access)
	}
	Each(t, rows, func(t *T, token string) {
		ex := t.AS.Revoke(&oauth.Tokens{Client: c}, token)
		if oauth.ErrorCode(ex) == "unsupported_token_type" { // the server cannot revoke tokens of this type (RFC 7009 section 2.2.1)
			t.NotApplicable("the server says unsupported_token_type")
		}
		t.Expect(ex).To(expect.ConfirmRevocation())
	})
}

// Where the token stays valid, the request has not revoked it. A GET that does is the JSONP of RFC 7009 section 2.3.
func readsBodyOnly(t *T) {
	c := revoker(t)
	t.Expect(t.AS.Revoke(&oauth.Tokens{Client: c}, "", Without("token")), "no token").To(expect.RefuseGrant("invalid_request"))
	if t.AS.MustGetTokens(As(c), t.AS.ForRefresh()).Refresh == "" {
		t.Note("client %s gets no refresh token, so whether a URL revokes one is not seen", c.ID)
		return
	}
	Each(t, Cases[string]{
		{"GET with the token in the query", "GET"},
		{"POST with the token in the query", "POST"},
	}, func(t *T, method string) {
		if method == "GET" && c.Method == oauth.Post {
			t.NotApplicable("client %s authenticates in the body, which GET does not have", c.ID)
		}
		tokens := t.AS.MustGetRefreshToken(As(c))
		t.Do(revokingByURL(t, method, tokens))
		after := t.AS.Refresh(tokens)
		t.AS.Tokens(after, c)
		if method == "GET" {
			t.Expect(after, "a refresh afterwards").Ideally(expect.IssueTokens())
		} else {
			t.Expect(after, "a refresh afterwards").To(expect.IssueTokens())
		}
	})
}

// revokingByURL is a revocation request with the token in the query. A POST has the credentials of the client where they belong.
func revokingByURL(t *T, method string, tokens *oauth.Tokens) wire.Request {
	endpoint, query := t.AS.Server().Revocation, oauth.Form{{Name: "token", Value: tokens.Refresh}}
	var credentials oauth.Form
	fields := tokens.Client.Authenticate(&credentials)
	if method == "GET" {
		return wire.Request{Method: method, URL: oauth.AtQuery(endpoint, append(query, credentials...)), Header: fields}
	}
	return oauth.Request(oauth.AtQuery(endpoint, query), credentials, fields...)
}

func letsBrowserClientsIn(t *T) {
	const origin = "http://localhost:6274"
	preflight := t.Do(wire.Request{Method: "OPTIONS", URL: t.AS.Server().Revocation, Header: []reports.Field{
		mcp.Field("Origin", origin), mcp.Field("Access-Control-Request-Method", "POST"),
		mcp.Field("Access-Control-Request-Headers", "content-type"),
	}})
	t.Expect(preflight, "the preflight of a browser client").Ideally(expect.AllowPreflight(origin, "POST"))
}
