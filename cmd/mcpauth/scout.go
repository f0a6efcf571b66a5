package main

import (
	"context"
	"sync"
	"time"

	"github.com/mcpauth/conformance/suites"
)

// queue hands out the targets of a list in order. During the tests of the first ones, scouts fetch one public document from the hosts of
// the others. Hosts that do not answer go first, so that the wait for them passes during other tests.
type queue struct {
	entries []entry
	silent  func(context.Context, entry) bool // asks a host

	mu      sync.Mutex
	taken   []bool
	next    int // all before it are handed out
	scouted int // all before it are handed out, or have a scout
}

const (
	// scouts is the number of hosts that are asked concurrently, and mostSilent that of silent ones that are surveyed concurrently.
	scouts     = 32
	mostSilent = 64
	// lookout is how far the scouts are ahead: their results must still be true when the target is tested.
	lookout = 500
	// scoutTime is how long a scout waits for an answer. A slower host goes first, with the usual time limit.
	scoutTime = 5 * time.Second
)

func newQueue(entries []entry, silent func(context.Context, entry) bool) *queue {
	return &queue{entries: entries, silent: silent, taken: make([]bool, len(entries))}
}

// take returns the next target in the order of the list.
func (q *queue) take() (entry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next < len(q.entries) {
		i := q.next
		if q.next++; !q.taken[i] {
			q.taken[i] = true
			return q.entries[i], true
		}
	}
	return entry{}, false
}

// claim takes a target, and reports whether it was still available.
func (q *queue) claim(i int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.taken[i]
	q.taken[i] = true
	return !was
}

// scouting is the next action of a scout.
type scouting int

const (
	ended   scouting = iota // all hosts have been asked
	waiting                 // the scouts are far enough ahead
	asking                  // asks a host
)

// ahead returns the next target for a scout: a URL that is not one of the first, which are tested at once.
func (q *queue) ahead(first int) (scouting, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.scouted = max(q.scouted, q.next+first); q.scouted < len(q.entries); q.scouted++ {
		if q.scouted > q.next+lookout {
			return waiting, 0
		}
		if i := q.scouted; !q.taken[i] && q.entries[i].File == "" {
			q.scouted++
			return asking, i
		}
	}
	return ended, 0
}

// scout finds silent hosts, and starts their tests at once. The context ends the search, not the tests.
func (q *queue) scout(ctx context.Context, first int, test func(entry)) {
	var running sync.WaitGroup
	slots := make(chan struct{}, mostSilent)
	found := func(i int) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			if q.claim(i) {
				test(q.entries[i])
			}
		})
	}
	for range scouts {
		running.Go(func() { q.search(ctx, first, found) })
	}
	running.Wait()
}

// search is the work of one scout.
func (q *queue) search(ctx context.Context, first int, found func(i int)) {
	for ctx.Err() == nil {
		switch what, i := q.ahead(first); {
		case what == ended:
			return
		case what == waiting:
			sleep(ctx, scoutTime/50)
		case q.silent(ctx, q.entries[i]) && ctx.Err() == nil:
			found(i)
		}
	}
}

// sleep waits for a time, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// silent asks the host of a target. It ignores a wrong configuration, which the target's test reports.
func (f *fleetRun) silent(ctx context.Context, e entry) bool {
	cfg, err := f.configured(e)
	return err == nil && suites.Silent(ctx, cfg, scoutTime)
}
