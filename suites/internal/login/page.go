package login

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Page is what an HTML page offers to a user.
type Page struct {
	URL     *url.URL
	Source  string
	Title   string
	Text    string // visible text, white space collapsed
	Forms   []Form
	Links   []Link
	Scripts int
	// Refresh is the address to which the page redirects automatically, or "".
	Refresh string
	// Submits says that a script of the page submits a form automatically.
	Submits bool
	// Rendered says that a browser made the page: its scripts decide how forms are sent.
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
	// Scripted says that only a script can send the form.
	Scripted bool

	id    string
	loose bool // text that a browser shows outside all forms
}

// Input is one field or button.
type Input struct {
	Name, Type, Value, Label, Complete string
	Action                             string // of a button: the destination of the form, if it differs from the form's action
	Checked                            bool
	// Concealed says that users do not see the field: it is a trap for robots, or appears later.
	Concealed bool

	id   string
	mark int // in a browser
}

// Link is an anchor.
type Link struct{ Address, Text string }

// ParsePage parses a page like a browser without scripts.
func ParsePage(at *url.URL, source string) *Page {
	p := &Page{URL: at, Source: source}
	r := reader{page: p, base: at, labels: map[string]string{}}
	r.walk(parse(source), place{form: -1})
	r.adopt()
	p.Text = strings.Join(strings.Fields(r.text.String()), " ")
	for i := range p.Forms {
		f := &p.Forms[i]
		for j := range f.Inputs {
			in := &f.Inputs[j]
			in.Label = strings.TrimSpace(in.Label + " " + r.labels[in.id])
		}
		f.Scripted = f.Scripted || f.Method == "" && p.Scripts > 0 && f.Password() != nil // no server wants passwords in a URL
		f.Method = cmp.Or(f.Method, "GET")
	}
	return p
}

// secretFields keeps the values of password and second factor fields out of reports, even short ones.
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
	base   *url.URL
	text   strings.Builder
	labels map[string]string // by the id of their field
	fields int
	owned  []owned
}

// place is the position of an element in a page.
type place struct {
	form      int    // -1: in none
	label     string // the text of the label around it
	concealed bool
}

// owned is a field or a button that names its form (HTML, section 4.10.18.3).
type owned struct {
	form   string
	input  Input
	button bool
}

// adopt moves fields that name a form into that form.
func (r *reader) adopt() {
	for _, o := range r.owned {
		i := slices.IndexFunc(r.page.Forms, func(f Form) bool { return f.id == o.form && o.form != "" })
		if i >= 0 {
			r.page.Forms[i].add(o.input, o.button)
		}
	}
}

func (f *Form) add(in Input, button bool) {
	if button {
		f.Buttons = append(f.Buttons, in)
	} else {
		f.Inputs = append(f.Inputs, in)
	}
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

func (r *reader) walk(n *html.Node, at place) {
	if n.Type == html.TextNode && !at.concealed {
		r.text.WriteString(n.Data + " ")
	}
	if n.Type == html.ElementNode {
		at.concealed = at.concealed || concealed(n)
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Template, atom.Noscript:
			r.script(n)
			return
		case atom.Title:
			r.page.Title = cmp.Or(r.page.Title, strings.TrimSpace(inner(n))) // drawings have titles too
			return
		case atom.Base, atom.Meta, atom.Body:
			r.head(n)
		case atom.Img, atom.Link, atom.Iframe, atom.Embed, atom.Source, atom.Video, atom.Audio, atom.Track, atom.Object:
			r.load(n)
		case atom.Form:
			if len(r.page.Forms) < mostForms {
				at.form = r.form(n)
			}
		case atom.Label:
			if at.label = inner(n); has(n, "for") {
				r.labels[attr(n, "for")] = at.label
			}
		case atom.A:
			if has(n, "href") {
				r.page.Links = append(r.page.Links, Link{resolve(r.base, attr(n, "href")), strings.TrimSpace(inner(n))})
			}
		case atom.Input, atom.Button, atom.Select, atom.Textarea:
			r.field(n, at)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.walk(c, at)
	}
}

// concealed reports whether the attributes of an element hide it.
func concealed(n *html.Node) bool {
	style := strings.ReplaceAll(strings.ToLower(attr(n, "style")), " ", "")
	return has(n, "hidden") || strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

func (r *reader) script(n *html.Node) {
	if n.DataAtom == atom.Script {
		r.page.Scripts++
		r.page.Submits = r.page.Submits || strings.Contains(inner(n), "submit()")
	}
	r.load(n)
}

// head handles elements that affect the whole page.
func (r *reader) head(n *html.Node) {
	switch {
	case n.DataAtom == atom.Base && has(n, "href"):
		if base, err := r.page.URL.Parse(attr(n, "href")); err == nil {
			r.base = base
		}
	case n.DataAtom == atom.Body:
		r.page.Submits = r.page.Submits || strings.Contains(attr(n, "onload"), "submit()")
	case strings.EqualFold(attr(n, "http-equiv"), "refresh"):
		_, address, _ := strings.Cut(attr(n, "content"), ";")
		if name, to, ok := strings.Cut(address, "="); ok && strings.EqualFold(strings.TrimSpace(name), "url") {
			r.page.Refresh = resolve(r.base, strings.Trim(strings.TrimSpace(to), `'"`))
		}
	}
}

// form opens a form and returns its index.
func (r *reader) form(n *html.Node) int {
	f := Form{Action: resolve(r.base, attr(n, "action")), Method: strings.ToUpper(attr(n, "method")), id: attr(n, "id")}
	if attr(n, "action") == "" { // it stays on the page, whatever the base URL is
		f.Action = r.page.URL.String()
	}
	if f.Method != "POST" && f.Method != "" {
		f.Method = "GET"
	}
	to, err := url.Parse(f.Action)
	f.Scripted = err != nil || to.Scheme == "javascript" || strings.Contains(attr(n, "onsubmit"), "return false")
	r.page.Forms = append(r.page.Forms, f)
	return len(r.page.Forms) - 1
}

// requested are the relations of a link element that make a browser load its address, or connect to its host.
var requested = []string{"stylesheet", "icon", "apple-touch-icon", "mask-icon", "preload", "modulepreload", "prefetch", "prerender",
	"manifest", "preconnect", "dns-prefetch", "import"}

func (r *reader) load(n *html.Node) {
	relations := strings.Fields(strings.ToLower(attr(n, "rel")))
	if n.DataAtom == atom.Link && !slices.ContainsFunc(relations, func(rel string) bool { return slices.Contains(requested, rel) }) {
		return
	}
	for _, name := range []string{"src", "href", "data", "poster"} {
		if v := attr(n, name); v != "" {
			r.page.Loads = append(r.page.Loads, resolve(r.base, v))
		}
	}
}

func (r *reader) field(n *html.Node, at place) {
	if at.form < 0 && !has(n, "form") || has(n, "disabled") || r.fields == mostFields {
		return
	}
	r.fields++
	in := Input{Name: attr(n, "name"), Type: strings.ToLower(attr(n, "type")), Value: attr(n, "value"), Complete: attr(n, "autocomplete"),
		Checked: has(n, "checked"), Concealed: at.concealed || attr(n, "aria-hidden") == "true", id: attr(n, "id")}
	if has(n, "formaction") {
		in.Action = resolve(r.base, attr(n, "formaction"))
	}
	button := in.Type == "submit" || in.Type == "image"
	switch {
	case n.DataAtom == atom.Button && in.Type != "button" && in.Type != "reset":
		button = true
		in.Label = strings.TrimSpace(inner(n) + " " + attr(n, "aria-label"))
	case n.DataAtom == atom.Button:
		return
	case button:
		in.Label = cmp.Or(in.Value, attr(n, "alt"))
	case n.DataAtom == atom.Select:
		in.Type = "select"
		in.Value = selected(n)
	case in.Type == "reset" || in.Type == "button":
		return
	default:
		in.Type = cmp.Or(in.Type, "text")
		in.Label = strings.Join([]string{attr(n, "id"), attr(n, "placeholder"), attr(n, "aria-label"), at.label}, " ")
	}
	if has(n, "form") {
		r.owned = append(r.owned, owned{attr(n, "form"), in, button})
		return
	}
	r.page.Forms[at.form].add(in, button)
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

// Values returns the values of an unchanged form, without a button.
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

// input returns the first field that matches.
func (f *Form) input(is func(Input) bool) *Input {
	for i := range f.Inputs {
		if is(f.Inputs[i]) {
			return &f.Inputs[i]
		}
	}
	return nil
}

// pressed returns the form as submitted by a button.
func (f *Form) pressed(b Input) *Form {
	if b.Action == "" {
		return f
	}
	out := *f
	out.Action = b.Action
	return &out
}

// Said returns the page's text, with the text of its fields.
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
