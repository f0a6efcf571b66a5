package authorization

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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
		out = append(out, Header(mcp.Field(field, name)))
	}
	return Edits(out...)
}

// refusesMadeUpUsers tries what a stranger may send to be treated as a user.
func refusesMadeUpUsers(t *T) {
	if !t.Session.Ready || !t.Session.Asked || t.Session.NoLogin(0) != "" {
		Untried(t, "header fields and session cookies that a browser made up", ALogin)
		return
	}
	EachNoted(t, Cases[string]{{"header fields that name a user", t.Session.Identity(0).User.Name}}, func(t *T, name string) {
		if g := t.AS.Authorize(Nobody(), namedByProxy(name), EvenUnanswered()); g.Code() != "" || g.IssuesToken() {
			t.Expect(g).To(believeNoField)
		}
	})
	if t.Session.Identity(0).User.OneTime != "" {
		Untried(t, "session cookies that a browser made up", "a user who signs in several times with the same input")
		return
	}
	EachNoted(t, Cases[int]{{"the session cookies of four logins", 4}}, issuesUnguessableSessions)
	EachNoted(t, Cases[int]{{"a session cookie that names another user", 1}}, believesNoCookie)
}

var believeNoField = expect.That("a page where the user signs in", func(g *Grant) string {
	if g.Code() == "" && !g.IssuesToken() {
		return ""
	}
	return "a code is issued to whoever sends these header fields"
})

// sessionCookie is one without which a browser is signed out.
type sessionCookie struct {
	at   *url.URL
	name string
}

// sessionCookies are those of a browser in which a user has signed in.
func sessionCookies(t *T, jar *login.Jar) (out []sessionCookie) {
	at, err := document.ParseURL(t.AS.Server().Authorization)
	if err != nil || !staysSignedIn(t, jar.Copy()) {
		return nil
	}
	for _, name := range jar.Names(at) {
		if !staysSignedIn(t, jar.Without(at, name)) {
			out = append(out, sessionCookie{at, name})
		}
	}
	return out
}

func staysSignedIn(t *T, jar *login.Jar) bool {
	g := t.AS.Authorize(InJar(jar), StoppingAtLogin(), Leaving())
	return g.Code() != "" || g.AsksUser()
}

func issuesUnguessableSessions(t *T, logins int) {
	jars := make([]*login.Jar, logins)
	for i := range jars {
		jars[i] = login.NewJar()
		if t.AS.Authorize(InJar(jars[i])).Code() == "" {
			return // other checks judge the login
		}
	}
	cookies := sessionCookies(t, jars[logins-1]) // each login may end the sessions before it
	if len(cookies) == 0 {
		return
	}
	var values, names []string
	for _, c := range cookies {
		names = append(names, c.name)
	}
	for _, jar := range jars {
		whole := ""
		for _, c := range cookies { // one of them may sign the others, or be random for all
			whole += t.Hide(jar.Value(c.at, c.name))
		}
		values = append(values, whole)
	}
	if slices.Sort(values); len(slices.Compact(slices.Clone(values))) == len(values) { // a constant of each user says nothing
		t.Expect(values, "%s", strings.Join(names, ", ")).Ideally(varyEnough)
	}
}

// varyEnough has the limit of the Session Management Cheat Sheet of OWASP.
var varyEnough = expect.That("a session cookie of at least 64 random bits", func(values []string) string {
	if bits := expect.VaryingBits(values); bits < 64 {
		return fmt.Sprintf("only about %d bits vary from one login to the next", bits)
	}
	return ""
})

// believesNoCookie puts the second user's name where the session cookie of the first one has its own. Only a browser that acts for the
// second user shows that the server believes it: some servers write a name beside the identifier of the session.
func believesNoCookie(t *T, second int) {
	if t.Session.UserCount() <= second || t.Session.NoLogin(second) != "" {
		Untried(t, "a session cookie that names another user", ASecondUser)
		return
	}
	jar := login.NewJar()
	own, other := subjectOf(t, InJar(jar)), subjectOf(t, By(second))
	if own == "" || other == "" || own == other {
		return // AS-AUTHZ-SUBJECT-CORRECT judges which user a token names
	}
	name, otherName := t.Session.Identity(0).User.Name, t.Session.Identity(second).User.Name
	renamed := strings.NewReplacer(name, otherName, own, other).Replace
	for _, c := range sessionCookies(t, jar) {
		for _, v := range forgeries(jar.Value(c.at, c.name), renamed) {
			made := InJar(jar.With(c.at, c.name, t.Hide(v)))
			t.Expect(subjectOf(t, made, StoppingAtLogin()), "%s", c.name).To(notBe(other))
		}
	}
}

// subjectOf is the user of a flow; empty where there is no token, or where it shows none.
func subjectOf(t *T, edits ...Edit) string {
	g := t.AS.Authorize(edits...)
	if g.Code() == "" {
		return ""
	}
	if tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client); tokens != nil {
		return t.AS.Subject(tokens)
	}
	return ""
}

var notBe = expect.Family("notBe", func(other string) expect.Matcher {
	return expect.That("a login of the user whom a session cookie names", func(subject string) string {
		if subject == other {
			return "with the other user's name in the cookie, the browser acts for " + other
		}
		return ""
	})
})

// forgeries are a cookie with another name in it, as it is or encoded, as a whole or in one of its parts. Of a JWT there is one without a
// signature, too.
func forgeries(value string, renamed func(string) string) (out []string) {
	add := func(v string) {
		if v != value && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	if plain, err := url.QueryUnescape(value); err == nil && plain != value {
		add(url.QueryEscape(renamed(plain)))
	}
	add(renamed(value))
	for _, separator := range []string{"\n", ".", "--", "|"} {
		parts := strings.Split(value, separator)
		for i, part := range parts {
			for _, v := range reencoded(part, renamed) {
				add(strings.Join(slices.Concat(parts[:i], []string{v}, parts[i+1:]), separator))
			}
		}
	}
	if parts := strings.Split(value, "."); len(parts) == 3 && isJSON(parts[0]) {
		for _, payload := range reencoded(parts[1], renamed) {
			add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + ".")
		}
	}
	return out
}

// reencoded are the encodings of an encoded text that changes.
func reencoded(part string, change func(string) string) (out []string) {
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(part); err == nil && change(string(b)) != string(b) {
			out = append(out, e.EncodeToString([]byte(change(string(b)))))
		}
	}
	if b, err := hex.DecodeString(part); err == nil && change(string(b)) != string(b) {
		out = append(out, hex.EncodeToString([]byte(change(string(b)))))
	}
	return out
}

func isJSON(part string) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Valid(b)
}
