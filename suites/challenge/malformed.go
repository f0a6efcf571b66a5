package challenge

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// answersMalformedWith400 sends more than one token, or a token of more than one word.
func answersMalformedWith400(t *T) {
	good := t.MCP.Token()
	Each(t, Cases[string]{
		{"a field without scheme or word", "Authorization: \r\n"},
		{"nothing after Bearer", "Authorization: Bearer\r\n"},
		{"two Authorization fields", "Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n"},
		{"two tokens in one field", "Authorization: Bearer " + good + ", Bearer " + good + "\r\n"},
		{"two words after Bearer", "Authorization: Bearer " + good + " more\r\n"},
	}, func(t *T, lines string) {
		ex := t.Do(RawPost(t, lines))
		if t.MCP.Served(ex) {
			t.Expect(ex).Ideally(notServeMalformed)
		} else {
			t.Expect(ex).To(refuseAsMalformed())
		}
	})
	control := t.Do(RawPost(t, "Authorization: Bearer "+good+"\r\n"))
	t.Expect(control, "the request with the valid token alone").AsControl(t.MCP.Serve())
}

var notServeMalformed = expect.That("HTTP 400 with invalid_request, or 401", func(*reports.Exchange) string {
	return "the request is served"
})

// refuseAsMalformed expects 400 with invalid_request or without a code (OAuth 2.1 section 5.3.2), or 401.
var refuseAsMalformed = expect.Family("refuseAsMalformed", func() expect.Matcher {
	return expect.That("HTTP 400 with invalid_request, or 401", func(ex *reports.Exchange) string {
		code, named := expect.Param(ex, "error")
		if s := expect.Status(ex); s == 401 || s == 400 && (!named || code == "invalid_request") {
			return ""
		}
		return expect.Describe(ex)
	})
})
