package login

import (
	"regexp"
	"slices"
	"strings"
)

// The words on a page show its purpose, as they do to people. Pages are requested in English.

// Password returns the password field, or nil. Some pages omit its type.
func (f *Form) Password() *Input {
	if in := f.input(func(in Input) bool { return in.Type == "password" && !in.Concealed }); in != nil {
		return in
	}
	return f.input(untyped)
}

// untyped reports whether a text field asks for a password.
func untyped(in Input) bool {
	name := strings.ToLower(in.Name)
	return in.Type == "text" && !in.Concealed &&
		(in.Complete == "current-password" || strings.Contains(name, "passw") || slices.Contains([]string{"pwd", "pass"}, name))
}

// OneTime returns the field for a second factor, or nil.
func (f *Form) OneTime() *Input {
	return f.input(func(in Input) bool {
		if in.Complete == "one-time-code" {
			return !in.Concealed
		}
		if in.Concealed || !slices.Contains([]string{"text", "tel", "number"}, in.Type) {
			return false
		}
		name := strings.ToLower(in.Name)
		return slices.ContainsFunc([]string{"otp", "totp", "mfa", "2fa", "passcode", "onetime", "one_time"},
			func(w string) bool { return strings.Contains(name, w) })
	})
}

// User returns the user name field, or nil.
func (f *Form) User() *Input {
	text := func(in Input) bool {
		return !in.Concealed && !untyped(in) && slices.Contains([]string{"text", "email", "tel"}, in.Type)
	}
	named := f.input(func(in Input) bool {
		about := strings.ToLower(in.Name + " " + in.Label + " " + in.Complete)
		return text(in) && slices.ContainsFunc([]string{"user", "mail", "login", "identifier", "account"},
			func(w string) bool { return strings.Contains(about, w) })
	})
	if named == nil && f.Password() != nil {
		return f.input(text)
	}
	return named
}

// Words on buttons.
var (
	approving = []string{"allow", "approve", "authorize", "authorise", "accept", "agree", "grant", "consent", "continue", "confirm", "yes",
		"next", "ok"}
	denying = []string{"deny", "cancel", "reject", "decline", "disagree", "no", "abort", "refuse", "not now", "don't"}
	signing = []string{"sign in", "signin", "log in", "login", "log on", "next", "continue", "submit", "verify", "ok"}
	passing = []string{"skip", "no", "not now", "later", "remind me", "don't"}
	// aside are words on buttons that do not belong to the login.
	aside = []string{"sign up", "signup", "register", "create", "forgot", "reset", "recover", "resend", "back", "cancel", "deny", "reject",
		"another", "different", "switch", "show", "hide", "help", "language", "passkey", "security key", "webauthn", "magic link", "search",
		"subscribe",
		"sign out", "log out", "logout", "cookie", "cookies", "accept all"}
	providers = []string{"google", "github", "gitlab", "bitbucket", "microsoft", "apple", "facebook", "twitter", "linkedin", "discord",
		"slack", "saml", "sso"}
)

// says reports whether a button has one of these words or phrases.
func (in Input) says(words []string) bool {
	said := " " + strings.Join(wordsOf(in.Label+" "+in.Value+" "+in.Name), " ") + " "
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(said, " "+w+" ") })
}

// leads reports whether a button leads to the login of another provider.
func (in Input) leads() bool {
	return in.says(providers) || slices.Contains([]string{"provider", "connection", "idp"}, strings.ToLower(in.Name))
}

// Submitter returns the button for signing in, or none: a form can be submitted without one.
func (f *Form) Submitter() Input {
	rest := slices.DeleteFunc(slices.Clone(f.Buttons), func(b Input) bool { return b.Concealed || b.says(aside) || b.leads() })
	if b, ok := (&Form{Buttons: rest}).button(signing); ok || len(rest) == 0 {
		return b
	}
	return rest[0]
}

// button finds a submit button by its words; false if there is none.
func (f *Form) button(words []string) (Input, bool) {
	for _, b := range f.Buttons {
		if b.says(words) {
			return b, true
		}
	}
	return Input{}, false
}

func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r == '\'') })
}

// Login returns the form that asks for a name, a password or a second factor, or nil. If there are several, it is the one that signs in:
// pages also search, subscribe and register.
func (p *Page) Login() *Form {
	var best *Form
	most := 0
	for i := range p.Forms {
		if n := p.Forms[i].signsIn(); n > most {
			best, most = &p.Forms[i], n
		}
	}
	return best
}

// signsIn returns how likely it is that a form signs in; 0 if it does not.
func (f *Form) signsIn() int {
	switch {
	case f.registers():
		return 0
	case f.Password() != nil:
		return 3
	case f.OneTime() != nil:
		return 2
	case f.User() != nil && (len(f.Buttons) == 0 || f.Submitter().Label != "" || f.Submitter().Name != "" || len(f.Buttons) == 1 &&
		!f.Buttons[0].says(aside)):
		return 1
	}
	return 0
}

// registers reports whether a form creates an account, or changes a password.
func (f *Form) registers() bool {
	n, fresh := 0, false
	for _, in := range f.Inputs {
		if in.Type == "password" && !in.Concealed {
			n++
			fresh = fresh || in.Complete == "new-password"
		}
	}
	_, makes := f.button([]string{"sign up", "signup", "register", "create"})
	_, enters := f.button([]string{"sign in", "log in", "login"})
	return n > 1 || makes && !enters && (fresh || len(f.Buttons) == 1)
}

// named reports whether a form asks who the user is, and not only for a second factor.
func (f *Form) named() bool { return f.Password() != nil || f.User() != nil }

// asks reports whether a form asks for a name, a password or a second factor.
func (f *Form) asks() bool { return f.Password() != nil || f.OneTime() != nil || f.User() != nil }

// Consent returns the form that approves access, with its button; false if there is none. A form with a button to deny comes first: banners
// ask too.
func (p *Page) Consent() (*Form, Input, bool) {
	var best *Form
	var approval Input
	most := 0
	for i := range p.Forms {
		f := &p.Forms[i]
		b, ok := f.approval()
		n := 1
		if _, denies := f.button(denying); denies {
			n++
		}
		if !f.loose {
			n += 2
		}
		if ok && !f.asks() && n > most {
			best, approval, most = f, b, n
		}
	}
	return best, approval, best != nil
}

// approval returns the button that approves, or false.
func (f *Form) approval() (Input, bool) {
	for _, b := range f.Buttons {
		if b.says(approving) && !b.leads() && !b.says([]string{"cookie", "cookies", "accept all"}) && (!b.says(denying) || b.Label == "") {
			return b, true
		}
	}
	return Input{}, false
}

// Denial returns the way to deny: a button's form, or a link.
func (p *Page) Denial() (*Form, Input, string, bool) {
	for i := range p.Forms {
		if b, ok := p.Forms[i].button(denying); ok {
			return &p.Forms[i], b, "", true
		}
	}
	for _, l := range p.Links {
		words := wordsOf(l.Text)
		if len(words) > 0 && len(words) < 4 && slices.Contains(denying, words[0]) && !slices.Contains(words, "account") {
			return nil, Input{}, l.Address, true
		}
	}
	return nil, Input{}, "", false
}

// Tick returns the boxes of a consent page that a user ticks to allow the request: some pages show them empty.
func (f *Form) Tick(scopes []string) []Input {
	var out []Input
	for _, in := range f.Inputs {
		if in.Type == "checkbox" && !in.Checked && !in.Concealed && slices.Contains(scopes, in.Value) {
			out = append(out, in)
		}
	}
	return out
}

var (
	staying = regexp.MustCompile(`(?i)\b(stay|keep me) (signed|logged) in\b|\b(remember|trust|save) this (device|browser)\b`)
	offers  = regexp.MustCompile(`(?i)\b(set ?up|add|enable|enrol|enroll|register|verify)\b.*` +
		`\b(factor|2fa|mfa|authenticator|passkey|phone|e-?mail)\b`)
	faulty = regexp.MustCompile(`(?i)\b(error|invalid|unknown|not (found|registered|allowed|recogni[sz]ed|valid)|mismatch|denied|expired|` +
		`bad request|went wrong|did not work|forbidden|unauthori[sz]ed|sorry|oops)\b`)
	granting = regexp.MustCompile(`(?i)\b(access|permissions?|authori[sz]e|consent|scopes?)\b`)
	choosing = regexp.MustCompile(`(?i)\b(choose|pick|select) (an|your) account\b`)
)

// Aside returns the way past a question between login and consent: whether to stay signed in, or to set up a second factor. False if there
// is none.
func (p *Page) Aside() (*Form, Input, bool) {
	stays := staying.MatchString(p.Text)
	if !stays && !offers.MatchString(p.Text) || granting.MatchString(p.Text) {
		return nil, Input{}, false
	}
	for i := range p.Forms {
		f := &p.Forms[i]
		if f.Password() != nil || f.User() != nil ||
			f.input(func(in Input) bool { return strings.Contains(strings.ToLower(in.Name), "scope") }) != nil {
			continue
		}
		if b, ok := f.button(passing); ok {
			return f, b, true
		}
		if b, ok := f.approval(); ok && stays {
			return f, b, true
		}
	}
	return nil, Input{}, false
}

// Account returns the button to continue with an account that the browser knows; false if there is no choice.
func (p *Page) Account(name string) (*Form, Input, bool) {
	if name == "" || !choosing.MatchString(p.Text+" "+p.Title) {
		return nil, Input{}, false
	}
	for i := range p.Forms {
		for _, b := range p.Forms[i].Buttons {
			if strings.Contains(b.Label+" "+b.Value, name) {
				return &p.Forms[i], b, true
			}
		}
	}
	return nil, Input{}, false
}

// Faulty reports whether a page shows an error, whatever its status. The text of a page with scripts counts only after they have run.
func (p *Page) Faulty() bool {
	return faulty.MatchString(p.Title) || (p.Scripts == 0 || p.Rendered) && faulty.MatchString(p.Text)
}

// Passes reports whether a script of the page submits a form without asking the user: it only passes something on.
func (p *Page) Passes(f *Form) bool {
	shown := f.input(func(in Input) bool { return in.Type != "hidden" })
	return p.Submits && !p.Rendered && shown == nil && len(f.Inputs) > 0 && len(f.Buttons) < 2
}
