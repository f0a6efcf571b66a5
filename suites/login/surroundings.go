package login

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// stay expects the server not to send the browser to the attacker.
var stay = expect.Refusing("no redirect to a foreign address", func(e *entry) string {
	for _, hop := range e.Hops {
		if leads(hop.To) {
			return "the browser is sent to " + hop.To
		}
	}
	if leads(e.Location) {
		return "the browser is sent to " + e.Location
	}
	return ""
})

func leads(location string) bool {
	u, err := url.Parse(location)
	return err == nil && strings.HasSuffix(u.Hostname(), "attacker.example")
}

// Addresses that some servers parse as a path, and browsers as another host (WHATWG URL, section 4.4).
var foreign = Cases[string]{
	{"https://attacker.example/", "https://attacker.example/"},
	{"//attacker.example", "//attacker.example"},
	{`/\attacker.example`, `/\attacker.example`},
	{"https:attacker.example", "https:attacker.example"},
}

// returning are common names of parameters for the address to which a page redirects.
var returning = []string{"next", "return_to", "returnTo", "return_url", "continue", "redirect", "redirect_to", "rd"}

// The address is set in the request, in the address of the login page, and in its hidden fields; then the user signs in.
func returnsToOwnPages(t *T) {
	u := user(t)
	for _, r := range foreign {
		Refuses(t, returns(t, u), Cases[placing]{
			{"the request with " + r.Name, placing{edit: inRequest(r.Value)}},
			{"the address of the login page with " + r.Name, placing{page: r.Value}},
			{"a hidden field with " + r.Name, placing{field: r.Value}},
		}, stay)
	}
}

// placing says where an address is put.
type placing struct {
	edit        Edit
	page, field string
}

func inRequest(address string) Edit {
	var all []Edit
	for _, name := range returning {
		all = append(all, With(name, address))
	}
	return Edits(all...)
}

// returns is a login with an address in the places from which the server may read its redirect target.
func returns(t *T, u login.User) Attempt[placing] {
	return Attempt[placing]{Name: "an ordinary login", Good: letIn, Send: func(edits ...placing) any {
		where := placing{edit: Unchanged}
		for _, e := range edits {
			if where = e; where.edit == nil {
				where.edit = Unchanged
			}
		}
		first := t.AS.Authorize(SignedOut(), StoppingAtPassword(), Leaving(), where.edit)
		if e := (&entry{first.Outcome, first.Jar}); first.Stage == login.Elsewhere || first.Page() == nil {
			return e
		}
		g, p, f := loginPage(t, where.edit)
		if where.page != "" {
			p, f = moved(t, g, p, where.page)
		}
		values := filledIn(f, u)
		if where.field != "" && !inHidden(f, &values, where.field) {
			t.NotApplicable("the login form has no hidden field for an address")
		}
		return understood(t, goOn(t, g.Jar, login.Submission(p, f, values), g.RedirectURI), g.Jar)
	}}
}

// inHidden puts an address into the hidden fields that contain one.
func inHidden(f *login.Form, values *oauth.Form, address string) bool {
	found := false
	for _, in := range f.Inputs {
		if in.Type == "hidden" && returnsTo(in.Name, in.Value) {
			values.Set(in.Name, address)
			found = true
		}
	}
	return found
}

// ofTheRequest are parameters of an authorization request that may be addresses: no page redirects there.
var ofTheRequest = []string{"redirect_uri", "client_id", "resource", "request_uri", "post_logout_redirect_uri", "scope"}

// returnsTo reports that a parameter contains an address to which pages redirect.
func returnsTo(name, value string) bool {
	lower := strings.ToLower(name)
	if slices.Contains(ofTheRequest, lower) {
		return false
	}
	return strings.HasPrefix(value, "/") || strings.Contains(value, "://") ||
		slices.ContainsFunc(returning, func(n string) bool { return lower == strings.ToLower(n) })
}

// moved is the login page with an address in those parameters of its URL that contain one.
func moved(t *T, g *Grant, p *login.Page, address string) (*login.Page, *login.Form) {
	query, found := p.URL.Query(), false
	for name := range query {
		if returnsTo(name, query.Get(name)) {
			query.Set(name, address)
			found = true
		}
	}
	if !found {
		t.NotApplicable("the address of the login page contains no other address")
	}
	at := *p.URL
	at.RawQuery = query.Encode()
	out := goOn(t, g.Jar, wire.Request{Method: "GET", URL: at.String()}, g.RedirectURI)
	page := out.Page()
	if page == nil || page.Login() == nil || page.Login().Password() == nil {
		t.Expect(&entry{out, g.Jar}).To(stay)
		t.Inconclusive("the login page is not shown: %s %s", out.Stage, out.Why)
	}
	return page, page.Login()
}

func loadsNothingFromOthers(t *T) {
	g := t.Pages.Asked(SignedOut(), Leaving())
	own, err := document.ParseURL(t.AS.Server().Authorization)
	if err != nil || len(g.Pages) == 0 {
		t.NotApplicable("the authorization server shows no page")
	}
	shown := false
	for i, p := range g.Pages {
		if p.URL.Host == own.Host {
			shown = true
			t.Expect(p, "the page %q", p.Title).SeenIn(g.PageExchanges[i]).Ideally(loadOwn(own))
		}
	}
	if !shown {
		t.NotApplicable("users sign in at another provider, and the authorization server shows no page of its own")
	}
}

// The referrer and scripts reveal the content of the request to the other site (RFC 9700 section 4.2.4).
var loadOwn = expect.Family("loadOwn", func(own *url.URL) expect.Matcher {
	return expect.That("scripts, styles, images and frames of the own site only", func(p *login.Page) string {
		var others []string
		for _, address := range p.Loads {
			if u, err := url.Parse(address); err == nil && u.Host != "" && site(u.Hostname()) != site(own.Hostname()) &&
				!slices.Contains(others, address) {
				others = append(others, address)
			}
		}
		if len(others) == 0 {
			return ""
		}
		return "the page loads " + strings.Join(others, ", ")
	})
})

// site is the part of a host name that one owner registers (Public Suffix List). An IP address is its own site.
func site(host string) string {
	if name, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return name
	}
	return host
}
