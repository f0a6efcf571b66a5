// Package listener counts the requests that a token or document of ours draws from the target.
package listener

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Listener answers 404 to everything, on loopback only.
type Listener struct {
	server *http.Server
	addr   string
	hits   atomic.Int32
	opened atomic.Int32
}

// Open begins to listen on a free port. Close it after use.
func Open() (*Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	out := &Listener{addr: l.Addr().String()}
	out.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out.hits.Add(1)
		http.NotFound(w, r)
	})}
	out.server.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			out.opened.Add(1)
		}
	}
	go func() { _ = out.server.Serve(l) }()
	return out, nil
}

// Host is host and port.
func (l *Listener) Host() string { return l.addr }

// URL is the URL of a path.
func (l *Listener) URL(path string) string { return "http://" + l.addr + path }

// Hits is the number of requests so far.
func (l *Listener) Hits() int { return int(l.hits.Load()) }

// Close stops listening.
func (l *Listener) Close() { _ = l.server.Close() }

// Connections is the number of connections so far, whatever came over them.
func (l *Listener) Connections() int { return int(l.opened.Load()) }
