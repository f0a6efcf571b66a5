// Package answer lets a fake change what one of its handlers is about to answer.
package answer

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
)

// Answer is a handler's answer before it is sent.
type Answer struct {
	Status int
	Fields http.Header
	Body   bytes.Buffer
}

// Of runs a handler and returns its answer.
func Of(next http.Handler, r *http.Request) *Answer {
	a := &Answer{Status: http.StatusOK, Fields: http.Header{}}
	next.ServeHTTP(a, r)
	return a
}

// Header, WriteHeader and Write record the answer.
func (a *Answer) Header() http.Header         { return a.Fields }
func (a *Answer) WriteHeader(status int)      { a.Status = status }
func (a *Answer) Write(b []byte) (int, error) { return a.Body.Write(b) }

// Say replaces the body.
func (a *Answer) Say(body string) {
	a.Body.Reset()
	a.Body.WriteString(body)
}

// Send sends the answer.
func (a *Answer) Send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Fields)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body.Bytes())
}

// Changed wraps a handler and changes its answers for paths that contain at.
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

// ChangedWhere wraps a handler and changes its answers to requests whose body contains a text.
func ChangedWhere(next http.Handler, text string, change func(body []byte, a *Answer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := Peek(r)
		if !bytes.Contains(body, []byte(text)) {
			next.ServeHTTP(w, r)
			return
		}
		a := Of(next, r)
		change(body, a)
		a.Send(w)
	})
}

// Failing wraps a handler and answers 500 at paths that contain at, where fails says so; it is asked at these paths only.
func Failing(next http.Handler, at string, fails func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, at) && fails() {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Peek reads the body of a request, and puts it back.
func Peek(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body) // the server notices if it is cut off
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}
