package quirks_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
)

// client is a plain OAuth client of a reference, in its own browser.
type client struct {
	t *testing.T
	*reference.Reference
	browser  *http.Client
	id       string
	redirect string
	password string // empty: Alice's
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func start(t *testing.T, q *quirks.Quirk) *reference.Reference {
	t.Helper()
	o := reference.Ideal()
	o.Behaviour.Consent = "never"
	if q != nil {
		q.Bend(&o)
	}
	r, err := reference.Start(o)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func register(t *testing.T, r *reference.Reference, further map[string]any) (*client, map[string]any) {
	t.Helper()
	c := &client{t: t, Reference: r, redirect: "http://127.0.0.1:1/callback", browser: browser(t)}
	meta := map[string]any{
		"redirect_uris": []string{c.redirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"},
	}
	for k, v := range further {
		meta[k] = v
	}
	body, err := json.Marshal(meta)
	require.NoError(t, err)
	resp, err := http.Post(r.IDP.Issuer+"/register", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	out := decoded(t, resp)
	require.Equal(t, http.StatusCreated, resp.StatusCode, out)
	c.id, _ = out["client_id"].(string)
	return c, out
}

// registering sends a registration and returns the answer.
func registering(t *testing.T, r *reference.Reference, meta map[string]any) (int, map[string]any) {
	t.Helper()
	body, err := json.Marshal(meta)
	require.NoError(t, err)
	if meta == nil {
		body = []byte("{}")
	}
	resp, err := http.Post(r.IDP.Issuer+"/register", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	return resp.StatusCode, decoded(t, resp)
}

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func decoded(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	defer resp.Body.Close()
	var out map[string]any
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	_ = json.Unmarshal(b, &out)
	return out
}

func (c *client) authorizationURL(changes url.Values) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type":  {"code"},
		"client_id":      {c.id},
		"redirect_uri":   {c.redirect},
		"scope":          {"notes:read notes:write"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "resource": {c.URL}, "state": {"s"},
	}
	for k, v := range changes {
		if q[k] = v; len(v) == 0 {
			q.Del(k)
		}
	}
	return c.IDP.Issuer + "/authorize?" + q.Encode()
}

var hidden = regexp.MustCompile(`name="?(transaction|csrf)"?[^>]*value="?([^">]*)"?`)

// signIn opens the login page and sends its form; asked says whether there was a page.
func (c *client) signIn(changes url.Values) (location string, asked bool) {
	c.t.Helper()
	resp, err := c.browser.Get(c.authorizationURL(changes))
	require.NoError(c.t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		form := url.Values{"username": {idp.Alice.Name}, "password": {cmp.Or(c.password, idp.Alice.Password)}}
		for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
			form.Set(m[1], m[2])
		}
		resp, err = c.browser.PostForm(c.IDP.Issuer+"/login", form)
		require.NoError(c.t, err)
		resp.Body.Close()
		asked = true
	}
	return resp.Header.Get("Location"), asked
}

func (c *client) code(changes url.Values) string {
	c.t.Helper()
	location, _ := c.signIn(changes)
	u, err := url.Parse(location)
	require.NoError(c.t, err)
	require.NotEmpty(c.t, u.Query().Get("code"), location)
	return u.Query().Get("code")
}

func (c *client) token(form url.Values) (int, map[string]any) {
	c.t.Helper()
	form.Set("client_id", c.id)
	resp, err := http.PostForm(c.IDP.Issuer+"/token", form)
	require.NoError(c.t, err)
	return resp.StatusCode, decoded(c.t, resp)
}

// tokens returns the tokens of a new authorization.
func (c *client) tokens(changes url.Values) map[string]any {
	c.t.Helper()
	status, out := c.token(url.Values{
		"grant_type": {"authorization_code"}, "code": {c.code(changes)}, "redirect_uri": {c.redirect}, "code_verifier": {verifier},
	})
	require.Equal(c.t, http.StatusOK, status, out)
	return out
}

func (c *client) refresh(tokens map[string]any) int {
	c.t.Helper()
	status, _ := c.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fmt.Sprint(tokens["refresh_token"])}})
	return status
}

// call sends a message with a token in the protocol without sessions.
func call(t *testing.T, r *reference.Reference, token, method string, params map[string]any) (*http.Response, map[string]any) {
	t.Helper()
	params["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": map[string]any{},
		"io.modelcontextprotocol/clientInfo": map[string]any{"name": "test", "version": "1"},
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	require.NoError(t, err)
	req, err := http.NewRequest(http.MethodPost, r.URL, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2026-07-28")
	req.Header.Set("Mcp-Method", method)
	if name, ok := params["name"].(string); ok {
		req.Header.Set("Mcp-Name", name)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return resp, decoded(t, resp)
}

// stateful sends a message in a session of the protocol with sessions, and reads only the header of the answer.
func stateful(t *testing.T, r *reference.Reference, token, session, method string) *http.Response {
	t.Helper()
	resp := inSession(t, r, token, session, method)
	resp.Body.Close()
	return resp
}

func inSession(t *testing.T, r *reference.Reference, token, session, method string) *http.Response {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
		`"clientInfo":{"name":"test","version":"1"}}}`
	req, err := http.NewRequest(http.MethodPost, r.URL, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Session-Id", session)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return resp
}

func listed(t *testing.T, r *reference.Reference, token string) int {
	t.Helper()
	resp, _ := call(t, r, token, "tools/list", map[string]any{})
	return resp.StatusCode
}

// shows observes each quirk, and the ideal reference (quirk is false), with plain HTTP.
var shows = map[string]func(t *testing.T, r *reference.Reference, quirk bool){
	"earlier-grants-end": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		first := c.tokens(nil)
		require.Equal(t, 200, listed(t, r, first["access_token"].(string)))
		second := c.tokens(nil)
		assert.Equal(t, either(quirk, 401, 200), listed(t, r, first["access_token"].(string)))
		assert.Equal(t, either(quirk, 400, 200), c.refresh(first))
		assert.Equal(t, 200, listed(t, r, second["access_token"].(string)))
	},
	"replay-ends-all-grants": func(t *testing.T, r *reference.Reference, quirk bool) {
		bystander, _ := register(t, r, nil)
		c, _ := register(t, r, nil)
		other := bystander.tokens(nil)
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {c.code(nil)}, "redirect_uri": {c.redirect}, "code_verifier": {verifier},
		}
		status, first := c.token(form)
		require.Equal(t, 200, status)
		status, _ = c.token(form)
		require.Equal(t, 400, status)
		assert.Equal(t, 400, c.refresh(first))
		assert.Equal(t, either(quirk, 400, 200), bystander.refresh(other))
	},
	"one-refresh-token": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		first, second := c.tokens(nil), c.tokens(nil)
		assert.Equal(t, either(quirk, 400, 200), c.refresh(first))
		assert.Equal(t, 200, listed(t, r, first["access_token"].(string)))
		assert.Equal(t, 200, c.refresh(second))
	},
	"key-cooldown": func(t *testing.T, r *reference.Reference, quirk bool) {
		good := r.Token()
		empty := func(map[string]any) (int, string, string) { return 200, "application/json", `{"keys":[]}` }
		r.IDP.ServeKeys(empty)
		unknown := r.IDP.Sign(map[string]any{"alg": "RS256", "kid": "unknown"}, idp.Claims(r.IDP.Claims("alice", nil)))
		require.Equal(t, 401, listed(t, r, unknown))
		r.IDP.ServeKeys(nil)
		assert.Equal(t, either(quirk, 401, 200), listed(t, r, good))
	},
	"key-cooldown-after-failures": func(t *testing.T, r *reference.Reference, quirk bool) {
		listed(t, r, r.Token())
		fetches := r.IDP.KeyFetches()
		r.IDP.ServeKeys(func(map[string]any) (int, string, string) { return 500, "text/plain", "" })
		for range 3 {
			unknown := r.IDP.Sign(map[string]any{"alg": "RS256", "kid": "unknown"}, idp.Claims(r.IDP.Claims("alice", nil)))
			require.NotEqual(t, 200, listed(t, r, unknown))
			time.Sleep(30 * time.Millisecond)
		}
		assert.Equal(t, quirk, r.IDP.KeyFetches() == fetches)
		assert.Equal(t, 200, listed(t, r, r.Token()))
	},
	"ten-key-fetches": func(t *testing.T, r *reference.Reference, quirk bool) {
		require.Equal(t, 200, listed(t, r, r.Token()))
		fetches := r.IDP.KeyFetches()
		for range 12 {
			unknown := r.IDP.Sign(map[string]any{"alg": "RS256", "kid": "unknown"}, idp.Claims(r.IDP.Claims("alice", nil)))
			require.Equal(t, 401, listed(t, r, unknown))
			time.Sleep(30 * time.Millisecond)
		}
		assert.Equal(t, either(quirk, 10, 12), r.IDP.KeyFetches()-fetches)
	},
	"limit-per-token": func(t *testing.T, r *reference.Reference, quirk bool) {
		token, other := r.Token(), r.Token()
		for range quirks.RequestsPerMinute {
			require.Equal(t, 200, listed(t, r, token))
		}
		resp, _ := call(t, r, token, "tools/list", map[string]any{})
		assert.Equal(t, either(quirk, 429, 200), resp.StatusCode)
		assert.Equal(t, quirk, resp.Header.Get("Retry-After") != "")
		assert.Equal(t, 200, listed(t, r, other))
	},
	"slow-passwords": func(t *testing.T, r *reference.Reference, quirk bool) {
		if !quirk {
			return // the speed of the ideal reference depends on the machine
		}
		c, _ := register(t, r, nil)
		began := time.Now()
		c.code(nil)
		assert.GreaterOrEqual(t, time.Since(began), quirks.HashTime)
	},
	"one-sign-in": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		_, asked := c.signIn(nil)
		require.True(t, asked)
		elsewhere := *c
		elsewhere.browser = browser(t)
		_, asked = elsewhere.signIn(nil)
		require.True(t, asked)
		_, asked = c.signIn(nil)
		assert.Equal(t, quirk, asked)
	},
	"scope-at-the-door": func(t *testing.T, r *reference.Reference, quirk bool) {
		assert.Equal(t, either(quirk, 403, 200), listed(t, r, r.IDP.Mint("alice", r.URL, []string{"notes:write"}, nil)))
		assert.Equal(t, 200, listed(t, r, r.IDP.Mint("alice", r.URL, []string{quirks.BaseScope}, nil)))
	},
	"default-scope": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, either(quirk, "notes:read notes:write", "notes:read"), c.tokens(url.Values{"scope": nil})["scope"])
	},
	"no-scope-unless-registered": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(nil)
		const both = "notes:read notes:write"
		assert.Equal(t, either[any](quirk, "", both), tokens["scope"])
		assert.Equal(t, either(quirk, 403, 200), answered(t, r, fmt.Sprint(tokens["access_token"])).StatusCode)
		registered, _ := register(t, r, map[string]any{"scope": both})
		assert.Equal(t, both, registered.tokens(nil)["scope"])
	},
	"offline-access": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		assert.Equal(t, quirk, c.tokens(nil)["refresh_token"] == nil)
		assert.Equal(t, quirk, c.tokens(url.Values{"scope": {"notes:read offline_access"}})["refresh_token"] == nil)
		assert.NotNil(t, c.tokens(url.Values{"scope": {"notes:read offline_access"}, "prompt": {"consent"}})["refresh_token"])
	},
	"introspection-by-resource-server": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, meta := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		status, tokens := c.token(url.Values{
			"grant_type": {"authorization_code"}, "code": {c.code(nil)}, "redirect_uri": {c.redirect}, "code_verifier": {verifier},
			"client_secret": {fmt.Sprint(meta["client_secret"])},
		})
		require.Equal(t, 200, status, tokens)
		active := func(id, secret string) any {
			form := url.Values{"token": {fmt.Sprint(tokens["access_token"])}}
			req, err := http.NewRequest(http.MethodPost, r.IDP.Issuer+"/introspect", strings.NewReader(form.Encode()))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if id == quirks.Introspector {
				req.SetBasicAuth(id, secret)
			} else {
				form.Set("client_id", id)
				form.Set("client_secret", secret)
				req.Body = io.NopCloser(strings.NewReader(form.Encode()))
				req.ContentLength = int64(len(form.Encode()))
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			return decoded(t, resp)["active"]
		}
		assert.Equal(t, !quirk, active(c.id, fmt.Sprint(meta["client_secret"])))
		assert.Equal(t, quirk, active(quirks.Introspector, r.Machines[0].Secret))
	},
	"registration-read-only": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, meta := register(t, r, nil)
		status := func(method string) int {
			req, err := http.NewRequest(method, fmt.Sprint(meta["registration_client_uri"]), nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+fmt.Sprint(meta["registration_access_token"]))
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			return resp.StatusCode
		}
		assert.Equal(t, 200, status(http.MethodGet))
		assert.Equal(t, either(quirk, 405, 204), status(http.MethodDelete))
	},
	"registration-by-type": func(t *testing.T, r *reference.Reference, quirk bool) {
		status, _ := registering(t, r, map[string]any{"redirect_uris": []string{"http://127.0.0.1:1/cb"}})
		assert.Equal(t, either(quirk, 400, 201), status)
		status, _ = registering(t, r, map[string]any{"redirect_uris": []string{"https://client.example/cb"}, "application_type": "native"})
		assert.Equal(t, either(quirk, 400, 201), status)
		status, _ = registering(t, r, map[string]any{"redirect_uris": []string{"http://127.0.0.1:1/cb"}, "application_type": "native"})
		assert.Equal(t, 201, status)
	},
	"registration-for-machines": func(t *testing.T, r *reference.Reference, quirk bool) {
		status, made := registering(t, r, nil)
		assert.Equal(t, either(quirk, 201, 400), status)
		if quirk {
			assert.Equal(t, []any{"client_credentials"}, made["grant_types"])
		}
	},
	"loopback-for-native": func(t *testing.T, r *reference.Reference, quirk bool) {
		refused := func(applicationType string) bool {
			c, _ := register(t, r, map[string]any{"application_type": applicationType})
			resp, err := c.browser.Get(c.authorizationURL(url.Values{"redirect_uri": {"http://127.0.0.1:2/callback"}}))
			require.NoError(t, err)
			resp.Body.Close()
			return resp.StatusCode == http.StatusBadRequest
		}
		assert.False(t, refused("native"))
		assert.Equal(t, quirk, refused("web"))
	},
	"code-before-client": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		status, out := c.token(url.Values{"grant_type": {"authorization_code"}, "code": {"unknown"}, "client_secret": {"wrong"}})
		assert.Equal(t, either(quirk, 400, 401), status)
		assert.Equal(t, either(quirk, "invalid_grant", "invalid_client"), out["error"])
	},
	"errors-in-fragment": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		location, _ := c.signIn(url.Values{"response_type": {"token"}})
		u, err := url.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, quirk, strings.Contains(u.Fragment, "unsupported_response_type"))
		assert.Equal(t, !quirk, u.Query().Get("error") == "unsupported_response_type")
	},
	"refresh-overlap": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(nil)
		require.Equal(t, 200, c.refresh(tokens))
		assert.Equal(t, either(quirk, 200, 400), c.refresh(tokens))
		require.NoError(t, r.Advance(quirks.ReuseInterval+time.Second))
		assert.Equal(t, 400, c.refresh(tokens))
	},
	"refresh-ends-access": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(nil)
		require.Equal(t, 200, listed(t, r, tokens["access_token"].(string)))
		require.Equal(t, 200, c.refresh(tokens))
		assert.Equal(t, either(quirk, 401, 200), listed(t, r, tokens["access_token"].(string)))
	},
	"resource-at-refresh": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.tokens(nil)["refresh_token"].(string)}}
		status, out := c.token(refresh)
		require.Equal(t, either(quirk, 400, 200), status)
		assert.Equal(t, quirk, out["error"] == "invalid_target")
		if quirk {
			refresh.Set("resource", r.URL)
			status, _ = c.token(refresh)
			assert.Equal(t, 200, status)
		}
	},
	"nonce-once": func(t *testing.T, r *reference.Reference, quirk bool) {
		nonce := func() string {
			resp, _ := call(t, r, "", "tools/list", map[string]any{})
			require.Equal(t, 401, resp.StatusCode)
			return resp.Header.Get("DPoP-Nonce")
		}
		first, second := nonce(), nonce()
		assert.Equal(t, quirk, first != "" && first != second)
	},
	"utf-8-realm": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, _ := call(t, r, "", "tools/list", map[string]any{})
		require.Equal(t, 401, resp.StatusCode)
		assert.Equal(t, quirk, strings.Contains(resp.Header.Get("WWW-Authenticate"), `realm="`+quirks.Realm+`"`))
	},
	"full-metadata": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, has := decodedMetadata(t, r)["vendor_extension"]
		assert.Equal(t, quirk, has)
	},
	"incomplete-scope-list": func(t *testing.T, r *reference.Reference, quirk bool) {
		assert.Equal(t, !quirk, slices.Contains(decodedMetadata(t, r)["scopes_supported"].([]any), any("notes:write")))
	},
	"root-document": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, _ := call(t, r, "", "tools/list", map[string]any{})
		require.Equal(t, 401, resp.StatusCode)
		assert.Equal(t, !quirk, strings.Contains(resp.Header.Get("WWW-Authenticate"), `/oauth-protected-resource/mcp"`))
		document, err := http.Get(strings.TrimSuffix(r.URL, "/mcp") + "/.well-known/oauth-protected-resource/mcp")
		require.NoError(t, err)
		document.Body.Close()
		assert.Equal(t, either(quirk, 404, 200), document.StatusCode)
	},
	"moved-openid-document": func(t *testing.T, r *reference.Reference, quirk bool) {
		c := browser(t)
		resp, err := c.Get(r.IDP.Issuer + "/.well-known/openid-configuration")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, either(quirk, 302, 200), resp.StatusCode)
		followed, err := http.Get(r.IDP.Issuer + "/.well-known/openid-configuration")
		require.NoError(t, err)
		assert.Equal(t, r.IDP.Issuer, decoded(t, followed)["issuer"])
	},
	"sealed-refresh-tokens": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		tokens := c.tokens(nil)
		assert.Equal(t, quirk, strings.Count(fmt.Sprint(tokens["refresh_token"]), ".") == 2)
		assert.Equal(t, 200, c.refresh(tokens))
	},
	"awkward-key-set": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, err := http.Get(r.IDP.Issuer + "/jwks")
		require.NoError(t, err)
		assert.Len(t, decoded(t, resp)["keys"], either(quirk, 7, 3))
	},
	"refusal-ends-session": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		session := stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id")
		require.Equal(t, 200, stateful(t, r, token, session, "ping").StatusCode)
		require.Equal(t, 401, stateful(t, r, "", session, "ping").StatusCode)
		assert.Equal(t, either(quirk, 404, 200), stateful(t, r, token, session, "ping").StatusCode)
	},
	"public-version": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, err := http.Post(strings.TrimSuffix(r.URL, "/mcp")+"/v1/mcp", "application/json", strings.NewReader(`{"method":"tools/list"}`))
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, either(quirk, 200, 404), resp.StatusCode)
	},
	"strict-sessions": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		session := stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id")
		assert.Equal(t, quirk, refusedInside(t, inSession(t, r, token, session, "tools/list")))
		stateful(t, r, token, session, "notifications/initialized")
		assert.False(t, refusedInside(t, inSession(t, r, token, session, "tools/list")))
	},
	"public-handshake-strict-sessions": func(t *testing.T, r *reference.Reference, quirk bool) {
		own := stateful(t, r, "", "", "initialize").Header.Get("Mcp-Session-Id")
		assert.Equal(t, quirk, own != "")
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		session := stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id")
		assert.Equal(t, either(quirk, 404, 401), stateful(t, r, "", session, "ping").StatusCode)
	},
	"clean-state": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		location, _ := c.signIn(url.Values{"state": {"a\r\nb"}})
		u, err := url.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, either(quirk, "ab", "a\r\nb"), u.Query().Get("state"))
	},
	"scopes-of-the-client": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, answer := register(t, r, nil)
		assert.Equal(t, quirk, strings.Contains(fmt.Sprint(answer["scope"]), "mcp:tool:flip_coin"), answer)
	},
	"tokens-for-several": func(t *testing.T, r *reference.Reference, quirk bool) {
		several, is := r.IDP.Claims("alice", nil)["aud"].([]string)
		assert.Equal(t, quirk, is && len(several) == 3)
		assert.Equal(t, 200, answered(t, r, minted(t, r, nil)).StatusCode)
	},
	"tokens-of-a-provider": func(t *testing.T, r *reference.Reference, quirk bool) {
		_, typed := r.IDP.Header()["typ"]
		_, fraction := r.IDP.Claims("alice", nil)["exp"].(float64)
		assert.Equal(t, []bool{!quirk, quirk}, []bool{typed, fraction})
		assert.Equal(t, 200, answered(t, r, minted(t, r, nil)).StatusCode)
	},
	"rsa-pss": func(t *testing.T, r *reference.Reference, quirk bool) {
		assert.Equal(t, either(quirk, "PS256", "ES256"), r.IDP.Header()["alg"])
		assert.Equal(t, 200, answered(t, r, minted(t, r, nil)).StatusCode)
	},
	"certified-keys": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, err := http.Get(r.IDP.Issuer + "/jwks")
		require.NoError(t, err)
		for _, k := range decoded(t, resp)["keys"].([]any) {
			assert.Equal(t, quirk, k.(map[string]any)["x5c"] != nil)
		}
		assert.Equal(t, quirk, strings.HasPrefix(fmt.Sprint(r.IDP.Header()["kid"]), "https://"))
		assert.Equal(t, 200, answered(t, r, minted(t, r, nil)).StatusCode)
	},
	"clock-leeway": func(t *testing.T, r *reference.Reference, quirk bool) {
		late := map[string]any{"exp": time.Now().Add(-45 * time.Second).Unix()}
		assert.Equal(t, either(quirk, 200, 401), answered(t, r, minted(t, r, late)).StatusCode)
	},
	"opaque-tokens": func(t *testing.T, r *reference.Reference, quirk bool) {
		c, _ := register(t, r, nil)
		token := fmt.Sprint(c.tokens(nil)["access_token"])
		assert.Equal(t, quirk, strings.HasPrefix(token, "at_"))
		assert.Equal(t, 200, answered(t, r, token).StatusCode)
	},
	"refusals-in-html":      refused("text/html; charset=utf-8", "<!doctype html>"),
	"refusals-in-json-rpc":  refused("application/json", `{"jsonrpc"`),
	"refusals-without-body": refused("", ""),
	"hidden-tools": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, []string{"notes:read"}, nil)
		resp, doc := call(t, r, token, "tools/call", map[string]any{"name": "write_note", "arguments": map[string]any{"text": "x"}})
		assert.Equal(t, either(quirk, 200, 403), resp.StatusCode)
		assert.Equal(t, quirk, strings.Contains(fmt.Sprint(doc["error"]), "Unknown tool"), doc)
	},
	"scope-refused-without-code":      refusesScopesWith(""),
	"scope-refused-with-another-code": refusesScopesWith("invalid_token"),
	"large-messages-unread": func(t *testing.T, r *reference.Reference, quirk bool) {
		resp, err := http.Post(r.URL, "application/json", strings.NewReader(strings.Repeat(" ", quirks.MostRead+1)))
		if err == nil {
			_ = resp.Body.Close()
		}
		assert.Equal(t, quirk, err != nil, err)
	},
	"late-header": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), either(quirk, 300*time.Millisecond, 30*time.Second))
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Mcp-Session-Id", stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id"))
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		assert.Equal(t, quirk, errors.Is(err, context.DeadlineExceeded), err)
	},
	"lists-in-pages":   listedFirst(3),
	"first-page-empty": listedFirst(0),
	"one-stream": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		session := stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id")
		stream := func() int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "text/event-stream")
			req.Header.Set("Mcp-Session-Id", session)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp.StatusCode
		}
		assert.Equal(t, 200, stream())
		assert.Equal(t, either(quirk, 409, 200), stream())
		assert.Eventually(t, func() bool { return stream() == 200 }, 10*time.Second, 20*time.Millisecond)
	},
	"cancelled-call-unanswered": func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, nil, nil)
		session := stateful(t, r, token, "", "initialize").Header.Get("Mcp-Session-Id")
		streams := false
		for range either(quirk, 1000, 3) { // a cancellation may arrive before the call, or after it
			var cancels sync.WaitGroup
			cancels.Go(func() { stateful(t, r, token, session, "notifications/cancelled") })
			resp := stateful(t, r, token, session, `tools/call","whoami":"`)
			cancels.Wait()
			if streams = resp.Header.Get("Content-Type") == "text/event-stream"; streams {
				break
			}
		}
		assert.Equal(t, quirk, streams)
	},
}

// listedFirst shows how many tools the first page of the list has, and whether it names another page.
func listedFirst(entries int) func(t *testing.T, r *reference.Reference, quirk bool) {
	return func(t *testing.T, r *reference.Reference, quirk bool) {
		result, _ := decoded(t, answered(t, r, minted(t, r, nil)))["result"].(map[string]any)
		tools, _ := result["tools"].([]any)
		assert.Equal(t, quirk, len(tools) == entries, "%d tools", len(tools))
		assert.Equal(t, quirk, result["nextCursor"] != nil)
	}
}

// minted returns an ordinary token of the issuer, with some claims changed.
func minted(t *testing.T, r *reference.Reference, changes map[string]any) string {
	t.Helper()
	claims := r.IDP.Claims("alice", []string{"notes:read"})
	maps.Copy(claims, changes)
	encode := func(v any) string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	input := encode(r.IDP.Header()) + "." + encode(claims)
	signature, err := r.IDP.Signature([]byte(input))
	require.NoError(t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// answered returns the answer to tools/list with a token.
func answered(t *testing.T, r *reference.Reference, token string) *http.Response {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	req, err := http.NewRequest(http.MethodPost, r.URL, strings.NewReader(body))
	require.NoError(t, err)
	for name, v := range map[string]string{
		"Authorization": "Bearer " + token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Method": "tools/list", "MCP-Protocol-Version": "2026-07-28",
	} {
		req.Header.Set(name, v)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// refused shows that the body of a refusal differs, and nothing else.
func refused(mediaType, begin string) func(t *testing.T, r *reference.Reference, quirk bool) {
	return func(t *testing.T, r *reference.Reference, quirk bool) {
		resp := answered(t, r, "bad")
		require.Equal(t, 401, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		same := resp.Header.Get("Content-Type") == mediaType && strings.HasPrefix(string(body), begin) && (begin != "" || len(body) == 0)
		assert.Equal(t, quirk, same, "%s: %s", resp.Header.Get("Content-Type"), body)
		challenge := resp.Header.Get("WWW-Authenticate")
		assert.Contains(t, challenge, "resource_metadata=")
		assert.Equal(t, !quirk, strings.Contains(challenge, "error_description="))
	}
}

// refusedInside reports whether an answer has a JSON-RPC error inside HTTP 200.
func refusedInside(t *testing.T, answer *http.Response) bool {
	t.Helper()
	require.Equal(t, 200, answer.StatusCode)
	return decoded(t, answer)["error"] != nil
}

func either[V any](first bool, a, b V) V {
	if first {
		return a
	}
	return b
}

func TestEachQuirkIsThere(t *testing.T) {
	for _, q := range quirks.All {
		show := shows[q.Name]
		require.NotNil(t, show, "this test has no request that shows the quirk %s", q.Name)
		assert.NotEmpty(t, q.Says, q.Name)
		assert.NotEmpty(t, q.Allows, q.Name)
		t.Run(q.Name, func(t *testing.T) {
			t.Parallel()
			show(t, start(t, &q), true)
		})
		t.Run("ideal/"+q.Name, func(t *testing.T) {
			t.Parallel()
			show(t, start(t, nil), false)
		})
	}
	assert.Len(t, shows, len(quirks.All))
}

func decodedMetadata(t *testing.T, r *reference.Reference) map[string]any {
	t.Helper()
	resp, err := http.Get(r.IDP.Issuer + "/.well-known/openid-configuration")
	require.NoError(t, err)
	return decoded(t, resp)
}

// refusesScopesWith expects the challenge for a missing scope to have this error, or none where it is empty.
func refusesScopesWith(code string) func(t *testing.T, r *reference.Reference, quirk bool) {
	return func(t *testing.T, r *reference.Reference, quirk bool) {
		token := r.IDP.Mint("alice", r.URL, []string{"notes:read"}, nil)
		resp, _ := call(t, r, token, "tools/call", map[string]any{"name": "write_note", "arguments": map[string]any{"text": "x"}})
		assert.Equal(t, 403, resp.StatusCode)
		field := resp.Header.Get("WWW-Authenticate")
		assert.Contains(t, field, "Bearer ")
		assert.Equal(t, !quirk, strings.Contains(field, `error="insufficient_scope"`), field)
		if quirk {
			assert.Equal(t, code != "", strings.Contains(field, `error="`+code), field)
		}
	}
}
