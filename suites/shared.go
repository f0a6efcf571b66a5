package suites

import "github.com/mcpauth/conformance/suites/internal/wire"

// Shared are limits that several runs of a process keep together.
type Shared struct{ wire *wire.Shared }

// ShareLimits makes limits for the Config of several runs, in addition to those of each: requests in flight and requests a
// second at each host, be it a target's or that of an authorization server which targets share, and requests a second of all
// together. The rate at each host holds beyond the own network. 0 is unlimited.
func ShareLimits(inFlightPerHost int, ratePerHost, rate float64) *Shared {
	return &Shared{wire.NewShared(inFlightPerHost, ratePerHost, rate)}
}

func (s *Shared) limits() *wire.Shared {
	if s == nil {
		return nil
	}
	return s.wire
}
