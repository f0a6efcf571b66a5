package check

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// SameSite reports whether SameSite keeps every cookie of the pages out of POST requests of other sites.
func (t Pages) SameSite() bool {
	n := 0
	for _, ex := range t.Transcript() {
		for _, c := range expect.HeaderValues(ex, "Set-Cookie") {
			n++
			if l := strings.ToLower(c); !strings.Contains(l, "samesite=lax") && !strings.Contains(l, "samesite=strict") {
				return false
			}
		}
	}
	return n > 0
}

// token returns the hidden field that looks like the form's CSRF token, or nil.
func token(f *login.Form) *login.Input {
	for i, in := range f.Inputs {
		name := strings.ToLower(in.Name)
		if in.Type == "hidden" && (strings.Contains(name, "csrf") || strings.Contains(name, "token") || strings.Contains(name, "nonce")) {
			return &f.Inputs[i]
		}
	}
	return nil
}

// DropToken removes the form's CSRF token, and ReplaceToken changes its value; false if it has none.
func DropToken(f *login.Form, values *oauth.Form) bool {
	in := token(f)
	if in != nil {
		values.Del(in.Name)
	}
	return in != nil
}

func ReplaceToken(f *login.Form, values *oauth.Form, by string) bool {
	in := token(f)
	if in != nil {
		values.Set(in.Name, by)
	}
	return in != nil
}

// DropSecrets is DropToken for forms whose token has a name of its own: it takes out every hidden value, and every value in the query of
// the form's address, that only the page knows. Another site cannot send them. other is the form that another browser is shown.
func DropSecrets(f *login.Form, values *oauth.Form, other *login.Form) (dropped bool) {
	elsewhere := carried(other)
	for _, in := range f.Inputs {
		if in.Type == "hidden" && secret(in.Name, in.Value, elsewhere[in.Name]) {
			values.Del(in.Name)
			dropped = true
		}
	}
	address, query, _ := strings.Cut(f.Action, "?")
	params := strings.Split(query, "&")
	kept := slices.DeleteFunc(slices.Clone(params), func(p string) bool {
		name, value, _ := strings.Cut(p, "=")
		return secret(name, value, elsewhere[name])
	})
	if len(kept) < len(params) {
		f.Action, dropped = strings.TrimSuffix(address+"?"+strings.Join(kept, "&"), "?"), true
	}
	return dropped
}

// carried are the hidden values of a form and those in the query of its address, by name.
func carried(f *login.Form) map[string]string {
	out := map[string]string{}
	_, query, _ := strings.Cut(f.Action, "?")
	for _, p := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		out[name] = value
	}
	for _, in := range f.Inputs {
		if in.Type == "hidden" {
			out[in.Name] = in.Value
		}
	}
	return out
}

// random is a value that cannot be guessed: 16 characters or more without words between them. A shorter one, of 8 or more, is random if
// another browser gets another one, and it does not only count.
var (
	random      = regexp.MustCompile(`^[\w.~+/=%-]{16,}$`)
	shortRandom = regexp.MustCompile(`^[\w.~+/=%-]{8,}$`)
	counter     = regexp.MustCompile(`^[\d.:-]*$`)
)

// secret reports that only the page knows a value: it is random, and neither part of the authorization request, which an attacker may have
// made, nor text that is merely encoded. elsewhere is the value in the form that another browser is shown.
func secret(name, value, elsewhere string) bool {
	long := random.MatchString(value) && strings.ContainsAny(value, "0123456789")
	short := shortRandom.MatchString(value) && !counter.MatchString(value) && elsewhere != "" && elsewhere != value
	if slices.Contains(ofTheRequest, name) || !long && !short || counts(value, elsewhere) {
		return false
	}
	if len(value) < 16 { // a few random bytes may be printable, too
		return true
	}
	plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	return err != nil || !printable(plain)
}

// counts reports whether two values differ in so few characters that who has one of them finds the other: "txn-000041" and "txn-000042".
func counts(value, elsewhere string) bool {
	differ := 0
	for i := range min(len(value), len(elsewhere)) {
		if value[i] != elsewhere[i] {
			differ++
		}
	}
	return elsewhere != "" && value != elsewhere && len(value) == len(elsewhere) && differ < 5
}

var ofTheRequest = []string{
	"client_id", "code_challenge", "login_hint", "nonce", "redirect_uri", "request", "request_uri", "resource", "scope", "state",
}

func printable(text []byte) bool {
	return utf8.Valid(text) && !bytes.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) })
}

// TokenOf returns the value of a form's CSRF token, or "".
func TokenOf(f *login.Form) string {
	if in := token(f); in != nil {
		return in.Value
	}
	return ""
}

// KeepsCookiesFrom reports whether a form has no CSRF token and SameSite withholds the cookies from other sites, which protects it too.
func (t Pages) KeepsCookiesFrom(f *login.Form) bool { return token(f) == nil && t.SameSite() }

// Travelling returns the cookies that browsers send with a form of another site. If the form has a CSRF token, all count: a server must not
// depend on SameSite alone.
func (t Pages) Travelling(f *login.Form, jar *login.Jar) *login.Jar {
	if token(f) != nil {
		return jar
	}
	return jar.CrossSite()
}

// Foreign makes a submission look like one from another site.
func Foreign(req wire.Request) wire.Request {
	return sentFrom(req, mcp.Field("Origin", "https://attacker.example"), mcp.Field("Referer", "https://attacker.example/"))
}

// Sandboxed makes a submission look like one from a frame of another site without an origin (HTML, the attribute sandbox).
func Sandboxed(req wire.Request) wire.Request { return sentFrom(req, mcp.Field("Origin", "null")) }

// sentFrom replaces the header fields by which browsers tell where a submission comes from. A server may go by any of them (Fetch Metadata
// Request Headers section 2.3).
func sentFrom(req wire.Request, fields ...reports.Field) wire.Request {
	rest := slices.DeleteFunc(slices.Clone(req.Header), func(f reports.Field) bool { return f.Name == "Origin" || f.Name == "Referer" })
	req.Header = append(append(rest, fields...), mcp.Field("Sec-Fetch-Site", "cross-site"))
	return req
}

// Mentions reports whether a text contains a scope, or one of its words.
func Mentions(text, scope string) bool {
	words := strings.FieldsFunc(scope, func(r rune) bool { return r == ':' || r == '.' || r == '/' || r == '_' || r == '-' })
	return strings.Contains(text, scope) || slices.ContainsFunc(words,
		func(w string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(w)) })
}

// Asked returns an authorization request that reaches the consent page, if there is one. If the user has approved the shared client before,
// and is not asked again, it is the request of a new client, or one with a new login and prompt=consent.
func (t Pages) Asked(edits ...Edit) *Grant {
	g := t.AS.Authorize(edits...)
	if !t.askedBefore(g) {
		return g
	}
	if c, _ := t.anotherClient(); c != nil {
		return t.AS.Authorize(append(slices.Clone(edits), As(c))...)
	}
	return t.AS.Authorize(append(slices.Clone(edits), SignedOut(), With("prompt", "consent"))...)
}

// askedBefore reports whether a request of the shared client got a code without the consent page, although that exists, or may exist.
func (t Pages) askedBefore(g *Grant) bool { return t.approved(g) && g.Client.ID == t.AS.AnyClient().ID }

// approved reports whether the user may have approved the client of a grant before: in this run, or in an earlier one if the client is
// not registered by this run.
func (t Pages) approved(g *Grant) bool {
	return g.Code() != "" && !g.Consented && (t.Session.Consented || g.Client.Registered == nil)
}

func (t Pages) anotherClient() (*oauth.Client, *reports.Exchange) {
	if !t.Session.Register {
		return nil, nil
	}
	return t.AS.Register(nil)
}

// NoConsent ends the check if a request did not reach a consent page, with the given reason if there is none.
func (t Pages) NoConsent(g *Grant, absent string) {
	if t.approved(g) {
		has := "has"
		if !t.Session.Consented {
			has = "may have"
		}
		t.NotTested("the user %s approved the client before, and is not asked again: another client is needed (--register)", has)
	}
	t.NotApplicable("%s", absent)
}

// Approved returns an authorization request that the user approves on the consent page, if there is one; the check ends undecided without a
// code.
func (t Pages) Approved(edits ...Edit) *Grant {
	g := t.AS.MustReachDecision(t.Asked(edits...))
	if g.Code() == "" {
		t.Inconclusive("an ordinary authorization request gives no code: %s", g.Describe())
	}
	return g
}

// Consent returns the consent page of a user who has just signed in, with its form and the values that approve it. Without such a page, the
// check does not apply, with the given reason.
func (t Pages) Consent(absent string, edits ...Edit) (*Grant, *login.Page, *login.Form, oauth.Form) {
	g := t.AS.MustReachDecision(t.Asked(append([]Edit{SignedOut(), Leaving()}, edits...)...))
	if g.Stage != login.AtConsent {
		t.NoConsent(g, absent)
	}
	p := g.Page()
	f, b, _ := p.Consent()
	values := f.Values()
	for _, in := range f.Tick(strings.Fields(g.Request.Get("scope"))) {
		values.Add(in.Name, in.Value)
	}
	if b.Name != "" {
		values.Add(b.Name, b.Value)
	}
	return g, p, f, values
}
