package wire_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mcpauth/conformance/fakes/broken"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// speaking returns the address of a server that runs does on each connection, once a request begins to arrive.
func speaking(t *testing.T, does func(c *net.TCPConn)) string {
	t.Helper()
	address, end, err := broken.Serve(func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 64<<10))
		does(c)
	})
	require.NoError(t, err)
	t.Cleanup(end)
	return "http://" + address
}

// saying writes a text, and closes the connection so that the text arrives.
func saying(text string) func(c *net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = io.WriteString(c, text)
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
	}
}

// The same transport failure always has the same error text, because verdicts depend on it.
func TestWhatGoesWrongHasOneName(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		does func(c *net.TCPConn)
		want string
	}{
		"closed":             {saying(""), wire.Closed},
		"reset":              {func(c *net.TCPConn) { _ = c.SetLinger(0) }, wire.Reset},
		"within the header":  {saying("HTTP/1.1 200 OK\r\nServer: x\r\n"), wire.Closed},
		"within the body":    {saying(head + "Content-Length: 1000\r\n\r\n{"), wire.ClosedWithin},
		"within a chunk":     {saying(head + "Transfer-Encoding: chunked\r\n\r\nff\r\n{"), wire.ClosedWithin},
		"within packed text": {saying(head + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00"), wire.ClosedWithin},
		"reset in the body": {func(c *net.TCPConn) {
			_, _ = io.WriteString(c, head+"Content-Length: 1000\r\n\r\n{")
			time.Sleep(50 * time.Millisecond) // so that the header arrives
			_ = c.SetLinger(0)
		}, wire.ClosedWithin},
		"within a stream": {saying("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\ndata: {"),
			wire.ClosedWithin},
		"not HTTP":      {saying("220 mail.example ready\r\n"), `malformed HTTP status code "mail.examp…`},
		"an odd field":  {saying("HTTP/1.1 200 OK\r\nsecret of others\r\n\r\n"), "malformed"},
		"an odd status": {saying("HTTP/1.1 2x0 OK\r\n\r\n"), "malformed"},
		"an odd chunk":  {saying(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{"), "the body broke off: invalid byte in chunk length"},
		"an odd length": {saying(head + "Content-Length: many\r\n\r\n{"), "bad Content-Length"},
		"not packed": {saying(head + "Content-Encoding: gzip\r\n\r\n{\"a\":\"as it is\"}"),
			"the body broke off: content-encoding gzip: gzip: invalid header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, body := range []string{"", "{}"} {
				ex := client(wire.Limits{}).Do(t.Context(), "X", wire.Request{Method: "POST", URL: speaking(t, c.does), Body: body})
				assert.Contains(t, ex.Error, c.want)
				assert.False(t, wire.Ours(ex.Error), ex.Error)
			}
		})
	}
}

// An empty body is not a truncated compressed one.
func TestEmptyBodyIsNotUnpacked(t *testing.T) {
	t.Parallel()
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusUnauthorized)
	})
	ex := get(client(wire.Limits{}), u)
	assert.Empty(t, ex.Error)
	assert.Equal(t, http.StatusUnauthorized, ex.Response.Status)
}

// An answer counts even if the server has not read the whole request.
func TestAnswerBeforeTheEndOfTheRequest(t *testing.T) {
	t.Parallel()
	u := speaking(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		time.Sleep(20 * time.Millisecond) // so that it arrives before the reset
	})
	message := append([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n"), make([]byte, 32<<20)...)
	ex := client(wire.Limits{}).Do(t.Context(), "X", wire.Request{Method: "POST", URL: u, Raw: message})
	require.NotNil(t, ex.Response, ex.Error)
	assert.Equal(t, 413, ex.Response.Status)
}

// A connection that mcpauth closes at the end of a run was not closed by the server.
func TestEndOfTheRunIsNoReset(t *testing.T) {
	t.Parallel()
	raw := wire.Request{Method: "GET", Raw: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}
	for name, c := range map[string]struct {
		answer string
		req    wire.Request
	}{
		"before the answer":             {"", raw},
		"within the answer":             {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", raw},
		"before the answer to fetch":    {"", wire.Request{Method: "GET", Fetch: true}},
		"before the answer to net/http": {"", wire.Request{Method: "GET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			req := c.req
			req.URL = speaking(t, func(conn *net.TCPConn) {
				_, _ = io.WriteString(conn, c.answer)
				time.Sleep(20 * time.Millisecond) // so that it arrives
				end()
				_, _ = io.Copy(io.Discard, conn)
			})
			assert.Equal(t, wire.Canceled, client(wire.Limits{}).Do(ctx, "X", req).Error)
		})
	}
}

// The errors are the same over HTTP/2.
func TestWhatGoesWrongOverHTTP2HasOneName(t *testing.T) {
	t.Parallel()
	reset := func(code http2.ErrCode) func(f *http2.Framer, stream uint32) {
		return func(f *http2.Framer, stream uint32) { _ = f.WriteRSTStream(stream, code) }
	}
	leave := func(last uint32, code http2.ErrCode) func(f *http2.Framer, stream uint32) {
		return func(f *http2.Framer, _ uint32) { _ = f.WriteGoAway(last, code, []byte("a secret of others")) }
	}
	for name, c := range map[string]struct {
		answer func(f *http2.Framer, stream uint32)
		want   string
	}{
		"stream: NO_ERROR":           {reset(http2.ErrCodeNo), wire.Reset},
		"stream: CANCEL":             {reset(http2.ErrCodeCancel), wire.Reset},
		"stream: ENHANCE_YOUR_CALM":  {reset(http2.ErrCodeEnhanceYourCalm), wire.Reset},
		"stream: INTERNAL_ERROR":     {reset(http2.ErrCodeInternal), wire.Closed},
		"stream: PROTOCOL_ERROR":     {reset(http2.ErrCodeProtocol), wire.Closed},
		"stream: HTTP_1_1_REQUIRED":  {reset(http2.ErrCodeHTTP11Required), wire.Closed},
		"GOAWAY: INTERNAL_ERROR":     {leave(1, http2.ErrCodeInternal), wire.Closed},
		"GOAWAY: PROTOCOL_ERROR":     {leave(0, http2.ErrCodeProtocol), wire.Closed},
		"GOAWAY: ENHANCE_YOUR_CALM":  {leave(1, http2.ErrCodeEnhanceYourCalm), wire.Reset},
		"a frame that breaks a rule": {breakARule, "HTTP/2"},
		"stream: within the body":    {withinBody(reset(http2.ErrCodeInternal)), wire.ClosedWithin},
		"GOAWAY: within the body":    {withinBody(leave(1, http2.ErrCodeInternal)), wire.ClosedWithin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := frames(t, func(f *http2.Framer, stream uint32) {
				c.answer(f, stream)
				if name[:6] == "GOAWAY" {
					panic(http.ErrAbortHandler) // it closes the connection
				}
			})
			ex := trusting(s, wire.Limits{Request: 5 * time.Second}).Do(t.Context(), "X", wire.Request{Method: "POST", URL: s.URL, Body: "{}"})
			assert.Contains(t, ex.Error, c.want)
			assert.NotContains(t, ex.Error, "secret")
			assert.False(t, wire.Ours(ex.Error), ex.Error)
		})
	}
}

// breakARule sends a window update of zero (RFC 9113 section 6.9).
func breakARule(f *http2.Framer, _ uint32) {
	_ = f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4))
}

// withinBody sends a header and a part of a body before the end.
func withinBody(end func(f *http2.Framer, stream uint32)) func(f *http2.Framer, stream uint32) {
	return func(f *http2.Framer, stream uint32) {
		var block fragment
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true})
		_ = f.WriteData(stream, false, []byte("{"))
		time.Sleep(50 * time.Millisecond) // so that both arrive
		end(f, stream)
	}
}

type fragment []byte

func (b *fragment) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// Failures of this machine are distinguished from those of the target.
func TestTroublesOfThisMachine(t *testing.T) {
	t.Parallel()
	dialing := func(e error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}
	}
	for _, e := range []error{
		dialing(syscall.EMFILE), dialing(syscall.ENFILE), dialing(syscall.EADDRNOTAVAIL), dialing(syscall.ENOBUFS), dialing(syscall.ENETUNREACH),
		fmt.Errorf("a name: %w", &wire.Refused{Host: "mcp.example", Addr: netip.MustParseAddr("10.0.0.1")}), wire.ErrPassive, wire.ErrRoom,
	} {
		plan := &faults.Plan{Request: func(context.Context, string) *faults.Fault { return &faults.Fault{Err: e} }}
		ex := client(wire.Limits{}).Do(faults.With(t.Context(), plan), "X", wire.Request{Method: "GET", URL: "http://127.0.0.1:1/"})
		assert.True(t, wire.Ours(ex.Error), ex.Error)
	}
	ftp := get(client(wire.Limits{}), "ftp://127.0.0.1/")
	assert.True(t, wire.Ours(ftp.Error), ftp.Error)
	assert.False(t, wire.Ours(get(client(wire.Limits{}), "http://127.0.0.1:1/").Error), "a refused connection counts as mcpauth's own failure")
}
