package login

import (
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

func parsed(t *testing.T, source string) *Page {
	t.Helper()
	at, err := url.Parse("https://as.example/login?x=1")
	require.NoError(t, err)
	return ParsePage(at, source)
}

func TestLoginFormsOfManyKinds(t *testing.T) {
	for name, c := range map[string]struct {
		source, user, password, oneTime string
	}{
		"plain": {`<form method=post><input name=username><input type=password name=pw><button>Go</button></form>`,
			"username", "pw", ""},
		"by e-mail":      {`<form method=post><input type=email name=e><input type=password name=p></form>`, "e", "p", ""},
		"the name first": {`<form method=post><input name=identifier><button>Next</button></form>`, "identifier", "", ""},
		"a field without name": {`<form method=post><input name=x1 autocomplete=username><input type=password name=x2></form>`, "x1",
			"x2", ""},
		"some text field": {`<form method=post><input type=hidden name=csrf value=1><input name=f1><input type=password name=f2></form>`,
			"f1", "f2", ""},
		"a password without a type": {`<form method=post><input name=email type=email><input name=password></form>`, "email", "password",
			""},
		"a password told by its purpose": {`<form method=post><input name=f1><input name=f2 autocomplete=current-password></form>`, "f1", "f2",
			""},
		"second factor":        {`<form method=post><input name=code autocomplete=one-time-code></form>`, "", "", "code"},
		"second factor, named": {`<form method=post><input name=totp_code></form>`, "", "", "totp_code"},
	} {
		t.Run(name, func(t *testing.T) {
			f := parsed(t, c.source).Login()
			require.NotNil(t, f)
			for want, in := range map[string]*Input{c.user: f.User(), c.password: f.Password(), c.oneTime: f.OneTime()} {
				if want == "" {
					continue
				}
				require.NotNil(t, in, want)
				assert.Equal(t, want, in.Name)
			}
			if c.password == "" {
				assert.Nil(t, f.Password())
			}
		})
	}
}

func TestConsentAndDenial(t *testing.T) {
	for name, c := range map[string]struct {
		source, approve, deny string
	}{
		"two buttons": {`<form method=post><button name=a value=yes>Allow</button><button name=a value=no>Deny</button></form>`, "yes",
			"no"},
		"deny first": {`<form method=post><button name=a value=no>Cancel</button><button name=a value=yes>Continue</button></form>`,
			"yes", "no"},
		"submit inputs": {`<form method=post><input type=submit name=a value=Authorize><input type=submit name=a value=Reject></form>`,
			"Authorize", "Reject"},
		"a link to deny": {`<form method=post><button name=a value=yes>Continue</button></form><a href="/abort">[ Cancel ]</a>`, "yes", ""},
		"two forms": {`<form method=post action=/no><button name=a value=no>No</button></form>` +
			`<form method=post action=/yes><button name=a value=yes>Yes</button></form>`, "yes", "no"},
		"no consent in here": {`<form method=post><input type=password name=p><button>Continue</button></form>`, "-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := parsed(t, c.source)
			_, b, ok := p.Consent()
			if c.approve == "-" {
				assert.False(t, ok)
				return
			}
			require.True(t, ok)
			assert.Equal(t, c.approve, b.Value)
			form, deny, link, ok := p.Denial()
			require.True(t, ok)
			if c.deny != "" {
				require.NotNil(t, form)
				assert.Equal(t, c.deny, deny.Value)
			} else {
				assert.Equal(t, "https://as.example/abort", link)
			}
		})
	}
}

func TestValuesAreWhatABrowserSends(t *testing.T) {
	p := parsed(t, `<form action="/go?x=2"><input type=hidden name=h value="1 &amp; 2">
		<input type=checkbox name=c value=on1 checked><input type=checkbox name=d value=off>
		<select name=s><option value=1>one<option value=2 selected>two</select><input name=gone disabled value=3>
		<input type=submit name=b value=B></form>`)
	require.Len(t, p.Forms, 1)
	f := p.Forms[0]
	assert.Equal(t, "GET", f.Method)
	assert.Equal(t, "https://as.example/go?x=2", f.Action)
	assert.Equal(t, "h=1+%26+2&c=on1&s=2", f.Values().Encode())
}

func TestAnswers(t *testing.T) {
	for address, want := range map[string]bool{
		"http://127.0.0.1:1/cb": true, "http://127.0.0.1:1/cb?code=1": true, "http://127.0.0.1:1/cb#code=1": true,
		"http://127.0.0.1:1/cbx?code=1": false, "http://127.0.0.1:1/cb/../x": false, "https://attacker.example/?http://127.0.0.1:1/cb": false,
		"": false,
	} {
		_, ok := answers("http://127.0.0.1:1/cb", address)
		assert.Equal(t, want, ok, address)
	}
	_, ok := answers("http://127.0.0.1:1/cb?a=1", "http://127.0.0.1:1/cb?a=1&code=2")
	assert.True(t, ok)
	for address, want := range map[string]string{ // RFC 3986 section 6.2.3: an empty path is the same as "/"
		"https://client.example?code=1": "?code=1", "https://client.example/?code=1": "?code=1", "https://client.example/": "",
		"https://client.example/x?code=1": "", "https://client.example//?code=1": "",
	} {
		rest, _ := answers("https://client.example", address)
		assert.Equal(t, want, rest, address)
	}
}

// An agent never types a password into a form that sends it in clear, and does not follow a redirect to the client's host with a wrong
// address.
func TestAgentIsCareful(t *testing.T) {
	var sent []string
	agent := &Agent{Jar: NewJar(), User: &User{Name: "alice", Password: "secret-password"}, Secrets: &reports.Secrets{}}
	answer := func(status int, header []reports.Field, body string) *reports.Exchange {
		return &reports.Exchange{Response: &reports.Response{Status: status, Header: header, Body: body}}
	}
	var o *Outcome
	for _, form := range []string{
		`<form method=post action="http://as.example.org/login">`,
		`<form method=post action="/login"><button formaction="http://as.example.org/x">Sign in</button>`,
		`<form method=post action="/login"><button>Sign in</button><input type=image formaction="http://x.example/">`,
	} {
		form += `<input name=user><input type=password name=p></form>`
		agent.Send = func(r wire.Request) *reports.Exchange {
			sent = append(sent, r.Body)
			return answer(200, []reports.Field{{Name: "Content-Type", Value: "text/html"}}, form)
		}
		o = agent.Walk("https://as.example.org/authorize", Route{RedirectURI: "http://127.0.0.1:1/cb"})
		assert.Equal(t, Lost, o.Stage)
		assert.Contains(t, o.Why, "in clear", form)
	}
	for _, body := range sent {
		assert.NotContains(t, body, "secret-password")
	}
	for _, location := range []string{"http://127.0.0.1:1/other?code=1", "https://attacker.example/cb?code=1"} {
		n := 0
		agent.Send = func(wire.Request) *reports.Exchange {
			n++
			return answer(302, []reports.Field{{Name: "Location", Value: location}}, "")
		}
		o = agent.Walk("https://as.example.org/authorize", Route{RedirectURI: "http://127.0.0.1:1/cb"})
		assert.Equal(t, Elsewhere, o.Stage, location)
		assert.Equal(t, 1, n)
	}
	for uri, request := range map[string]string{ // redirect URIs that differ between the request and the client
		"http://127.0.0.1:1/cb\x00": "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb%00",
		"http://other.example:7/cb": "redirect_uri=http%3A%2F%2Fother.example%3A7%2Fcb&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb",
	} {
		agent.Send = func(wire.Request) *reports.Exchange {
			return answer(302, []reports.Field{{Name: "Location", Value: "http://127.0.0.1:1/cb?error=invalid_request"}}, "")
		}
		o = agent.Walk("https://as.example.org/authorize?"+request, Route{RedirectURI: uri})
		assert.Equal(t, Elsewhere, o.Stage, uri)
	}
}

// An address in the query or the path of a relative redirect does not make it absolute.
func TestAgentFollowsRelativeRedirects(t *testing.T) {
	for location, want := range map[string]string{
		"/consent?redirect_uri=http://127.0.0.1:1/cb": "https://as.example.org/consent?redirect_uri=http://127.0.0.1:1/cb",
		"consent?next=https://as.example.org/":        "https://as.example.org/as/consent?next=https://as.example.org/",
		"?next=https://as.example.org/":               "https://as.example.org/as/authorize?next=https://as.example.org/",
		"/authorizehttps://attacker.example/":         "https://as.example.org/authorizehttps://attacker.example/",
		"//login.example.org/?to=https://as.example":  "https://login.example.org/?to=https://as.example",
		"https://as.example.org/x?next=http://a/b":    "https://as.example.org/x?next=http://a/b",
	} {
		w := &walk{Agent: &Agent{Jar: NewJar(), Secrets: &reports.Secrets{}}, route: Route{RedirectURI: "http://127.0.0.1:1/cb"}, out: &Outcome{}}
		from, _ := url.Parse("https://as.example.org/as/authorize")
		w.redirect(from, 302, location)
		assert.Equal(t, want, w.out.Hops[0].To, location)
	}
}

func TestJarsAreApart(t *testing.T) {
	at, _ := url.Parse("https://as.example.org/")
	jar := NewJar()
	jar.Set(at, &http.Cookie{Name: "a", Value: "1"})
	copied := jar.Copy()
	copied.Set(at, &http.Cookie{Name: "b", Value: "2"})
	assert.Len(t, jar.Cookies(at), 1)
	assert.Len(t, copied.Cookies(at), 2)
	elsewhere, _ := url.Parse("https://other.example.org/")
	assert.Empty(t, jar.Cookies(elsewhere))
}

// The parser finds the same forms as a browser, however elements are nested.
func TestFormsOfOddMarkup(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"a form that a div outlives": {`<div><form method=post><div><input name=a></div></div><input name=b></form><input name=c>`,
			[]string{"a", "b"}},
		"in a table": {`<table><form method=post><tr><td><input name=a><tr><td><input name=b></form></table>`,
			[]string{"a", "b"}},
		"a form in a form":    {`<form method=post><input name=a><form><input name=b></form><input name=c>`, []string{"a", "b"}},
		"unclosed formatting": {`<form method=post><p><b><i><input name=a><p><u><input name=b></form>`, []string{"a", "b"}},
		"what no script shows": {`<noscript><form method=post><input name=x></form></noscript><form method=post><input name=a></form>`,
			[]string{"a"}},
		"a template": {`<template><form method=post><input name=x></form></template><form method=post><input name=a></form>`,
			[]string{"a"}},
		"in a comment":                  {`<!-- <form><input name=x></form> --><form method=post><input name=a></form>`, []string{"a"}},
		"a script that writes a form":   {`<script>"<form><input name=x></form>"</script><form method=post><input name=a></form>`, []string{"a"}},
		"capital letters and entities":  {`<FORM METHOD=POST ACTION="/x?a=1&amp;b=2"><INPUT NAME="a&#98;"></FORM>`, []string{"ab"}},
		"a drawing that closes nothing": {`<form method=post><svg><path/><g><path/></svg><input name=a></form>`, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := parsed(t, c.source)
			require.Len(t, p.Forms, 1)
			var names []string
			for _, in := range p.Forms[0].Inputs {
				names = append(names, in.Name)
			}
			assert.Equal(t, c.want, names)
			assert.Equal(t, "POST", p.Forms[0].Method)
		})
	}
	p := parsed(t, `<title>Sign &amp; in</title><select name=s><option value=1>One<option value=2 selected>Two</select>`+
		`<a href=/x>One <b>two</b></a><a href=/y>Three`)
	assert.Equal(t, "Sign & in", p.Title)
	assert.Equal(t, []Link{{"https://as.example/x", "One two"}, {"https://as.example/y", "Three"}}, p.Links)
}

// bounded checks that a page takes memory in proportion to its size.
func bounded(t testing.TB, source string) {
	t.Helper()
	at, err := url.Parse("https://as.example/login")
	require.NoError(t, err)
	costs.Bounded(t, len(source), 60, func() {
		p := ParsePage(at, source)
		p.Said()
		_ = p.Login()
		_, _, _ = p.Consent()
		_, _, _, _ = p.Denial()
		for i := range p.Forms {
			_ = p.Forms[i].Values()
		}
	})
}

var costly = []string{"<b a=%d><p>", "<a href=%d><p>x", "<form a=%d><button>x", "<form><select><option>%d", "<div %d><table><tr><td>",
	"<svg a=%d><title>x", "<input a=%d>", "<%d a", "x", "&lt;", "<form><input name=a%d>", "<form></form %d>"}

func TestAPageIsReadInProportion(t *testing.T) {
	for _, part := range costly {
		var page strings.Builder
		for i := 0; page.Len() < 1<<20; i++ {
			page.WriteString(strings.ReplaceAll(part, "%d", strconv.Itoa(i)))
		}
		bounded(t, "<form method=post>"+page.String())
		bounded(t, page.String())
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add(`<form method=post action="x"><input name=a><button>Allow</button></form>`)
	f.Add("<form><select><option selected><a href='::'>\x00")
	for _, part := range costly {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, part string) {
		bounded(t, part)
		if len(part) < 200 {
			bounded(t, strings.Repeat(part, 1000))
		}
	})
}

// The agent leaves pages of the recipe to the browser, even if it could handle their form.
func TestAgentStopsAtPagesOfTheRecipe(t *testing.T) {
	sent := 0
	agent := &Agent{Jar: NewJar(), User: &User{Name: "alice", Password: "secret-password"}, Secrets: &reports.Secrets{}}
	agent.Recipe = &target.Recipe{Pages: []target.RecipePage{{Match: "https://as.example.org/authorize", Text: "Staff"}}}
	agent.Send = func(wire.Request) *reports.Exchange {
		sent++
		return &reports.Exchange{Response: &reports.Response{Status: 200, Header: []reports.Field{{Name: "Content-Type", Value: "text/html"}},
			Body: `<p>Staff</p><form method=post><input name=user><input type=password name=p></form>`}}
	}
	o := agent.Walk("https://as.example.org/authorize?x=1", Route{RedirectURI: "http://127.0.0.1:1/cb"})
	assert.Equal(t, NeedsScript, o.Stage)
	assert.Equal(t, 1, sent)
	assert.False(t, o.Typed)
}

// Concurrent logins parse two pages at a time, which bounds the memory of a run.
func TestPagesAreReadTwoAtATime(t *testing.T) {
	require.Equal(t, 2, cap(parses))
	parses <- struct{}{}
	parses <- struct{}{}
	read := make(chan *Page, 1)
	at := address(t, "https://as.example/")
	go func() { read <- ParsePage(at, "<form></form>") }()
	for !waitsForItsTurn() {
		require.Empty(t, read, "a third page is read at the same time")
		time.Sleep(time.Millisecond)
	}
	<-parses
	<-parses
	assert.Len(t, (<-read).Forms, 1)
}

// waitsForItsTurn reports whether one page waits while others are parsed.
func waitsForItsTurn() bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if state, frames, _ := strings.Cut(stack, "\n"); strings.Contains(state, "[chan send") && strings.Contains(frames, "login.parse(") {
			return true
		}
	}
	return false
}

// A page is read up to 128 KiB of tags and text. Scripts, styles and images do not count.
func TestAPageIsReadUpToItsBound(t *testing.T) {
	at, err := url.Parse("https://as.example/authorize")
	require.NoError(t, err)
	const form = `<form method=post><input name=user><input type=password name=p></form>`
	assert.Len(t, ParsePage(at, strings.Repeat("text ", 25<<10)+form).Forms, 1)
	assert.Empty(t, ParsePage(at, strings.Repeat("text ", 30<<10)+form).Forms)
	assert.Empty(t, ParsePage(at, strings.Repeat("<p>", mostNodes)+form).Forms)
	aside := "<style>" + strings.Repeat("a{} ", 60<<10) + "</style><script>" + strings.Repeat("f() ", 60<<10) + "</script>"
	picture := `<img src="data:image/png;base64,` + strings.Repeat("AAAA", 60<<10) + `">`
	assert.Len(t, ParsePage(at, aside+picture+form).Forms, 1)
	state := strings.Repeat("s", 20<<10)
	assert.Equal(t, state, ParsePage(at, `<form><input type=hidden name=state value=`+state+`></form>`).Forms[0].Inputs[0].Value)
}

func TestSubmissionsHaveTheLineBreaksOfBrowsers(t *testing.T) {
	page := &Page{URL: &url.URL{Scheme: "https", Host: "as.example", Path: "/consent"}}
	values := oauth.Form{{Name: "state", Value: "a\nb\r\nc\rd"}}
	sent := Submission(page, &Form{Method: "POST", Action: "https://as.example/consent"}, values)
	assert.Equal(t, "state=a%0D%0Ab%0D%0Ac%0D%0Ad", sent.Body)
	assert.Equal(t, "a\nb\r\nc\rd", values[0].Value, "the form changes the value on the page")
}
