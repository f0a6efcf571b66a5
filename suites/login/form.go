package login

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// entry is the result of an attempt to sign in.
type entry struct {
	*login.Outcome
	jar *login.Jar
}

// Evidence is the exchange that shows the result.
func (e *entry) Evidence() *reports.Exchange { return e.Exchange }

// inside reports that the login succeeded: it led to a consent page or to a code.
func (e *entry) inside() bool {
	return e.Stage == login.AtConsent || e.Stage == login.Answered && e.Params.Get("code") != ""
}

var (
	letIn = expect.Serving("a consent page or a code", func(e *entry) string {
		if e.inside() {
			return ""
		}
		return "the login ended " + string(e.Stage) + ": " + e.Why
	})
	keepOut = expect.Refusing("a refusal of the login", func(e *entry) string {
		if e.inside() {
			return "the user is signed in"
		}
		return ""
	})
)

// understood returns the entry. It ends the row if mcpauth did not understand a page, because that is evidence of nothing.
func understood(t *T, o *login.Outcome, jar *login.Jar) *entry {
	if o.Stage == login.Lost || o.Stage == login.NeedsScript || o.Stage == login.Failed {
		t.Inconclusive("the login ended %s: %s", o.Stage, o.Why)
	}
	return &entry{o, jar}
}

// user is the user who signs in; the check does not apply if the server does not ask for a login.
func user(t *T) login.User {
	if len(t.Session.Users) == 0 {
		t.NotApplicable("no login is needed here (AS-AUTHZ-USER-AUTHENTICATED)")
	}
	switch why := t.Session.NoLogin(0); {
	case t.Session.LoginLost(0):
		t.Inconclusive("%s", why)
	case why != "":
		t.NotTested("%s", why)
	}
	return t.Session.Users[0]
}

// loginPage is the page that asks for the password; the check does not apply where there is none that can be read without scripts.
func loginPage(t *T, edits ...Edit) (*Grant, *login.Page, *login.Form) {
	g := t.AS.Authorize(append([]Edit{SignedOut(), StoppingAtPassword(), Leaving()}, edits...)...)
	p := g.Page()
	if g.Barred {
		t.NotTested("%s", g.Why)
	}
	if g.Stage == login.Lost {
		t.Inconclusive("%s", g.Describe())
	}
	if g.Stage != login.AtLogin || p == nil {
		t.NotApplicable("there is no login page with a form: %s", g.Describe())
	}
	if at, err := document.ParseURL(t.AS.Server().Authorization); err == nil && at.Host != p.URL.Host {
		t.NotApplicable("users sign in at another provider, %s", p.URL.Host)
	}
	f := p.Login()
	switch {
	case f == nil || f.Password() == nil:
		t.NotApplicable("no password is asked for, or only after a name, which needs a user (--username)")
	case f.Password().Name == "" || f.Scripted:
		t.NotTested("the login page is made of scripts: what it sends is not a form")
	}
	return g, p, f
}

// posting is a login form that is about to be sent.
type posting struct {
	page   *login.Page
	form   *login.Form
	values oauth.Form
	jar    *login.Jar                          // of the browser that sends it
	site   func(req wire.Request) wire.Request // makes it look like a form of another site; nil: the server's own page sends it
	byGet  bool
}

// postEdit changes a login form before it is sent.
type postEdit func(t *T, p *posting)

func (p *posting) request() wire.Request {
	req := login.Submission(p.page, p.form, p.values)
	switch {
	case p.byGet:
		return wire.Request{Method: "GET", URL: oauth.AtQuery(p.form.Action, p.values)}
	case p.site != nil:
		return p.site(req)
	}
	return req
}

// filledIn are the fields of a login form with the button that sends it.
func filledIn(f *login.Form, u login.User) oauth.Form {
	values := f.Values()
	if in := f.User(); in != nil {
		values.Set(in.Name, u.Name)
	}
	values.Set(f.Password().Name, u.Password)
	if b := f.Submitter(); b.Name != "" {
		values.Add(b.Name, b.Value)
	}
	return values
}

// signIn is the login form that a new browser shows, and sends with the right password.
func signIn(t *T, u login.User) Attempt[postEdit] {
	return Attempt[postEdit]{Name: "the login form, sent by the browser that was shown it", Good: letIn, Send: func(edits ...postEdit) any {
		g, page, form := loginPage(t)
		p := &posting{page: page, form: form, values: filledIn(form, u), jar: g.Jar}
		for _, edit := range edits {
			edit(t, p)
		}
		e := understood(t, goOn(t, p.jar, p.request(), g.RedirectURI), p.jar)
		if e.inside() {
			return e
		}
		again := t.AS.Authorize(InJar(p.jar), StoppingAtLogin(), Leaving()) // the form may sign in without continuing its request
		return understood(t, again.Outcome, p.jar)
	}}
}

// goOn sends a form in a jar and follows where it leads.
func goOn(t *T, jar *login.Jar, req wire.Request, redirectURI string) *login.Outcome {
	agent := &login.Agent{Jar: jar, Secrets: t.Secrets, Send: t.Do}
	return t.Pages.Continue(agent, req, login.Route{RedirectURI: redirectURI, Decision: login.Leave})
}
