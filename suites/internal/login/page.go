package login

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Page is what an HTML page offers to a person.
type Page struct {
	URL     *url.URL
	Source  string
	Title   string
	Text    string // visible text, white space collapsed
	Forms   []Form
	Links   []Link
	Scripts int
	// Rendered says that a browser made the page: how its forms are sent is up to its scripts.
	Rendered bool
	// Loads are the addresses of scripts, images, styles and frames.
	Loads []string
}

// Form is one form of a page.
type Form struct {
	Action  string
	Method  string // GET or POST
	Inputs  []Input
	Buttons []Input
}

// Input is one field or button.
type Input struct {
	Name, Type, Value, Label, Complete string
	Action                             string // of a button: where it sends the form, if not to the form's own action
	Checked                            bool
}

// Link is an anchor.
type Link struct{ Address, Text string }

// ParsePage reads a page as a browser without scripts would.
func ParsePage(at *url.URL, source string) *Page {
	p := &Page{URL: at, Source: source}
	r := reader{page: p, labels: map[string]string{}}
	r.walk(parse(source), -1)
	p.Text = strings.Join(strings.Fields(r.text.String()), " ")
	for i := range p.Forms {
		for j := range p.Forms[i].Inputs {
			in := &p.Forms[i].Inputs[j]
			in.Label = strings.TrimSpace(in.Label + " " + r.labels[in.Label])
		}
	}
	return p
}

// secretFields has the fields for passwords and second factors stay out of reports, however short what is typed there.
func (p *Page) secretFields(s *reports.Secrets) {
	for i := range p.Forms {
		for _, in := range []*Input{p.Forms[i].Password(), p.Forms[i].OneTime()} {
			if in != nil && s != nil {
				s.Field(in.Name)
			}
		}
	}
}

type reader struct {
	page   *Page
	text   strings.Builder
	labels map[string]string
	fields int
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func (r *reader) walk(n *html.Node, form int) {
	p := r.page
	if n.Type == html.TextNode {
		r.text.WriteString(n.Data + " ")
	}
	if n.Type == html.ElementNode {
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Template, atom.Noscript:
			if n.DataAtom == atom.Script {
				p.Scripts++
			}
			r.load(n)
			return
		case atom.Title:
			p.Title = strings.TrimSpace(inner(n))
			return
		case atom.Img, atom.Link, atom.Iframe:
			r.load(n)
		case atom.Form:
			if len(p.Forms) == mostForms {
				break
			}
			p.Forms = append(p.Forms, Form{Action: resolve(p.URL, attr(n, "action")), Method: strings.ToUpper(attr(n, "method"))})
			form = len(p.Forms) - 1
			if p.Forms[form].Method != "POST" {
				p.Forms[form].Method = "GET"
			}
		case atom.A:
			if has(n, "href") {
				p.Links = append(p.Links, Link{resolve(p.URL, attr(n, "href")), strings.TrimSpace(inner(n))})
			}
		case atom.Input, atom.Button, atom.Select, atom.Textarea:
			r.field(n, form)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.walk(c, form)
	}
}

func (r *reader) load(n *html.Node) {
	for _, name := range []string{"src", "href"} {
		if v := attr(n, name); v != "" {
			r.page.Loads = append(r.page.Loads, resolve(r.page.URL, v))
		}
	}
}

func (r *reader) field(n *html.Node, form int) {
	if form < 0 || has(n, "disabled") || r.fields == mostFields {
		return
	}
	r.fields++
	f := &r.page.Forms[form]
	in := Input{Name: attr(n, "name"), Type: strings.ToLower(attr(n, "type")), Value: attr(n, "value"), Complete: attr(n, "autocomplete"), Checked: has(n, "checked")}
	if has(n, "formaction") {
		in.Action = resolve(r.page.URL, attr(n, "formaction"))
	}
	switch {
	case n.DataAtom == atom.Button && in.Type != "button" && in.Type != "reset":
		in.Label = strings.TrimSpace(inner(n) + " " + attr(n, "aria-label"))
		f.Buttons = append(f.Buttons, in)
	case n.DataAtom == atom.Button:
	case in.Type == "submit" || in.Type == "image":
		in.Label = in.Value
		f.Buttons = append(f.Buttons, in)
	case n.DataAtom == atom.Select:
		in.Type = "select"
		in.Value = selected(n)
		f.Inputs = append(f.Inputs, in)
	case in.Type != "reset" && in.Type != "button":
		if in.Type == "" {
			in.Type = "text"
		}
		in.Label = strings.Join([]string{attr(n, "id"), attr(n, "placeholder"), attr(n, "aria-label")}, " ")
		f.Inputs = append(f.Inputs, in)
	}
}

func selected(n *html.Node) string {
	first, chosen := "", ""
	for c := range n.Descendants() {
		if c.DataAtom == atom.Option {
			v := attr(c, "value")
			if first == "" {
				first = v
			}
			if has(c, "selected") {
				chosen = v
			}
		}
	}
	if chosen != "" {
		return chosen
	}
	return first
}

func inner(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func resolve(base *url.URL, ref string) string {
	u, err := url.Parse(ref)
	if err != nil {
		return ref
	}
	return base.ResolveReference(u).String()
}

// Values are what the form would send untouched, without any button.
func (f *Form) Values() oauth.Form {
	var out oauth.Form
	for _, in := range f.Inputs {
		if in.Name == "" || (in.Type == "checkbox" || in.Type == "radio") && !in.Checked {
			continue
		}
		v := in.Value
		if in.Type == "checkbox" && v == "" {
			v = "on"
		}
		out.Add(in.Name, v)
	}
	return out
}

// input finds the first field for which is holds.
func (f *Form) input(is func(Input) bool) *Input {
	for i := range f.Inputs {
		if is(f.Inputs[i]) {
			return &f.Inputs[i]
		}
	}
	return nil
}

// pressed is the form as a button sends it.
func (f *Form) pressed(b Input) *Form {
	if b.Action == "" {
		return f
	}
	out := *f
	out.Action = b.Action
	return &out
}

// Password is the field for the password, or nil. Some pages leave out its type.
func (f *Form) Password() *Input {
	if in := f.input(func(in Input) bool { return in.Type == "password" }); in != nil {
		return in
	}
	return f.input(untyped)
}

// untyped reports that a text field asks for a password.
func untyped(in Input) bool {
	return in.Type == "text" && (in.Complete == "current-password" || slices.Contains([]string{"password", "passwd", "pwd", "pass", "j_password", "user[password]"}, strings.ToLower(in.Name)))
}

// OneTime is the field for a second factor, or nil.
func (f *Form) OneTime() *Input {
	return f.input(func(in Input) bool {
		if in.Complete == "one-time-code" {
			return true
		}
		if !slices.Contains([]string{"text", "tel", "number"}, in.Type) {
			return false
		}
		name := strings.ToLower(in.Name)
		return slices.ContainsFunc([]string{"otp", "totp", "mfa", "2fa", "passcode", "onetime", "one_time"}, func(w string) bool { return strings.Contains(name, w) })
	})
}

// User is the field for the user's name, or nil.
func (f *Form) User() *Input {
	text := func(in Input) bool { return !untyped(in) && slices.Contains([]string{"text", "email", "tel"}, in.Type) }
	named := f.input(func(in Input) bool {
		about := strings.ToLower(in.Name + " " + in.Label + " " + in.Complete)
		return text(in) && slices.ContainsFunc([]string{"user", "mail", "login", "identifier", "account"}, func(w string) bool { return strings.Contains(about, w) })
	})
	if named == nil && f.Password() != nil {
		return f.input(text)
	}
	return named
}

var (
	approving = []string{"allow", "approve", "authorize", "authorise", "accept", "agree", "grant", "consent", "continue", "confirm", "yes", "next", "ok"}
	denying   = []string{"deny", "cancel", "reject", "decline", "disagree", "no", "abort", "refuse", "not now", "don't"}
)

// button finds a submit button by what it says; false if none says it.
func (f *Form) button(words []string) (Input, bool) {
	for _, b := range f.Buttons {
		said := words1(b.Label + " " + b.Value + " " + b.Name)
		for _, w := range words {
			if slices.Contains(said, w) || strings.Contains(w, " ") && strings.Contains(strings.ToLower(b.Label), w) {
				return b, true
			}
		}
	}
	return Input{}, false
}

func words1(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r == '\'') })
}

// Consent finds the form in which access is approved, with the button that does; false if the page has
// none.
func (p *Page) Consent() (*Form, Input, bool) {
	for i := range p.Forms {
		f := &p.Forms[i]
		if f.Password() != nil || f.OneTime() != nil || f.User() != nil {
			continue
		}
		if b, ok := f.button(approving); ok {
			if said, no := (&Form{Buttons: []Input{b}}).button(denying); !no || said.Label == "" {
				return f, b, true
			}
		}
	}
	return nil, Input{}, false
}

// Denial finds the way to deny: a button's form, or a link.
func (p *Page) Denial() (*Form, Input, string, bool) {
	for i := range p.Forms {
		if b, ok := p.Forms[i].button(denying); ok {
			return &p.Forms[i], b, "", true
		}
	}
	for _, l := range p.Links {
		for _, w := range words1(l.Text) {
			if slices.Contains(denying, w) {
				return nil, Input{}, l.Address, true
			}
		}
	}
	return nil, Input{}, "", false
}

// Login finds the form that asks for a name, a password or a second factor; nil if the page has none.
func (p *Page) Login() *Form {
	for i := range p.Forms {
		if f := &p.Forms[i]; f.Password() != nil || f.OneTime() != nil || f.User() != nil {
			return f
		}
	}
	return nil
}

// Said is the page's text, with that of its fields.
func (p *Page) Said() string {
	var text strings.Builder
	text.WriteString(p.Text)
	for _, f := range p.Forms {
		for _, in := range f.Inputs {
			if in.Type != "hidden" {
				text.WriteString(" " + in.Value + " " + in.Label)
			}
		}
	}
	return text.String()
}
