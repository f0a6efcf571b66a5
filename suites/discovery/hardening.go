package discovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func hardening() {
	Must("RS-DISC-URLS-PUBLIC-HTTPS", publishesPublicURLs)
	Practice("RS-DISC-HOST-HEADER", ignoresHostFields)
	Practice("RS-DISC-LOCATIONS-AGREE", tellsOneStory)
	Practice("RS-DISC-NO-HTML-FALLBACK", knowsWhatDoesNotExist)
	Practice("RS-DISC-CAPABILITY-CLAIMS", claimsWhatIsTrue)
	Practice("RS-DISC-NOSNIFF", forbidsSniffing)
}

// OAuth 2.1 draft 13 section 1.5.
func publishesPublicURLs(t *T) {
	if document.PrivateHost(t.Survey.URL.Hostname()) {
		t.NotApplicable("the target is not public itself")
	}
	eachDocument(t, judgeURLs, append(slices.Clone(pages), "resource", "authorization_servers", "jwks_uri")...)
	for _, ex := range refusals(t) {
		v, _ := expect.Param(ex, "resource_metadata")
		t.Expect(v, "the challenge").SeenIn(ex).To(useHTTPS())
		t.Expect(v, "the challenge").SeenIn(ex).Ideally(bePublic())
	}
}

var pages = []string{"resource_documentation", "resource_policy_uri", "resource_tos_uri"}

func judgeURLs(t *T, d *survey.Document) {
	servers, _ := d.Object.Strings("authorization_servers")
	for _, v := range append([]string{d.Object.String("resource"), d.Object.String("jwks_uri")}, servers...) {
		t.Expect(v).SeenIn(d.Exchange).To(useHTTPS())
		t.Expect(v).SeenIn(d.Exchange).Ideally(bePublic())
	}
	for _, page := range pages {
		t.Expect(d.Object.String(page), "%s", page).SeenIn(d.Exchange).Ideally(useHTTPS())
	}
}

// bePublic is advice: no clause demands that every client can reach a host. What is not a URL at all is judged elsewhere.
func bePublic() expect.Matcher {
	return be("a URL with a public host", func(s string) bool {
		u, err := document.ParseURL(s)
		return err != nil || !document.PrivateHost(u.Hostname())
	})
}

func useHTTPS() expect.Matcher {
	return be("an https URL", func(s string) bool { u, err := document.ParseURL(s); return err != nil || u.Scheme == "https" })
}

// evil is a host that no target has; the check looks for it in answers.
const evil = "mcpauth-evil.example"

// port is one that no target has.
func port(t *T) string {
	if t.Survey.URL.Port() == "64321" {
		return "64322"
	}
	return "64321"
}

func ignoresHostFields(t *T) {
	t.MCP.Resource()
	Each(t, Cases[forged]{
		{"X-Forwarded-Host", forged{mcp.Field("X-Forwarded-Host", evil), evil}},
		{"Forwarded", forged{mcp.Field("Forwarded", "host="+evil+";proto=http"), evil}},
		{"X-Original-Host", forged{mcp.Field("X-Original-Host", evil), evil}},
		{"X-Forwarded-Server", forged{mcp.Field("X-Forwarded-Server", evil), evil}},
		{"X-Forwarded-Prefix", forged{mcp.Field("X-Forwarded-Prefix", "/"+evil), evil}},
		{"X-Forwarded-Proto", forged{mcp.Field("X-Forwarded-Proto", "gopher"), "gopher:"}},
		{"X-Forwarded-Port", forged{mcp.Field("X-Forwarded-Port", port(t)), ":" + port(t)}},
	}, func(t *T, f forged) {
		for _, d := range found(t) { // each location may have a handler of its own
			t.Expect(t.Get(uncached(d.Value), f.field), "the document at %s", d.Name).To(notReflect(f.text))
		}
		t.Expect(t.Send(t.MCP.Call().With(f.field)), "the challenge").To(notReflect(f.text))
	})
	ignoresHost(t)
}

// uncached is the address of a document with a query of its own: what a cache has must not answer, and others must not get what this
// request is answered.
func uncached(d *survey.Document) string {
	if strings.Contains(d.Answered(), "?") {
		return d.Answered() + "&mcpauth=" + Random(9)
	}
	return d.Answered() + "?mcpauth=" + Random(9)
}

func ignoresHost(t *T) {
	rows := Cases[wire.Request]{{"Host, the challenge", t.MCP.Call().Request()}}
	for _, d := range found(t) {
		rows = rows.And("Host, the document at "+d.Name, wire.Request{Method: "GET", URL: uncached(d.Value), Header: accept()})
	}
	Each(t, rows, func(t *T, r wire.Request) {
		r.Host = evil
		if ex := t.Do(r); t.MCP.Loopback() { // a development server may have no other name
			t.Expect(ex).Ideally(notReflect(evil))
		} else {
			t.Expect(ex).To(notReflect(evil))
		}
	})
}

func accept() []reports.Field { return []reports.Field{mcp.Field("Accept", "application/json")} }

// forged is a field that only a proxy may send, and the text that shows its effect.
type forged struct {
	field reports.Field
	text  string
}

// notReflect expects discovery data that does not follow the request.
var notReflect = expect.Family("notReflect", func(text string) expect.Matcher {
	return expect.That("discovery data from configuration, not from the request", func(ex *reports.Exchange) string {
		inField := slices.ContainsFunc(expect.HeaderValues(ex, "WWW-Authenticate"), func(v string) bool { return strings.Contains(v, text) })
		if inField || expect.Status(ex) == 200 && strings.Contains(expect.Body(ex), text) {
			return fmt.Sprintf("%q appears in the answer", text)
		}
		return ""
	})
})

func tellsOneStory(t *T) {
	documents := t.MCP.Resources()
	first := documents[0]
	for _, d := range documents[1:] {
		if d.Object.String("resource") != first.Object.String("resource") {
			continue // a root document may be about another resource
		}
		seen := t.Expect(d, "%s", d.URL).SeenIn(d.Exchange)
		seen.To(agreeOn("authorization_servers", first))
		seen.Ideally(agreeOn("scopes_supported", first))
	}
	t.Expect(first, "%s", first.URL).SeenIn(first.Exchange).Ideally(announceDPoP(t))
	for i := range 3 {
		again := t.Do(wire.Request{Method: "GET", URL: first.Answered(), Header: accept(), Fresh: true})
		if t.Expect(again, "fetch %d", i+2).To(expect.HaveStatus(expect.Status(first.Exchange))) {
			t.Expect(again, "fetch %d", i+2).To(sayTheSame(first))
		}
	}
}

// sayTheSame expects the document of another fetch to name the same resource and authorization servers.
var sayTheSame = expect.Family("sayTheSame", func(first *survey.Document) expect.Matcher {
	return expect.That("the same resource and authorization_servers as before", func(ex *reports.Exchange) string {
		again, _, err := survey.ReadDocument(ex)
		if err != nil {
			return err.Error()
		}
		if resource := again.String("resource"); resource != first.Object.String("resource") {
			return fmt.Sprintf("resource: %q, and %q before", resource, first.Object.String("resource"))
		}
		x, _ := first.Object.Strings("authorization_servers")
		if y, _ := again.Strings("authorization_servers"); !SameSet(x, y) {
			return fmt.Sprintf("authorization_servers: %v, and %v before", y, x)
		}
		return ""
	})
})

var agreeOn = expect.Family("agreeOn", func(name string, first *survey.Document) expect.Matcher {
	return expect.That("the same "+name+" at every location", func(d *survey.Document) string {
		x, _ := first.Object.Strings(name)
		y, _ := d.Object.Strings(name)
		if !SameSet(x, y) {
			return fmt.Sprintf("%v here, and %v at %s", y, x, first.URL)
		}
		return ""
	})
})

// announceDPoP expects the document to announce what the challenge offers: clients read it before they have a token.
var announceDPoP = expect.Family("announceDPoP", func(t *T) expect.Matcher {
	return expect.That("dpop_signing_alg_values_supported, since the challenge offers DPoP", func(d *survey.Document) string {
		offered := slices.ContainsFunc(refusals(t), func(ex *reports.Exchange) bool { return expect.HaveChallengeOf("DPoP").Judge(ex).Met })
		if m := memberOf(d, "dpop_signing_alg_values_supported"); offered && !m.present {
			return m.String()
		}
		return ""
	})
})

func knowsWhatDoesNotExist(t *T) {
	origin := document.Origin(t.Survey.URL) + "/.well-known/"
	suffix := strings.ToLower(Random(12))
	for _, path := range []string{"oauth-protected-resource/" + suffix, "oauth-authorization-server/" + suffix, suffix} {
		ex := t.Get(origin + path)
		about := "/.well-known/" + path
		if s := expect.Status(ex); s >= 300 && s <= 399 {
			t.Expect(ex, "%s", about).Ideally(notExist(suffix))
		} else {
			t.Expect(ex, "%s", about).To(notExist(suffix))
		}
	}
}

// notExist expects a refusal of an invented URL. A document that does not depend on the URL may be served for every path.
var notExist = expect.Family("notExist", func(suffix string) expect.Matcher {
	return expect.That("404 for a well-known URL that does not exist; clients stop at the first success", func(ex *reports.Exchange) string {
		object, _, err := survey.ReadDocument(ex)
		switch s := expect.Status(ex); {
		case s == 200 && err != nil:
			return fmt.Sprintf("HTTP 200 with Content-Type %q: %v", expect.Header(ex, "Content-Type"), err)
		case s == 200 && strings.Contains(object.String("resource"), suffix):
			return "metadata for it, with the path of the request in resource"
		case s >= 300 && s <= 399:
			return expect.Describe(ex)
		}
		return ""
	})
})

func claimsWhatIsTrue(t *T) {
	claimed := false
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		auth := claims(t, w)
		if auth == nil {
			continue
		}
		claimed = true
		if required, _ := auth.Bool("required"); required {
			t.Expect(t.Survey.Refused[w], "%s", w).To(expect.That(
				"a refusal of anonymous calls, since the capabilities say that authentication is required", func(ex *reports.Exchange) string {
					if expect.Accepted(ex) {
						return expect.Describe(ex)
					}
					return ""
				}))
		}
	}
	if !claimed {
		t.NotApplicable("the target claims nothing about authentication in its capabilities, or shows them only to token holders")
	}
}

// claims is what the capabilities say about authentication; nil if they say nothing.
func claims(t *T, w mcp.Wire) *document.Object {
	ex := t.Survey.WithToken[w]
	if !expect.Accepted(ex) {
		ex = t.Survey.Anonymous[w]
	}
	if !expect.Accepted(ex) {
		return nil
	}
	return mcp.Read(t.Cite(ex)).Result.Object("capabilities").Object("experimental").Object("authentication")
}

// forbidsSniffing is WHATWG Fetch section 3.7: a browser that opens the document must not guess that it is a page.
func forbidsSniffing(t *T) {
	nosniff := expect.HaveHeader("X-Content-Type-Options", expect.ValueThat("nosniff", func(v any) bool {
		s, _ := v.(string)
		return strings.EqualFold(s, "nosniff")
	}))
	Each(t, found(t), func(t *T, d *survey.Document) { t.Expect(d.Exchange).To(nosniff) })
	for i := range t.Survey.Servers {
		if m := t.Survey.Servers[i].Metadata(); m != nil {
			t.Expect(m.Exchange, "%s", m.URL).To(nosniff)
		}
	}
}
