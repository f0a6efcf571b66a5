// Package documents serves client ID metadata documents to an authorization server, good ones and hostile
// ones, under a certificate authority of its own.
package documents

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Server serves documents at addresses of their own.
type Server struct {
	base   string
	ca     []byte
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
	sent   atomic.Int64
}

// Hits is how often the page was fetched.
func (p *Page) Hits() int { return int(p.hits.Load()) }

// Sent is how many bytes of body were taken by those who fetched it.
func (p *Page) Sent() int64 { return p.sent.Load() }

// Answer is what a fetch gets.
type Answer struct {
	Status int // 200 if zero
	Type   string
	Body   string
	// Location makes it a redirect.
	Location string
	// Padding is inserted before the body's last byte so many times, 256 KiB each.
	Padding int
	// Trickle sends a space every 100 ms for half a minute.
	Trickle bool
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
		a.Status = http.StatusFound
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	switch {
	case a.Trickle:
		trickle(w, r)
	case a.Padding > 0 && a.Body != "":
		last := len(a.Body) - 1
		_, _ = io.WriteString(w, a.Body[:last]+`,"padding":"`)
		chunk := strings.Repeat("a", 256<<10)
		for range a.Padding {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"`+a.Body[last:])
	default:
		_, _ = io.WriteString(w, a.Body)
	}
}

func trickle(w http.ResponseWriter, r *http.Request) {
	for range 300 {
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// New listens on an address, which may have port 0. publicURL is how the authorization server reaches it, an
// https URL without a path; empty means the address itself.
func New(listen, publicURL string) (*Server, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	if publicURL == "" {
		publicURL = "https://" + l.Addr().String()
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		l.Close()
		return nil, fmt.Errorf("the address of client documents %q is no https URL", publicURL)
	}
	s := &Server{base: strings.TrimSuffix(publicURL, "/"), pages: map[string]*Page{}}
	cert, ca, err := certificate(u.Hostname())
	if err != nil {
		l.Close()
		return nil, err
	}
	s.ca = ca
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet}
	go func() {
		_ = s.server.Serve(&either{l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}})
	}()
	return s, nil
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

// quiet drops what net/http says about handshakes that others break off.
var quiet = log.New(io.Discard, "", 0)

// CA is the certificate authority to trust, in PEM.
func (s *Server) CA() []byte { return s.ca }

// Host is host and port under which the documents stand.
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

// certificate makes a certificate for a host, valid for a day, with its authority.
func certificate(host string) (tls.Certificate, []byte, error) {
	key := seeded.Suites.Key()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "mcpauth client documents"}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Publish serves metadata about a client under an address of its own, which is the client's identifier.
func (s *Server) Publish(metadata map[string]any) string {
	p := s.Put(NotFound)
	metadata["client_id"] = p.URL
	b, _ := json.Marshal(metadata) // plain values always marshal
	p.Serve(Answer{Type: "application/json", Body: string(b)})
	return p.URL
}
