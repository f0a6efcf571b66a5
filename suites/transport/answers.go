package transport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A redirect loses the body or the token.
func answersWhereItIsPublished(t *T) {
	calls := Cases[mcp.Call]{{"without a token", t.MCP.Call()}}
	if t.MCP.HasToken() {
		calls = calls.And("with the valid token", t.MCP.Call().With(t.MCP.BearerField()))
	}
	Each(t, calls, func(t *T, c mcp.Call) {
		t.Expect(t.Send(c)).To(answerThere)
	})
}

var answerThere = expect.Unless(expect.That("an answer at the published URL", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s >= 300 && s <= 399 {
		return expect.Describe(ex)
	}
	return ""
}), expect.NoAnswer)

func keepsAnswersOutOfSharedCaches(t *T) {
	t.Expect(t.Send(t.MCP.Call().With(t.MCP.BearerField()))).To(letNoSharedCacheKeepIt())
}

// RFC 9111 section 3.5: an answer to a request with Authorization is not stored by a shared cache, unless it says so.
var letNoSharedCacheKeepIt = expect.Family("letNoSharedCacheKeepIt", func() expect.Matcher {
	return expect.Unless(expect.That("nothing in Cache-Control that lets shared caches keep an authorized answer",
		func(ex *reports.Exchange) string {
			said := listed(ex, "Cache-Control")
			has := func(names ...string) bool {
				return slices.ContainsFunc(said, func(d string) bool { name, _, _ := strings.Cut(d, "="); return slices.Contains(names, name) })
			}
			is := func(directive string) bool { return slices.Contains(said, directive) }
			asksEachTime := is("no-cache") || is("s-maxage=0") || is("max-age=0") && is("must-revalidate") && !has("s-maxage")
			if !is("no-store") && !is("private") && !asksEachTime && has("public", "s-maxage", "must-revalidate") {
				return fmt.Sprintf("%q", strings.Join(said, ", "))
			}
			return ""
		}), expect.NoAnswer)
})

func takesNoCookieForToken(t *T) {
	ex := t.Send(t.MCP.Call().With(t.MCP.BearerField()))
	cookies := expect.HeaderValues(ex, "Set-Cookie")
	if len(cookies) == 0 {
		t.NotApplicable("the endpoint sets no cookie")
	}
	protections := []string{"HttpOnly", "SameSite"}
	if strings.HasPrefix(t.Survey.Endpoint, "https:") {
		protections = append(protections, "Secure")
	}
	for _, cookie := range cookies {
		pair, attributes, _ := strings.Cut(cookie, ";")
		name, value, _ := strings.Cut(pair, "=")
		t.Secrets.Add("cookie", value)
		Refuses(t, t.MCP.ProtectedCall(), Cases[CallEdit]{{"the cookie " + name + " without a token", withCookie(pair)}}, expect.RefuseAnyway())
		for _, protection := range protections {
			t.Expect(attributes, "the cookie %s", name).SeenIn(ex).Ideally(haveAttribute(protection))
		}
	}
}

// withCookie sends a cookie instead of the token.
func withCookie(pair string) CallEdit {
	return func(c mcp.Call) mcp.Call {
		c.Header = nil
		return c.With(mcp.Field("Cookie", pair))
	}
}

var haveAttribute = expect.Family("haveAttribute", func(name string) expect.Matcher {
	return expect.That("the attribute "+name, func(attributes string) string {
		for _, a := range strings.Split(attributes, ";") {
			if has, _, _ := strings.Cut(strings.TrimSpace(a), "="); strings.EqualFold(has, name) {
				return ""
			}
		}
		return name + " is missing"
	})
})

// An origin that is allowed with credentials reads what the user's browser may read.
func allowsNoCredentialsFromForeignOrigins(t *T) {
	scheme, host := t.Survey.URL.Scheme, t.Survey.URL.Hostname()
	before, domain := wordBefore(host)
	Each(t, Cases[string]{
		{evil, evil},
		{"the opaque origin null", "null"},
		{"the own host with a domain at its end", scheme + "://" + host + ".evil.example"},
		{before, scheme + "://" + domain},
	}, func(t *T, origin string) {
		from := mcp.Field("Origin", origin)
		t.Expect(t.Send(t.MCP.Call().With(from)), "a request").To(allowNoCredentials(origin))
		preflight := wire.Request{Method: "OPTIONS", URL: t.Survey.Endpoint, Header: []reports.Field{
			from, mcp.Field("Access-Control-Request-Method", "POST"),
		}}
		t.Expect(t.Do(preflight), "a preflight").To(allowNoCredentials(origin))
	})
}

var allowNoCredentials = expect.Family("allowNoCredentials", func(origin string) expect.Matcher {
	return expect.Unless(expect.That("no credentials for foreign origins", func(ex *reports.Exchange) string {
		if expect.Header(ex, "Access-Control-Allow-Origin") == origin &&
			strings.EqualFold(expect.Header(ex, "Access-Control-Allow-Credentials"), "true") {
			return "the origin is reflected together with Access-Control-Allow-Credentials: true"
		}
		return ""
	}), expect.NoAnswer)
})
