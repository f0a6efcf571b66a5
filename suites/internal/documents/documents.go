// Package documents serves client ID metadata documents to an authorization server, good ones and hostile
// ones, under a certificate authority of its own.
package documents

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/tls"
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

// Server serves documents at addresses of their own.
type Server struct {
	base   string
	ca     []byte
	issuer *authority
	server *http.Server
	mu     sync.Mutex
	pages  map[string]*Page
	number int
}

// Page is what is at one address.
type Page struct {
	URL    string
	mu     sync.Mutex
	answer Answer
	hits   atomic.Int32
	open   atomic.Int32
	whole  atomic.Int32
	sent   atomic.Int64
}

// Hits returns how often the page was fetched.
func (p *Page) Hits() int { return int(p.hits.Load()) }

// Sent returns how many bytes of body were taken by those who fetched it.
func (p *Page) Sent() int64 { return p.sent.Load() }

// Open returns how many fetches are under way, and Whole how many have got their answer to its end.
func (p *Page) Open() int  { return int(p.open.Load()) }
func (p *Page) Whole() int { return int(p.whole.Load()) }

// Answer is what a fetch gets.
type Answer struct {
	Status int // 200 if zero
	Type   string
	Body   string
	// Location makes it a redirect, 302 unless there is a Status.
	Location string
	// Padding is inserted before the body's last byte so many times, 256 KiB each.
	Padding int
	// Trickle sends a space every 100 ms so many times before the body.
	Trickle int
	// Gzip compresses the body for those who accept that.
	Gzip bool
	// Break breaks the connection off.
	Break bool
}

// NotFound is the answer before there is another.
var NotFound = Answer{Status: http.StatusNotFound}

// Serve changes what is there.
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
		compressed := gzip.NewWriter(w)
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
	chunk := strings.Repeat("a", 256<<10)
	for i := 0; err == nil && i < a.Padding; i++ {
		_, err = io.WriteString(w, chunk)
	}
	if err == nil {
		_, err = io.WriteString(w, `"`+a.Body[last:])
	}
	return err
}

// trickle sends spaces, and reports whether all were taken.
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

// New listens on an address, which may have port 0. publicURL is how the authorization server reaches it, an
// https URL without a path; empty means the address itself.
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
	s := &Server{base: strings.TrimSuffix(publicURL, "/"), pages: map[string]*Page{}}
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

// either accepts TLS and plain HTTP at one port, so that a document can be fetched by http too, which nobody may do.
type either struct {
	net.Listener
	config *tls.Config
}

// Accept leaves it to the first byte which of the two a connection is.
func (e *either) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffed{Conn: c, config: e.config}, nil
}

// sniffed is a connection whose first byte was not read yet.
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

// unread is a connection of which something is buffered.
type unread struct {
	net.Conn
	buffer *bufio.Reader
}

func (u *unread) Read(b []byte) (int, error) { return u.buffer.Read(b) }

// CA returns the certificate authority to trust, in PEM.
func (s *Server) CA() []byte { return s.ca }

// Host returns host and port under which the documents stand.
func (s *Server) Host() string { return strings.TrimPrefix(s.base, "https://") }

// Close stops serving.
func (s *Server) Close() { _ = s.server.Close() }

// Put makes a page at a new address.
func (s *Server) Put(a Answer) *Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	at := fmt.Sprintf("/clients/%d/client.json", s.number)
	p := &Page{URL: s.base + at, answer: a}
	s.pages[at] = p
	return p
}

// PutRoot makes a page at the address without a path.
func (s *Server) PutRoot(a Answer) *Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Page{URL: s.base, answer: a}
	s.pages["/"] = p
	return p
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.pages[path.Clean("/"+r.URL.Path)] // a document is found by dot segments and without a path too: those who fetch must not ask
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

// counting counts what was read of a body.
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

// Publish serves metadata about a client under an address of its own, which is the client's identifier.
func (s *Server) Publish(metadata map[string]any) string {
	p := s.Put(NotFound)
	metadata["client_id"] = p.URL
	b, _ := json.Marshal(metadata) // plain values always marshal
	p.Serve(Answer{Type: "application/json", Body: string(b)})
	return p.URL
}
