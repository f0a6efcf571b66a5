package registration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// changing is a set of members of a registration that are changed; nil leaves one out.
type changing = map[string]any

// ordinary is a good registration, without application_type as most clients send it, or with it where the server needs it.
func ordinary(t *T) Attempt[changing] {
	plain := changing{"application_type": nil}
	if c, _ := t.AS.Register(plain); c == nil {
		plain = nil
	}
	return t.AS.Registration(plain)
}

// asNative are rows of registrations of a native client, to which a server may apply other rules (OpenID Connect Dynamic Client
// Registration section 2). The rows do not apply where it refuses such clients altogether.
func asNative(t *T, uris ...any) {
	good := t.AS.Registration(changing{"application_type": "native"})
	c, ex := t.AS.Register(changing{"application_type": "native"})
	if rows := redirectingTo(uris...).In("a native client"); c == nil {
		Each(t, rows, func(t *T, _ changing) {
			t.NotApplicable("a client of application_type native is not registered: %s", expect.Describe(decided(t, ex)))
		})
	} else {
		Refuses(t, good, rows, refuseURI())
	}
}

// refuseURI expects the refusal of a redirect URI (RFC 7591 section 3.2.2).
func refuseURI() expect.Matcher {
	return expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata")
}

// redirectingTo are rows that register one redirect URI each.
func redirectingTo(uris ...any) Cases[changing] {
	var rows Cases[changing]
	for _, uri := range uris {
		name := fmt.Sprint(uri)
		if text, ok := uri.(string); ok {
			name = strconv.Quote(text)
		}
		rows = rows.And("redirect URI "+name, changing{"redirect_uris": []any{uri}})
	}
	return rows
}

// Browsers leave out white space before a scheme, and tabs in it (WHATWG URL section 4.4).
func refusesDangerousSchemes(t *T) {
	Refuses(t, ordinary(t), redirectingTo(
		"javascript:alert(1)//", "JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x",
		"file:///etc/passwd", "blob:https://h/x", "about:blank", "view-source:https://h/",
	), refuseURI())
	Refuses(t, ordinary(t), Cases[changing]{
		{"a javascript: URI after a good one", changing{"redirect_uris": []any{t.Session.Callback, "javascript:alert(1)"}}},
		{"a javascript: URI before a good one", changing{"redirect_uris": []any{"javascript:alert(1)", t.Session.Callback}}},
	}, expect.Either(leaveOut("javascript:alert(1)"), refuseURI()))
	asNative(t, "javascript:alert(1)//", "data:text/html,x")
}

// leaveOut allows a server to register the good redirect URIs alone (RFC 7591 section 3.2.1).
var leaveOut = expect.Family("leaveOut", func(uri string) expect.Matcher {
	return expect.That("the other redirect URIs alone", func(ex *reports.Exchange) string {
		if kept, _ := oauth.Object(ex).Strings("redirect_uris"); len(kept) == 0 || slices.Contains(kept, uri) {
			return "the redirect URI is registered"
		}
		return ""
	})
})

func refusesPlainHTTP(t *T) {
	Refuses(t, ordinary(t), redirectingTo("http://client.example/cb", "HTTP://client.example/cb", "http://client.example:8443/cb",
		"http://192.0.2.10/cb", "http://10.0.0.5/cb", "http://[2001:db8::1]/cb"), refuseURI())
	asNative(t, "http://client.example/cb")
}

// belowLocalhost reports whether a URI leads to a name below localhost, which is loopback, too (RFC 6761 section 6.3).
func belowLocalhost(uri string) bool {
	u, err := document.ParseURL(uri)
	return err == nil && strings.HasSuffix(u.Hostname(), ".localhost")
}

func refusesLoopbackLookalikes(t *T) {
	uris := []any{"http://attacker.example/?localhost", "http://localhostx/cb", "http://0x7f000001.attacker.example/cb"}
	var backslashes []any
	for _, good := range []string{"http://localhost/cb", "http://127.0.0.1:80/cb"} {
		for _, m := range nearmiss.OfURL(good, nearmiss.Host) {
			switch {
			case belowLocalhost(m.Value), !strings.HasPrefix(m.Value, "http:"):
			case strings.Contains(m.Value, `\`):
				backslashes = append(backslashes, m.Value)
			default:
				uris = append(uris, m.Value)
			}
		}
	}
	Refuses(t, ordinary(t), redirectingTo(uris...), refuseURI())
	asNative(t, "http://localhost.attacker.example/cb", "http://localhost@attacker.example/cb")
	// The grammar has no backslash (RFC 3986); a browser reads it as a slash, and goes to loopback (WHATWG URL section 4.4).
	Each(t, redirectingTo(backslashes...), func(t *T, c changing) {
		_, ex := t.AS.Register(c)
		t.Expect(ex).Ideally(refuse)
	})
}

// A fragment that is cut off is a warning: the client sees it in the answer.
func refusesFragments(t *T) {
	const whole = "https://client.example/cb"
	cut := expect.AdvisedOf(expect.Either(leaveOut(whole+"#frag"), refuseURI()), "a refusal", func(ex *reports.Exchange) string {
		if notRegistered(ex) == "" {
			return "the redirect URI is registered without its fragment"
		}
		return ""
	})
	Refuses(t, ordinary(t), redirectingTo(whole+"#frag"), cut)
	_, ex := t.AS.Register(changing{"redirect_uris": []string{whole + "#"}})
	t.Expect(ex, "a redirect URI with an empty fragment").Ideally(refuse)
}

// refuse is advice for what the clause leaves open.
var refuse = expect.That("a refusal", func(ex *reports.Exchange) string {
	if notRegistered(ex) == "" {
		return "the client is registered"
	}
	return ""
})

func refusesURIsThatAreNotAbsolute(t *T) {
	Refuses(t, ordinary(t), redirectingTo(
		"/callback", "//attacker.example/cb", "callback", "", "https://", "https:///cb", "https://a b/cb", 42,
		"https://client.example/\r\nSet-Cookie:x",
	), refuseURI())
	_, ex := t.AS.Register(changing{"redirect_uris": []string{"http://127.0.0.1:99999/cb"}})
	t.Expect(ex, "port 99999, which no address has, though the grammar allows it (RFC 3986 section 3.2.3)").Ideally(refuse)
}

func requiresRedirectURIs(t *T) {
	Refuses(t, ordinary(t), Cases[changing]{
		{"absent", changing{"redirect_uris": nil}},
		{"an empty list", changing{"redirect_uris": []string{}}},
		{"null in the list", changing{"redirect_uris": []any{nil}}},
	}.In("redirect_uris"), expect.Either(needNone, refuseURI()))
	Refuses(t, ordinary(t), Cases[changing]{
		{"redirect_uris: a string", changing{"redirect_uris": t.Session.Callback}},
	}, expect.Either(readAsList(t.Session.Callback), expect.Either(needNone, refuseURI())))
}

// readAsList warns of a server that reads a string as a list of one: the client still has a redirect URI.
var readAsList = expect.Family("readAsList", func(uri string) expect.Matcher {
	return expect.Advised(expect.That("a client with the redirect URI", func(ex *reports.Exchange) string {
		if uris, _ := oauth.Object(ex).Strings("redirect_uris"); notRegistered(ex) == "" && slices.Equal(uris, []string{uri}) {
			return ""
		}
		return expect.Describe(ex)
	}), "a refusal of what is not a list (RFC 7591 section 2)", func(*reports.Exchange) bool { return false })
})

// needNone allows a server to register a client that uses no redirect (RFC 7591 section 2).
var needNone = expect.That("a client without a grant that redirects", func(ex *reports.Exchange) string {
	grants, ok := oauth.Object(ex).Strings("grant_types")
	if notRegistered(ex) != "" || !ok || slices.Contains(grants, "authorization_code") || slices.Contains(grants, "implicit") {
		return "the client is registered with grant_types " + strings.Join(grants, " ")
	}
	return ""
})

// wildcard is a redirect URI with a wildcard, with another one that it would match as a pattern.
type wildcard struct{ pattern, matched string }

// treatsPatternsAsText expects each pattern to be refused, or to match nothing but itself. The control names another redirect URI of the
// client: a server that normalizes the pattern may refuse it as it was registered.
func treatsPatternsAsText(t *T) {
	good := ordinary(t)
	Each(t, Cases[wildcard]{
		{"* for a subdomain", wildcard{"https://*.client.example/cb", "https://evil.client.example/cb"}},
		{"* for the host", wildcard{"https://*/cb", "https://attacker.example/cb"}},
		{"* after the host", wildcard{"https://client.example*", "https://client.example.attacker.example/cb"}},
		{"* for the path", wildcard{"https://client.example/*", "https://client.example/evil"}},
		{"a regular expression", wildcard{"https://client.example/.*", "https://client.example/evil"}},
	}, func(t *T, w wildcard) {
		c, ex := t.AS.Register(changing{"redirect_uris": []string{"https://client.example/cb", w.pattern}})
		if c == nil {
			judgeRefused(t, good, "registering "+w.pattern, ex, refuseURI())
			return
		}
		Refuses(t, t.AS.AuthorizationRequest(As(c)), Cases[Edit]{
			{w.matched + " for the registered " + w.pattern, With("redirect_uri", w.matched)},
		}, expect.NotRedirect())
	})
}

func refusesBarePrivateSchemes(t *T) {
	Each(t, redirectingTo("myapp:/cb", "myapp://cb"), func(t *T, changes changing) {
		_, ex := t.AS.Register(changes)
		t.Expect(decided(t, ex)).Ideally(expect.That("private schemes in reverse domain form only (RFC 8252 section 7.1)",
			func(ex *reports.Exchange) string {
				if notRegistered(ex) == "" {
					return "the client is registered; some desktop clients need such a scheme"
				}
				return ""
			}))
	})
}

// acceptsLoopbackRedirects registers as native clients do, without application_type first: most do not send it.
func acceptsLoopbackRedirects(t *T) {
	Each(t, Cases[string]{
		{"127.0.0.1 without a port", "http://127.0.0.1/callback"},
		{"127.0.0.1", "http://127.0.0.1:53111/callback"},
		{"localhost", "http://localhost:53111/callback"},
	}, func(t *T, uri string) { t.Expect(decided(t, atLoopback(t, uri))).To(registerLoopback) })
	Each(t, Cases[string]{{"[::1]", "http://[::1]:53111/callback"}}, func(t *T, uri string) {
		t.Expect(decided(t, atLoopback(t, uri))).Ideally(registerLoopback)
	})
}

// atLoopback registers a loopback redirect URI. It reports whether that needs application_type.
func atLoopback(t *T, uri string) *reports.Exchange {
	_, bare := t.AS.Register(changing{"redirect_uris": []string{uri}, "application_type": nil})
	if notRegistered(bare) == "" {
		return bare
	}
	_, typed := t.AS.Register(changing{"redirect_uris": []string{uri}, "application_type": "native"})
	if notRegistered(typed) == "" {
		t.Expect(decided(t, bare), "without application_type").Ideally(nameApplicationType)
	}
	return typed
}

var nameApplicationType = expect.That("a loopback redirect URI registered without application_type, or an error_description that names it",
	func(ex *reports.Exchange) string {
		if !strings.Contains(oauth.Object(ex).String("error_description"), "application_type") {
			return expect.Describe(ex) + "; with application_type native it is registered"
		}
		return ""
	})

var registerLoopback = expect.That("loopback redirect URIs registered for native clients (RFC 8252 section 7.3)", notRegistered)
