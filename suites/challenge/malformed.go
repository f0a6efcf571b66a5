package challenge

import (
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// malformed are the checks on requests with more than one token, or a token of more than one word.
func malformed() {
	Should("RS-CHALLENGE-MALFORMED-400", func(t *T) {
		good := t.MCP.Token()
		for about, lines := range Sorted(map[string]string{
			"two Authorization fields":       "Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n",
			"two tokens in one field":        "Authorization: Bearer " + good + ", Bearer " + good + "\r\n",
			"two words after Bearer":         "Authorization: Bearer " + good + " more\r\n",
			"nothing after Bearer":           "Authorization: Bearer\r\n",
			"a field without scheme or word": "Authorization: \r\n",
		}) {
			ex := t.Do(RawPost(t, lines))
			code, _ := expect.Param(ex, "error")
			switch s := expect.Status(ex); {
			case t.MCP.Served(ex):
				t.Advise(ex, "HTTP 400 with invalid_request, or 401", "%s: the request is served", about)
			case s == 401, s == 400 && (code == "" || code == "invalid_request"):
				t.Refused()
			case expect.Crashed(ex) && expect.Crashed(t.MCP.Bogus()):
				t.Inconclusive("every bad token is answered with %s (RS-CHALLENGE-NO-5XX)", expect.Describe(ex))
			default:
				t.Finding(ex, about, "HTTP 400 with invalid_request, or 401", expect.Describe(ex))
			}
		}
		t.MCP.Control()
	})
}
