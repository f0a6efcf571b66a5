package token

import (
	"encoding/base64"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// basicAttempt is an Authorization field of client_secret_basic, with the statuses that its refusal may have.
type basicAttempt struct {
	field    reports.Field
	statuses []int
}

// A client that used the Authorization field is answered 401, with a challenge of the scheme that it used (OAuth 2.1
// section 3.2.4). What is no credential at all may be answered 400.
func challengesFailedBasic(t *T) {
	c := basicClient(t)
	garbage := func(v string) basicAttempt {
		return basicAttempt{mcp.Field("Authorization", "Basic "+v), []int{400, 401}}
	}
	Each(t, Cases[basicAttempt]{
		{"a wrong secret", basicAttempt{oauth.BasicAuth(c.ID, "mcpauth-wrong"), []int{401}}},
		{"an unknown client", basicAttempt{oauth.BasicAuth("mcpauth-unknown-"+Random(9), "x"), []int{401}}},
		{"Basic with no base64", garbage("!!!")},
		{"Basic without a colon", garbage(base64.StdEncoding.EncodeToString([]byte("nocolon")))},
	}, func(t *T, a basicAttempt) {
		ex := t.AS.TokenRequest(c, Unidentified(), Header(a.field), With("grant_type", "authorization_code"), With("code", "x"),
			With("code_verifier", oauth.NewPKCE(43).Verifier))
		if t.Expect(ex).To(expect.RefuseGrant()) && t.Expect(ex).To(expect.HaveStatus(a.statuses...)) && expect.Status(ex) == 401 {
			t.Expect(ex).To(expect.NameError("invalid_client"), expect.HaveChallengeOf("Basic"))
		}
	})
}

// basicClient is the shared confidential client, where it authenticates by Basic.
func basicClient(t *T) *oauth.Client {
	methods, listed := t.AS.Server().Metadata.Strings("token_endpoint_auth_methods_supported")
	if listed && !strings.Contains(strings.Join(methods, " "), oauth.Basic) {
		t.NotApplicable("client_secret_basic is not advertised")
	}
	c := t.AS.ConfidentialClient()
	if c.Method != oauth.Basic {
		t.NotTested("it needs a client registered for client_secret_basic")
	}
	return c
}

func refusesWrongSecrets(t *T) {
	c := t.AS.ConfidentialClient()
	wrong := "mcpauth-wrong-" + Random(16)
	Refuses(t, t.AS.Redemption(As(c)), Cases[Edit]{
		{"client_id alone", Edits(Unidentified(), With("client_id", c.ID))},
		{"an empty secret", Edits(Unidentified(), With("client_id", c.ID), With("client_secret", ""))},
		{"a wrong secret in the body", Edits(Unidentified(), With("client_id", c.ID), With("client_secret", wrong))},
		{"a wrong secret by Basic", Edits(Unidentified(), Header(oauth.BasicAuth(c.ID, wrong)))},
		{"the secret with a space", AsWithSecret(c, t.Hide(c.Secret+" "))},
		{"the secret without its last character", AsWithSecret(c, t.Hide(c.Secret[:max(0, len(c.Secret)-1)]))},
		{"the secret with the case changed", AsWithSecret(c, t.Hide(swapped(c.Secret)))},
	}, expect.RefuseGrant("invalid_client", "invalid_request"))
}

func swapped(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	return strings.ToLower(s) + "x"
}

func holdsClientsToTheirMethod(t *T) {
	c := t.AS.ConfidentialClient()
	Refuses(t, t.AS.Redemption(As(c)), Cases[Edit]{
		{"no authentication for a client registered with " + c.Method, Edits(Unidentified(), With("client_id", c.ID))},
	}, expect.RefuseGrant("invalid_client", "invalid_request"))
	if c.Method == oauth.Basic {
		inBody := Edits(Unidentified(), With("client_id", c.ID), With("client_secret", c.Secret))
		t.Expect(t.AS.Redemption(As(c)).Send(inBody), "client_secret_post of a client registered with "+c.Method).Ideally(expect.RefuseGrant())
	}
}

func acceptsSecretInBody(t *T) {
	c, why := t.Session.Client(t.Context(), session.ConfidentialPost)
	if c == nil {
		t.NotApplicable("%s", why)
	}
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
}
