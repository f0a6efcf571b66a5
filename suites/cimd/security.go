package cimd

import (
	"encoding/json"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func security() {
	Practice("AS-CIMD-NO-REDIRECT-FOLLOW", func(t *T) {
		supported(t)
		control(t)
		first := t.Documents.Put(documents.NotFound)
		second := t.Documents.Put(documentAnswer(metadata(t, first.URL)))
		first.Serve(documents.Answer{Location: second.URL})
		if g := t.AS.Authorize(As(client(t, first.URL)), Leaving()); second.Hits() > 0 || accepted(g) {
			t.Advise(g.Exchange, "no redirect followed to a document", "it is followed")
		}
		trap := Listen(t)
		away := t.Documents.Put(documents.Answer{Location: trap.URL("/c")})
		t.AS.Authorize(As(client(t, away.URL)), Leaving())
		if trap.Hits() > 0 {
			t.Unmet(nil, "no redirect followed to a loopback address", "%d requests arrived there", trap.Hits())
		}
		t.Refused()
	})

	Should("AS-CIMD-SSRF-PRIVATE", func(t *T) {
		supported(t)
		if survey.LoopbackIssuer(t.AS.Server().Issuer) {
			t.NotApplicable("authorization server and suite share the loopback interface, from which the server may fetch")
		}
		trap := Listen(t)
		port := trap.Host()[strings.LastIndexByte(trap.Host(), ':'):]
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.1", "2130706433", "0x7f.0.0.1", "localhost"} {
			t.AS.Authorize(As(client(t, "https://"+host+port+"/c")), Nobody(), StoppingAtLogin(), Leaving())
		}
		if trap.Connections() > 0 {
			t.Unmet(nil, "no connection to a loopback address for a stranger's client_id", "%d arrived", trap.Connections())
		}
		t.Note("only connections to this machine can be seen")
	})

	Should("AS-CIMD-SIZE-AND-TIME", func(t *T) {
		supported(t)
		control(t)
		page := t.Documents.Put(documents.NotFound)
		large := documentAnswer(metadata(t, page.URL))
		large.Padding = 64 // 16 MiB, unless the reader stops
		page.Serve(large)
		if g := t.AS.Authorize(As(client(t, page.URL)), Leaving()); accepted(g) || page.Sent() > 12<<20 {
			t.Unmet(g.Exchange, "a document of 16 MiB refused, and not read to its end", "%d MiB were taken: %s", page.Sent()>>20, g.Describe())
		}
		slow := t.Documents.Put(documents.Answer{Trickle: true})
		if g := t.AS.Authorize(As(client(t, slow.URL)), Leaving(), EvenUnanswered()); g.Exchange.Response == nil {
			t.Unmet(g.Exchange, "an error page within seconds for a document that trickles in", "%s", expect.Describe(g.Exchange))
		}
	})

	Must("AS-CIMD-CONSENT-HOSTS", func(t *T) {
		supported(t)
		control(t)
		for _, uri := range []string{"https://client.example/cb", t.Session.Callback} {
			_, c := publish(t, map[string]any{"redirect_uris": []string{uri}})
			g := consent(t, c, uri)
			host := strings.SplitN(strings.TrimPrefix(strings.TrimPrefix(uri, "https://"), "http://"), "/", 2)[0]
			if text := g.Page().Text; !strings.Contains(text, host) {
				t.Finding(g.PageExchanges[len(g.PageExchanges)-1], uri, "the host that gets the answer on the consent page", host+" is absent")
			} else if !strings.Contains(text, strings.Split(t.Documents.Host(), ":")[0]) {
				t.Advise(g.PageExchanges[len(g.PageExchanges)-1], "the host of the client's document on the consent page", "%s is absent", t.Documents.Host())
			}
		}
	})

	Should("AS-CIMD-LOCALHOST-WARNING", func(t *T) {
		supported(t)
		control(t)
		words := func(uri string) int {
			_, c := publish(t, map[string]any{"redirect_uris": []string{uri}})
			return len(strings.Fields(consent(t, c, uri).Page().Text))
		}
		if web, native := words("https://client.example/cb"), words(t.Session.Callback); native <= web {
			t.Advise(nil, "a warning on the consent page of a client with loopback redirect URIs only, since anybody on the machine can take its place", "the page is the same as for other clients")
		}
	})

	Practice("AS-CIMD-UNSAFE-URIS", func(t *T) {
		supported(t)
		control(t)
		_, c := publish(t, map[string]any{"client_uri": "javascript:alert(1)", "tos_uri": "data:text/html,x", "client_name": "<img src=x onerror=alert(1)>"})
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
		if g.Stage != login.AtConsent {
			return // a refusal of the document will do
		}
		p := g.Page()
		if strings.Contains(p.Source, "<img src=x onerror") {
			t.Unmet(g.PageExchanges[len(g.PageExchanges)-1], "the client's name escaped in the page", "the page holds it as markup")
		}
		for _, l := range p.Links {
			if a := strings.ToLower(l.Address); strings.HasPrefix(a, "javascript:") || strings.HasPrefix(a, "data:") {
				t.Unmet(g.PageExchanges[len(g.PageExchanges)-1], "no javascript: or data: link", "%s", l.Address)
			}
		}
	})
}

// consent is the consent page that a client of a document brings up.
func consent(t *T, c *oauth.Client, uri string) *Grant {
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), With("redirect_uri", uri), Leaving()))
	if g.Stage != login.AtConsent {
		t.NotApplicable("no consent page is shown (AS-CONSENT-REQUIRED): %s", g.Describe())
	}
	return g
}

func supported(t *T) { usable(t) }
func control(*T)     {}

// publish serves an ordinary document with some members changed (nil leaves one out), and returns its client.
func publish(t *T, changes map[string]any) (*documents.Page, *oauth.Client) {
	d := newDraft(t, acceptedRedirect(t))
	for k, v := range changes {
		member(k, v)(d)
	}
	return d.page, d.publish()
}

func metadata(t *T, address string) map[string]any {
	d := newDraft(t, acceptedRedirect(t))
	d.members["client_id"] = address
	return d.members
}

func documentAnswer(v any) documents.Answer {
	b, _ := json.Marshal(v)
	return documents.Answer{Type: "application/json", Body: string(b)}
}

func client(t *T, id string) *oauth.Client {
	return &oauth.Client{ID: id, Method: oauth.None, RedirectURI: t.Session.Callback, RedirectURIs: []string{t.Session.Callback}}
}
