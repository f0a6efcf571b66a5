package discovery

import (
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
	Must("RS-DISC-PRM-PUBLISHED", func(t *T) {
		for i := range t.Survey.Resources {
			d := &t.Survey.Resources[i]
			if d.Exchange != nil {
				t.Cite(d.Exchange)
			}
			if d.Found() && d.Object.String("resource") != "" {
				return
			}
		}
		places := []string{}
		for _, d := range t.Survey.Resources {
			places = append(places, d.URL+": "+reason(d.Err))
		}
		t.Unmet(t.Survey.Resources[0].Exchange, "protected resource metadata at one of the places where clients look", "none: %s", strings.Join(places, "; "))
	})

	// RFC 9728 section 3: exactly one default location follows from resource.
	Should("RS-DISC-WELL-KNOWN-LOCATION", func(t *T) {
		d := t.MCP.Resource()
		resource := d.Object.String("resource")
		u, err := document.ParseURL(resource)
		if err != nil {
			t.NotApplicable("resource is missing or no URL (RS-DISC-RESOURCE-FORM)")
		}
		location := document.WellKnown(u, "oauth-protected-resource")
		at := slices.IndexFunc(t.Survey.Resources, func(d survey.Document) bool { return d.URL == location && d.Exchange != nil })
		ex, found := (*reports.Exchange)(nil), false
		var object *document.Object
		if at >= 0 {
			ex, object, found = t.Survey.Resources[at].Exchange, t.Survey.Resources[at].Object, t.Survey.Resources[at].Found()
		} else {
			ex = t.Get(location)
			object, _, err = survey.ReadDocument(ex)
			found = err == nil
		}
		switch {
		case !found:
			t.Unmet(ex, "the document at "+location+", the location that follows from resource", "%s", expect.Describe(ex))
		case object.String("resource") != resource:
			t.Unmet(ex, "the document for "+resource+" at "+location, "there, resource is %q", object.String("resource"))
		}
	})

	Must("RS-DISC-HTTP-SHAPE", func(t *T) {
		for i := range t.Survey.Resources {
			d := &t.Survey.Resources[i]
			if d.Exchange == nil || expect.Status(d.Exchange) != 200 || d.Place != "challenge" && !d.Found() && expect.MediaType(d.Exchange) == "text/html" {
				continue // what is not there is RS-DISC-PRM-PUBLISHED's, a page for every path NO-HTML-FALLBACK's
			}
			t.Cite(d.Exchange)
			if !d.Found() {
				t.Unmet(d.Exchange, "one JSON object (RFC 9728 section 3.2)", "%s: %v", d.URL, d.Err)
				continue
			}
			switch m := expect.MediaType(d.Exchange); {
			case m == "application/json":
			case strings.HasSuffix(m, "+json"):
				t.Advise(d.Exchange, "media type application/json", "%s", m)
			default:
				t.Unmet(d.Exchange, "media type application/json (RFC 9728 section 3.2)", "%q at %s", expect.Header(d.Exchange, "Content-Type"), d.URL)
			}
			for _, odd := range d.Oddities {
				if strings.Contains(odd, `"resource"`) || strings.Contains(odd, `"authorization_servers"`) {
					t.Unmet(d.Exchange, "every member once", "%s", odd)
				} else {
					t.Advise(d.Exchange, "plain JSON", "%s", odd)
				}
			}
		}
	})

	Must("RS-DISC-UNAUTHENTICATED", func(t *T) {
		for i := range t.Survey.Resources {
			guarded := &t.Survey.Resources[i]
			if s := expect.Status(guarded.Exchange); s == 401 || s == 403 {
				t.Unmet(guarded.Exchange, "metadata without credentials, or 404", "%s", expect.Describe(guarded.Exchange))
			}
		}
		d := t.MCP.Resource()
		var variants []Variant
		for _, agent := range []string{"curl/8", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "python-httpx/0.27"} {
			variants = append(variants, Variant{About: agent, Request: wire.Request{Method: "GET", URL: d.URL, Header: []reports.Field{
				mcp.Field("Accept", "application/json"), mcp.Field("User-Agent", agent),
			}}})
		}
		for i, ex := range t.All(variants) {
			if expect.Status(ex) != 200 {
				t.Advise(ex, "200 whatever the User-Agent", "%s for %q", expect.Describe(ex), variants[i].About)
			}
		}
		ex := t.Get(d.URL, mcp.Bearer(survey.BogusToken))
		if expect.Status(ex) != 200 {
			t.Advise(ex, "200 also with a bad token, which this public document need not look at", "%s", expect.Describe(ex))
		}
	})

	// RFC 9728 section 3.3, and the canonical URI of the MCP server.
	Must("RS-DISC-RESOURCE-MATCH", func(t *T) {
		for _, d := range t.MCP.Resources() {
			resource := d.Object.String("resource")
			u, err := document.ParseURL(resource)
			if err != nil {
				continue // RS-DISC-RESOURCE-FORM
			}
			switch relation := relate(t, u, resource); {
			case relation == "exact", relation == "root" && d.Place == "root":
			case relation == "root" || relation == "prefix" || relation == "slash" || relation == "case" || relation == "query":
				t.Advise(d.Exchange, "resource to equal the URL clients connect to, code point by code point: "+t.Survey.Endpoint, "%q (%s)", resource, relation)
			case d.Place == "root" && relation == "other path":
				t.Note("the document at the root describes another resource, %s", resource)
			default:
				t.Unmet(d.Exchange, "resource to name "+t.Survey.Endpoint, "%q (%s)", resource, relation)
			}
		}
	})

	Practice("RS-DISC-NO-REDIRECT", func(t *T) {
		for i := range t.Survey.Resources {
			d := &t.Survey.Resources[i]
			location := expect.Header(d.Exchange, "Location")
			if s := expect.Status(d.Exchange); s < 300 || s > 399 || location == "" {
				continue
			}
			if sameOrigin(d.URL, location) {
				t.Advise(d.Exchange, "200 at once", "a redirect within the origin, to %q", location)
			} else {
				t.Unmet(d.Exchange, "200 at once; hardened clients follow no redirect to another origin", "%s", expect.Describe(d.Exchange))
			}
		}
	})

	Practice("RS-DISC-CORS", func(t *T) {
		d := t.MCP.Resource()
		const inspector = "http://localhost:6274"
		ex := t.Get(d.URL, mcp.Field("Origin", inspector))
		allowed := expect.Header(ex, "Access-Control-Allow-Origin")
		if allowed != "*" && allowed != inspector {
			t.Advise(ex, "Access-Control-Allow-Origin, so that browser clients can read the document", "%q", allowed)
		}
		foreign := t.Get(d.URL, mcp.Field("Origin", "https://evil.example"))
		if expect.Header(foreign, "Access-Control-Allow-Origin") == "https://evil.example" && strings.EqualFold(expect.Header(foreign, "Access-Control-Allow-Credentials"), "true") {
			t.Unmet(foreign, "no credentials for foreign origins on a public document", "the origin is reflected together with Access-Control-Allow-Credentials: true")
		}
	})

	May("RS-DISC-SIGNED-METADATA", signedMetadata)
}

func reason(err error) string {
	if err == nil {
		return "a document without resource"
	}
	return err.Error()
}

func refusals(t *T) []*reports.Exchange {
	var out []*reports.Exchange
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if ex := t.Survey.Refused[w]; ex != nil {
			out = append(out, t.Cite(ex))
		}
	}
	return out
}

func sameOrigin(base, location string) bool {
	b, err := document.ParseURL(base)
	if err != nil {
		return false
	}
	u, err := b.Parse(location)
	return err == nil && document.Origin(u) == document.Origin(b)
}
