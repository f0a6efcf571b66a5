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

func obtaining() {
	Must("RS-DISC-PRM-PUBLISHED", publishesMetadata)
	Should("RS-DISC-WELL-KNOWN-LOCATION", servesAtDerivedLocation)
	Must("RS-DISC-HTTP-SHAPE", sendsJSON)
	Must("RS-DISC-UNAUTHENTICATED", asksForNoCredentials)
	Must("RS-DISC-RESOURCE-MATCH", namesItself)
	Practice("RS-DISC-NO-REDIRECT", redirectsNobody)
	Practice("RS-DISC-CORS", letsBrowsersRead)
	May("RS-DISC-SIGNED-METADATA", signsTruthfully)
}

func publishesMetadata(t *T) {
	t.Expect(t.Survey.Resources).SeenIn(t.Survey.Resources[0].Exchange).To(expect.That(
		"protected resource metadata at one of the places where clients look", func(all []survey.Document) string {
			places := []string{}
			for _, d := range all {
				if d.Found() && d.Object.String("resource") != "" {
					t.Cite(d.Exchange)
					return ""
				}
				places = append(places, d.URL+": "+reason(d.Err))
			}
			return "none: " + strings.Join(places, "; ")
		}))
}

func reason(err error) string {
	if err == nil {
		return "a document without resource"
	}
	return err.Error()
}

// RFC 9728 section 3: exactly one default location follows from resource. MCP has two from 2025-11-25 on: the root is accepted as well.
func servesAtDerivedLocation(t *T) {
	resource := t.MCP.Resource().Object.String("resource")
	u, err := document.ParseURL(resource)
	if err != nil {
		t.NotApplicable("resource is missing or not a URL (RS-DISC-RESOURCE-FORM)")
	}
	location, root := document.WellKnown(u, "oauth-protected-resource"), document.Origin(u)+"/.well-known/oauth-protected-resource"
	d := fetched(t, location)
	if !d.Found() && t.Since("2025-11-25") {
		if other := fetched(t, root); other.Found() && other.Object.String("resource") == resource {
			t.Cite(other.Exchange)
			return
		}
	}
	t.Expect(d).SeenIn(d.Exchange).To(expect.That("the document about "+resource+" at "+location+", which follows from resource",
		func(d survey.Document) string {
			switch {
			case !d.Found():
				return expect.Describe(d.Exchange)
			case d.Object.String("resource") != resource:
				return fmt.Sprintf("a document about %q", d.Object.String("resource"))
			}
			return ""
		}))
}

// fetched is the document at a URL, which the survey may have fetched.
func fetched(t *T, address string) survey.Document {
	for _, d := range t.Survey.Resources {
		if d.URL == address && d.Exchange != nil {
			return d
		}
	}
	d := survey.Document{URL: address}
	d.Fetch(func(address string) *reports.Exchange { return t.Get(address) })
	return d
}

// sendsJSON judges answers with 200. Clients stop at the first success: before the first document, such an answer without a document
// is a defect; after it, a risk.
func sendsJSON(t *T) {
	before := true
	for i := range t.Survey.Resources {
		d := &t.Survey.Resources[i]
		before = before && (i == 0 || !t.Survey.Resources[i-1].Found())
		if expect.Status(d.Exchange) != 200 {
			continue // RS-DISC-PRM-PUBLISHED judges missing documents
		}
		t.Cite(d.Exchange)
		Each(t, Cases[*survey.Document]{{d.URL, d}}, func(t *T, d *survey.Document) {
			seen := t.Expect(*d).SeenIn(d.Exchange)
			switch {
			case d.Found():
				judgeShape(t, d)
			case before || d.Place == "challenge":
				seen.To(beOneObject())
			default:
				seen.Ideally(beOneObject())
			}
		})
	}
}

var beOneObject = expect.Family("beOneObject", func() expect.Matcher {
	return expect.That("one JSON object, or 404 (RFC 9728 section 3.2)", func(d survey.Document) string {
		if d.Found() {
			return ""
		}
		return fmt.Sprintf("HTTP 200 with Content-Type %q: %v", expect.Header(d.Exchange, "Content-Type"), d.Err)
	})
})

func judgeShape(t *T, d *survey.Document) {
	if m := expect.MediaType(d.Exchange); strings.HasSuffix(m, "+json") {
		t.Expect(d.Exchange).Ideally(expect.HaveMediaType("application/json"))
	} else {
		t.Expect(d.Exchange).To(expect.HaveMediaType("application/json"))
	}
	for _, odd := range d.Oddities {
		once := expect.That("every member once", func(odd string) string { return odd })
		if strings.Contains(odd, `"resource"`) || strings.Contains(odd, `"authorization_servers"`) {
			t.Expect(odd).SeenIn(d.Exchange).To(once)
		} else {
			t.Expect(odd).SeenIn(d.Exchange).Ideally(expect.That("JSON with one reading", func(odd string) string { return odd }))
		}
	}
}

func asksForNoCredentials(t *T) {
	for i := range t.Survey.Resources {
		d := &t.Survey.Resources[i]
		if s := expect.Status(d.Exchange); s == 401 || s == 403 {
			if at := t.Expect(d.Exchange, "%s", d.URL); mustBeOpen(t, d) {
				at.To(serveWithoutCredentials())
			} else {
				at.Ideally(serveWithoutCredentials())
			}
		}
	}
	if first := t.MCP.Resource(); servesAnyAgent(t, first) {
		Each(t, others(t, first), func(t *T, d *survey.Document) { servesAnyAgent(t, d) })
	}
}

// servesAnyAgent reports whether a document is served whatever the User-Agent.
func servesAnyAgent(t *T, d *survey.Document) bool {
	agents, served := Cases[reports.Field]{{"without User-Agent", mcp.Field("User-Agent", "")}}, true
	for _, agent := range []string{"curl/8", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "python-httpx/0.27", "Claude-User/1.0"} {
		agents = agents.And("User-Agent: "+agent, mcp.Field("User-Agent", agent))
	}
	Each(t, agents.And("a bad token", mcp.Bearer("mcpauth-not-a-token")), func(t *T, f reports.Field) {
		served = t.Expect(t.Get(d.Answered(), f)).Ideally(expect.HaveStatus(200)) && served
	})
	return served
}

// mustBeOpen reports whether a place is due to have the document: the challenge names it, it follows from the resource of a document that
// was found, or none was found. The guard may refuse any other path of the server.
func mustBeOpen(t *T, d *survey.Document) bool {
	found := false
	for _, other := range t.Survey.Resources {
		if !other.Found() {
			continue
		}
		found = true
		u, err := document.ParseURL(other.Object.String("resource"))
		if err != nil || document.WellKnown(u, "oauth-protected-resource") == d.URL {
			return true
		}
	}
	return !found || d.Place == "challenge"
}

var serveWithoutCredentials = expect.Family("serveWithoutCredentials", func() expect.Matcher {
	return expect.That("metadata without credentials, or 404", func(ex *reports.Exchange) string { return expect.Describe(ex) })
})

// namesItself is RFC 9728 section 3.3, with the canonical URI of the MCP server.
func namesItself(t *T) {
	var all Cases[*survey.Document]
	for _, d := range t.MCP.Resources() {
		all = all.And(d.URL, d)
	}
	Each(t, all, func(t *T, d *survey.Document) {
		resource := d.Object.String("resource")
		relation := document.Relation(t.Survey.Endpoint, resource)
		name := t.Expect(resource).SeenIn(d.Exchange)
		same := expect.That("as resource the URL that clients connect to, character by character: "+t.Survey.Endpoint, func(s string) string {
			return fmt.Sprintf("%q: %s", s, relation)
		})
		switch atRoot := d.Place == "root"; {
		case relation == document.Same, relation == document.Root && atRoot:
		case relation == document.NoURL:
			t.NotApplicable("resource is missing or not a URL (RS-DISC-RESOURCE-FORM)")
		case relation == document.OtherPath && atRoot:
			t.NotApplicable("the document at the root is about another resource, %s", resource)
		case slices.Contains(nearly, relation):
			name.Ideally(same)
		default:
			name.To(same)
		}
	})
}

// nearly are link relations that clients may still recognize.
var nearly = []string{document.Root, document.Prefix, document.OtherSlash, document.OtherCase, document.OtherQuery}

func redirectsNobody(t *T) {
	for i := range t.Survey.Resources {
		d := &t.Survey.Resources[i]
		CiteIfAsked(t, d.Exchange)
		switch {
		case d.Unreachable():
			t.Leave(d.URL, "there is no whole answer: "+d.Exchange.Error)
		case d.Redirects():
			t.Expect(d.Exchange, "%s", d.URL).To(answerAtOnce("which is not followed"))
		case d.Redirect != nil:
			t.Expect(d.Redirect, "%s", d.URL).Ideally(answerAtOnce("within the origin"))
		}
	}
}

var answerAtOnce = expect.Family("answerAtOnce", func(where string) expect.Matcher {
	return expect.That("the document, or 404, at once", func(ex *reports.Exchange) string {
		return expect.Describe(ex) + ", a redirect to " + reports.OneLine(expect.Header(ex, "Location"), 200) + ", " + where
	})
})

const inspector = "http://localhost:6274"

// One finding is enough where all documents have the same handler.
func letsBrowsersRead(t *T) {
	if first := t.MCP.Resource(); isReadable(t, first) {
		Each(t, others(t, first), func(t *T, d *survey.Document) { isReadable(t, d) })
	}
}

// isReadable reports whether the pages of any origin can read a document.
func isReadable(t *T, d *survey.Document) bool {
	origin := mcp.Field("Origin", inspector)
	read := t.Expect(t.Get(d.Answered(), origin), "GET with Origin: "+inspector).Ideally(expect.BeReadable(inspector))
	preflight := t.Do(wire.Request{Method: "OPTIONS", URL: d.Answered(), Header: []reports.Field{
		origin, mcp.Field("Access-Control-Request-Method", "GET"), mcp.Field("Access-Control-Request-Headers", "mcp-protocol-version"),
	}})
	asked := t.Expect(preflight, "the preflight").Ideally(expect.AllowPreflight(inspector, "GET", "mcp-protocol-version"))
	foreign := t.Get(d.Answered(), mcp.Field("Origin", "https://evil.example"))
	return t.Expect(foreign, "Origin: https://evil.example").To(sendNoCredentials) && read && asked
}

var sendNoCredentials = expect.That("no credentials for foreign origins on a public document", func(ex *reports.Exchange) string {
	reflected := expect.Header(ex, "Access-Control-Allow-Origin") == "https://evil.example"
	if reflected && strings.EqualFold(expect.Header(ex, "Access-Control-Allow-Credentials"), "true") {
		return "the origin is reflected together with Access-Control-Allow-Credentials: true"
	}
	return ""
})
