package consent

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/markup"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func saysWhoAsksForWhat(t *T) {
	name := t.AS.ClientName(" " + Random(6) + " tester")
	c := t.AS.MustRegister(map[string]any{"client_name": name})
	g, p, _, _ := consentPage(t, As(c))
	said, ex := p.Said(), shown(g)
	t.Expect(said, "the consent page").SeenIn(ex).To(mention("the client's name or client_id", name, c.ID))
	if u, err := url.Parse(g.RedirectURI); err == nil && u.Hostname() != "" {
		t.Expect(said, "the consent page").SeenIn(ex).Ideally(mention("the host that gets the answer, "+u.Hostname(), u.Hostname()))
	}
	if who := t.Session.Identity(0).User; who != nil &&
		!strings.Contains(strings.ToLower(said), strings.ToLower(strings.Split(who.Name, "@")[0])) {
		t.Note("the consent page does not name the account")
	}
	for _, scope := range unnamed(t, c, g) {
		t.Expect(scope, "the consent page").SeenIn(ex).Ideally(beSaid)
	}
}

// shown is the exchange with the last page.
func shown(g *Grant) *reports.Exchange { return g.PageExchanges[len(g.PageExchanges)-1] }

var mention = expect.Family("mention", func(what string, texts ...string) expect.Matcher {
	return expect.That(what, func(said string) string {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) }) {
			return ""
		}
		return "the page does not say " + what
	})
})

var beSaid = expect.That("each scope that is granted, or what it means",
	func(scope string) string { return "the page says nothing of " + scope })

// unnamed are the granted scopes of a request that the consent page does not mention in any words.
func unnamed(t *T, c *oauth.Client, g *Grant) []string {
	// openid asks for the sign-in itself, so it is enough that the page names the client (OpenID Connect Core section 3.1.2.1).
	asked := slices.DeleteFunc(strings.Fields(g.Request.Get("scope")), func(s string) bool { return s == "openid" })
	text := plain(g.Page())
	out := slices.DeleteFunc(slices.Clone(asked), func(s string) bool {
		return strings.Contains(g.Page().Said(), s) || described(t, c, s, asked, text)
	})
	if len(out) == 0 {
		return nil
	}
	granted := grantedTo(t, c) // last: a server may remember the approval, and show no further page
	return slices.DeleteFunc(out, func(s string) bool { return granted != nil && !slices.Contains(granted, s) })
}

// plain is the text of a page, without words with digits, which may differ each time.
func plain(p *login.Page) string {
	words := slices.DeleteFunc(strings.Fields(p.Said()), func(w string) bool { return strings.ContainsAny(w, "0123456789") })
	return strings.Join(words, " ")
}

// described reports that the consent page without a scope has another text than the page with it. If there is no such page to compare,
// a word of the scope is enough.
func described(t *T, c *oauth.Client, scope string, all []string, text string) bool {
	rest := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == scope })
	if len(rest) == 0 {
		return Mentions(text, scope)
	}
	without := t.AS.Authorize(As(c), Scope(rest...), SignedOut(), Leaving())
	if !without.AsksUser() {
		return Mentions(text, scope)
	}
	return plain(without.Page()) != text
}

// grantedTo are the scopes that a client gets for an ordinary request; nil if they cannot be seen.
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

// posting is a consent form that is about to be sent.
type posting struct {
	page   *login.Page
	form   *login.Form
	values oauth.Form
	jar    *login.Jar // of the browser that sends it
	site   fromSite
	byGet  bool
}

// fromSite makes a form look like one that the page of another site sends; nil: the server's own page sends it.
type fromSite func(req wire.Request) wire.Request

// postEdit changes a consent form before it is sent.
type postEdit func(t *T, p *posting)

func (p *posting) request() wire.Request {
	req := login.Submission(p.page, p.form, p.values)
	switch {
	case p.byGet:
		return wire.Request{Method: "GET", URL: oauth.AtQuery(p.form.Action, p.values)}
	case p.site != nil:
		return p.site(req)
	}
	return req
}

// sentBy sends the form from another browser, in which another consent page is open. The page of another site contains the form.
func (p *posting) sentBy(t *T, edits ...Edit) {
	if t.Pages.KeepsCookiesFrom(p.form) {
		t.NotApplicable(sameSite)
	}
	victim, _, _, _ := consentPage(t, edits...)
	p.jar, p.site = t.Pages.Travelling(p.form, victim.Jar), Foreign
}

const sameSite = "the form has no token of its own; SameSite keeps its cookies from requests of other sites"

// approval is the consent form that a new browser shows and sends. The base edits change its authorization request.
func approval(t *T, base ...Edit) Attempt[postEdit] {
	return Attempt[postEdit]{Name: "the consent form, sent by the browser that was shown it", Good: expect.EndWithCode(),
		Send: func(edits ...postEdit) any {
			g, page, form, values := consentPage(t, base...)
			p := &posting{page: page, form: form, values: values, jar: g.Jar}
			for _, edit := range edits {
				edit(t, p)
			}
			agent := &login.Agent{Jar: p.jar, Secrets: t.Secrets, Send: t.Do}
			answered := *g
			answered.Outcome = t.Pages.Continue(agent, p.request(), login.Route{RedirectURI: g.RedirectURI, Decision: login.Leave})
			return &answered
		}}
}

// noApproval expects a form not to bring a code.
var noApproval = expect.Refusing("no code: only the browser that was shown the form approves by it", func(g *Grant) string {
	if g.Code() != "" {
		return "a code is issued"
	}
	return ""
})

func bindsApprovalToBrowser(t *T) {
	if g := approval(t).Send().(*Grant); !g.SignedIn && g.Stage == login.AtLogin {
		t.NotApplicable("the user signs in after the consent, at a third party (AS-PROXY-CONSENT-CSRF)")
	}
	Refuses(t, approval(t), forgedTokens(), noApproval)
	Refuses(t, approval(t), Cases[postEdit]{
		{"a form that another browser was shown", func(t *T, p *posting) { p.sentBy(t) }},
		{"a form that another user was shown", func(t *T, p *posting) {
			if t.Session.UserCount() < 2 {
				t.NotApplicable("there is no second user (--second-username)")
			}
			p.sentBy(t, By(1))
		}},
		{"the approval in the URL", func(_ *T, p *posting) { p.byGet = true }},
	}, noApproval)
	_, _, form, _ := consentPage(t)
	_, _, other, _ := consentPage(t)
	t.Expect([2]string{TokenOf(form), TokenOf(other)}, "the tokens of two forms").Ideally(differ)
}

// forgedTokens are forms that another site sends in the user's browser. That site does not know the token of the form.
func forgedTokens() Cases[postEdit] {
	return Cases[postEdit]{
		{"sent by another site, without the form's token", withoutToken(Foreign)},
		{"sent by a sandboxed frame of another site, without the form's token", withoutToken(Sandboxed)},
		{"sent by another site, with an empty token", func(t *T, p *posting) {
			if p.site = Foreign; !ReplaceToken(p.form, &p.values, "") {
				t.NotApplicable("the form has no token of its own")
			}
		}},
		{"sent by another site, with the token that another browser was shown", func(t *T, p *posting) {
			_, _, other, _ := consentPage(t)
			if p.site = Foreign; !ReplaceToken(p.form, &p.values, TokenOf(other)) {
				t.NotApplicable("the form has no token of its own")
			}
		}},
	}
}

// withoutToken removes the token. Where there is none, the cookies are those that browsers send with a form of another site.
func withoutToken(site fromSite) postEdit {
	return func(t *T, p *posting) {
		if p.site = site; DropToken(p.form, &p.values) || dropSecrets(t, p) {
			return
		}
		if t.Pages.SameSite() {
			t.NotApplicable(sameSite)
		}
		p.jar = p.jar.CrossSite()
	}
}

// dropSecrets removes the values that are on this page only. The comparison with another consent page shows which they are.
func dropSecrets(t *T, p *posting) bool {
	_, _, other, _ := consentPage(t)
	return DropSecrets(p.form, &p.values, other)
}

var differ = expect.That("another token in each browser", func(tokens [2]string) string {
	if tokens[0] == tokens[1] && tokens[0] != "" {
		return "two browsers get the same token, so anybody can know it"
	}
	return ""
})

// Each client registers one of these members only: a server that refuses one may show another unescaped.
func escapesMetadata(t *T) {
	Each(t, Cases[map[string]any]{
		{"client_name", map[string]any{"client_name": "</title></script><svg/onload=alert(1)>"}},
		{"client_name with a quotation mark", map[string]any{"client_name": quoted}},
		{"client_uri", map[string]any{"client_uri": "javascript:alert(2)"}},
		{"logo_uri", map[string]any{"logo_uri": `https://client.example/x" onerror="alert(3)`}},
		{"tos_uri", map[string]any{"tos_uri": "data:text/html,<script>alert(4)</script>"}},
		{"policy_uri", map[string]any{"policy_uri": "javascript:alert(5)"}},
		{"contacts", map[string]any{"contacts": []string{"<svg/onload=alert(6)>@client.example"}}},
	}, func(t *T, metadata map[string]any) {
		c, ex := t.AS.Register(metadata)
		if c == nil {
			t.NotApplicable("such a member cannot be registered: %s", expect.Describe(ex))
		}
		g, _, _, _ := consentPage(t, As(c))
		for i, p := range g.Pages { // the login page may name the client, too
			t.Expect(p, "the page %q", p.Title).SeenIn(g.PageExchanges[i]).To(escapeMarkup, linkHarmlessly)
		}
	})
}

// quoted is a name that leaves the value of an attribute, or a string of a script, at its quotation mark.
const quoted = `mcpauth" onmouseover="alert(7)`

var escapeMarkup = expect.That("what a client registers, escaped", func(p *login.Page) string {
	for _, call := range []string{"alert(1)", "alert(3)", "alert(4)", "alert(6)", "alert(7)"} {
		if markup.Runs(p.Source, call) {
			return "the page contains the text as markup, which runs " + call
		}
	}
	if markup.EndsString(p.Source, quoted) {
		return "a script of the page contains the text, and its quotation mark ends a string"
	}
	return ""
})

// ofTheClient is a link to one of the scripts that escapesMetadata registers.
var ofTheClient = regexp.MustCompile(`(?i)^\s*(javascript|data):.*alert\([245]\)`)

// linkHarmlessly allows links to scripts of the server's own.
var linkHarmlessly = expect.That("no javascript: or data: link of the client", func(p *login.Page) string {
	for _, l := range p.Links {
		if ofTheClient.MatchString(l.Address) {
			return "a link to " + l.Address
		}
	}
	return ""
})
