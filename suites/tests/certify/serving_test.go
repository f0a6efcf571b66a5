package certify_test

import (
	"io"
	"net/http"
)

// serving answers one path with a text, before the server behind it; empty: not at all.
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
