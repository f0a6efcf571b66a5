package login

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Limits of a page, far above those of real pages. The rest of a page is ignored.
const (
	mostMarkup     = 128 << 10 // bytes of tags and text; scripts and styles do not count
	longestValue   = 8 << 10   // of an attribute that no form sends: pages may contain whole images
	mostNodes      = 20_000
	mostAttributes = 64 // of an element
	deepestElement = 256
	mostForms      = 100
	mostFields     = 1_000 // in all forms together
	parsesAtOnce   = 2
)

// parses limits concurrent parsing of pages.
var parses = make(chan struct{}, parsesAtOnce)

// parse reads HTML into elements and texts, with one node for each token. Browsers repair more, in ways that turn a small page into a huge
// tree (they reopen formatting elements in every paragraph): no form depends on that.
func parse(source string) *html.Node {
	parses <- struct{}{}
	defer func() { <-parses }()
	b := &builder{root: &html.Node{Type: html.DocumentNode}, source: html.NewTokenizer(strings.NewReader(source))}
	for range mostNodes {
		if b.kept >= mostMarkup {
			return b.root
		}
		switch b.source.Next() {
		case html.ErrorToken: // the end
			return b.root
		case html.TextToken:
			b.text()
		case html.StartTagToken, html.SelfClosingTagToken:
			b.start()
		case html.EndTagToken:
			name, _ := b.source.TagName()
			b.end(atom.Lookup(name), string(name))
		}
	}
	return b.root
}

type builder struct {
	root   *html.Node
	open   []*html.Node
	source *html.Tokenizer
	kept   int // bytes of tags and text
}

func (b *builder) top() *html.Node {
	if len(b.open) == 0 {
		return b.root
	}
	return b.open[len(b.open)-1]
}

// text adds a text to the open element.
func (b *builder) text() {
	n := &html.Node{Type: html.TextNode, Data: string(b.source.Text())}
	if in := b.top().DataAtom; in != atom.Script && in != atom.Style {
		n.Data = n.Data[:min(len(n.Data), mostMarkup)]
		b.kept += len(n.Data)
	}
	b.top().AppendChild(n)
}

// sent are the elements with attributes that a form or a link sends.
var sent = map[atom.Atom]bool{atom.Input: true, atom.Button: true, atom.Option: true, atom.Form: true, atom.A: true}

// start opens an element, after closing those that cannot contain another of their kind.
func (b *builder) start() {
	name, more := b.source.TagName()
	n := &html.Node{Type: html.ElementNode, DataAtom: atom.Lookup(name), Data: string(name)}
	for more && len(n.Attr) < mostAttributes {
		var key, value []byte
		key, value, more = b.source.TagAttr()
		if !sent[n.DataAtom] && len(value) > longestValue {
			value = value[:longestValue]
		}
		n.Attr = append(n.Attr, html.Attribute{Key: string(key), Val: string(value)})
		b.kept += len(key) + len(value)
	}
	b.kept += len(name) + len("<>")
	switch n.DataAtom {
	case atom.A, atom.Button, atom.Label, atom.Select, atom.Option:
		b.end(n.DataAtom, n.Data)
	case atom.Form:
		if b.holds(atom.Form) {
			return
		}
	}
	b.top().AppendChild(n)
	if !void[n.DataAtom] && len(b.open) < deepestElement {
		b.open = append(b.open, n)
	}
}

// end closes an open element and all in it. Only its own end tag closes a form.
func (b *builder) end(kind atom.Atom, name string) {
	for i := len(b.open) - 1; i >= 0; i-- {
		switch n := b.open[i]; {
		case n.DataAtom == kind && n.Data == name:
			b.open = b.open[:i]
			return
		case n.DataAtom == atom.Form:
			return
		}
	}
}

func (b *builder) holds(kind atom.Atom) bool {
	for _, n := range b.open {
		if n.DataAtom == kind {
			return true
		}
	}
	return false
}

// void are the elements that have no end tag (HTML, section 13.1.2).
var void = map[atom.Atom]bool{
	atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true,
	atom.Link: true, atom.Meta: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
}
