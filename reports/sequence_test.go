package reports

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The flow shows the successful request of each step, not the attacks on it, and the failures in it.
func TestSequence(t *testing.T) {
	const as = "https://as.example"
	exchange := func(n int, method, url, body string, status int, answer string) Exchange {
		return Exchange{Number: n, Request: Request{Method: method, URL: url, Body: body}, Response: &Response{Status: status, Body: answer}}
	}
	run := &Run{
		Target: Target{URL: "https://mcp.example/mcp"},
		Exchanges: []Exchange{
			exchange(1, "POST", "https://mcp.example/mcp", "{}", 401, ""),
			exchange(2, "GET", as+"/.well-known/oauth-authorization-server", "", 200,
				`{"authorization_endpoint":"`+as+`/authorize","token_endpoint":"`+as+`/token","revocation_endpoint":"`+as+`/revoke"}`),
			exchange(3, "GET", as+"/authorize?client_id=x", "", 400, ""),
			exchange(4, "GET", as+"/authorize?client_id=y", "", 200, ""),
			exchange(5, "POST", as+"/token", "grant_type=authorization_code&code=bad", 400, ""),
			exchange(6, "POST", as+"/token", "grant_type=authorization_code&code=good", 200, `{"access_token":"x"}`),
			exchange(7, "POST", as+"/revoke", "token=x", 401, ""),
			exchange(8, "POST", as+"/token", "grant_type=refresh_token", 200, `{"access_token":"y"}`),
		},
		Results: []Result{
			{ID: "AS-PKCE-A", Area: "pkce", Verdict: Fail}, {ID: "AS-PKCE-A", Area: "pkce", Verdict: Fail},
			{ID: "AS-REFRESH-A", Area: "refresh", Verdict: Warn},
		},
	}
	steps := run.Sequence()
	seen := map[int]Step{}
	for _, s := range steps {
		seen[s.Exchange] = s
	}
	for _, n := range []int{1, 2, 4, 6, 8} {
		assert.Contains(t, seen, n)
	}
	for _, n := range []int{3, 5, 7} {
		assert.NotContains(t, seen, n, "an attack is shown as part of the flow")
	}
	assert.Equal(t, []string{"AS-PKCE-A"}, seen[6].Failed)
	assert.Equal(t, "200, access token", seen[6].Answer)
	assert.Equal(t, 1, seen[8].Warned)
	i := slices.IndexFunc(steps, func(s Step) bool { return s.Label == "protected resource metadata" })
	require.GreaterOrEqual(t, i, 0, "a step that was not seen is missing")
	assert.Zero(t, steps[i].Exchange)
}
