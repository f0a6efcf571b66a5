// Package listener records the requests that the target sends because of a token, a document or a call of mcpauth.
package listener

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

// Listener answers everything with 404, unless Answer changes that.
type Listener struct {
	server *http.Server
	addr   string
	hits   atomic.Int32
	opened atomic.Int32
	mu     sync.Mutex
	seen   []Request
	kept   int // their bytes
	answer func(Request) Answer
}

// Request is a received request. It may contain the target's own secrets, so it must not be in a report.
type Request struct {
	Method, URL, Body string
	Header            http.Header
}

// size returns the approximate size of a request in bytes.
func (r *Request) size() int {
	n := len(r.URL) + len(r.Body)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 64
		}
	}
	return n
}

// Answer is the answer to the target.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
}

// Limits of the stored requests, of all their bytes, and of each body: clients may be hostile.
const (
	mostKept  = 2000
	mostBytes = 8 << 20
	mostBody  = 16 << 10
)

// Limits of a server run by mcpauth for its clients.
const (
	mostConnections = 200
	mostHeader      = 64 << 10
)

// NewServer returns a server for untrusted clients: it bounds the size and the time of a request's header, and logs nothing.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: mostHeader, ErrorLog: quiet, Handler: h}
}

var quiet = log.New(io.Discard, "", 0)

const addressInUseOnWindows = syscall.Errno(10048)

// Bind listens on an address for untrusted clients, with a limited number of connections; others wait.
func Bind(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, addressInUseOnWindows) {
		return nil, fmt.Errorf("%w: end the program that listens there, or choose another address", err)
	}
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(l, mostConnections), nil
}

// OpenAt starts a listener on an address.
func OpenAt(address string) (*Listener, error) {
	l, err := Bind(address)
	if err != nil {
		return nil, err
	}
	out := &Listener{addr: l.Addr().String()}
	out.server = NewServer(out)
	out.server.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			out.opened.Add(1)
		}
	}
	go func() { _ = out.server.Serve(l) }()
	return out, nil
}

func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.hits.Add(1)
	body, _ := io.ReadAll(io.LimitReader(r.Body, mostBody)) // a part is enough
	req := Request{Method: r.Method, URL: r.URL.String(), Body: string(body), Header: r.Header.Clone()}
	size := req.size()
	l.mu.Lock()
	if len(l.seen) < mostKept && l.kept+size <= mostBytes {
		l.seen = append(l.seen, req)
		l.kept += size
	}
	answer := l.answer
	l.mu.Unlock()
	a := Answer{Status: http.StatusNotFound}
	if answer != nil {
		a = answer(req)
	}
	for name, v := range a.Header {
		w.Header().Set(name, v)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// Answer changes the answer; nil: 404.
func (l *Listener) Answer(f func(Request) Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = f
}

// Seen returns the requests so far.
func (l *Listener) Seen() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

// Host returns host and port.
func (l *Listener) Host() string { return l.addr }

// URL returns the URL of a path.
func (l *Listener) URL(path string) string { return "http://" + l.addr + path }

// Hits returns the number of requests so far.
func (l *Listener) Hits() int { return int(l.hits.Load()) }

// Close stops listening.
func (l *Listener) Close() { _ = l.server.Close() }

// Connections returns the number of connections so far, whatever they carried.
func (l *Listener) Connections() int { return int(l.opened.Load()) }
