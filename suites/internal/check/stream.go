package check

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Stream is an event stream that is read while the check continues. It ends with the check at the latest.
type Stream struct {
	t      *T
	events chan string
	stop   chan struct{}
	done   chan *reports.Exchange
	ended  *reports.Exchange
}

// OpenStream sends a request whose answer is an event stream, and returns when its header has arrived.
func (t MCPServer) OpenStream(req wire.Request) *Stream {
	s := &Stream{t: t.T, events: make(chan string, 64), stop: make(chan struct{}), done: make(chan *reports.Exchange, 1)}
	opened := make(chan struct{})
	req.Peek, req.Close = 0, s.stop
	req.Opened = sync.OnceFunc(func() { close(opened) })
	req.Until = func(data string) bool {
		select {
		case s.events <- data:
		default: // no check waits for more
		}
		return false
	}
	t.mayBeSent(req)
	go func() { s.done <- t.World.Client.Do(t.ctx, t.id, req) }()
	t.Cleanup(func() { s.Close() })
	select {
	case <-opened:
	case s.ended = <-s.done:
		t.transcript = append(t.transcript, s.ended)
		t.sent(t.ctx, s.ended)
	}
	return s
}

// Conflicts reports whether the target refused the stream because the session has another one.
func (s *Stream) Conflicts() bool { return expect.Status(s.ended) == http.StatusConflict }

// Over reports whether the stream ended before any event, or was closed.
func (s *Stream) Over() bool { return s.ended != nil }

// Ended reports whether the target, or a limit, has ended the stream.
func (s *Stream) Ended() bool { return s.ended != nil || len(s.done) > 0 }

// MayKeepSilent says that a right server may send no header before the first event, so that silence shows nothing.
func (s *Stream) MayKeepSilent() *Stream {
	s.t.calmStreams = append(s.t.calmStreams, s)
	return s
}

// Next waits for the data of the next event, if the stream is still open.
func (s *Stream) Next(within time.Duration) (data string, ok bool) {
	select {
	case data = <-s.events:
		return data, true
	default:
	}
	if s.ended != nil {
		return "", false
	}
	select {
	case data = <-s.events:
		return data, true
	case <-time.After(within):
	case <-s.t.ctx.Done():
	}
	return "", false
}

// Waits waits for an event that contains a text.
func (s *Stream) Waits(text string, within time.Duration) bool {
	for end := time.Now().Add(within); ; {
		data, ok := s.Next(time.Until(end))
		switch {
		case ok && strings.Contains(data, text):
			return true
		case !ok:
			return false
		}
	}
}

// Drain discards the events so far.
func (s *Stream) Drain() {
	for {
		select {
		case <-s.events:
		default:
			return
		}
	}
}

// Close ends the stream and returns its exchange.
func (s *Stream) Close() *reports.Exchange {
	if s.ended == nil {
		close(s.stop)
		s.ended = <-s.done
		s.t.transcript = append(s.t.transcript, s.ended)
	}
	return s.ended
}

// keptSilent reports whether an exchange is that of a stream that may be silent, and was.
func (t *T) keptSilent(ex *reports.Exchange) bool {
	return slices.ContainsFunc(t.calmStreams, func(s *Stream) bool {
		return s.ended == ex && ex.Response == nil && (ex.Error == wire.Silent || ex.Error == wire.TimedOut)
	})
}

// EventIDs returns the ids of the events in a stream's exchange.
func EventIDs(ex *reports.Exchange) []string {
	var out []string
	if ex == nil || ex.Response == nil {
		return nil
	}
	for _, line := range strings.Split(ex.Response.Body, "\n") {
		if id, ok := strings.CutPrefix(strings.TrimRight(line, "\r"), "id:"); ok {
			out = append(out, strings.TrimSpace(id))
		}
	}
	return out
}

// Meanwhile runs a function during requests, and returns their exchanges. If the function finds nothing, other checks continue during the
// wait for the rest.
func (t *T) Meanwhile(requests []wire.Request, do func()) []*reports.Exchange {
	out := make([]*reports.Exchange, len(requests))
	var together sync.WaitGroup
	t.mayBeSent(requests...)
	for i, r := range requests {
		together.Go(func() { out[i] = t.World.Client.Do(t.ctx, t.id, r) })
	}
	t.Sleep(50 * time.Millisecond)
	if do(); FoundAny(t) {
		together.Wait()
	} else {
		t.aside(together.Wait)
	}
	t.settle(out, false)
	t.transcript = append(t.transcript, out...)
	t.sent(t.ctx, out...)
	return out
}
