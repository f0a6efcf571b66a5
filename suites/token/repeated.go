package token

import (
	"slices"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// offer is the good request of a grant, with wrong values for its parameters.
type offer struct {
	good  Attempt[Edit]
	wrong oauth.Form
}

func refusesRepeatedParameters(t *T) {
	Refuses(t, t.AS.Redemption(), twice(oauth.Form{
		{Name: "client_id", Value: "mcpauth-other"},
		{Name: "code", Value: "mcpauth-other"},
		{Name: "code_verifier", Value: oauth.NewPKCE(43).Verifier},
		{Name: "grant_type", Value: "refresh_token"},
		{Name: "redirect_uri", Value: "https://attacker.example/cb"},
	}), expect.RefuseGrant("invalid_request"))
	Each(t, Cases[func(t *T) *offer]{
		{"a secret in the body", ofPostedSecrets},
		{"a refresh", ofRefreshes},
		{"a refresh with scope", ofScopedRefreshes},
		{"client_credentials", ofMachines},
		{"an assertion", ofAssertions},
		{"a token exchange", ofExchanges},
		{"a device", ofDevices},
	}, func(t *T, offered func(t *T) *offer) {
		if o := offered(t); o != nil && Offers(t, o.good, "") {
			refusesRepeated(t, o)
		}
	})
}

// ofExtensions are parameters that OAuth 2.1 does not define. It forbids to repeat those "defined by this specification" (section 3.2), and
// RFC 6749 (section 3.2) to repeat any.
var ofExtensions = []string{"client_assertion", "client_assertion_type", "device_code", "subject_token", "subject_token_type"}

func refusesRepeated(t *T, o *offer) {
	isExtension := func(p oauth.Parameter) bool { return slices.Contains(ofExtensions, p.Name) }
	isOwn := func(p oauth.Parameter) bool { return !isExtension(p) }
	refused := expect.RefuseGrant("invalid_request")
	Refuses(t, o.good, twice(slices.DeleteFunc(slices.Clone(o.wrong), isExtension)), refused)
	if extension := slices.DeleteFunc(slices.Clone(o.wrong), isOwn); len(extension) > 0 {
		Refuses(t, o.good, twice(extension), expect.AtMostAdvised(refused))
	}
}

// twice are rows with each parameter twice.
func twice(wrong oauth.Form) (rows Cases[Edit]) {
	for _, p := range wrong {
		rows = rows.And(p.Name+" twice, a wrong value last", Also(p.Name, p.Value))
		rows = rows.And(p.Name+" twice, the right value last", Before(p.Name, p.Value))
	}
	return rows
}

func ofRefreshes(t *T) *offer {
	o := &offer{good: t.AS.RefreshGrant(), wrong: oauth.Form{
		{Name: "grant_type", Value: "authorization_code"},
		{Name: "refresh_token", Value: "mcpauth-other"},
	}}
	return o.named(t.AS.Refresher())
}

// ofPostedSecrets are redemptions of a client that sends its secret in the body. A wrong secret is a guess, which a server may count.
func ofPostedSecrets(t *T) *offer {
	c, why := t.Session.Client(t.Context(), session.ConfidentialPost)
	if c == nil || c.Method != oauth.Post {
		t.NotApplicable("there is no client with client_secret_post: %s", why)
	}
	wrong := oauth.Form{{Name: "client_secret", Value: "mcpauth-wrong-" + Random(16)}}
	if len(t.AS.Guesses(c, twice(wrong))) == 0 {
		return nil
	}
	return &offer{good: t.AS.Redemption(As(c)), wrong: wrong}
}

// ofScopedRefreshes are refreshes that ask for the scope of the authorization request.
func ofScopedRefreshes(t *T) *offer {
	scopes := t.Session.RequestedScopes()
	if len(scopes) == 0 {
		t.NotApplicable("no scope is requested")
	}
	good := t.AS.RefreshGrant()
	unscoped := good.Send
	good.Send = func(edits ...Edit) any { return unscoped(append([]Edit{Scope(scopes...)}, edits...)...) }
	return &offer{good: good, wrong: oauth.Form{{Name: "scope", Value: "mcpauth:other"}}}
}

// named adds the client_id, where the client sends it in the body.
func (o *offer) named(c *oauth.Client) *offer {
	if c.Public() || c.Method == oauth.Post {
		o.wrong = append(oauth.Form{{Name: "client_id", Value: "mcpauth-other"}}, o.wrong...)
	}
	return o
}

func ofMachines(t *T) *offer {
	if len(t.Session.Machines()) == 0 {
		Untried(t, "client_credentials", AMachine)
		return nil
	}
	c := t.AS.Machine()
	o := &offer{good: ForItself(t, c, "a request of a client for itself")}
	o.wrong = oauth.Form{{Name: "grant_type", Value: "authorization_code"}}
	if len(c.Scopes) > 0 {
		o.wrong = append(o.wrong, oauth.Parameter{Name: "scope", Value: "mcpauth:other"})
	}
	return o.named(c)
}

// ofAssertions are requests of a client that authenticates by an assertion (RFC 7523 section 2.2).
func ofAssertions(t *T) *offer {
	c := t.AS.MachineWithKey()
	if c == nil {
		Untried(t, "client_assertion", AMachine+" with a key")
		return nil
	}
	return &offer{good: ForItself(t, c, "a request with an assertion"), wrong: oauth.Form{
		{Name: "client_assertion", Value: "mcpauth-other"},
		{Name: "client_assertion_type", Value: "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
	}}
}

func ofExchanges(t *T) *offer {
	c := t.AS.Confidential()
	if c == nil || !t.AS.Lists("grant_types_supported", TokenExchange) {
		t.NotApplicable("grant_types_supported does not list token exchange, or no client with a secret may use it")
	}
	o := &offer{good: Exchanging(t, c, t.AS.MustGetTokens(As(c)).Access), wrong: oauth.Form{
		{Name: "grant_type", Value: "authorization_code"},
		{Name: "subject_token", Value: "mcpauth-other"},
		{Name: "subject_token_type", Value: "urn:ietf:params:oauth:token-type:saml2"},
	}}
	return o.named(c)
}

// ofIdentityAssertions are requests with an identity assertion of mcpauth (ID-JAG section 4.4).
func ofIdentityAssertions(t *T) *offer {
	c := t.AS.Confidential()
	if c == nil || t.Enterprise == nil {
		t.NotApplicable("no identity provider run by mcpauth is declared (enterprise), or no client has a secret")
	}
	return &offer{good: Attempt[Edit]{Name: "a request with an identity assertion", Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		ex := t.AS.PresentAssertion(c, t.Mint.Assertion(t.Mint.AssertionHeader(), t.Mint.AssertionClaims(c, nil)), edits...)
		t.AS.Tokens(ex, c)
		return ex
	}}}
}

func ofDevices(t *T) *offer {
	if _, err := document.ParseURL(t.AS.Endpoint("device_authorization_endpoint")); err != nil {
		t.NotApplicable("the metadata names no device_authorization_endpoint")
	}
	d, ex := t.AS.Device(t.AS.AnyClient())
	if oauth.Object(ex).String("device_code") == "" {
		t.NotApplicable("the client may not use the device grant: %s", expect.Describe(ex))
	}
	o := &offer{good: t.AS.DeviceRedemption(d), wrong: oauth.Form{
		{Name: "device_code", Value: "mcpauth-other"},
		{Name: "grant_type", Value: "authorization_code"},
	}}
	return o.named(d.Client)
}
