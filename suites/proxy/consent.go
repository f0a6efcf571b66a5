// Package proxy holds the checks on an authorization server that signs its users in at another one, where it is one
// client for all of its own (MCP Security Best Practices: Confused Deputy Problem).
package proxy

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: Confused Deputy Problem, consent", consent)
	Describe("MCP Security Best Practices: Confused Deputy Problem, OAuth state parameter validation", state)
	Describe("MCP Authorization: Third-Party Authorization Flow", upstream)
	Describe("OpenID Connect Core section 3.1.3.7: ID tokens that browsers bring", fromBrowsers)
}

// ownPage is the proxy's own page that asks about a client; the check does not apply where there is none.
func ownPage(t *T, edits ...Edit) (*Grant, *login.Page, *login.Form, oauth.Form) {
	return t.Pages.Consent("the proxy shows no page of its own before the upstream (AS-PROXY-CONSENT-BEFORE-UPSTREAM)", append([]Edit{Until(t.Upstream.IsRequest)}, edits...)...)
}

// signedIn completes a flow through the upstream in one browser.
func signedIn(t *T, edits ...Edit) *UpstreamRequest {
	leg := t.Upstream.MustReach(edits...)
	if o := t.Upstream.Return(leg, t.Upstream.SignIn(leg, leg.Jar), leg.Jar, login.Approve); o.Params.Get("code") == "" {
		t.Inconclusive("the control failed: an ordinary flow through the upstream ended %s: %s", o.Stage, o.Why)
	}
	t.Controlled()
	return leg
}

func consent() {
	Must("AS-PROXY-CONSENT-BEFORE-UPSTREAM", func(t *T) {
		c := t.AS.MustRegister(nil)
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), SignedOut(), Leaving(), Until(t.Upstream.IsRequest)))
		leg := t.Upstream.RequestOf(g)
		if leg == nil && g.Stage == login.AtConsent {
			return
		}
		if leg == nil {
			t.Inconclusive("neither a page that asks nor the upstream is reached: %s", g.Describe())
		}
		const want = "a page of the proxy's own that asks about the client, before the upstream is contacted"
		if identityOnly(leg) { // a login at another provider, not an API that is acted on: a page afterwards protects as well
			t.Advise(g.Exchange, want, "the browser is sent to %s at once, for a login only", origin(leg.Upstream))
			return
		}
		t.Unmet(g.Exchange, want, "the browser is sent to %s at once", origin(leg.Upstream))
	})

	Must("AS-PROXY-CONSENT-PER-CLIENT", func(t *T) {
		first := signedIn(t)
		c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{strings.Replace(t.AS.AnyClient().RedirectURI, ":8765", ":8767", 1)}})
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), InJar(first.Jar), Leaving(), Until(t.Upstream.IsRequest)))
		leg := t.Upstream.RequestOf(g)
		if leg == nil && g.Stage == login.AtConsent {
			t.Refused()
			return
		}
		if leg == nil && g.Code() == "" {
			t.Inconclusive("another client is neither asked about nor sent upstream: %s", g.Describe())
		}
		const want = "a page of the proxy's own before a client that its user never approved"
		if leg == nil {
			t.Unmet(g.Exchange, want, "a code for another client comes without any page")
			return
		}
		o := t.Upstream.Return(leg, t.Upstream.SignIn(leg, first.Jar), first.Jar, login.Leave)
		switch {
		case o.Params.Get("code") != "":
			t.Unmet(o.Exchange, want, "the browser is sent upstream without one, and comes back with a code for another client")
		case o.Stage != login.AtConsent:
			t.Inconclusive("the browser is sent upstream without a page, and what follows ended %s: %s", o.Stage, o.Why)
		case identityOnly(leg):
			t.Refused() // the page comes after a login at another provider
		default:
			t.Unmet(o.Exchange, want, "the browser is sent upstream first, and asked afterwards")
		}
	})

	Must("AS-PROXY-CONSENT-CONTENT", func(t *T) {
		name := "mcpauth " + Random(6) + " tester"
		c := t.AS.MustRegister(map[string]any{"client_name": name})
		g, p, f, values := ownPage(t, As(c))
		ex, text := last(g), p.Said()
		if !strings.Contains(text, name) {
			t.Unmet(ex, "the client's name on the proxy's page", "it is absent")
		}
		u, err := url.Parse(g.RedirectURI)
		if err == nil && !strings.Contains(text, g.RedirectURI) && !strings.Contains(text, u.Host+u.Path) {
			t.Unmet(ex, "the redirect URI on the proxy's page", "%s is absent", g.RedirectURI)
		}
		_, leg := t.Upstream.Submit(g, login.Submission(p, f, values), g.Jar)
		if leg == nil {
			t.Inconclusive("the approval does not lead upstream, so what is asked for there cannot be compared")
		}
		scopes := strings.Fields(leg.Query.Get("scope"))
		unsaid := 0
		for _, scope := range scopes {
			if !Mentions(text, scope) {
				unsaid++
			}
		}
		switch {
		case unsaid > 0 && unsaid == len(scopes):
			t.Unmet(ex, "the scopes that are asked of the upstream on the proxy's page: "+strings.Join(scopes, " "), "nothing reminds of any of them")
		case unsaid > 0:
			t.Advise(ex, "each scope that is asked of the upstream on the proxy's page, or what it means", "nothing reminds of %d of %s", unsaid, strings.Join(scopes, " "))
		}
	})

	Must("AS-PROXY-CONSENT-CSRF", func(t *T) {
		_, p, f, values := ownPage(t)
		g, p0, f0, v0 := ownPage(t)
		if _, leg := t.Upstream.Submit(g, login.Submission(p0, f0, v0), g.Jar); leg == nil {
			t.Inconclusive("the control failed: an ordinary approval does not lead upstream")
		}
		t.Controlled()
		refused := func(about string, req wire.Request, jar *login.Jar) {
			o, leg := t.Upstream.Submit(g, req, jar)
			switch {
			case leg != nil:
				t.Finding(o.Exchange, about, "approval only by the form that this very browser was shown", "the browser is sent upstream")
			case o.Params.Get("code") != "":
				t.Finding(o.Exchange, about, "approval only by the form that this very browser was shown", "a code is issued")
			default:
				t.RefusedBy(o.Exchange)
			}
		}
		refused("a form that another browser was shown", Foreign(login.Submission(p, f, values)), login.NewJar())
		victim, _, _, _ := ownPage(t)
		refused("a form that another browser was shown, in one with a page of its own", Foreign(login.Submission(p, f, values)), victim.Jar)
		own, p, f, values := ownPage(t)
		if DropToken(f, &values) || !t.Pages.SameSite() {
			refused("without the form's token, from another site", Foreign(login.Submission(p, f, values)), own.Jar)
		}
		own, _, f, values = ownPage(t)
		refused("by GET", wire.Request{Method: "GET", URL: oauth.AtQuery(f.Action, values)}, own.Jar)
	})

	Must("AS-PROXY-CONSENT-NOFRAME", func(t *T) {
		g, _, _, _ := ownPage(t)
		if !expect.FramingForbidden(last(g)) {
			t.Unmet(last(g), "frame-ancestors in the Content-Security-Policy, or X-Frame-Options: DENY", "the proxy's page can be framed by anybody")
		} else if strings.EqualFold(expect.Header(last(g), "X-Frame-Options"), "SAMEORIGIN") && expect.Directive(expect.Header(last(g), "Content-Security-Policy"), "frame-ancestors") == "" {
			t.Advise(last(g), "X-Frame-Options: DENY", "SAMEORIGIN")
		}
	})

	Must("AS-PROXY-CONSENT-COOKIE", approvals)
}

// approvals finds the cookie that records an approval, and tries to forge it.
func approvals(t *T) {
	ownPage(t)
	c := t.AS.AnyClient()
	first := signedIn(t, As(c))
	again := func(client *oauth.Client, jar *login.Jar) *UpstreamRequest {
		return t.Upstream.RequestOf(t.AS.Authorize(As(client), InJar(jar), Leaving(), Until(t.Upstream.IsRequest)))
	}
	if again(c, first.Jar.Copy()) == nil {
		t.NotApplicable("no approval is remembered: the page comes again")
	}
	at, err := url.Parse(t.AS.Server().Authorization)
	if err != nil {
		t.Inconclusive("the authorization endpoint is no URL")
	}
	record := ""
	for _, name := range first.Jar.Names(at) {
		if again(c, first.Jar.Without(at, name)) == nil {
			record = name
		}
	}
	if record == "" {
		t.Unmet(first.Exchange, "an approval remembered in a cookie, or for a user that the browser has signed in", "the page is skipped whatever cookie is missing")
		return
	}
	if other := t.AS.MustRegister(nil); again(other, first.Jar.Copy()) != nil {
		t.Finding(first.Exchange, record, "an approval that names its client", "it skips the page of another client")
	}
	// Near the end stands what seals it; of the very last character, some bits may mean nothing.
	value := first.Jar.Value(at, record)
	length := len(strings.TrimRight(strings.TrimSuffix(value, "%3D"), "="))
	for _, place := range []int{0, length / 3, length - 2} {
		if again(c, first.Jar.With(at, record, flipped(value, max(0, place)))) != nil {
			t.Finding(first.Exchange, record, "a changed value to count for nothing", fmt.Sprintf("changed at its character %d, it still skips the page", place+1))
		}
	}
	attributes(t, record)
	t.Refused()
}

// attributes judges the Set-Cookie field of the cookie that records approvals.
func attributes(t *T, name string) {
	secure := strings.HasPrefix(t.AS.Server().Authorization, "https://")
	for _, ex := range t.Transcript() {
		for _, field := range expect.HeaderValues(ex, "Set-Cookie") {
			if !strings.HasPrefix(field, name+"=") {
				continue
			}
			lower := strings.ToLower(field)
			var missing []string
			for what, there := range Sorted(map[string]bool{"HttpOnly": strings.Contains(lower, "httponly"), "SameSite": strings.Contains(lower, "samesite=lax") || strings.Contains(lower, "samesite=strict"),
				"Secure": strings.Contains(lower, "secure") || !secure, "the prefix __Host-": strings.HasPrefix(name, "__Host-") || !secure}) {
				if !there {
					missing = append(missing, what)
				}
			}
			if len(missing) > 0 {
				t.Unmet(ex, "HttpOnly, SameSite=Lax and, on https, Secure and the prefix __Host-", "%s has not: %s", name, strings.Join(missing, ", "))
			}
			return
		}
	}
}

// flipped is a value with another character at a place, or at its end if it is shorter.
func flipped(v string, at int) string {
	if v == "" {
		return "x"
	}
	b := []byte(v)
	at = min(at, len(b)-1)
	if b[at]++; b[at] > 'z' || b[at] == '%' || b[at] == ';' {
		b[at] = 'A'
	}
	return string(b)
}

func last(g *Grant) *reports.Exchange { return g.PageExchanges[len(g.PageExchanges)-1] }

// identityOnly reports that a proxy asks its upstream who the user is, and nothing else.
func identityOnly(leg *UpstreamRequest) bool {
	for _, scope := range strings.Fields(leg.Query.Get("scope")) {
		switch scope {
		case "openid", "profile", "email", "address", "phone", "offline_access":
		default:
			return false
		}
	}
	return leg.Query.Get("scope") != ""
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}
