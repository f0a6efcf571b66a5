package flaws

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// passing are flaws of credentials and data that a server passes on to the APIs that its tools call, and from them.
var passing = []Flaw{
	{
		Name: "passes-token", Says: "The caller's token goes to the API.",
		Bend: lacks(mcpserver.KeepToken), Noticed: []string{"RS-PASS-NO-TRANSIT"}, Also: []string{"RS-PASS-URL-TOOL-NO-LEAK"},
	},
	passesOn("base64", "The caller's token goes to the API in Base64.", func(out *http.Request, token string) {
		out.Header.Set("X-User-Context", base64.StdEncoding.EncodeToString([]byte(token)))
	}),
	passesOn("basic", "The caller's token goes to the API as a password.", func(out *http.Request, token string) {
		out.SetBasicAuth("mcp", token)
	}),
	passesOn("base64-for-urls", "The caller's token goes to the API in an object, in Base64 for URLs.", func(out *http.Request, token string) {
		q := out.URL.Query()
		q.Set("ctx", base64.RawURLEncoding.EncodeToString([]byte(`{"caller":"`+token+`"}`)))
		out.URL.RawQuery = q.Encode()
	}),
	passesOn("body", "The caller's token goes to the API in a message.", func(out *http.Request, token string) {
		body := `{"user_token":"` + token + `"}`
		out.Method, out.Body, out.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
	}),
	{
		Name: "passes-headers", Says: "The caller's header fields go to the API.",
		Bend: lacks(mcpserver.KeepHeaders), Noticed: []string{"RS-PASS-NO-HEADER-FORWARDING"},
	},
	{
		Name: "key-for-any-url", Says: "The key for the API goes to whatever address a caller names.",
		Bend: lacks(mcpserver.KeyForAPI), Noticed: []string{"RS-PASS-URL-TOOL-NO-LEAK"},
	},
	{
		Name: "relays-status", Says: "A refusal of the API is passed on to the caller unchanged.",
		Bend: lacks(mcpserver.OwnStatus), Noticed: []string{"RS-PASS-UPSTREAM-401-NOT-RELAYED"},
	},
	{
		Name: "shows-request", Says: "An error shows the request to the API, with its key.",
		Bend: lacks(mcpserver.HideUpstreamRequest), Noticed: []string{"RS-PASS-UPSTREAM-SECRET-HIDDEN"},
	},
	{
		Name: "crash-shows-request", Says: "A server error shows the request to the API, with its key.",
		Bend: func(o *reference.Options) {
			lacks(mcpserver.HideUpstreamRequest)(o)
			o.Wrap = crashingWith("the request failed: ")
		},
		Noticed: []string{"RS-PASS-UPSTREAM-SECRET-HIDDEN"}, Also: []string{"RS-PASS-*"},
	},
	{
		Name: "takes-foreign-tokens", Says: "A token of the API is accepted by the MCP server.",
		Bend: lacks(mcpserver.RefuseForeignTokens), Noticed: []string{"RS-PASS-FOREIGN-TOKEN-REFUSED"},
		Also: []string{
			"RS-TOKEN-*", "RS-CHALLENGE-*", "RS-AUD-*", "RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-SESSION-*", "RS-ABUSE-*",
			"RS-SCOPE-*", "RS-TRANSPORT-*",
		},
	},
}

// crashingWith answers HTTP 500 with the answer to a call of a tool that contains a text.
func crashingWith(text string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || !strings.Contains(string(answer.Peek(r)), "tools/call") {
				next.ServeHTTP(w, r)
				return
			}
			a := answer.Of(next, r)
			if strings.Contains(a.Body.String(), text) {
				a.Status = http.StatusInternalServerError
			}
			a.Send(w)
		})
	}
}

func passesOn(name, says string, how func(out *http.Request, token string)) Flaw {
	return Flaw{
		Name: "passes-token-" + name, Says: says, Bend: policy(func(p *mcpserver.Policy) { p.PassesOn = how }),
		Noticed: []string{"RS-PASS-NO-TRANSIT"}, Also: []string{"RS-PASS-*"},
	}
}
