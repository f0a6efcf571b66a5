package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Proxy is an HTTP proxy on loopback through which a browser reaches what the guard allows, and nothing else.
type Proxy struct {
	Addr string

	client   *Client
	server   *http.Server
	mu       sync.Mutex
	take     func(*http.Request) bool
	verified map[string]error
}

// NewProxy starts a proxy. Close it after use.
func (c *Client) NewProxy() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), client: c, verified: map[string]error{}}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// Close stops the proxy and every connection through it.
func (p *Proxy) Close() { _ = p.server.Close() }

// Take sets the function that is shown every plain request first: those that it takes are answered here, and
// go nowhere. Callbacks of clients are such.
func (p *Proxy) Take(f func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take = f
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		p.tunnel(w, r)
		return
	}
	p.mu.Lock()
	take := p.take
	p.mu.Unlock()
	if !r.URL.IsAbs() {
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	if take != nil && take(r) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>mcpauth</title><p>The answer has arrived. This page can be closed.")
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Header.Del("Proxy-Connection")
	resp, err := p.client.transport.RoundTrip(out)
	if err != nil {
		http.Error(w, plain(err), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(flushing{w}, io.LimitReader(resp.Body, browserBody))
}

// browserBody bounds one answer to a browser, in bytes: pages load scripts that are larger than documents.
const browserBody = 32 << 20

type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	_ = http.NewResponseController(f.w).Flush()
	return n, err
}

// tunnel connects a browser to a TLS server. Where the user gave authorities of their own, which the browser
// does not know, the certificate is verified here.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	if err := p.verify(r.Context(), r.Host); err != nil {
		http.Error(w, plain(err), http.StatusBadGateway)
		return
	}
	there, err := p.client.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, plain(err), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, io.LimitReader(from, browserBody))
		done <- struct{}{}
	}
	go pipe(there, here)
	go pipe(here, there)
	<-done
}

func (p *Proxy) verify(ctx context.Context, host string) error {
	if p.client.opt.Roots == nil {
		return nil // the browser verifies with the system's authorities
	}
	p.mu.Lock()
	err, known := p.verified[host]
	p.mu.Unlock()
	if known {
		return err
	}
	name, _, splitErr := net.SplitHostPort(host)
	if splitErr != nil {
		return splitErr
	}
	conn, err := p.client.dial(ctx, "tcp", host)
	if err == nil {
		err = tls.Client(conn, &tls.Config{RootCAs: p.client.opt.Roots, ServerName: name, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
		conn.Close()
	}
	if !errors.Is(err, context.Canceled) {
		p.mu.Lock()
		p.verified[host] = err
		p.mu.Unlock()
	}
	return err
}

// OwnRoots reports that the user gave authorities in place of the system's.
func (c *Client) OwnRoots() bool { return c.opt.Roots != nil }

// Number gives an exchange that went another way, through a browser, its place in the record.
func (c *Client) Number() int { return int(c.number.Add(1)) }
