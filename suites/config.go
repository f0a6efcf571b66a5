package suites

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// Config says what to test, with what, and how far to go: a target, a selection, limits, and hooks.
type Config struct {
	// Target is what you declare about the target; target.Load reads one from a file.
	target.Target

	// Only and Skip select requirements by id or glob ("RS-DISC-*"); LabelFilter by Ginkgo's language
	// over ids, areas, levels, tiers and roles.
	Only, Skip  []string
	LabelFilter string
	// Shard, if set, runs one part of the selected checks; reports.Merge puts the parts together.
	Shard reports.Shard

	// Documents, if set, serves client ID metadata documents at an address that the authorization server can
	// reach and trusts; made by ServeDocuments.
	Documents *Documents
	// Introspection, if set, is where the target introspects opaque tokens; made by ServeIntrospection.
	Introspection *Introspection
	// Verification, if set, is where the target verifies opaque tokens with its own protocol (Verify); made by
	// ServeVerification.
	Verification *Introspection
	// API, if set, replaces the third-party API that Tools with Upstream call; made by ServeAPI.
	API *API
	// Rebinding, if set, answers DNS queries of the authorization server; made by ServeRebinding.
	Rebinding *Rebinding

	// Authorized says that the owners of all hosts that the run contacts beyond your own network allow it to sign in, to register
	// clients and to attack there.
	Authorized bool
	// Foreign says that the URL comes from a third party, such as a registry. The run tests it only if its address is public.
	Foreign bool
	// AllowHosts are host names, each NAME or NAME:PORT, that may resolve to addresses that are not public.
	AllowHosts []string
	// ConnectTo maps "host:port" to the "host:port" to dial instead.
	ConnectTo map[string]string
	// NameServer, as "host:port", is asked for addresses instead of the system's resolver.
	NameServer string
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool
	// BrowserNoSandbox runs the browser without its sandbox, which root in a container needs.
	BrowserNoSandbox bool

	// Command is how the run can be started again, and AuthorizedBy who allowed the test: both are for reports only.
	Command, AuthorizedBy string

	// UserAgent is sent with all requests. By default it names this tool and the check, so that the target's log can be compared
	// with the report. Without the name of this tool in it, clientInfo and the names of registered clients do not have it either.
	UserAgent string

	// Timeout is the time limit of the run; if zero, 10 minutes, and longer at a target that is slow in everything.
	Timeout time.Duration
	// MaxWait is how long a check may wait for something to expire if there is no Clock; if zero, it does not wait.
	MaxWait time.Duration
	// KeyWait is how long all checks on the issuer's key set together wait for the target to fetch it again. If zero, it is
	// MaxWait, and at least 35 s: key caches commonly fetch once in 30 s.
	KeyWait time.Duration
	// Patience is how long the target may take to honour a revocation; 5 s if zero.
	Patience time.Duration

	// Passive limits the run to reading documents, and to one request without credentials whose answer it judges. No user signs in,
	// no client is registered, and nothing is attacked. Only the MCP endpoint gets other requests than reads.
	Passive bool

	// Shared, if set, are limits that this run shares with other runs of the process; made by ShareLimits.
	Shared *Shared

	// Seed, if set, makes a run repeatable: all random values of the process follow from it, and requests are sent one by one unless
	// they have to arrive together. Two runs then differ only in times and in the target's own random values. Since all values can
	// be predicted, use it only for targets in your own network.
	Seed *int64
	// Order, if set, is a seed for the order in which checks begin. By default they begin in the order of the catalogue.
	Order string
	// Identify records what was tested: the origin, its TLS key, and the name and version that the server declares.
	Identify bool
	// ProveControl is a nonce that the owner of the target's origin has put at /.well-known/mcpauth-challenge/NONCE there, or
	// into a TXT record of _mcpauth-challenge.HOST. If it is in neither place, the run does not begin.
	ProveControl string
	// KeepBasis keeps with each result what it was judged from, so that JudgeAgain can judge it again from the report.
	KeepBasis bool
	// CitedOnly leaves out the exchanges that no result cites (see reports.Cited). These are most of a run.
	CitedOnly bool
	// OnPart is called with the name of each part of a run with a Seed when it begins, so that a fake can restart its own values.
	OnPart func(part string)
	// OnResult is called with each verdict as soon as it is final, from several goroutines.
	OnResult func(reports.Result)
	// OnNotice is called with what the user should know about the run itself, such as that the browser runs
	// without its sandbox.
	OnNotice func(string)
	// OnStart is called once, before the first request, if the configuration is valid and the target may be tested.
	OnStart func()
	// OnSelected is called once with the number of selected checks, before the first one begins. With Shared limits it may wait for
	// other runs: the time that it takes does not count for Timeout.
	OnSelected func(n int)
}

// The parts of a Target. See the package target.
type (
	User         = target.User
	Client       = target.Client
	Tool         = target.Tool
	Object       = target.Object
	Credential   = target.Credential
	SharedSecret = target.SharedSecret
	Recipe       = target.Recipe
	RecipePage   = target.RecipePage
	Step         = target.Step
	Issuer       = target.Issuer
	KeyServer    = target.KeyServer
	Upstream     = target.Upstream
	Clock        = target.Clock
)

// FromFile reads a target file, and starts the servers that the file declares for the suite to run. They stop when the test
// ends. It does not start authorization servers that the target trusts (fake_idp, second_idp, enterprise, upstream): give
// those as Go values.
func FromFile(tb testing.TB, path string) Config {
	tb.Helper()
	t, err := target.Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := Config{Target: t}
	stop, err := Serve(&cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(stop)
	return cfg
}

func (c *Config) limits() wire.Limits {
	return wire.Limits{
		Requests: int64(c.MaxRequests), Rate: c.Rate, BeyondRate: 50, BeyondConcurrency: 16, Concurrency: cmp.Or(c.Concurrency, 32),
	}
}

// header returns the fields that go to the target's origin, in order.
func (c *Config) header() []reports.Field {
	var out []reports.Field
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		out = append(out, reports.Field{Name: name, Value: c.Headers[name]})
	}
	return out
}

// certificate returns the client certificate for the target's origin; nil for none. It has been validated.
func (c *Config) certificate() *tls.Certificate {
	pair, err := tls.X509KeyPair([]byte(c.CertificatePEM), []byte(c.CertificateKey))
	if err != nil {
		return nil
	}
	return &pair
}

// guarded returns the tools that may be protected where nothing else is: first those whose call changes nothing.
func (c *Config) guarded() []survey.Tool {
	var out []survey.Tool
	plain, _ := c.tools()
	for _, wanted := range []bool{true, false} {
		for _, t := range plain {
			if !t.DeniedOnly && t.Effect == "" && t.TellsCaller == wanted {
				out = append(out, survey.Tool{Name: t.Name, Arguments: t.Arguments})
			}
		}
	}
	return out
}

// tools returns the tools that may be called without preparation, and those that need a value in their arguments first.
func (c *Config) tools() (plain, special []check.Tool) {
	for _, t := range c.Tools {
		if t.IsSpecial() {
			special = append(special, t)
		} else {
			plain = append(plain, t)
		}
	}
	return plain, special
}

func (c *Config) credentials() []check.Credential {
	var out []check.Credential
	for i, given := range c.Credentials {
		if out = append(out, check.Credential{Credential: given}); given.Name == "" {
			out[i].Name = fmt.Sprintf("credential %d", i+1)
		}
	}
	return out
}

// Loopback reports whether a URL points at this machine, by its form.
func Loopback(rawURL string) bool {
	u, err := document.ParseURL(rawURL)
	if err != nil {
		return false
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return a.IsLoopback()
	}
	return document.LoopbackHost(u.Hostname())
}

// Own reports whether a URL points at this machine or into a private network, by its form.
func Own(rawURL string) bool {
	u, err := document.ParseURL(rawURL)
	return err == nil && (Loopback(rawURL) || document.PrivateHost(u.Hostname()))
}

// TokenFromEnvironment reads an access token from an environment variable. It is an error if the variable is not
// set.
func TokenFromEnvironment(name string) (string, error) {
	v := strings.TrimSpace(os.Getenv(name))
	if v == "" {
		return "", usage("the environment variable %s, which should hold the access token, is not set", name)
	}
	return v, nil
}
