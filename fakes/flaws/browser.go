package flaws

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// reads has the authorization endpoint read another request than the one that came.
func reads(change func(q url.Values)) func(o *reference.Options) {
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && atAuthorization(r) {
			change(q)
			r.URL.RawQuery = q.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

// wrapping wraps the authorization server.
func wrapping(serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, next) })
		}
	})
}

func atAuthorization(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/authorize")
}

// answer is what the authorization server is about to answer.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header, WriteHeader and Write keep the answer.
func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// params are those of an answer to the client in the query of a redirect; nil if it is none.
func (a *answer) params() url.Values {
	_, query, _ := strings.Cut(a.header.Get("Location"), "?")
	q, err := url.ParseQuery(query)
	if err != nil || !q.Has("code") && !q.Has("error") {
		return nil
	}
	return q
}

func (a *answer) setParams(q url.Values) {
	to, _, _ := strings.Cut(a.header.Get("Location"), "?")
	a.header.Set("Location", to+"?"+q.Encode())
}

// pageAnswers bends what the pages and the authorization endpoint answer. sent is the authorization request with the state of an answer
// to the client, and otherwise the last one that came.
func pageAnswers(bend func(r *http.Request, sent url.Values, a *answer)) func(o *reference.Options) {
	var mu sync.Mutex
	requests := map[string]url.Values{}
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		page := strings.HasSuffix(r.URL.Path, "/login") || strings.HasSuffix(r.URL.Path, "/consent")
		if !page && !strings.HasSuffix(r.URL.Path, "/authorize") {
			next.ServeHTTP(w, r)
			return
		}
		q := r.URL.Query()
		a := &answer{status: http.StatusOK, header: http.Header{}}
		mu.Lock()
		if atAuthorization(r) {
			requests["state "+q.Get("state")], requests[""] = q, q
		}
		mu.Unlock()
		next.ServeHTTP(a, r)
		mu.Lock()
		sent := requests["state "+a.params().Get("state")]
		if sent == nil {
			sent = requests[""]
		}
		mu.Unlock()
		bend(r, sent, a)
		for name, values := range a.header {
			w.Header()[name] = values
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body.Bytes())
	})
}

// toClient bends the parameters of answers to the client.
func toClient(bend func(sent, params url.Values)) func(o *reference.Options) {
	return pageAnswers(func(_ *http.Request, sent url.Values, a *answer) {
		if q := a.params(); q != nil {
			bend(sent, q)
			a.setParams(q)
		}
	})
}

// crashes answers an authorization request with a server error.
func crashes(when func(r *http.Request) bool) func(o *reference.Options) {
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/authorize") && when(r) {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// all bends in several ways. Only one of them may wrap the server.
func all(bends ...func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		for _, bend := range bends {
			bend(o)
		}
	}
}
