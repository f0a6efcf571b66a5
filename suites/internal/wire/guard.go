package wire

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Guard decides which addresses may be dialled. The decision is made on the resolved address, and that
// very address is dialled, so a name that changes its answer gains nothing.
type Guard struct {
	// Own are host names and literals the user named: the target's and those allowed explicitly. They
	// may resolve to any address.
	Own []string
	// Loopback allows every loopback address: set when the target itself is on loopback, since then its
	// authorization server is expected there too.
	Loopback bool
	// Private allows private networks: set when the target is on one.
	Private bool
	// Resolve looks a name up; nil is the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// ConnectTo replaces "host:port" by another "host:port" before resolving, like curl's option. Where the host is an
	// address, it also holds for the names that mean it.
	ConnectTo map[string]string
}

// NewGuard makes the guard for a target host: the host itself may resolve to anything, and hosts that
// the target names may be where the target is.
func NewGuard(host string, allowed []string) Guard {
	g := Guard{Own: append([]string{strings.ToLower(host)}, allowed...)}
	if addr, err := netip.ParseAddr(host); err == nil {
		g.Loopback, g.Private = addr.IsLoopback(), addr.IsPrivate()
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		g.Loopback = true
	}
	return g
}

// Refused is the error of an address that the guard does not allow.
type Refused struct {
	Host string
	Addr netip.Addr
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s resolves to %s, which is not public; it was not dialled (allow it with --allow-host %s if it is yours)", r.Host, r.Addr, r.Host)
}

func (g *Guard) allows(host string, addr netip.Addr) bool {
	for _, own := range g.Own {
		if strings.EqualFold(own, host) {
			return true
		}
	}
	addr = unwrap(addr)
	switch {
	case addr.IsLoopback():
		return g.Loopback
	case addr.IsPrivate(), shared.Contains(addr):
		return g.Private
	}
	return public(addr)
}

var (
	shared    = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT, RFC 6598
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
	reserved  = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	}
)

// unwrap finds the IPv4 address inside an IPv6 one, in the forms that routers translate.
func unwrap(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

func public(a netip.Addr) bool {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || !a.IsGlobalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dialFrom(ctx, network, address, nil)
}

// dialFrom is dial from a local address; any if nil.
func (c *Client) dialFrom(ctx context.Context, network, address string, from *net.TCPAddr) (net.Conn, error) {
	if to, ok := c.opt.Guard.ConnectTo[address]; ok {
		address = to
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: c.opt.Limits.Connect}
	if from != nil {
		d.LocalAddr = from
	}
	err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	for _, a := range addrs {
		if !c.opt.Guard.allows(host, a) {
			err = &Refused{Host: host, Addr: a}
			continue
		}
		to := net.JoinHostPort(a.String(), port)
		conn, e := d.DialContext(ctx, network, cmp.Or(c.opt.Guard.ConnectTo[to], to))
		if e == nil {
			return conn, nil
		}
		err = e
	}
	return nil, err
}

// NameServer looks names up at a name server, given as "host:port".
func NameServer(address string) func(ctx context.Context, host string) ([]netip.Addr, error) {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	return func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
}

func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if c.opt.Guard.Resolve != nil {
		return c.opt.Guard.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// pace spaces requests evenly; nil does not.
type pace struct {
	mu    sync.Mutex
	next  time.Time
	space time.Duration
}

func newPace(perSecond float64) *pace {
	if perSecond <= 0 {
		return nil
	}
	return &pace{space: time.Duration(float64(time.Second) / perSecond)}
}

func (p *pace) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	at := p.next
	p.next = p.next.Add(p.space)
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
