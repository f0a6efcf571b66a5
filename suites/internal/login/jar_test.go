package login

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
)

// setting returns an answer that sets cookies.
func setting(cookies ...string) *reports.Exchange {
	ex := &reports.Exchange{Response: &reports.Response{}}
	for _, c := range cookies {
		ex.Response.Header = append(ex.Response.Header, reports.Field{Name: "Set-Cookie", Value: c})
	}
	return ex
}

func address(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}

// A client stores and sends no more cookies than a browser does.
func TestAJarIsBounded(t *testing.T) {
	jar, at := NewJar(), address(t, "https://as.example/login")
	for i := range 1_000 {
		jar.Take(at, setting(fmt.Sprintf("c%d=%s", i, strings.Repeat("x", 40)), "same="+fmt.Sprint(i)))
	}
	assert.LessOrEqual(t, len(jar.Cookies(at)), mostCookies)
	assert.LessOrEqual(t, len(jar.log), mostCookies)
	assert.Equal(t, "999", jar.Value(at, "same"), "a full jar drops the newest cookie")
	assert.NotEmpty(t, jar.Value(at, "c999"))
	assert.Equal(t, jar.Cookies(at), jar.Copy().Cookies(at))
	jar.Take(at, setting("long="+strings.Repeat("x", longestCookie)))
	assert.Empty(t, jar.Value(at, "long"))
	assert.Empty(t, jar.Without(at, "same").Value(at, "same"))
}

// A cookie is removed or changed wherever it is sent, whatever its path and domain are.
func TestCookiesAreTakenFromTheirPath(t *testing.T) {
	for _, attributes := range []string{"", "; Path=/", "; Path=/login", "; Domain=example.com", "; Domain=as.example.com; Path=/login"} {
		jar, at := NewJar(), address(t, "https://as.example.com/login/start")
		jar.Take(at, setting("sid=1"+attributes, "other=1"))
		assert.Equal(t, []string{"other"}, jar.Without(at, "sid").Names(at), attributes)
		changed := jar.With(at, "sid", "2")
		assert.Equal(t, "2", changed.Value(at, "sid"), attributes)
		assert.Len(t, changed.Cookies(at), 2, attributes)
		assert.Equal(t, "1", jar.Value(at, "sid"), attributes)
	}
	jar, at := NewJar(), address(t, "https://as.example.com/")
	jar.Take(at, setting("sid=1; Path=/"))
	jar.Take(at, setting("sid=; Path=/; Max-Age=0"))
	assert.Equal(t, "2", jar.With(at, "sid", "2").Value(at, "sid"), "a cookie that was deleted")
	jar.Take(address(t, "https://other.example.com/"), setting("sid=3"))
	assert.Equal(t, "3", jar.Without(at, "sid").Value(address(t, "https://other.example.com/"), "sid"), "a cookie of another host")
}

// A cookie of one host is not sent to another, whatever its attributes say.
func TestCookiesStayAtTheirHost(t *testing.T) {
	jar := NewJar()
	jar.Take(address(t, "https://as.attacker.example/"), setting("a=1; Domain=victim.example", "b=1; Domain=example", "c=1; Domain=.com",
		"d=1; Domain=as.victim.example.", "e=1; Domain=", "f=1; Domain=attacker.example"))
	assert.Empty(t, jar.Cookies(address(t, "https://as.victim.example/")))
	assert.Empty(t, jar.Cookies(address(t, "https://victim.example/")))
	assert.Equal(t, []string{"f"}, jar.Names(address(t, "https://other.attacker.example/")))
}

// Storing and sending cookies takes memory in proportion to the answer that sets them.
func FuzzCookies(f *testing.F) {
	for _, s := range []string{"sid=abc; Path=/; Secure; HttpOnly; SameSite=Lax", "a=b; Domain=.example; Max-Age=-1", "=; ;",
		"a=\"b\"; Expires=x",
		"__Host-a=1;Path", "a=b; Max-Age=99999999999999999999"} {
		f.Add(s, "https://as.example/login")
	}
	f.Fuzz(func(t *testing.T, cookie, where string) {
		u, err := url.Parse(where)
		if err != nil || u.Host == "" || len(cookie) > 64<<10 || len(where) > 8<<10 {
			t.Skip()
		}
		many := make([]string, 0, 100)
		for i := range 100 {
			many = append(many, fmt.Sprint(i, cookie), cookie)
		}
		costs.Bounded(t, 200*len(cookie), 100, func() {
			jar := NewJar()
			jar.Take(u, setting(many...))
			CookiesOf(setting(many...))
			_ = jar.Copy().Field(u)
			if n := len(jar.Cookies(u)); n > mostCookies {
				t.Errorf("too many cookies are sent: %d", n)
			}
			for _, f := range jar.Field(u) {
				if strings.ContainsAny(f.Value, "\r\n\x00") {
					t.Errorf("%q would be sent", f.Value)
				}
			}
		})
	})
}
