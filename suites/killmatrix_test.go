package suites_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// configure makes the configuration that reaches a reference with a token that was given.
func configure(r *reference.Reference) suites.Config {
	no := false
	return suites.Config{URL: r.URL, Token: r.Token(), RootCAs: r.Roots, ConnectTo: r.ConnectTo, Rate: 100_000, Patience: 50 * time.Millisecond, Register: &no}
}

// signingIn makes the configuration that signs in at a reference.
func signingIn(r *reference.Reference) suites.Config {
	cfg := suites.Config{URL: r.URL, RootCAs: r.Roots, ConnectTo: r.ConnectTo, Rate: 100_000, MaxRequests: 20_000, Patience: 50 * time.Millisecond}
	for _, u := range r.Users() {
		cfg.Users = append(cfg.Users, suites.User(u))
	}
	return trusted(r, cfg)
}

// trusted adds the issuer that the reference trusts, and its tools.
func trusted(r *reference.Reference, cfg suites.Config) suites.Config {
	if testing.Short() {
		cfg.Skip = append(cfg.Skip, "RS-RATE-*", "RS-ABUSE-JWKS-AMPLIFICATION") // under the race detector the target is too slow for what is measured in time
	}
	cfg.Issuer, cfg.Introspection = r.IDP, opaqueTokens
	if api, ok := apis.Load(r); ok {
		cfg.API = api.(*suites.API)
	}
	cfg.Documents = clientDocuments
	for _, t := range mcpserver.Tools {
		cfg.Tools = append(cfg.Tools, suites.Tool(t))
	}
	for _, o := range mcpserver.Objects {
		cfg.Objects = append(cfg.Objects, suites.Object(o))
	}
	for _, c := range r.MCP.Static {
		cfg.Credentials = append(cfg.Credentials, suites.Credential(c))
	}
	cfg.OtherResource, cfg.Clock, cfg.Enterprise = r.Other, r, r.Enterprise
	cfg.SharedSecret = suites.SharedSecret{Value: r.MCP.SharedSecret, Issuer: r.IDP.Issuer, Audience: r.URL}
	for _, m := range r.Machines {
		machine := suites.Client{ID: m.ID, Secret: m.Secret, Method: "client_secret_basic", Key: m.Key, Machine: true, Scopes: []string{"notes:read"}}
		if m.Key != "" {
			machine.Method = "private_key_jwt"
		}
		cfg.Clients = append(cfg.Clients, machine)
	}
	cfg.Rebinding, cfg.Screening = rebinding, mcpserver.Strict().Screens
	cfg.SecondIssuer, cfg.GrantsPage = r.Second, r.GrantsPage()
	cfg.Verification, cfg.VerificationAccepts = verifications, mcpserver.VerifyAccepts
	if r.Upstream != nil {
		cfg.Upstream, cfg.IDTokenCallback = r.Upstream, r.IDTokenCallback()
	}
	cfg.Implies, cfg.BodyLimit, cfg.Privileged = mcpserver.Strict().Implies, mcpserver.MostBody, []string{"notes:admin"}
	return cfg
}

// clientDocuments serves all references of the tests, which trust its authority.
var clientDocuments = func() *suites.Documents {
	d, err := suites.ServeDocuments("127.0.0.1:0", "")
	if err != nil {
		panic(err)
	}
	return d
}()

// opaqueTokens is what all references of the tests ask about opaque tokens.
var opaqueTokens = func() *suites.Introspection {
	s, err := suites.ServeIntrospection("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return s
}()

// verifications is what all references of the tests ask in a manner of their own.
var verifications = func() *suites.Introspection {
	s, err := suites.ServeVerification("127.0.0.1:0", "/verify")
	if err != nil {
		panic(err)
	}
	return s
}()

// rebinding answers for names whose address changes, where the machine has a second address on loopback.
var rebinding = func() *suites.Rebinding {
	_, port, err := net.SplitHostPort(clientDocuments.Host())
	if err != nil {
		panic(err)
	}
	s, err := suites.ServeRebinding("127.0.0.1:0", "rebind.mcpauth.test", netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), port)
	if err != nil {
		panic(err)
	}
	return s
}()

// apis are what the tools of each reference call: what one run has them answer, another must not see.
var apis sync.Map // *reference.Reference -> *suites.API

func start(t *testing.T, o reference.Options) *reference.Reference {
	t.Helper()
	if o.Behaviour.DocumentRoots == nil {
		o.Behaviour.DocumentRoots = idp.DocumentRoots(clientDocuments.CA())
	}
	api, err := suites.ServeAPI("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(api.Close)
	o.VerifyURL, o.Behaviour.Resolver = verifications.URL(), idp.DocumentResolver(rebinding.Address())
	o.Introspection, o.API = opaqueTokens.URL(), strings.TrimSuffix(api.URL("/"), "/")
	r, err := reference.Start(o)
	require.NoError(t, err)
	apis.Store(r, api)
	t.Cleanup(r.Close)
	return r
}

// noticed returns the requirements with findings.
func noticed(run *reports.Run) map[string]reports.Result {
	out := map[string]reports.Result{}
	for _, r := range run.Results {
		if len(r.Findings) > 0 {
			out[r.ID] = r
		}
	}
	return out
}

// sampled reports that a flaw is in the sample that is tried: one in three, or in several under the race detector, which
// makes each run ten times as long. MCPAUTH_KILL=all tries every one, as CI does.
func sampled(i, short int) bool {
	switch {
	case testing.Short():
		return i%short == 0
	case os.Getenv("MCPAUTH_KILL") == "all":
		return true
	}
	return i%3 == 0
}

func TestKillMatrix(t *testing.T) {
	for i, f := range flaws.BeforeLogin() {
		if !sampled(i, 4) {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			kill(t, f, configure)
		})
	}
	for i, f := range flaws.Trusting() {
		if !sampled(i, 8) || testing.Short() && strings.HasPrefix(f.Name, "rate-") { // nothing that has to be faster than a limit's window
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			kill(t, f, func(r *reference.Reference) suites.Config { return trusted(r, configure(r)) })
		})
	}
	for i, f := range flaws.AfterLogin() {
		if !sampled(i, 8) {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			kill(t, f, func(r *reference.Reference) suites.Config {
				cfg := signingIn(r)
				if !slices.ContainsFunc(append(f.Noticed, f.Also...), func(id string) bool { return strings.HasPrefix(id, "RS-") }) {
					cfg.Skip = []string{"RS-*"} // what the MCP server does is not touched by these
				}
				if !strings.HasPrefix(f.Name, "cimd-") {
					cfg.Skip = append(cfg.Skip, "AS-CIMD-SIZE-AND-TIME") // which takes its time
				}
				return cfg
			})
		})
	}
}

// reachable reports that the machine has an address beyond loopback.
func reachable() bool {
	addresses, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addresses, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast()
	})
}

// kill expects that exactly the named checks notice a flaw.
func kill(t *testing.T, f flaws.Flaw, configuration func(*reference.Reference) suites.Config) {
	t.Helper()
	if slices.Contains(f.Noticed, "RS-TRANSPORT-LOCAL-BIND") && !reachable() {
		t.Skip("this machine has no address beyond loopback at which a server could be found")
	}
	intrusive := true
	o := reference.Ideal()
	f.Bend(&o)
	cfg := configuration(start(t, o))
	for _, heavy := range []string{"RS-ABUSE-BODY-LIMIT", "RS-ABUSE-DECOMPRESSION", "RS-ABUSE-JWE-COST", "RS-SESSION-IDENTITY-BLEED", "RS-SESSION-REQUEST-ID-ISOLATION", "RS-TOKEN-JWKS-OUTAGE", "RS-TOKEN-KEY-WITHDRAWN", "RS-TOKEN-KEY-ROTATION", "RS-TOKEN-ALG-ALLOWLIST", "RS-ABUSE-JWKS-AMPLIFICATION", "AS-RATE-CLIENT-SECRET", "AS-RATE-LOGIN", "AS-RATE-LOGIN-RECOVERY", "AS-RATE-TOKEN-429", "AS-RATE-REGISTRATION", "RS-STATIC-TIMING", "RS-ABUSE-VALIDATION-LATENCY", "RS-TOKEN-REMOTE-VERIFY", "AS-CIMD-FETCH-ABUSE", "RS-DPOP-CHALLENGE"} {
		if !slices.Contains(f.Noticed, heavy) && !slices.Contains(f.Also, heavy) { // much traffic, which other flaws do not touch
			cfg.Skip = append(cfg.Skip, heavy)
		}
	}
	if f.Name != "token-verified-once" {
		cfg.Skip = append(cfg.Skip, "RS-SESSION-EXPIRY-MIDWAY") // which waits for a token's end
	}
	if !strings.HasPrefix(f.Name, "rate-") && f.Name != "flood-locks" {
		cfg.Skip = append(cfg.Skip, "RS-RATE-*") // which wait for a window
	}
	if strings.HasPrefix(f.Name, "address-block") {
		cfg.Only, cfg.BlockAfter, cfg.BlockFor = f.Noticed, o.Policy.BlockAfter, o.Policy.BlockFor
	}
	if f.Name == "flood-locks" { // which every check's bad tokens would bring about
		cfg.Only = f.Noticed
	}
	cfg.AllowIntrusive = &intrusive
	run, err := suites.Evaluate(t.Context(), cfg)
	require.NoError(t, err)
	found := noticed(run.Run())
	verdicts := map[string]string{}
	for _, r := range run.Run().Results {
		verdicts[r.ID] += fmt.Sprintf("%s %s; ", r.Verdict, r.Reason)
	}
	for _, id := range f.Noticed {
		assert.True(t, len(found[id].Findings) > 0, "%s survives %s: %s (%s)", f.Name, id, f.Says, verdicts[id])
	}
	for id, r := range found {
		expected := slices.Contains(f.Noticed, id) || slices.ContainsFunc(f.Also, func(p string) bool { ok, _ := path.Match(p, id); return ok })
		assert.True(t, expected, "%s is accused of %s: %s", f.Name, id, r.Reason)
	}
	for _, r := range run.Run().Results {
		assert.NotEqual(t, reports.Errored, r.Verdict, "%s: %s", r.ID, r.Reason)
	}
}

func TestEveryCheckHasAFlawThatItCatches(t *testing.T) {
	caught := map[string]bool{}
	for _, f := range flaws.All() {
		for _, id := range f.Noticed {
			caught[id] = true
		}
	}
	ids, err := suites.Checks()
	require.NoError(t, err)
	for _, id := range ids {
		assert.True(t, caught[id], "no flaw shows that the check of %s can fail", id)
	}
	for id := range caught {
		assert.Contains(t, ids, id, "a flaw names %s, which has no check", id)
	}
}
