package reports

import (
	"slices"
	"sync"
)

// Citing chooses, of the exchanges of a check, those that CitedOf keeps of the whole run, and few others: the rest can be freed while
// the run goes on.
type Citing struct {
	// Target is the URL of the target.
	Target string

	mu    sync.Mutex
	first map[kind]int // the lowest number of each kind
}

// Of returns the exchanges to keep of a check that has ended.
func (c *Citing) Of(results []Result, exchanges []*Exchange) []*Exchange {
	cited := map[int]bool{}
	for i := range results {
		results[i].cited(cited)
	}
	return slices.DeleteFunc(slices.Clone(exchanges), func(e *Exchange) bool {
		_, ok := cited[e.Number]
		return !c.isFirst(e) && !ok
	})
}

// isFirst reports that no earlier exchange of its kind has been seen: it may be the one that Sequence shows.
func (c *Citing) isFirst(e *Exchange) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := kindOf(e, c.Target)
	if n, seen := c.first[k]; seen && n < e.Number {
		return false
	}
	if c.first == nil {
		c.first = map[kind]int{}
	}
	c.first[k] = e.Number
	return true
}
