package cimd

import (
	"fmt"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// One document has 16 MiB, where the draft advises 5 kB; another takes 20 seconds to send. More than taken bytes sent show that the
// server has no limit: the buffers of the connection explain fewer.
const (
	chunks = 64 // of 256 KiB
	taken  = 12 << 20
	pauses = 200 // of 100 ms
)

// "Authorization servers SHOULD limit the response size when fetching the client metadata document" (section 6.6)
func limitsDocuments(t *T) {
	usable(t)
	Refuses(t, slowDocument(t), Cases[edit]{
		{"a document that takes 20 seconds", answered(func(a *documents.Answer) { a.Trickle = pauses })},
	}, expect.Unless(expect.Refusing("the fetch given up before the document ends", func(r *request) string {
		if r.page.Whole() > 0 {
			return "the server has read for 20 seconds, to the end of the document"
		}
		return ""
	}), unlessAsked))
	large := answered(func(a *documents.Answer) { a.Padding = chunks })
	packed := answered(func(a *documents.Answer) { a.Gzip = true })
	Refuses(t, document(t), Cases[edit]{{"a document of 16 MiB", large}}, takeLittle)
	Refuses(t, document(t, packed), Cases[edit]{{"a document of 16 MiB, compressed", large}}, takeLittle)
}

var takeLittle = expect.Unless(expect.Refusing("a refusal of the 16 MiB document, not read to its end", func(r *request) string {
	if accepted(r.Grant) || r.page.Sent() > taken {
		return fmt.Sprintf("%d MiB were read, and %s", r.page.Sent()>>20, r.Describe())
	}
	return ""
}), (*request).Unjudged)

// slowDocument is document for requests that may get no answer in time. It waits until the server has fetched the document, or given
// up.
func slowDocument(t *T) Attempt[edit] {
	good := document(t)
	good.Send = func(edits ...edit) (r any) {
		send := func() {
			q := ask(t, newDraft(t, acceptedRedirect(t), edits...), EvenUnanswered())
			for q.page.Open() > 0 && t.Context().Err() == nil {
				t.Sleep(50 * time.Millisecond)
			}
			r = q
		}
		if len(edits) == 0 {
			send()
		} else {
			AsideIfAnswered(t, t.AS.Server().Authorization, send)
		}
		return r
	}
	return good
}

func unlessAsked(r *request) string {
	if r.page.Hits() == 0 {
		return unfetched(r)
	}
	return ""
}

// strangers is the number of requests of unknown clients, each of which names a document.
const strangers = 30

// burstTime is how long the requests of unknown clients may take: slower ones may stay below a limit of a few per second.
const burstTime = 3 * time.Second

// burst is the result of a burst of requests of unknown clients.
type burst struct {
	fetched int
	answers []*reports.Exchange
}

// MCP security best practices, SSRF Against Authorization Servers: no number is named.
func limitsFetchesForStrangers(t *T) {
	usable(t)
	b, took := askForStrangers(t)
	if b.fetched == strangers && took > burstTime {
		t.Inconclusive("%d requests took %s, too slow to meet a limit: run this check alone, on an idle machine",
			strangers, took.Round(100*time.Millisecond))
	}
	t.Expect(b).SeenIn(b.answers[0]).Ideally(expect.Unless(fetchForFewer, unlessAllAnswered))
}

// askForStrangers sends authorization requests of unknown clients, at once.
func askForStrangers(t *T) (b burst, took time.Duration) {
	var pages []*documents.Page
	var requests []wire.Request
	for range strangers {
		d := newDraft(t, acceptedRedirect(t))
		form := t.Session.Request(d.publish(), oauth.NewPKCE(43))
		pages = append(pages, d.page)
		requests = append(requests, wire.Request{Method: "GET", URL: oauth.AtQuery(t.AS.Server().Authorization, form)})
	}
	began := time.Now()
	b.answers = t.AllIgnoringLimits(requests)
	took = time.Since(began)
	for _, p := range pages {
		b.fetched += p.Hits()
	}
	return b, took
}

var fetchForFewer = expect.Refusing("fewer fetches than requests without a login", func(b burst) string {
	if b.fetched >= strangers {
		return fmt.Sprintf("%d requests without a login make it fetch %d documents", strangers, b.fetched)
	}
	return ""
})

// unlessAllAnswered says which answer is missing or a server error; 503 may be a limit.
func unlessAllAnswered(b burst) string {
	for _, ex := range b.answers {
		if expect.Crashed(ex) && expect.Status(ex) != 503 {
			return "not each request is answered: " + expect.Describe(ex)
		}
	}
	return ""
}
