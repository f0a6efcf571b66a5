package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mcpauth/conformance/reports"
)

// overlap finds out whether requests to an address fail because they overlap: a server may do one thing at a time. If many of those that
// overlap fail, the next ones are sent alone, as a trial. If they fail too, overlapping is not the cause. Else the rest of the run sends
// one request at a time.
type overlap struct {
	trial, alone   bool
	trials         int
	failed         []bool // for each of the latest requests that overlapped
	served, missed int    // requests alone
	found          string // what was seen
}

const (
	latest     = 12 // requests that overlapped
	mostFailed = 3  // of them, without a trial
	aloneServe = 12 // requests of a trial
	aloneFail  = 2  // of them, that end it
	mostTrials = 3  // of a run
)

// fails reports whether a request failed as one may that overlaps with another. A limit is no such failure.
func (e ending) fails() bool {
	return e.status >= 500 && e.status != http.StatusNotImplemented || e.status == 0 && strains(0, e.err)
}

// observe learns from the end of a request, and says whether the number of requests at once changes: to one, or back.
func (o *overlap) observe(e ending, alone bool) (change bool) {
	switch {
	case o.alone, e.err != nil && !e.fails(), o.trials == mostTrials, o.trial != alone:
		return false
	case !o.trial:
		o.failed = append(o.failed, e.fails())
		o.failed = o.failed[max(0, len(o.failed)-latest):]
		o.trial = count(o.failed) >= mostFailed
		return o.trial
	case e.fails():
		o.missed++
	default:
		o.served++
	}
	switch {
	case o.missed == aloneFail:
		*o = overlap{trials: o.trials + 1}
		return true
	case o.served == aloneServe:
		o.trial, o.alone = false, true
		o.found = fmt.Sprintf("%d of %s that overlapped failed, and %d of %d that did not", count(o.failed),
			reports.Count(len(o.failed), "request"), o.missed, o.served+o.missed)
	}
	return false
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
