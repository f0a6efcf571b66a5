// Package rebind is the name server of a DNS zone: each name resolves to a public address the first time, and to a private one afterwards.
// A listener at the private address counts connections.
package rebind

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/nameserver"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Server answers queries for a zone.
type Server struct {
	zone            string
	public, private netip.Addr
	port            string
	names           *nameserver.Server
	trap            net.Listener

	mu            sync.Mutex
	asked, caught map[string]int // by name
}

// New listens for DNS queries over UDP, and at the port of the private address. Close it after use.
func New(listen, zone string, public, private netip.Addr, port string) (*Server, error) {
	trap, err := net.Listen("tcp", net.JoinHostPort(private.String(), port))
	if err != nil {
		return nil, err
	}
	s := &Server{zone: strings.ToLower(strings.Trim(zone, ".")), public: public, private: private, port: port, trap: trap,
		asked: map[string]int{}, caught: map[string]int{}}
	if s.names, err = nameserver.Serve(listen, s.addresses); err != nil {
		trap.Close()
		return nil, err
	}
	go s.watch()
	return s, nil
}

// Address returns the address of the name server.
func (s *Server) Address() string { return s.names.Address() }

// Name makes a name that has not been queried, with the port of the trap.
func (s *Server) Name() string {
	name := fmt.Sprintf("%x.%s", seeded.Suites.Bytes(8), s.zone)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[name] = 0
	return name + ":" + s.port
}

// Asked returns the number of queries for a name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[host(name)]
}

// Caught returns the number of connections to the private address for a name, or without a name.
func (s *Server) Caught(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caught[host(name)] + s.caught[""]
}

// host returns a name without its port.
func host(name string) string {
	bare, _, err := net.SplitHostPort(name)
	if err != nil {
		bare = name
	}
	return strings.ToLower(bare)
}

// Close stops listening.
func (s *Server) Close() {
	s.names.Close()
	_ = s.trap.Close()
}

func (s *Server) watch() {
	for {
		conn, err := s.trap.Accept()
		if err != nil {
			return
		}
		go s.caughtBy(conn)
	}
}

// caughtBy reads the name of a connection (RFC 6066 section 3), and does not answer.
func (s *Server) caughtBy(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	name := ""
	_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name = strings.ToLower(hello.ServerName)
		return nil, errors.New("that is all")
	}}).Handshake()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, made := s.asked[name]; made || name == "" { // other names are not stored: clients may be hostile
		s.caught[name]++
	}
}

// addresses returns the addresses of a name in the zone.
func (s *Server) addresses(name string, six bool) (addresses []netip.Addr, ours bool) {
	ours = name == s.zone || strings.HasSuffix(name, "."+s.zone)
	if !ours || six {
		return nil, ours
	}
	return []netip.Addr{s.next(name)}, true
}

func (s *Server) next(name string) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, made := s.asked[name]
	if !made {
		return s.public
	}
	if s.asked[name]++; n == 0 {
		return s.public
	}
	return s.private
}
