package login

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// person is a user who signs in, and what comes after the name of the password field.
type person struct {
	login.User
	operator string
}

// someone is an edit of the name or the password with which a user signs in.
type someone func(p *person)

func named(name string) someone { return func(p *person) { p.Name = name } }

func password(to func(right string) string) someone {
	return func(p *person) { p.Password = to(p.Password) }
}

// asQuery sends the password as password[$ne]=value or the like. Some frameworks read that as an object, and some databases read such an
// object as a query: a value that is not this one, or that is greater (OWASP Web Security Testing Guide, Testing for NoSQL Injection). The
// name is not sent so: the query could find an account that may not be locked.
func asQuery(operator string) someone { return func(p *person) { p.operator = "[" + operator + "]" } }

// enter tries to sign in. A row with an operator ends where the field is not on a page that is sent without a browser.
func (p *person) enter(t *T) *entry {
	if p.operator == "" {
		return enter(t, p.User)
	}
	sent := false
	g := t.AS.AuthorizeAs(&p.User, Leaving(), Submitting(func(_ *login.Page, f *login.Form, values *oauth.Form) {
		in := f.Password()
		for i := range *values {
			if v := &(*values)[i]; in != nil && v.Name == in.Name {
				v.Name, sent = v.Name+p.operator, true
			}
		}
	}))
	switch {
	case g.Stage == login.Lost:
		t.Inconclusive("%s", g.Describe())
	case !sent:
		t.NotApplicable("no form with this field is sent without a browser")
	case expect.Status(g.Exchange) >= 500:
		return &entry{g.Outcome, g.Jar}
	}
	return entered(t, g)
}

func both(one, other someone) someone {
	return func(p *person) {
		one(p)
		other(p)
	}
}

func wrong(string) string { return "mcpauth-wrong-" + Random(9) }

func empty(string) string { return "" }

// asUser is a login by name and password in a new browser, over as many pages as it takes.
func asUser(t *T, u login.User) Attempt[someone] {
	return Attempt[someone]{Name: "a login of " + u.Name + " with the right password", Good: letIn, Send: func(edits ...someone) any {
		who := person{User: u}
		for _, edit := range edits {
			edit(&who)
		}
		e := who.enter(t)
		if e.inside() && who.Name != u.Name && !e.Named {
			t.NotApplicable("the login page asks for no name")
		}
		return e
	}}
}

// enter tries to sign in. The check does not apply if the server does not ask for a password.
func enter(t *T, u login.User) *entry { return entered(t, t.AS.AuthorizeAs(&u, Leaving())) }

func entered(t *T, g *Grant) *entry {
	e := understood(t, g.Outcome, g.Jar)
	if e.inside() && !e.Typed {
		t.NotApplicable("the server asks for no password (AS-AUTHZ-USER-AUTHENTICATED)")
	}
	return e
}

// Wrong passwords may lock an account: the check tries them on an account that may be locked, each followed by the right password. A
// name that does not exist cannot be locked.
func refusesWrongPasswords(t *T) {
	u := user(t)
	Refuses(t, asUser(t, u), Cases[someone]{{"a name that does not exist", named(strangerLike(u.Name))}}, keepOut)
	rows := Cases[someone]{
		{"a wrong password", password(wrong)},
		{"an empty password", password(empty)},
		{"the password without its last character", password(func(right string) string { return right[:len(right)-1] })},
		{"the password with one character more", password(func(right string) string { return right + "x" })},
		{"the password in other letter case", password(otherCase)},
	}
	queries := Cases[someone]{
		{"any password but a wrong one, by [$ne]", both(password(wrong), asQuery("$ne"))},
		{"any password, by [$gt]", both(password(empty), asQuery("$gt"))},
	}
	who := t.Session.Sacrificial()
	if who == nil || who.Password == "" {
		Each(t, slices.Concat(rows, queries), func(t *T, _ someone) {
			t.NotTested("it needs an account that may be locked (login.users in the target file, sacrificial: true)")
		})
		return
	}
	for i := range rows {
		Refuses(t, asUser(t, *who), rows[i:i+1], keepOut)
	}
	Each(t, queries, func(t *T, query someone) { readsNoQuery(t, asUser(t, *who), query) })
	answersAlike(t, who.Name)
}

// readsNoQuery expects a query to let nobody in. A server that fails at such a field, because it compares an object with a text, reads
// none: nothing is tried there.
func readsNoQuery(t *T, good Attempt[someone], query someone) {
	answer := good.Send(query)
	if ex := expect.ExchangeOf(answer); expect.Status(ex) >= 500 {
		t.Note("not tried, since the server fails at such a field: %s", expect.Describe(ex))
		return
	}
	t.Expect(good.Send()).AsControl(good.Good)
	t.Expect(answer).To(keepOut)
}

// strangerLike is a name that does not exist, of the form of one that does: an e-mail address, if that is one.
func strangerLike(known string) string {
	_, domain, address := strings.Cut(known, "@")
	if address {
		return "mcpauth-nobody-" + strings.ToLower(Random(6)) + "@" + domain
	}
	return "mcpauth-nobody-" + Random(6)
}

func otherCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// answersAlike compares the answers to a wrong password and to an unknown name. It ignores what differs between two unknown names.
func answersAlike(t *T, known string) {
	answer := func(name string) (string, *entry) {
		e := enter(t, login.User{Name: name, Password: "mcpauth-wrong-" + Random(9)})
		return said(e, name), e
	}
	first, _ := answer(strangerLike(known))
	second, e := answer(strangerLike(known))
	if first != second {
		t.Note("two unknown names are answered differently, so the answer to a known one shows nothing")
		return
	}
	third, _ := answer(known)
	t.Expect([2]string{third, second}, "a wrong password, and an unknown name").SeenIn(e.Exchange).Ideally(
		expect.That("the same answer to both", func(said [2]string) string {
			if said[0] == said[1] {
				return ""
			}
			return "existing users can be recognized: " + login.Shorten(said[0]) + "; and: " + login.Shorten(said[1])
		}))
}

// said is the status and the text of a page, without the user name, and without words with digits, such as the number of a request.
func said(e *entry, name string) string {
	text := ""
	if p := e.Page(); p != nil {
		text = strings.ReplaceAll(p.Text, name, "")
	}
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return strings.ContainsAny(w, "0123456789") })
	return expect.Describe(e.Exchange) + " " + strings.Join(words, " ")
}

func knowsNoDemoAccounts(t *T) {
	t.AS.Server()
	demo := oauth.Client{ID: "demo_client", Secret: "demo_secret", Method: oauth.Basic}
	inBody := demo
	inBody.Method = oauth.Post
	Each(t, Cases[oauth.Client]{
		{"the demo client of a guide, by Basic", demo},
		{"the demo client of a guide, in the body", inBody},
	}, func(t *T, c oauth.Client) {
		stranger := c
		stranger.ID, stranger.Secret = "mcpauth-unknown-"+Random(9), Random(24)
		if code := oauth.ErrorCode(redeemAs(t, &stranger)); code != "invalid_client" {
			t.Inconclusive("an unregistered client is refused with %q, so a known one cannot be distinguished from it", code)
		}
		t.Expect(redeemAs(t, &c)).To(beUnknown)
	})
	Each(t, Cases[login.User]{{"the demo user of a guide", login.User{Name: "demo_user", Password: "demo_password"}}}, letsNoDemoUserIn)
}

// redeemAs redeems a code as a client to which it was not issued: a valid code after a login, because some servers check it first.
func redeemAs(t *T, c *oauth.Client) *reports.Exchange {
	if t.Session != nil && t.Session.Ready {
		return t.AS.Redeem(t.AS.MustAuthorize(), As(c))
	}
	return t.AS.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "x"),
		With("code_verifier", oauth.NewPKCE(43).Verifier), With("redirect_uri", t.Session.Callback))
}

// A server that knows the client refuses the code instead, because it was issued to another client.
var beUnknown = expect.Refusing("error invalid_client, as for an unregistered client", func(ex *reports.Exchange) string {
	if code := oauth.ErrorCode(ex); code != "invalid_client" {
		return expect.Describe(ex) + ": the client is known"
	}
	return ""
})

func letsNoDemoUserIn(t *T, demo login.User) {
	if len(t.Session.Users) > 0 && t.Session.Users[0].Name == demo.Name {
		t.NotApplicable("these are the credentials that you gave for this run")
	}
	loginPage(t) // the check applies only to a login page of the server itself
	e := enter(t, demo)
	if e.inside() && enter(t, login.User{Name: "mcpauth-nobody-" + Random(6), Password: Random(12)}).inside() {
		t.NotApplicable("any name and password sign in (AS-LOGIN-REJECT-WRONG-PASSWORD)")
	}
	t.Expect(e).To(keepOut)
}

// A form that the page of another site can send signs the browser in as the attacker (login CSRF).
func bindsFormToBrowser(t *T) {
	u := user(t)
	Refuses(t, signIn(t, u), Cases[postEdit]{
		{"sent by another site, in a browser that was not shown the form", func(_ *T, p *posting) { p.jar, p.site = login.NewJar(), Foreign }},
		{"sent by another site, in a browser that was shown another form", func(t *T, p *posting) {
			other, _, _ := loginPage(t)
			p.jar = other.Jar
			travel(t, p, Foreign)
		}},
		{"sent by another site, without the form's token", withoutToken(Foreign)},
		{"sent by a sandboxed frame of another site, without the form's token", withoutToken(Sandboxed)},
		{"sent by another site, with the token that another browser was shown", func(t *T, p *posting) {
			travel(t, p, Foreign)
			if _, _, other := loginPage(t); !ReplaceToken(p.form, &p.values, TokenOf(other)) {
				t.NotApplicable("the form has no token of its own")
			}
		}},
	}, keepOut)
}

func withoutToken(site func(req wire.Request) wire.Request) postEdit {
	return func(t *T, p *posting) {
		if travel(t, p, site); !DropToken(p.form, &p.values) {
			t.NotApplicable("the form has no token of its own")
		}
	}
}

// travel has the page of another site send the form. It ends the row if browsers send no cookie with that (RFC 6265bis section 5.5).
func travel(t *T, p *posting, site func(req wire.Request) wire.Request) {
	if t.Pages.SameSite() {
		t.NotApplicable("SameSite keeps the cookies from forms of other sites")
	}
	p.jar, p.site = p.jar.CrossSite(), site
}

func sendsPasswordsInBodies(t *T) {
	g, _, f := loginPage(t)
	if !t.Expect(f.Method, "the method of the login form").SeenIn(g.Exchange).To(expect.Be("POST")) {
		return
	}
	Refuses(t, signIn(t, user(t)), Cases[postEdit]{{"the password in the URL", func(_ *T, p *posting) { p.byGet = true }}}, keepOut)
}
