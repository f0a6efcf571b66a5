package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/reference"
)

// moved redirects paths with one prefix to the same paths with another.
func moved(from, to string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, from):
				http.Redirect(w, r, to+strings.TrimPrefix(r.URL.Path, from), http.StatusMovedPermanently)
				return
			case strings.HasPrefix(r.URL.Path, to):
				r.URL.Path = from + strings.TrimPrefix(r.URL.Path, to)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// nothingAtPath answers the path-specific well-known location, which the challenge names, with something that is not a document.
func nothingAtPath(mediaType, body string) func(http.Handler) http.Handler {
	return before(func(w http.ResponseWriter, r *http.Request) bool {
		at := r.URL.Path == "/.well-known/oauth-protected-resource/mcp" && r.Method == http.MethodGet
		if at {
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Access-Control-Allow-Origin", "*")
			_, _ = w.Write([]byte(body))
		}
		return at
	})
}

// reflecting returns the flaw of a document that copies a field of the request into its URLs: as a host, or as another part of the URL.
func reflecting(field, part string) Flaw {
	resource := func(v string) string {
		switch part {
		case "scheme":
			return v + "://mcp.example/mcp"
		case "port":
			return "https://mcp.example:" + v // a resource need not have a path
		}
		return "https://mcp.example/" + v + "/mcp"
	}
	return Flaw{
		Name: "reflects-" + strings.ToLower(field), Says: "The document follows " + field + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				v := r.Header.Get(field)
				reflects := v != "" && strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource")
				if reflects {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"resource":"` + resource(v) + `"}`))
				}
				return reflects
			})
		},
		Noticed: []string{"RS-DISC-HOST-HEADER"}, Row: field,
	}
}
