package wire

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// gate bounds how many requests to one address wait for an answer: fewer where the target is slow, loses connections or asks
// for less, and more again where it answers well (additive increase, multiplicative decrease).
type gate struct {
	mu       sync.Mutex
	most     float64 // the run's own bound
	limit    float64
	inFlight int
	queue    []chan struct{}
	fastest  time.Duration // of all answers so far
	lowered  time.Time     // a request that was sent before has no part in a second decrease
}

const (
	fewest   = 4                      // requests in flight, below which nothing is gained
	decrease = 0.5                    // factor
	slow     = 400 * time.Millisecond // an answer that took as long may be late because of our requests,
	slower   = 20                     // and is, where others took so many times less
)

func newGate(most int) *gate { return &gate{most: float64(most), limit: float64(most)} }

// enter waits for a place; leave gives it back.
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
	leave() // the place was given meanwhile
	return nil, ctx.Err()
}

// withdraw takes a request out of the queue; false where it is not in it.
func (g *gate) withdraw(turn chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, turn)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// leave gives the place back.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.admit()
}

// hasPlace reports whether one more request may be in flight. The caller holds the lock.
func (g *gate) hasPlace() bool { return float64(g.inFlight+1) <= g.limit }

// admit lets waiting requests in. The caller holds the lock.
func (g *gate) admit() {
	for len(g.queue) > 0 && g.hasPlace() {
		close(g.queue[0])
		g.queue = g.queue[1:]
		g.inFlight++
	}
}

// learn takes note of how a request that was sent at a time ended, after some time.
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

// timesAsLong is how many times as long as its quickest answer a host may take for something ordinary.
const timesAsLong = 5

// atItsPace returns how long something may take that usually ends within a time: longer at a host that is slow in everything.
func (g *gate) atItsPace(usually time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(usually, timesAsLong*g.fastest)
}

// strains reports whether an answer, or the lack of one, says that the target has too much to do.
func strains(status int, err error) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return isAny(err, resets) || isAny(err, refusals) || err != nil && brokenOff(err) || asksForLess(err)
}
