package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports/fleet"
)

// busy counts the requests to a server, and the maximum in progress at once.
type busy struct{ requests, inFlight, most atomic.Int64 }

// during counts a request, and takes a while, so that requests can overlap.
func (b *busy) during(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		n := b.inFlight.Add(1)
		defer b.inFlight.Add(-1)
		for was := b.most.Load(); n > was && !b.most.CompareAndSwap(was, n); was = b.most.Load() {
		}
		f(w, r)
		time.Sleep(2 * time.Millisecond)
	}
}

// sharing has MCP endpoints on one origin that name one authorization server. It holds the first request to each endpoint until all have
// one, so that all are tested at once.
type sharing struct {
	urls       []string
	mcp, login busy
}

func startSharing(t *testing.T, endpoints ...string) *sharing {
	s := &sharing{}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	var issuer *httptest.Server
	issuer = httptest.NewServer(s.login.during(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/oauth-authorization-server" {
			http.NotFound(w, r)
			return
		}
		answer(w, map[string]any{"issuer": issuer.URL, "authorization_endpoint": issuer.URL + "/authorize",
			"token_endpoint": issuer.URL + "/token", "response_types_supported": []string{"code"},
			"code_challenge_methods_supported": []string{"S256"}})
	}))
	t.Cleanup(issuer.Close)
	var met sync.WaitGroup
	met.Add(len(endpoints))
	asked := map[string]*atomic.Bool{}
	for _, e := range endpoints {
		asked[e] = &atomic.Bool{}
	}
	var origin *httptest.Server
	origin = httptest.NewServer(s.mcp.during(func(w http.ResponseWriter, r *http.Request) {
		const wellKnown = "/.well-known/oauth-protected-resource"
		if path, ok := strings.CutPrefix(r.URL.Path, wellKnown); ok && asked[path] != nil {
			answer(w, map[string]any{"resource": origin.URL + path, "authorization_servers": []string{issuer.URL}})
			return
		}
		before := asked[r.URL.Path]
		if before == nil {
			http.NotFound(w, r)
			return
		}
		if before.CompareAndSwap(false, true) {
			met.Done()
			met.Wait()
		}
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+origin.URL+wellKnown+r.URL.Path+`"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(origin.Close)
	for _, e := range endpoints {
		s.urls = append(s.urls, origin.URL+e)
	}
	return s
}

// Targets that share an origin and an authorization server together stay within --per-host at each of them.
func TestPerHostHoldsForTargetsThatShareServers(t *testing.T) {
	t.Parallel()
	s, out := startSharing(t, "/a", "/b"), filepath.Join(t.TempDir(), "out")
	code, _, errs := mcpauth(t, "run", "--targets", list(t, s.urls...), "--out", out, "--parallel", "2", "--per-host", "2",
		"--only", few+",AS-META-*,RS-TOKEN-*,AS-TOKEN-*")
	require.Zero(t, code, errs)
	all := done(t, out)
	for _, u := range s.urls {
		require.Equal(t, fleet.Tested, all[u].State, errs)
		assert.Contains(t, all[u].Verdicts["PASS"], "AS-META-PUBLISHED", "the authorization server of the target is not tested")
	}
	for name, b := range map[string]*busy{"origin": &s.mcp, "authorization server": &s.login} {
		assert.Greater(t, b.requests.Load(), int64(20), name)
		assert.LessOrEqual(t, b.most.Load(), int64(2), name)
		t.Logf("%s: %d requests, at most %d at once", name, b.requests.Load(), b.most.Load())
	}
}

// --total-rate holds for all targets together, whatever their servers.
func TestTotalRateHoldsForAllTargets(t *testing.T) {
	t.Parallel()
	const perSecond = 40
	out := filepath.Join(t.TempDir(), "out")
	urls := []string{start(t, nil).URL, start(t, nil).URL, start(t, nil).URL}
	began := time.Now()
	code, _, errs := mcpauth(t, "run", "--targets", list(t, urls...), "--out", out, "--parallel", "3", "--only", few,
		"--total-rate", strconv.Itoa(perSecond))
	took := time.Since(began)
	require.Zero(t, code, errs)
	requests := 0
	for _, d := range done(t, out) {
		requests += d.Requests
	}
	require.Greater(t, requests, 3*10)
	assert.GreaterOrEqual(t, took, time.Duration(requests-1)*time.Second/perSecond, "%d requests were faster than the limit allows", requests)
	t.Logf("%d requests in %v", requests, took)
}
