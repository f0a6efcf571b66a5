package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
)

// Reading any event stream ends, stores no more than the limit of a body, and takes memory in proportion to that.
func FuzzEventStream(f *testing.F) {
	for _, s := range []string{"data: {}\n\n", "event: message\r\ndata: a\r\ndata: b\r\n\r\n", "data:\n\n", ": comment\n", "\n",
		"data: x", "data\n"} {
		f.Add(s)
	}
	c := New(Options{Guard: NewGuard("127.0.0.1", nil)})
	f.Fuzz(func(t *testing.T, part string) {
		if part == "" || len(part) > 64<<10 {
			t.Skip()
		}
		for _, n := range []int{1, 1 + 2<<20/len(part)} { // as it is, and beyond the limit
			response, seen := &reports.Response{}, 0
			costs.Bounded(t, min(n*len(part), 1<<20), 100, func() {
				body := io.LimitReader(&endless{part: part}, int64(n*len(part)))
				_ = c.stream(Request{Until: func(string) bool { seen++; return false }}, io.NopCloser(nil), body, response)
			})
			if len(response.Body) > 1<<20 || seen > c.opt.Limits.Events {
				t.Errorf("%d bytes and %d events were read", len(response.Body), seen)
			}
			if n > 1 && !response.Truncated {
				t.Error("the response is not marked as truncated")
			}
		}
	})
}

// endless repeats a text forever.
type endless struct {
	part string
	rest strings.Reader
}

func (e *endless) Read(b []byte) (int, error) {
	if e.rest.Len() == 0 {
		e.rest.Reset(e.part)
	}
	return e.rest.Read(b)
}

// Many streams may arrive at once, each with an endless event: when they have used up the shared memory, the next one is cut off.
func TestLongBodiesShareTheirRoom(t *testing.T) {
	c := New(Options{Guard: NewGuard("127.0.0.1", nil)})
	others := &sharing{Reader: io.LimitReader(&endless{part: "x"}, atOnce+1), client: c}
	_, err := io.Copy(io.Discard, others)
	require.NoError(t, err)
	stream := &reports.Response{}
	assert.ErrorIs(t, c.stream(Request{}, io.NopCloser(nil), &endless{part: "data: x"}, stream), ErrRoom)
	assert.True(t, stream.Truncated)
	assert.InDelta(t, long, len(stream.Body), 8<<10)
	body := func() (*reports.Response, error) {
		return c.read(Request{}, &http.Response{StatusCode: 200, Body: io.NopCloser(io.LimitReader(&endless{part: "x"}, 500<<10))})
	}
	cut, err := body()
	require.ErrorIs(t, err, ErrRoom, "a body that was cut is returned without ErrRoom")
	assert.True(t, cut.Truncated)
	others.end()
	assert.Zero(t, c.reading.Load(), "a body that has been read still uses room")
	whole, err := body()
	require.NoError(t, err)
	assert.False(t, whole.Truncated)
	assert.Len(t, whole.Body, 500<<10)
	alone := &reports.Response{}
	require.NoError(t, c.stream(Request{}, io.NopCloser(nil), &endless{part: "data: x"}, alone))
	assert.Len(t, alone.Body, 1<<20)
}

// A stream stays open beyond the time limit of requests until the check closes it, and does not keep other requests waiting.
func TestAStreamStaysOpenUntilItIsClosed(t *testing.T) {
	late := make(chan struct{})
	send := sync.OnceFunc(func() { close(late) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-late
			_, _ = io.WriteString(w, "data: late\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	defer send()
	const limit = 200 * time.Millisecond
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Concurrency: 1, Request: limit}})
	opened, events, closed, ended := make(chan struct{}), make(chan string, 1), make(chan struct{}), make(chan *reports.Exchange, 1)
	go func() {
		ended <- c.Do(t.Context(), "check", Request{Method: "GET", URL: server.URL + "/stream", Close: closed,
			Opened: func() { close(opened) }, Until: func(data string) bool { events <- data; return false }})
	}()
	<-opened
	other := c.Do(t.Context(), "check", Request{Method: "GET", URL: server.URL + "/other"})
	require.NotNil(t, other.Response, other.Error)
	select {
	case ex := <-ended:
		t.Fatalf("the stream ended: %q", ex.Error)
	case <-time.After(2 * limit):
	}
	send()
	assert.Equal(t, "late", <-events)
	close(closed)
	assert.Empty(t, (<-ended).Error)
}

// The header of a stream must arrive within the time limit of requests.
func TestAStreamWithoutAHeaderEndsAtTheTimeLimit(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Request: 50 * time.Millisecond}})
	ex := c.Do(t.Context(), "check", Request{Method: "GET", URL: server.URL, Close: make(chan struct{})})
	assert.Equal(t, TimedOut, ex.Error)
}
