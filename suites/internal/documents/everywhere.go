package documents

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/suites/internal/listener"
)

// Everywhere is an additional port for the documents, on all addresses of this machine, for clients on it.
type Everywhere struct {
	listener net.Listener
	opened   atomic.Int32
}

// ListenEverywhere listens on a port; 0: any free port. Close it after use.
func (s *Server) ListenEverywhere(port int) (*Everywhere, error) {
	l, err := listener.Bind(fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	e := &Everywhere{listener: l}
	s.serve(&local{l, e})
	return e, nil
}

// Port returns the port.
func (e *Everywhere) Port() string {
	_, port, _ := net.SplitHostPort(e.listener.Addr().String()) // the address of a listener is valid
	return port
}

// Connections returns the number of connections so far.
func (e *Everywhere) Connections() int { return int(e.opened.Load()) }

// Close stops listening.
func (e *Everywhere) Close() { _ = e.listener.Close() }

// Reaches reports whether an address of this machine leads here. Its own connection does not count.
func (e *Everywhere) Reaches(ip string) bool {
	before := e.Connections()
	c, err := net.DialTimeout("tcp", net.JoinHostPort(ip, e.Port()), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	for deadline := time.Now().Add(time.Second); e.Connections() == before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if e.Connections() == before {
		return false // another program listens there
	}
	e.opened.Add(-1)
	return true
}

// local accepts only connections from this machine.
type local struct {
	net.Listener
	to *Everywhere
}

func (l *local) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if at, ok := c.RemoteAddr().(*net.TCPAddr); ok && (at.IP.IsLoopback() || slices.ContainsFunc(own(), at.IP.Equal)) {
			l.to.opened.Add(1)
			return c, nil
		}
		_ = c.Close()
	}
}

// own returns the addresses of this machine beyond loopback.
func own() []net.IP {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []net.IP
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			out = append(out, n.IP)
		}
	}
	return out
}

// OwnPrivate returns an address of this machine in a private network (RFC 1918, RFC 4193), or nil.
func OwnPrivate() net.IP {
	for _, ip := range own() {
		if ip.IsPrivate() {
			return ip
		}
	}
	return nil
}
