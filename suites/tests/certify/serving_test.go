package certify_test

import (
	"io"
	"net/http"
)

// serving serves a text at one path, in front of the server; empty: it changes nothing.
func serving(path, text string) func(h http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path && text != "" {
				_, _ = io.WriteString(w, text)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}
