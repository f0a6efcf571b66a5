package metadata

import (
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// kind is the type of a member.
type kind string

const (
	text    kind = "a string"
	boolean kind = "a boolean"
	strs    kind = "an array of strings"
	object  kind = "an object"
)

// registered are the members of metadata with their types, by the specification that defines them.
var registered = []struct {
	source string
	types  map[kind][]string
}{
	{"RFC 8414 section 2", map[kind][]string{
		text: {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint", "service_documentation",
			"op_policy_uri",
			"op_tos_uri", "revocation_endpoint", "introspection_endpoint", "signed_metadata"},
		strs: {"scopes_supported", "response_types_supported", "response_modes_supported", "grant_types_supported",
			"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "ui_locales_supported",
			"revocation_endpoint_auth_methods_supported", "revocation_endpoint_auth_signing_alg_values_supported",
			"introspection_endpoint_auth_methods_supported", "introspection_endpoint_auth_signing_alg_values_supported",
			"code_challenge_methods_supported"},
	}},
	{"OpenID Connect Discovery section 3", map[kind][]string{
		text: {"userinfo_endpoint"},
		strs: {"acr_values_supported", "subject_types_supported", "id_token_signing_alg_values_supported",
			"id_token_encryption_alg_values_supported", "id_token_encryption_enc_values_supported", "userinfo_signing_alg_values_supported",
			"userinfo_encryption_alg_values_supported", "userinfo_encryption_enc_values_supported",
			"request_object_signing_alg_values_supported", "request_object_encryption_alg_values_supported",
			"request_object_encryption_enc_values_supported", "display_values_supported", "claim_types_supported", "claims_supported",
			"claims_locales_supported"},
		boolean: {"claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
			"require_request_uri_registration"},
	}},
	{"OpenID Connect session management and logout", map[kind][]string{
		text: {"check_session_iframe", "end_session_endpoint"},
		boolean: {"frontchannel_logout_supported", "frontchannel_logout_session_supported", "backchannel_logout_supported",
			"backchannel_logout_session_supported"},
	}},
	{"OpenID Connect Core, Prompt Create", map[kind][]string{strs: {"prompt_values_supported"}}},
	{"OpenID CIBA section 4", map[kind][]string{
		text:    {"backchannel_authentication_endpoint"},
		strs:    {"backchannel_token_delivery_modes_supported", "backchannel_authentication_request_signing_alg_values_supported"},
		boolean: {"backchannel_user_code_parameter_supported"},
	}},
	{"JARM section 4", map[kind][]string{
		strs: {"authorization_signing_alg_values_supported", "authorization_encryption_alg_values_supported",
			"authorization_encryption_enc_values_supported"},
	}},
	{"RFC 8628 section 4", map[kind][]string{text: {"device_authorization_endpoint"}}},
	{"RFC 8705 sections 3.3 and 5", map[kind][]string{boolean: {"tls_client_certificate_bound_access_tokens"},
		object: {"mtls_endpoint_aliases"}}},
	{"RFC 9101 section 10.5", map[kind][]string{boolean: {"require_signed_request_object"}}},
	{"RFC 9126 section 5", map[kind][]string{text: {"pushed_authorization_request_endpoint"},
		boolean: {"require_pushed_authorization_requests"}}},
	{"RFC 9207 section 3", map[kind][]string{boolean: {"authorization_response_iss_parameter_supported"}}},
	{"RFC 9396 section 10", map[kind][]string{strs: {"authorization_details_types_supported"}}},
	{"RFC 9449 section 5.1", map[kind][]string{strs: {"dpop_signing_alg_values_supported"}}},
	{"RFC 9701 section 7", map[kind][]string{
		strs: {"introspection_signing_alg_values_supported", "introspection_encryption_alg_values_supported",
			"introspection_encryption_enc_values_supported"},
	}},
	{"RFC 9728 section 4", map[kind][]string{strs: {"protected_resources"}}},
	{"OAuth Client ID Metadata Document section 5", map[kind][]string{boolean: {"client_id_metadata_document_supported"}}},
}

// typeOf is the registered type of a member, with its source; empty where it is not known: then any type is accepted.
func typeOf(name string) (want kind, source string) {
	for _, r := range registered {
		for k, names := range r.types {
			for _, n := range names {
				if n == name {
					return k, r.source
				}
			}
		}
	}
	return "", ""
}

func hasRegisteredTypes(t *T) {
	everyDocument(t, func(t *T, d *survey.Document) {
		for _, m := range d.Object.Members {
			want, source := typeOf(m.Name)
			if want == "" {
				continue
			}
			right := expect.That(string(want)+", or absent ("+source+")", func(m document.Member) string { return wrongType(m, want) })
			if m.Name == "scopes_supported" && wrongType(m, want) == emptyArray { // clients read an empty array as "no scopes"
				t.Expect(m, "%s", m.Name).SeenIn(d.Exchange).Ideally(right)
			} else {
				t.Expect(m, "%s", m.Name).SeenIn(d.Exchange).To(right)
			}
		}
	})
}

const emptyArray = "an empty array"

// wrongType says what a member is instead of its type; empty if it is right. RFC 8414 section 3.2: members with zero elements are
// omitted.
func wrongType(m document.Member, want kind) string {
	switch v := m.Value.(type) {
	case string:
		if want == text {
			return ""
		}
	case bool:
		if want == boolean {
			return ""
		}
	case *document.Object:
		if want == object {
			return ""
		}
	case []any:
		if want == strs {
			return wrongElement(v)
		}
	}
	return document.Kind(m.Value)
}

func wrongElement(list []any) string {
	if len(list) == 0 {
		return emptyArray
	}
	for _, e := range list {
		if _, ok := e.(string); !ok {
			return "an array with " + document.Kind(e)
		}
	}
	return ""
}
