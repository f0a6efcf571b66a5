package suites

import "github.com/mcpauth/conformance/suites/internal/wire"

// Shared are limits that several runs of a process share.
type Shared struct{ wire *wire.Shared }

// ShareLimits makes limits for the Config of several runs, in addition to the limits of each run: requests in flight and requests per
// second at each host, and requests per second of all runs together. A host may be that of a target, or of an authorization
// server that several targets use. The rate at each host applies beyond your own network only. 0 is unlimited.
func ShareLimits(inFlightPerHost int, ratePerHost, rate float64) *Shared {
	return &Shared{wire.NewShared(inFlightPerHost, ratePerHost, rate)}
}

func (s *Shared) limits() *wire.Shared {
	if s == nil {
		return nil
	}
	return s.wire
}
