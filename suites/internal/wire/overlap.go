package wire

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// overlap finds out whether requests to an address fail because they overlap: a server may do one thing at a time. Only equal requests are
// compared, since a server may fail at some requests always. If many that were served before fail while they overlap, the next ones are
// sent alone, as a trial. If they fail too, overlapping is not the cause. Else the rest of the run sends one request at a time.
type overlap struct {
	trial, alone         bool
	trials               int
	known                map[uint64]ends // by request, how equal ones ended before
	failed               []bool          // for each of the latest requests that overlapped
	served, missed, sent int             // requests alone
	found                string          // what was seen
}

// ends are the ways in which a request ended so far.
type ends struct{ served, failed bool }

const (
	latest     = 12    // requests that overlapped
	mostFailed = 3     // of them, without a trial
	aloneServe = 12    // requests of a trial
	aloneFail  = 2     // of them, that end it
	mostAlone  = 60    // requests of a trial, with those that are like no other
	mostTrials = 3     // of a run
	mostKnown  = 5_000 // requests
)

// fails reports whether a request failed as one may that overlaps with another. A limit is no such failure.
func (e ending) fails() bool {
	return e.status >= 500 && e.status != http.StatusNotImplemented || e.status == 0 && strains(0, e.err)
}

// observe learns from the end of a request, and says whether the number of requests at once changes: to one, or back.
func (o *overlap) observe(e ending, alone bool) (change bool) {
	if o.alone || e.err != nil && !e.fails() || o.trials == mostTrials {
		return false
	}
	compared := o.compare(e)
	switch {
	case o.trial != alone:
		return false
	case o.trial:
		return o.countAlone(e, compared)
	case compared:
		o.failed = append(o.failed, e.fails())
		o.failed = o.failed[max(0, len(o.failed)-latest):]
		o.trial = count(o.failed) >= mostFailed
	}
	return o.trial
}

// compare remembers how a request ended, and reports whether that can be compared: with equal ones that were served, or, where it is served
// itself, with any.
func (o *overlap) compare(e ending) bool {
	before := o.known[e.request]
	if o.known == nil {
		o.known = map[uint64]ends{}
	}
	if len(o.known) < mostKnown {
		o.known[e.request] = ends{before.served || !e.fails(), before.failed || e.fails()}
	}
	return before.served || before.failed && !e.fails()
}

// countAlone counts a request of a trial. It reports whether the trial has shown that overlapping is not the cause, or shows nothing.
func (o *overlap) countAlone(e ending, compared bool) (over bool) {
	o.sent++
	switch {
	case compared && e.fails():
		o.missed++
	case compared:
		o.served++
	}
	switch {
	case o.served == aloneServe:
		o.trial, o.alone = false, true
		o.found = fmt.Sprintf("%d of %s that overlapped failed, and %d of %d that did not", count(o.failed),
			reports.Count(len(o.failed), "request"), o.missed, o.served+o.missed)
	case o.missed == aloneFail || o.sent == mostAlone:
		*o = overlap{trials: o.trials + 1, known: o.known}
		return true
	}
	return false
}

// hashSeed is of this process: identities are not compared with those of others.
var hashSeed = maphash.MakeSeed()

// identity is the same for equal requests, in whichever session and for whichever check they are sent.
func identity(req Request) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	parts := []string{req.Method, req.URL, req.Host, req.Body}
	for _, f := range req.Header {
		if !strings.EqualFold(f.Name, "User-Agent") && !strings.EqualFold(f.Name, "MCP-Session-Id") {
			parts = append(parts, f.Name, f.Value)
		}
	}
	for _, part := range parts {
		_, _ = h.WriteString(part) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

func count(failed []bool) (n int) {
	for _, f := range failed {
		if f {
			n++
		}
	}
	return n
}

// observed changes the limit by whether overlapping requests fail. The caller holds the lock.
func (g *gate) observed(e ending, alone bool) {
	if !g.overlap.observe(e, alone) {
		return
	}
	if g.overlap.trial {
		g.before, g.most, g.limit = g.most, 1, 1
		return
	}
	g.most = g.before
	g.limit = min(g.most, fewest)
	g.admit()
}

// OneAtATime reports whether requests to the host of a URL are sent one at a time because overlapping ones fail, or to find that out. found
// says what was seen; empty during the trial.
func (c *Client) OneAtATime(ctx context.Context, u *url.URL) (found string, is bool) {
	g := c.at(ctx, u).load.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.overlap.found, g.overlap.trial || g.overlap.alone
}

// SendInTurn sends requests to the host of a URL one at a time from now on. found says why.
func (c *Client) SendInTurn(ctx context.Context, u *url.URL, found string) {
	g := c.at(ctx, u).load.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overlap.trial, g.overlap.alone, g.overlap.found = false, true, found
	g.most, g.limit = 1, 1
}

// Overlapping returns what was seen at the addresses that get one request at a time; nothing if there is none.
func (c *Client) Overlapping() (found []string) {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	for _, l := range c.hosts.byAddr {
		l.gate.mu.Lock()
		if l.gate.overlap.alone {
			found = append(found, l.gate.overlap.found)
		}
		l.gate.mu.Unlock()
	}
	return found
}
