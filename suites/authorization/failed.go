package authorization

import (
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// judgePage judges a page of the authorization server.
type judgePage func(t *T, p *login.Page, ex *reports.Exchange)

// failsToSignIn returns the login of a user who does not exist, with edits of the authorization request; nil if nobody can sign in.
func failsToSignIn(t *T, edits ...Edit) *Grant {
	if len(t.Session.Users) == 0 || t.Session.NoLogin(0) != "" {
		return nil
	}
	who := &login.User{Name: "mcpauth-nobody-" + Random(6), Password: Random(12)}
	return t.AS.AuthorizeAs(who, append(edits, Leaving())...)
}

// failedLogin judges the page that refuses a login: another code path than that of the first page may make it. One login serves all checks,
// because servers count failures.
func failedLogin(t *T, judge judgePage) {
	g := Once(t, "a login that fails", func() *Grant { return failsToSignIn(t) })
	const about = "the page of a login that fails"
	switch {
	case g == nil:
		Untried(t, about, ALogin)
		return
	case expect.Status(g.Exchange) == 429:
		t.Note("%s: not seen, since the server limits logins (HTTP 429)", about)
		return
	}
	Each(t, Cases[*Grant]{{about, g}}, func(t *T, g *Grant) {
		lastOwnPage(t, g, judge, login.Refused, login.ErrorPage)
	})
}

// failedRequest judges the error page for a client that the authorization server does not know.
func failedRequest(t *T, judge judgePage) {
	Each(t, Cases[Edit]{{"an error page", Stranger()}}, func(t *T, stranger Edit) {
		lastOwnPage(t, t.AS.Authorize(stranger, Nobody(), StoppingAtLogin(), Leaving()), judge, login.ErrorPage)
	})
}

// lastOwnPage judges the page at which a request ended, if it ended in one of these ways, and the page is the authorization server's own.
func lastOwnPage(t *T, g *Grant, judge judgePage, ends ...login.Stage) {
	if why := Unanswered(t, g.Exchange); why != "" {
		t.Inconclusive("%s", why)
	}
	p := g.Page()
	if p == nil || !slices.Contains(ends, g.Stage) || !isOwn(t, p) {
		t.NotApplicable("the authorization server shows no such page of its own: %s", g.Describe())
	}
	judge(t, p, t.Cite(g.PageExchanges[len(g.PageExchanges)-1]))
}

// isOwn reports whether a page is the authorization server's own.
func isOwn(t *T, p *login.Page) bool {
	own, _ := document.ParseURL(t.AS.Server().Authorization)
	return own != nil && p.URL.Host == own.Host
}
