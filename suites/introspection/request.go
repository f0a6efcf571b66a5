package introspection

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// The token is in force and belongs to the client that the request names, so the missing authorization is the only reason for no
// information.
func requiresAuthorization(t *T) {
	Each(t, t.AS.Clients(), func(t *T, c *oauth.Client) {
		tokens := t.AS.MustGetTokens(As(c))
		Each(t, Cases[Edit]{
			{"no credentials", Unidentified()},
			{"its client_id alone", Edits(Unidentified(), With("client_id", c.ID))},
		}, func(t *T, caller Edit) {
			ex := t.AS.Introspect(c, tokens.Access, caller)
			if t.Expect(ex).To(tellNothing) {
				t.Expect(ex).Ideally(expect.Refuse(401, 400, 403))
			}
		})
		byGet := t.Get(oauth.AtQuery(t.AS.Server().Introspection, oauth.Form{{Name: "token", Value: tokens.Access}}))
		t.Expect(byGet, "GET, no credentials").To(tellNothing)
		if another, _ := t.Session.Client(t.Context(), session.Second); another != nil {
			bearer := Header(mcp.Bearer(t.AS.MustGetTokens(As(another)).Access))
			ex := t.AS.Introspect(c, tokens.Access, Unidentified(), bearer)
			t.Expect(ex, "an ordinary access token of another client as credential").Ideally(tellNothing)
		}
		if names := told(t.AS.Introspect(c, tokens.Access, Unidentified(), Header(mcp.Bearer(tokens.Access)))); names != nil {
			t.Note("introspection answers a token about itself: it shows %s", strings.Join(names, ", "))
		}
	})
}

// A refusal with another status than 401 is a warning (RFC 7662 section 2.3).
func refusesBadCredentials(t *T) {
	c := t.AS.IntrospectionClient()
	good := Attempt[Edit]{Name: "an introspection request with the right credentials", Good: expect.HaveStatus(200)}
	good.Send = func(edits ...Edit) any { return t.AS.Introspect(c, "mcpauth-unknown", edits...) }
	authorization := func(value string) Edit { return Edits(Unidentified(), Header(mcp.Field("Authorization", value))) }
	stranger := *c
	stranger.ID = "mcpauth-unknown-" + Random(9)
	rows := Cases[Edit]{{"an unknown client", As(&stranger)}, {"a made-up bearer token", authorization("Bearer mcpauth-made-up")}}
	if c.Secret != "" {
		alone := Cases[Edit]{{"its client_id alone", Edits(Unidentified(), With("client_id", c.ID))}}
		Refuses(t, good, alone, expect.Refuse(401, 400, 403)) // 400 is right where no credentials are sent (RFC 6749 section 5.2)
		rows = append(rows, t.AS.Guesses(c, Cases[Edit]{
			{"an empty secret", AsWithSecret(c, "")},
			{"a wrong secret", AsWithSecret(c, "mcpauth-wrong-"+Random(16))},
		})...)
		rows = append(rows, t.AS.NearSecrets(c)...)
	}
	if c.Method == oauth.Basic {
		rows = rows.And("Basic with no base64", authorization("Basic !!!")).
			And("Basic without a colon", authorization("Basic "+base64.StdEncoding.EncodeToString([]byte("nocolon"))))
	}
	Refuses(t, good, rows, expect.RefusePreferably(401, 400, 403))
	if c.Secret != "" {
		t.AS.SecretsMustBeTried(c)
	}
}

// A client that registered itself is not a resource server.
func tellsStrangersNothing(t *T) {
	tokens := t.AS.MustGetTokens(t.AS.ForRefresh())
	stranger, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	if stranger == nil || stranger.Secret == "" {
		t.NotApplicable("registration issues no secrets: %s", expect.Describe(ex))
	}
	tried := Cases[string]{{"token", tokens.Access}, {"refresh token", tokens.Refresh}}
	for _, asked := range tried {
		if asked.Value == "" {
			continue
		}
		ex = t.AS.Introspect(stranger, asked.Value)
		about := "a client that has just registered itself asks about another client's " + asked.Name
		if t.Expect(ex, about).To(nameNobody) {
			t.Expect(ex, about).Ideally(tellNothing)
		}
	}
}

var nameNobody = expect.Refusing("nothing about the user and the client of the token", func(ex *reports.Exchange) string {
	for _, name := range []string{"sub", "username", "client_id"} {
		if oauth.Object(ex).String(name) != "" {
			return expect.Describe(ex) + " with " + name
		}
	}
	return ""
})

func answersPostOnly(t *T) {
	c, tokens := t.AS.IntrospectableTokens()
	Each(t, Cases[Edit]{
		{"no hint", Unchanged},
		{"token_type_hint refresh_token for an access token", With("token_type_hint", "refresh_token")},
		{"an unknown token_type_hint", With("token_type_hint", "mcpauth_bogus")},
	}, func(t *T, hint Edit) {
		ex := t.AS.Introspect(c, tokens.Access, hint)
		if oauth.ErrorCode(ex) == "unsupported_token_type" {
			t.NotApplicable("the server says unsupported_token_type")
		}
		t.Expect(ex).To(expect.BeActive())
	})
	t.Expect(t.AS.Introspect(c, "", Without("token")), "no token").To(expect.HaveStatus(400, 401, 403, 404, 405, 415, 422))
	if c.Method != oauth.Basic {
		t.Note("GET is not tried: the client authenticates in the body, which a GET request does not have")
		return
	}
	address := oauth.AtQuery(t.AS.Server().Introspection, oauth.Form{{Name: "token", Value: tokens.Access}})
	ex := t.Get(address, oauth.BasicAuth(c.ID, c.Secret))
	t.Expect(ex, "GET with the token in the query").Ideally(tellNothing)
}

// Some designs have an endpoint that describes tokens and that the metadata does not name: a proprietary one, or one for introspection.
func guardsOtherEndpoints(t *T) {
	asked := otherEndpoints(t, []string{"/oauth/tokeninfo", "/tokeninfo", "/verify", "/auth/verify"}, func(endpoint string) wire.Request {
		return wire.Request{Method: "GET", URL: endpoint, Header: []reports.Field{mcp.Bearer("mcpauth-made-up")}}
	})
	posted := otherEndpoints(t, []string{"/introspect", "/oauth/introspect", "/oauth2/introspect"}, func(endpoint string) wire.Request {
		return introspectionOf(endpoint, "mcpauth-made-up")
	})
	if len(asked)+len(posted) == 0 {
		t.NotApplicable("there is no other introspection endpoint in the usual places")
	}
	Each(t, asked, guardsEndpoint)
	Each(t, posted, func(t *T, endpoint string) {
		t.Expect(t.Do(introspectionOf(endpoint, t.AS.MustGetTokens().Access)), "POST without credentials").To(tellNothing)
	})
}

// introspectionOf is a request for information about a token without credentials.
func introspectionOf(endpoint, token string) wire.Request {
	return oauth.Request(endpoint, oauth.Form{{Name: "token", Value: token}})
}

// otherEndpoints returns the paths under the issuer that answer a request in JSON, but for the introspection endpoint of the metadata.
func otherEndpoints(t *T, paths []string, request func(endpoint string) wire.Request) (found Cases[string]) {
	for _, path := range paths {
		endpoint := strings.TrimSuffix(t.AS.Server().Issuer, "/") + path
		if endpoint == t.AS.Server().Introspection {
			continue
		}
		ex := t.Do(request(endpoint))
		if why := Unanswered(t, ex); why != "" {
			t.Leave(path, why)
			continue
		}
		if s := expect.Status(ex); s != 404 && s != 405 && oauth.Object(ex) != nil {
			found = found.And(path, endpoint)
		}
	}
	return found
}

func guardsEndpoint(t *T, endpoint string) {
	tokens := t.AS.MustGetTokens()
	header := func(token string) wire.Request {
		return wire.Request{Method: "GET", URL: endpoint, Header: []reports.Field{mcp.Bearer(token)}}
	}
	rows := Cases[wire.Request]{
		{"no token", wire.Request{Method: "GET", URL: endpoint}},
		{"a made-up token", header("mcpauth-made-up")},
		{"an access token in the query", wire.Request{Method: "GET", URL: endpoint + "?access_token=" + url.QueryEscape(tokens.Access)}},
	}
	for _, dead := range deadTokens(t, tokens.Client) {
		rows = rows.And(dead.Name, header(dead.Value))
	}
	if tokens.Refresh != "" {
		rows = rows.And("a refresh token", header(tokens.Refresh))
	}
	if tokens.ID != "" {
		rows = rows.And("an ID token", header(tokens.ID))
	}
	Each(t, rows, func(t *T, r wire.Request) { t.Expect(t.Do(r)).To(tellNothing) })
}
