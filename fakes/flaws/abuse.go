package flaws

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// abuses has one flaw for each row of the tables of texts, files and sizes.
var abuses = slices.Concat(openedFiles, reflections, chokes, costlyTokens, []Flaw{
	{
		Name: "token-in-header-field", Says: "A header field of the answers shows the caller's token.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
					w.Header().Set("X-Debug-Token", token)
				}
				return false
			})
		},
		Noticed: []string{"RS-ABUSE-SECRETS-IN-OUTPUT"}, Row: "the access token",
		Also: []string{"RS-CHALLENGE-BODY-HYGIENE", "RS-TOKEN-*", "RS-ABUSE-*"},
	},
	{
		Name: "token-in-crash", Says: "A server error shows the caller's token.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				crashes := strings.Contains(string(answer.Peek(r)), "no-such-resource")
				if crashes {
					http.Error(w, "while serving Authorization: "+r.Header.Get("Authorization"), http.StatusInternalServerError)
				}
				return crashes
			})
		},
		Noticed: []string{"RS-ABUSE-SECRETS-IN-OUTPUT"}, Row: "an unknown resource",
	},
	{
		Name: "key-parameter-nested", Says: "A tool accepts an API key in an object.",
		Bend: lacks(mcpserver.NoNestedSecrets), Noticed: []string{"RS-ABUSE-SENSITIVE-PARAMETERS"}, Row: "auth.api_key",
	},
	{
		Name: "arguments-optional", Says: "A tool runs without an argument that it needs.",
		Bend: lacks(mcpserver.NeedArguments), Noticed: []string{"RS-ABUSE-INPUT-VALIDATION"}, Row: "without ",
	},
	{
		Name: "arguments-null", Says: "A tool runs with null for a text.",
		Bend: lacks(mcpserver.RefuseNull), Noticed: []string{"RS-ABUSE-INPUT-VALIDATION"}, Row: "null for ",
	},
	{
		Name: "body-length-believed", Says: "The server trusts Content-Length, and does not count the bytes of a message.",
		Bend: lacks(mcpserver.CountBody), Noticed: []string{"RS-ABUSE-BODY-LIMIT"}, Row: "chunked",
	},
})

const passwdLine = "root:x:0:0:root:/root:/bin/sh\n" // the line that the flaw returns

// openedFiles are the ways in which the name of a resource can lead to a file of the system.
var openedFiles = []Flaw{
	opens("by-scheme", "file:///etc/passwd", func(uri string) string { return strings.TrimPrefix(uri, "file://") }),
	opens("by-host", "file://localhost/etc/passwd", func(uri string) string { return strings.TrimPrefix(uri, "file://localhost") }),
	opens("by-path", "/etc/passwd", func(uri string) string { return uri }),
	opens("decoded", ", percent-encoded", decodedTimes(1)),
	opens("decoded-twice", ", percent-encoded twice", decodedTimes(2)),
	opens("cleaned-once", "as ....//", func(uri string) string { return climbed(strings.ReplaceAll(uri, "../", "")) }),
	opens("cut-at-nul", "with NUL", func(uri string) string {
		name, _, cut := strings.Cut(uri, "\x00")
		if !cut {
			return ""
		}
		return climbed(name)
	}),
	opens("with-backslashes", "with backslashes", func(uri string) string {
		if !strings.Contains(uri, `\`) {
			return ""
		}
		return climbed(strings.ReplaceAll(uri, `\`, "/"))
	}),
}

// decodedTimes returns a function that decodes a name n times.
func decodedTimes(n int) func(uri string) string {
	return func(uri string) string {
		for range n {
			once, err := url.PathUnescape(uri)
			if err != nil || once == uri {
				return ""
			}
			uri = once
		}
		return climbed(uri)
	}
}

// climbed returns the file that a path reaches when it leaves its folder.
func climbed(path string) string {
	if strings.HasSuffix(path, "../etc/passwd") {
		return "/etc/passwd"
	}
	return ""
}

// opens returns the flaw of a server that derives a file from the name of a resource, opens it, and answers in base64.
func opens(name, row string, file func(uri string) string) Flaw {
	return Flaw{
		Name: "opens-files-" + name, Says: "The name of a resource leads to a file of the system: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				var m struct {
					ID     json.RawMessage
					Method string
					Params struct{ URI string }
				}
				err := json.Unmarshal(answer.Peek(r), &m)
				found := err == nil && m.Method == "resources/read" && file(m.Params.URI) == "/etc/passwd" && r.Header.Get("Authorization") != ""
				if found {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","contents":[{"uri":"file:///etc/passwd","blob":"%s"}]}}`,
						m.ID, base64.StdEncoding.EncodeToString([]byte(passwdLine)))
				}
				return found
			})
		},
		Noticed: []string{"RS-ABUSE-RESOURCE-TRAVERSAL"}, Row: row,
	}
}

// reflections are the places in an answer that can show the caller's text.
var reflections = []Flaw{
	reflects("path-lines", "line breaks in the path", func(r *http.Request, _ string) string { return r.URL.Path }),
	reflects("query-lines", "line breaks in the query", func(r *http.Request, _ string) string { return r.URL.Query().Get("state") }),
	reflects("tool-lines", "line breaks in a tool's name", func(_ *http.Request, body string) string {
		return strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(body)
	}),
	reflects("credential-page", "HTML in the credential", func(r *http.Request, _ string) string { return r.Header.Get("Authorization") }),
	reflects("origin-page", "HTML in Origin", func(r *http.Request, _ string) string { return r.Header.Get("Origin") }),
	reflects("version-page", "HTML in MCP-Protocol-Version", func(r *http.Request, _ string) string {
		return r.Header.Get("MCP-Protocol-Version")
	}),
	reflects("query-page", "HTML in the query", func(r *http.Request, _ string) string { return r.URL.Query().Get("state") }),
	reflects("method-page", "HTML in the method", func(_ *http.Request, body string) string {
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(body)
	}),
}

// reflects returns the flaw of a server whose answers contain the caller's text: line breaks in a header field, or markup in a page.
func reflects(name, row string, text func(r *http.Request, body string) string) Flaw {
	return Flaw{
		Name: "reflects-" + name, Says: "An answer contains what the caller sent: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				said := text(r, string(answer.Peek(r)))
				if _, line, broken := strings.Cut(said, "\r\nX-Injected: "); broken {
					w.Header().Set("X-Injected", line[:1])
				}
				if strings.Contains(said, "<script>mcpauth") {
					w.Header().Set("Content-Type", "text/html")
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprint(w, said)
				}
				return strings.Contains(said, "<script>mcpauth")
			})
		},
		Noticed: []string{"RS-ABUSE-HEADER-INJECTION"}, Row: row,
	}
}

// chokes are messages that end the process of a careless server.
var chokes = []Flaw{
	chokesOn("lists", "lists 1,000 deep", strings.Repeat("[", 1_000)),
	chokesOn("objects", "objects 10,000 deep", strings.Repeat(`{"a":`, 10_000)),
	chokesOn("digits", "a number of 500,000 digits", strings.Repeat("9", 500_000)),
	chokesOn("escapes", "100,000 escaped characters", strings.Repeat(`\u0041`, 100_000)),
}

func chokesOn(name, row, part string) Flaw {
	return Flaw{
		Name: "chokes-on-" + name, Says: "A message with " + row + " crashes the server.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") != "" && strings.Contains(string(answer.Peek(r)), part) {
					panic(http.ErrAbortHandler)
				}
				return false
			})
		},
		Noticed: []string{"RS-ABUSE-DECOMPRESSION"}, Row: row,
	}
}

// costlyTokens are tokens whose verification takes long or crashes.
var costlyTokens = []Flaw{
	costly("pbes2", "a JWE with two thousand million rounds of PBES2", "PBES2"),
	costly("zip", "a compressed JWE", `"zip"`),
	costly("exponent", "a JWS with an exponent of 4,096 bits in its key", `"kty":"RSA"`),
}

func costly(name, row, header string) Flaw {
	return Flaw{
		Name: "costly-token-" + name, Says: "The server computes what is too expensive: " + row + ".",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				first, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
				if text, err := base64.RawURLEncoding.DecodeString(first); err == nil && strings.Contains(string(text), header) {
					panic(http.ErrAbortHandler)
				}
				return false
			})
		},
		Noticed: []string{"RS-ABUSE-JWE-COST"}, Row: row, Also: []string{"RS-TOKEN-*", "RS-CHALLENGE-*"},
	}
}
