package wire

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// gate bounds the concurrent requests to one address: fewer if the target is slow, loses connections or asks for less, and more again if it
// answers well (additive increase, multiplicative decrease).
type gate struct {
	mu       sync.Mutex
	most     float64 // the run's own limit
	limit    float64
	inFlight int
	queue    []chan *place
	fastest  time.Duration            // of all answers so far
	usual    map[string]time.Duration // by endpoint: its slowest answer while few requests were in flight
	lowered  time.Time                // a request from before this time causes no second decrease
	overlap  overlap
	before   float64 // the run's own limit, while requests are sent one at a time
	entered  int     // requests so far
}

const (
	fewest   = 4                      // concurrent requests, below which there is no gain
	decrease = 0.5                    // factor
	slow     = 400 * time.Millisecond // a slower answer may be late because of mcpauth's requests,
	slower   = 5                      // and is, if it takes this many times as long as those of the endpoint among few requests
)

func newGate(most int) *gate {
	return &gate{most: float64(most), limit: float64(most), usual: map[string]time.Duration{}}
}

// mostEndpoints bounds what is remembered of a host that names a new address each time.
const mostEndpoints = 200

// place is that of a request in flight.
type place struct {
	gate  *gate
	began int // requests in flight, with this one, when it was sent
	enter int // its number
	once  sync.Once
}

// enter waits for a place.
func (g *gate) enter(ctx context.Context) (*place, error) {
	g.mu.Lock()
	if len(g.queue) == 0 && g.hasPlace() {
		defer g.mu.Unlock()
		return g.given(), nil
	}
	turn := make(chan *place, 1)
	g.queue = append(g.queue, turn)
	g.mu.Unlock()
	select {
	case p := <-turn:
		return p, nil
	case <-ctx.Done():
	}
	if !g.withdraw(turn) {
		(<-turn).leave() // it was given in the meantime
	}
	return nil, ctx.Err()
}

// given returns a free place. The caller holds the lock.
func (g *gate) given() *place {
	g.inFlight++
	g.entered++
	return &place{gate: g, began: g.inFlight, enter: g.entered}
}

// withdraw removes a request from the queue; false if it is not in it.
func (g *gate) withdraw(turn chan *place) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, turn)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// leave returns a place.
func (p *place) leave() {
	p.once.Do(func() {
		g := p.gate
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inFlight--
		g.admit()
	})
}

// hasPlace reports whether there is a free slot. The caller holds the lock.
func (g *gate) hasPlace() bool { return float64(g.inFlight+1) <= g.limit }

// admit starts waiting requests. The caller holds the lock.
func (g *gate) admit() {
	for len(g.queue) > 0 && g.hasPlace() {
		g.queue[0] <- g.given()
		g.queue = g.queue[1:]
	}
}

// ending is how a request ended: with the status of an answer, or an error.
type ending struct {
	endpoint string
	status   int
	err      error
	took     time.Duration
	request  uint64 // the same for equal requests
}

// answered adjusts the limit by how a request ended, and returns its place.
func (p *place) answered(e ending) {
	g := p.gate
	g.learn(e, p.began)
	g.mu.Lock()
	g.observed(e, p.began == 1 && p.enter == g.entered)
	g.mu.Unlock()
	p.leave() // an event stream may stay open
}

// learn adjusts the limit by how a request ended that was sent as one of so many in flight.
func (g *gate) learn(e ending, began int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	strained := strains(e.status, e.err)
	amongFew := max(began, g.inFlight) <= fewest
	late := !amongFew && e.late(g.usual[e.endpoint])
	if e.err == nil && !strained {
		g.remember(e, amongFew)
	}
	switch {
	case strained || late:
		if time.Now().Add(-e.took).After(g.lowered) {
			g.limit, g.lowered = min(g.most, max(fewest, g.limit*decrease)), time.Now()
		}
	case e.err == nil && g.limit < g.most:
		g.limit = min(g.most, g.limit+1/g.limit)
		g.admit()
	}
}

// remember keeps how long an answer took. One that mcpauth did not wait for says nothing. The caller holds the lock.
func (g *gate) remember(e ending, amongFew bool) {
	if g.fastest == 0 || e.took < g.fastest {
		g.fastest = e.took
	}
	if _, known := g.usual[e.endpoint]; amongFew && (known || len(g.usual) < mostEndpoints) {
		g.usual[e.endpoint] = max(g.usual[e.endpoint], e.took)
	}
}

// late reports whether a request took much longer than the endpoint usually takes. Endpoints differ: one hashes a password, another reads
// a document; and so do the answers of one endpoint.
func (e ending) late(usually time.Duration) bool {
	waited := e.err == nil || errors.Is(e.err, context.DeadlineExceeded)
	return waited && usually > 0 && e.took > slow && e.took > slower*usually
}

// timesAsLong is the ratio of the time limit for something ordinary to the fastest answer of a host.
const timesAsLong = 5

// atItsPace returns the time limit for something that usually ends in time: longer at a host that is slow in everything.
func (g *gate) atItsPace(usually time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(usually, timesAsLong*g.fastest)
}

// strains reports whether an answer, or its absence, says that the target is overloaded.
func strains(status int, err error) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return isAny(err, resets) || isAny(err, refusals) || err != nil && brokenOff(err) || asksForLess(err)
}
