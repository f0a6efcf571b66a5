// Package userinfo holds the checks on the userinfo endpoint (OpenID Connect Core section 5.3).
package userinfo

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OpenID Connect Core section 5.3: UserInfo Endpoint", endpoint)
}

// signedIn is a flow for the userinfo endpoint: with the scope openid where the server knows it.
func signedIn(t *T, more ...string) *oauth.Tokens {
	supported, _ := t.AS.Server().Metadata.Strings("scopes_supported")
	scopes := slices.Clone(t.Session.RequestedScopes())
	for _, v := range append([]string{"openid"}, more...) {
		if slices.Contains(supported, v) {
			scopes = append(scopes, v)
		}
	}
	tokens := t.AS.MustGetTokens(Scope(scopes...))
	return tokens
}

// about asks the endpoint, and ends the check where a good token is not served.
func about(t *T, tokens *oauth.Tokens) *reports.Exchange {
	ex := t.Get(t.AS.Server().Userinfo, mcp.Bearer(tokens.Access))
	if expect.Status(ex) != 200 {
		t.NotApplicable("tokens for the MCP server are not served at the userinfo endpoint: %s", expect.Describe(ex))
	}
	t.Controlled()
	return ex
}

func endpoint() {
	Must("AS-USERINFO-UNAUTHENTICATED", func(t *T) {
		for variant, fields := range Sorted(map[string][]reports.Field{
			"no token": nil, "a made-up token": {mcp.Bearer("mcpauth-made-up")}, "an unsigned JWT": {mcp.Bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")},
			"Basic credentials": {oauth.BasicAuth("demo_client", "demo_secret")},
		}) {
			ex := t.Get(t.AS.Server().Userinfo, fields...)
			refusal := expect.Refuse(401)
			if variant == "Basic credentials" { // another scheme may be a malformed request
				refusal = expect.Refuse(401, 400)
			}
			if !t.Expect(ex, "%s", variant).To(refusal) {
				continue
			}
			if len(expect.Bearer(ex)) == 0 {
				t.Finding(ex, variant, "WWW-Authenticate: Bearer (RFC 6750 section 3)", expect.Describe(ex))
			}
		}
	})

	Must("AS-USERINFO-SHAPE", func(t *T) {
		tokens := signedIn(t)
		ex := about(t, tokens)
		o := oauth.Object(ex)
		sub := o.String("sub")
		if o == nil || sub == "" {
			t.Unmet(ex, "a JSON object with sub", "%s", expect.Describe(ex))
			return
		}
		if _, c := oauth.Claims(tokens.ID); c != nil && c.String("sub") != sub {
			t.Unmet(ex, "the sub of the ID token", "another one")
		}
		if _, c := oauth.Claims(tokens.Access); c.String("sub") != "" && c.String("sub") != sub && sub == tokens.Client.ID {
			t.Unmet(ex, "the user as sub", "the client's id")
		}
		if ex := t.Do(wire.Request{Method: "POST", URL: t.AS.Server().Userinfo, Header: []reports.Field{mcp.Bearer(tokens.Access)}}); expect.Status(ex) != 200 {
			t.Advise(ex, "POST to be served like GET (OpenID Connect Core section 5.3.1)", "%s", expect.Describe(ex))
		}
	})

	Should("AS-USERINFO-SCOPES", func(t *T) {
		supported, _ := t.AS.Server().Metadata.Strings("scopes_supported")
		o := oauth.Object(about(t, signedIn(t)))
		for scope, claims := range Sorted(map[string][]string{"email": {"email", "email_verified"}, "profile": {"name", "family_name", "given_name", "preferred_username", "picture", "birthdate"}}) {
			if !slices.Contains(supported, scope) || slices.Contains(t.Session.RequestedScopes(), scope) {
				continue
			}
			for _, name := range claims {
				if _, ok := o.Get(name); ok {
					t.Unmet(nil, "claims of the scope "+scope+" only where it was granted", "%s is there without it", name)
				}
			}
		}
	})

	Must("AS-USERINFO-TOKEN-STATE", func(t *T) {
		tokens := signedIn(t)
		about(t, tokens)
		values := map[string]string{"a refresh token": tokens.Refresh, "an ID token": tokens.ID, "a code": t.AS.MustAuthorize().Code()}
		if t.AS.Server().Revocation != "" {
			dead := signedIn(t)
			if ex := t.AS.Revoke(dead, dead.Access); expect.Status(ex) == 200 {
				values["a revoked access token"] = dead.Access
			}
		}
		for variant, v := range Sorted(values) {
			if v != "" {
				t.Expect(t.Get(t.AS.Server().Userinfo, mcp.Bearer(v)), "%s", variant).To(expect.Refuse(401))
			}
		}
	})

	Must("AS-USERINFO-NO-QUERY-TOKEN", func(t *T) {
		tokens := signedIn(t)
		about(t, tokens)
		ex := t.Get(t.AS.Server().Userinfo + "?access_token=" + tokens.Access)
		if oauth.Object(ex).String("sub") != "" {
			t.Unmet(ex, "no access token in the query (OAuth 2.1 section 5.1)", "it is served")
			return
		}
		t.Refused()
	})

	Practice("AS-USERINFO-HYGIENE", func(t *T) {
		ex := about(t, signedIn(t, "profile", "email"))
		for _, m := range oauth.Object(ex).Members {
			name := strings.ToLower(m.Name)
			v, _ := m.Value.(string)
			if v != "" && name != "at_hash" && name != "c_hash" && (strings.Contains(name, "token") || strings.Contains(name, "secret") || strings.Contains(name, "password") || strings.HasSuffix(name, "_hash")) {
				t.Unmet(ex, "no credential about the user", "the answer holds %s", m.Name)
			}
			if h, _ := oauth.Claims(v); h != nil {
				t.Unmet(ex, "no credential about the user", "%s is a JWT", m.Name)
			}
		}
		if c := expect.Header(ex, "Cache-Control"); !strings.Contains(c, "no-store") && !strings.Contains(c, "private") {
			t.Advise(ex, "Cache-Control: no-store", "Cache-Control %q", c)
		}
	})
}
