// Package answer lets a fake change what one of its handlers is about to answer.
package answer

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
)

// Answer is the answer of a handler, before it is sent.
type Answer struct {
	Status int
	Fields http.Header
	Body   bytes.Buffer
}

// Of lets a handler answer a request.
func Of(next http.Handler, r *http.Request) *Answer {
	a := &Answer{Status: http.StatusOK, Fields: http.Header{}}
	next.ServeHTTP(a, r)
	return a
}

// Header, WriteHeader and Write keep the answer.
func (a *Answer) Header() http.Header         { return a.Fields }
func (a *Answer) WriteHeader(status int)      { a.Status = status }
func (a *Answer) Write(b []byte) (int, error) { return a.Body.Write(b) }

// Send answers.
func (a *Answer) Send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Fields)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body.Bytes())
}

// Changed is a handler whose answers are changed where the path holds a text.
func Changed(next http.Handler, at string, change func(r *http.Request, a *Answer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, at) {
			next.ServeHTTP(w, r)
			return
		}
		a := Of(next, r)
		change(r, a)
		a.Send(w)
	})
}
