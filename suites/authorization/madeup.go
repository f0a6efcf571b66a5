package authorization

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// identityFields are the header fields in which reverse proxies tell a server behind them who the user is. A server that can be reached
// otherwise must not believe them (RFC 9700 section 4.13).
var identityFields = []string{
	"X-Forwarded-User", "X-Forwarded-Preferred-Username", "X-Forwarded-Email", "Remote-User", "X-Remote-User", "X-Authenticated-User",
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-WebAuth-User", "X-User", "X-User-Id", "X-Goog-Authenticated-User-Email",
	"Cf-Access-Authenticated-User-Email", "X-MS-Client-Principal-Name", "Tailscale-User-Login",
}

func namedByProxy(name string) Edit {
	var out []Edit
	for _, field := range identityFields {
		out = append(out, HeaderAtServer(mcp.Field(field, name)))
	}
	return Edits(out...)
}

const (
	fourLogins = 4
	secondUser = 1
)

// refusesMadeUpUsers tries what a stranger may send to be treated as a user.
func refusesMadeUpUsers(t *T) {
	if !t.Session.Ready || !t.Session.Asked || t.Session.NoLogin(0) != "" {
		Untried(t, "header fields and session cookies that a browser made up", ALogin)
		return
	}
	Each(t, Cases[string]{{"header fields that name a user", t.Session.Identity(0).User.Name}}, func(t *T, name string) {
		if g := t.AS.Authorize(Nobody(), namedByProxy(name)); g.Code() != "" || g.IssuesToken() {
			t.Expect(g).To(believeNoField)
		}
	})
	if t.Session.Identity(0).User.OneTime != "" {
		Untried(t, "session cookies that a browser made up", "a user who signs in several times with the same input")
		return
	}
	Each(t, Cases[int]{{"the session cookies of four logins", fourLogins}}, issuesUnguessableSessions)
	Each(t, Cases[int]{{"a session cookie that names another user", secondUser}}, believesNoCookie)
}

var believeNoField = expect.That("a page where the user signs in", func(g *Grant) string {
	if g.Code() == "" && !g.IssuesToken() {
		return ""
	}
	return "a code is issued to whoever sends these header fields"
})

// signedIn are cookies with which a user stays signed in, in a browser that has no others that are enough.
type signedIn struct {
	at    *url.URL
	names []string
	jar   *login.Jar
}

// value is that of all of them together: one may sign the others.
func (s signedIn) value(jar *login.Jar) (all string) {
	for _, name := range s.names {
		all += jar.Value(s.at, name)
	}
	return all
}

// sessionCookies are the cookies of a browser in which a user has signed in: each that is enough, or else those that are needed together.
func sessionCookies(t *T, jar *login.Jar) (out []signedIn) {
	at, err := document.ParseURL(t.AS.Server().Authorization)
	if err != nil || !staysSignedIn(t, jar.Copy()) {
		return nil
	}
	for _, name := range jar.Names(at) {
		if alone := jar.Only(at, name); staysSignedIn(t, alone.Copy()) {
			out = append(out, signedIn{at, []string{name}, alone})
		}
	}
	if out != nil {
		return out
	}
	needed := slices.DeleteFunc(jar.Names(at), func(name string) bool { return staysSignedIn(t, jar.Without(at, name)) })
	return []signedIn{{at, needed, jar}}
}

func staysSignedIn(t *T, jar *login.Jar) bool {
	g := t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving())
	return g.Code() != "" || g.AsksUser()
}

func issuesUnguessableSessions(t *T, logins int) {
	jars := make([]*login.Jar, logins)
	for i := range jars {
		jars[i] = login.NewJar()
		if g := t.AS.Authorize(InJar(jars[i])); g.Code() == "" {
			t.Note("session cookies: not compared, since a login ends without a code: %s", g.Describe())
			return
		}
	}
	for _, session := range sessionCookies(t, jars[logins-1]) { // each login may end the sessions before it
		var values []string
		for _, jar := range jars {
			values = append(values, t.Hide(session.value(jar)))
		}
		if slices.Sort(values); values[0] != values[logins-1] { // a constant of each user says nothing
			t.Expect(values, "%s", strings.Join(session.names, ", ")).Ideally(varyEnough)
		}
	}
}

// varyEnough has the limit of the Session Management Cheat Sheet of OWASP.
var varyEnough = expect.That("session cookies with at least 64 random bits", func(values []string) string {
	if bits := expect.VaryingBits(values); bits < 64 {
		return fmt.Sprintf("only about %d bits vary from one login to the next", bits)
	}
	return ""
})

// believesNoCookie puts the second user's name where a session cookie of the first one has its own. Only a browser that acts for the
// second user shows that the server believes it: some servers write a name beside the identifier of the session.
func believesNoCookie(t *T, second int) {
	if t.Session.UserCount() <= second || t.Session.NoLogin(second) != "" {
		Untried(t, "a session cookie that names another user", ASecondUser)
		return
	}
	jar := login.NewJar()
	own, other := subjectOf(t, t.AS.Authorize(InJar(jar))), subjectOf(t, t.AS.Authorize(By(second)))
	if own == "" || other == "" {
		Untried(t, "a session cookie that names another user", "tokens that show for whom they are")
		return
	}
	if own == other {
		return // AS-AUTHZ-SUBJECT-CORRECT judges which user a token names
	}
	names := renamings([2]string{t.Session.Identity(0).User.Name, t.Session.Identity(second).User.Name}, [2]string{own, other})
	for _, session := range sessionCookies(t, jar) {
		for _, name := range session.names {
			for _, v := range forgeries(jar.Value(session.at, name), names) {
				forged := session.jar.With(session.at, name, t.Hide(v))
				actsForNobodyElse(t, name, other, t.AS.Authorize(InJar(forged), StoppingAtLogin()))
			}
		}
	}
}

// actsForNobodyElse judges a request with a forged cookie. A page that asks for a login shows that the cookie is not believed.
func actsForNobodyElse(t *T, cookie, other string, g *Grant) {
	subject := subjectOf(t, g)
	switch why, atLogin := g.Undecided(); {
	case g.Code() != "" && subject == "":
		t.Leave(cookie, "a code is issued, and nothing shows for whom")
	case why != "" && !atLogin:
		t.Leave(cookie, why)
	default:
		t.Expect(subject, "%s", cookie).SeenIn(g.Exchange).To(notBe(other))
	}
}

// subjectOf is the user of a flow; empty where there is no token, or where it shows none.
func subjectOf(t *T, g *Grant) string {
	if g.Code() == "" {
		return ""
	}
	if tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client); tokens != nil {
		return t.AS.Subject(tokens)
	}
	return ""
}

var notBe = expect.Family("notBe", func(other string) expect.Matcher {
	return expect.That("no login of the user whom a forged session cookie names", func(subject string) string {
		if subject == other {
			return "with the other user's name in the cookie, the browser acts for " + other
		}
		return ""
	})
})
