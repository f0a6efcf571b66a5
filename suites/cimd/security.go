package cimd

import (
	"encoding/json"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func security() {
	Practice("AS-CIMD-NO-REDIRECT-FOLLOW", followsNoRedirect)
	Should("AS-CIMD-SSRF-PRIVATE", fetchesFromNoSpecialAddress)
	Should("AS-CIMD-SIZE-AND-TIME", limitsDocuments)

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

func load() {
	Practice("AS-CIMD-SSRF-REBIND", connectsToTheAddressItChecked)
	Practice("AS-CIMD-FETCH-ABUSE", limitsFetchesForStrangers)
}
