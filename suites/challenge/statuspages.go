package challenge

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// statusPages are where servers tell a monitoring system how they are. They are public by design, and may count the sessions.
var statusPages = []string{"/health", "/healthz", "/status", "/sessions", "/metrics", "/info"}

// shortestID is the length of an id that is not on a page by chance, as a number of one digit is.
const shortestID = 8

// namesNoSessions opens a session, and looks for its id on the pages that anybody may read.
func namesNoSessions(t *T) {
	ids := SessionIDs(t)
	if len(ids) < 2 || len(ids[1].Value) < shortestID {
		Untried(t, "session ids on status pages", "a server with sessions whose ids are not short, and a valid token")
		return
	}
	var about []string
	var requests []wire.Request
	for _, base := range bases(t.Survey.URL) {
		u, _ := url.Parse(base) // it is a part of the target's address
		for _, page := range statusPages {
			about = append(about, "GET "+u.EscapedPath()+page)
			requests = append(requests, sideRoute{"GET", page, ""}.at(base).Request)
		}
	}
	for i, ex := range t.AllIgnoringLimits(requests) { // a status page may say by HTTP 503 that a part is down
		if expect.Status(ex) == 200 {
			t.Expect(ex, "%s", about[i]).Ideally(nameNo(ids[1].Value))
		}
	}
}

// nameNo expects a status page without a session id: an id is half of what a hijacker needs.
var nameNo = expect.Family("nameNo", func(id string) expect.Matcher {
	return expect.That("no session id without a token", func(ex *reports.Exchange) string {
		if strings.Contains(expect.Body(ex), id) {
			return expect.Describe(ex) + ", with the id of a live session"
		}
		return ""
	})
})
