package main_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// answer makes a server that answers every request alike.
func answer(t *testing.T, status int, header map[string]string, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/mcp"
}

// expired is an unsigned JWT whose time is over.
func expired() string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC).Unix())
	return encode(`{"alg":"ES256","typ":"at+jwt"}`) + "." + encode(claims) + "." + encode(strings.Repeat("x", 64))
}

// Where a target cannot be tested at all, one paragraph says why, and what to do.
func TestDiagnosis(t *testing.T) {
	good := start(t, nil)
	html := map[string]string{"Content-Type": "text/html"}
	for name, c := range map[string]struct {
		url  string
		env  []string
		args []string
		want string
	}{
		"another path": {url: strings.TrimSuffix(good.URL, "mcp") + "mpc",
			want: "is answered with HTTP 404 and a body of type text/plain. This does not look like an MCP endpoint. Its metadata names " +
				good.URL +
				": did you mean that? (exit 3)"},
		"HTML": {url: answer(t, 200, html, "<!doctype html><title>Shop</title>"),
			want: "is answered with HTTP 200 and an HTML page. This does not look like an MCP endpoint. Check the path: /mcp, /sse and / do not " +
				"answer as an MCP " +
				"endpoint does either. (exit 3)"},
		"plain JSON": {url: answer(t, 200, map[string]string{"Content-Type": "application/json"}, `{"ok":true}`),
			want: "is answered with HTTP 200 and a body of type application/json. This does not look like an MCP endpoint."},
		"no server behind the proxy": {url: answer(t, 502, html, "<h1>502</h1>"),
			want: "is answered with HTTP 502 and an HTML page. A proxy or load balancer answers, and cannot reach the server behind it."},
		"single sign-on": {url: answer(t, 302, map[string]string{"Location": "https://sso.example.com/authorize?x=1"}, ""),
			want: "is answered with HTTP 302. It redirects to sso.example.com, as a single sign-on gate does."},
		"cookie login": {url: answer(t, 302, map[string]string{"Location": "/login?next=/mcp"}, ""),
			want: "It redirects to a login page, as a gate with cookies does. Pass the cookie or header that opens it: --header-env Cookie=VARIABLE."},
		"basic authentication": {url: answer(t, 401, map[string]string{"WWW-Authenticate": `Basic realm="staging"`}, ""),
			want: "A gate asks for Basic credentials before the server is reached. Pass the header that opens it: --header-env " +
				"Authorization=VARIABLE."},
		"firewall": {url: answer(t, 403, map[string]string{"Content-Type": "text/html", "Cf-Mitigated": "challenge"},
			"<title>Just a moment...</title>"),
			want: "A web application firewall asks for proof that the client is a browser."},
		"a token that is rejected": {url: good.URL, env: []string{"TOKEN=no-such-token"}, args: []string{"--token-env", "TOKEN"},
			want: "NOTHING WAS TESTED: Your token was rejected (401 invalid_token: The access token is not valid here). Get a new token and run " +
				"again. (exit 3)"},
		"a token that has expired": {url: good.URL, env: []string{"TOKEN=" + expired()}, args: []string{"--token-env", "TOKEN"},
			want: "It expired at 2020-01-02 03:04 UTC. Get a new token and run again. (exit 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := mcpauth(t, c.env, append([]string{"run", c.url}, c.args...)...)
			assert.Equal(t, 3, code, errs)
			assert.Contains(t, conclusion(out), c.want)
			assert.True(t, strings.HasPrefix(conclusion(out), "NOTHING WAS TESTED: "), out)
			assert.Less(t, strings.Count(out, "\n"), 12, "one paragraph is enough")
			for line := range strings.Lines(out) {
				assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 80, line)
			}
		})
	}
}
