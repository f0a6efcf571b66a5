package wire

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// host is a host that the run contacts. The first look-up decides whether it is in the user's network, for the whole run, and so do the
// limits that follow from it.
type host struct {
	reach  Reach
	load   *load
	common *load   // the limits that all clients share at this host; nil if the client shares none
	shared *Shared // nil if the client shares no limits
}

// begin waits for the turn of a request and for a slot, first of this client and then of all that share the host; end returns the slots.
func (h *host) begin(ctx context.Context) (end func(), err error) {
	own, err := h.load.begin(ctx)
	if err != nil {
		return own, err
	}
	shared, err := h.beginShared(ctx)
	if err != nil {
		own()
		return func() {}, err
	}
	return func() { shared(); own() }, nil
}

// beginShared is begin for the limits that clients share.
func (h *host) beginShared(ctx context.Context) (end func(), err error) {
	if h.shared == nil {
		return func() {}, nil
	}
	end, err = h.common.begin(ctx)
	if err == nil {
		err = h.shared.together(ctx)
	}
	if err != nil {
		end()
		return func() {}, err
	}
	return end, nil
}

// wait is begin without a slot.
func (h *host) wait(ctx context.Context) error {
	err := h.load.wait(ctx)
	if err != nil || h.shared == nil {
		return err
	}
	if err = h.common.wait(ctx); err != nil {
		return err
	}
	return h.shared.together(ctx)
}

// load has the limits of one address, whatever its names.
type load struct {
	pace  *rate.Limiter // nil: unlimited
	slots chan struct{} // nil: no limit besides the run's
	gate  *gate
}

// hosts are the hosts of a run.
type hosts struct {
	mu     sync.Mutex
	byName map[string]*host     // "name:port"
	byAddr map[netip.Addr]*load // by the least address of a name
}

// host returns the entry of a host; addrs are its addresses if it is new.
func (c *Client) host(name, port string, addrs []netip.Addr) *host {
	key := strings.ToLower(net.JoinHostPort(name, port))
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	if h := c.hosts.byName[key]; h != nil {
		return h
	}
	h := &host{reach: reachOf(addrs)}
	least := netip.Addr{}
	if len(addrs) > 0 {
		least = slices.MinFunc(addrs, netip.Addr.Compare).Unmap()
	}
	if h.load = c.hosts.byAddr[least]; h.load == nil || !least.IsValid() {
		h.load = c.newLoad(h.reach)
		c.hosts.byAddr[least] = h.load
	}
	if s := c.opt.Shared; s != nil {
		h.shared, h.common = s, s.at(key, h.reach)
	}
	c.hosts.byName[key] = h
	return h
}

// reachOf returns the common reach of a name's addresses, or public if they differ, because limits apply there.
func reachOf(addrs []netip.Addr) Reach {
	if len(addrs) == 0 {
		return Public
	}
	r := ReachOf(addrs[0])
	for _, a := range addrs[1:] {
		switch other := ReachOf(a); {
		case other == Public:
			return Public
		case other != r:
			r = min(r, other)
		}
	}
	return r
}

func (c *Client) newLoad(r Reach) *load {
	l := &load{gate: newGate(c.opt.Limits.Concurrency)}
	perSecond, atOnce := c.opt.Limits.Rate, 0
	if r == Public {
		perSecond, atOnce = cmp.Or(perSecond, c.opt.Limits.BeyondRate), c.opt.Limits.BeyondConcurrency
	}
	if perSecond > 0 {
		l.pace = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	if atOnce > 0 {
		l.slots = make(chan struct{}, atOnce)
	}
	return l
}

// wait waits for the turn of a request.
func (l *load) wait(ctx context.Context) error {
	if l.pace == nil {
		return nil
	}
	if err := l.pace.Wait(ctx); err != nil { // it fails at once if the time would not be enough
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// begin waits for the turn of a request and for a slot; end returns the slot.
func (l *load) begin(ctx context.Context) (end func(), err error) {
	end = func() {}
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
			end = func() { <-l.slots }
		case <-ctx.Done():
			return end, ctx.Err()
		}
	}
	if err := l.wait(ctx); err != nil {
		end()
		return func() {}, err
	}
	return end, nil
}

// at returns the host of a URL. A name that does not resolve counts as public.
func (c *Client) at(ctx context.Context, u *url.URL) *host {
	name, port := u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	c.hosts.mu.Lock()
	h := c.hosts.byName[strings.ToLower(net.JoinHostPort(name, port))]
	c.hosts.mu.Unlock()
	if h != nil {
		return h
	}
	if to, ok := c.opt.Guard.ConnectTo[net.JoinHostPort(name, port)]; ok {
		if there, _, err := net.SplitHostPort(to); err == nil {
			addrs, _ := c.lookup(ctx, there) // none is public
			return c.host(name, port, addrs)
		}
	}
	addrs, err := c.lookup(ctx, name)
	if err != nil {
		return &host{reach: Public, load: &load{gate: newGate(1)}} // it cannot be dialled; the next request tries again
	}
	return c.host(name, port, addrs)
}

// Quickest returns the time of the fastest answer of a URL's host; 0 if there was none.
func (c *Client) Quickest(ctx context.Context, u *url.URL) time.Duration {
	return c.at(ctx, u).load.gate.atItsPace(0) / timesAsLong
}

// Usually returns the time that an answer took on average so far, of whichever host.
func (c *Client) Usually() time.Duration {
	return time.Duration(c.waited.Load() / max(1, c.answers.Load()))
}

// AtItsPace returns the time limit for something that usually ends in time: longer at a host whose fastest answer is slow.
func (c *Client) AtItsPace(ctx context.Context, u *url.URL, usually time.Duration) time.Duration {
	return c.at(ctx, u).load.gate.atItsPace(usually)
}

// Classify finds out, once, in which network the target is. The run may dial that network. If the user said with ConnectTo where the target
// is, only that address may be dialled.
func (c *Client) Classify(ctx context.Context, target *url.URL) Reach {
	r := c.at(ctx, target).reach
	port := cmp.Or(target.Port(), map[string]string{"http": "80", "https": "443"}[target.Scheme])
	if _, ok := c.opt.Guard.ConnectTo[net.JoinHostPort(target.Hostname(), port)]; !ok {
		c.opt.Guard.admit(r)
	}
	return r
}

// Reach returns the reach of a URL's host; an invalid URL counts as public.
func (c *Client) Reach(ctx context.Context, address string) Reach {
	u, err := url.Parse(address)
	if err != nil {
		return Public
	}
	return c.at(ctx, u).reach
}
