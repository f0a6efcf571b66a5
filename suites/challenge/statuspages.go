package challenge

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// statusPages are where servers tell a monitoring system how they are. They are public by design, and may count the sessions.
var statusPages = []string{"/health", "/healthz", "/status", "/sessions", "/metrics", "/info"}

// namesNoSessions opens a session, and looks for its id on the pages that anybody may read.
func namesNoSessions(t *T) {
	ids := SessionIDs(t)
	if len(ids) < 2 {
		Untried(t, "session ids on status pages", "a server with sessions, and a valid token")
		return
	}
	var all []Variant
	for _, base := range bases(t.Survey.URL) {
		u, _ := url.Parse(base) // it is a part of the target's address
		for _, page := range statusPages {
			v := sideRoute{"GET", page, ""}.at(base)
			v.About = "GET " + u.EscapedPath() + page
			all = append(all, v)
		}
	}
	for i, ex := range t.All(all) {
		t.Expect(ex, "%s", all[i].About).Ideally(hold(ids[1].Value))
	}
}

// hold expects a status page without a session id: an id is half of what a hijacker needs.
var hold = expect.Family("hold", func(id string) expect.Matcher {
	return expect.That("no session id without a token", func(ex *reports.Exchange) string {
		if expect.Status(ex) == 200 && strings.Contains(expect.Body(ex), id) {
			return expect.Describe(ex) + ", with the id of a live session"
		}
		return ""
	})
})
