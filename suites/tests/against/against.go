// Package against is what tests of whole runs share: a reference that is started, the configuration that reaches it, and
// what is expected of a run.
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

// patience is how long a revocation may take at a reference, where it takes no time.
const patience = 50 * time.Millisecond

// keyWait is how long checks wait for a reference to fetch the key set again: within milliseconds, but for a busy machine.
const keyWait = 10 * time.Second

// What all references of a process ask: each of these keeps apart who asks.
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

// serveRebinding answers for names whose address changes, where the machine has a second address on loopback.
func serveRebinding() (*suites.Rebinding, error) {
	_, port, err := net.SplitHostPort(documents().Host())
	if err != nil {
		return nil, err
	}
	public, private := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	return suites.ServeRebinding("127.0.0.1:0", "rebind.mcpauth.test", public, private, port)
}

// apis are what the tools of each reference call: what one run has them answer, another must not see.
var apis sync.Map // *reference.Reference -> *suites.API

// Start starts a reference, which is closed when the test ends.
func Start(t testing.TB, o reference.Options) *reference.Reference {
	t.Helper()
	if o.Behaviour.DocumentRoots == nil {
		o.Behaviour.DocumentRoots = idp.DocumentRoots(documents().CA())
	}
	if o.Policy.Patience == 0 {
		o.Policy.Patience = 3 * time.Second // our endpoints wait for a core too
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

// WithToken is the configuration of somebody who has a token and nothing else.
func WithToken(r *reference.Reference) suites.Config {
	no := false
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo, Patience: patience, KeyWait: keyWait}
	cfg.Token, cfg.Rate, cfg.Register, cfg.PublicMethods = r.Token(), 100_000, &no, r.MCP.Policy.Public
	return cfg
}

// SigningIn is the configuration of somebody to whom everything at a reference is open.
func SigningIn(r *reference.Reference) suites.Config {
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo, Patience: patience, KeyWait: keyWait}
	cfg.Rate, cfg.MaxRequests = 100_000, 20_000
	cfg.Users = lab.Target(r).Users
	return Trusted(r, cfg)
}

// Trusted adds what the reference trusts and what it declares; who signs in, and how far a run goes, stays.
func Trusted(r *reference.Reference, cfg suites.Config) suites.Config {
	if testing.Short() { // under the race detector the target is too slow for what is measured in time
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

// WithoutCost leaves out the checks that send much or wait.
func WithoutCost(cfg suites.Config) suites.Config {
	cfg.Skip = slices.Clone(cfg.Skip)
	for _, q := range requirements.All() {
		if q.Cost != "" {
			cfg.Skip = append(cfg.Skip, q.ID)
		}
	}
	return cfg
}

// Brief is WithoutCost, unless every whole run is done. The flaws and the run at the ideal reference try the rest in any case.
func Brief(cfg suites.Config) suites.Config {
	if whole.All() {
		return cfg
	}
	return WithoutCost(cfg)
}

// Evaluate runs the suite; a target that cannot be reached is an error here.
func Evaluate(t *testing.T, cfg suites.Config) (*reports.Run, error) {
	t.Helper()
	run, err := suites.Run(t.Context(), cfg)
	if err == nil && run.Run().Unreachable != "" {
		err = errors.New(run.Run().Unreachable)
	}
	return run.Run(), err
}

// Run is Evaluate of a run that must not fail.
func Run(t *testing.T, cfg suites.Config) *reports.Run {
	t.Helper()
	run, err := Evaluate(t, cfg)
	require.NoError(t, err)
	return run
}

// Clean fails the test unless every result is a PASS, or an abstention with its reason.
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

// Noticed are the requirements with findings.
func Noticed(run *reports.Run) map[string]reports.Result {
	out := map[string]reports.Result{}
	for _, r := range run.Results {
		if len(r.Findings) > 0 {
			out[r.ID] = r
		}
	}
	return out
}
