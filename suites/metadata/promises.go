package metadata

import (
	"fmt"
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
	Must("AS-META-ENDPOINTS-EXIST", hasItsEndpoints)
	Practice("AS-META-FORMS-AGREE", saysTheSameInBothForms)
	Should("AS-META-SCOPES-COHERENT", knowsTheScopesOfTheResource)
}

// visits are one harmless request for each endpoint.
var visits = Cases[wire.Request]{
	{"authorization_endpoint", wire.Request{Method: "GET"}},
	{"token_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"registration_endpoint", wire.Request{Method: "POST", Body: `{"redirect_uris":"mcpauth: not an array"}`,
		Header: []reports.Field{mcp.Field("Content-Type", "application/json")}}},
	{"revocation_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"introspection_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"pushed_authorization_request_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"device_authorization_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"backchannel_authentication_endpoint", wire.Request{Method: "POST", Header: form()}},
	{"userinfo_endpoint", wire.Request{Method: "GET"}},
	{"end_session_endpoint", wire.Request{Method: "GET"}},
	{"check_session_iframe", wire.Request{Method: "GET"}},
}

// pages are the endpoints that browsers show.
var pages = []string{"authorization_endpoint", "end_session_endpoint", "check_session_iframe"}

// hasItsEndpoints visits the endpoints that any of the issuer's documents names: some are in OpenID documents only.
func hasItsEndpoints(t *T) {
	t.AS.Each(func(s *survey.Server, _ *survey.Document) {
		all := s.Merged()
		for _, visit := range visits {
			visit.Value.URL = all.String(visit.Name)
			if visit.Value.URL == "" {
				continue
			}
			Each(t, Cases[wire.Request]{visit}, func(t *T, r wire.Request) {
				ex := heard(t, t.Do(r))
				t.Expect(ex).To(exist())
				t.Expect(ex).Ideally(notFail())
				if !slices.Contains(pages, visit.Name) {
					t.Expect(ex).To(beNoPage())
				}
			})
		}
		if s.JWKS.Exchange != nil {
			keys := t.Expect(heard(t, t.Cite(s.JWKS.Exchange)), "jwks_uri")
			keys.To(exist(), beNoPage())
			keys.Ideally(notFail())
		}
	})
}

// heard ends the row where a server is there, but its answer is not: the request may be at fault.
func heard(t *T, ex *reports.Exchange) *reports.Exchange {
	if ex.Response == nil && !wire.Vacant(ex.Error) {
		t.Inconclusive("%s", expect.NoAnswer(ex))
	}
	return ex
}

var exist = expect.Family("exist", func() expect.Matcher {
	return expect.That("an endpoint that exists, since the metadata names it", func(ex *reports.Exchange) string {
		if s := expect.Status(ex); s == 404 || s == 405 || s == 501 || s == 0 {
			return expect.Describe(ex)
		}
		return ""
	})
})

var notFail = expect.Family("notFail", func() expect.Matcher {
	return expect.That("an answer below HTTP 500", func(ex *reports.Exchange) string {
		if s := expect.Status(ex); s >= 500 && s != 501 {
			return expect.Describe(ex)
		}
		return ""
	})
})

var beNoPage = expect.Family("beNoPage", func() expect.Matcher {
	return expect.That("an answer of the endpoint, and not a page of the site", func(ex *reports.Exchange) string {
		if expect.Status(ex) == 200 && expect.MediaType(ex) == "text/html" {
			return "HTTP 200 with an HTML page"
		}
		return ""
	})
})

var (
	sameEndpoints = []string{"issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint",
		"introspection_endpoint", "userinfo_endpoint", "jwks_uri"}
	sameLists = []string{"grant_types_supported", "response_types_supported", "code_challenge_methods_supported",
		"token_endpoint_auth_methods_supported"}
	sameFlags = []string{"authorization_response_iss_parameter_supported", "client_id_metadata_document_supported"}
)

func saysTheSameInBothForms(t *T) {
	compared := false
	t.AS.Each(func(s *survey.Server, _ *survey.Document) {
		documents := found(s)
		for _, d := range documents[1:] {
			compared = true
			seen := t.Expect(d, "%s", d.URL).SeenIn(t.Cite(d.Exchange))
			for _, name := range append(slices.Clone(sameEndpoints), sameFlags...) {
				seen.To(agreeOn(name, documents[0]))
			}
			for _, name := range sameLists {
				seen.Ideally(agreeOn(name, documents[0]))
			}
		}
	})
	if !compared {
		t.NotApplicable("only one document is served")
	}
}

// agreeOn expects a member that both documents have to be the same, lists as sets.
var agreeOn = expect.Family("agreeOn", func(name string, first *survey.Document) expect.Matcher {
	return onDocument("the same "+name+" in both documents", func(d *survey.Document) string {
		x, inFirst := first.Object.Get(name)
		y, inSecond := d.Object.Get(name)
		a, _ := first.Object.Strings(name)
		b, _ := d.Object.Strings(name)
		if inFirst && inSecond && (!SameSet(a, b) || a == nil && fmt.Sprint(x) != fmt.Sprint(y)) {
			return fmt.Sprintf("%v here, and %v at %s", y, x, first.URL)
		}
		return ""
	})
})

// mostScopes is how many scopes are tried: a document may name thousands.
const mostScopes = 50

// knowsTheScopesOfTheResource allows an incomplete list of scopes (RFC 8414 section 2). Only a scope that is neither listed nor
// granted is a defect.
func knowsTheScopesOfTheResource(t *T) {
	wanted := scopesOfTheResource(t)
	if len(wanted) == 0 {
		t.NotApplicable("the MCP server names no scope")
	}
	published := false
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		known, ok := m.Object.Strings("scopes_supported")
		published = published || ok
		wanted = slices.DeleteFunc(wanted, func(s string) bool { return slices.Contains(known, s) })
	})
	switch {
	case !published:
		t.NotApplicable("the authorization server publishes no scopes, which is allowed")
	case len(wanted) > 0 && (t.Session == nil || !t.Session.Ready):
		t.NotTested("%s is not in scopes_supported, which may be incomplete: whether it is granted shows only after a login (--username)",
			strings.Join(wanted, " "))
	}
	if left := len(wanted) - mostScopes; left > 0 {
		t.Note("%d more scopes are not in scopes_supported and were not tried", left)
		wanted = wanted[:mostScopes]
	}
	for _, scope := range wanted {
		grantsScope(t, scope)
	}
}

// grantsScope asks for a scope that is not listed.
func grantsScope(t *T, scope string) {
	g := t.AS.Authorize(Scope(scope))
	if why, _ := g.Undecided(); why != "" {
		t.Leave("the scope "+scope, why)
		return
	}
	t.Expect(g, "the scope %s", scope).To(knowTheScope)
}

var knowTheScope = expect.That("a scope that the authorization server knows, since the MCP server names it", func(g *Grant) string {
	if g.Error() == "invalid_scope" {
		return "the scope is not in scopes_supported, and an authorization request with it ends with invalid_scope"
	}
	return ""
})

// scopesOfTheResource are those that the MCP server names in its metadata and its challenges.
func scopesOfTheResource(t *T) []string {
	var out []string
	if d := t.Survey.Resource(); d != nil {
		out, _ = d.Object.Strings("scopes_supported")
	}
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		v, _ := expect.Param(t.Survey.Refused[w], "scope")
		out = append(slices.Clone(out), strings.Fields(v)...)
	}
	out = slices.DeleteFunc(out, func(s string) bool { return !expect.ScopeToken(s) })
	slices.Sort(out)
	return slices.Compact(out)
}
