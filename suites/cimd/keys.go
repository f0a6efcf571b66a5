package cimd

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// secretWay is a way in which a document publishes a secret, and the way in which a token request uses it.
type secretWay struct {
	method string
	use    func(t *T, c *oauth.Client, secret string) Edit
}

// "the following restrictions apply ...: token_endpoint_auth_method MUST NOT include client_secret_post ..., the client_secret ...
// properties MUST NOT be used" (section 4.1)
func usesNoPublishedSecret(t *T) {
	usable(t)
	Each(t, Cases[secretWay]{
		{"client_secret_basic", secretWay{oauth.Basic, inHeader}},
		{"client_secret_post", secretWay{oauth.Post, inBody}},
		{"client_secret_jwt", secretWay{"client_secret_jwt", inAssertion}},
		{"client_secret with the method none", secretWay{oauth.None, inBody}},
	}, func(t *T, way secretWay) {
		secret := t.Hide("mcpauth-published-" + Random(24))
		r, _ := document(t, member("token_endpoint_auth_method", way.method), member("client_secret", secret)).Send().(*request)
		t.Expect(r).Ideally(refuseTheSecret)
		if accepted(r.Grant) {
			t.Expect(redeemed(t, r.Client, way, secret)).To(notAuthenticateBySecret)
		}
	})
	Each(t, Cases[string]{{"client_secret_basic without a client_secret", oauth.Basic}}, func(t *T, method string) {
		r, _ := document(t, member("token_endpoint_auth_method", method)).Send().(*request)
		t.Expect(r).Ideally(refuseTheSecret)
	})
}

// refuseTheSecret expects the document to be refused. A server that reads the client as a public one is
// safe; the client cannot authenticate.
var refuseTheSecret = expect.Unless(expect.Refusing("a refusal of the document, since a secret in it is public", func(r *request) string {
	if accepted(r.Grant) {
		return "the document is accepted: " + r.Describe()
	}
	return ""
}), (*request).Unjudged)

func inHeader(_ *T, c *oauth.Client, secret string) Edit {
	return Edits(Unidentified(), Header(oauth.BasicAuth(c.ID, secret)))
}

func inBody(_ *T, c *oauth.Client, secret string) Edit {
	return Edits(Unidentified(), With("client_id", c.ID), With("client_secret", secret))
}

func inAssertion(t *T, c *oauth.Client, secret string) Edit {
	signer := *c
	signer.Audience = t.AS.Server().Issuer
	signed := mint.HS256(mint.Header{"alg": "HS256", "typ": "JWT"}, signer.Assertion(), []byte(secret))
	return Edits(Unidentified(), With("client_id", c.ID), With("client_assertion_type", oauth.AssertionType), With("client_assertion", signed))
}

// twice is a code redeemed with the published secret, and one with another.
type twice struct{ published, other *reports.Exchange }

func (r twice) Evidence() *reports.Exchange { return r.published }

func redeemed(t *T, c *oauth.Client, way secretWay, secret string) twice {
	redemption := func(secret string) *reports.Exchange {
		ex, _ := t.AS.Redemption(As(c)).Send(way.use(t, c, secret)).(*reports.Exchange)
		return ex
	}
	return twice{other: redemption(t.Hide("mcpauth-another-" + Random(24))), published: redemption(secret)}
}

// A server that ignores the secret accepts any: the client counts as public.
var notAuthenticateBySecret = expect.That("no authentication with a public secret", func(r twice) string {
	if expect.IssueTokens().Judge(r.published).Met && !expect.IssueTokens().Judge(r.other).Met {
		return "the published secret authenticates the client, another one does not"
	}
	return ""
})

// "any communication with the authorization server MUST include client authentication of the registered type" (section 6.2)
func demandsTheKeyOfTheDocument(t *T) {
	usable(t)
	key := t.AS.KeyForAssertions()
	r, _ := document(t, member("token_endpoint_auth_method", oauth.PrivateKey), member("token_endpoint_auth_signing_alg", key.Algorithm()),
		member("jwks", map[string]any{"keys": []any{key.JWK()}})).Send().(*request)
	if t.AS.MustReachDecision(r.Grant); !accepted(r.Grant) {
		t.NotApplicable("a document with a key is refused: %s", r.Describe())
	}
	c := *r.Client
	c.Method, c.Key = oauth.PrivateKey, key
	c.Audience = t.AS.AcceptedAudience(c)
	refusesAssertions(t, &c)
}

// refusesAssertions tries assertions with a code and at a refresh: servers may handle these separately.
func refusesAssertions(t *T, c *oauth.Client) {
	trap, refused := Listen(t), expect.RefuseGrant("invalid_client", "invalid_request")
	wrong := t.AS.WrongAssertions(c)
	Refuses(t, t.AS.Redemption(As(c)), append(t.AS.ForgedAssertions(c, trap), wrong...), refused)
	t.Expect(trap, "jku, x5u").Ideally(BeLeftAlone) // RFC 8725 section 3.10: "should"
	if t.Session.Tokens != nil && t.Session.Tokens.Refresh != "" {
		var rows Cases[Edit]
		for _, row := range wrong.And("another key", With("client_assertion", mint.NewKey(c.Key.ID).JWT(nil, c.Assertion()))) {
			rows = rows.And("a refresh, "+row.Name, row.Value)
		}
		Refuses(t, t.AS.RefreshGrant(As(c)), rows, refused)
	}
	used := usedOnce(t, c)
	tokens := t.AS.MustGetTokens(As(c))
	t.AS.AuthenticatesElsewhere(c, used, slices.Concat(t.AS.EndpointsOfTokens(tokens.Access), t.AS.EndpointsOfFlows()))
	if other := t.AS.Confidential(); other != nil {
		rows := Cases[Edit]{{"another client's assertion", AssertedBy(other, c)}}
		Refuses(t, t.AS.Redemption(As(other)), rows, expect.RefuseGrant("invalid_client", "invalid_request", "invalid_grant"))
	}
}

// usedOnce sends an accepted assertion again with another code, and returns it if it is refused then. A server that remembers assertions
// for each grant apart accepts it at a refresh.
func usedOnce(t *T, c *oauth.Client) string {
	assertion := c.Key.JWT(nil, c.Assertion())
	once := With("client_assertion", assertion)
	if first := t.AS.Redemption(As(c)).Send(once); !expect.IssueTokens().Judge(first).Met {
		t.Inconclusive("a code with a valid assertion gets no token: %s", expect.Describe(expect.ExchangeOf(first)))
	}
	again := t.AS.Redemption(As(c)).Send(once)
	if !t.Expect(again, "an assertion for the second time (RFC 7523 section 3, jti)").Ideally(expect.RefuseGrant()) {
		return ""
	}
	if t.Session.Tokens != nil && t.Session.Tokens.Refresh != "" {
		rows := Cases[Edit]{{"a refresh, an assertion that came with a code (RFC 7523 section 3, jti)", once}}
		Refuses(t, t.AS.RefreshGrant(As(c)), rows, expect.AtMostAdvised(expect.RefuseGrant()))
	}
	return assertion
}
