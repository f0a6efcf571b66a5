// Package hostile has targets that attack the tool that tests them: one trap for each promise of SECURITY.md. All traps stay on loopback,
// and are bounded in size and time.
package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/reference"
)

// Trap is one attack.
type Trap struct {
	Name string
	// Promise is what must hold during the attack, with its number.
	Promise string
	// Start prepares the attack.
	Start func() (*Attack, error)
	// Browser says that the trap needs a browser.
	Browser bool
}

// Attack is a trap that is set.
type Attack struct {
	Args        []string // of the tool; reports are added
	Environment []string
	// After, if set, runs with the tool's process a while after the tool has started.
	After func(p Process)
	// Judge returns an error if the promise is broken.
	Judge func(Outcome) error
	Close func()
}

// Process is the tool while it runs.
type Process interface {
	Interrupt() error
	HangUp() error
	// Said returns the text written to standard error so far.
	Said() string
}

// Outcome is the result of a run of the tool.
type Outcome struct {
	Code           int
	Stdout, Stderr string
	Reports        map[string]string // by name
	Strays         []string          // files in its folder that are not a report
	Took           time.Duration
	Peak           int64 // resident memory in bytes; 0 if the system does not report it
}

// All returns everything that the tool has written.
func (o *Outcome) All() string {
	var b strings.Builder
	b.WriteString(o.Stdout + "\n" + o.Stderr + "\n")
	for _, text := range o.Reports {
		b.WriteString(text + "\n")
	}
	return b.String()
}

// notGreen returns the judgement that most traps share: the exit code is not 0, there is no panic, and there is a report.
func notGreen(o Outcome) error {
	switch {
	case o.Code == 0:
		return errors.New("exit 0: a run that saw nothing right is green")
	case strings.Contains(o.Stderr, "goroutine "):
		return errors.New("the tool panicked")
	}
	return reported(o)
}

// reported requires a report. Other programs can connect to a trap too, but only the tool writes a report.
func reported(o Outcome) error {
	if o.Reports["json"] == "" {
		return errors.New("no report was written: " + o.Stderr)
	}
	return nil
}

// cleanUp is the additional time in which a run may delete its registrations, as SECURITY.md says.
const cleanUp = 10 * time.Second

func within(o Outcome, d time.Duration) error {
	if d += cleanUp; o.Took > d {
		return fmt.Errorf("it took %v, more than %v", o.Took.Round(time.Millisecond), d)
	}
	return nil
}

// lean judges the memory: the resident size must not exceed most bytes.
func lean(o Outcome, most int64) error {
	if o.Peak > most {
		return fmt.Errorf("it took %d MiB of memory, more than %d", o.Peak>>20, most>>20)
	}
	return nil
}

// soon waits until a condition holds, as long as a trap may take, and reports whether it does.
func soon(so func() bool) bool {
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// bend starts the reference with a change.
func bend(change func(o *reference.Options)) (*reference.Reference, error) {
	o := reference.Ideal()
	change(&o)
	return reference.Start(o)
}

// wrapped starts the reference behind a handler.
func wrapped(wrap func(ordinary http.Handler) http.Handler, more ...func(o *reference.Options)) (*reference.Reference, error) {
	return bend(func(o *reference.Options) {
		o.Wrap = wrap
		for _, m := range more {
			m(o)
		}
	})
}

// public starts the reference under a public name, and returns the arguments with which the tool reaches it. Only such a target must not
// name private addresses: a server on loopback may name loopback.
func public(change func(o *reference.Options)) (r *reference.Reference, args []string, end func(), err error) {
	r, err = bend(func(o *reference.Options) {
		o.Host = "mcp.example.com"
		o.Server = func(s *http.Server) { s.ErrorLog = silent } // some clients must reject the certificate
		change(o)
	})
	if err != nil {
		return nil, nil, nil, err
	}
	authority, err := os.CreateTemp("", "mcpauth-authority-*.pem")
	if err != nil {
		r.Close()
		return nil, nil, nil, err
	}
	end = func() { r.Close(); _ = os.Remove(authority.Name()) }
	_, err = authority.Write(r.Authority)
	if err := errors.Join(err, authority.Close()); err != nil {
		end()
		return nil, nil, nil, err
	}
	args = []string{"run", r.URL, "--ca-file", authority.Name(), "--rate", "1000"} // it is on loopback whatever its name
	for from, to := range r.ConnectTo {
		args = append(args, "--connect-to", from+"="+to)
	}
	return r, args, end, nil
}

// unsprung returns the error of a trap that the tool did not contact: the promise was not tested.
func unsprung(n int64) error {
	if n == 0 {
		return errors.New("the tool did not come near the trap")
	}
	return nil
}

// listener counts connections, and records the bytes that clients send, up to a limit.
type listener struct {
	net.Listener
	mu    sync.Mutex
	count int
	sent  bytes.Buffer
	http  *http.Server
}

// mostKept bounds the bytes that a listener records.
const mostKept = 1 << 16

// listen opens a listener that only records.
func listen(address string) (*listener, error) { return answering(address, nil) }

// answering opens a listener with a handler; nil: it only records.
func answering(address string, h http.Handler) (*listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	out := &listener{Listener: l}
	out.http = &http.Server{ReadHeaderTimeout: 5 * time.Second, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			out.mu.Lock()
			out.count++
			out.mu.Unlock()
		}
	}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1<<12)
		n, _ := r.Body.Read(body)
		out.mu.Lock()
		defer out.mu.Unlock()
		if out.sent.Len() < mostKept {
			_ = r.Header.Write(&out.sent)
			out.sent.WriteString(r.Method + " " + r.URL.String() + "\n" + string(body[:n]) + "\n")
		}
		w.WriteHeader(http.StatusOK)
	})}
	if h != nil {
		out.http.Handler = h
	}
	go func() { _ = out.http.Serve(l) }()
	return out, nil
}

func (l *listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *listener) received() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent.String()
}

func (l *listener) stop() { _ = l.http.Close() }

// gauge counts requests, the maximum in progress at once, and the maximum in any second.
type gauge struct {
	all, open, most atomic.Int64
	mu              sync.Mutex
	times           []time.Time
}

func (g *gauge) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.all.Add(1)
		n := g.open.Add(1)
		defer g.open.Add(-1)
		for {
			most := g.most.Load()
			if n <= most || g.most.CompareAndSwap(most, n) {
				break
			}
		}
		g.mu.Lock()
		g.times = append(g.times, time.Now())
		g.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// busiest returns the maximum number of requests in any second.
func (g *gauge) busiest() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	most, from := 0, 0
	for i, t := range g.times {
		for t.Sub(g.times[from]) > time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
