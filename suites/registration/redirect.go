package registration

import (
	"fmt"
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// changing is a set of members of a registration that are changed; nil leaves one out.
type changing = map[string]any

// ordinary is a good registration, without application_type as most clients send it, or with it where the server needs it.
func ordinary(t *T) Attempt[map[string]any] {
	plain := changing{"application_type": nil}
	if c, _ := t.AS.Register(plain); c == nil {
		plain = nil
	}
	return t.AS.Registration(plain)
}

// redirectingTo are rows that register one redirect URI each.
func redirectingTo(uris ...any) Cases[map[string]any] {
	var rows Cases[map[string]any]
	for _, uri := range uris {
		rows = rows.And(fmt.Sprintf("redirect URI %q", uri), changing{"redirect_uris": []any{uri}})
	}
	return rows
}

func refusesDangerousSchemes(t *T) {
	Refuses(t, ordinary(t), redirectingTo(
		"javascript:alert(1)//", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://h/x", "about:blank", "view-source:https://h/",
	), expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
	Refuses(t, ordinary(t), Cases[map[string]any]{
		{"a javascript: URI beside a good one", changing{"redirect_uris": []any{t.Session.Callback, "javascript:alert(1)"}}},
	}, expect.Either(leaveOut("javascript:alert(1)"), expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata")))
}

// leaveOut allows a server to register the good redirect URIs alone (RFC 7591 section 3.2.1).
func leaveOut(uri string) expect.Matcher {
	return expect.That("the other redirect URIs alone", func(ex *reports.Exchange) string {
		if kept, _ := oauth.Object(ex).Strings("redirect_uris"); len(kept) == 0 || slices.Contains(kept, uri) {
			return "it is registered"
		}
		return ""
	})
}

func refusesPlainHTTP(t *T) {
	Refuses(t, ordinary(t), redirectingTo("http://client.example/cb", "http://192.0.2.10/cb", "http://[2001:db8::1]/cb"),
		expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
}

func refusesLoopbackLookalikes(t *T) {
	uris := []any{
		"http://attacker.example/?localhost", "http://attacker.example#localhost", "http://localhostx/cb", "http://0x7f000001.attacker.example/cb",
	}
	for _, good := range []string{"http://localhost/cb", "http://127.0.0.1:80/cb"} {
		for _, m := range nearmiss.OfURL(good, nearmiss.Host) {
			if m.Name != "a subdomain" && m.Value[:5] == "http:" { // names below localhost are loopback too (RFC 6761 section 6.3)
				uris = append(uris, m.Value)
			}
		}
	}
	Refuses(t, ordinary(t), redirectingTo(uris...), expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
}

func refusesFragments(t *T) {
	Refuses(t, ordinary(t), redirectingTo("https://client.example/cb#frag"), expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
	_, ex := t.AS.Register(changing{"redirect_uris": []string{"https://client.example/cb#"}})
	t.Expect(ex, "a redirect URI with an empty fragment").Ideally(refuse)
}

// refuse is what a warning asks for where the clause leaves it open.
var refuse = expect.That("a refusal", func(ex *reports.Exchange) string {
	if expect.BeRegistered().Judge(ex).Met {
		return "it is registered"
	}
	return ""
})

func refusesURIsThatAreNotAbsolute(t *T) {
	Refuses(t, ordinary(t), redirectingTo(
		"/callback", "//attacker.example/cb", "callback", "", "https://", "https:///cb", "https://a b/cb", 42, "https://client.example/\r\nSet-Cookie:x",
	), expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
	_, ex := t.AS.Register(changing{"redirect_uris": []string{"http://127.0.0.1:99999/cb"}})
	t.Expect(ex, "port 99999, which no address has, though the grammar allows it (RFC 3986 section 3.2.3)").Ideally(refuse)
}

func requiresRedirectURIs(t *T) {
	Refuses(t, ordinary(t), Cases[map[string]any]{
		{"no redirect_uris", changing{"redirect_uris": nil}},
		{"an empty list", changing{"redirect_uris": []string{}}},
		{"a string", changing{"redirect_uris": t.Session.Callback}},
		{"null in the list", changing{"redirect_uris": []any{nil}}},
	}, expect.RefuseRegistration("invalid_redirect_uri", "invalid_client_metadata"))
}

// acceptsLoopbackRedirects registers as native clients do, without application_type first: most do not send it.
func acceptsLoopbackRedirects(t *T) {
	Each(t, Cases[string]{
		{"127.0.0.1 without a port", "http://127.0.0.1/callback"},
		{"127.0.0.1", "http://127.0.0.1:53111/callback"},
		{"localhost", "http://localhost:53111/callback"},
	}, func(t *T, uri string) { t.Expect(atLoopback(t, uri)).To(registerLoopback) })
	Each(t, Cases[string]{{"[::1]", "http://[::1]:53111/callback"}}, func(t *T, uri string) {
		t.Expect(atLoopback(t, uri)).Ideally(registerLoopback)
	})
}

// atLoopback registers a loopback redirect URI. That it takes application_type to do so is said.
func atLoopback(t *T, uri string) *reports.Exchange {
	_, bare := t.AS.Register(changing{"redirect_uris": []string{uri}, "application_type": nil})
	if expect.BeRegistered().Judge(bare).Met {
		return bare
	}
	_, typed := t.AS.Register(changing{"redirect_uris": []string{uri}, "application_type": "native"})
	if expect.BeRegistered().Judge(typed).Met {
		t.Expect(bare, "without application_type").Ideally(expect.That(
			"a loopback redirect URI registered without application_type, or an error_description that names it", func(ex *reports.Exchange) string {
				if expect.NoAnswer(ex) == "" && !names(ex, "application_type") {
					return expect.Describe(ex) + "; with application_type native it is registered"
				}
				return ""
			}))
	}
	return typed
}

var registerLoopback = expect.That("loopback redirect URIs registered for native clients (RFC 8252 section 7.3)", func(ex *reports.Exchange) string {
	if !expect.BeRegistered().Judge(ex).Met {
		return expect.Describe(ex)
	}
	return ""
})
