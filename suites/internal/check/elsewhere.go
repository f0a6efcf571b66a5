package check

import (
	"slices"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Elsewhere is an endpoint, beside the token endpoint, where clients authenticate by the same methods.
type Elsewhere struct {
	url           string
	form          func(c *oauth.Client) oauth.Form // an ordinary request, without authentication
	good, refused expect.Matcher
}

// EndpointsOfTokens answer questions about a token of a client (RFC 7662 section 2.1, RFC 7009 section 2.1). The revocation comes last,
// because it ends the token.
func (t AuthorizationServer) EndpointsOfTokens(token string) Cases[Elsewhere] {
	form := func(*oauth.Client) oauth.Form { return oauth.Form{{Name: "token", Value: token}} }
	refused := expect.RefuseGrant("invalid_client", "invalid_request")
	return Cases[Elsewhere]{
		{"introspection", Elsewhere{t.Server().Introspection, form, expect.BeActive(), tellNotActive}},
		{"revocation", Elsewhere{t.Server().Revocation, form, expect.ConfirmRevocation(), expect.AtMostAdvised(refused)}},
	}
}

// tellNotActive expects that a caller who is not authenticated learns nothing of an active token (RFC 7662 section 2.1).
var tellNotActive = expect.Advised(expect.Refusing("nothing about the token", func(ex *reports.Exchange) string {
	if active, _ := oauth.Object(ex).Bool("active"); active {
		return "active: true"
	}
	return ""
}), "HTTP 400, 401 or 403 (RFC 7662 section 2.3)", func(ex *reports.Exchange) bool {
	return slices.Contains([]int{400, 401, 403}, expect.Status(ex))
})

// EndpointsOfFlows are the endpoints where a client begins a flow (RFC 9126 section 2, RFC 8628 section 3.1).
func (t AuthorizationServer) EndpointsOfFlows() Cases[Elsewhere] {
	pushed := func(c *oauth.Client) oauth.Form { return t.Session.Request(c, oauth.NewPKCE(43)) }
	device := func(c *oauth.Client) oauth.Form {
		return oauth.Form{{Name: "client_id", Value: c.ID}, {Name: "scope", Value: t.Session.Request(c, oauth.PKCE{}).Get("scope")}}
	}
	refused := expect.RefuseGrant("invalid_client", "invalid_request")
	holding := func(member string) expect.Matcher {
		return expect.ServedBy(func(ex *reports.Exchange) bool { return oauth.Object(ex).String(member) != "" })
	}
	return Cases[Elsewhere]{
		{"pushed request", Elsewhere{t.Server().Endpoint("pushed_authorization_request_endpoint"), pushed, holding("request_uri"), refused}},
		{"device request", Elsewhere{t.Server().Endpoint("device_authorization_endpoint"), device, holding("device_code"), refused}},
	}
}

// as is the good request of a client.
func (e Elsewhere) as(t *T, c *oauth.Client) Attempt[Edit] {
	return Attempt[Edit]{Name: "the request with a valid assertion", Good: e.good, Send: func(edits ...Edit) any {
		d := t.AS.draft(edits)
		d.client = c
		r := t.AS.tokenRequest(d, e.form(c))
		r.URL = e.url
		ex := t.Do(r)
		for _, member := range []string{"request_uri", "device_code"} {
			t.Secrets.Add(member, oauth.Object(ex).String(member))
		}
		return ex
	}}
}

// AuthenticatesElsewhere expects that a client with a key authenticates at other endpoints as at the token endpoint. used is an assertion
// that the token endpoint has accepted, and refuses now; empty if there is none.
func (t AuthorizationServer) AuthenticatesElsewhere(c *oauth.Client, used string, at Cases[Elsewhere]) {
	Each(t.T, at.Where(func(e Elsewhere) bool { return e.url != "" }), func(t *T, e Elsewhere) {
		c := e.accepted(t, c)
		good := e.as(t, c)
		if !Offers(t, good, "") {
			return
		}
		if e.good.Judge(good.Send(Unidentified(), Without("client_id"))).Met {
			t.NotApplicable("the endpoint answers anybody, which its own checks judge")
		}
		Refuses(t, good, wrongElsewhere(c), e.refused)
		if used != "" {
			replayed := good.Send(With("client_assertion", used))
			t.Expect(replayed, "an assertion that the token endpoint has accepted (RFC 7523 section 3, jti)").Ideally(e.refused)
		}
	})
}

// accepted is a client whose assertions have the audience that an endpoint accepts: that of the token endpoint, or the endpoint itself,
// as RFC 9126 section 2 allows.
func (e Elsewhere) accepted(t *T, c *oauth.Client) *oauth.Client {
	for _, audience := range []string{c.Audience, e.url, t.AS.Server().Token, t.AS.Server().Issuer} {
		other := *c
		if other.Audience = audience; e.good.Judge(e.as(t, &other).Send()).Met {
			return &other
		}
	}
	return c
}

// wrongElsewhere are the edits that show whether an endpoint verifies assertions at all, and the claims that bind them.
func wrongElsewhere(c *oauth.Client) Cases[Edit] {
	g, attacker, now := AssertionsOf(c), mint.NewAttacker(), time.Now().Unix()
	alg, _ := g.Header["alg"].(string)
	return Cases[Edit]{
		{"no assertion", Without("client_assertion", "client_assertion_type")},
		{"another key", With("client_assertion", attacker.Sign(alg, g.Header, g.Claims()))},
		{"aud of another", signedWith(c, map[string]any{"aud": "https://other.example"})},
		{"expired", signedWith(c, map[string]any{"exp": now - 600, "iat": now - 1200})},
	}
}
