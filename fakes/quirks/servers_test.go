package quirks_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
)

// got returns the answer of the authorization server to a GET. It does not follow redirects.
func (c *client) got(path string) (*http.Response, string) {
	c.t.Helper()
	resp, err := c.browser.Get(c.IDP.Issuer + path)
	require.NoError(c.t, err)
	return read(c.t, resp)
}

func read(t *testing.T, resp *http.Response) (*http.Response, string) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// posted returns the answer of the token endpoint to a form, with Basic authentication if there is a secret.
func (c *client) posted(form url.Values, secret string) (*http.Response, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.IDP.Issuer+"/token", strings.NewReader(form.Encode()))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(secret))
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	return resp, decoded(c.t, resp)
}

// redeemed returns the token response for a new code.
func (c *client) redeemed(changes url.Values) map[string]any {
	c.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {c.code(nil)}, "redirect_uri": {c.redirect}, "code_verifier": {verifier}}
	for k, v := range changes {
		form[k] = v
	}
	_, out := c.token(form)
	return out
}

func text(v any) string { return fmt.Sprint(v) }

// serverShows observes each quirk of an authorization server, and the ideal reference (quirk is false), with plain HTTP.
var serverShows = map[string]func(t *testing.T, r *reference.Reference, quirk bool){
	"state-of-refused-object": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		object := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"state":"inside"}`)) + "."
		c.code(nil) // signs in: only then is the request itself answered
		resp, err := c.browser.Get(c.authorizationURL(url.Values{"state": {"outside"}, "request": {object}}))
		require.NoError(t, err)
		resp.Body.Close()
		to, err := resp.Location()
		require.NoError(t, err)
		assert.Equal(t, "request_not_supported", to.Query().Get("error"))
		assert.Equal(t, either(quirk, "inside", "outside"), to.Query().Get("state"))
	},
	"odd-codes": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, quirk, strings.Contains(c.code(nil), "+"))
		assert.NotNil(t, c.redeemed(nil)["access_token"])
	},
	"long-codes": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, quirk, len(c.code(nil)) > 1000)
		assert.NotNil(t, c.redeemed(nil)["access_token"])
	},
	"odd-secrets": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, answer := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
		assert.Equal(t, quirk, strings.Contains(text(answer["client_secret"]), "%41=&:"))
	},
	"lower-case-bearer": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, either(quirk, "bearer", "Bearer"), c.tokens(nil)["token_type"])
	},
	"further-members": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		location, _ := c.signIn(nil)
		assert.Equal(t, quirk, strings.Contains(location, "session_state="))
		assert.Equal(t, quirk, c.tokens(nil)["ext_expires_in"] != nil)
	},
	"no-refresh-tokens": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, quirk, c.tokens(nil)["refresh_token"] == nil)
		assert.Equal(t, !quirk, strings.Contains(text(decodedMetadata(t, r)["grant_types_supported"]), "refresh_token"))
	},
	"found": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		c.signIn(nil)
		resp, err := c.browser.Get(c.authorizationURL(nil))
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, either(quirk, http.StatusFound, http.StatusSeeOther), resp.StatusCode)
	},
	"relative-locations": func(t *testing.T, r *reference.Reference, quirk bool) {
		r.IDP.Behaviour.Consent = "always"
		c, _ := register(t, r, nil)
		location, _ := c.signIn(nil)
		assert.Equal(t, quirk, strings.HasPrefix(location, "./"), location)
	},
	"refreshing-page": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		location, _ := c.signIn(nil)
		assert.Equal(t, quirk, location == "", location)
	},
	"lean": func(t *testing.T, r *reference.Reference, quirk bool) {
		for _, name := range []string{"introspection_endpoint", "revocation_endpoint", "userinfo_endpoint", "end_session_endpoint"} {
			assert.Equal(t, quirk, decodedMetadata(t, r)[name] == nil, name)
		}
		c, _ := register(t, r, nil)
		resp, _ := c.got("/userinfo")
		assert.Equal(t, quirk, resp.StatusCode == http.StatusNotFound)
	},
	"documents-only": func(t *testing.T, r *reference.Reference, quirk bool) {
		assert.Equal(t, quirk, decodedMetadata(t, r)["registration_endpoint"] == nil)
		status, _ := registering(t, r, map[string]any{"redirect_uris": []string{"http://127.0.0.1:1/cb"}})
		assert.Equal(t, either(quirk, 404, 201), status)
	},
	"extra-audience": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		token := text(c.tokens(url.Values{"scope": {"openid notes:read"}})["access_token"])
		assert.Equal(t, quirk, strings.Contains(payload(t, token), "/userinfo"))
		assert.Equal(t, 200, listed(t, r, token))
	},
	"sorted-scopes": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, either(quirk, "notes:write notes:read", "notes:read notes:write"), c.tokens(nil)["scope"])
	},
	"user-adds-scopes": func(t *testing.T, r *reference.Reference, quirk bool) {
		r.IDP.Behaviour.Consent = "" // each time
		c, _ := register(t, r, nil)
		location, _ := c.signIn(url.Values{"scope": {"notes:read"}})
		page := ""
		if u, err := url.Parse(location); assert.NoError(t, err) {
			_, page = c.got(strings.TrimPrefix(u.Path, "/as") + "?" + u.RawQuery)
		}
		form := url.Values{"decision": {"approve"}, "scope": {"notes:read", "notes:write"}}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			form.Set(m[1], m[2])
		}
		resp, err := c.browser.PostForm(c.IDP.Issuer+"/consent", form)
		require.NoError(t, err)
		resp.Body.Close()
		to, err := resp.Location()
		require.NoError(t, err)
		_, out := c.token(url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {c.redirect},
			"code_verifier": {verifier}})
		assert.Equal(t, either(quirk, "notes:read notes:write", "notes:read"), out["scope"])
	},
	"token-limit-per-address": func(t *testing.T, r *reference.Reference, quirk bool) {
		var c *client
		refused := false
		for i := range quirks.TokenRequests + 1 {
			if i%20 == 0 { // the errors of each client have a limit of their own
				c, _ = register(t, r, nil)
			}
			status, _ := c.token(url.Values{"grant_type": {"mcpauth"}})
			refused = refused || status == http.StatusTooManyRequests
		}
		assert.Equal(t, quirk, refused)
	},
	"passwords-trimmed": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		c.password = idp.Alice.Password + " "
		location, _ := c.signIn(nil)
		assert.Equal(t, quirk, strings.Contains(location, "code="), location)
	},
	"error-uris": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, quirk, c.redeemed(url.Values{"code": {"mcpauth"}})["error_uri"] != nil)
	},
	"unauthorized-as-400": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		status, out := c.token(url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "client_secret": {"wrong"}})
		assert.Equal(t, "invalid_client", out["error"])
		assert.Equal(t, either(quirk, 400, 401), status)
	},
	"secrets-expire": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, answer := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		assert.Equal(t, quirk, answer["client_secret_expires_at"] != float64(0))
	},
	"no-management": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, answer := register(t, r, nil)
		assert.Equal(t, quirk, answer["registration_access_token"] == nil)
	},
	"scope-silent-where-equal": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(nil)
		status, out := c.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(tokens["refresh_token"])},
			"scope": {text(tokens["scope"])}})
		require.Equal(t, 200, status)
		assert.Equal(t, quirk, out["scope"] == nil)
	},
	"challenges-in-two-schemes": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
		resp, _ := c.posted(url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}, "wrong")
		require.Equal(t, 401, resp.StatusCode)
		assert.Len(t, resp.Header.Values("WWW-Authenticate"), either(quirk, 2, 1))
	},
	"further-cookies": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		resp, _ := c.got("/consent")
		assert.Equal(t, quirk, strings.Contains(strings.Join(resp.Header.Values("Set-Cookie"), "; "), "seen="))
	},
	"withheld-scope": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(url.Values{"scope": {"notes:read notes:write"}})
		assert.Equal(t, quirk, !strings.Contains(text(tokens["scope"]), "notes:write"))
	},
	"forbidden-pages": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		resp, _ := c.got("/authorize?client_id=nobody")
		assert.Equal(t, either(quirk, 403, 400), resp.StatusCode)
	},
	"code-dies-with-its-first-use": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		code := url.Values{"code": {c.code(nil)}, "code_verifier": {strings.Repeat("x", 43)}}
		require.Nil(t, c.redeemed(code)["access_token"])
		code["code_verifier"] = []string{verifier}
		assert.Equal(t, quirk, c.redeemed(code)["access_token"] == nil)
	},
	"unposted": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		u, err := url.Parse(c.authorizationURL(nil))
		require.NoError(t, err)
		resp, err := c.browser.PostForm(r.IDP.Issuer+"/authorize", u.Query())
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, quirk, resp.StatusCode == http.StatusMethodNotAllowed)
	},
	"sign-in-each-time": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		c.code(nil)
		_, asked := c.signIn(nil)
		assert.Equal(t, quirk, asked)
	},
	"confidential-do-not-rotate": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, answer := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		secret := url.Values{"client_secret": {text(answer["client_secret"])}}
		tokens := c.redeemed(secret)
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(tokens["refresh_token"])},
			"client_secret": secret["client_secret"]}
		status, out := c.token(form)
		require.Equal(t, 200, status, out)
		assert.Equal(t, quirk, out["refresh_token"] == nil || out["refresh_token"] == tokens["refresh_token"])
	},
	"charset": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		resp, _ := c.posted(url.Values{"grant_type": {"mcpauth"}}, "")
		assert.Equal(t, quirk, strings.Contains(resp.Header.Get("Content-Type"), "charset"))
	},
	"pushed-only": func(t *testing.T, r *reference.Reference, quirk bool) {
		assert.Equal(t, quirk, decodedMetadata(t, r)["require_pushed_authorization_requests"] == true)
		c, _ := register(t, r, nil)
		resp, err := c.browser.Get(c.authorizationURL(nil))
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, either(quirk, 400, 200), resp.StatusCode)
	},
	"logout-by-users": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		resp, _ := c.got("/logout?client_id=" + c.id)
		assert.Equal(t, quirk, resp.StatusCode == http.StatusUnauthorized)
		resp, _ = c.got("/logout")
		assert.Less(t, resp.StatusCode, 400)
	},
	"denied-device-unknown": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, either(quirk, "invalid_grant", "access_denied"), c.denied())
	},
	"audience-of-the-endpoint": func(t *testing.T, r *reference.Reference, quirk bool) {
		for audience, right := range map[string]bool{r.IDP.Issuer: !quirk, r.IDP.Issuer + "/introspect": quirk} {
			resp, err := http.PostForm(r.IDP.Issuer+"/introspect", url.Values{"token": {"x"}, "client_assertion": {asserted(t, r, audience)},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, either(right, 200, 401), resp.StatusCode, audience)
		}
	},
	"same-client": func(t *testing.T, r *reference.Reference, quirk bool) {
		first, _ := register(t, r, nil)
		second, _ := register(t, r, nil)
		assert.Equal(t, quirk, first.id == second.id)
		other, _ := register(t, r, map[string]any{"client_name": "another"})
		assert.NotEqual(t, first.id, other.id)
	},
}

// asserted is an assertion of the machine with a key for an audience.
func asserted(t *testing.T, r *reference.Reference, audience string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(r.Machines[1].Key))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	encoded := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	claims, err := json.Marshal(map[string]any{"iss": r.Machines[1].ID, "sub": r.Machines[1].ID, "aud": audience, "jti": rand.Text(),
		"exp": time.Now().Unix() + 60})
	require.NoError(t, err)
	input := encoded([]byte(`{"alg":"ES256"}`)) + "." + encoded(claims)
	sum := sha256.Sum256([]byte(input))
	a, b, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
	require.NoError(t, err)
	return input + "." + encoded(append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...))
}

// denied polls for a device code after its user has denied, and returns the error.
func (c *client) denied() any {
	c.t.Helper()
	c.code(nil) // signs in
	resp, err := http.PostForm(c.IDP.Issuer+"/device_authorization", url.Values{"client_id": {c.id}})
	require.NoError(c.t, err)
	device := decoded(c.t, resp)
	_, page := c.got("/device?user_code=" + text(device["user_code"]))
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	require.Len(c.t, csrf, 2, page)
	form := url.Values{"user_code": {text(device["user_code"])}, "csrf": {csrf[1]}, "decision": {"deny"}}
	resp, err = c.browser.PostForm(c.IDP.Issuer+"/device", form)
	require.NoError(c.t, err)
	resp.Body.Close()
	_, out := c.token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {text(device["device_code"])}})
	return out["error"]
}

func payload(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.True(t, json.Valid(b))
	return string(b)
}

func TestEachQuirkOfAServerIsThere(t *testing.T) {
	for _, q := range quirks.Servers {
		show := serverShows[q.Name]
		require.NotNil(t, show, "this test has no request that shows the quirk %s", q.Name)
		assert.NotEmpty(t, q.Says, q.Name)
		assert.NotEmpty(t, q.Allows, q.Name)
		t.Run(q.Name, func(t *testing.T) { show(t, start(t, &q), true) })
		t.Run("ideal/"+q.Name, func(t *testing.T) { show(t, start(t, nil), false) })
	}
	assert.Len(t, serverShows, len(quirks.Servers))
}
