package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
)

// conclusion returns the last paragraph of a summary, in one line.
func conclusion(summary string) string {
	flat := strings.Join(strings.Fields(summary), " ")
	at := 0
	for _, word := range []string{"PASSED", "FAILED", "UNDECIDED", "NOTHING WAS TESTED", "TOLERATED", "INTERRUPTED"} {
		at = max(at, strings.LastIndex(flat, word))
	}
	return flat[at:]
}

// A run that decided nothing, or in which a requested step did not work, is not a success.
func TestNothingUndecidedIsGreen(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for name, c := range map[string]struct {
		env, args []string
		code      int
		says      string
	}{
		"an area out of reach": {nil, []string{"--only", "RS-SCOPE-*"}, 3, "UNDECIDED: nothing that was selected could be judged; add "},
		"one requirement out of reach": {nil, []string{"--only", "RS-CHALLENGE-401-STATUS,RS-AUD-CROSS-RESOURCE"}, 3,
			"UNDECIDED: you asked for RS-AUD-CROSS-RESOURCE, not tested"},
		"a part out of reach":           {nil, []string{"--only", "RS-*"}, 0, "PASSED what was tested: "},
		"a part out of reach, for gate": {nil, []string{"--only", "RS-*", "--require-complete"}, 3, "not tested, and all are required"},
		"a login that fails": {[]string{"MCPAUTH_PASSWORD=wrong"},
			[]string{"--username", "nobody", "--login", "form", "--only", "RS-DISC-*"}, 3, "NOTHING WAS TESTED: The login at "},
		"a token that is refused": {[]string{"TOKEN=not-a-token"}, []string{"--token-env", "TOKEN", "--only", "RS-DISC-*"}, 3,
			"NOTHING WAS TESTED: Your token was rejected (401 invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := mcpauthWith(t, c.env, append([]string{"run", r.URL, "--report", "badge"}, c.args...)...)
			assert.Equal(t, c.code, code, errs)
			assert.Contains(t, conclusion(errs), c.says)
			var badge struct{ Color string }
			require.NoError(t, json.Unmarshal([]byte(out), &badge))
			assert.NotEqual(t, "brightgreen", badge.Color)
			assert.Equal(t, c.code == 0, badge.Color == "green" || badge.Color == "yellow", badge.Color)
		})
	}
}

// An issuer that the target does not trust, and a login by hand without an answer, leave the run undecided, whatever passes.
func TestWhatWasGivenAndDoesNotWorkIsNotGreen(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, c := range map[string]struct{ file, only, says string }{
		"an issuer that the target does not trust": {"fake_idp: {listen: '127.0.0.1:0', issuer: 'http://127.0.0.1:9', audience: '" + r.URL + "'}",
			"RS-DISC-*,RS-AUD-WRONG", "the target does not trust it, and has not fetched its key set"},
		"a login by hand whose answer cannot be received": {"login: {driver: manual}\nclient: {clients: [{id: by-hand, redirect_uri: 'http://" +
			taken.Addr().String() + "/callback'}]}", "RS-DISC-*", "the login by hand failed"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "target.yaml")
			require.NoError(t, os.WriteFile(file, []byte("version: 1\ntarget: {url: '"+r.URL+"'}\n"+c.file+"\n"), 0o600))
			code, out, errs := mcpauth(t, "run", "-c", file, "--only", c.only, "--report", "badge")
			assert.Equal(t, 3, code, errs)
			assert.Contains(t, conclusion(errs), c.says)
			assert.NotContains(t, out, "green")
		})
	}
}

// The last line of a run without a token says what a token would add.
func TestTheLastLineSaysWhatToAdd(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) {})
	_, out, _ := mcpauth(t, "run", r.URL)
	assert.Regexp(t, `^PASSED what was tested: \d+ of \d+ MUSTs.*; add --.* to test \d+ more, --`, conclusion(out))
	assert.Contains(t, conclusion(out), "--token-env to test ")
}

// A server that serves everybody is never green. With metadata or a token it fails; without a sign of authorization it is undecided, unless
// its owner declares it public.
func TestAnOpenServerIsNotGreen(t *testing.T) {
	t.Parallel()
	advertised := start(t, func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RequireToken) })
	there, err := url.Parse(advertised.URL)
	require.NoError(t, err)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: there.Scheme, Host: there.Host})
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp" { // no metadata anywhere
			http.NotFound(w, r)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	defer bare.Close()
	bare.URL += "/mcp"
	strict := start(t, func(o *reference.Options) {
		o.Policy.Lacks, o.Policy.AwaitsInitialized, o.Policy.BindsAnonymous = append(o.Policy.Lacks, mcpserver.RequireToken), true, true
	})
	sampled := whole.Sample(t, "with metadata", "without metadata", "with strict sessions", "public, as its owner says")
	declared := filepath.Join(t.TempDir(), "target.yaml")
	require.NoError(t, os.WriteFile(declared, []byte("version: 1\ntarget: {url: "+bare.URL+", public: true}\n"), 0o600))
	token := []string{"TOKEN=" + advertised.Token()}
	for name, c := range map[string]struct {
		env, args []string
		code      int
		says      string
	}{
		"with metadata":             {nil, []string{advertised.URL}, 1, "FAILED: No authorization: anyone can call 12 tools (whoami, "},
		"with metadata and a token": {token, []string{advertised.URL, "--token-env", "TOKEN"}, 1, "FAILED: No authorization: anyone can call "},
		"by a profile": {nil, []string{advertised.URL, "--profile", "resource-server"}, 1,
			"FAILED: No authorization: anyone can call "},
		"of which a part is tested": {nil, []string{advertised.URL, "--only", "RS-DISC-*"}, 3, "UNDECIDED: No authorization: anyone can call "},
		"without metadata":          {nil, []string{bare.URL}, 3, "UNDECIDED: No authorization: anyone can call "},
		"with a token":              {token, []string{bare.URL, "--token-env", "TOKEN"}, 1, "FAILED: No authorization: anyone can call "},
		"with strict sessions": {nil, []string{strict.URL, "--revision", "2025-11-25"}, 1,
			"FAILED: No authorization: anyone can call 12 tools "},
		"with strict sessions and a token": {[]string{"TOKEN=" + strict.Token()},
			[]string{strict.URL, "--revision", "2025-11-25", "--token-env", "TOKEN"}, 1, "FAILED: No authorization: anyone can call 12 tools "},
		"public, as its owner says": {nil, []string{"-c", declared}, 0, "PASSED what was tested: "},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			code, out, errs := mcpauthWith(t, c.env, append([]string{"run", "--report", "badge"}, c.args...)...)
			assert.Equal(t, c.code, code, errs)
			assert.Contains(t, conclusion(errs), c.says)
			assert.Equal(t, c.code == 0, strings.Contains(out, "green") || strings.Contains(out, "yellow"), out)
		})
	}
}

// If a server serves everybody, as its owner declares, no check fails because a token works for longer, or for more, than it should.
func TestAnAuthorizationServerIsNotBlamedForAnOpenServer(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.RequireToken) })
	for _, public := range []string{"true", "[initialize]"} {
		file := filepath.Join(t.TempDir(), "target.yaml")
		require.NoError(t, os.WriteFile(file, []byte("version: 1\ntarget: {url: '"+r.URL+"', public: "+public+", other_resource: '"+r.Other+
			"'}\nlogin: {users: [{username: alice, password: {env: PASSWORD}}]}\n"), 0o600))
		_, out, errs := mcpauthProcess(t, []string{"PASSWORD=" + idp.Alice.Password}, "run", "-c", file, "--only", "AS-TOKEN-TYPE-CONFUSION,"+
			"AS-TOKEN-AUD-NOT-UNIVERSAL,AS-TOKEN-CODE-REPLAY-REVOKES,AS-REVOKE-*,AS-REFRESH-REUSE-KILLS-ACCESS,AS-DCRM-DELETE", "--verbose")
		for _, verdict := range []string{"FAIL ", "WARN ", "INCONCLUSIVE "} {
			assert.NotContains(t, out+errs, verdict)
		}
		assert.Contains(t, out, "PASS")
	}
}

// Tools that run without a token are found although lists are protected: if none is declared, read-only ones are called.
func TestOpenToolsBehindGuardedListsAreFound(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *reference.Options) { o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.GuardTools) })
	code, out, errs := mcpauthProcess(t, []string{"TOKEN=" + r.Token()}, "run", r.URL, "--token-env", "TOKEN", "--only",
		"RS-CHALLENGE-EXISTING-TOOLS")
	assert.Equal(t, 1, code, errs)
	assert.Contains(t, out, "sent      no token, whoami")
	assert.Contains(t, conclusion(out), "FAILED: No authorization: anyone can call whoami; ")
	code, _, errs = mcpauth(t, "run", r.URL, "--only", "RS-CHALLENGE-EXISTING-TOOLS")
	assert.Equal(t, 3, code, errs)
	declared := filepath.Join(t.TempDir(), "target.yaml")
	require.NoError(t, os.WriteFile(declared, []byte(
		"version: 1\ntarget: {url: "+r.URL+", revisions: [2026-07-28]}\ntools: [{name: whoami, call: denied-only}]\n"), 0o600))
	code, out, errs = mcpauth(t, "run", "-c", declared, "--only", "RS-CHALLENGE-EXISTING-TOOLS")
	assert.Equal(t, 1, code, errs)
	assert.Contains(t, out, "sent      an expired token, whoami")
}

// A call that is refused after the tool has run is found, also if the tool needs only a token.
func TestToolsThatRunBeforeTheyAreRefusedAreFound(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{true, false} {
		r := start(t, func(o *reference.Options) { o.Policy.RunsBefore = func(string) bool { return runs } })
		declared := filepath.Join(t.TempDir(), "target.yaml")
		require.NoError(t, os.WriteFile(declared, []byte("version: 1\ntarget: {url: "+r.URL+
			"}\ntools: [{name: write_note, arguments: {text: '{marker}'}, effect: list_notes}, {name: list_notes}]\n"), 0o600))
		code, out, errs := mcpauthProcess(t, []string{"TOKEN=" + r.Token()}, "run", "-c", declared, "--token-env", "TOKEN", "--only",
			"RS-CHALLENGE-EXISTING-TOOLS")
		assert.Equal(t, runs, code == 1, "%s%s", out, errs)
		assert.Equal(t, runs, strings.Contains(out, "list_notes shows that write_note has run"), out)
	}
}

// checkIDs match the ids of checks, which only requests under an ordinary User-Agent contain.
var checkIDs = regexp.MustCompile(`\b(RS|AS)-[A-Z]+-[A-Z0-9-]+`)

func TestANeutralRunNamesNeitherTheToolNorItsChecks(t *testing.T) {
	t.Parallel()
	var heard sync.Map // texts of requests, with their paths
	r := start(t, func(o *reference.Options) {
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				heard.Store(fmt.Sprint(r.Header, r.Host, string(body)), r.URL.Path)
				h.ServeHTTP(w, r)
			})
		}
	})
	code, _, errs := mcpauthProcess(t, []string{"MCPAUTH_PASSWORD=" + idp.Alice.Password}, "run", r.URL, "--username", idp.Alice.Name,
		"--only", "AS-DCR-*,RS-CHALLENGE-*", "--user-agent", "neutral")
	assert.NotEqual(t, 2, code, errs)
	requests := 0
	for said, path := range heard.Range {
		requests++
		assert.NotRegexp(t, checkIDs, said)
		if strings.HasPrefix(path.(string), "/mcp") {
			assert.NotContains(t, strings.ToLower(said.(string)), "mcpauth")
		}
		for _, name := range []string{`"client_name":"mcpauth`, "User-Agent:[mcpauth"} {
			assert.NotContains(t, said, name)
		}
	}
	assert.Greater(t, requests, 100)
}
