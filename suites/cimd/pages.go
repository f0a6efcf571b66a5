package cimd

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/markup"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

const (
	onTheWeb    = "https://client.example/cb"
	alsoOnWeb   = "https://second.example/cb"
	namedOnSelf = "http://localhost:53222/callback"
	onSelf      = "http://127.0.0.1:53222/callback"
)

// consent is the consent page for the client of a document, and the request that led to it.
type consent struct {
	*request
	page *login.Page
}

// consentFor ends the row if the request of a document's client does not lead to consent.
func consentFor(t *T, edits ...edit) consent {
	r := ask(t, newDraft(t, acceptedRedirect(t), edits...))
	if t.AS.MustReachDecision(r.Grant); r.Stage != login.AtConsent {
		t.NotApplicable("no consent page is shown for this document: %s", r.Describe())
	}
	return consent{r, r.Page()}
}

// MCP: "MUST clearly display the redirect URI hostname during authorization"
func showsHosts(t *T) {
	usable(t)
	Each(t, Cases[[]edit]{
		{"a web client", []edit{redirecting(onTheWeb)}},
		{"the second of two redirect URIs", []edit{member("redirect_uris", []string{onTheWeb, alsoOnWeb}), requesting(alsoOnWeb)}},
		{"a client on loopback", []edit{redirecting(loopbackRedirect(t))}},
	}, func(t *T, edits []edit) {
		c := consentFor(t, edits...)
		t.Expect(c, "the redirect URI").To(showHost(c.Client.RedirectURI))
		t.Expect(c, "the document").Ideally(showHost(c.Client.ID))
	})
}

// loopbackRedirect is on another host than the documents: if both had the same host, a page that shows one would seem to show both.
func loopbackRedirect(t *T) string {
	if u, err := url.Parse("https://" + t.Documents.Host()); err == nil && u.Hostname() == "127.0.0.1" {
		return namedOnSelf
	}
	return onSelf
}

var showHost = expect.Family("showHost", func(address string) expect.Matcher {
	host := address
	if u, err := url.Parse(address); err == nil {
		host = u.Hostname()
	}
	return expect.That("the host "+host+" on the consent page", func(c consent) string {
		if strings.Contains(strings.ToLower(c.page.Said()), host) {
			return ""
		}
		return host + " is absent from the visible text"
	})
})

// MCP: "SHOULD display additional warnings for localhost-only redirect URIs"
func warnsOfLoopback(t *T) {
	usable(t)
	web := words(consentFor(t, redirecting(onTheWeb)))
	usual := beyond(words(consentFor(t, redirecting(alsoOnWeb))), web) // what differs between two web clients
	native := consentFor(t, redirecting(loopbackRedirect(t)))
	t.Expect(native).To(expect.That("a warning that a program on the user's own machine gets the answer", func(c consent) string {
		if more := beyond(words(c), web); len(more) <= len(usual) {
			return fmt.Sprintf("the page says no more than that of a client on the web (%d words of its own, %d among web clients)",
				len(more), len(usual))
		}
		return ""
	}))
}

// words are those of a page without addresses and numbers, which differ anyway.
func words(c consent) []string {
	return slices.DeleteFunc(strings.Fields(strings.ToLower(c.page.Text)), func(w string) bool {
		return strings.ContainsAny(w, "0123456789:/@") || strings.Contains(w, ".example") || strings.Contains(w, "localhost")
	})
}

// beyond are the words of one page that are not on another page, each once.
func beyond(page, other []string) []string {
	all := slices.Compact(slices.Sorted(slices.Values(page)))
	return slices.DeleteFunc(all, func(w string) bool { return slices.Contains(other, w) })
}

// The content of a document comes from an unknown party (section 6.5 and 6.7; OAuth 2.1 section 7.11).
func showsNothingUnsafe(t *T) {
	usable(t)
	const script, data = "javascript:alert('mcpauth')", "data:text/html,mcpauth"
	logo := "https://" + t.Documents.Host() + "/logo.svg"
	Each(t, Cases[edit]{ // the login page may show the name, too
		{"client_name with markup", member("client_name", "<img src=x onerror=alert('mcpauth')>")},
		{"client_name with a quotation mark", member("client_name", quoted)},
	}, func(t *T, e edit) { showNothingUnsafe(t, ask(t, newDraft(t, acceptedRedirect(t), e), SignedOut())) })
	Each(t, Cases[edit]{
		{"client_uri javascript:", member("client_uri", script)},
		{"client_uri data:", member("client_uri", data)},
		{"tos_uri javascript:", member("tos_uri", script)},
		{"policy_uri javascript:", member("policy_uri", script)},
		{"logo_uri javascript:", member("logo_uri", script)},
	}, func(t *T, e edit) { showNothingUnsafe(t, ask(t, newDraft(t, acceptedRedirect(t), e))) })
	Each(t, Cases[edit]{{"logo_uri https:", member("logo_uri", logo)}}, func(t *T, e edit) {
		t.Expect(consentFor(t, e)).Ideally(loadNot(logo))
	})
}

func showNothingUnsafe(t *T, r *request) {
	switch {
	case t.AS.MustReachDecision(r.Grant).Stage == login.AtConsent:
		for i, p := range r.Pages {
			t.Expect(consent{r, p}).SeenIn(r.PageExchanges[i]).To(escapeMarkup, leadNowhereUnsafe)
		}
	case r.page.Hits() == 0:
		t.Inconclusive("%s", unfetched(r))
	default:
		t.Expect(r.Grant).To(refuseDocument)
	}
}

// quoted is a name that leaves the value of an attribute, or a string of a script, at its quotation mark.
const quoted = `mcpauth" onmouseover="alert('mcpauth')`

// refuseDocument is the only expectation of a server that shows no page after it has fetched the document.
var refuseDocument = expect.Refusing("a refusal of the document", func(*Grant) string { return "" })

var escapeMarkup = expect.That("what the document says escaped in the page", func(c consent) string {
	if markup.Runs(c.page.Source, "alert('mcpauth')") || markup.EndsString(c.page.Source, quoted) {
		return "the page contains the text as markup"
	}
	return ""
})

var leadNowhereUnsafe = expect.That("no javascript: or data:text/html address of the document in the page", func(c consent) string {
	addresses := slices.Clone(c.page.Loads)
	for _, l := range c.page.Links {
		addresses = append(addresses, l.Address)
	}
	for _, a := range addresses {
		if a = strings.ToLower(a); strings.Contains(a, "mcpauth") &&
			(strings.HasPrefix(a, "javascript:") || strings.HasPrefix(a, "data:text/html")) {
			return a
		}
	}
	return ""
})

// "SHOULD prefetch the file at logo_uri" (section 6.7)
var loadNot = expect.Family("loadNot", func(logo string) expect.Matcher {
	return expect.That("the logo from the authorization server, which has fetched it before", func(c consent) string {
		if slices.Contains(c.page.Loads, logo) {
			return "the user's browser loads " + logo
		}
		return ""
	})
})
