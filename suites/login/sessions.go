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

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// askAgain expects the user to be asked for a password.
var askAgain = expect.Refusing("the login page", func(e *entry) string {
	if e.inside() {
		return "the browser is signed in"
	}
	return ""
})

// next is the next authorization request in a browser, without a login.
func next(t *T, jar *login.Jar) *entry {
	g := t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving())
	return understood(t, g.Outcome, jar)
}

// mustKeepSession ends the check where the next request in a browser asks for a login anyway.
func mustKeepSession(t *T, jar *login.Jar) {
	e := next(t, jar.Copy())
	if !e.inside() {
		t.NotApplicable("the next request asks for a login anyway: no session is kept")
	}
	t.Expect(e, "the next request").To(letIn)
}

// An attacker who sets the cookies before the login must not be signed in by it.
func changesSessionAtLogin(t *T) {
	g, p, f := loginPage(t)
	before := g.Jar.Copy()
	req := login.Submission(p, f, filledIn(f, user(t)))
	if !t.Expect(understood(t, goOn(t, g.Jar, req, g.RedirectURI), g.Jar), "the login").To(letIn) {
		return
	}
	mustKeepSession(t, g.Jar)
	at, err := document.ParseURL(t.AS.Server().Authorization)
	if err != nil {
		t.NotApplicable("the metadata names no authorization endpoint (AS-META-REQUIRED-FIELDS)")
	}
	Each(t, Cases[*login.Jar]{{"the cookies from before the login", before}}, func(t *T, before *login.Jar) {
		if len(before.Cookies(at)) == 0 {
			t.NotApplicable("no cookie is set before the login")
		}
		t.Expect(next(t, before)).To(askAgain)
	})
	adoptsNoSession(t, at, g.Jar, before)
}

// adoptsNoSession signs in with made-up values of the session cookies, as an attacker on another host of the domain may have set them.
func adoptsNoSession(t *T, at *url.URL, jar, before *login.Jar) {
	planted := login.NewJar()
	for _, name := range jar.Names(at) {
		isNew := before.Value(at, name) != jar.Value(at, name)
		if isNew && !strings.HasPrefix(name, "__Host-") && isSession(t, jar, at, name) {
			planted = planted.With(at, name, t.Hide(Random(len(jar.Value(at, name)))))
		}
	}
	if len(planted.Cookies(at)) == 0 {
		return
	}
	Each(t, Cases[*login.Jar]{{"a made-up session cookie", planted}}, func(t *T, planted *login.Jar) {
		if e := understood(t, t.AS.Authorize(InJar(planted.Copy()), Leaving()).Outcome, planted); !e.inside() {
			t.NotApplicable("a browser with a made-up session cookie is not signed in: the login ended %s", e.Stage)
		}
		t.Expect(next(t, planted)).To(askAgain)
	})
}

// cookie is a cookie that the server sets.
type cookie struct {
	login.Cookie
	from *reports.Exchange
}

// Only a cookie without which the browser is signed out is the session cookie. Scripts may read others.
func protectsSessionCookies(t *T) {
	jar := login.NewJar()
	g := t.AS.MustAuthorize(InJar(jar))
	at, err := document.ParseURL(t.AS.Server().Authorization)
	if err != nil {
		t.NotApplicable("the metadata names no authorization endpoint (AS-META-REQUIRED-FIELDS)")
	}
	tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
	set := cookiesOf(t, at)
	if len(set) == 0 {
		t.NotApplicable("no cookie is set on the way to a code")
	}
	var rows Cases[cookie]
	for _, c := range set {
		rows = rows.And(c.Name, c)
	}
	Each(t, rows, func(t *T, c cookie) {
		t.Expect(c).SeenIn(c.from).To(holdNoToken(tokens, at))
		if bare(c, at) != "" && isSession(t, jar, at, c.Name) {
			t.Expect(c).SeenIn(c.from).To(haveAttributes(at))
			t.Expect(c).SeenIn(c.from).Ideally(haveSameSite, stayOnHost(at))
		}
	})
}

// cookiesOf are the cookies that the server has set so far and not deleted, by name, the last one of each.
func cookiesOf(t *T, at *url.URL) []cookie {
	var out []cookie
	for _, ex := range t.Transcript() {
		u, err := url.Parse(ex.Request.URL)
		if err != nil || u.Host != at.Host || ex.Response == nil {
			continue
		}
		for _, c := range login.CookiesOf(ex) {
			out = slices.DeleteFunc(out, func(o cookie) bool { return o.Name == c.Name })
			if !c.Deleted {
				out = append(out, cookie{c, ex})
			}
		}
	}
	return out
}

// isSession reports that the browser is signed out without a cookie, and signed in with it; or signed in with it alone, as with a second
// session cookie for old browsers.
func isSession(t *T, jar *login.Jar, at *url.URL, name string) bool {
	if !next(t, jar.Copy()).inside() {
		return false
	}
	alone := login.NewJar().With(at, name, jar.Value(at, name))
	return !next(t, jar.Without(at, name)).inside() || next(t, alone).inside() && !next(t, login.NewJar()).inside()
}

// bare names the attributes that a cookie lacks; empty if it lacks none.
func bare(c cookie, at *url.URL) string {
	var out []string
	if !c.HTTPOnly {
		out = append(out, "HttpOnly")
	}
	if at.Scheme == "https" && !c.Secure {
		out = append(out, "Secure")
	}
	if c.SameSite == "" || c.SameSite == "None" {
		out = append(out, "SameSite")
	}
	if c.Domain != "" && !strings.EqualFold(strings.TrimPrefix(c.Domain, "."), at.Hostname()) {
		out = append(out, "Domain")
	}
	return strings.Join(out, ", ")
}

var haveAttributes = expect.Family("haveAttributes", func(at *url.URL) expect.Matcher {
	return expect.That("HttpOnly, and Secure on https, on the cookie without which the user is signed out", func(c cookie) string {
		if lacks := strings.Split(bare(c, at), ", "); slices.Contains(lacks, "HttpOnly") || slices.Contains(lacks, "Secure") {
			return "the cookie " + c.Name + " lacks " + strings.Join(slices.DeleteFunc(lacks, func(s string) bool {
				return s == "SameSite" || s == "Domain"
			}), " and ")
		}
		return ""
	})
})

var haveSameSite = expect.That("SameSite=Lax or Strict on the cookie without which the user is signed out", func(c cookie) string {
	switch c.SameSite {
	case "Lax", "Strict":
		return ""
	case "None":
		return "the cookie " + c.Name + " has SameSite=None"
	}
	return "the cookie " + c.Name + " has none"
})

var stayOnHost = expect.Family("stayOnHost", func(at *url.URL) expect.Matcher {
	return expect.That("no Domain that other hosts share", func(c cookie) string {
		if strings.Contains(bare(c, at), "Domain") {
			return "the cookie " + c.Name + " has Domain=" + c.Domain
		}
		return ""
	})
})

var holdNoToken = expect.Family("holdNoToken", func(tokens *oauth.Tokens, at *url.URL) expect.Matcher {
	return expect.That("no token in a cookie that is sent in clear text", func(c cookie) string {
		value, err := url.QueryUnescape(c.Value)
		if err != nil {
			value = c.Value
		}
		held := tokens != nil && (strings.Contains(value, tokens.Access) || tokens.Refresh != "" && strings.Contains(value, tokens.Refresh))
		if held && (!c.Secure || at.Scheme != "https") {
			return "the cookie " + c.Name + " holds an issued token, and lacks Secure"
		}
		return ""
	})
})
