package wire

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// Shared are limits that several clients share: concurrent runs may use the same host, such as the authorization server of many targets.
type Shared struct {
	perHost int     // concurrent requests at each host; 0: unlimited
	rate    float64 // requests per second at each host outside the user's network; 0: unlimited
	all     *rate.Limiter
	mu      sync.Mutex
	hosts   map[string]*load // by "name:port"
}

// NewShared makes limits: concurrent requests at each host, requests per second at each host outside the user's network, and requests per
// second of all clients together. 0 is unlimited.
func NewShared(perHost int, perSecond, together float64) *Shared {
	s := &Shared{perHost: perHost, rate: perSecond, hosts: map[string]*load{}}
	if together > 0 {
		s.all = rate.NewLimiter(rate.Limit(together), 1)
	}
	return s
}

// at returns the shared load of a host.
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

// together waits for the turn of a request among those of all clients.
func (s *Shared) together(ctx context.Context) error {
	if s.all == nil {
		return nil
	}
	return (&load{pace: s.all}).wait(ctx)
}
