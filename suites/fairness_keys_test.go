package suites_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"

	"github.com/mcpauth/conformance/suites"
)

// withKeysOnly starts a right server that knows API keys only, has no metadata, and says so in its challenge.
func withKeysOnly(t *testing.T, bend func(p *mcpserver.Policy), wraps ...func(http.Handler) http.Handler) suites.Config {
	t.Helper()
	p := mcpserver.Strict()
	p.Lacks = append(p.Lacks, mcpserver.MetadataAtPath)
	p.PRMRoot, p.DPoP, p.MutualTLS = false, false, false
	p.Challenge = func(string, string) []string { return []string{`ApiKey realm="mcp"`} }
	if bend != nil {
		bend(&p)
	}
	var keys []mcpserver.Static
	for _, c := range reference.Credentials() {
		if c.Header != "" {
			keys = append(keys, c)
		}
	}
	server := httptest.NewUnstartedServer(nil)
	resource := "http://" + server.Listener.Addr().String() + "/mcp"
	s, err := mcpserver.New(mcpserver.Config{Resource: resource, Policy: p, Static: keys})
	require.NoError(t, err)
	server.Config.Handler = s
	for _, wrap := range wraps {
		server.Config.Handler = wrap(server.Config.Handler)
	}
	server.Start()
	t.Cleanup(func() { s.Close(); server.Close() })
	cfg := suites.Config{Target: target.At(resource), Patience: 50 * time.Millisecond}
	cfg.Rate, cfg.MaxRequests = 100_000, 20_000
	for _, k := range keys {
		cfg.Credentials = append(cfg.Credentials, target.Credential{Name: k.Name, Header: k.Header, Value: k.Value, User: k.User, Tools: k.Tools,
			Quota: target.Quota{Limit: k.Limit, Window: k.Window}})
	}
	return against.Brief(t, cfg)
}

// Authorization as MCP describes it is optional: a server of API keys is not asked for OAuth.
func TestAServerOfAPIKeysIsNotAccused(t *testing.T) {
	t.Parallel()
	for _, r := range against.Run(t, withKeysOnly(t, nil)).Results {
		if r.Level == "MUST" || r.Level == "SHOULD" {
			assert.NotContains(t, []reports.Verdict{reports.Fail, reports.Warn, reports.Errored}, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
		}
	}
}

// forged are the checks whose tokens anybody can make.
var forged = []string{
	"RS-TOKEN-GARBAGE", "RS-TOKEN-SYNTAX-BYTES", "RS-TOKEN-ALG-NONE", "RS-TOKEN-FOREIGN-KEY", "RS-TOKEN-KID-INJECTION",
	"RS-TOKEN-EMBEDDED-JWK", "RS-TOKEN-JKU-X5U", "RS-TOKEN-FORMAT-CONFUSION", "RS-TOKEN-WEAK-SECRET",
}

// refusingTokens refuses each request with an Authorization field with a status.
func refusingTokens(status int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				http.Error(w, "this server knows API keys", status)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// unsignedPass accepts JWTs with alg none.
func unsignedPass(p *mcpserver.Policy) {
	p.Overlooks = func(_ *http.Request, part string, token map[string]any) bool {
		header, _ := token["header"].(map[string]any)
		return part != mcpserver.Signature || header["alg"] == "none"
	}
}

// anyBearerPasses accepts every token.
func anyBearerPasses(p *mcpserver.Policy) { p.Lacks = append(p.Lacks, mcpserver.VerifyTokens) }

// At a server of API keys, the key is the control of forged tokens.
func TestForgedTokensAtAServerOfAPIKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend   func(p *mcpserver.Policy)
		wraps  []func(http.Handler) http.Handler
		edit   func(c *target.Credential)
		failed []string // checks that notice
		others reports.Verdict
	}{
		"a right one": {others: reports.Pass},
		"one that refuses the scheme Bearer with 400": {wraps: []func(http.Handler) http.Handler{refusingTokens(400)}, others: reports.Pass},
		"one that refuses the scheme Bearer with 403": {wraps: []func(http.Handler) http.Handler{refusingTokens(403)}, others: reports.Pass},
		"one that accepts unsigned JWTs": {bend: unsignedPass, failed: []string{"RS-TOKEN-ALG-NONE", "RS-TOKEN-FORMAT-CONFUSION"},
			others: reports.Pass},
		"one that accepts every token": {bend: anyBearerPasses, failed: forged, others: reports.Fail},
		"the key of another server":    {edit: func(c *target.Credential) { c.Value = "not-a-key-here" }, others: reports.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := withKeysOnly(t, c.bend, c.wraps...)
			cfg.Only = forged
			if c.edit != nil {
				for i := range cfg.Credentials {
					c.edit(&cfg.Credentials[i])
				}
			}
			results := against.Run(t, cfg).Results
			require.Len(t, results, len(forged))
			for _, r := range results {
				want := c.others
				if slices.Contains(c.failed, r.ID) {
					want = reports.Fail
				}
				if want == reports.Fail && r.Level == "BCP" {
					want = reports.Warn
				}
				assert.Equal(t, want, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
			}
		})
	}
}

// Metadata that fails may speak of OAuth: its absence is not seen.
func TestAChallengeForKeysShowsNothingWhereMetadataFails(t *testing.T) {
	t.Parallel()
	cfg := withKeysOnly(t, nil)
	u, err := url.Parse(cfg.URL)
	require.NoError(t, err)
	front := httptest.NewUnstartedServer(nil)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: u.Host})
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		r.Host = u.Host
		proxy.ServeHTTP(w, r)
	})
	front.Start()
	t.Cleanup(front.Close)
	cfg.URL = front.URL + u.Path
	cfg.Only = []string{"RS-CHALLENGE-BEARER-SCHEME", "RS-CHALLENGE-RESOURCE-METADATA", "RS-DISC-PRM-PUBLISHED"}
	results := against.Run(t, cfg).Results
	require.NotEmpty(t, results)
	for _, r := range results {
		assert.Equal(t, reports.Inconclusive, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
	}
}
