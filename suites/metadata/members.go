package metadata

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func members() {
	Must("AS-META-ISSUER-IDENTICAL", namesTheListedIssuer)
	Must("AS-META-ISSUER-FORM", identifiesIssuerByURL)
	Must("AS-META-HTTP-SHAPE", sendsJSON)
	Must("AS-META-REQUIRED-FIELDS", hasRequiredMembers)
	Must("AS-META-OIDC-REQUIRED-FIELDS", hasMembersOfOpenID)
	Must("AS-META-TYPES-NO-NULLS", hasRegisteredTypes)
	Must("AS-META-S256-ADVERTISED", advertisesS256)
	Practice("AS-META-NO-PLAIN", advertisesNoPlain)
	Must("AS-META-ENDPOINTS-HTTPS", namesHTTPSEndpoints)
	Must("AS-META-ENDPOINT-URL-FORM", namesReachableEndpoints)
	Should("AS-META-GRANT-TYPES-EXPLICIT", listsGrantTypes)
	Should("AS-META-NO-IMPLICIT", listsNoImplicitTypes)
	Must("AS-META-SIGNING-ALGS", listsSigningAlgorithms)
}

// noIssuer says why an issuer is not judged.
const noIssuer = "the metadata names no issuer (AS-META-REQUIRED-FIELDS)"

func namesTheListedIssuer(t *T) {
	named := false
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		if m.Object.String("issuer") == "" {
			return
		}
		named = true
		same := onDocument(fmt.Sprintf("as issuer, character by character, %q", s.Issuer), func(d *survey.Document) string {
			if issuer := d.Object.String("issuer"); issuer != s.Issuer {
				return fmt.Sprintf("%q%s", issuer, difference(s.Issuer, issuer))
			}
			return ""
		})
		// 2025-03-26 has no issuer of an authorization server, only a base URL.
		slashOnly := strings.TrimSuffix(m.Object.String("issuer"), "/") == strings.TrimSuffix(s.Issuer, "/")
		if t.Revision == "2025-03-26" && slashOnly {
			t.Expect(m, "%s", m.URL).SeenIn(m.Exchange).Ideally(same)
		} else {
			t.Expect(m, "%s", m.URL).SeenIn(m.Exchange).To(same)
		}
	})
	if !named {
		t.NotApplicable(noIssuer)
	}
}

func difference(want, got string) string {
	if want+"/" == got || want == got+"/" {
		return ", which differs by a trailing slash"
	}
	for i := 0; i < len(want) && i < len(got); i++ {
		if want[i] != got[i] {
			return fmt.Sprintf(", which differs from character %d on", i+1)
		}
	}
	return ""
}

func identifiesIssuerByURL(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		if d.Object.String("issuer") == "" {
			t.NotApplicable(noIssuer)
		}
		issuer := t.Expect(d).SeenIn(d.Exchange)
		if issuer.To(onDocument("an https URL without query and fragment as issuer (RFC 8414 section 2)", notAnIssuer)) {
			issuer.Ideally(onDocument("an issuer without user information (RFC 9110 section 4.2.4)", func(d *survey.Document) string {
				if u, err := document.ParseURL(d.Object.String("issuer")); err == nil && u.User == nil {
					return ""
				}
				return describe(d, "issuer")
			}))
		}
	})
}

func notAnIssuer(d *survey.Document) string {
	issuer := d.Object.String("issuer")
	u, err := document.ParseURL(issuer)
	switch {
	case err != nil:
		return fmt.Sprintf("%q: %v", issuer, err)
	case u.Scheme != "https" && !document.LoopbackHost(u.Hostname()), strings.ContainsAny(issuer, "?#"):
		return fmt.Sprintf("%q", issuer)
	}
	return ""
}

// sendsJSON judges what is answered 200: clients stop at the first success.
func sendsJSON(t *T) {
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		for i := range s.Documents {
			d := &s.Documents[i]
			if d == m {
				break
			}
			if expect.Status(d.Exchange) == 200 {
				t.Expect(d, "%s, where clients look before %s", d.URL, m.URL).SeenIn(d.Exchange).To(beOneObject())
			}
		}
		for _, d := range found(s) {
			t.Expect(t.Cite(d.Exchange), "%s", d.URL).To(expect.HaveMediaType("application/json"))
			t.Expect(d, "%s", d.URL).SeenIn(d.Exchange).Ideally(onDocument("JSON with one reading", func(d *survey.Document) string {
				return strings.Join(d.Oddities, "; ")
			}))
		}
	})
}

func beOneObject() expect.Matcher {
	return onDocument("one JSON object, or 404 (RFC 8414 section 3.2)", func(d *survey.Document) string {
		if d.Found() {
			return ""
		}
		return fmt.Sprintf("HTTP 200 with Content-Type %q: %v", expect.Header(d.Exchange, "Content-Type"), d.Err)
	})
}

func hasRequiredMembers(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		seen := t.Expect(m, "%s", m.URL).SeenIn(m.Exchange)
		for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint"} {
			seen.To(onDocument(name+", a string that is not empty", func(d *survey.Document) string {
				if d.Object.String(name) == "" {
					return describe(d, name)
				}
				return ""
			}))
		}
		seen.To(inList("response_types_supported", "code", `response_types_supported, an array with "code"`))
	})
}

func hasMembersOfOpenID(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		if !strings.HasPrefix(d.Place, "oidc") {
			t.NotApplicable("it is not an OpenID document")
		}
		seen := t.Expect(d).SeenIn(d.Exchange)
		for _, name := range []string{"jwks_uri", "subject_types_supported", "id_token_signing_alg_values_supported"} {
			required := onDocument(name+" (OpenID Connect Discovery section 3)", func(d *survey.Document) string {
				if list, _ := d.Object.Strings(name); len(list) == 0 && d.Object.String(name) == "" {
					return describe(d, name)
				}
				return ""
			})
			if scopes, _ := d.Object.Strings("scopes_supported"); slices.Contains(scopes, "openid") {
				seen.To(required)
			} else { // a pure OAuth server that has its metadata there too
				seen.Ideally(required)
			}
		}
		if _, ok := d.Object.Get("id_token_signing_alg_values_supported"); ok {
			seen.Ideally(inList("id_token_signing_alg_values_supported", "RS256", "RS256 among the ID token algorithms"))
		}
	})
}

func advertisesS256(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		t.Expect(d).SeenIn(d.Exchange).To(inList("code_challenge_methods_supported", "S256", `code_challenge_methods_supported with "S256"`))
	})
}

func advertisesNoPlain(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		t.Expect(d).SeenIn(d.Exchange).To(notInList("code_challenge_methods_supported", "code_challenge_methods_supported without plain",
			func(s string) bool { return s == "plain" }))
	})
}

// endpoint is a member that clients dereference.
type endpoint struct{ name, url string }

// endpoints are the endpoints that a document names, in its order.
func endpoints(o *document.Object, prefix string) []endpoint {
	var out []endpoint
	for _, m := range o.Members {
		if s, ok := m.Value.(string); ok && (strings.HasSuffix(m.Name, "_endpoint") || m.Name == "jwks_uri") {
			out = append(out, endpoint{prefix + m.Name, s})
		}
	}
	if aliases := o.Object("mtls_endpoint_aliases"); aliases != nil {
		out = append(out, endpoints(aliases, "mtls_endpoint_aliases.")...)
	}
	return out
}

func onEndpoint(expected string, problem func(value string) bool) expect.Matcher {
	return expect.That(expected, func(e endpoint) string {
		if problem(e.url) {
			return fmt.Sprintf("%q", e.url)
		}
		return ""
	})
}

func namesHTTPSEndpoints(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		for _, e := range endpoints(d.Object, "") {
			t.Expect(e, "%s", e.name).SeenIn(d.Exchange).To(onEndpoint("an absolute https URL (http only on loopback)", func(value string) bool {
				u, err := document.ParseURL(value)
				return err != nil || u.Scheme != "https" && !document.LoopbackHost(u.Hostname())
			}))
		}
	})
}

func namesReachableEndpoints(t *T) {
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		issuer, err := document.ParseURL(s.Issuer)
		public := err == nil && !document.PrivateHost(issuer.Hostname())
		for _, e := range endpoints(m.Object, "") {
			seen := t.Expect(e, "%s", e.name).SeenIn(m.Exchange)
			u, err := document.ParseURL(e.url)
			if !seen.To(onEndpoint("a URL", func(string) bool { return err != nil })) {
				continue
			}
			whole := onEndpoint("a URL without fragment", func(value string) bool { return strings.Contains(value, "#") })
			if slices.Contains(withoutFragment, e.name) {
				seen.To(whole)
			} else {
				seen.Ideally(whole)
			}
			seen.Ideally(onEndpoint("a URL without user information (RFC 9110 section 4.2.4)", func(string) bool { return u.User != nil }),
				onEndpoint("a host that clients can reach, as they can reach the issuer", func(string) bool {
					return public && document.PrivateHost(u.Hostname())
				}))
		}
	})
}

// withoutFragment are the endpoints whose URL must not have a fragment (OAuth 2.1 sections 3.1 and 3.2, RFC 7009 section 2).
var withoutFragment = []string{"authorization_endpoint", "token_endpoint", "revocation_endpoint"}

func listsGrantTypes(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		seen := t.Expect(d).SeenIn(d.Exchange)
		if _, ok := d.Object.Get("grant_types_supported"); !ok {
			seen.Ideally(onDocument("grant_types_supported; left out, it means authorization_code and implicit (RFC 8414 section 2)",
				func(*survey.Document) string { return "grant_types_supported is absent" }))
			return
		}
		seen.To(inList("grant_types_supported", "authorization_code", "authorization_code among the grant types"),
			notInList("grant_types_supported", "no grant that OAuth 2.1 has removed",
				func(s string) bool { return s == "implicit" || s == "password" }))
	})
}

func listsNoImplicitTypes(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		t.Expect(d).SeenIn(d.Exchange).To(notInList("response_types_supported",
			"no response type that returns an access token in the front channel",
			func(s string) bool { return slices.Contains(strings.Fields(s), "token") }))
	})
}

func listsSigningAlgorithms(t *T) {
	offered := false
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		for _, of := range []string{"token", "revocation", "introspection"} {
			methods, _ := m.Object.Strings(of + "_endpoint_auth_methods_supported")
			if !slices.Contains(methods, "private_key_jwt") && !slices.Contains(methods, "client_secret_jwt") {
				continue
			}
			offered = true
			name := of + "_endpoint_auth_signing_alg_values_supported"
			t.Expect(m, "%s", m.URL).SeenIn(m.Exchange).To(
				onDocument(name+", since a JWT method is offered", func(d *survey.Document) string {
					if algs, _ := d.Object.Strings(name); len(algs) == 0 {
						return describe(d, name)
					}
					return ""
				}),
				notInList(name, "only algorithms that sign", func(s string) bool { return s == "none" }))
		}
	})
	if !offered {
		t.NotApplicable("no JWT client authentication is offered")
	}
}
