package documents

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/suites/internal/listener"
)

// Everywhere is a further port at which the documents are served, on all addresses of this machine, to clients on it.
type Everywhere struct {
	listener net.Listener
	opened   atomic.Int32
}

// ListenEverywhere listens at a port, or at any that is free for 0. Close it after use.
func (s *Server) ListenEverywhere(port int) (*Everywhere, error) {
	l, err := listener.Bind(fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	e := &Everywhere{listener: l}
	s.serve(&local{l, e})
	return e, nil
}

// Port returns where it listens.
func (e *Everywhere) Port() string {
	_, port, _ := net.SplitHostPort(e.listener.Addr().String()) // it is one
	return port
}

// Connections returns the number of connections so far.
func (e *Everywhere) Connections() int { return int(e.opened.Load()) }

// Close stops listening.
func (e *Everywhere) Close() { _ = e.listener.Close() }

// Reaches reports whether an address of this machine leads here. The connection that shows it is not counted.
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
		return false // somebody else listens there
	}
	e.opened.Add(-1)
	return true
}

// local accepts connections from this machine.
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

// OwnPrivate returns an address of this machine in a private network (RFC 1918, RFC 4193); nil if there is none.
func OwnPrivate() net.IP {
	for _, ip := range own() {
		if ip.IsPrivate() {
			return ip
		}
	}
	return nil
}
