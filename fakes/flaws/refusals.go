package flaws

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// otherRefusals are the flaws of refusals that the first request without a token does not show.
var otherRefusals = []Flaw{
	badChallenge("get", "of a GET", "GET without a token", func(r *http.Request) bool { return r.Method == http.MethodGet }),
	badChallenge("delete", "of a DELETE", "DELETE without a token", func(r *http.Request) bool { return r.Method == http.MethodDelete }),
	bareChallenge("in-session", "no token, in a session", func(r *http.Request) bool { return r.Header.Get("Mcp-Session-Id") != "" }),
	bareChallenge("to-own-page", "no token, from the server's own page", func(r *http.Request) bool {
		return r.Header.Get("Origin") == "http://"+r.Host
	}),
	bareChallenge("at-old-revision", "no token, at 2025-06-18", func(r *http.Request) bool {
		return bytes.Contains(answer.Peek(r), []byte(`"protocolVersion":"2025-06-18"`))
	}),
	realmChallenge("of-get", "GET without a token", verb(http.MethodGet)),
	realmChallenge("of-delete", "DELETE with a garbage token", verb(http.MethodDelete)),
	realmChallenge("of-expired", "an expired token", credential(func(v string) bool { return strings.Count(v, ".") == 2 })),
	realmChallenge("of-empty-token", "an empty token", credential(func(v string) bool { return strings.TrimSpace(v) == "Bearer" })),
	badChallenge("empty-token", "of an empty token", "an empty token",
		credential(func(v string) bool { return strings.TrimSpace(v) == "Bearer" })),
	badChallenge("two-words", "of a malformed field", "two words after Bearer",
		credential(func(v string) bool { return strings.Count(v, " ") == 2 })),
	badChallenge("basic", "of another scheme", "Basic credentials", credential(func(v string) bool { return strings.HasPrefix(v, "Basic ") })),
	badChallenge("jwt", "of a bad JWT", "an expired token", credential(func(v string) bool { return strings.Count(v, ".") == 2 })),
	{
		Name: "refusal-challenge-foreign-host", Says: "The challenge to a request for another host is not quoted.",
		Bend: func(o *reference.Options) {
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckHost)
			o.Wrap = unquoted(func(r *http.Request) bool { return strings.HasSuffix(r.Host, ".example") })
		},
		Noticed: []string{"RS-CHALLENGE-GRAMMAR"}, Also: []string{"RS-TRANSPORT-HOST-REBINDING", "RS-CHALLENGE-BEARER-PARAMS"},
		Row: "a foreign Host",
	},
	crash("form", "a form", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	}),
	crash("multipart", "a multipart form", func(r *http.Request, _ []byte) bool {
		return strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
	}),
	crash("media-type", "an unknown media type", func(r *http.Request, _ []byte) bool {
		return r.Header.Get("Content-Type") == "application/x-mcpauth"
	}),
	crash("empty", "an empty body", func(r *http.Request, body []byte) bool { return r.Method == http.MethodPost && len(body) == 0 }),
	crash("truncated", "JSON that ends early", func(_ *http.Request, body []byte) bool { return string(body) == `{"jsonrpc":` }),
	crash("null", "null", func(_ *http.Request, body []byte) bool { return string(body) == "null" }),
	crash("large", "a body of 2 MiB", func(_ *http.Request, body []byte) bool { return len(body) >= mcpserver.MostBody }),
	{
		Name: "foreign-product", Says: "The challenge names the metadata at the root, which is about another product.",
		Bend: func(o *reference.Options) {
			o.Policy.Challenge = func(cause, url string) []string {
				return always(`Bearer resource_metadata="{url}", scope="notes:read"`)(cause, strings.TrimSuffix(url, "/mcp"))
			}
			o.Policy.PRM = func(place string, doc map[string]any) {
				if place == "root" {
					doc["resource"] = strings.TrimSuffix(doc["resource"].(string), "/mcp") + "/other"
				}
			}
		},
		Noticed: []string{"RS-CHALLENGE-RESOURCE-METADATA-URL", "RS-DISC-RESOURCE-MATCH"},
		Also:    []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-DISC-WELL-KNOWN-LOCATION"},
	},
	{
		Name: "trace", Says: "TRACE is answered with the request.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodTrace {
					w.Header().Set("Content-Type", "message/http")
					_ = r.Header.Write(w)
				}
				return r.Method == http.MethodTrace
			})
		},
		Noticed: []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"}, Row: "TRACE",
	},
	{
		Name: "response-open", Says: "A JSON-RPC response is accepted without a token.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				accepted := bytes.Contains(answer.Peek(r), []byte(`"result":{}`)) && r.Header.Get("Authorization") == ""
				if accepted {
					w.WriteHeader(http.StatusAccepted)
				}
				return accepted
			})
		},
		Noticed: []string{"RS-CHALLENGE-EVERY-RPC-METHOD"}, Row: "a JSON-RPC response", Also: []string{"RS-SESSION-NOT-AUTHENTICATION"},
	},
}

// badChallenge returns the flaw of a challenge that is right for the first request, and unquoted for others.
func badChallenge(name, of, row string, when func(*http.Request) bool) Flaw {
	return Flaw{
		Name: "refusal-challenge-" + name, Says: "The challenge in the refusal " + of + " is not quoted.",
		Bend:    func(o *reference.Options) { o.Wrap = unquoted(when) },
		Noticed: []string{"RS-CHALLENGE-GRAMMAR"},
		Also:    []string{"RS-CHALLENGE-*", "RS-TOKEN-*", "RS-AUD-*", "RS-DPOP-*", "RS-SESSION-*", "RS-STATIC-*", "RS-ABUSE-*"}, Row: row,
	}
}

// bareChallenge is the flaw of a challenge that is right for the first request, and without parameters for others.
func bareChallenge(name, row string, when func(*http.Request) bool) Flaw {
	return Flaw{
		Name: "refusal-bare-" + name, Says: "The challenge is the word Bearer alone: " + row + ".",
		Bend:    func(o *reference.Options) { o.Wrap = bending(when, challengeOf("Bearer")) },
		Noticed: []string{"RS-CHALLENGE-BEARER-PARAMS", "RS-CHALLENGE-RESOURCE-METADATA"}, Row: row,
	}
}

// realmChallenge is the flaw of a challenge that is right for the first request, and has only a realm for others.
func realmChallenge(name, row string, when func(*http.Request) bool) Flaw {
	return Flaw{
		Name: "refusal-realm-" + name, Says: "The challenge has a realm alone: " + row + ".",
		Bend:    func(o *reference.Options) { o.Wrap = bending(when, challengeOf(`Bearer realm="mcp"`)) },
		Noticed: []string{"RS-CHALLENGE-RESOURCE-METADATA"}, Row: row, Also: []string{"RS-CHALLENGE-INVALID-TOKEN-ERROR", "RS-DPOP-*"},
	}
}

// challengeOf replaces the challenge of a 401.
func challengeOf(field string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" && len(w.Header().Values("WWW-Authenticate")) > 0 {
			w.Header().Set("WWW-Authenticate", field)
		}
	}
}

func credential(is func(v string) bool) func(*http.Request) bool {
	return func(r *http.Request) bool { return is(r.Header.Get("Authorization")) }
}

// crash returns the flaw of a server error instead of a refusal, for a body sent without a token.
func crash(name, row string, when func(r *http.Request, body []byte) bool) Flaw {
	return Flaw{
		Name: "refusal-crash-" + name, Says: "A request without a token and with " + row + " is answered 500.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				crashes := r.Header.Get("Authorization") == "" && r.URL.Path == "/mcp" && when(r, answer.Peek(r))
				if crashes {
					http.Error(w, "internal error", http.StatusInternalServerError)
				}
				return crashes
			})
		},
		Noticed: []string{"RS-CHALLENGE-NO-5XX"}, Also: []string{"RS-ABUSE-*", "RS-TRANSPORT-*", "RS-SESSION-*"}, Row: row,
	}
}

// before lets a function answer instead of the server; the function reports whether it did.
func before(answers func(w http.ResponseWriter, r *http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !answers(w, r) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// unquoted removes the quotes from the challenge of some refusals.
func unquoted(when func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if when(r) {
				w = &unquoting{w}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// heading changes the header of every answer.
func heading(bend func(h http.Header)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&headed{ResponseWriter: w, bend: bend}, r)
		})
	}
}

type headed struct {
	http.ResponseWriter
	bend func(h http.Header)
	sent bool
}

// Unwrap gives access to the Flusher.
func (w *headed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *headed) WriteHeader(status int) {
	w.sent = true
	w.bend(w.Header())
	w.ResponseWriter.WriteHeader(status)
}

func (w *headed) Write(b []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

type unquoting struct{ http.ResponseWriter }

// Unwrap gives access to the Flusher.
func (u *unquoting) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (u *unquoting) WriteHeader(status int) {
	fields := u.Header()["Www-Authenticate"]
	for i, f := range fields {
		fields[i] = strings.ReplaceAll(f, `"`, "")
	}
	u.ResponseWriter.WriteHeader(status)
}
