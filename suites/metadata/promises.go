package metadata

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func promises() {
	Must("AS-META-ENDPOINTS-EXIST", func(t *T) {
		t.AS.Each(func(s *survey.Server, m *survey.Document) {
			var variants []Variant
			for name, request := range Sorted(map[string]wire.Request{
				"authorization_endpoint":                {Method: "GET"},
				"token_endpoint":                        {Method: "POST", Header: form()},
				"registration_endpoint":                 {Method: "POST", Body: `{"redirect_uris":"mcpauth: not an array"}`, Header: []reports.Field{mcp.Field("Content-Type", "application/json")}},
				"revocation_endpoint":                   {Method: "POST", Header: form()},
				"introspection_endpoint":                {Method: "POST", Header: form()},
				"pushed_authorization_request_endpoint": {Method: "POST", Header: form()},
				"userinfo_endpoint":                     {Method: "GET"},
			}) {
				request.URL = m.Object.String(name)
				if request.URL == "" {
					continue
				}
				variants = append(variants, Variant{About: name, Request: request})
			}
			for i, ex := range t.All(variants) {
				exists(t, variants[i].About, ex)
			}
			if s.JWKS.Exchange != nil {
				exists(t, "jwks_uri", t.Cite(s.JWKS.Exchange))
			}
		})
	})

	Practice("AS-META-FORMS-AGREE", func(t *T) {
		compared := false
		t.AS.Each(func(s *survey.Server, _ *survey.Document) {
			docs := found(s)
			if len(docs) < 2 {
				return
			}
			compared = true
			a := docs[0]
			for _, b := range docs[1:] {
				t.Cite(b.Exchange)
				for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint", "introspection_endpoint", "userinfo_endpoint", "jwks_uri"} {
					x, y := a.Object.String(name), b.Object.String(name)
					if x != "" && y != "" && x != y {
						t.Unmet(b.Exchange, "the same "+name+" in both documents", "%q at %s, %q at %s", x, a.URL, y, b.URL)
					}
				}
				for _, name := range []string{"grant_types_supported", "response_types_supported", "code_challenge_methods_supported", "token_endpoint_auth_methods_supported"} {
					x, inA := a.Object.Strings(name)
					y, inB := b.Object.Strings(name)
					if inA && inB && !sameSet(x, y) {
						t.Advise(b.Exchange, "the same "+name+" in both documents", "%v at %s, %v at %s", x, a.URL, y, b.URL)
					}
				}
			}
		})
		if !compared {
			t.NotApplicable("one document only is served")
		}
	})

	Should("AS-META-SCOPES-COHERENT", func(t *T) {
		wanted := map[string]bool{}
		if d := t.Survey.Resource(); d != nil {
			scopes, _ := d.Object.Strings("scopes_supported")
			for _, s := range scopes {
				wanted[s] = true
			}
		}
		for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
			v, _ := expect.Param(t.Survey.Refused[w], "scope")
			for _, s := range strings.Fields(v) {
				wanted[s] = true
			}
		}
		if len(wanted) == 0 {
			t.NotApplicable("the MCP server names no scope")
		}
		published := false
		var unknown []string
		var at *reports.Exchange
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			known, ok := m.Object.Strings("scopes_supported")
			published = published || ok
			for s := range wanted {
				if ok && !slices.Contains(known, s) {
					unknown, at = append(unknown, s), m.Exchange
				}
			}
		})
		if !published {
			t.NotApplicable("the authorization server publishes no scopes")
		}
		unknown = slices.DeleteFunc(unknown, func(s string) bool { // granted all the same: not published, but known
			return t.Session != nil && t.Session.Ready && slices.Contains(t.Session.Tokens.Scope, s)
		})
		if len(unknown) > 0 {
			slices.Sort(unknown)
			t.Advise(at, "the scopes that the MCP server names to be known to its authorization server", "not in its scopes_supported: %s; whether they are granted takes a login", strings.Join(unknown, " "))
		}
	})
}

func exists(t *T, name string, ex *reports.Exchange) {
	switch s := expect.Status(ex); {
	case s == 0, s == 404, s == 405, s == 501:
		t.Unmet(ex, "the advertised "+name+" to exist", "%s", expect.Describe(ex))
	case s == 200 && expect.MediaType(ex) == "text/html" && name != "authorization_endpoint":
		t.Unmet(ex, "an answer of the advertised "+name, "an HTML page")
	case s >= 500:
		t.Advise(ex, "an OAuth error from "+name, "%s", expect.Describe(ex))
	}
}

func sameSet(x, y []string) bool {
	x, y = slices.Clone(x), slices.Clone(y)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}
