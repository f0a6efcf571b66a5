package suites_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A run ends each session that it opens: a server may limit the number of sessions.
func TestARunEndsItsSessions(t *testing.T) {
	t.Parallel()
	open := &openSessions{ids: map[string]bool{}}
	o := reference.Ideal()
	o.Wrap = open.counting
	_, err := suites.Run(context.Background(), against.SigningIn(against.Start(t, o)))
	require.NoError(t, err)
	assert.Greater(t, open.opened, 100)
	assert.Empty(t, open.ids)
}

// openSessions are the sessions that a server has opened and that have not ended.
type openSessions struct {
	sync.Mutex
	ids    map[string]bool
	opened int
}

func (o *openSessions) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&answered{w, func(status int) { o.count(r, w.Header(), status) }}, r)
	})
}

func (o *openSessions) count(r *http.Request, answer http.Header, status int) {
	o.Lock()
	defer o.Unlock()
	named, given := r.Header.Get("Mcp-Session-Id"), answer.Get("Mcp-Session-Id")
	switch {
	case status > 299:
	case r.Method == http.MethodDelete:
		delete(o.ids, named)
	case given != "" && given != named:
		o.opened++
		o.ids[given] = true
	}
}

// answered reports the status of an answer.
type answered struct {
	http.ResponseWriter
	tell func(status int)
}

func (a *answered) WriteHeader(status int) {
	a.tell(status)
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap gives access to the Flusher.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
