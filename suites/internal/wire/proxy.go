package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
)

// Proxy is an HTTP proxy on loopback through which a browser reaches only what the guard allows. It terminates TLS: it verifies the server
// on the same connection that carries the browser's requests, and presents its own certificate to the browser, which trusts only its key
// (PublicKeyHash).
type Proxy struct {
	Addr string
	// PublicKeyHash is the hash of the key in all certificates of the proxy: SHA-256 of its SubjectPublicKeyInfo, in base64.
	PublicKeyHash string

	client  *Client
	key     *ecdsa.PrivateKey
	server  *http.Server // for the proxy itself
	inner   *http.Server // for requests in tunnels
	tunnels *queue
	forward *httputil.ReverseProxy
	mu      sync.Mutex
	take    func(*http.Request) bool
}

// NewProxy starts a proxy. Close it after use.
func (c *Client) NewProxy() (*Proxy, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	p := &Proxy{Addr: l.Addr().String(), PublicKeyHash: base64.StdEncoding.EncodeToString(sum[:]), client: c, key: key, tunnels: newQueue()}
	silent := log.New(io.Discard, "", 0) // browsers drop connections at any time
	p.forward = &httputil.ReverseProxy{Rewrite: p.rewrite, Transport: p, FlushInterval: -1, ErrorLog: silent, ModifyResponse: boundedBody,
		ErrorHandler: unanswered}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent}
	p.inner = &http.Server{Handler: http.HandlerFunc(p.inside), ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent, ConnContext: withTunnel}
	go func() { _ = p.server.Serve(l) }()
	go func() { _ = p.inner.Serve(p.tunnels) }()
	return p, nil
}

// Close stops the proxy and all its connections.
func (p *Proxy) Close() {
	_ = p.server.Close()
	_ = p.inner.Close()
}

// Take sets a function that sees every plain request first. Requests that it takes, such as callbacks of clients, are answered here and not
// forwarded.
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
	switch {
	case !r.URL.IsAbs() || r.URL.Scheme != "http":
		http.Error(w, "this is a proxy", http.StatusBadRequest)
	case take != nil && take(r):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>mcpauth</title><p>The answer has arrived. This page can be closed.")
	case p.readable(r):
		http.Error(w, "mcpauth does not send this by plain HTTP: it could be read on the way", http.StatusForbidden)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// readable reports whether a plain request would expose something on the network: a form, or a secret in its address or header.
func (p *Proxy) readable(r *http.Request) bool {
	if document.LoopbackHost(r.URL.Hostname()) {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return true
	}
	address := r.URL.RequestURI()
	if _, err := url.QueryUnescape(address); err != nil || p.tells(address) {
		return true
	}
	for _, values := range r.Header {
		if slices.ContainsFunc(values, p.tells) {
			return true
		}
	}
	return false
}

// tells reports whether a text contains a secret, plain or percent-encoded.
func (p *Proxy) tells(text string) bool {
	secrets := p.client.opt.Secrets
	if secrets == nil {
		return false
	}
	plain, err := url.QueryUnescape(text)
	return secrets.In(text) || err == nil && secrets.In(plain)
}

// inside answers requests in a tunnel.
func (p *Proxy) inside(w http.ResponseWriter, r *http.Request) {
	t, ok := r.Context().Value(tunnelKey{}).(*tunnel)
	if !ok {
		http.Error(w, "no tunnel", http.StatusBadRequest)
		return
	}
	r.URL.Scheme, r.URL.Host = "https", t.host
	p.forward.ServeHTTP(w, r)
}

// rewrite keeps a request as the browser made it.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL, r.Out.Host = r.In.URL, r.In.Host
	r.Out.Header.Del("Proxy-Connection")
}

// RoundTrip sends a request of the browser in its turn, on the connection of its tunnel or as plain HTTP. It counts like any other request:
// a page that sends many stops at the limit of the run.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !p.client.MaySend(Request{Method: r.Method, URL: r.URL.String()}) {
		return nil, ErrPassive
	}
	if err := p.client.spend(); err != nil {
		return nil, err
	}
	if err := p.client.at(r.Context(), r.URL).wait(r.Context()); err != nil {
		return nil, err
	}
	if t, ok := r.Context().Value(tunnelKey{}).(*tunnel); ok {
		return t.transport.RoundTrip(r)
	}
	return p.client.transport.RoundTrip(r)
}

// browserBody bounds one answer to a browser, in bytes: pages load scripts that are larger than documents.
const browserBody = 32 << 20

func boundedBody(r *http.Response) error {
	if r.StatusCode != http.StatusSwitchingProtocols { // else the body is a connection
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(r.Body, browserBody), r.Body}
	}
	return nil
}

func unanswered(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, plain(err), http.StatusBadGateway)
}

// tunnel is a connection of the browser whose TLS is terminated here, with the verified connection to the server.
type tunnel struct {
	host      string
	transport *http.Transport
}

type tunnelKey struct{}

// tunnelled is a connection of the browser whose TLS is terminated here.
type tunnelled struct {
	net.Conn
	tunnel *tunnel
}

// Close also closes the connection to the server.
func (t *tunnelled) Close() error {
	t.tunnel.transport.CloseIdleConnections()
	return t.Conn.Close()
}

func withTunnel(ctx context.Context, c net.Conn) context.Context {
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	if t, ok := c.(*tunnelled); ok {
		return context.WithValue(ctx, tunnelKey{}, t.tunnel)
	}
	return ctx
}

// tunnel connects to a TLS server, verifies it, and forwards the browser's requests on that connection. If the server cannot be verified,
// it does not answer for it.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, "CONNECT needs host:port", http.StatusBadRequest)
		return
	}
	first, err := p.secure(r.Context(), r.Host)
	if err != nil {
		http.Error(w, plain(err), http.StatusBadGateway)
		return
	}
	certificate, err := p.certificate(name)
	if err != nil {
		first.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		first.Close()
		return
	}
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		first.Close()
		here.Close()
		return
	}
	conn := &tunnelled{here, &tunnel{r.Host, p.transportOver(first)}}
	if !p.tunnels.add(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}})) {
		first.Close()
		conn.Close()
	}
}

// secure opens a connection to a server and verifies its certificate.
func (p *Proxy) secure(ctx context.Context, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.client.opt.Limits.Connect)
	defer cancel()
	conn, err := p.client.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	to := &url.URL{Scheme: "https", Host: address}
	over := tls.Client(conn, showing(p.client.certificateAt(to), p.client.verifying(name, "http/1.1")))
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return over, nil
}

// transportOver sends requests on an open connection, and on new ones of the same kind when that is closed.
func (p *Proxy) transportOver(first net.Conn) *http.Transport {
	ready := make(chan net.Conn, 1)
	ready <- first
	return &http.Transport{
		Proxy: nil, DisableCompression: true, MaxResponseHeaderBytes: p.client.opt.Limits.Header, IdleConnTimeout: 30 * time.Second,
		MaxConnsPerHost: 1,
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			select {
			case conn := <-ready:
				return conn, nil
			default:
				return p.secure(ctx, address)
			}
		},
	}
}

// certificate returns the proxy's certificate for a host.
func (p *Proxy) certificate(host string) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "mcpauth"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if a, err := netip.ParseAddr(host); err == nil {
		c.IPAddresses = []net.IP{a.AsSlice()}
	} else {
		c.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, p.key.Public(), p.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: p.key}, err
}

// queue is a listener for existing connections.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue() *queue { return &queue{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (q *queue) add(c net.Conn) bool {
	select {
	case q.conns <- c:
		return true
	case <-q.closed:
		return false
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, errors.New("the proxy is closed")
	}
}

// Close implements net.Listener.
func (q *queue) Close() error { q.once.Do(func() { close(q.closed) }); return nil }

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// Number returns the next number for an exchange that did not use this client, but a browser.
func (c *Client) Number() int { return int(c.number.Add(1)) }
