package suites_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A run ends each session that it opens: a server may limit the number of sessions.
func TestARunEndsItsSessions(t *testing.T) {
	t.Parallel()
	idealRun(t)
	ideal.opened.Lock()
	defer ideal.opened.Unlock()
	assert.Greater(t, ideal.opened.opened, 100)
	assert.Empty(t, ideal.opened.ids)
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
