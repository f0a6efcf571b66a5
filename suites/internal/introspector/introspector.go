// Package introspector answers a target's introspection requests (RFC 7662) as a check demands.
package introspector

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/suites/internal/listener"
)

// Server is an introspection endpoint. It knows the tokens that it made; all others are inactive.
type Server struct {
	url    string
	server *http.Server
	mu     sync.Mutex
	tokens map[string]*Token
	// unknown is the answer for an unknown token.
	unknown Answer
	kept    atomic.Int64 // bytes of all requests
}

// Limits of a request, and of the stored ones: clients may be hostile.
const (
	mostBody  = 128 << 10
	mostBytes = 16 << 20
)

// Token is an opaque token with its answer.
type Token struct {
	Value  string
	mu     sync.Mutex
	answer Answer
	asked  []Question
}

// Answer is the answer to the target.
type Answer struct {
	Status   int    // 200 if zero
	Type     string // application/json if empty
	Body     string
	Location string
	Break    bool // close the connection without an answer
	// Delay delays the answer.
	Delay time.Duration
}

// Question is a request of the target. Its header may contain the target's own secret, so it must not be in a report.
type Question struct {
	Method, Query, Body string
	Header              http.Header
}

// size returns the approximate size of a request in bytes.
func (q *Question) size() int {
	n := len(q.Query) + len(q.Body)
	for name, values := range q.Header {
		for _, v := range values {
			n += len(name) + len(v) + 64
		}
	}
	return n
}

// New starts an introspection endpoint. Close it after use.
func New(listen string) (*Server, error) { return NewAt(listen, "/introspect", Inactive) }

// NewAt starts an endpoint at a path, with an answer for unknown tokens.
func NewAt(listen, path string, unknown Answer) (*Server, error) {
	l, err := listener.Bind(listen)
	if err != nil {
		return nil, err
	}
	s := &Server{url: "http://" + l.Addr().String() + path, unknown: unknown, tokens: map[string]*Token{}}
	s.server = listener.NewServer(s)
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

// URL returns the endpoint's address.
func (s *Server) URL() string { return s.url }

// Close stops listening.
func (s *Server) Close() { _ = s.server.Close() }

// Token makes a token that is inactive until Say changes its answer.
func (s *Server) Token() *Token {
	t := &Token{Value: seeded.Suites.Text(24)}
	t.Say(s.unknown)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Value] = t
	return t
}

// Inactive is the answer for an invalid token.
var Inactive = Answer{Body: `{"active":false}`}

// Say changes the answer.
func (t *Token) Say(a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer = a
}

// Asked returns the requests for the token so far.
func (t *Token) Asked() []Question {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Question(nil), t.asked...)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/.well-known/") { // the listener is not an authorization server
		http.NotFound(w, r)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, mostBody)) // an incomplete body names no token
	a := s.unknown
	if t := s.about(r, string(body)); t != nil {
		q := Question{Method: r.Method, Query: r.URL.RawQuery, Body: string(body), Header: r.Header.Clone()}
		keep := s.kept.Add(int64(q.size())) <= mostBytes
		t.mu.Lock()
		if keep {
			t.asked = append(t.asked, q)
		}
		a = t.answer
		t.mu.Unlock()
	}
	if a.Delay > 0 {
		select {
		case <-time.After(a.Delay):
		case <-r.Context().Done():
		}
	}
	if a.Break {
		panic(http.ErrAbortHandler)
	}
	if a.Type == "" {
		a.Type = "application/json"
	}
	w.Header().Set("Content-Type", a.Type)
	w.Header().Set("Cache-Control", "no-store")
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// about finds the token of a request, wherever the target put it. A token with other text before or after it is another token.
func (s *Server) about(r *http.Request, body string) *Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values(r, body) {
		if t := s.tokens[value]; t != nil {
			return t
		}
	}
	return nil
}

// values returns the strings of a request: those of its query, of its body as a form or as JSON, the body itself, and the value after the
// scheme in Authorization.
func values(r *http.Request, body string) []string {
	out := []string{strings.TrimSpace(body)}
	if _, credential, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		out = append(out, credential)
	}
	for _, text := range []string{r.URL.RawQuery, body} {
		form, _ := url.ParseQuery(text) // as far as it can be parsed
		for _, v := range form {
			out = append(out, v...)
		}
	}
	var document any
	if json.Unmarshal([]byte(body), &document) == nil {
		out = append(out, leaves(document)...)
	}
	return out
}

func leaves(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, e := range v {
			out = append(out, leaves(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, leaves(e)...)
		}
	}
	return out
}
