package token

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// requestEdit changes a whole token request before it is sent.
type requestEdit func(r wire.Request) wire.Request

// redemption is a good token request, for tests of something other than its parameters.
func redemption(t *T, base ...Edit) Attempt[requestEdit] {
	return editing(t, "an ordinary token request", func() (wire.Request, *oauth.Client) {
		g := t.AS.MustAuthorize(base...)
		return t.AS.BuildRedeem(g), g.Client
	})
}

// refreshing is redemption with another grant: a good refresh.
func refreshing(t *T) Attempt[requestEdit] {
	return editing(t, "an ordinary refresh", func() (wire.Request, *oauth.Client) {
		tokens := t.AS.MustGetRefreshToken()
		return t.AS.BuildRefresh(tokens), tokens.Client
	})
}

// editing is an attempt that edits a good token request of a client.
func editing(t *T, name string, build func() (wire.Request, *oauth.Client)) Attempt[requestEdit] {
	return Attempt[requestEdit]{Name: name, Good: expect.IssueTokens(), Send: func(edits ...requestEdit) any {
		r, c := build()
		for _, e := range edits {
			r = e(r)
		}
		ex := t.Do(r)
		t.AS.Tokens(ex, c)
		return ex
	}}
}

func refusesQueries(t *T) {
	rows := Cases[requestEdit]{
		{"GET with everything in the query", func(r wire.Request) wire.Request {
			return wire.Request{Method: "GET", URL: r.URL + "?" + r.Body, Header: r.Header}
		}},
		{"POST with everything in the query", func(r wire.Request) wire.Request {
			r.URL, r.Body = r.URL+"?"+r.Body, ""
			return r
		}},
	}
	Refuses(t, redemption(t), rows, expect.RefuseGrant())
	atRefresh(t, func(t *T) { Refuses(t, refreshing(t), rows, expect.RefuseGrant()) })
	refusesSecretInQuery(t)
}

// atRefresh judges the same with another grant, for which a server may have other code. It does not apply without refresh tokens.
func atRefresh(t *T, judge func(t *T)) {
	Each(t, Cases[func(t *T)]{{"a refresh", judge}}, func(t *T, judge func(t *T)) {
		t.AS.RefreshMustWork(As(t.AS.Refresher()))
		judge(t)
	})
}

func refusesSecretInQuery(t *T) {
	c, why := t.Session.Client(t.Context(), session.ConfidentialPost)
	if c == nil {
		t.Note("a client_secret in the query was not tried: %s", why)
		return
	}
	secret := oauth.Form{{Name: "client_secret", Value: c.Secret}}.Encode()
	without := func(r wire.Request) wire.Request {
		r.Body = strings.Replace(r.Body, "&"+secret, "", 1)
		return r
	}
	good := redemption(t, As(c))
	if expect.IssueTokens().Judge(good.Send(without)).Met {
		t.Note("client_secret in the query was not tried: tokens are issued without it too (AS-TOKEN-WRONG-SECRET)")
		return
	}
	Refuses(t, good, Cases[requestEdit]{
		{"client_secret in the query", func(r wire.Request) wire.Request {
			r.URL += "?" + secret
			return without(r)
		}},
	}, expect.RefuseGrant())
}

func readsMediaType(t *T) {
	mediaType := func(v string) requestEdit {
		return func(r wire.Request) wire.Request { return withMediaType(r, v) }
	}
	Each(t, Cases[requestEdit]{
		{"with a charset", mediaType("application/x-www-form-urlencoded; charset=UTF-8")},
		{"with a charset and no space", mediaType("application/x-www-form-urlencoded;charset=utf-8")},
		{"in upper case", mediaType("Application/X-WWW-Form-Urlencoded")},
		{"the parameters in reverse order", reversed},
		{"every character of the code percent-encoded", encodingCode(t)},
	}, func(t *T, e requestEdit) {
		t.Expect(redemption(t).Send(e)).To(expect.IssueTokens())
	})
}

func reversed(r wire.Request) wire.Request {
	parameters := strings.Split(r.Body, "&")
	slices.Reverse(parameters)
	r.Body = strings.Join(parameters, "&")
	return r
}

func encodingCode(t *T) requestEdit {
	return func(r wire.Request) wire.Request {
		form, _ := url.ParseQuery(r.Body) // it was encoded here
		var encoded strings.Builder
		for _, b := range []byte(form.Get("code")) {
			fmt.Fprintf(&encoded, "%%%02X", b)
		}
		form.Del("code")
		r.Body = form.Encode() + "&code=" + t.Hide(encoded.String())
		return r
	}
}

// A server need not read JSON. If it does, it must check the request in the same way.
func checksJSONBodies(t *T) {
	Each(t, Cases[func(m map[string]any)]{
		{"a wrong verifier", func(m map[string]any) { m["code_verifier"] = oauth.NewPKCE(43).Verifier }},
		{"a verifier of null", func(m map[string]any) { m["code_verifier"] = nil }},
		{"an array as verifier", func(m map[string]any) { m["code_verifier"] = []any{} }},
		{"a number as verifier", func(m map[string]any) { m["code_verifier"] = 1 }},
		{"no verifier", func(m map[string]any) { delete(m, "code_verifier") }},
	}, func(t *T, bend func(m map[string]any)) {
		ex := t.Do(inJSON(t, t.AS.MustAuthorize(), bend))
		t.AS.Tokens(ex, t.AS.AnyClient())
		t.Expect(ex, "a JSON body").To(expect.RefuseGrant())
	})
	Each(t, Cases[func(r wire.Request) wire.Request]{
		{"a wrong verifier in multipart/form-data", inParts},
		{"a wrong verifier in text/plain", asText},
	}, func(t *T, encode func(r wire.Request) wire.Request) {
		g := t.AS.MustAuthorize()
		ex := t.Do(encode(t.AS.BuildRedeem(g, With("code_verifier", oauth.NewPKCE(43).Verifier))))
		t.AS.Tokens(ex, g.Client)
		t.Expect(ex).To(expect.RefuseGrant())
	})
}

// inParts is a form as multipart/form-data (RFC 7578).
func inParts(r wire.Request) wire.Request {
	const boundary = "mcpauth-boundary"
	form, _ := url.ParseQuery(r.Body) // it was encoded here
	var body strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, form.Get(name))
	}
	r.Body = body.String() + "--" + boundary + "--\r\n"
	return withMediaType(r, "multipart/form-data; boundary="+boundary)
}

func asText(r wire.Request) wire.Request { return withMediaType(r, "text/plain") }

func withMediaType(r wire.Request, v string) wire.Request {
	r.Header = slices.Clone(r.Header)
	for i := range r.Header {
		if r.Header[i].Name == "Content-Type" {
			r.Header[i].Value = v
		}
	}
	return r
}

// inJSON is the token request for a grant as a JSON object.
func inJSON(t *T, g *Grant, bend func(m map[string]any)) wire.Request {
	m := map[string]any{}
	for _, p := range t.Session.Redemption(g.Client, g.Code(), g.Pair) {
		m[p.Name] = p.Value
	}
	if m["client_id"] = g.Client.ID; g.Client.Secret != "" { // a server may refuse an empty secret
		m["client_secret"] = g.Client.Secret
	}
	bend(m)
	body, _ := json.Marshal(m) // strings can always be encoded
	header := []reports.Field{mcp.Field("Content-Type", "application/json"), mcp.Field("Accept", "application/json")}
	return wire.Request{Method: "POST", URL: t.AS.Server().Token, Body: string(body), Header: header}
}

func ignoresUnknownParameters(t *T) {
	rows := Cases[Edit]{
		{"an unknown parameter", With("mcpauth_x", "1")},
		{"an empty parameter of another grant", With("audience", "")},
		{"an empty scope", With("scope", "")},
	}
	Each(t, rows, func(t *T, odd Edit) { t.Expect(t.AS.Redemption().Send(odd)).To(expect.IssueTokens()) })
	atRefresh(t, func(t *T) {
		Each(t, rows, func(t *T, odd Edit) { t.Expect(t.AS.RefreshGrant().Send(odd)).To(expect.IssueTokens()) })
	})
	if t.AS.AnyClient().Public() {
		t.Expect(t.AS.Redemption().Send(With("client_secret", "")), "an empty client_secret of a public client").Ideally(expect.IssueTokens())
	}
}

// refused is a token request with the errors that it may get.
type refused struct {
	edit  Edit
	codes []string
}

func distinguishesGrantTypes(t *T) {
	c := t.AS.AnyClient()
	Each(t, Cases[refused]{
		{"no grant_type", refused{With("code", "x"), []string{"invalid_request"}}},
		{"an unknown grant_type", refused{With("grant_type", "mcpauth_bogus"), []string{"unsupported_grant_type"}}},
		{"an empty body", refused{Unidentified(), []string{"invalid_request", "unsupported_grant_type", "invalid_client"}}},
		{"grant_type in upper case", refused{With("grant_type", "AUTHORIZATION_CODE"), []string{"unsupported_grant_type"}}},
	}, func(t *T, r refused) {
		t.Expect(t.AS.TokenRequest(c, r.edit)).To(expect.RefuseGrant(r.codes...))
	})
}

func refusesPasswordGrant(t *T) {
	u := t.Session.Users[0]
	Each(t, t.AS.Clients(), func(t *T, c *oauth.Client) {
		ex := t.AS.TokenRequest(c, With("grant_type", "password"), With("username", u.Name), With("password", u.Password))
		t.AS.Tokens(ex, c)
		t.Expect(ex).To(expect.RefuseGrant("unsupported_grant_type", "unauthorized_client", "invalid_client"))
	})
}

func refusesClientCredentialsOfPublicClients(t *T) {
	c := t.AS.PublicClient()
	Each(t, Cases[Edit]{
		{"no secret", Unchanged},
		{"an empty secret", With("client_secret", "")},
		{"a made-up secret", With("client_secret", "mcpauth-made-up")},
	}, func(t *T, secret Edit) {
		ex := t.AS.RequestForItself(c, secret)
		t.AS.Tokens(ex, c)
		t.Expect(ex).To(expect.RefuseGrant("unauthorized_client", "invalid_client", "unsupported_grant_type"))
	})
}

func survivesOversizedRequests(t *T) {
	c := t.AS.AnyClient()
	Each(t, Cases[Edit]{
		{"a code of 2 MiB", With("code", strings.Repeat("a", 2<<20))},
		{"20,000 parameters", Raw(strings.Repeat("&a=b", 20_000))},
		{"invalid percent-encoding", Raw("&code=%ZZ")},
		{"NUL in a value", With("code", "a\x00b")},
	}, func(t *T, odd Edit) {
		t.Expect(t.AS.TokenRequest(c, With("grant_type", "authorization_code"), odd)).To(turnAway)
	})
	after := t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "x"))
	t.Expect(after, "an ordinary request afterwards").To(answered)
}

var turnAway = expect.That("HTTP 4xx, or the connection closed", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); expect.HungUp(ex) || s >= 300 && s < 500 || s == 501 {
		return ""
	}
	return expect.Describe(ex)
})

var answered = expect.That("an answer", func(ex *reports.Exchange) string {
	if ex.Response == nil || expect.Crashed(ex) {
		return expect.Describe(ex)
	}
	return ""
})
