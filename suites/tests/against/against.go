// Package against has the shared parts of tests with whole runs: the start of a reference, its configuration, and the expectations of a
// run.
package against

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/lab"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// patience is how long a revocation may take at a reference, where it is immediate.
const patience = 50 * time.Millisecond

// keyWait is how long checks wait for a reference to fetch the key set again. That takes milliseconds, except on a busy machine.
const keyWait = 10 * time.Second

// Services that all references of a process share. Each of them distinguishes its callers.
var (
	documents = once(func() (*suites.Documents, error) { return suites.ServeDocuments("127.0.0.1:0", "") })
	opaque    = once(func() (*suites.Introspection, error) { return suites.ServeIntrospection("127.0.0.1:0") })
	verify    = once(func() (*suites.Introspection, error) { return suites.ServeVerification("127.0.0.1:0", "/verify") })
	rebinding = once(serveRebinding)
)

func once[V any](serve func() (V, error)) func() V {
	return sync.OnceValue(func() V {
		s, err := serve()
		if err != nil {
			panic(err)
		}
		return s
	})
}

// serveRebinding starts a name server for names with changing addresses, if the machine has a second loopback address.
func serveRebinding() (*suites.Rebinding, error) {
	_, port, err := net.SplitHostPort(documents().Host())
	if err != nil {
		return nil, err
	}
	public, private := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	return suites.ServeRebinding("127.0.0.1:0", "rebind.mcpauth.test", public, private, port)
}

// apis are the APIs that the tools of each reference call; runs must not see each other's answers.
var apis sync.Map // *reference.Reference -> *suites.API

// Start starts a reference, and closes it at the end of the test.
func Start(t testing.TB, o reference.Options) *reference.Reference {
	t.Helper()
	if o.Behaviour.DocumentRoots == nil {
		o.Behaviour.DocumentRoots = idp.DocumentRoots(documents().CA())
	}
	if o.Policy.Patience == 0 {
		o.Policy.Patience = 3 * time.Second // mcpauth's own endpoints compete for the processors too
	}
	api, err := suites.ServeAPI("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(api.Close)
	o.VerifyURL, o.Behaviour.Resolver = verify().URL(), idp.DocumentResolver(rebinding().Address())
	o.Introspection, o.API = opaque().URL(), strings.TrimSuffix(api.URL("/"), "/")
	r, err := reference.Start(o)
	require.NoError(t, err)
	apis.Store(r, api)
	t.Cleanup(func() { apis.Delete(r) })
	t.Cleanup(r.Close)
	return r
}

// WithToken returns a configuration with a token and nothing else.
func WithToken(r *reference.Reference) suites.Config {
	no := false
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo, Patience: patience, KeyWait: keyWait}
	cfg.Token, cfg.Rate, cfg.Register, cfg.PublicMethods = r.Token(), 100_000, &no, r.MCP.Policy.Public
	return cfg
}

// SigningIn returns a configuration with everything that a reference offers.
func SigningIn(r *reference.Reference) suites.Config {
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo, Patience: patience, KeyWait: keyWait}
	cfg.Rate, cfg.MaxRequests = 100_000, 20_000
	cfg.Users = lab.Target(r).Users
	return Trusted(r, cfg)
}

// Trusted adds what the reference trusts and declares. It does not change users, or what a run may do.
func Trusted(r *reference.Reference, cfg suites.Config) suites.Config {
	if testing.Short() { // under the race detector the target is too slow for measurements of time
		cfg.Skip = append(cfg.Skip, "RS-RATE-*", "RS-ABUSE-JWKS-AMPLIFICATION")
	}
	given := cfg.Target
	cfg.Target = lab.Target(r)
	cfg.Token, cfg.Users, cfg.Register, cfg.Limits = given.Token, given.Users, given.Register, given.Limits
	cfg.Documents, cfg.Introspection, cfg.Verification, cfg.Rebinding = documents(), opaque(), verify(), rebinding()
	if api, ok := apis.Load(r); ok {
		cfg.API = api.(*suites.API)
	}
	return cfg
}

// WithoutCost leaves out the checks that send many requests or wait.
func WithoutCost(cfg suites.Config) suites.Config {
	cfg.Skip = slices.Clone(cfg.Skip)
	for _, q := range requirements.All() {
		if q.Cost != "" {
			cfg.Skip = append(cfg.Skip, q.ID)
		}
	}
	return cfg
}

// Brief returns WithoutCost, unless every whole run is done. The flaws and the run against the ideal reference always test the rest.
func Brief(t testing.TB, cfg suites.Config) suites.Config {
	t.Helper()
	if whole.All(t) {
		return cfg
	}
	return WithoutCost(cfg)
}

// Part returns a quarter of what Brief does, always the same, unless every whole run is done. The survey and the login are whole.
func Part(t testing.TB, cfg suites.Config) suites.Config {
	t.Helper()
	if cfg = Brief(t, cfg); !whole.All(t) {
		cfg.Shard = reports.Shard{Index: 2, Count: 4}
	}
	return cfg
}

// Evaluate runs the suite, and returns an error if it cannot reach the target.
func Evaluate(t *testing.T, cfg suites.Config) (*reports.Run, error) {
	t.Helper()
	run, err := suites.Run(t.Context(), cfg)
	if err == nil && run.Run().Unreachable != "" {
		err = errors.New(run.Run().Unreachable)
	}
	return run.Run(), err
}

// Run runs the suite, and fails the test if that is not possible.
func Run(t *testing.T, cfg suites.Config) *reports.Run {
	t.Helper()
	run, err := Evaluate(t, cfg)
	require.NoError(t, err)
	return run
}

// Clean fails the test unless every result is a PASS, or an allowed verdict with its reason.
func Clean(t *testing.T, run *reports.Run, allowed ...reports.Verdict) {
	t.Helper()
	require.NotEmpty(t, run.Results)
	for _, r := range run.Results {
		switch r.Verdict {
		case reports.Pass:
			assert.Empty(t, r.Findings, r.ID)
		case reports.NotApplicable:
			assert.NotEmpty(t, r.Reason, r.ID)
			assert.NotEmpty(t, r.Observation, "%s: nothing shows that it does not apply: %s", r.ID, r.Reason)
		default:
			assert.Contains(t, allowed, r.Verdict, "%s %s %v: %s", r.ID, r.Wire, r.Revisions, r.Reason)
		}
	}
}

// Noticed returns the requirements with findings.
func Noticed(run *reports.Run) map[string]reports.Result {
	out := map[string]reports.Result{}
	for _, r := range run.Results {
		if len(r.Findings) > 0 {
			out[r.ID] = r
		}
	}
	return out
}
