// Package consent holds the checks on the page where a user approves a client (OAuth 2.1 section 7.3.1, MCP
// Security Best Practices).
package consent

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: consent", asked)
	Describe("MCP Security Best Practices: consent page", page)
	Describe("OAuth 2.1 section 1.5: what users take back", withdrawn)
}

func asked() {
	Should("AS-CONSENT-REQUIRED", func(t *T) {
		c := t.AS.MustRegister(nil)
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
		if g.Code() == "" {
			return
		}
		for _, p := range g.Pages { // approval may be part of the login page
			if strings.Contains(p.Text, "mcpauth conformance") || strings.Contains(p.Text, c.ID) {
				return
			}
		}
		t.Advise(g.Exchange, "a page that asks the user before a client that anybody can register gets a code", "a client that was never used gets a code without any")
	})

	Should("AS-CONSENT-NO-SILENT-REPEAT", func(t *T) {
		c := t.AS.AnyClient()
		t.AS.MustAuthorize(As(c))
		port := strings.Replace(c.RedirectURI, ":8765", ":8766", 1)
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), With("redirect_uri", port), Leaving()))
		if g.Code() != "" && !g.SignedIn {
			t.Advise(g.Exchange, "a page before a public client gets another code, since anybody on the machine can take its place", "a code comes back in silence, at another loopback port")
		}
	})

	Practice("AS-CONSENT-NEW-SCOPE", func(t *T) {
		pool := t.AS.ScopePool()
		base := t.AS.AnyClient().RedirectURI
		c := t.AS.MustRegister(map[string]any{"redirect_uris": []string{base, base + "/second"}})
		first := t.AS.MustAuthorize(As(c), With("redirect_uri", base), Scope(pool[0]), SignedOut())
		if g := t.AS.Authorize(As(c), With("redirect_uri", base), Scope(pool[0], pool[1]), InJar(first.Jar), Leaving()); g.Code() != "" && !g.SignedIn {
			ex := t.AS.Redeem(g)
			if real, _ := t.AS.RealScope(t.AS.Tokens(ex, c)); slices.Contains(real, pool[1]) {
				t.Unmet(g.Exchange, "a page before a client gets a scope that the user never granted", "a token with %s comes without any", pool[1])
			}
		}
		if g := t.AS.Authorize(As(c), With("redirect_uri", base+"/second"), Scope(pool[0]), InJar(first.Jar), Leaving()); g.Code() != "" && !g.SignedIn {
			t.Advise(g.Exchange, "a page before a code is sent to a redirect URI that the user never saw", "a code comes without any")
		}
	})
}

// consentPage is the page that asks the user; the check does not apply where there is none.
func consentPage(t *T, edits ...Edit) (*Grant, *login.Page, *login.Form, oauth.Form) {
	return t.Pages.Consent("the authorization server shows no consent page (AS-CONSENT-REQUIRED)", edits...)
}

// goOn sends a form in a jar and follows where it leads.
func goOn(t *T, jar *login.Jar, req wire.Request, redirectURI string) *login.Outcome {
	agent := &login.Agent{Jar: jar, Secrets: t.Secrets, Send: t.Do}
	return t.Pages.Continue(agent, req, login.Route{RedirectURI: redirectURI, Decision: login.Leave})
}

// namesScopes expects the page to tell what is asked for, in whatever words: where the page without a scope says something else,
// the scope is described. Only what is granted in the end has to be shown.
func namesScopes(t *T, c *oauth.Client, g *Grant, text string) {
	asked := strings.Fields(g.Request.Get("scope"))
	unnamed := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return strings.Contains(text, s) || described(t, c, s, asked, text) })
	if len(unnamed) == 0 {
		return
	}
	granted := grantedTo(t, c) // last: a server may remember the approval, and show no further page
	for _, scope := range unnamed {
		if granted == nil || slices.Contains(granted, scope) {
			t.Advise(g.PageExchanges[len(g.PageExchanges)-1], "each scope that is granted on the consent page, or what it means",
				"the page says nothing of %s", scope)
		}
	}
}

// grantedTo are the scopes that a client gets for an ordinary request; nil where that cannot be told.
func grantedTo(t *T, c *oauth.Client) []string {
	g := t.AS.Authorize(As(c), SignedOut())
	if g.Code() == "" {
		return nil
	}
	tokens := t.AS.Tokens(t.AS.Redeem(g), c)
	if tokens == nil {
		return nil
	}
	if scopes, seen := t.AS.RealScope(tokens); seen {
		return scopes
	}
	return nil
}

// described reports that the consent page without a scope says something else than the page with it. Where there is no such
// page to compare, a word of the scope must do.
func described(t *T, c *oauth.Client, scope string, all []string, text string) bool {
	rest := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == scope })
	if len(rest) == 0 {
		return Mentions(text, scope)
	}
	without := t.AS.Authorize(As(c), Scope(rest...), SignedOut(), Leaving())
	if !without.AsksUser() {
		return Mentions(text, scope)
	}
	return without.Page().Said() != text
}

func page() {
	Should("AS-CONSENT-CONTENT", func(t *T) {
		name := "mcpauth " + Random(6) + " tester"
		c := t.AS.MustRegister(map[string]any{"client_name": name})
		g, p, _, _ := consentPage(t, As(c))
		ex := g.PageExchanges[len(g.PageExchanges)-1]
		text := p.Said()
		if !strings.Contains(text, name) && !strings.Contains(text, c.ID) {
			t.Unmet(ex, "the client's name on the consent page", "it is absent")
		}
		namesScopes(t, c, g, text)
		if u, err := url.Parse(g.RedirectURI); err == nil && !strings.Contains(text, u.Hostname()) {
			t.Advise(ex, "the host that gets the answer on the consent page", "%s is absent", u.Host)
		}
		if who := t.Session.Identity(0).User; who != nil && !strings.Contains(strings.ToLower(text), strings.ToLower(strings.Split(who.Name, "@")[0])) {
			t.Note("the consent page does not name the account")
		}
	})

	Practice("AS-CONSENT-CSRF", func(t *T) {
		forged := func(about string, bend func(g *Grant, p *login.Page, f *login.Form, values *oauth.Form) (wire.Request, *login.Jar)) {
			g, p, f, values := consentPage(t)
			req, jar := bend(g, p, f, &values)
			if req.URL == "" {
				return
			}
			if o := goOn(t, jar, req, g.RedirectURI); o.Stage == login.Answered && o.Params.Get("code") != "" {
				t.Finding(o.Exchange, about, "approval only by the form that this browser was shown", "a code is issued")
				return
			}
			t.Refused()
		}
		forged("without the form's token, from another site", func(g *Grant, p *login.Page, f *login.Form, values *oauth.Form) (wire.Request, *login.Jar) {
			if !DropToken(f, values) && t.Pages.SameSite() {
				t.Note("the form holds no token of its own; SameSite keeps its cookies from other sites' requests")
				return wire.Request{}, nil
			}
			req := login.Submission(p, f, *values)
			return Foreign(req), g.Jar
		})
		forged("with the token of another browser's page", func(g *Grant, p *login.Page, f *login.Form, values *oauth.Form) (wire.Request, *login.Jar) {
			victim, _, _, _ := consentPage(t)
			return login.Submission(p, f, *values), victim.Jar
		})
		forged("by GET", func(g *Grant, p *login.Page, f *login.Form, values *oauth.Form) (wire.Request, *login.Jar) {
			return wire.Request{Method: "GET", URL: oauth.AtQuery(f.Action, *values)}, g.Jar
		})
	})

	Must("AS-CONSENT-XSS", func(t *T) {
		c, ex := t.AS.Register(map[string]any{
			"client_name": "</title><svg/onload=alert(1)>", "client_uri": "javascript:alert(2)", "logo_uri": `https://client.example/x" onerror="alert(3)`, "tos_uri": "data:text/html,<script>alert(4)</script>",
		})
		if c == nil {
			t.Note("such metadata cannot be registered: %s", expect.Describe(ex))
			return
		}
		g, p, _, _ := consentPage(t, As(c))
		last := g.PageExchanges[len(g.PageExchanges)-1]
		for _, mark := range []string{"<svg/onload=alert(1)>", `onerror="alert(3)`, "<script>alert(4)</script>"} {
			if strings.Contains(p.Source, mark) {
				t.Unmet(last, "what a client registers escaped in the page", "the page holds it as markup: %s", mark)
			}
		}
		for _, l := range p.Links {
			if a := strings.ToLower(l.Address); strings.HasPrefix(a, "javascript:") || strings.HasPrefix(a, "data:") {
				t.Unmet(last, "no javascript: or data: link", "%s", l.Address)
			}
		}
		t.Refused()
		t.Controlled()
	})
}
