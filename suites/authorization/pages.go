package authorization

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func pages() {
	Must("AS-AUTHZ-ERROR-STATUS", func(t *T) {
		for about, edits := range Sorted(map[string][]Edit{
			"an unknown client": {Stranger()}, "no client_id": {Stranger(), Without("client_id")},
		}) {
			g := t.AS.Authorize(append(edits, EvenUnanswered())...)
			s := expect.Status(g.Exchange)
			if g.Stage == login.AtLogin || g.Stage == login.AtConsent || g.Stage == login.Answered || g.Stage == login.Elsewhere {
				continue // judged by the checks on redirects
			}
			switch {
			case s >= 500, s == 0, s == 200 && oauth.ErrorCode(g.Exchange) != "":
				t.Finding(g.Exchange, about, "HTTP 400", expect.Describe(g.Exchange))
			case s < 400:
				t.Advise(g.Exchange, "HTTP 400", "%s: %s", about, expect.Describe(g.Exchange))
			}
		}
	})

	Practice("AS-AUTHZ-NO-SERVER-ERROR", func(t *T) {
		for about, edit := range Sorted(map[string]Edit{
			"a scope of 60 kB": With("scope", strings.Repeat("a", 60<<10)), "NUL in state": With("state", "a\x00b"), "a lone surrogate": Raw("&nonce=%ED%A0%80"),
			"invalid percent-encoding": Raw("&nonce=%ZZ"), "client_id[]": Raw("&client_id[]=x"), "client_id[a]": Raw("&client_id[a]=b"),
			"NUL in code_challenge": With("code_challenge", "a\x00"), "a redirect_uri of 60 kB": With("redirect_uri", "https://client.example/"+strings.Repeat("a", 60<<10)),
			"a made-up cookie": Header(mcp.Field("Cookie", "session=%00%ff; sid=../../x")), "an odd Accept-Language": Header(mcp.Field("Accept-Language", strings.Repeat("x-", 500))),
		}) {
			g := t.AS.Authorize(edit, Nobody(), StoppingAtLogin(), EvenUnanswered())
			if s := expect.Status(g.Exchange); s == 0 || s >= 500 {
				t.Finding(g.Exchange, about, "an answer below 500", expect.Describe(g.Exchange))
			}
		}
		if ex := post(t, t.AS.Authorize(Nobody(), StoppingAtLogin(), Leaving())); expect.Crashed(ex) {
			t.Finding(ex, "the request by POST, which is optional", "an answer below 500", expect.Describe(ex))
		}
	})

	Must("AS-AUTHZ-ERROR-CHARSET", func(t *T) {
		any := false
		for _, edit := range []Edit{With("scope", `"><script>alert(1)</script>\`), With("response_type", "\"x\r\nX-Injected:1"), With("code_challenge_method", "é")} {
			g := t.AS.Authorize(edit)
			if g.Stage == login.AtLogin {
				t.AS.MustReachDecision(g)
			}
			if expect.Header(g.Exchange, "X-Injected") != "" {
				t.Finding(g.Exchange, "", "one header field", "a parameter can add a header field")
			}
			values := g.Params
			if o := oauth.Object(g.Exchange); o.String("error") != "" {
				values = url.Values{"error": {o.String("error")}, "error_description": {o.String("error_description")}}
			}
			if values.Get("error") == "" {
				continue
			}
			any = true
			if !errorText(values.Get("error")) || strings.Contains(values.Get("error_description"), "<script") {
				t.Finding(g.Exchange, "", "error texts of the allowed characters (OAuth 2.1 section 4.1.2.1)", printable(values.Get("error")+" "+values.Get("error_description")))
			} else if !errorText(values.Get("error_description")) {
				t.Advise(g.Exchange, "error_description of the allowed characters (OAuth 2.1 section 4.1.2.1)", "%s", printable(values.Get("error_description")))
			}
		}
		if !any {
			t.Inconclusive("no error text could be provoked")
		}
	})

	Must("AS-AUTHZ-REFLECTED-XSS", func(t *T) {
		const payload = `mcpauth"><svg/onload=alert(1)>'{{7*7}}`
		for _, name := range []string{"client_id", "redirect_uri", "scope", "state", "response_type", "error", "error_description", "login_hint", "ui_locales", "resource"} {
			g := t.AS.Authorize(Stranger(), With(name, payload), Nobody(), StoppingAtLogin(), Leaving())
			if known, _ := t.Session.Client(t.Context(), "public"); known != nil && name != "client_id" && name != "redirect_uri" {
				g = t.AS.Authorize(As(known), With(name, payload), Nobody(), StoppingAtLogin(), Leaving())
			}
			for i, p := range g.Pages {
				switch {
				case strings.Contains(p.Source, "<svg/onload=alert(1)>"):
					t.Finding(g.PageExchanges[i], name, "what the request holds escaped in the page", "the page holds it as markup")
				case strings.Contains(p.Source, "49") && strings.Contains(p.Text, "'49"):
					t.Finding(g.PageExchanges[i], name, "what the request holds as text", "the page evaluates it as a template")
				}
			}
		}
		t.Refused()
	})

	Must("AS-AUTHZ-CORS-OFF", func(t *T) {
		origin := mcp.Field("Origin", "https://attacker.example")
		g := t.AS.Authorize(Nobody(), StoppingAtLogin(), Header(origin))
		asked := t.Do(wire.Request{Method: "OPTIONS", URL: g.URL, Header: []reports.Field{origin, mcp.Field("Access-Control-Request-Method", "GET")}})
		for _, ex := range append(slices.Clone(g.PageExchanges), g.Exchange, asked) {
			if v := expect.Header(ex, "Access-Control-Allow-Origin"); v != "" {
				t.Unmet(ex, "no Access-Control-Allow-Origin at the authorization endpoint and its pages", "Access-Control-Allow-Origin: %s", v)
				return
			}
		}
	})

	Must("AS-AUTHZ-NO-307", func(t *T) {
		for _, h := range t.AS.MustAuthorize(SignedOut()).Hops {
			if (h.Status == 307 || h.Status == 308) && h.Method == "POST" && h.Carried {
				t.Unmet(nil, "302 or 303 after a form", "%d: the form, with what the user typed, is sent on to %s", h.Status, h.To)
			}
		}
	})

	Practice("AS-AUTHZ-NO-STORE", func(t *T) {
		g := t.AS.MustAuthorize(SignedOut())
		if c := expect.Header(g.Exchange, "Cache-Control"); strings.Contains(c, "public") || strings.Contains(c, "max-age") && !strings.Contains(c, "max-age=0") {
			t.Unmet(g.Exchange, "a redirect with the code that is not stored", "Cache-Control: %s", c)
		}
		for i, p := range g.Pages {
			ex := g.PageExchanges[i]
			if c := expect.Header(ex, "Cache-Control"); !strings.Contains(c, "no-store") {
				t.Advise(ex, "Cache-Control: no-store on the pages of a login", "%q on %q", c, p.Title)
			}
			if r := expect.Header(ex, "Referrer-Policy"); !(strings.Contains(r, "no-referrer") || strings.Contains(r, "origin")) && !strings.Contains(p.Source, `name="referrer"`) {
				t.Advise(ex, "a Referrer-Policy on the pages of a login", "none on %q", p.Title)
			}
		}
	})

	Must("AS-AUTHZ-CLICKJACKING", func(t *T) {
		if g := t.AS.Authorize(SignedOut(), Leaving()); len(g.Pages) == 0 && g.Code() != "" {
			// Nobody is asked anything here, so a frame gets a code as well as a window does.
			if !expect.FramingForbidden(firstAnswer(g)) {
				t.Advise(firstAnswer(g), "frame-ancestors in the Content-Security-Policy, or X-Frame-Options", "the authorization endpoint can be framed by anybody")
			}
			return
		}
		eachForm(t, func(p *login.Page, ex *reports.Exchange) {
			if !expect.FramingForbidden(ex) {
				t.Unmet(ex, "frame-ancestors in the Content-Security-Policy, or X-Frame-Options", "the page %q can be framed by anybody", p.Title)
			}
		})
	})

	Should("AS-AUTHZ-CSP", func(t *T) {
		eachForm(t, func(p *login.Page, ex *reports.Exchange) {
			policy := expect.Header(ex, "Content-Security-Policy")
			script := expect.Directive(policy, "script-src")
			if script == "" {
				script = expect.Directive(policy, "default-src")
			}
			unsafe := strings.Contains(script, "'unsafe-inline'") && !strings.Contains(script, "'sha") && !strings.Contains(script, "'nonce-") || slices.Contains(strings.Fields(script), "*")
			if policy == "" || script == "" || unsafe {
				t.Unmet(ex, "a Content-Security-Policy that forbids foreign and inline scripts", "%q on %q", policy, p.Title)
			}
		})
	})

	Should("AS-AUTHZ-OPEN-REDIRECT-PRELOGIN", func(t *T) {
		for about, edits := range Sorted(map[string][]Edit{"an unknown scope": {Scope("mcpauth-invalid")}, "an unknown response_type": {With("response_type", "mcpauth_bogus")}}) {
			g := t.AS.Authorize(append([]Edit{Nobody(), StoppingAtLogin(), Leaving()}, edits...)...)
			if g.Stage == login.Answered {
				t.Advise(g.Exchange, "a page before the browser is sent to a redirect URI that anybody may register", "%s: the browser is redirected at once", about)
			}
		}
	})

	Must("AS-AUTHZ-PARAM-TAMPERING", func(t *T) {
		tampered := false
		for name, value := range Sorted(map[string]string{
			"redirect_uri": attacker, "scope": strings.Join(append(t.AS.ScopePool(), "admin"), " "), "client_id": "mcpauth-other", "code_challenge": oauth.NewPKCE(43).Challenge,
			"resource": "https://attacker.example/mcp",
		}) {
			present := false
			g := t.AS.Authorize(SignedOut(), Submitting(func(_ *login.Page, f *login.Form, values *oauth.Form) {
				for _, in := range f.Inputs {
					if in.Name == name && in.Type == "hidden" {
						present = true
						values.Set(name, value)
					}
				}
			}))
			if !present {
				continue
			}
			tampered = true
			judgeTampering(t, g, name)
		}
		if !tampered {
			t.NotApplicable("no form of the pages holds a parameter of the request")
		}
	})

	Practice("AS-AUTHZ-TRANSACTION-BINDING", func(t *T) {
		a := t.AS.MustReachDecision(t.AS.Authorize(SignedOut(), Leaving()))
		if a.Stage != login.AtConsent {
			t.NotApplicable("there is no consent page whose form could be copied")
		}
		p := a.Page()
		f, b, _ := p.Consent()
		values := f.Values()
		values.Add(b.Name, b.Value)
		victim := t.AS.Authorize(SignedOut(), Leaving()) // another browser, signed in on its own
		agent := &login.Agent{Jar: victim.Jar, Secrets: t.Secrets, Send: t.Do}
		o := t.Pages.Continue(agent, login.Submission(p, f, values), login.Route{RedirectURI: a.RedirectURI, Decision: login.Leave})
		if o.Stage == login.Answered && o.Params.Get("code") != "" {
			t.Unmet(o.Exchange, "a form that works only in the browser that began the request", "another browser's submission completes it")
		}
		t.Refused()
	})

	Must("AS-AUTHZ-SUBJECT-CORRECT", func(t *T) {
		a := t.AS.MustReachDecision(t.AS.Authorize(SignedOut(), Leaving()))
		b := t.AS.MustReachDecision(t.AS.Authorize(By(1), SignedOut(), Leaving()))
		if a.Stage != login.AtConsent || b.Stage != login.AtConsent {
			t.NotApplicable("there is no consent page, so the steps of two users cannot be interleaved")
		}
		var subjects []string
		for _, g := range []*Grant{b, a} { // approved in the other order
			p := g.Page()
			f, button, _ := p.Consent()
			values := f.Values()
			values.Add(button.Name, button.Value)
			// The user is there still: a proxy signs users in after they have approved the client.
			agent := &login.Agent{Jar: g.Jar, User: t.Session.Identity(g.User).User, Secrets: t.Secrets, Send: t.Do}
			o := t.Pages.Continue(agent, login.Submission(p, f, values), login.Route{RedirectURI: g.RedirectURI})
			g.Outcome = o
			subjects = append(subjects, t.AS.Subject(t.AS.Tokens(t.AS.Redeem(g), g.Client)))
		}
		if subjects[0] == "" || subjects[1] == "" {
			t.Inconclusive("two logins at once did not bring two tokens that name their users")
		}
		if subjects[0] == subjects[1] {
			t.Unmet(a.Exchange, "each token to name the user of its own browser", "with two logins at once both tokens name %q", subjects[0])
			return
		}
		mine, theirs := t.AS.Subject(t.AS.MustGetTokens()), t.AS.Subject(t.AS.MustGetTokens(By(1)))
		if mine == "" || theirs == "" || mine == theirs {
			t.Inconclusive("the subject of a token cannot be told: %q and %q", mine, theirs)
		}
		if subjects[1] != mine || subjects[0] != theirs {
			t.Unmet(a.Exchange, "each token to name the user of its own browser", "with two logins at once the tokens name %q and %q", subjects[1], subjects[0])
		}
	})
}

func judgeTampering(t *T, g *Grant, name string) {
	if strings.Contains(g.Location, "attacker.example") {
		t.Finding(g.Exchange, name, "the parameters of the authorization request, not those of the form", "the browser is sent to "+g.Location)
		return
	}
	if g.Code() == "" {
		t.Refused()
		return
	}
	ex := t.AS.Redeem(g)
	tokens := t.AS.Tokens(ex, g.Client)
	switch {
	case name == "code_challenge" || name == "client_id":
		if tokens == nil {
			t.Finding(ex, name, "the parameters of the authorization request, not those of the form", "the original verifier and client no longer redeem the code")
		}
	case tokens != nil && name == "scope" && slices.Contains(tokens.Scope, "admin"):
		t.Finding(ex, name, "the parameters of the authorization request, not those of the form", "the token has the scopes of the form")
	}
}

func errorText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' })
}

// eachForm judges the login page and the consent page, as far as they can be seen.
func eachForm(t *T, judge func(p *login.Page, ex *reports.Exchange)) {
	g := t.AS.Authorize(SignedOut(), Leaving())
	own, _ := document.ParseURL(t.AS.Server().Authorization)
	n := 0
	for i, p := range g.Pages {
		if p.URL.Host == own.Host && (len(p.Forms) > 0 || p.Scripts > 0) {
			n++
			judge(p, g.PageExchanges[i])
		}
	}
	if n == 0 {
		t.NotApplicable("the authorization server shows no page of its own with a form")
	}
}
