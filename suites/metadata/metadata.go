// Package metadata holds the checks on authorization server metadata (RFC 8414, OpenID Connect
// Discovery).
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

// Register registers the area.
func Register() {
	Describe("RFC 8414 section 2.1, RFC 9728 section 4: further metadata", further)
	Describe("RFC 8414 section 3: Obtaining Authorization Server Metadata", obtaining)
	Describe("RFC 8414 section 2: Authorization Server Metadata", members)
	Describe("MCP Authorization: Authorization Server Metadata Discovery", promises)
	Describe("RFC 8414 section 2: what the metadata claims, tried", behaviour)
}

func members() {
	Must("AS-META-ISSUER-IDENTICAL", func(t *T) {
		t.AS.Each(func(s *survey.Server, m *survey.Document) {
			issuer := m.Object.String("issuer")
			if issuer == s.Issuer {
				return
			}
			if t.Revision == "2025-03-26" && strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(s.Issuer, "/") {
				t.Advise(m.Exchange, "issuer "+quote(s.Issuer), "%q", issuer)
				return
			}
			t.Unmet(m.Exchange, "issuer to be, code point by code point, "+quote(s.Issuer), "%q%s", issuer, difference(s.Issuer, issuer))
		})
	})

	Must("AS-META-ISSUER-FORM", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			issuer := m.Object.String("issuer")
			u, err := document.ParseURL(issuer)
			switch {
			case err != nil:
				t.Unmet(m.Exchange, "an https URL as issuer", "%q: %v", issuer, err)
			case u.Scheme != "https" && !document.LoopbackHost(u.Hostname()):
				t.Unmet(m.Exchange, "an https issuer", "%q", issuer)
			case strings.ContainsAny(issuer, "?#") || u.User != nil:
				t.Unmet(m.Exchange, "an issuer without query, fragment and user information", "%q", issuer)
			}
		})
	})

	Must("AS-META-HTTP-SHAPE", func(t *T) {
		t.AS.Each(func(s *survey.Server, _ *survey.Document) {
			for _, d := range found(s) {
				t.Cite(d.Exchange)
				if m := expect.MediaType(d.Exchange); m != "application/json" {
					t.Unmet(d.Exchange, "media type application/json (RFC 8414 section 3.2)", "%q at %s", expect.Header(d.Exchange, "Content-Type"), d.URL)
				}
				for _, odd := range d.Oddities {
					t.Advise(d.Exchange, "plain JSON, read alike by every reader", "%s", odd)
				}
			}
		})
	})

	Must("AS-META-REQUIRED-FIELDS", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint"} {
				if m.Object.String(name) == "" {
					t.Unmet(m.Exchange, name+", a string", "it is absent, empty or no string")
				}
			}
			types, ok := m.Object.Strings("response_types_supported")
			if !ok || !slices.Contains(types, "code") {
				v, _ := m.Object.Get("response_types_supported")
				t.Unmet(m.Exchange, `response_types_supported, an array holding "code"`, "%s %v", document.Kind(v), types)
			}
		})
	})

	Must("AS-META-OIDC-REQUIRED-FIELDS", func(t *T) {
		t.AS.Each(func(s *survey.Server, _ *survey.Document) {
			for _, d := range found(s) {
				if !strings.HasPrefix(d.Place, "oidc") {
					continue
				}
				t.Cite(d.Exchange)
				openIDRequired(t, d)
			}
		})
	})

	Must("AS-META-TYPES-NO-NULLS", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for _, member := range m.Object.Members {
				if problem := wrongType(member); problem != "" {
					if member.Name == "scopes_supported" && problem == emptyArray {
						t.Advise(m.Exchange, "members without a value to be left out", "%s: %s", member.Name, problem)
						continue
					}
					t.Unmet(m.Exchange, "members of the registered type, or none", "%s: %s", member.Name, problem)
				}
			}
		})
	})

	Must("AS-META-S256-ADVERTISED", func(t *T) {
		t.AS.Each(func(s *survey.Server, _ *survey.Document) {
			for _, d := range found(s) {
				t.Cite(d.Exchange)
				methods, ok := d.Object.Strings("code_challenge_methods_supported")
				if !ok || !slices.Contains(methods, "S256") {
					t.Unmet(d.Exchange, `code_challenge_methods_supported holding "S256"`, "%v at %s", methods, d.URL)
				}
			}
		})
	})

	Practice("AS-META-NO-PLAIN", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			if methods, _ := m.Object.Strings("code_challenge_methods_supported"); slices.Contains(methods, "plain") {
				t.Advise(m.Exchange, "S256 only", "plain is advertised too")
			}
		})
	})

	Must("AS-META-ENDPOINTS-HTTPS", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for name, value := range endpoints(m.Object) {
				u, err := document.ParseURL(value)
				if err != nil {
					t.Unmet(m.Exchange, "an absolute https URL as "+name, "%q: %v", value, err)
				} else if u.Scheme != "https" && !document.LoopbackHost(u.Hostname()) {
					t.Unmet(m.Exchange, "https for "+name+" (http only on loopback)", "%q", value)
				}
			}
		})
	})

	Must("AS-META-ENDPOINT-URL-FORM", func(t *T) {
		t.AS.Each(func(s *survey.Server, m *survey.Document) {
			issuer, err := document.ParseURL(s.Issuer)
			for name, value := range endpoints(m.Object) {
				u, parseErr := document.ParseURL(value)
				switch {
				case parseErr != nil:
					t.Unmet(m.Exchange, "a URL as "+name, "%q: %v", value, parseErr)
				case strings.Contains(value, "#") || u.User != nil:
					t.Unmet(m.Exchange, name+" without fragment and user information", "%q", value)
				case err == nil && !document.PrivateHost(issuer.Hostname()) && document.PrivateHost(u.Hostname()):
					t.Unmet(m.Exchange, "a host that clients can reach in "+name, "%q", value)
				}
			}
		})
	})

	Should("AS-META-GRANT-TYPES-EXPLICIT", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			grants, ok := m.Object.Strings("grant_types_supported")
			switch {
			case !ok:
				t.Advise(m.Exchange, "grant_types_supported; left out, it means authorization_code and implicit (RFC 8414 section 2)", "it is absent")
			case !slices.Contains(grants, "authorization_code"):
				t.Unmet(m.Exchange, "authorization_code among the grant types", "%v", grants)
			}
			for _, g := range grants {
				if g == "implicit" || g == "password" {
					t.Unmet(m.Exchange, "no grant that OAuth 2.1 has removed", "%q", g)
				}
			}
		})
	})

	Should("AS-META-NO-IMPLICIT", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			types, _ := m.Object.Strings("response_types_supported")
			for _, v := range types {
				if slices.Contains(strings.Fields(v), "token") {
					t.Unmet(m.Exchange, "no response type that returns an access token in the front channel", "%q", v)
				}
			}
		})
	})

	Must("AS-META-SIGNING-ALGS", func(t *T) {
		offered := false
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for _, of := range []string{"token", "revocation", "introspection"} {
				methods, _ := m.Object.Strings(of + "_endpoint_auth_methods_supported")
				if !slices.Contains(methods, "private_key_jwt") && !slices.Contains(methods, "client_secret_jwt") {
					continue
				}
				offered = true
				name := of + "_endpoint_auth_signing_alg_values_supported"
				algs, ok := m.Object.Strings(name)
				if !ok || len(algs) == 0 {
					t.Unmet(m.Exchange, name+", since a JWT method is offered", "it is absent or empty")
				}
				if slices.Contains(algs, "none") {
					t.Unmet(m.Exchange, "no \"none\" in "+name, "it is listed")
				}
			}
		})
		if !offered {
			t.NotApplicable("no JWT client authentication is offered")
		}
	})
}

func found(s *survey.Server) []*survey.Document {
	var out []*survey.Document
	for i := range s.Documents {
		if s.Documents[i].Found() {
			out = append(out, &s.Documents[i])
		}
	}
	return out
}

func openIDRequired(t *T, d *survey.Document) {
	scopes, _ := d.Object.Strings("scopes_supported")
	missing := func(what string) {
		if !slices.Contains(scopes, "openid") {
			t.Advise(d.Exchange, what+" in an OpenID document (a pure OAuth server that aliases its metadata there)", "it is absent")
			return
		}
		t.Unmet(d.Exchange, what+" (OpenID Connect Discovery 1.0 section 3)", "it is absent")
	}
	if d.Object.String("jwks_uri") == "" {
		missing("jwks_uri")
	}
	if subjects, _ := d.Object.Strings("subject_types_supported"); len(subjects) == 0 {
		missing("subject_types_supported")
	}
	algs, _ := d.Object.Strings("id_token_signing_alg_values_supported")
	if len(algs) == 0 {
		missing("id_token_signing_alg_values_supported")
	} else if !slices.Contains(algs, "RS256") {
		t.Advise(d.Exchange, "RS256 among the ID token algorithms", "%v", algs)
	}
}

const emptyArray = "an empty array"

// wrongType compares a known member with its registered type.
func wrongType(m document.Member) string {
	if m.Value == nil {
		return "null"
	}
	boolean := strings.HasPrefix(m.Name, "require_") || strings.HasPrefix(m.Name, "request_") && strings.HasSuffix(m.Name, "_supported") ||
		m.Name == "authorization_response_iss_parameter_supported" || m.Name == "client_id_metadata_document_supported" ||
		m.Name == "claims_parameter_supported" || strings.HasPrefix(m.Name, "frontchannel_logout") || strings.HasPrefix(m.Name, "backchannel_logout") ||
		m.Name == "tls_client_certificate_bound_access_tokens" || m.Name == "request_parameter_supported"
	switch v := m.Value.(type) {
	case bool:
		if !boolean && (strings.HasSuffix(m.Name, "_supported") || isURL(m.Name)) {
			return "a boolean"
		}
	case string:
		if boolean || strings.HasSuffix(m.Name, "_supported") {
			return "a string"
		}
	case []any:
		if boolean || isURL(m.Name) {
			return "an array"
		}
		if len(v) == 0 && strings.HasSuffix(m.Name, "_supported") {
			return emptyArray
		}
		for _, e := range v {
			if _, ok := e.(string); !ok && strings.HasSuffix(m.Name, "_supported") && m.Name != "authorization_details_types_supported" {
				return "an array holding " + document.Kind(e)
			}
		}
	default:
		if boolean || isURL(m.Name) || strings.HasSuffix(m.Name, "_supported") {
			return document.Kind(m.Value)
		}
	}
	return ""
}

func isURL(name string) bool {
	return name == "issuer" || strings.HasSuffix(name, "_endpoint") || name == "jwks_uri" || strings.HasPrefix(name, "op_") || name == "service_documentation"
}

// endpoints are the members that clients dereference.
func endpoints(o *document.Object) map[string]string {
	out := map[string]string{}
	for _, m := range o.Members {
		if s, ok := m.Value.(string); ok && (strings.HasSuffix(m.Name, "_endpoint") || m.Name == "jwks_uri") {
			out[m.Name] = s
		}
	}
	if aliases := o.Object("mtls_endpoint_aliases"); aliases != nil {
		for name, v := range endpoints(aliases) {
			out["mtls_endpoint_aliases."+name] = v
		}
	}
	return out
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

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
