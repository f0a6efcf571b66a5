package cimd

import (
	"net/url"
	"strings"

	hosts "github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "a client_id property whose value MUST match the URL of the document using simple string comparison" (section 4.1)
func refusesForeignIDs(t *T) {
	usable(t)
	Refuses(t, document(t), Cases[edit]{
		{"another host", identified(func(string) any { return "https://other.example/client.json" })},
		{"the beginning of its own address", identified(func(own string) any { return own[:len(own)-1] })},
		{"letter case of the path", identified(func(own string) any { return strings.Replace(own, "client.json", "CLIENT.json", 1) })},
		{"another path of the host", identified(func(own string) any { return own + ".other" })},
		{"a slash at the end", identified(func(own string) any { return own + "/" })},
		{"a query", identified(func(own string) any { return own + "?x" })},
		{"the scheme in upper case", identified(func(own string) any { return "HTTPS" + strings.TrimPrefix(own, "https") })},
		{"its own address by http", identified(func(own string) any { return "http" + strings.TrimPrefix(own, "https") })},
		{"a letter percent-encoded", identified(func(own string) any { return strings.Replace(own, "client.json", "%63lient.json", 1) })},
		{"a list with its own address", identified(func(own string) any { return []string{own} })},
		{"absent", identified(func(string) any { return nil })},
	}.In("client_id in the document"), refuseOnceFetched())
}

// MCP: the document is valid JSON with at least client_id, client_name and redirect_uris.
func refusesInvalidDocuments(t *T) {
	usable(t)
	body := func(bend func(good string) string) edit {
		return answered(func(a *documents.Answer) { a.Body = bend(a.Body) })
	}
	Refuses(t, document(t), Cases[edit]{
		{"HTML", answered(func(a *documents.Answer) { a.Type, a.Body = "text/html", "<p>"+a.Body+"</p>" })},
		{"half a document", body(func(good string) string { return good[:len(good)-1] })},
		{"an array", body(func(good string) string { return "[" + good + "]" })},
		{"an empty body", body(func(string) string { return "" })},
		{"deep nesting", body(func(string) string { return strings.Repeat(`{"a":`, 5000) })},
		{"no redirect_uris", member("redirect_uris", nil)},
		{"an empty redirect_uris", member("redirect_uris", []string{})},
		{"redirect_uris as a string", member("redirect_uris", acceptedRedirect(t))},
	}.In("the document"), refuseOnceFetched())
	t.Expect(document(t).Send(member("client_name", nil)), "the document: no client_name").Ideally(refuseOnceFetched())
}

// "MUST ensure that the redirect URI in a request is an exact match of a registered redirect URI" (section 4.5)
func redirectsOnlyWhereListed(t *T) {
	usable(t)
	listed, host, port := webRedirect(t)
	Refuses(t, document(t, redirecting(listed)), notListed(listed, host, port), refuseOnceFetched())
	Each(t, Cases[edit]{{"redirect_uri: another port on loopback", requesting("http://127.0.0.1:53222/callback")}}, anyLoopbackPort)
	const path = "another path on loopback"
	if own := onLoopback(t); Offers(t, own, "redirect_uri: "+path) {
		Refuses(t, own, Cases[edit]{{path, requesting("http://127.0.0.1:53222/other")}}.In("redirect_uri"), refuseOnceFetched())
	}
}

// notListed are requests for other redirect URIs than the listed one. On a loopback host, any port may be right (OAuth 2.1 section 8.4.2).
func notListed(listed, host, port string) Cases[edit] {
	at := func(host string) edit { return requesting("https://" + host + "/cb") }
	rows := Cases[edit]{
		{"a longer path", requesting(listed + "/x")},
		{"a slash at the end", requesting(listed + "/")},
		{"a query", requesting(listed + "?a=1")},
		{"a fragment", requesting(listed + "#f")},
		{"another host", at("other.example" + port)},
		{"http instead of https", requesting("http" + strings.TrimPrefix(listed, "https"))},
		{"a longer host", at(host + ".attacker.example" + port)},
		{"letter case of the path", requesting(strings.TrimSuffix(listed, "/cb") + "/CB")},
	}
	if !hosts.LoopbackHost(host) {
		rows = rows.And("another port", at(host+":444"))
	}
	return rows.In("redirect_uri")
}

// webRedirect is an https redirect URI, with its host and port: on the documents' own host where the server accepts no other (section 6.1).
func webRedirect(t *T) (uri, host, port string) {
	host = "client.example"
	if own, err := url.Parse(acceptedRedirect(t)); err == nil && own.Scheme == "https" && own.Host == t.Documents.Host() {
		host, port = own.Hostname(), strings.TrimPrefix(own.Host, own.Hostname())
	}
	return "https://" + host + port + "/cb", host, port
}

// onLoopback is the request of the client of a document that lists a loopback redirect URI.
func onLoopback(t *T) Attempt[edit] {
	return document(t, member("application_type", "native"), redirecting("http://127.0.0.1/callback"))
}

// anyLoopbackPort: "The authorization server MUST allow any port to be specified at the time of the request" (OAuth 2.1 section 8.4.2)
func anyLoopbackPort(t *T, port edit) {
	own, _ := onLoopback(t).Send().(*request)
	switch t.AS.MustReachDecision(own.Grant); {
	case accepted(own.Grant):
	case own.page.Hits() == 0:
		t.Inconclusive("%s", unfetched(own))
	default:
		t.NotApplicable("a document with a loopback redirect URI is refused with any port (AS-DCR-LOOPBACK-ACCEPTED): %s", own.Describe())
	}
	r, _ := onLoopback(t).Send(port).(*request)
	t.AS.MustReachDecision(r.Grant)
	t.Expect(r).To(beServed())
}

// A client identifier URL is https, and has a path, and no dot segments, fragment, user name or password (section 3).
func refusesForbiddenURLs(t *T) {
	usable(t)
	own := func(bend func(own string) string) edit {
		return func(d *draft) { asID(bend(d.id))(d) }
	}
	replaced := func(old, by string) edit {
		return own(func(own string) string { return strings.Replace(own, old, by, 1) })
	}
	rows := Cases[edit]{ // each of the first leads to the document if the server fetches it (see the package documents)
		{"http instead of https", replaced("https://", "http://")},
		{"dot segments", replaced("/clients/", "/clients/../clients/")},
		{"a single dot", replaced("/clients/", "/./clients/")},
		{"a fragment", own(func(own string) string { return own + "#f" })},
		{"a user name", replaced("https://", "https://u:p@")},
		{"ftp", replaced("https://", "ftp://")},
		{"file", asID("file:///etc/passwd")},
		{"data", asID("data:application/json,{}")},
	}
	Refuses(t, document(t), reached(t, rows.In("client_id")), refuse())
	root := rootPage(t) // last, because other runs may wait for it
	rows = Cases[edit]{{"no path", func(d *draft) { asID(root.URL)(d); d.page = root }}}
	Refuses(t, document(t), reached(t, rows.In("client_id")), refuse())
}

// rootPage is the page at the address without a path, which is of this check alone while it runs.
func rootPage(t *T) *documents.Page {
	root, giveBack, err := t.Documents.PutRoot(t.Context(), documents.NotFound)
	if err != nil {
		t.Inconclusive("another run needs %s meanwhile", t.Documents.Host())
	}
	t.Cleanup(giveBack)
	return root
}

// reached are the rows whose client_id, if a server fetches it, leads to the document. A proxy before it may not serve each form.
func reached(t *T, rows Cases[edit]) (out Cases[edit]) {
	for _, row := range rows {
		d := newDraft(t, acceptedRedirect(t), row.Value)
		if strings.HasPrefix(d.id, "http") && !t.Documents.Leads(d.id, d.page) {
			Untried(t, row.Name, "an address of the documents at which this form leads to them, too")
			continue
		}
		out = append(out, row)
	}
	return out
}

// "If fetching the metadata document fails, the authorization server SHOULD abort the authorization request." (section 4.3)
func refusesWhatCannotBeFetched(t *T) {
	usable(t)
	Refuses(t, document(t), Cases[edit]{ // the document itself is valid: only the status says that there is none
		{"a document that is answered with 404", answered(status(404))},
		{"a document that is answered with 500", answered(status(500))},
		{"a document that is answered with 204", answered(status(204))},
		{"a connection that breaks", answered(func(a *documents.Answer) { a.Break = true })},
	}, refuseOnceFetched())
}

func status(code int) func(a *documents.Answer) {
	return func(a *documents.Answer) { a.Status = code }
}

// "MUST NOT cache error responses ... MUST NOT cache documents which are invalid" and "SHOULD respect HTTP cache headers" (section 4.4)
func fetchesAgain(t *T) {
	usable(t)
	Each(t, Cases[func(a *documents.Answer)]{
		{"an error: 500", status(500)},
		{"an error: 404", status(404)},
		{"broken JSON", func(a *documents.Answer) { a.Body = a.Body[:len(a.Body)-1] }},
	}, forgetsFailures)
	Each(t, Cases[edit]{{"a document that must not be stored", member("redirect_uris", []string{"https://client.example/cb"})}}, readsChanges)
}

// forgetsFailures sends the request of a client whose document exists only the second time.
func forgetsFailures(t *T, fails func(a *documents.Answer)) {
	d := newDraft(t, acceptedRedirect(t), answered(fails))
	if first := ask(t, d); d.page.Hits() == 0 {
		t.Inconclusive("%s", unfetched(first))
	}
	d.answer = nil
	before := d.page.Hits()
	r := ask(t, d)
	t.AS.MustReachDecision(r.Grant)
	t.Expect(r).To(expect.Unless(expect.That("the document fetched again after a failure", func(r *request) string {
		if r.page.Hits() == before && !accepted(r.Grant) {
			return "the failure is remembered: " + r.Describe()
		}
		return ""
	}), func(r *request) string {
		if !accepted(r.Grant) {
			return "the good document is fetched, and its client refused: " + r.Describe()
		}
		return ""
	}))
}

// readsChanges sends a client's request twice. Its document must not be stored (Cache-Control: no-store), and changes in between.
func readsChanges(t *T, change edit) {
	d := newDraft(t, acceptedRedirect(t))
	first := ask(t, d)
	if t.AS.MustReachDecision(first.Grant); !accepted(first.Grant) {
		t.Inconclusive("the client of an ordinary document is refused: %s", first.Describe())
	}
	change(d)
	before := d.page.Hits()
	t.Expect(ask(t, d)).Ideally(expect.That("the document fetched again", func(r *request) string {
		if r.page.Hits() == before && accepted(r.Grant) {
			return "a stored copy is used: a redirect URI that the document no longer lists is accepted"
		}
		return ""
	}))
}
