package suites

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const (
	mostRepeated = 6 // failed requests of each host
	copies       = 8 // of a request, at once
	longWait     = time.Second
	recovery     = 20 * time.Millisecond // after a failure: the server may still be busy with the request before
)

// failOverlapping finds out whether a server that answers some requests of a survey fails others because they overlap: a request that has
// failed is served alone, and at least two of its copies fail that are sent at once. From then on this server gets one request at a time.
func (s *preparation) failOverlapping(ctx context.Context, sv *survey.Survey) (found bool) {
	left := map[string]int{} // requests to repeat, by host
	for _, ex := range sv.Exchanges() {
		if u, err := document.ParseURL(ex.Request.URL); err == nil && survey.Answered(ex) {
			left[u.Host] = mostRepeated
		}
	}
	for _, req := range slices.Repeat(sv.Failed(), 2) { // one may fail alone by chance
		u, err := document.ParseURL(req.URL)
		if err != nil || left[u.Host] == 0 {
			continue
		}
		left[u.Host]--
		switch ex := s.client.Do(ctx, survey.Check, req); {
		case ex.Response == nil && ex.Ended().Sub(ex.Started) > longWait:
			left[u.Host] = 0 // it does not answer alone, either
		case survey.Answered(ex) && s.failsAmongCopies(ctx, u, req):
			left[u.Host], found = 0, true
		default:
			sleep(ctx, recovery)
		}
	}
	return found
}

// failsAmongCopies reports whether a request, which is served alone, fails among copies of itself.
func (s *preparation) failsAmongCopies(ctx context.Context, u *url.URL, req wire.Request) bool {
	n := s.failingCopies(ctx, req)
	if n < 2 {
		return false
	}
	s.client.SendInTurn(ctx, u, fmt.Sprintf("%d of %d equal requests that overlapped failed, and one alone was served", n, copies))
	return true
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

// sleep waits for a time, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
