// Package cimd holds the checks on client ID metadata documents: clients that name themselves by the address of
// a document about them.
package cimd

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Authorization: Client ID Metadata Documents", support)
	Describe("OAuth Client ID Metadata Document, section 4: Client Information Discovery", fetched)
	Describe("OAuth Client ID Metadata Document, section 6: Security Considerations", security)
	Describe("OAuth Client ID Metadata Document, section 6: what strangers bring about", load)
}

func support() {
	Should("AS-CIMD-SUPPORTED", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			v, _ := m.Object.Get("client_id_metadata_document_supported")
			if v != true {
				t.Advise(m.Exchange, "client_id_metadata_document_supported: true", "%s, so that clients nobody knows have to register", claimed(v))
			}
		})
	})
}

// claimed is a member's value in words.
func claimed(v any) string {
	if v == nil {
		return "it is absent"
	}
	return fmt.Sprintf("it is %v", v)
}

// metadata is an ordinary document about the client at an address.
func metadata(t *T, address string) map[string]any {
	return map[string]any{
		"client_id": address, "client_name": "mcpauth document client", "redirect_uris": []string{t.Session.Callback}, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
}

// document is the answer with a JSON document.
func document(v any) documents.Answer {
	b, _ := json.Marshal(v) // plain values always marshal
	return documents.Answer{Type: "application/json", Body: string(b)}
}

// publish serves an ordinary document with some members changed (nil leaves one out), and returns its client.
func publish(t *T, changes map[string]any) (*documents.Page, *oauth.Client) {
	page := t.Documents.Put(documents.NotFound)
	m := metadata(t, page.URL)
	for k, v := range changes {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	page.Serve(document(m))
	return page, client(t, page.URL)
}

func client(t *T, id string) *oauth.Client {
	return &oauth.Client{ID: id, Method: oauth.None, RedirectURI: t.Session.Callback, RedirectURIs: []string{t.Session.Callback}}
}

// supported is whether the server claims to fetch documents; without the claim most checks do not apply.
func supported(t *T) {
	if v, _ := t.AS.Server().Metadata.Bool("client_id_metadata_document_supported"); !v {
		t.NotApplicable("the metadata does not claim support of client ID metadata documents (AS-CIMD-SUPPORTED)")
	}
}

// accepted reports that a request came as far as consent or a code.
func accepted(g *Grant) bool { return g.Stage == login.AtConsent || g.Code() != "" }

// control expects that an ordinary document is fetched and its client served.
func control(t *T) {
	page, c := publish(t, nil)
	g := t.AS.Authorize(As(c), Leaving())
	if page.Hits() == 0 {
		t.Inconclusive("the authorization server did not fetch an ordinary document from %s: it may not reach or trust that host", t.Documents.Host())
	}
	if !accepted(t.AS.MustReachDecision(g)) {
		t.Inconclusive("the control failed: the client of an ordinary document is refused: %s", g.Describe())
	}
	t.Controlled()
}

// refused expects that a client gets neither consent nor code, and that nothing is sent to its redirect URI. A page that was not
// understood, a login page, a server error and no answer refuse nothing.
func refused(t *T, c *oauth.Client) {
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
	t.Expect(g).To(expect.NotRedirect())
}

// refusedOnceFetched is refused for a document that the server has read: what it did not fetch, it did not judge.
func refusedOnceFetched(t *T, page *documents.Page) {
	g := t.AS.MustReachDecision(t.AS.Authorize(As(client(t, page.URL)), Leaving()))
	if page.Hits() == 0 && !accepted(g) {
		t.Inconclusive("the authorization server did not fetch the document, so its refusal says nothing about what is in it")
	}
	t.Expect(g).To(expect.NotRedirect())
}

func fetched() {
	Must("AS-CIMD-FLAG-TRUTHFUL", func(t *T) {
		v, has := t.AS.Server().Metadata.Get("client_id_metadata_document_supported")
		page, c := publish(t, nil)
		g := t.AS.Authorize(As(c))
		works := accepted(g)
		switch {
		case has && v != true && v != false:
			t.Unmet(nil, "client_id_metadata_document_supported: a boolean", "%v (%T)", v, v)
		case v == true && page.Hits() == 0 && !works:
			t.Inconclusive("the authorization server did not fetch an ordinary document from %s: it may not reach or trust that host", t.Documents.Host())
		case v == true && !works:
			t.AS.MustReachDecision(g)
			t.Unmet(g.Exchange, "the client of an ordinary document served, since support is claimed", "%s", g.Describe())
		case v != true && works:
			t.Advise(g.Exchange, "client_id_metadata_document_supported: true, since it works", "the metadata does not say so")
		}
		if g.Code() != "" {
			if ex := t.AS.Redeem(g); t.AS.Tokens(ex, c) == nil {
				t.Unmet(ex, "a token for the client of an ordinary document", "%s", expect.Describe(ex))
			}
		}
	})

	Must("AS-CIMD-REJECT-ID-MISMATCH", func(t *T) {
		supported(t)
		control(t)
		Each(t, Cases[func(own string) any]{
			{"another host", func(string) any { return "https://other.example/client.json" }},
			{"another path of the host", func(own string) any { return own + ".other" }},
			{"a slash at the end", func(own string) any { return own + "/" }},
			{"a query", func(own string) any { return own + "?x" }},
			{"the scheme in upper case", func(own string) any { return "HTTPS" + strings.TrimPrefix(own, "https") }},
			{"http", func(own string) any { return "http" + strings.TrimPrefix(own, "https") }},
			{"a letter percent-encoded", func(own string) any { return strings.Replace(own, "client.json", "%63lient.json", 1) }},
			{"a list", func(own string) any { return []string{own} }},
			{"nothing", func(string) any { return nil }},
		}, func(t *T, bend func(own string) any) {
			page := t.Documents.Put(documents.NotFound)
			m := metadata(t, page.URL)
			if m["client_id"] = bend(page.URL); m["client_id"] == nil {
				delete(m, "client_id")
			}
			page.Serve(document(m))
			refusedOnceFetched(t, page)
		})
	})

	Must("AS-CIMD-REJECT-INVALID-DOC", func(t *T) {
		supported(t)
		control(t)
		asJSON := func(body string) documents.Answer { return documents.Answer{Type: "application/json", Body: body} }
		Each(t, Cases[func(good string) documents.Answer]{
			{"HTML", func(good string) documents.Answer {
				return documents.Answer{Type: "text/html", Body: "<p>" + good + "</p>"}
			}},
			{"half a document", func(good string) documents.Answer { return asJSON(good[:len(good)-1]) }},
			{"an array", func(good string) documents.Answer { return asJSON("[" + good + "]") }},
			{"an empty body", func(string) documents.Answer { return asJSON("") }},
			{"deep nesting", func(string) documents.Answer { return asJSON(strings.Repeat(`{"a":`, 5000)) }},
		}, func(t *T, bend func(good string) documents.Answer) {
			page := t.Documents.Put(documents.NotFound)
			page.Serve(bend(document(metadata(t, page.URL)).Body))
			refusedOnceFetched(t, page)
		})
		Each(t, Cases[any]{
			{"no redirect_uris", nil},
			{"an empty redirect_uris", []string{}},
			{"redirect_uris as a string", t.Session.Callback},
		}, func(t *T, uris any) {
			page, _ := publish(t, map[string]any{"redirect_uris": uris})
			refusedOnceFetched(t, page)
		})
		if _, c := publish(t, map[string]any{"client_name": nil}); accepted(t.AS.Authorize(As(c), Leaving())) {
			t.Advise(nil, "client_name, which MCP demands", "a document without it is accepted")
		}
	})

	Must("AS-CIMD-REDIRECT-LISTED", func(t *T) {
		supported(t)
		control(t)
		const listed = "https://client.example/cb"
		_, c := publish(t, map[string]any{"redirect_uris": []string{listed}})
		Each(t, Cases[string]{
			{"a longer path", listed + "/x"},
			{"a slash at the end", listed + "/"},
			{"a query", listed + "?a=1"},
			{"a fragment", listed + "#f"},
			{"another port", "https://client.example:444/cb"},
			{"another host", "https://other.example/cb"},
			{"http", "http://client.example/cb"},
			{"a longer host", "https://client.example.attacker.example/cb"},
			{"letter case of the path", "https://client.example/CB"},
		}, func(t *T, v string) {
			t.Expect(t.AS.MustReachDecision(t.AS.Authorize(As(c), With("redirect_uri", v), Leaving()))).To(expect.NotRedirect())
		})
		const loopback = "http://127.0.0.1/callback"
		_, native := publish(t, map[string]any{"redirect_uris": []string{loopback}, "application_type": "native"})
		if g := t.AS.MustReachDecision(t.AS.Authorize(As(native), With("redirect_uri", loopback), Leaving())); !accepted(g) {
			t.Inconclusive("a document with a loopback redirect URI is refused whatever its port (AS-DCR-LOOPBACK-ACCEPTED): %s", g.Describe())
		}
		if g := t.AS.MustReachDecision(t.AS.Authorize(As(native), With("redirect_uri", "http://127.0.0.1:53222/callback"), Leaving())); !accepted(g) {
			t.Unmet(g.Exchange, "any port for a loopback redirect URI", "%s", g.Describe())
		}
		g := t.AS.MustReachDecision(t.AS.Authorize(As(native), With("redirect_uri", "http://127.0.0.1:53222/other"), Leaving()))
		t.Expect(g, "another path on loopback").To(expect.NotRedirect())
	})

	Must("AS-CIMD-REJECT-BAD-URL", func(t *T) {
		supported(t)
		control(t)
		page, _ := publish(t, nil)
		host := t.Documents.Host()
		root := t.Documents.PutRoot(documents.NotFound)
		Each(t, Cases[string]{ // each leads to the document, for a server that fetches it (see the package documents)
			{"http", "http" + strings.TrimPrefix(page.URL, "https")},
			{"no path", root.URL},
			{"dot segments", strings.Replace(page.URL, "/clients/", "/clients/../clients/", 1)},
			{"a single dot", strings.Replace(page.URL, "/clients/", "/./clients/", 1)},
			{"a fragment", page.URL + "#f"},
			{"a user name", strings.Replace(page.URL, "https://", "https://u:p@", 1)},
			{"ftp", "ftp://" + host + "/c.json"},
			{"file", "file:///etc/passwd"},
			{"data", "data:application/json,{}"},
		}, func(t *T, id string) {
			m := metadata(t, id)
			page.Serve(document(m))
			root.Serve(document(m))
			refused(t, client(t, id))
		})
	})

	Should("AS-CIMD-FETCH-FAILURE", func(t *T) {
		supported(t)
		control(t)
		Each(t, Cases[func(a *documents.Answer)]{ // the document itself is good: the status alone says that there is none
			{"404", func(a *documents.Answer) { a.Status = 404 }},
			{"500", func(a *documents.Answer) { a.Status = 500 }},
			{"204", func(a *documents.Answer) { a.Status = 204 }},
			{"a connection that breaks", func(a *documents.Answer) { a.Break = true }},
		}, func(t *T, bend func(a *documents.Answer)) {
			page := t.Documents.Put(documents.NotFound)
			answer := document(metadata(t, page.URL))
			bend(&answer)
			page.Serve(answer)
			refusedOnceFetched(t, page)
		})
	})

	Should("AS-CIMD-CACHE", func(t *T) {
		supported(t)
		control(t)
		for about, first := range Sorted(map[string]documents.Answer{"an error": {Status: 500}, "broken JSON": {Body: "{"}}) {
			page := t.Documents.Put(first)
			t.AS.Authorize(As(client(t, page.URL)), Leaving())
			page.Serve(document(metadata(t, page.URL)))
			if g := t.AS.MustReachDecision(t.AS.Authorize(As(client(t, page.URL)), Leaving())); !accepted(g) {
				t.Advise(g.Exchange, "a document fetched again after a failure", "%s is remembered: %s", about, g.Describe())
			}
		}
		page, c := publish(t, nil)
		if accepted(t.AS.Authorize(As(c), Leaving())) {
			m := metadata(t, page.URL)
			m["redirect_uris"] = []string{"https://client.example/cb"}
			page.Serve(document(m))
			if g := t.AS.Authorize(As(c), Leaving()); accepted(g) {
				t.Advise(g.Exchange, "a document that must not be stored fetched again", "a redirect URI that was taken out of it is still accepted")
			}
		}
	})
}

func security() {
	Must("AS-CIMD-REJECT-SHARED-SECRET", func(t *T) {
		supported(t)
		control(t)
		const secret = "mcpauth-published-secret"
		for _, method := range []string{oauth.Basic, oauth.Post, "client_secret_jwt"} {
			_, c := publish(t, map[string]any{"token_endpoint_auth_method": method, "client_secret": secret})
			g := t.AS.Authorize(As(c))
			if g.Code() == "" {
				t.RefusedBy(g.Exchange)
				continue
			}
			confidential := *c
			confidential.Method, confidential.Secret = oauth.Post, secret
			wrong := confidential
			wrong.Secret = "mcpauth-another-secret"
			if ex := t.AS.Redeem(g, As(&wrong)); t.AS.Tokens(ex, c) != nil {
				continue // the secret is ignored: the client counts as public
			}
			again := t.AS.Authorize(As(c))
			if ex := t.AS.Redeem(again, As(&confidential)); t.AS.Tokens(ex, c) != nil {
				t.Finding(ex, method, "no authentication by a secret that everybody can read", "the published secret authenticates the client")
			}
		}
	})

	Must("AS-CIMD-KEY-AUTH-ENFORCED", func(t *T) {
		supported(t)
		control(t)
		key := mint.NewKey("mcpauth-1")
		_, c := publish(t, map[string]any{"token_endpoint_auth_method": oauth.PrivateKey, "token_endpoint_auth_signing_alg": key.Algorithm(), "jwks": map[string]any{"keys": []any{key.JWK()}}})
		c.Method, c.Key, c.Audience = oauth.PrivateKey, key, t.AS.Server().Issuer
		g := t.AS.MustReachDecision(t.AS.Authorize(As(c)))
		if g.Code() == "" {
			t.NotApplicable("a document with a key is refused: %s", g.Describe())
		}
		public, stranger := *c, *c
		public.Method = oauth.None
		stranger.Key = &mint.Key{ID: key.ID, Signer: mint.NewKey("").Signer}
		t.RefusedWith(t.AS.Redeem(g, As(&public)), "without an assertion", "invalid_client")
		g = t.AS.MustAuthorize(As(c))
		t.RefusedWith(t.AS.Redeem(g, As(&stranger)), "with an assertion that another key signed", "invalid_client")
		g = t.AS.MustAuthorize(As(c))
		ex := t.AS.Redeem(g)
		if t.AS.Tokens(ex, c) == nil && t.Unmistaken() {
			t.Inconclusive("a client that authenticates with the key of its document is refused too: %s %s", expect.Describe(ex), oauth.ErrorCode(ex))
		}
	})

	Practice("AS-CIMD-NO-REDIRECT-FOLLOW", func(t *T) {
		supported(t)
		control(t)
		first := t.Documents.Put(documents.NotFound)
		second := t.Documents.Put(document(metadata(t, first.URL)))
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
		large := document(metadata(t, page.URL))
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
