package wire

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// Shared are limits that several clients keep together: runs side by side may meet at one host, such as the authorization
// server of many targets.
type Shared struct {
	perHost int     // requests in flight at each host; 0 is unlimited
	rate    float64 // requests a second at each host beyond the own network; 0 is unlimited
	all     *rate.Limiter
	mu      sync.Mutex
	hosts   map[string]*load // by "name:port"
}

// NewShared makes limits: requests in flight and requests a second at each host, the latter beyond the own network only, and
// requests a second of all clients together. 0 is unlimited.
func NewShared(perHost int, perSecond, together float64) *Shared {
	s := &Shared{perHost: perHost, rate: perSecond, hosts: map[string]*load{}}
	if together > 0 {
		s.all = rate.NewLimiter(rate.Limit(together), 1)
	}
	return s
}

// at returns the load of a host that all clients share.
func (s *Shared) at(key string, reach Reach) *load {
	s.mu.Lock()
	defer s.mu.Unlock()
	key = strings.ToLower(key)
	l := s.hosts[key]
	if l == nil {
		l = &load{}
		if s.perHost > 0 {
			l.slots = make(chan struct{}, s.perHost)
		}
		if s.rate > 0 && reach == Public {
			l.pace = rate.NewLimiter(rate.Limit(s.rate), 1)
		}
		s.hosts[key] = l
	}
	return l
}

// together lets a request have its turn among those of all clients.
func (s *Shared) together(ctx context.Context) error {
	if s.all == nil {
		return nil
	}
	return (&load{pace: s.all}).wait(ctx)
}
