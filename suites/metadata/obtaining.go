package metadata

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
	Must("AS-META-PUBLISHED", func(t *T) {
		unasked := ""
		for i := range t.Survey.Servers {
			s := &t.Survey.Servers[i]
			if s.Err != nil {
				continue // RS-DISC-AS-ENTRIES
			}
			usable := found(s)
			if !t.Since("2025-11-25") { // RFC 8414 was the only form
				usable = slices.DeleteFunc(usable, func(d *survey.Document) bool { return d.Place != "rfc8414" })
			}
			switch {
			case len(usable) > 0:
				t.Cite(usable[0].Exchange)
			case s.Unreachable() != "":
				unasked = s.Unreachable()
			default:
				t.Unmet(s.Documents[0].Exchange, "metadata of "+s.Issuer+" at one of its well-known locations", "none: %s", places(s))
			}
		}
		undecidedWithout(t, unasked)
	})

	Must("AS-META-RFC8414-FORM", func(t *T) {
		unasked := ""
		for i := range t.Survey.Servers {
			switch d := t.Survey.Servers[i].At("rfc8414"); {
			case d == nil:
			case d.Found():
				t.Cite(d.Exchange)
			case d.Unreachable():
				unasked = d.Exchange.Error
			default:
				t.Unmet(d.Exchange, "the RFC 8414 document at "+d.URL, "%v", d.Err)
			}
		}
		undecidedWithout(t, unasked)
	})

	Must("AS-META-ORIGIN-ROOT", func(t *T) {
		if t.Survey.Origin.Found() {
			t.Cite(t.Survey.Origin.Exchange)
			return
		}
		path := strings.Trim(t.Survey.URL.Path, "/")
		var prefix string
		for _, segment := range strings.Split(path, "/") {
			if segment == "" {
				continue
			}
			prefix += "/" + segment
			ex := t.Get(document.Origin(t.Survey.URL) + prefix + "/.well-known/oauth-authorization-server")
			if _, _, err := survey.ReadDocument(ex); err == nil {
				t.Unmet(ex, "metadata at the root of the origin, path removed", "it is served below %s only", prefix)
			}
		}
		t.Cite(t.Survey.Origin.Exchange)
	})

	// The MUST of the text binds clients; a server without either is out of their reach.
	Should("AS-META-DEFAULT-PATHS", func(t *T) {
		if t.Survey.Origin.Found() {
			t.NotApplicable("metadata is served, and names the endpoints")
		}
		origin := document.Origin(t.Survey.URL)
		authorize := t.Get(origin + "/authorize")
		token := t.Do(wire.Request{Method: "POST", URL: origin + "/token", Body: "grant_type=authorization_code&code=mcpauth", Header: form()})
		for _, ex := range []*reports.Exchange{authorize, token} {
			if s := expect.Status(ex); s == 404 || s == 405 || s == 0 || s >= 500 {
				t.Unmet(ex, "the default endpoint to exist, since no metadata names another", "%s", expect.Describe(ex))
			}
		}
	})

	Must("AS-META-PATH-INSERTED", func(t *T) {
		for i := range t.Survey.Servers {
			s := &t.Survey.Servers[i]
			u, err := document.ParseURL(s.Issuer)
			if err != nil || strings.Trim(u.Path, "/") == "" {
				continue
			}
			usable := found(s)
			if !t.Since("2025-11-25") {
				usable = slices.DeleteFunc(usable, func(d *survey.Document) bool { return d.Place != "rfc8414" })
			}
			if slices.ContainsFunc(usable, func(d *survey.Document) bool { return d.Object.String("issuer") == s.Issuer }) {
				t.Cite(usable[0].Exchange)
				continue
			}
			t.Unmet(s.Documents[0].Exchange, "metadata of the issuer with a path at "+s.Documents[0].URL, "none of its own: %s", places(s))
		}
	})

	Practice("AS-META-NO-CATCH-ALL", func(t *T) {
		for i := range t.Survey.Servers {
			u, err := document.ParseURL(t.Survey.Servers[i].Issuer)
			if err != nil {
				continue
			}
			suffix := strings.ToLower(Random(12))
			for _, form := range []string{"oauth-authorization-server", "openid-configuration"} {
				ex := t.Get(document.Origin(u) + "/.well-known/" + form + "/" + suffix)
				if expect.Status(ex) != 200 {
					continue
				}
				o, _, err := survey.ReadDocument(ex)
				switch {
				case err != nil:
					t.Unmet(ex, "404 for the metadata of an issuer that does not exist", "HTTP 200 that is no JSON document (%v)", err)
				case o.String("issuer") != document.Origin(u)+"/"+suffix:
					t.Unmet(ex, "404 for the metadata of an issuer that does not exist", "metadata of issuer %q", o.String("issuer"))
				}
			}
		}
	})

	Practice("AS-META-HOST-HEADER", func(t *T) {
		const evil = "attacker.invalid"
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			forged := m.URL + "?mcpauth=" + Random(9)
			for _, f := range []reports.Field{mcp.Field("X-Forwarded-Host", evil), mcp.Field("Forwarded", "host="+evil)} {
				ex := t.Get(forged, f)
				if expect.Status(ex) == 200 && strings.Contains(ex.Response.Body, evil) {
					t.Unmet(ex, "metadata from configuration, whatever the headers say", "%s appears in the answer to %s", evil, f.Name)
				}
			}
			if proto := t.Get(forged, mcp.Field("X-Forwarded-Proto", "gopher")); expect.Status(proto) == 200 && strings.Contains(proto.Response.Body, "gopher:") {
				t.Unmet(proto, "metadata from configuration, whatever the headers say", "the scheme of X-Forwarded-Proto appears")
			}
			raw := t.Do(wire.Request{Method: "GET", URL: forged, Host: evil})
			if expect.Status(raw) != 200 || !strings.Contains(raw.Response.Body, evil) {
				return
			}
			if t.MCP.Loopback() {
				t.Advise(raw, "the configured host, whatever Host says", "%s appears", evil)
			} else {
				t.Unmet(raw, "the configured host, whatever Host says", "%s appears", evil)
			}
		})
	})

	Practice("AS-META-NO-REDIRECT", func(t *T) {
		for i := range t.Survey.Servers {
			for j := range t.Survey.Servers[i].Documents {
				d := &t.Survey.Servers[i].Documents[j]
				if s := expect.Status(d.Exchange); s < 300 || s > 399 {
					continue
				}
				base, _ := document.ParseURL(d.URL)
				to, err := base.Parse(expect.Header(d.Exchange, "Location"))
				if err == nil && document.Origin(to) == document.Origin(base) {
					t.Advise(d.Exchange, "the document at once", "%s", expect.Describe(d.Exchange))
				} else {
					t.Unmet(d.Exchange, "the document at once; hardened clients follow no redirect to another origin", "%s", expect.Describe(d.Exchange))
				}
			}
		}
	})

	Practice("AS-META-CORS", func(t *T) {
		const inspector = "http://localhost:6274"
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			ex := t.Get(m.URL, mcp.Field("Origin", inspector))
			if allowed := expect.Header(ex, "Access-Control-Allow-Origin"); allowed != "*" && allowed != inspector {
				t.Advise(ex, "Access-Control-Allow-Origin, so that browser clients can read the metadata", "%q", allowed)
			}
			preflight := t.Do(wire.Request{Method: "OPTIONS", URL: m.URL, Header: []reports.Field{
				mcp.Field("Origin", inspector), mcp.Field("Access-Control-Request-Method", "GET"), mcp.Field("Access-Control-Request-Headers", "mcp-protocol-version"),
			}})
			if s := expect.Status(preflight); s < 200 || s > 299 {
				t.Advise(preflight, "the preflight to be answered 2xx", "%s", expect.Describe(preflight))
			}
		})
	})

	Should("AS-META-VERSION-HEADER", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for _, v := range []string{"2025-03-26", "2025-06-18", "1999-01-01"} {
				if ex := t.Get(m.URL, mcp.Field("MCP-Protocol-Version", v)); expect.Status(ex) != 200 {
					t.Unmet(ex, "200 whatever MCP-Protocol-Version says", "%s for %s", expect.Describe(ex), v)
				}
			}
		})
	})
}

func places(s *survey.Server) string {
	var out []string
	for _, d := range s.Documents {
		if d.Err != nil {
			out = append(out, d.URL+": "+d.Err.Error())
		}
	}
	return strings.Join(out, "; ")
}

func form() []reports.Field {
	return []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "application/json")}
}

// undecidedWithout leaves a check undecided where an authorization server gave no answer, or was not asked.
func undecidedWithout(t *T, why string) {
	if why != "" {
		t.Inconclusive("not every authorization server could be asked: %s", why)
	}
}
