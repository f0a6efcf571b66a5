package listener_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/listener"
)

func TestListenerKeepsWhatArrives(t *testing.T) {
	l, err := listener.OpenAt("127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	post := func(path, body string) int {
		resp, err := http.Post(l.URL(path), "text/plain", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, 404, post("/a?x=1", "hello"), "the listener does not answer 404 by default")
	l.Answer(func(r listener.Request) listener.Answer {
		return listener.Answer{Status: 201, Header: map[string]string{"X-Path": r.URL}}
	})
	assert.Equal(t, 201, post("/b", strings.Repeat("x", 1<<20)))
	l.Answer(nil)
	assert.Equal(t, 404, post("/c", ""))
	seen := l.Seen()
	require.Len(t, seen, 3)
	assert.Equal(t, "/a?x=1", seen[0].URL)
	assert.Equal(t, "hello", seen[0].Body)
	assert.Equal(t, "POST", seen[0].Method)
	assert.Len(t, seen[1].Body, 16<<10, "a long body is not cut to its beginning")
	assert.Equal(t, 3, l.Hits())
}

// A listener keeps few of a flood of requests, and counts all of them.
func TestAFloodIsNotKept(t *testing.T) {
	l, err := listener.OpenAt("127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	const requests = 600
	for range requests {
		r, err := http.NewRequest(http.MethodPost, l.URL("/"+strings.Repeat("p", 8<<10)), strings.NewReader(strings.Repeat("b", 20<<10)))
		require.NoError(t, err)
		r.Header.Set("X-Long", strings.Repeat("h", 20<<10))
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	assert.Equal(t, requests, l.Hits())
	kept := 0
	for _, r := range l.Seen() {
		kept += len(r.URL) + len(r.Body) + len(r.Header.Get("X-Long"))
	}
	assert.Less(t, kept, 9<<20)
	assert.Greater(t, kept, 1<<20)

	r, err := http.NewRequest(http.MethodGet, l.URL("/"), nil)
	require.NoError(t, err)
	r.Header.Set("X-Long", strings.Repeat("h", 200<<10))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

func TestListenerSaysWhyItCannotListen(t *testing.T) {
	l, err := listener.OpenAt("127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = listener.OpenAt(l.Host())
	assert.ErrorContains(t, err, "address already in use: end the program that listens there, or choose another address")
}
