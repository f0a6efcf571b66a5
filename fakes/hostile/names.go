package hostile

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/nameserver"
)

// rebinding names an authorization server whose name resolves to a public and to a private address, alternately.
func rebinding() (*Attack, error) {
	trap, err := listen("127.0.0.2:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(trap.Addr().String())
	issuer := "http://as.rebinding.example:" + port
	var hits atomic.Int64
	open, err := answering("127.0.0.1:0", metadata(issuer, &hits)) // the server at the public address
	if err != nil {
		trap.stop()
		return nil, err
	}
	told := &names{asked: map[string]int{}}
	server, err := nameserver.Serve("127.0.0.1:0", told.addresses)
	if err != nil {
		trap.stop()
		open.stop()
		return nil, err
	}
	_, args, end, err := public(func(o *reference.Options) {
		o.Policy.PRM = func(_ string, doc map[string]any) {
			doc["authorization_servers"] = []string{issuer, "http://both.rebinding.example:" + port, "http://mapped.rebinding.example:" + port}
			doc["jwks_uri"] = issuer + "/jwks"
		}
	})
	closing := func() { trap.stop(); open.stop(); server.Close() }
	if err != nil {
		closing()
		return nil, err
	}
	args = append(args, "--dns", server.Address(), "--connect-to", nowhere.String()+":"+port+"="+open.Addr().String(), "--timeout", "8s",
		"--allow-intrusive=false")
	return &Attack{Args: args, Close: func() { end(); closing() }, Judge: func(o Outcome) error {
		if n := trap.connections(); n > 0 {
			return fmt.Errorf("%d connections to a private address", n)
		}
		return errors.Join(unsprung(hits.Load()), unsprung(told.told.Load()), notGreen(o))
	}}, nil
}

// metadata serves the metadata of an authorization server whose endpoints all have the host name of the issuer.
func metadata(issuer string, hits *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // the next request resolves the name again
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"registration_endpoint":%q,"jwks_uri":%q,`+
			`"response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}`,
			issuer, issuer+"/authorize", issuer+"/token", issuer+"/register", issuer+"/jwks")
	})
}

// nowhere is a public address that is not in use (RFC 7526), and private is a private one in use.
var nowhere, private = netip.MustParseAddr("192.88.99.1"), netip.MustParseAddr("127.0.0.2")

// names is a resolver. Names that begin with "both" have two addresses at once, those with "mapped" a private address as an IPv4-mapped
// IPv6 one, and all others one address after another.
type names struct {
	told  atomic.Int64 // how often the answer was a private address
	mu    sync.Mutex
	asked map[string]int
}

func (n *names) addresses(name string, six bool) (addresses []netip.Addr, ours bool) {
	mapped := strings.HasPrefix(name, "mapped.")
	switch {
	case mapped != six:
		return nil, true
	case mapped:
		addresses = []netip.Addr{private}
	case strings.HasPrefix(name, "both."):
		addresses = []netip.Addr{nowhere, private}
	default:
		n.mu.Lock()
		addresses = []netip.Addr{[]netip.Addr{nowhere, private}[n.asked[name]%2]}
		n.asked[name]++
		n.mu.Unlock()
	}
	if slices.Contains(addresses, private) {
		n.told.Add(1)
	}
	return addresses, true
}
