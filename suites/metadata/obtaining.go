package metadata

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
	Must("AS-META-PUBLISHED", publishesMetadata)
	Must("AS-META-RFC8414-FORM", servesRFC8414)
	Must("AS-META-ORIGIN-ROOT", servesAtOrigin)
	Should("AS-META-DEFAULT-PATHS", hasDefaultPaths)
	Must("AS-META-PATH-INSERTED", insertsPath)
	Practice("AS-META-NO-CATCH-ALL", knowsItsIssuers)
	Practice("AS-META-HOST-HEADER", ignoresHostFields)
	Practice("AS-META-NO-REDIRECT", redirectsNobody)
	Practice("AS-META-CORS", letsBrowsersRead)
	Should("AS-META-VERSION-HEADER", toleratesVersionField)
}

// servers are the authorization servers that could be asked. RS-DISC-AS-ENTRIES reports an identifier that is not a URL.
func servers(t *T) Cases[*survey.Server] {
	var out Cases[*survey.Server]
	for _, s := range t.AS.Servers() {
		if s.Err == nil {
			out = out.And(s.Issuer, s)
		}
	}
	return out
}

// usable are the documents that clients of the judged revision look for: up to 2025-06-18, those of RFC 8414 only.
func usable(t *T, s *survey.Server) []*survey.Document {
	return slices.DeleteFunc(found(s), func(d *survey.Document) bool { return !t.Since("2025-11-25") && d.Place != "rfc8414" })
}

// mustBeReachable ends a row where an authorization server gave no answer, or was not asked.
func mustBeReachable(t *T, s *survey.Server) {
	if why := s.Unreachable(); why != "" {
		t.Inconclusive("it could not be asked: %s", why)
	}
}

func publishesMetadata(t *T) {
	Each(t, servers(t), func(t *T, s *survey.Server) {
		if docs := usable(t, s); len(docs) > 0 {
			t.Cite(docs[0].Exchange)
			return
		}
		mustBeReachable(t, s)
		t.Expect(s).SeenIn(s.Documents[0].Exchange).To(expect.That("metadata at one of its well-known locations", places))
	})
}

// places says what is at each of the locations.
func places(s *survey.Server) string {
	var out []string
	for _, d := range s.Documents {
		switch {
		case d.Err != nil:
			out = append(out, d.URL+": "+d.Err.Error())
		case d.Found():
			out = append(out, fmt.Sprintf("%s: metadata of issuer %q", d.URL, d.Object.String("issuer")))
		}
	}
	return "none: " + strings.Join(out, "; ")
}

func servesRFC8414(t *T) {
	Each(t, servers(t), func(t *T, s *survey.Server) {
		d := s.At("rfc8414")
		if d.Unreachable() {
			mustBeReachable(t, s)
		}
		CiteIfAsked(t, d.Exchange)
		t.Expect(d).SeenIn(d.Exchange).To(onDocument("the RFC 8414 document at "+d.URL, func(d *survey.Document) string {
			if !d.Found() {
				return fmt.Sprint(d.Err)
			}
			return ""
		}))
	})
}

func servesAtOrigin(t *T) {
	t.Cite(t.Survey.Origin.Exchange)
	if t.Survey.Origin.Found() {
		return
	}
	prefix := ""
	for _, segment := range strings.FieldsFunc(t.Survey.URL.Path, func(r rune) bool { return r == '/' }) {
		prefix += "/" + segment
		ex := t.Get(document.Origin(t.Survey.URL) + prefix + "/.well-known/oauth-authorization-server")
		t.Expect(ex, "%s", prefix).To(expect.That("metadata at the root of the origin, path removed", func(ex *reports.Exchange) string {
			if _, _, err := survey.ReadDocument(ex); err == nil {
				return "the metadata is served below " + prefix + " only"
			}
			return ""
		}))
	}
}

// hasDefaultPaths judges the server, although the MUST is for clients: without metadata and default paths they cannot reach it.
func hasDefaultPaths(t *T) {
	needDefaultPaths(t)
	origin := document.Origin(t.Survey.URL)
	Each(t, Cases[wire.Request]{
		{"GET /authorize", wire.Request{Method: "GET", URL: origin + "/authorize"}},
		{"POST /token", wire.Request{Method: "POST", URL: origin + "/token", Body: "grant_type=authorization_code&code=mcpauth", Header: form()}},
	}, func(t *T, r wire.Request) {
		ex := t.Do(r)
		if why := expect.NoAnswer(ex); why != "" {
			t.Inconclusive("%s", why)
		}
		t.Expect(ex).To(expect.That("an endpoint at the default path, since no metadata was found", func(ex *reports.Exchange) string {
			if s := expect.Status(ex); s == 404 || s == 405 {
				return expect.Describe(ex)
			}
			return ""
		}))
	})
}

// needDefaultPaths ends a check if no client depends on the default paths.
func needDefaultPaths(t *T) {
	if t.Survey.Origin.Found() {
		t.NotApplicable("metadata is served, and names the endpoints")
	}
	for i := range t.Survey.Servers {
		if m := t.Survey.Servers[i].Metadata(); m != nil {
			t.Cite(m.Exchange)
			t.NotApplicable("the metadata of %s names the endpoints", t.Survey.Servers[i].Issuer)
		}
	}
	if served := t.Survey.Refused[mcp.Stateful]; expect.Accepted(served) {
		t.Cite(served)
		t.NotApplicable("the server requires no token")
	}
}

func accept() []reports.Field { return []reports.Field{mcp.Field("Accept", "application/json")} }

func form() []reports.Field {
	return []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "application/json")}
}

func insertsPath(t *T) {
	Each(t, servers(t), func(t *T, s *survey.Server) {
		if u, err := document.ParseURL(s.Issuer); err != nil || strings.Trim(u.Path, "/") == "" {
			t.NotApplicable("the issuer has no path")
		}
		for _, d := range usable(t, s) {
			if d.Object.String("issuer") == s.Issuer {
				t.Cite(d.Exchange)
				return
			}
		}
		mustBeReachable(t, s)
		t.Expect(s).SeenIn(s.Documents[0].Exchange).To(expect.That("metadata that names this issuer at "+s.Documents[0].URL, places))
	})
}

func knowsItsIssuers(t *T) {
	Each(t, servers(t), func(t *T, s *survey.Server) {
		u, _ := document.ParseURL(s.Issuer)
		suffix := strings.ToLower(Random(12))
		for _, form := range []string{"oauth-authorization-server", "openid-configuration"} {
			address := document.Origin(u) + "/.well-known/" + form + "/" + suffix
			t.Expect(t.Get(address), "%s", address).To(knowNothingOf(document.Origin(u) + "/" + suffix))
		}
	})
}

// knowNothingOf expects no metadata document about an issuer that does not exist. A server may have an issuer for every path.
var knowNothingOf = expect.Family("knowNothingOf", func(issuer string) expect.Matcher {
	return expect.That("404 for the metadata of an issuer that does not exist", func(ex *reports.Exchange) string {
		if expect.Status(ex) != 200 {
			return ""
		}
		o, _, err := survey.ReadDocument(ex)
		switch {
		case err != nil:
			return fmt.Sprintf("HTTP 200 with Content-Type %q: %v", expect.Header(ex, "Content-Type"), err)
		case o.String("issuer") != issuer:
			return fmt.Sprintf("metadata of issuer %q", o.String("issuer"))
		}
		return ""
	})
})

// evil is a host that no server has; the check looks for it in answers.
const evil = "attacker.invalid"

func ignoresHostFields(t *T) {
	everyFound(t, func(m *survey.Document) { // each location may have a handler of its own
		address := m.Answered() + "?mcpauth=" + Random(9) // the check must not change what a cache gives to others
		Each(t, Cases[reports.Field]{
			{"X-Forwarded-Host", mcp.Field("X-Forwarded-Host", evil)},
			{"Forwarded", mcp.Field("Forwarded", "host="+evil)},
			{"X-Original-Host", mcp.Field("X-Original-Host", evil)},
			{"X-Forwarded-Server", mcp.Field("X-Forwarded-Server", evil)},
			{"X-Forwarded-Prefix", mcp.Field("X-Forwarded-Prefix", "/"+evil)},
		}, func(t *T, f reports.Field) { t.Expect(t.Get(address, f)).To(notReflect(evil)) })
		t.Expect(t.Get(address, mcp.Field("X-Forwarded-Proto", "gopher")), "X-Forwarded-Proto").To(notReflect("gopher:"))
		t.Expect(t.Get(address, mcp.Field("X-Forwarded-Port", port(m))), "X-Forwarded-Port").To(notReflect(":" + port(m)))
		raw := t.Do(wire.Request{Method: "GET", URL: address, Host: evil})
		if t.MCP.Loopback() { // a development server may have no other name
			t.Expect(raw, "Host: %s", evil).Ideally(notReflect(evil))
		} else {
			t.Expect(raw, "Host: %s", evil).To(notReflect(evil))
		}
		t.Expect(t.Get(address), "the same URL afterwards, without these fields").To(notReflect(evil))
	})
}

// port is one that is nowhere in a document.
func port(m *survey.Document) string {
	if strings.Contains(expect.Body(m.Exchange), ":64321") {
		return "64322"
	}
	return "64321"
}

var notReflect = expect.Family("notReflect", func(text string) expect.Matcher {
	return expect.That("metadata from configuration, not from the request", func(ex *reports.Exchange) string {
		if expect.Status(ex) == 200 && strings.Contains(expect.Body(ex), text) {
			return fmt.Sprintf("%q appears in the answer", text)
		}
		return ""
	})
})

// redirectsNobody judges the locations where clients look, up to the first document.
func redirectsNobody(t *T) {
	Each(t, servers(t), func(t *T, s *survey.Server) {
		for i := range s.Documents {
			d := &s.Documents[i]
			CiteIfAsked(t, d.Exchange)
			switch {
			case d.Redirects():
				t.Expect(d.Exchange, "%s", d.URL).To(answerAtOnce("which is not followed"))
			case d.Redirect != nil:
				t.Expect(d.Redirect, "%s", d.URL).Ideally(answerAtOnce("within the origin"))
			}
			if d.Found() {
				return
			}
		}
	})
}

var answerAtOnce = expect.Family("answerAtOnce", func(where string) expect.Matcher {
	return expect.That("the document, or 404, at once", func(ex *reports.Exchange) string {
		return expect.Describe(ex) + ", a redirect to " + reports.OneLine(expect.Header(ex, "Location"), 200) + ", " + where
	})
})

const inspector = "http://localhost:6274"

func letsBrowsersRead(t *T) {
	origin := mcp.Field("Origin", inspector)
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		t.Expect(t.Get(m.Answered(), origin), "%s", m.URL).To(expect.BeReadable(inspector))
		if s.JWKS.Found() {
			t.Expect(t.Get(s.JWKS.Answered(), origin), "jwks_uri").To(expect.BeReadable(inspector))
		}
		preflight := t.Do(wire.Request{Method: "OPTIONS", URL: m.Answered(), Header: []reports.Field{
			origin, mcp.Field("Access-Control-Request-Method", "GET"), mcp.Field("Access-Control-Request-Headers", "mcp-protocol-version"),
		}})
		t.Expect(preflight, "the preflight of %s", m.URL).To(expect.AllowPreflight(inspector, "GET", "mcp-protocol-version"))
	})
}

func toleratesVersionField(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		for _, v := range []string{"2025-03-26", "2025-06-18", "1999-01-01"} {
			t.Expect(t.Get(m.Answered(), mcp.Field("MCP-Protocol-Version", v)), "MCP-Protocol-Version: %s", v).To(expect.HaveStatus(200))
		}
	})
}
