package challenge

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func parameters() {
	Must("RS-CHALLENGE-BEARER-SCHEME", func(t *T) {
		ex := challenged(t)[0]
		var schemes []string
		for _, c := range expect.Challenges(ex) {
			if strings.EqualFold(c.Scheme, "Bearer") || strings.EqualFold(c.Scheme, "DPoP") {
				return
			}
			schemes = append(schemes, c.Scheme)
		}
		t.Unmet(ex, "a Bearer challenge, which OAuth clients look for by name", "only %s", strings.Join(schemes, ", "))
	})

	Must("RS-CHALLENGE-BEARER-PARAMS", func(t *T) {
		for _, ex := range challenged(t) {
			for _, c := range expect.Bearer(ex) {
				if len(c.Parameters) > 0 {
					continue
				}
				if slices.ContainsFunc(expect.Challenges(ex), func(o document.Challenge) bool { return strings.EqualFold(o.Scheme, "DPoP") }) {
					t.Advise(ex, "one or more parameters", "a bare Bearer beside DPoP, as RFC 9449 prints it")
				} else {
					t.Unmet(ex, "one or more parameters after Bearer (OAuth 2.1 section 5.3.1)", "the bare scheme")
				}
			}
		}
	})

	Must("RS-CHALLENGE-PARAM-CHARSETS", func(t *T) {
		for _, ex := range challenged(t) {
			for _, c := range expect.Bearer(ex) {
				if scope, ok := c.Param("scope"); ok {
					for _, s := range strings.Split(scope, " ") {
						switch {
						case s == "":
							t.Advise(ex, "scopes separated by one space", "scope=%q", scope)
						case !expect.ScopeToken(s) || strings.ContainsAny(s, ",[]"):
							t.Unmet(ex, "scope tokens separated by spaces (RFC 6749 section 3.3)", "scope=%q", scope)
						}
					}
				}
				for _, name := range []string{"error", "error_description"} {
					if v, ok := c.Param(name); ok && !plainText(v) {
						t.Unmet(ex, name+" within %x20-21 / %x23-5B / %x5D-7E (OAuth 2.1 section 5.3.1)", "%q", v)
					}
				}
				if code, ok := c.Param("error"); ok && !slices.Contains(registeredErrors, code) {
					t.Advise(ex, "a registered error code", "error=%q", code)
				}
			}
		}
	})

	May("RS-CHALLENGE-RESOURCE-METADATA", func(t *T) {
		anonymous, bogus := t.MCP.Anonymous(), t.MCP.Bogus()
		_, first := expect.Param(anonymous, "resource_metadata")
		_, second := expect.Param(bogus, "resource_metadata")
		switch {
		case !first:
			t.Unmet(anonymous, "resource_metadata in the challenge (RFC 9728 section 5.1)", "%s", expect.Describe(anonymous))
		case !second && expect.Status(bogus) == 401:
			t.Advise(bogus, "resource_metadata in the challenge to a bad token too", "%s", expect.Describe(bogus))
		}
	})

	Must("RS-CHALLENGE-RESOURCE-METADATA-URL", func(t *T) {
		named := map[string]bool{}
		for i := range t.Survey.Resources {
			d := &t.Survey.Resources[i]
			if d.Place != "challenge" {
				continue
			}
			named[d.URL] = true
			ex := t.Survey.Refused[mcp.Stateful]
			if d.Exchange != nil {
				ex = d.Exchange
			}
			u, err := document.ParseURL(d.URL)
			switch {
			case err != nil:
				t.Unmet(ex, "resource_metadata to be an absolute URL", "%q: %v", d.URL, err)
			case u.Scheme != "https" && !document.PrivateHost(t.Survey.URL.Hostname()):
				t.Unmet(ex, "an https URL", "%q", d.URL)
			case !d.Found():
				t.Unmet(ex, "resource_metadata to lead to a metadata document without credentials", "%s: %v", d.URL, d.Err)
			case d.Object.String("resource") == "":
				t.Unmet(ex, "protected resource metadata", "%s has no member resource", d.URL)
			case document.Origin(u) != document.Origin(t.Survey.URL):
				t.Advise(ex, "a URL on the server's own origin; hardened clients may refuse others", "%q", d.URL)
			}
		}
		if len(named) == 0 {
			t.NotApplicable("no challenge names resource_metadata (RS-CHALLENGE-RESOURCE-METADATA)")
		}
		if len(named) > 1 {
			t.Advise(nil, "one URL in all challenges", "%d different ones", len(named))
		}
	})

	Should("RS-CHALLENGE-SCOPE-PARAM", func(t *T) {
		ex := challenged(t)[0]
		if v, ok := expect.Param(ex, "scope"); ok && v != "" {
			return
		}
		if d := t.Survey.Resource(); d != nil {
			if scopes, _ := d.Object.Strings("scopes_supported"); len(scopes) > 0 {
				t.Unmet(ex, "the scopes that the refused request needs, since the server has scopes", "no scope parameter")
				return
			}
		}
		t.NotApplicable("neither the challenge nor the metadata names a scope; that is right where scopes are not used")
	})

	Should("RS-CHALLENGE-NO-ERROR-WITHOUT-CREDENTIALS", func(t *T) {
		for _, ex := range []struct {
			about string
			call  mcp.Call
		}{{"without credentials", t.MCP.Call()}, {"with Basic", t.MCP.Call().With(mcp.Field("Authorization", "Basic dTpw"))}} {
			answer := t.MCP.Anonymous()
			if len(ex.call.Header) > 0 {
				answer = t.Send(ex.call)
			}
			switch code, ok := expect.Param(answer, "error"); {
			case !ok:
			case code == "invalid_request":
				t.Advise(answer, "no error code where no token was presented", "error=%q %s", code, ex.about)
			default:
				t.Unmet(answer, "no error code where no token was presented (OAuth 2.1 section 5.3.2)", "error=%q %s", code, ex.about)
			}
		}
	})

	Should("RS-CHALLENGE-INVALID-TOKEN-ERROR", func(t *T) {
		ex := t.MCP.Bogus()
		if expect.Status(ex) != 401 {
			t.Inconclusive("the bad token is answered with %s (RS-TOKEN-GARBAGE)", expect.Describe(ex))
		}
		if len(expect.Bearer(ex)) == 0 {
			t.NotApplicable("there is no Bearer challenge to carry an error code")
		}
		code, ok := expect.Param(ex, "error")
		body := ""
		if o, _, err := document.ParseObject(ex.Response.Body); err == nil {
			body = o.String("error")
		}
		switch {
		case code == "invalid_token":
			if _, described := expect.Param(ex, "error_description"); !described {
				t.Note("error_description is absent, which is allowed")
			}
		case !ok && body == "invalid_token":
			t.Advise(ex, `error="invalid_token" in the challenge`, "it stands in the body only")
		case !ok:
			t.Unmet(ex, `error="invalid_token" in the challenge (OAuth 2.1 section 5.3.2)`, "no error code")
		default:
			t.Unmet(ex, `error="invalid_token" in the challenge (OAuth 2.1 section 5.3.2)`, "error=%q", code)
		}
	})
}

var registeredErrors = []string{
	"invalid_request", "invalid_token", "insufficient_scope", // OAuth 2.1 section 5.3.2
	"use_dpop_nonce", "invalid_dpop_proof", // RFC 9449
	"insufficient_user_authentication", // RFC 9470
}

func plainText(v string) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < 0x20 || v[i] > 0x7e || v[i] == '"' || v[i] == '\\' {
			return false
		}
	}
	return true
}
