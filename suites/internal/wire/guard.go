package wire

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/faults"
)

// Guard decides which addresses may be dialled. It decides by the resolved address and dials exactly that address, so that a name with
// changing addresses gains nothing.
type Guard struct {
	// Literal is the target's host if that is an IP address: the user named it, so it may always be dialled.
	Literal netip.Addr
	// Allowed are names that may resolve to any address, each NAME or NAME:PORT.
	Allowed []string
	// Loopback allows every loopback address. It is set if the target itself is on loopback, because its authorization server is expected
	// there too.
	Loopback bool
	// Private allows private networks. It is set if the target is in one.
	Private bool
	// Resolve resolves a name; nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// ConnectTo replaces "host:port" with another "host:port" before resolving, like curl's option. If the host is an address, it also
	// applies to names that resolve to it.
	ConnectTo map[string]string
}

// NewGuard makes the guard for a target host by its form: a literal, or a name of loopback. Client.Classify resolves any other name once.
func NewGuard(host string, allowed []string) Guard {
	g := Guard{Allowed: allowed}
	if addr, err := netip.ParseAddr(host); err == nil {
		g.Literal = addr.Unmap()
		g.admit(ReachOf(addr))
	}
	if document.LoopbackHost(host) {
		g.Loopback = true
	}
	return g
}

// admit allows the network of the target.
func (g *Guard) admit(r Reach) {
	g.Loopback, g.Private = g.Loopback || r == Loopback, g.Private || r == Private
}

// Reach says from where an address is reachable.
type Reach int

// An address that is neither on this machine nor in a private network counts as public for the limits of a run.
const (
	Public Reach = iota
	Private
	Loopback
)

// ReachOf returns the reach of an address.
func ReachOf(a netip.Addr) Reach {
	switch a = embedded(a); {
	case a.IsLoopback():
		return Loopback
	case a.IsPrivate(), a.IsLinkLocalUnicast(), a.IsUnspecified(), shared.Contains(a):
		return Private
	}
	return Public
}

// Refused is the error of an address that the guard does not allow.
type Refused struct {
	Host string
	Addr netip.Addr
	// Changed says that the name first resolved to an address in another network.
	Changed bool
	// Elsewhere says that a name of this machine (localhost) resolves to another machine: forms are sent to such names in clear text.
	Elsewhere bool
}

func (r *Refused) Error() string {
	if r.Elsewhere {
		return fmt.Sprintf("%s resolves to %s, which is not on this machine; it was not dialled (allow it with --allow-host %s if it is yours)",
			r.Host, r.Addr, r.Host)
	}
	if r.Changed {
		return fmt.Sprintf("%s resolves to %s, of another network than when it was first looked up; it was not dialled (allow it with "+
			"--allow-host %s if it is yours)", r.Host, r.Addr, r.Host)
	}
	return fmt.Sprintf("%s resolves to %s, which is not public; it was not dialled (allow it with --allow-host %s if it is yours)", r.Host,
		r.Addr, r.Host)
}

// exempt reports whether the user allowed a name to resolve to any address.
func (g *Guard) exempt(host, port string) bool {
	return slices.ContainsFunc(g.Allowed, func(a string) bool {
		return strings.EqualFold(a, host) || strings.EqualFold(a, net.JoinHostPort(host, port))
	})
}

func (g *Guard) allows(addr netip.Addr) bool {
	if g.Literal.IsValid() && g.Literal == addr.Unmap() {
		return true
	}
	switch addr = embedded(addr); {
	case slices.Contains(ofClouds, addr):
		return false
	case addr.IsLoopback():
		return g.Loopback
	case addr.IsPrivate(), shared.Contains(addr):
		return g.Private
	}
	return public(addr)
}

var (
	shared = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT, RFC 6598
	// special are the blocks of the IANA special-purpose address registries (RFC 6890 and its updates, as of 2025) that are not globally
	// reachable and that netip does not know:
	// https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry
	special = prefixes(
		"0.0.0.0/8",       // "this network", RFC 791
		"100.64.0.0/10",   // shared address space, RFC 6598
		"192.0.0.0/24",    // IETF protocol assignments, RFC 6890
		"192.0.2.0/24",    // TEST-NET-1, RFC 5737
		"198.18.0.0/15",   // benchmarking, RFC 2544
		"198.51.100.0/24", // TEST-NET-2
		"203.0.113.0/24",  // TEST-NET-3
		"240.0.0.0/4",     // reserved, RFC 1112, and limited broadcast
		"::/96",           // IPv4-compatible, deprecated by RFC 4291 section 2.5.5.1: the kernel may still route it
		"::ffff:0:0:0/96", // IPv4-translated, RFC 2765, obsolete: SIIT gateways still translate it
		"64:ff9b:1::/48",  // local-use translation, RFC 8215
		"100::/64",        // discard only, RFC 6666
		"100:0:0:1::/64",  // dummy prefix, RFC 9780
		"2001::/23",       // IETF protocol assignments, with Teredo (RFC 4380), ORCHID and benchmarking
		"2001:db8::/32",   // documentation, RFC 3849
		"3fff::/20",       // documentation, RFC 9637
		"5f00::/16",       // segment routing SIDs, RFC 9602
		"fec0::/10",       // site-local, deprecated by RFC 3879
	)
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// ofClouds are metadata services of clouds, with credentials or settings, at addresses that are not link-local.
var ofClouds = []netip.Addr{
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("fd00:ec2::254"),   // Amazon EC2
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// embedded returns the IPv4 address in an IPv6 address, in the forms that hosts and routers translate; other addresses unchanged.
func embedded(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
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
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dialFrom(ctx, network, address, nil)
}

// dialFrom is dial from a local address; nil: any.
func (c *Client) dialFrom(ctx context.Context, network, address string, from *net.TCPAddr) (net.Conn, error) {
	d := net.Dialer{Timeout: c.opt.Limits.Connect}
	if from != nil {
		d.LocalAddr = from
	}
	if to, ok := faults.Address(ctx); ok {
		return d.DialContext(ctx, network, to)
	}
	if to, ok := c.opt.Guard.ConnectTo[address]; ok { // the user said where to connect
		return d.DialContext(ctx, network, to)
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	h := c.host(name, port, addrs)
	err = &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	for _, a := range addrs {
		if !c.opt.Guard.exempt(name, port) {
			if !c.opt.Guard.allows(a) {
				err = &Refused{Host: name, Addr: a}
				continue
			}
			if document.LoopbackHost(name) && ReachOf(a) == Public { // RFC 6761 section 6.3
				err = &Refused{Host: name, Addr: a, Elsewhere: true}
				continue
			}
			if (ReachOf(a) == Public) != (h.reach == Public) {
				err = &Refused{Host: name, Addr: a, Changed: true}
				continue
			}
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

// NameServer resolves names with a name server, given as "host:port".
func NameServer(address string) func(ctx context.Context, host string) ([]netip.Addr, error) {
	r := resolver(address)
	return func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
}

// resolver uses the name server at an address; empty: the system's.
func resolver(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
}

// LookupTXT returns the TXT records of a name from the name server at an address; empty: the system's.
func LookupTXT(ctx context.Context, server, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return resolver(server).LookupTXT(ctx, strings.TrimSuffix(name, ".")+".") // a complete name: no search domain is appended
}

func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.Limits.Connect)
	defer cancel()
	if c.opt.Guard.Resolve != nil {
		return c.opt.Guard.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
