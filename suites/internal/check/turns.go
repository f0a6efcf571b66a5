package check

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// servers records which check has which server to itself.
type servers struct {
	mu    sync.Mutex
	freed *sync.Cond
	taken []string
}

func newServers() *servers {
	s := &servers{}
	s.freed = sync.NewCond(&s.mu)
	return s
}

// at returns the turns at the named servers.
func (s *servers) at(names ...string) turns { return turns{s, names} }

// turns are held by the one check that has these servers to itself.
type turns struct {
	*servers
	names []string
}

// take waits until all servers are free. A waiting check holds none of them, so that others continue.
func (t turns) take() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for slices.ContainsFunc(t.names, func(n string) bool { return slices.Contains(t.taken, n) }) {
		t.freed.Wait()
	}
	t.taken = append(t.taken, t.names...)
}

func (t turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = slices.DeleteFunc(t.taken, func(n string) bool { return slices.Contains(t.names, n) })
	t.freed.Broadcast()
}

// waiters are started checks that may have given away their turn: until a time, or until the others have ended.
type waiters struct {
	others    sync.WaitGroup // all except those that wait for the others
	mu        sync.Mutex
	postponed []*hold // those that wait for the others, in order
}

// any reports whether checks wait for the others.
func (w *waiters) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.postponed) > 0
}

// resume lets the checks that wait for the others continue, one by one.
func (w *waiters) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.postponed {
		close(h.resumed)
		<-h.ended
	}
}

// each gives the turns to one check after another. It returns when the last one has ended, or has given its turns away to wait.
func (t turns) each(checks []*Check, w *waiters, run func(*hold, *Check)) {
	for _, c := range checks {
		t.take()
		w.others.Add(1)
		h := &hold{t, w, make(chan struct{}), make(chan struct{}), false}
		go func() {
			run(h, c)
			if h.give(); h.waits {
				close(h.ended)
			} else {
				w.others.Done()
			}
		}()
	}
	t.take()
	t.give()
}

// hold is the state of a check that holds turns.
type hold struct {
	turns
	waiters        *waiters
	resumed, ended chan struct{}
	waits          bool // it waits for the others, or has done so
}

type holdKey struct{}

// withHold lets a check give its turns to others while it waits.
func withHold(ctx context.Context, h *hold) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

func (t *T) hold() (*hold, bool) {
	h, ok := t.ctx.Value(holdKey{}).(*hold)
	return h, ok
}

// takeBack waits for the turns that a check has given away.
func (t *T) takeBack(h *hold) {
	defer deadline.Pause(t.ctx)()
	h.take()
}

// aside runs a part of the check that needs no turn.
func (t *T) aside(part func()) {
	if h, ok := t.hold(); ok {
		h.give()
		defer t.takeBack(h)
	}
	part()
}

// WaitAside waits while all other checks run, even if this one needs a server to itself before and after.
func WaitAside(t *T, d time.Duration) { t.aside(func() { t.idle(d) }) }

// AsideIfAnswered runs a part that mostly waits for a server. Others may use the server meanwhile if it still answers: a server may handle
// one request at a time.
func AsideIfAnswered(t *T, address string, part func()) {
	h, holds := t.hold()
	if !holds {
		part()
		return
	}
	ctx, end := context.WithTimeout(t.ctx, patienceForOne)
	gave := make(chan bool, 1)
	go func() {
		answers := t.answersMeanwhile(ctx, address)
		if answers {
			h.give()
		}
		gave <- answers
	}()
	defer func() {
		end()
		if <-gave {
			t.takeBack(h)
		}
	}()
	part()
}

// underWay is how long a request takes to reach a server.
const underWay = 50 * time.Millisecond

// answersMeanwhile sends the probe to the origin of an address while another request waits for its answer.
func (w *World) answersMeanwhile(ctx context.Context, address string) bool {
	u, err := document.ParseURL(address)
	if err != nil {
		return false
	}
	question, _ := w.plainest(document.Origin(u))
	if question == nil {
		return false
	}
	select {
	case <-time.After(underWay):
	case <-ctx.Done():
		return false
	}
	return failure(w.Client.Do(ctx, survey.Check, *question)) == ""
}

// afterOthers waits until all other checks have ended, except those that wait likewise: they follow in order.
func (t *T) afterOthers() {
	h, ok := t.hold()
	if !ok || h.waits {
		return
	}
	t.aside(func() {
		defer deadline.Pause(t.ctx)()
		h.waits = true
		h.waiters.mu.Lock()
		h.waiters.postponed = append(h.waiters.postponed, h)
		h.waiters.mu.Unlock()
		h.waiters.others.Done()
		<-h.resumed // it also comes when the run ends
	})
}
