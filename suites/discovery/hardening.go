package discovery

import (
	"encoding/base64"
	"net/url"
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
	// OAuth 2.1 draft 13 section 1.5.
	Must("RS-DISC-URLS-PUBLIC-HTTPS", func(t *T) {
		if document.PrivateHost(t.Survey.URL.Hostname()) {
			t.NotApplicable("the target is not public itself")
		}
		d := t.MCP.Resource()
		judge := func(name, value string, page bool) {
			u, err := document.ParseURL(value)
			if err != nil || value == "" {
				return
			}
			switch {
			case u.Scheme != "https" && page:
				t.Advise(d.Exchange, "https for "+name, "%q", value)
			case u.Scheme != "https" || !page && document.PrivateHost(u.Hostname()):
				t.Unmet(d.Exchange, "a public https URL for "+name, "%q", value)
			}
		}
		judge("resource", d.Object.String("resource"), false)
		judge("jwks_uri", d.Object.String("jwks_uri"), false)
		servers, _ := d.Object.Strings("authorization_servers")
		for _, s := range servers {
			judge("authorization_servers", s, false)
		}
		for _, page := range []string{"resource_documentation", "resource_policy_uri", "resource_tos_uri"} {
			judge(page, d.Object.String(page), true)
		}
		for _, ex := range refusals(t) {
			if v, ok := expect.Param(ex, "resource_metadata"); ok {
				judge("resource_metadata", v, false)
			}
		}
	})

	Practice("RS-DISC-HOST-HEADER", func(t *T) {
		const evil = "evil.example"
		d := t.MCP.Resource()
		probe := mcp.Probe(t.Survey.Endpoint, mcp.NewestStateful)
		var variants []Variant
		for _, f := range []reports.Field{
			mcp.Field("X-Forwarded-Host", evil), mcp.Field("Forwarded", "host="+evil+";proto=http"),
			mcp.Field("X-Original-Host", evil), mcp.Field("X-Forwarded-Prefix", "/"+evil),
		} {
			document := wire.Request{Method: "GET", URL: d.URL, Header: []reports.Field{mcp.Field("Accept", "application/json"), f}}
			variants = append(variants, Variant{About: f.Name, Request: document}, Call(probe.With(f), "%s", f.Name))
		}
		for i, ex := range t.All(variants) {
			if reflects(ex, evil) {
				t.Unmet(ex, "discovery data from configuration, whatever the headers say", "%s appears in the answer to %s", evil, variants[i].About)
			}
		}
		raw := t.Do(wire.Request{Method: "GET", URL: d.URL, Host: evil, Header: []reports.Field{mcp.Field("Accept", "application/json")}})
		switch {
		case !reflects(raw, evil):
		case t.MCP.Loopback():
			t.Advise(raw, "the configured host, whatever Host says", "%s appears in the document", evil)
		default:
			t.Unmet(raw, "the configured host, whatever Host says", "%s appears in the document", evil)
		}
	})

	Practice("RS-DISC-LOCATIONS-AGREE", func(t *T) {
		found := t.MCP.Resources()
		for _, d := range found[1:] {
			a, b := found[0].Object, d.Object
			if a.String("resource") != b.String("resource") {
				continue // a root document may describe another resource
			}
			if !sameSet(a, b, "authorization_servers") {
				t.Unmet(d.Exchange, "the same authorization_servers at every location", "%s differs from %s", d.URL, found[0].URL)
			}
			if !sameSet(a, b, "scopes_supported") {
				t.Advise(d.Exchange, "the same scopes_supported at every location", "%s differs from %s", d.URL, found[0].URL)
			}
		}
		for range 3 {
			ex := t.Do(wire.Request{Method: "GET", URL: found[0].URL, Header: []reports.Field{mcp.Field("Accept", "application/json")}, Fresh: true})
			if expect.Status(ex) != expect.Status(found[0].Exchange) {
				t.Unmet(ex, "the same answer every time", "%s after %s", expect.Describe(ex), expect.Describe(found[0].Exchange))
				return
			}
		}
	})

	Practice("RS-DISC-NO-HTML-FALLBACK", func(t *T) {
		origin := document.Origin(t.Survey.URL)
		suffix := strings.ToLower(Random(12))
		for _, u := range []string{origin + "/.well-known/oauth-protected-resource/" + suffix, origin + "/.well-known/" + suffix} {
			ex := t.Get(u)
			object, _, err := survey.ReadDocument(ex)
			switch s := expect.Status(ex); {
			case s == 200 && err == nil && strings.Contains(object.String("resource"), suffix):
				t.Unmet(ex, "404 for a resource that does not exist", "metadata for it, with the path echoed into resource")
			case s == 200 && err != nil:
				t.Unmet(ex, "404 for an unknown well-known URL; clients stop at the first success", "HTTP 200 that is no JSON document (%v)", err)
			case s >= 300 && s <= 399:
				t.Advise(ex, "404 for an unknown well-known URL", "%s", expect.Describe(ex))
			}
		}
	})

	Practice("RS-DISC-CAPABILITY-CLAIMS", func(t *T) {
		claimed := false
		for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
			ex := t.Survey.WithToken[w]
			if !expect.Accepted(ex) {
				ex = t.Survey.Anonymous[w]
			}
			if !expect.Accepted(ex) {
				continue
			}
			t.Cite(ex)
			auth := mcp.Read(ex).Result.Object("capabilities").Object("experimental").Object("authentication")
			if auth == nil {
				continue
			}
			claimed = true
			if required, _ := auth.Bool("required"); required && expect.Accepted(t.Survey.Refused[w]) {
				t.Unmet(t.Survey.Refused[w], "anonymous calls to be refused, since the capabilities say that authentication is required", "%s", expect.Describe(t.Survey.Refused[w]))
			}
		}
		if !claimed {
			t.NotApplicable("the target claims nothing about authentication in its capabilities, or shows them only to token holders")
		}
	})
}

// RFC 9728 section 3.1: one host may have many resources, each with its own document.
func siblings() {
	Practice("RS-DISC-MULTI-RESOURCE", func(t *T) {
		other := t.Sibling.Any()
		if other.Metadata == nil {
			t.Unmet(other.Fetched, "a document of its own for "+other.Endpoint, "%s", expect.Describe(other.Fetched))
			return
		}
		switch own := t.MCP.Identifier(); {
		case other.Resource == own && own != other.Endpoint && own != t.Survey.Endpoint:
			t.Unmet(other.Fetched, "a resource identifier for each endpoint", "both endpoints publish %s: a token for one is a token for the other", own)
		case other.Resource == own:
			t.Unmet(other.Fetched, "resource to be "+other.Endpoint, "the document of the other endpoint names %s", other.Resource)
		}
		challenge := t.Sibling.Use(other, "")
		named, ok := expect.Param(challenge, "resource_metadata")
		if ours, has := expect.Param(t.MCP.Anonymous(), "resource_metadata"); ok && has && named == ours {
			t.Unmet(challenge, "the challenge of "+other.Endpoint+" to lead to its own document", "both challenges name %s", named)
		}
	})

	Should("RS-DISC-SCOPES-PUBLISHED", func(t *T) {
		d := t.MCP.Resource()
		_, challenged := expect.Param(t.MCP.Anonymous(), "scope")
		switch scopes, _ := d.Object.Strings("scopes_supported"); {
		case challenged || len(scopes) > 0:
		case len(t.MCP.ScopedTools()) > 0:
			t.Unmet(d.Exchange, "the scopes that tools need in scopes_supported, or in the challenge", "neither names any, though %s needs %s", t.MCP.ScopedTools()[0].Name, t.MCP.ScopedTools()[0].Needs())
		default:
			t.NotApplicable("no scope is published, and no tool is declared to need one")
		}
	})
}

// RFC 9728 section 2.2.
func signedMetadata(t *T) {
	d := t.MCP.Resource()
	jws := d.Object.String("signed_metadata")
	if jws == "" {
		t.NotApplicable("signed_metadata is absent, which is usual")
	}
	parts := strings.Split(jws, ".")
	var header, claims *document.Object
	if len(parts) == 3 {
		header, claims = segment(parts[0]), segment(parts[1])
	}
	switch {
	case header == nil || claims == nil:
		t.Unmet(d.Exchange, "signed_metadata to be a compact JWS", "it cannot be decoded")
		return
	case header.String("alg") == "" || strings.EqualFold(header.String("alg"), "none"):
		t.Unmet(d.Exchange, "a signature", "alg is %q", header.String("alg"))
	}
	if claims.String("iss") == "" {
		t.Unmet(d.Exchange, "the claim iss", "it is absent")
	}
	for _, name := range []string{"resource"} {
		if v := claims.String(name); v != "" && v != d.Object.String(name) {
			t.Unmet(d.Exchange, "the signed "+name+" to equal the plain one", "%q", v)
		}
	}
	if _, nested := claims.Get("signed_metadata"); nested {
		t.Unmet(d.Exchange, "no signed_metadata inside itself", "it is there")
	}
	if t.Unmistaken() {
		t.Advise(d.Exchange, "keys of the signer that can be found", "the signature was not verified: RFC 9728 leaves open where the keys of iss are")
	}
}

func segment(s string) *document.Object {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	o, _, _ := document.ParseObject(string(b))
	return o
}

func reflects(ex *reports.Exchange, text string) bool {
	if ex.Response == nil || ex.Response.Status >= 400 && ex.Response.Status != 401 {
		return false
	}
	if ex.Response.Status == 200 && strings.Contains(ex.Response.Body, text) {
		return true
	}
	return slices.ContainsFunc(expect.HeaderValues(ex, "WWW-Authenticate"), func(v string) bool { return strings.Contains(v, text) })
}

func sameSet(a, b *document.Object, name string) bool {
	x, _ := a.Strings(name)
	y, _ := b.Strings(name)
	x, y = slices.Clone(x), slices.Clone(y)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// relate classifies a resource identifier against the URL that the user dialled.
func relate(t *T, u *url.URL, resource string) string {
	mine := t.Survey.URL
	switch {
	case resource == t.Survey.Endpoint, mine.Path == "" && resource == t.Survey.Endpoint+"/", mine.Path == "/" && resource+"/" == t.Survey.Endpoint:
		return "exact"
	case u.Scheme == "http" && mine.Scheme == "https":
		return "http for https"
	case document.Origin(u) != document.Origin(mine):
		return "foreign origin"
	case strings.TrimSuffix(u.Path, "/") == "":
		return "root"
	case u.Path == mine.Path && u.RawQuery == mine.RawQuery:
		return "case"
	case strings.TrimSuffix(u.Path, "/") == strings.TrimSuffix(mine.Path, "/") && u.RawQuery == mine.RawQuery:
		return "slash"
	case u.Path == mine.Path:
		return "query"
	case strings.HasPrefix(mine.Path, strings.TrimSuffix(u.Path, "/")+"/"):
		return "prefix"
	}
	return "other path"
}
