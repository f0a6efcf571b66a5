package wire_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/net/http2"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// frames returns a server that answers each HTTP/2 request with the given frames; asked counts the requests.
func frames(t *testing.T, answer func(f *http2.Framer, stream uint32)) (s *httptest.Server, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	s = httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{NextProtos: []string{"h2"}}
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
		_, _ = io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface)))
		f := http2.NewFramer(conn, conn)
		_ = f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.HeadersFrame); ok {
				asked.Add(1)
				answer(f, h.StreamID)
			}
		}
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, asked
}

// trusting returns a client that trusts a server.
func trusting(s *httptest.Server, l wire.Limits) *wire.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil), Limits: l, Roots: roots})
}

// With a window beyond its limit, the standard library's client deadlocked.
func TestARequestEndsWhateverTheFrames(t *testing.T) {
	t.Parallel()
	s, _ := frames(t, func(f *http2.Framer, stream uint32) {
		for range 3 {
			_ = f.WriteWindowUpdate(stream, 1<<31-1)
		}
	})
	c := trusting(s, wire.Limits{Request: 300 * time.Millisecond})
	done := make(chan *reports.Exchange, 1)
	go func() { done <- c.Do(t.Context(), "check", wire.Request{Method: "GET", URL: s.URL}) }()
	select {
	case ex := <-done:
		assert.NotEmpty(t, ex.Error)
	case <-time.After(time.Minute):
		t.Fatal("the request does not end")
	}
}

// A server that asks for retries gets no more requests than others.
func TestRepeatedRequestsCount(t *testing.T) {
	t.Parallel()
	s, asked := frames(t, func(f *http2.Framer, stream uint32) { _ = f.WriteRSTStream(stream, http2.ErrCodeRefusedStream) })
	c := trusting(s, wire.Limits{Requests: 3})
	for range 3 {
		ex := c.Do(t.Context(), "check", wire.Request{Method: "POST", URL: s.URL, Body: "x"})
		assert.NotEmpty(t, ex.Error)
	}
	assert.LessOrEqual(t, asked.Load(), int64(3))
	assert.LessOrEqual(t, c.Sent(), 3)
	assert.Equal(t, wire.ErrBudget.Error(), c.Do(t.Context(), "check", wire.Request{Method: "GET", URL: s.URL}).Error)
}
