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
	l, err := listener.Open()
	require.NoError(t, err)
	defer l.Close()
	post := func(path, body string) int {
		resp, err := http.Post(l.URL(path), "text/plain", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, 404, post("/a?x=1", "hello"), "unless it is told otherwise")
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
	assert.Len(t, seen[1].Body, 16<<10, "of a long body the beginning is kept")
	assert.Equal(t, 3, l.Hits())
}

func TestListenerSaysWhyItCannotListen(t *testing.T) {
	l, err := listener.Open()
	require.NoError(t, err)
	defer l.Close()
	_, err = listener.OpenAt(l.Host())
	assert.ErrorContains(t, err, "address already in use")
}
