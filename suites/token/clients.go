package token

import (
	"encoding/base64"
	"slices"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A client that used the Authorization field is answered 401, with a challenge of the scheme that it used (OAuth 2.1 section 3.2.4). A
// value that is not a credential may be answered 400. Code, redirect URI and verifier are valid: a server may check them in any order.
func challengesFailedBasic(t *T) {
	c := basicClient(t)
	basic := func(v string) Edit { return Edits(Unidentified(), Header(mcp.Field("Authorization", "Basic "+v))) }
	unknown := *c
	unknown.ID = "mcpauth-unknown-" + Random(9)
	guesses := t.AS.Guesses(c, Cases[Edit]{{"a wrong secret", AsWithSecret(c, "mcpauth-wrong-"+Random(16))}})
	seen := challenged(t, c, guesses, 401)
	also := challenged(t, c, Cases[Edit]{
		{"an unknown client", As(&unknown)}, // the code belongs to another client, which the server may notice first
		{"Basic with no base64", basic("!!!")},
		{"Basic without a colon", basic(base64.StdEncoding.EncodeToString([]byte("nocolon")))},
	}, 401, 400)
	if !seen && !also {
		t.AS.SecretsMustBeTried(c)
	}
}

// challenged judges token requests of a client that fails to authenticate by Basic, and reports whether one is answered 401.
func challenged(t *T, c *oauth.Client, rows Cases[Edit], statuses ...int) (seen bool) {
	send := func(edit Edit) any { return t.AS.Redemption(As(c)).Send(edit) }
	if !t.Session.Ready { // without a login there is no good code
		send = func(edit Edit) any {
			ex := t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth"),
				With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier), edit)
			if oauth.ErrorCode(ex) == "invalid_grant" {
				t.NotTestedWithout("login", "the server looks at the code first, and a good one needs a login (--username)")
			}
			return ex
		}
	}
	Each(t, rows, func(t *T, edit Edit) {
		ex := expect.ExchangeOf(send(edit))
		refused := t.Expect(ex).To(expect.RefuseGrant()) && t.Expect(ex).To(expect.HaveStatus(statuses...))
		if refused && expect.Status(ex) == 401 {
			seen = true
			t.Expect(ex).To(expect.NameError("invalid_client"), expect.HaveChallengeOf("Basic"))
		}
	})
	return seen
}

// basicClient is the shared confidential client, where it authenticates by Basic.
func basicClient(t *T) *oauth.Client { return clientOf(t, oauth.Basic, session.ConfidentialBasic) }

// clientOf is the shared confidential client that authenticates by a method, where the metadata does not leave it out.
func clientOf(t *T, method, kind string) *oauth.Client {
	methods, listed := t.AS.Server().Metadata.Strings("token_endpoint_auth_methods_supported")
	if listed && !slices.Contains(methods, method) {
		t.NotApplicable("%s is not advertised", method)
	}
	c, why := t.Session.Client(t.Context(), kind)
	switch {
	case c != nil:
	case t.Session.Unanswered(why):
		t.Inconclusive("%s", why)
	default:
		t.NotTested("it needs a client registered for %s: %s", method, why)
	}
	return c
}

func refusesWrongSecrets(t *T) {
	c := t.AS.ConfidentialClient()
	Refuses(t, t.AS.Redemption(As(c)), t.AS.WrongSecrets(c), expect.RefuseGrant("invalid_client", "invalid_request"))
	Refuses(t, t.AS.Redemption(As(c)), t.AS.Guesses(c, Cases[Edit]{
		{"client_secret[$regex] with most of the secret",
			Edits(Unidentified(), With("client_id", c.ID), With("client_secret[$regex]", t.Hide(MostOf(c.Secret))))},
	}), expect.RefuseGrant())
	refusesWrongMACs(t)
	refusesWrongSignatures(t)
}

// refusesWrongSignatures is about a client that proves by a signature that it holds its key (RFC 7523 section 3).
func refusesWrongSignatures(t *T) {
	if !t.AS.Lists("token_endpoint_auth_methods_supported", oauth.PrivateKey) {
		return
	}
	keyed := t.AS.ClientWithKey()
	if keyed != nil {
		keyed.Audience = t.AS.AudienceIfAny(*keyed)
	}
	if keyed == nil || keyed.Audience == "" {
		Untried(t, oauth.PrivateKey, "a client with a key, with which users sign in (client.clients in the target file)")
		return
	}
	Each(t, Cases[oauth.Client]{{oauth.PrivateKey, *keyed}}, func(t *T, c oauth.Client) {
		trap := Listen(t)
		rows := slices.Concat(t.AS.ForgedAssertions(&c, trap), t.AS.WrongAssertions(&c))
		Refuses(t, t.AS.Redemption(As(&c)), rows, expect.RefuseGrant("invalid_client", "invalid_request"))
		t.Expect(trap, "jku, x5u").Ideally(BeLeftAlone)
	})
}

// refusesWrongMACs is about a client that proves by a MAC that it knows its secret (RFC 7523 section 3, OpenID Connect Core section 9).
func refusesWrongMACs(t *T) {
	if !t.AS.Lists("token_endpoint_auth_methods_supported", oauth.SecretJWT) {
		return
	}
	shared, why := t.Session.Client(t.Context(), session.ConfidentialJWT)
	algorithms, listed := t.Session.Server.Metadata.Strings("token_endpoint_auth_signing_alg_values_supported")
	switch {
	case shared == nil && t.Session.Unanswered(why):
		t.Inconclusive("client_secret_jwt: %s", why)
	case shared == nil:
		t.Note("client_secret_jwt: not tried, since it needs a client with this method (client.clients in the target file): %s", why)
		return
	case listed && !slices.Contains(algorithms, "HS256"):
		t.Note("client_secret_jwt: not tried, since the server does not list HS256 for assertions")
		return
	}
	Each(t, Cases[oauth.Client]{{"client_secret_jwt", *shared}}, func(t *T, c oauth.Client) {
		c.Audience = t.AS.AcceptedAudience(c)
		refused := expect.RefuseGrant("invalid_client", "invalid_request")
		Refuses(t, t.AS.Redemption(As(&c)), t.AS.Guesses(&c, slices.Concat(t.AS.ForgedMACs(&c), t.AS.WrongAssertions(&c))), refused)
		usesMACOnce(t, &c)
	})
}

// usesMACOnce sends an accepted assertion again, with another code.
func usesMACOnce(t *T, c *oauth.Client) {
	once := With("client_assertion", c.Sign(c.Assertion()))
	if first := t.AS.Redemption(As(c)).Send(once); !expect.IssueTokens().Judge(first).Met {
		t.Inconclusive("a code with a valid assertion gets no token: %s", expect.Describe(expect.ExchangeOf(first)))
	}
	again := t.AS.Redemption(As(c)).Send(once)
	t.Expect(again, "an assertion for the second time (RFC 7523 section 3, jti)").Ideally(expect.RefuseGrant())
}

func holdsClientsToTheirMethod(t *T) {
	c := t.AS.ConfidentialClient()
	Refuses(t, t.AS.Redemption(As(c)), Cases[Edit]{
		{"no authentication for a client registered with " + c.Method, Edits(Unidentified(), With("client_id", c.ID))},
	}, expect.RefuseGrant("invalid_client", "invalid_request"))
	other, instead := "client_secret_post", Edits(Unidentified(), With("client_id", c.ID), With("client_secret", c.Secret))
	switch c.Method {
	case oauth.Basic:
	case oauth.Post:
		other, instead = "client_secret_basic", Edits(Unidentified(), Header(oauth.BasicAuth(c.ID, c.Secret)))
	default:
		return
	}
	t.Expect(t.AS.Redemption(As(c)).Send(instead), other+" of a client registered with "+c.Method).Ideally(expect.RefuseGrant())
}

func acceptsSecretInBody(t *T) {
	c := clientOf(t, oauth.Post, session.ConfidentialPost)
	t.Expect(t.AS.Redemption(As(c)).Send(), "client_id and client_secret in the body").To(expect.IssueTokens())
}

func acceptsBasic(t *T) {
	t.Expect(t.AS.Redemption(As(basicClient(t))).Send(), "Basic, without client_id in the body").To(expect.IssueTokens())
}

// OAuth 2.1 section 2.4.
func refusesTwoMethods(t *T) {
	c, second := basicClient(t), t.AS.SecondClient()
	both := t.AS.Redemption(As(c)).Send(With("client_id", c.ID), With("client_secret", c.Secret))
	t.Expect(both, "Basic and client_secret in one request").Ideally(expect.RefuseGrant("invalid_request", "invalid_client"))
	Refuses(t, t.AS.Redemption(As(second)), Cases[Edit]{
		{"Basic of another client than the client_id", Header(oauth.BasicAuth(c.ID, c.Secret))},
	}, expect.RefuseGrant())
	other := t.AS.Redemption(As(c)).Send(With("client_id", second.ID)) // the code is of the client in Basic: a server may ignore the other
	t.Expect(other, "the client_id of another client with Basic of the code's").Ideally(expect.RefuseGrant())
}
