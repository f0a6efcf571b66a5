package suites

import (
	"context"
	"fmt"
	"sync"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const (
	mostRepeated = 4 // failed requests of each host
	copies       = 4 // of a request, at once
)

// failOverlapping finds out whether a server fails requests because they overlap: a request that has failed is served alone, and at least
// two of its copies fail that are sent at once. From then on this server gets one request at a time.
func (s *preparation) failOverlapping(ctx context.Context, failed []wire.Request) (found bool) {
	tried, shown := map[string]int{}, map[string]bool{}
	for _, req := range failed {
		u, err := document.ParseURL(req.URL)
		if err != nil || shown[u.Host] || tried[u.Host] == mostRepeated {
			continue
		}
		tried[u.Host]++
		if !survey.Answered(s.client.Do(ctx, survey.Check, req)) {
			continue
		}
		if n := s.failingCopies(ctx, req); n > 1 {
			s.client.SendInTurn(ctx, u, fmt.Sprintf("%d of %d equal requests that overlapped failed, and one alone was served", n, copies))
			shown[u.Host], found = true, true
		}
	}
	return found
}

// failingCopies sends a request several times at once, and counts the failures.
func (s *preparation) failingCopies(ctx context.Context, req wire.Request) (n int) {
	req.Together = true
	answers := make([]*reports.Exchange, copies)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = s.client.Do(ctx, survey.Check, req) })
	}
	all.Wait()
	for _, ex := range answers {
		if !survey.Answered(ex) {
			n++
		}
	}
	return n
}
