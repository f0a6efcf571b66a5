package cimd

import (
	"encoding/json"
	"net/url"
	"slices"

	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// flag is the member of the metadata that claims support (section 5).
const flag = "client_id_metadata_document_supported"

// draft is a valid document before it is published, with the answer that carries it.
type draft struct {
	page     *documents.Page
	id       string // of the client: the client_id of the request and of the document
	redirect string // the redirect URI of the request, and of the document unless that is edited
	members  map[string]any
	answer   []func(a *documents.Answer)
	second   *documents.Page // the page to which the first redirects
}

// edit changes one thing of a valid document.
type edit func(d *draft)

// member sets a member; nil leaves it out.
func member(name string, v any) edit {
	return func(d *draft) {
		if d.members[name] = v; v == nil {
			delete(d.members, name)
		}
	}
}

// identified makes the document name another client_id than the requested one; nil leaves it out.
func identified(as func(own string) any) edit {
	return func(d *draft) { member("client_id", as(d.id))(d) }
}

// answered changes the answer that carries the document.
func answered(change func(a *documents.Answer)) edit {
	return func(d *draft) { d.answer = append(d.answer, change) }
}

// redirecting uses another redirect URI, in the document and in the request.
func redirecting(uri string) edit {
	return func(d *draft) {
		d.redirect = uri
		d.members["redirect_uris"] = []string{uri}
	}
}

// requesting uses another redirect URI in the request than the document lists.
func requesting(uri string) edit { return func(d *draft) { d.redirect = uri } }

// asID changes the identifier, in the request and in the document.
func asID(id string) edit {
	return func(d *draft) { d.id, d.members["client_id"] = id, id }
}

// newDraft is a valid document at a new address.
func newDraft(t *T, redirect string, edits ...edit) *draft {
	d := &draft{page: t.Documents.Put(documents.NotFound)}
	d.id, d.members = d.page.URL, map[string]any{
		"client_id": d.page.URL, "client_name": t.AS.ClientName(" of a document"), "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": oauth.None,
	}
	redirecting(redirect)(d)
	for _, e := range edits {
		e(d)
	}
	return d
}

// publish serves the document, and returns its client.
func (d *draft) publish() *oauth.Client {
	body, _ := json.Marshal(d.members) // plain values can always be encoded
	a := documents.Answer{Type: "application/json", Body: string(body)}
	for _, change := range d.answer {
		change(&a)
	}
	d.page.Serve(a)
	return &oauth.Client{ID: d.id, Method: oauth.None, RedirectURI: d.redirect, RedirectURIs: []string{d.redirect}}
}

// request is the authorization request of a document's client, with where it ended.
type request struct {
	*Grant
	page    *documents.Page
	second  *documents.Page // the page to which the first redirects; nil if it does not redirect
	reached int             // how many connections reached the check's own listener
}

// ask sends the authorization request of a document's client, and follows it to the consent page.
func ask(t *T, d *draft, edits ...Edit) *request {
	c := d.publish()
	g := t.AS.Authorize(slices.Concat([]Edit{As(c), Leaving()}, edits)...)
	return &request{Grant: g, page: d.page, second: d.second}
}

// document is the request of the client of a valid document. The base edits make another valid document.
func document(t *T, base ...edit) Attempt[edit] {
	redirect := acceptedRedirect(t)
	return Attempt[edit]{Name: "the request of the client of an ordinary document", Good: beServed(), Send: func(edits ...edit) any {
		return ask(t, newDraft(t, redirect, slices.Concat(base, edits)...))
	}}
}

// accepted reports that a request led to consent or a code.
func accepted(g *Grant) bool { return g.Stage == login.AtConsent || g.Code() != "" }

// beServed expects the request of a document's client to lead to consent or a code.
var beServed = expect.Family("beServed", func() expect.Matcher {
	return expect.Serving("a fetch of the document, and a consent page or a code for its client", func(r *request) string {
		switch {
		case accepted(r.Grant):
			return ""
		case r.page.Hits() == 0:
			return unfetched(r) + "; " + r.Describe()
		}
		return r.Describe()
	})
})

// refuse expects the client of a document to get neither consent nor code, and nothing to be sent to its redirect URI.
func refuse() expect.Matcher { return expect.NotRedirect() }

// refuseOnceFetched is refuse for a document that the server has fetched: otherwise it has not judged the document.
func refuseOnceFetched() expect.Matcher {
	return expect.Unless(refuse(), (*request).Unjudged)
}

// Unjudged says why a refusal proves nothing: the server has not decided yet, or has not read the document.
func (r *request) Unjudged() string {
	if why, _ := r.Undecided(); why != "" {
		return why
	}
	if r.page.Hits() == 0 {
		return unfetched(r) + ", so its refusal says nothing about what is in it"
	}
	return ""
}

func unfetched(r *request) string {
	return "the authorization server did not fetch the document from " + hostOf(r.Client.ID) + ", which it may not reach or trust"
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return address
}

// usable ends the check if the server does not claim to fetch documents, or fetches none.
func usable(t *T) {
	if v, _ := t.AS.Server().Metadata.Bool(flag); !v {
		t.NotApplicable("the metadata does not claim support of client ID metadata documents (AS-CIMD-SUPPORTED)")
	}
	acceptedRedirect(t)
	t.Expect(tried(t), "the client of an ordinary document:").AsControl(beServed())
}

// acceptedRedirect is the redirect URI of documents that the server accepts. It ends the check where there is none.
func acceptedRedirect(t *T) string {
	r := tried(t)
	switch t.AS.MustReachDecision(r.Grant); {
	case accepted(r.Grant):
		return r.Client.RedirectURI
	case r.page.Hits() == 0:
		t.Inconclusive("%s", unfetched(r))
	}
	t.Inconclusive("this proves nothing: the client of an ordinary document is refused: %s", r.Describe())
	return ""
}

// tried is the request of the client of an ordinary document: the first accepted one, or the last one. A server may accept only
// redirect URIs on the document's own host (section 6.1).
func tried(t *T) *request {
	return Once(t, "the request of an ordinary client document", func() *request {
		r := ask(t, newDraft(t, t.Session.Callback))
		if !accepted(r.Grant) && r.page.Hits() > 0 {
			r = ask(t, newDraft(t, "https://"+t.Documents.Host()+"/callback"))
		}
		return r
	})
}
