package suites_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestReferencePassesEverything(t *testing.T) {
	variants := map[string]func(o *reference.Options){
		"bundled":                 func(*reference.Options) {},
		"apart":                   func(o *reference.Options) { o.Apart = true },
		"apart, issuer with path": func(o *reference.Options) { o.Apart, o.IssuerPath = true, "/tenant" },
		"https, public name":      func(o *reference.Options) { o.Host = "mcp.example.com" },
		"proxy":                   func(o *reference.Options) { o.Proxy = true },
		"proxy that remembers":    func(o *reference.Options) { o.Proxy, o.Behaviour.Consent = true, "once" },
		"public handshake":        func(o *reference.Options) { o.Policy.Public = []string{"initialize", "server/discover", "tools/list"} },
		"public handshake and ping": func(o *reference.Options) {
			o.Policy.Public = []string{"initialize", "server/discover", "tools/list", "ping", "notifications/initialized"}
		},
		"keys without ids": func(o *reference.Options) {
			o.Behaviour.JWKS = func(d map[string]any) {
				for _, k := range d["keys"].([]any) {
					delete(k.(map[string]any), "kid")
				}
			}
		},
		"one id for keys of two types": func(o *reference.Options) {
			o.Behaviour.JWKS = func(d map[string]any) {
				keys := d["keys"].([]any)
				again := maps.Clone(keys[1].(map[string]any))
				again["kid"] = "rsa-1"
				d["keys"] = append(keys, again)
			}
		},
		"no stream, answered 404": func(o *reference.Options) {
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && r.URL.Path == "/mcp" {
						http.NotFound(w, r)
						return
					}
					h.ServeHTTP(w, r)
				})
			}
		},
		"nonces in DPoP proofs":   func(o *reference.Options) { o.Policy.DPoPNonce = "random" },
		"the caller and the time": func(o *reference.Options) { o.Policy.TellsTime = true },
		"HTTP/2": func(o *reference.Options) {
			o.Host, o.TLS = "mcp.example.com", func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }
		},
		"tokens signed RS256":   func(o *reference.Options) { o.Algorithm = "RS256" },
		"tokens signed EdDSA":   func(o *reference.Options) { o.Algorithm = "EdDSA" },
		"without sessions":      func(o *reference.Options) { o.Policy.Sessions = false },
		"without root metadata": func(o *reference.Options) { o.Policy.PRMRoot = false },
		"stateful only":         func(o *reference.Options) { o.Policy.Revisions = o.Policy.Revisions[:3] },
		"stateless only":        func(o *reference.Options) { o.Policy.Revisions = o.Policy.Revisions[3:] },
	}
	sampled := whole.Sample(t, "bundled")
	for name, vary := range variants {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			t.Parallel()
			o := reference.Ideal()
			vary(&o)
			cfg := against.SigningIn(against.Start(t, o))
			if o.Host != "" {
				cfg.Documents = nil // a server on the internet must not fetch from this machine
			}
			if strings.Contains(name, "path") { // a 2025-03-26 server has no issuer with a path
				cfg.Revisions = []string{"2025-06-18", "2025-11-25", "2026-07-28"}
			}
			if name != "bundled" && name != "apart" { // these wait, and do not depend on where the servers are
				cfg.Skip = append(cfg.Skip, "RS-RATE-*", "AS-CIMD-SIZE-AND-TIME", "RS-TOKEN-KEY-*", "RS-TOKEN-JWKS-*", "RS-SESSION-EXPIRY-MIDWAY")
			}
			if o.Proxy { // it has no users of its own
				cfg.Skip = append(cfg.Skip, "AS-CIMD-FETCH-ABUSE", "AS-CONSENT-REVOCABLE")
				if o.Behaviour.Consent == "once" { // it does not ask again about an approved client, which is a warning
					cfg.Skip = append(cfg.Skip, "AS-CONSENT-NO-SILENT-REPEAT")
				}
			}
			var run *reports.Run
			if name == "bundled" { // other tests use this run too
				run = idealRun(t)
			} else {
				run = against.Run(t, against.Brief(t, cfg))
			}
			allowed := []reports.Verdict{}
			if o.Host != "" {
				allowed = append(allowed, reports.NotTested) // intrusive checks off loopback
			}
			against.Clean(t, run, allowed...)
			if name == "HTTP/2" {
				assert.True(t, slices.ContainsFunc(run.Exchanges, func(ex reports.Exchange) bool {
					return ex.Response != nil &&
						ex.Response.Proto == "HTTP/2.0"
				}))
			}
		})
	}
}

// mcpauth signs in at a server without registration with a client ID metadata document. Requirements that need a secret are then not
// tested, and the report says so.
func TestDocumentsInPlaceOfRegistration(t *testing.T) {
	whole.Only(t)
	t.Parallel()
	o := reference.Ideal()
	o.Behaviour.Metadata = func(_ string, d map[string]any) { delete(d, "registration_endpoint") }
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Skip = []string{"AS-DCR-SUPPORTED"}
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	against.Clean(t, run, reports.NotTested)
	for _, r := range run.Results {
		if r.ID == "AS-PKCE-S256-ACCEPTED" {
			assert.Equal(t, reports.Pass, r.Verdict)
		}
	}
}

func TestReferencePassesAtEveryRevision(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "2025-03-26")
	for _, rev := range requirements.Revisions {
		t.Run(rev, func(t *testing.T) {
			sampled(t, rev)
			t.Parallel()
			cfg := against.SigningIn(against.Start(t, reference.Ideal()))
			cfg.Revisions = []string{rev}
			against.Clean(t, against.Run(t, against.Part(t, cfg)))
		})
	}
}

func TestWithoutATokenNothingIsAccusedAndNothingIsClaimed(t *testing.T) {
	t.Parallel()
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	cfg.Users, cfg.Issuer, cfg.Credentials, cfg.SharedSecret, cfg.Introspection, cfg.Verification = nil, nil, nil, suites.SharedSecret{}, nil,
		nil
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	against.Clean(t, run, reports.NotTested)
	assert.Equal(t, reports.ExitConformant, run.Outcome().Code)
	for _, r := range run.Results {
		if r.Tier == string(requirements.T2) && r.ID != "RS-TRANSPORT-COOKIES" {
			assert.NotEqual(t, reports.Pass, r.Verdict, "%s passed without a token", r.ID)
		}
	}
}

// No check fails because the user declares little.
func TestScantDeclarations(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "nothing but the login")
	for name, scant := range map[string]func(c *suites.Config){
		"no tools":             func(c *suites.Config) { c.Tools = nil },
		"tools without scopes": func(c *suites.Config) { c.Tools = []suites.Tool{{Name: "whoami"}} },
		"one tool":             func(c *suites.Config) { c.Tools = []suites.Tool{{Name: "read_note", Scope: "notes:read"}} },
		"a tool to deny only": func(c *suites.Config) {
			c.Tools = []suites.Tool{{Name: "admin_reset", Scope: "notes:admin", DeniedOnly: true}}
		},
		"a tool that is not": func(c *suites.Config) {
			c.Tools = []suites.Tool{{Name: "no_such_tool", Scope: "notes:read", TellsCaller: true, Private: "x"}}
		},
		"an unknown hierarchy": func(c *suites.Config) { c.Implies = map[string][]string{"a": {"b"}} },
		"one credential":       func(c *suites.Config) { c.Credentials = c.Credentials[:1] },
		"keys only":            func(c *suites.Config) { c.Credentials, c.Users, c.Issuer = c.Credentials[2:4], nil, nil },
		"a short credential": func(c *suites.Config) {
			c.Credentials = []suites.Credential{{Value: "x"}, {Header: "X-Key", Value: "y", Tools: []string{"*"}}}
		},
		"no users": func(c *suites.Config) { c.Users = nil },
		"one user": func(c *suites.Config) { c.Users = c.Users[:1] },
		"nothing but the login": func(c *suites.Config) {
			bare := target.Target{Limits: c.Limits}
			bare.URL, bare.Users = c.URL, c.Users
			*c = suites.Config{Target: bare, Patience: c.Patience}
		},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			t.Parallel()
			cfg := against.SigningIn(against.Start(t, reference.Ideal()))
			scant(&cfg)
			if !slices.ContainsFunc(cfg.Tools, func(tool suites.Tool) bool { return tool.Name == "write_diary" }) {
				cfg.Objects = nil // the run changes them
			}
			cfg.Skip = []string{"AS-CIMD-SIZE-AND-TIME", "RS-RATE-*", "RS-ABUSE-DECOMPRESSION", "RS-ABUSE-BODY-LIMIT", "RS-TOKEN-KEY-*",
				"RS-TOKEN-JWKS-*", "RS-SESSION-EXPIRY-MIDWAY"}
			run, err := against.Evaluate(t, against.Part(t, cfg))
			require.NoError(t, err)
			for _, res := range run.Results {
				assert.NotEqual(t, reports.Errored, res.Verdict, "%s: %s", res.ID, res.Reason)
				if res.Verdict == reports.Fail && name != "a short credential" && name != "a tool that is not" {
					t.Errorf("%s is accused: %s", res.ID, res.Reason)
				}
			}
		})
	}
}

// One process may run one target several times in turn, with the same verdicts.
func TestRunsAgree(t *testing.T) {
	t.Parallel()
	verdicts := func(run *reports.Run) map[string]reports.Verdict {
		out := map[string]reports.Verdict{}
		for _, r := range run.Results {
			out[r.ID+r.Wire+strings.Join(r.Revisions, "")] = r.Verdict
		}
		return out
	}
	first := verdicts(idealRun(t))
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	if !whole.All(t) { // a sixth of the checks, once
		cfg.Shard = reports.Shard{Index: 1, Count: 6}
		assert.Subset(t, first, verdicts(against.Run(t, cfg)))
		return
	}
	for range 5 {
		assert.Empty(t, cmp.Diff(first, verdicts(against.Run(t, cfg))), "the verdicts differ from the first run (-) to this one (+)")
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	cfg.LabelFilter, cfg.Skip = "discovery && MUST", []string{"RS-DISC-AS-*"}
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	for _, r := range run.Results {
		assert.Equal(t, "discovery", r.Area)
		assert.NotContains(t, r.ID, "RS-DISC-AS-")
	}
	assert.Greater(t, len(run.Results), 5)
}

func TestUsageErrors(t *testing.T) {
	local := target.Server{URL: "http://127.0.0.1/"}
	for name, c := range map[string]struct {
		cfg  suites.Config
		want string
	}{
		"no scheme":    {suites.Config{Target: target.At("mcp.example.com/mcp")}, "did you mean https://mcp.example.com/mcp?"},
		"empty":        {suites.Config{}, "cannot be tested"},
		"other scheme": {suites.Config{Target: target.At("ftp://x/")}, `scheme "ftp"`},
		"unknown revision": {suites.Config{
			Target: target.Target{Server: target.Server{URL: local.URL, Revisions: []string{"2025-01-01"}}}},
			`unknown revision "2025-01-01"`},
		"unknown id":   {suites.Config{Target: target.Target{Server: local}, Only: []string{"RS-DISC-RESOURCE-MATHC"}}, "no requirement matches"},
		"label filter": {suites.Config{Target: target.Target{Server: local}, LabelFilter: "(("}, "label filter"},
		"effect": {suites.Config{
			Target: target.Target{Server: local, Tools: []suites.Tool{{Name: "write", Effect: "list"}}}}, "which is not among the tools"},
		"effect unmarked": {suites.Config{
			Target: target.Target{Server: local, Tools: []suites.Tool{{Name: "write", Effect: "write"}}}}, "put {marker} into its arguments"},
		"credential": {suites.Config{
			Target: target.Target{Server: local, Credentials: []suites.Credential{{Header: "X-Key", Value: "a\r\nb"}}}}, "fit in a header field"},
		"limit": {suites.Config{
			Target: target.Target{Server: local, Credentials: []suites.Credential{
				{Value: "a", Quota: target.Quota{Limit: 301, Window: time.Minute}}}}},
			"declare a smaller one"},
		"name server": {suites.Config{Target: target.Target{Server: local}, NameServer: "dns.example.com"},
			"want an address and a port, such as 192.0.2.53:53"},
		"seed": {suites.Config{Target: target.At("https://mcp.example.com/mcp"), Seed: new(int64)},
			"for targets in your own network"},
		"user name":                {suites.Config{Target: target.At("http://u:p@127.0.0.1/")}, "no user name"},
		"user name, no scheme":     {suites.Config{Target: target.At("u:p@127.0.0.1/")}, "did you mean"},
		"user name, three slashes": {suites.Config{Target: target.At("http:///u:p@127.0.0.1/")}, "no host"},
		"impossible port":          {suites.Config{Target: target.At("https://mcp.example.com:99999/mcp")}, "want one from 1 to 65535"},
		"password with a slash":    {suites.Config{Target: target.At("http://u:p/u:p@127.0.0.1/")}, "invalid port"},
		"user name in a sibling's URL": {suites.Config{
			Target: target.Target{Server: target.Server{URL: local.URL, OtherResource: "ftp://u:p@127.0.0.1/"}}},
			"target.other_resource: want a URL such as"},
		"the target as its own sibling": {suites.Config{
			Target: target.Target{Server: target.Server{URL: local.URL, OtherResource: local.URL}}},
			"the URL of another MCP endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := suites.Run(t.Context(), c.cfg)
			var usage *suites.UsageError
			require.ErrorAs(t, err, &usage)
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "u:p@")
			assert.NotContains(t, err.Error(), ":p")
		})
	}
}

func TestEveryFolderOfChecksIsAnArea(t *testing.T) {
	dirs, err := filepath.Glob("*")
	require.NoError(t, err)
	ids, err := suites.Checks()
	require.NoError(t, err)
	used := map[string]bool{}
	for _, id := range ids {
		r, _ := requirements.Lookup(id)
		used[r.Area] = true
	}
	for _, d := range dirs {
		if info, err := os.Stat(d); err == nil && info.IsDir() &&
			!slices.Contains([]string{"internal", "testdata", "conformance", "target", "tests"}, d) {
			assert.True(t, used[d], "%s is not in the list of areas", d)
		}
	}
}

func TestNoRequirementIsPending(t *testing.T) {
	for _, r := range requirements.All() {
		assert.False(t, r.Pending, "%s has no check", r.ID)
	}
}

func BenchmarkScanWithoutToken(b *testing.B) {
	r, err := reference.Start(reference.Ideal())
	require.NoError(b, err)
	defer r.Close()
	for b.Loop() {
		if _, err := suites.Run(b.Context(), suites.Config{Target: target.At(r.URL)}); err != nil {
			b.Fatal(err)
		}
	}
}

// A remote server with a long round trip, which the run neither loads nor registers clients at.
func BenchmarkScanWithRoundTripOf50ms(b *testing.B) {
	no := false
	o := reference.Ideal()
	o.Delay = 50 * time.Millisecond
	r, err := reference.Start(o)
	require.NoError(b, err)
	defer r.Close()
	guest := target.At(r.URL)
	guest.AllowIntrusive, guest.Register = &no, &no
	for b.Loop() {
		if _, err := suites.Run(b.Context(), suites.Config{Target: guest}); err != nil {
			b.Fatal(err)
		}
	}
}

// An issuer may sign with other algorithms than RSA.
func TestEveryAlgorithmOfTheIssuer(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "EdDSA")
	for _, algorithm := range idp.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			sampled(t, algorithm)
			t.Parallel()
			r := against.Start(t, reference.Ideal())
			r.IDP.Algorithm = algorithm
			cfg := against.Trusted(r, against.WithToken(r))
			cfg.Only = []string{"RS-TOKEN-*", "RS-AUD-*"}
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			passed := 0
			for _, res := range run.Results {
				assert.Contains(t, []reports.Verdict{reports.Pass, reports.NotApplicable, reports.NotTested}, res.Verdict, "%s %s: %s", res.ID,
					res.Wire, res.Reason)
				if res.Verdict == reports.Pass {
					passed++
				}
			}
			assert.Greater(t, passed, 60)
		})
	}
}

// Whichever request exceeds the limit, the run ends in order and says what it left undecided.
func TestTheRequestLimitMayFallAnywhere(t *testing.T) {
	t.Parallel()
	r := against.Start(t, reference.Ideal())
	sampled := whole.Sample(t, "29", "253")
	for most := 5; most < 1500; most = most*2 + 3 {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			sampled(t, fmt.Sprint(most))
			t.Parallel()
			cfg := against.SigningIn(r)
			cfg.MaxRequests = most
			run, err := against.Evaluate(t, cfg)
			if err != nil {
				assert.ErrorContains(t, err, "limit of requests")
				return
			}
			assert.NotEqual(t, reports.ExitConformant, run.Outcome().Code)
			assert.Zero(t, run.Counts()[reports.Errored])
			assert.Zero(t, run.Counts()[reports.Fail])
		})
	}
}

// A run leaves no goroutine and no file. The test compares consecutive runs, because the tests themselves keep some open.
func TestNothingIsLeftRunning(t *testing.T) {
	r := against.Start(t, reference.Ideal())
	open := func() (goroutines, files int) {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not list open files")
		}
		return runtime.NumGoroutine(), len(all)
	}
	only := []string{"AS-DCR-SUPPORTED", "RS-CHALLENGE-401-*", "RS-SESSION-*"}
	if whole.All(t) {
		only = []string{"AS-DCR-*", "RS-CHALLENGE-*", "RS-SESSION-*"}
	}
	run := func() {
		cfg := against.SigningIn(r)
		cfg.Only = only
		_, err := against.Evaluate(t, against.WithoutCost(cfg))
		require.NoError(t, err)
	}
	run()
	goroutines, files := open()
	for settled := 0; settled < 5; settled++ { // connections take a moment to close
		time.Sleep(50 * time.Millisecond)
		if g, f := open(); g != goroutines || f != files {
			goroutines, files, settled = g, f, 0
		}
	}
	for range 3 {
		run()
	}
	assert.Eventually(t, func() bool {
		after, now := open()
		return after <= goroutines+10 && now <= files+10
	}, time.Minute, 50*time.Millisecond, "goroutines or files are left by three runs")
}

// If the machine's clock changes during a run, no verdict counts, and the run fails.
func TestAClockThatJumpsIsNoResult(t *testing.T) {
	r := against.Start(t, reference.Ideal())
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		back := suites.MoveClock(jump)
		run, err := suites.Run(t.Context(), suites.Config{Target: target.At(r.URL), Only: []string{"RS-CHALLENGE-*"}})
		back()
		require.NoError(t, err)
		assert.Contains(t, run.Run().Doubt, "the clock of this machine was moved by "+jump.String()+" during the run")
		assert.Equal(t, reports.ExitToolFailed, run.Run().Outcome().Code)
		for name, text := range against.Texts(t, run) {
			if name != "badge" && name != "har" && name != "transcripts" && !strings.HasPrefix(name, "matrix") {
				assert.Contains(t, text, "the clock of this machine", name)
			}
		}
	}
	run, err := against.Evaluate(t, suites.Config{Target: target.At(r.URL), Only: []string{"RS-CHALLENGE-*"}})
	require.NoError(t, err)
	assert.Empty(t, run.Doubt)
}
