// Package login holds the checks on how users sign in at the authorization server.
package login

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OWASP ASVS: authentication", authentication)
	Describe("OWASP ASVS: session management", sessions)
	Describe("RFC 9700 section 4.11: redirection and third parties", surroundings)
	Describe("OpenID Connect RP-Initiated Logout", logout)
}

// loginPage is the page that asks for name and password; the check does not apply where there is none that can
// be read without scripts.
func loginPage(t *T, edits ...Edit) (*Grant, *login.Page, *login.Form) {
	g := t.AS.Authorize(append([]Edit{SignedOut(), StoppingAtLogin()}, edits...)...)
	p := g.Page()
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
	if f.Password() == nil {
		t.NotApplicable("name and password are asked on different pages, or not at all")
	}
	if f.Password().Name == "" {
		t.NotTested("the login page is made of scripts: what it sends is no form")
	}
	return g, p, f
}

// user is who signs in; the check does not apply where the server asks for nobody.
func user(t *T) login.User {
	if len(t.Session.Users) == 0 {
		t.NotApplicable("nobody has to sign in here (AS-AUTHZ-USER-AUTHENTICATED)")
	}
	if why := t.Session.NoLogin(0); why != "" {
		t.NotTested("%s", why)
	}
	return t.Session.Users[0]
}

func credentials(f *login.Form, name, password string) oauth.Form {
	values := f.Values()
	if in := f.User(); in != nil {
		values.Set(in.Name, name)
	}
	values.Set(f.Password().Name, password)
	return values
}

// goOn sends a form in a jar and follows where it leads.
func goOn(t *T, jar *login.Jar, req wire.Request, redirectURI string) *login.Outcome {
	agent := &login.Agent{Jar: jar, Secrets: t.Secrets, Send: t.Do}
	return t.Pages.Continue(agent, req, login.Route{RedirectURI: redirectURI, Decision: login.Leave})
}

// inside reports that a login got somebody in: to a consent page or to a code.
func inside(o *login.Outcome) bool {
	return o.Stage == login.AtConsent || o.Stage == login.Answered && o.Params.Get("code") != ""
}

func authentication() {
	Must("AS-LOGIN-REJECT-WRONG-PASSWORD", func(t *T) {
		u := user(t)
		try := func(name, password, about string) *login.Outcome {
			g, p, f := loginPage(t)
			t.Secrets.Add("password", password)
			o := goOn(t, g.Jar, login.Submission(p, f, credentials(f, name, password)), g.RedirectURI)
			if inside(o) {
				t.Finding(o.Exchange, about, "no login", "it gets in")
			}
			return o
		}
		wrong := try(u.Name, "mcpauth-wrong-"+Random(9), "a wrong password")
		unknown := try("mcpauth-nobody-"+Random(6), "mcpauth-wrong-"+Random(9), "an unknown user")
		try(u.Name, "", "an empty password")
		t.Refused()
		a, b := wrong.Page(), unknown.Page()
		if a != nil && b != nil && (stripped(a.Text, u.Name) != stripped(b.Text, "mcpauth-nobody") || expect.Status(wrong.Exchange) != expect.Status(unknown.Exchange)) {
			t.Advise(unknown.Exchange, "the same answer for a wrong password and an unknown user", "%q and %q: users can be told apart", login.Shorten(a.Text), login.Shorten(b.Text))
		}
	})

	Practice("AS-LOGIN-NO-DEFAULT-CREDENTIALS", func(t *T) {
		t.AS.Server()
		try := func(id, secret string) *reports.Exchange {
			c := &oauth.Client{ID: id, Secret: secret, Method: oauth.Basic}
			return t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "x"), With("code_verifier", oauth.NewPKCE(43).Verifier), With("redirect_uri", t.Session.Callback))
		}
		demo, stranger := try("demo_client", "demo_secret"), try("mcpauth-unknown-"+Random(9), Random(24))
		if oauth.ErrorCode(demo) == "invalid_grant" && oauth.ErrorCode(stranger) == "invalid_client" {
			t.Unmet(demo, "no well-known client", "demo_client with demo_secret is known")
		}
		if u := t.Session.Users; len(u) > 0 && u[0].Name == "demo_user" {
			return
		}
		enter := func(name, password string) *login.Outcome {
			g, p, f := loginPage(t)
			return goOn(t, g.Jar, login.Submission(p, f, credentials(f, name, password)), g.RedirectURI)
		}
		if o := enter("demo_user", "demo_password"); inside(o) && !inside(enter("mcpauth-nobody-"+Random(6), Random(12))) {
			t.Unmet(o.Exchange, "no well-known user", "demo_user with demo_password gets in")
		}
		t.Refused()
	})

	Practice("AS-LOGIN-CSRF", func(t *T) {
		u := user(t)
		forged := func(about string, bend func(g *Grant, f *login.Form, values *oauth.Form) *login.Jar) {
			g, p, f := loginPage(t)
			values := credentials(f, u.Name, u.Password)
			jar := bend(g, f, &values)
			req := login.Submission(p, f, values)
			for i := range req.Header {
				if req.Header[i].Name == "Origin" || req.Header[i].Name == "Referer" {
					req.Header[i].Value = "https://attacker.example"
				}
			}
			o := goOn(t, jar, req, g.RedirectURI)
			if !inside(o) { // the request may be lost, and the browser signed in all the same
				o = t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving()).Outcome
			}
			if inside(o) {
				t.Finding(o.Exchange, about, "a login form that only the browser it was shown to can send", "the login succeeds")
				return
			}
			t.Refused()
		}
		forged("a form sent by another browser, without cookies", func(*Grant, *login.Form, *oauth.Form) *login.Jar { return login.NewJar() })
		forged("a form with the cookies of another browser", func(*Grant, *login.Form, *oauth.Form) *login.Jar {
			other, _, _ := loginPage(t)
			return other.Jar
		})
	})

	Practice("AS-LOGIN-POST-ONLY", func(t *T) {
		g, p, f := loginPage(t)
		if f.Method != "POST" {
			t.Unmet(g.Exchange, "a login form that is sent by POST", "it sends the password in the URL")
			return
		}
		u := user(t)
		o := goOn(t, g.Jar, wire.Request{Method: "GET", URL: oauth.AtQuery(f.Action, credentials(f, u.Name, u.Password))}, g.RedirectURI)
		if inside(o) {
			t.Unmet(o.Exchange, "credentials by POST only", "the login works with the password in the URL")
		}
		t.Refused()
		_ = p
	})
}

// stripped leaves out what differs because the page repeats the name.
func stripped(text, name string) string { return strings.ReplaceAll(text, name, "") }

func sessions() {
	Practice("AS-LOGIN-SESSION-FIXATION", func(t *T) {
		g, p, f := loginPage(t)
		before := g.Jar.Copy()
		u := user(t)
		o := goOn(t, g.Jar, login.Submission(p, f, credentials(f, u.Name, u.Password)), g.RedirectURI)
		if !inside(o) {
			t.Inconclusive("the login did not succeed: %s %s", o.Stage, o.Why)
		}
		at, _ := document.ParseURL(t.AS.Server().Authorization)
		if len(before.Cookies(at)) == 0 {
			return
		}
		if again := t.AS.Authorize(InJar(before), StoppingAtLogin(), Leaving()); inside(again.Outcome) {
			t.Unmet(again.Exchange, "a new session at login", "the cookies from before the login are signed in too")
		}
		t.Refused()
		t.Controlled()
	})

	Practice("AS-LOGIN-COOKIE-ATTRIBUTES", func(t *T) {
		g := t.AS.MustAuthorize(SignedOut())
		_ = g
		for _, ex := range t.Transcript() {
			for _, line := range expect.HeaderValues(ex, "Set-Cookie") {
				judgeCookie(t, ex, line)
			}
		}
	})
}

func judgeCookie(t *T, ex *reports.Exchange, line string) {
	name, rest, _ := strings.Cut(line, "=")
	lower := strings.ToLower(rest)
	if n := strings.ToLower(name); strings.Contains(n, "csrf") || strings.Contains(n, "xsrf") || strings.Contains(lower, "max-age=0") || strings.Contains(lower, "01 jan 1970") || strings.Contains(lower, "1970") {
		return // a double-submit cookie must be readable; a deleted one says nothing
	}
	attributes := strings.Split(lower, ";")
	has := func(a string) bool {
		return slices.ContainsFunc(attributes[1:], func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), a) })
	}
	if !has("httponly") {
		t.Unmet(ex, "HttpOnly on the cookies of a login", "%s has it not", name)
	}
	if strings.HasPrefix(ex.Request.URL, "https://") && !has("secure") {
		t.Unmet(ex, "Secure on the cookies of a login", "%s has it not", name)
	}
	if !has("samesite") {
		t.Advise(ex, "SameSite on the cookies of a login", "%s has it not", name)
	}
}

func surroundings() {
	Practice("AS-LOGIN-RETURN-URL", func(t *T) {
		tried := false
		for _, v := range []string{"https://attacker.example/", "//attacker.example", `/\attacker.example`, "https:attacker.example"} {
			for _, name := range []string{"next", "return_to", "returnTo", "continue"} {
				tried = true
				g := t.AS.Authorize(With(name, v), StoppingAtLogin(), Leaving())
				if leads(g.Location) {
					t.Finding(g.Exchange, name+"="+v, "no redirect to a foreign address", "the browser is sent to "+g.Location)
				}
			}
			g := t.AS.Authorize(SignedOut(), Submitting(func(_ *login.Page, f *login.Form, values *oauth.Form) {
				for _, in := range f.Inputs {
					if n := strings.ToLower(in.Name); in.Type == "hidden" && (strings.Contains(n, "next") || strings.Contains(n, "return") || strings.Contains(n, "continue") || strings.Contains(n, "redirect")) {
						values.Set(in.Name, v)
					}
				}
			}))
			if leads(g.Location) {
				t.Finding(g.Exchange, "a hidden field set to "+v, "no redirect to a foreign address", "the browser is sent to "+g.Location)
			}
		}
		if tried {
			t.Refused()
		}
	})

	Practice("AS-LOGIN-DISCLOSURE", func(t *T) {
		g := t.AS.Authorize(SignedOut(), Leaving())
		own, err := url.Parse(t.AS.Server().Authorization)
		if err != nil || len(g.Pages) == 0 {
			t.NotApplicable("the authorization server shows no page")
		}
		for i, p := range g.Pages {
			for _, address := range p.Loads {
				if u, err := url.Parse(address); err == nil && u.Host != "" && p.URL.Host == own.Host && site(u.Hostname()) != site(own.Hostname()) {
					t.Advise(g.PageExchanges[i], "pages of a login that load nothing from others", "%q loads %s", p.Title, address)
				}
			}
		}
	})
}

func leads(location string) bool {
	u, err := url.Parse(location)
	return err == nil && strings.HasSuffix(u.Hostname(), "attacker.example")
}

// site is the last two labels of a host name.
func site(host string) string {
	labels := strings.Split(host, ".")
	if len(labels) < 2 {
		return host
	}
	return strings.Join(labels[len(labels)-2:], ".")
}
