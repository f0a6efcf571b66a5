// Package documents serves good and hostile client ID metadata documents to an authorization server, with its own certificate authority.
package documents

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/suites/internal/listener"
)

// Server serves documents at generated addresses.
type Server struct {
	base   string
	ca     []byte
	issuer *authority
	server *http.Server
	mu     sync.Mutex
	pages  map[string]*Page
	number int
	root   chan struct{} // full while a run has its page at the address without a path
}

// Page is the document at one address.
type Page struct {
	URL    string
	mu     sync.Mutex
	answer Answer
	hits   atomic.Int32
	open   atomic.Int32
	whole  atomic.Int32
	sent   atomic.Int64
}

// Hits returns the number of fetches of the page.
func (p *Page) Hits() int { return int(p.hits.Load()) }

// Sent returns the number of body bytes that clients have received.
func (p *Page) Sent() int64 { return p.sent.Load() }

// Open returns the number of fetches in progress, and Whole the number that were completed.
func (p *Page) Open() int  { return int(p.open.Load()) }
func (p *Page) Whole() int { return int(p.whole.Load()) }

// Answer is the answer to a fetch.
type Answer struct {
	Status int // 200 if zero
	Type   string
	Body   string
	// Location makes it a redirect, 302 unless there is a Status.
	Location string
	// Padding is the number of blocks of 256 KiB that are inserted before the last byte of the body.
	Padding int
	// Trickle is the number of spaces that are sent before the body, one every 100 ms.
	Trickle int
	// Gzip compresses the body for clients that accept that.
	Gzip bool
	// Break closes the connection.
	Break bool
}

// NotFound is the default answer.
var NotFound = Answer{Status: http.StatusNotFound}

// Serve changes the answer.
func (p *Page) Serve(a Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = a
}

func (p *Page) write(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	a := p.answer
	p.mu.Unlock()
	if a.Break {
		panic(http.ErrAbortHandler)
	}
	if a.Type != "" {
		w.Header().Set("Content-Type", a.Type)
	}
	w.Header().Set("Cache-Control", "no-store")
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
		a.Status = cmp.Or(a.Status, http.StatusFound)
	}
	out, whole := io.Writer(w), a.Status == 0 || a.Status == http.StatusOK
	if a.Gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		compressed, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a valid one
		defer compressed.Close()
		out = compressed
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	if trickle(w, r, a.Trickle) && a.write(out) == nil && whole {
		p.whole.Add(1)
	}
}

// write writes the body, with its padding.
func (a *Answer) write(w io.Writer) error {
	if a.Padding == 0 || a.Body == "" {
		_, err := io.WriteString(w, a.Body)
		return err
	}
	last := len(a.Body) - 1
	_, err := io.WriteString(w, a.Body[:last]+`,"padding":"`)
	chunk := bytes.Repeat([]byte("a"), 256<<10)
	for i := 0; err == nil && i < a.Padding; i++ {
		_, err = w.Write(chunk)
	}
	if err == nil {
		_, err = io.WriteString(w, `"`+a.Body[last:])
	}
	return err
}

// trickle sends spaces, and reports whether all were sent.
func trickle(w http.ResponseWriter, r *http.Request, times int) bool {
	for range times {
		if _, err := io.WriteString(w, " "); err != nil {
			return false
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// New listens on an address, which may have port 0. publicURL is the address for the authorization server, an https URL without a path;
// empty: the listening address.
func New(listen, publicURL string) (*Server, error) {
	l, err := listener.Bind(listen)
	if err != nil {
		return nil, err
	}
	if publicURL == "" {
		publicURL = "https://" + l.Addr().String()
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		l.Close()
		return nil, fmt.Errorf("the address of client documents %q is not an https URL", publicURL)
	}
	s := &Server{base: strings.TrimSuffix(publicURL, "/"), pages: map[string]*Page{}, root: make(chan struct{}, 1)}
	if s.issuer, err = newAuthority(u.Hostname()); err != nil {
		l.Close()
		return nil, err
	}
	s.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.issuer.own.Certificate[0]})
	s.server = listener.NewServer(s)
	s.serve(l)
	return s, nil
}

func (s *Server) serve(l net.Listener) {
	config := &tls.Config{GetCertificate: s.issuer.certificate, MinVersion: tls.VersionTLS12}
	go func() { _ = s.server.Serve(&either{l, config}) }()
}

// either accepts TLS and plain HTTP on one port, so that a document is also available over http, where fetching it is forbidden.
type either struct {
	net.Listener
	config *tls.Config
}

// Accept decides by the first byte whether a connection uses TLS.
func (e *either) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffed{Conn: c, config: e.config}, nil
}

// sniffed is a connection whose first byte has not been read yet.
type sniffed struct {
	net.Conn
	config *tls.Config
	once   sync.Once
	inner  net.Conn
	err    error
}

// handshake is the type of the first TLS record (RFC 8446 section 5.1).
const handshake = 22

func (s *sniffed) open() {
	r := bufio.NewReader(s.Conn)
	first, err := r.Peek(1)
	buffered := &unread{s.Conn, r}
	if s.inner, s.err = buffered, err; err == nil && first[0] == handshake {
		s.inner = tls.Server(buffered, s.config)
	}
}

func (s *sniffed) Read(b []byte) (int, error) {
	if s.once.Do(s.open); s.err != nil {
		return 0, s.err
	}
	return s.inner.Read(b)
}

func (s *sniffed) Write(b []byte) (int, error) {
	if s.once.Do(s.open); s.err != nil {
		return 0, s.err
	}
	return s.inner.Write(b)
}

// unread is a connection with buffered bytes.
type unread struct {
	net.Conn
	buffer *bufio.Reader
}

func (u *unread) Read(b []byte) (int, error) { return u.buffer.Read(b) }

// CA returns the certificate authority to trust, in PEM.
func (s *Server) CA() []byte { return s.ca }

// Host returns the host and port of the documents.
func (s *Server) Host() string { return strings.TrimPrefix(s.base, "https://") }

// Close stops serving.
func (s *Server) Close() { _ = s.server.Close() }

// Put adds a page at a new address.
func (s *Server) Put(a Answer) *Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	at := fmt.Sprintf("/clients/%d/client.json", s.number)
	p := &Page{URL: s.base + at, answer: a}
	s.pages[at] = p
	return p
}

// PutRoot adds a page at the address without a path, of which a server has one: it waits until other runs have given theirs back. It fails
// only if the context ends before that.
func (s *Server) PutRoot(ctx context.Context, a Answer) (p *Page, giveBack func(), err error) {
	select {
	case s.root <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p = &Page{URL: s.base, answer: a}
	s.pages["/"] = p
	return p, sync.OnceFunc(func() { <-s.root }), nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.pages[path.Clean("/"+r.URL.Path)] // dot segments and a missing path find a document too: clients must not use them
	s.mu.Unlock()
	if p == nil {
		http.NotFound(w, r)
		return
	}
	p.hits.Add(1)
	p.open.Add(1)
	defer p.open.Add(-1)
	p.write(&counting{ResponseWriter: w, page: p}, r)
}

// Leads reports whether an address leads to a page from here: behind a proxy, plain HTTP may not. Its own fetch does not count.
func (s *Server) Leads(address string, p *Page) bool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(s.ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 3 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	before := p.Hits()
	if resp, err := client.Get(address); err == nil {
		_ = resp.Body.Close()
	}
	led := p.Hits() > before
	if led {
		p.hits.Add(-1)
	}
	return led
}

// counting counts the bytes read from a body.
type counting struct {
	http.ResponseWriter
	page *Page
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.page.sent.Add(int64(n))
	return n, err
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Publish serves the metadata of a client at a new address, which is the client's identifier.
func (s *Server) Publish(metadata map[string]any) string {
	p := s.Put(NotFound)
	metadata["client_id"] = p.URL
	b, _ := json.Marshal(metadata) // plain values always marshal
	p.Serve(Answer{Type: "application/json", Body: string(b)})
	return p.URL
}
