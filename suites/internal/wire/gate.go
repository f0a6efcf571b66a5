package wire

import (
	"context"
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
	queue    []chan struct{}
	fastest  time.Duration // of all answers so far
	lowered  time.Time     // a request from before this time causes no second decrease
}

const (
	fewest   = 4                      // concurrent requests, below which there is no gain
	decrease = 0.5                    // factor
	slow     = 400 * time.Millisecond // a slower answer may be late because of mcpauth's requests,
	slower   = 20                     // and is, if others were this many times faster
)

func newGate(most int) *gate { return &gate{most: float64(most), limit: float64(most)} }

// enter waits for a slot; leave returns it.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	leave = sync.OnceFunc(g.leave)
	g.mu.Lock()
	if len(g.queue) == 0 && g.hasPlace() {
		g.inFlight++
		g.mu.Unlock()
		return leave, nil
	}
	turn := make(chan struct{})
	g.queue = append(g.queue, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return leave, nil
	case <-ctx.Done():
	}
	if g.withdraw(turn) {
		return nil, ctx.Err()
	}
	leave() // the slot was assigned in the meantime
	return nil, ctx.Err()
}

// withdraw removes a request from the queue; false if it is not in it.
func (g *gate) withdraw(turn chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, turn)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// leave returns a slot.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.admit()
}

// hasPlace reports whether there is a free slot. The caller holds the lock.
func (g *gate) hasPlace() bool { return float64(g.inFlight+1) <= g.limit }

// admit starts waiting requests. The caller holds the lock.
func (g *gate) admit() {
	for len(g.queue) > 0 && g.hasPlace() {
		close(g.queue[0])
		g.queue = g.queue[1:]
		g.inFlight++
	}
}

// learn adjusts the limit by the result and the duration of a request.
func (g *gate) learn(sent time.Time, took time.Duration, strained bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !strained && (g.fastest == 0 || took < g.fastest) {
		g.fastest = took
	}
	late := took > slow && took > slower*g.fastest
	switch {
	case strained || late:
		if sent.After(g.lowered) {
			g.limit, g.lowered = max(fewest, g.limit*decrease), time.Now()
		}
	case g.limit < g.most:
		g.limit = min(g.most, g.limit+1/g.limit)
		g.admit()
	}
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
