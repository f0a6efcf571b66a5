package hostile

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mcpauth/conformance/fakes/reference"
)

// rebinding names an authorization server whose name means a public address now and then, and a private one in between.
func rebinding() (*Attack, error) {
	trap, err := listen("127.0.0.2:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(trap.Addr().String())
	issuer := "http://as.rebinding.example:" + port
	var hits atomic.Int64
	open, err := answering("127.0.0.1:0", metadata(issuer, &hits)) // what stands at the public address
	if err != nil {
		trap.stop()
		return nil, err
	}
	names, err := serveNames()
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
	closing := func() { trap.stop(); open.stop(); names.stop() }
	if err != nil {
		closing()
		return nil, err
	}
	args = append(args, "--dns", names.packets.LocalAddr().String(), "--connect-to", nowhere.String()+":"+port+"="+open.Addr().String(), "--timeout", "8s", "--allow-intrusive=false")
	return &Attack{Args: args, Close: func() { end(); closing() }, Judge: func(o Outcome) error {
		if n := trap.connections(); n > 0 {
			return fmt.Errorf("%d connections to a private address", n)
		}
		return errors.Join(unsprung(hits.Load()), unsprung(names.private.Load()), notGreen(o))
	}}, nil
}

// metadata are those of an authorization server, all of whose endpoints have the name of the issuer.
func metadata(issuer string, hits *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // the next request asks for the name again
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"registration_endpoint":%q,"jwks_uri":%q,"response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}`,
			issuer, issuer+"/authorize", issuer+"/token", issuer+"/register", issuer+"/jwks")
	})
}

// nowhere is a public address that nobody uses (RFC 7526), and private one that is.
var nowhere, private = netip.MustParseAddr("192.88.99.1"), netip.MustParseAddr("127.0.0.2")

// nameServer answers for every name: those that begin with "both" mean two addresses at once, those with "mapped" a private
// one in the form of an IPv6 address, and all others one address after another.
type nameServer struct {
	packets net.PacketConn
	private atomic.Int64 // how often the private address was told
	mu      sync.Mutex
	asked   map[string]int
}

func serveNames() (*nameServer, error) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{packets: packets, asked: map[string]int{}}
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply, err := s.reply(buffer[:n]); err == nil {
				_, _ = packets.WriteTo(reply, from)
			}
		}
	}()
	return s, nil
}

func (s *nameServer) stop() { _ = s.packets.Close() }

func (s *nameServer) reply(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	answer := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	four := func(a netip.Addr) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: answer, Body: &dnsmessage.AResource{A: a.As4()}})
	}
	name := q.Name.String()
	switch {
	case strings.HasPrefix(name, "mapped.") && q.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: answer, Body: &dnsmessage.AAAAResource{AAAA: private.As16()}}}
		s.private.Add(1)
	case q.Type != dnsmessage.TypeA || strings.HasPrefix(name, "mapped."):
	case strings.HasPrefix(name, "both."):
		four(nowhere)
		four(private)
		s.private.Add(1)
	default:
		s.mu.Lock()
		s.asked[name]++
		n := s.asked[name]
		s.mu.Unlock()
		if n%2 == 1 {
			four(nowhere)
		} else {
			four(private)
			s.private.Add(1)
		}
	}
	return m.Pack()
}
