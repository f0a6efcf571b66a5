package flaws

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
)

// answering bends the answer to a registration.
func answering(name, says, row string, bend func(members map[string]any), noticed string, also ...string) Flaw {
	return Flaw{
		Name: "dcr-" + name, Says: says, Row: row, Noticed: []string{noticed}, Also: also,
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Response = func(endpoint string, members map[string]any) {
				if endpoint == "/register" {
					bend(members)
				}
			}
		}),
	}
}

// expiring bends client_secret_expires_at, where a secret is issued.
func expiring(name, says string, value any) Flaw {
	return answering("secret-expires-"+name, says, "client_secret_basic", func(m map[string]any) {
		if m["client_secret"] != nil {
			m["client_secret_expires_at"] = value
		}
	}, "AS-DCR-SECRET-EXPIRY", "AS-DCR-SUCCESS-SHAPE", "AS-DCR-NO-NULLS")
}

// redirecting bends the redirect URIs of the answer.
func redirecting(name, says, row string, bend func(uri string) string) Flaw {
	return answering(name, says, row, func(m map[string]any) {
		uris, _ := m["redirect_uris"].([]string)
		out := slices.Clone(uris)
		for i := range out {
			out[i] = bend(out[i])
		}
		m["redirect_uris"] = out
	}, "AS-DCR-ECHO-METADATA", "AS-*")
}

// withSecrets bends how secrets are made.
func withSecrets(name, says, row string, of func(client string) string, noticed ...string) Flaw {
	return Flaw{
		Name: "dcr-" + name, Says: says, Row: row, Noticed: noticed, Also: []string{"AS-DCR-IDS-UNIQUE-RANDOM", "AS-TOKEN-*", "AS-REFRESH-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.SecretOf = of }),
	}
}

var registrationAnswers = []Flaw{
	// A client that has no text for its client_id gets no further.
	answering("numeric-id", "client_id is a number.", "", func(m map[string]any) { m["client_id"] = 4711 }, "AS-DCR-SUCCESS-SHAPE", "AS-*"),
	answering("issued-as-text", "client_id_issued_at is a date.", "",
		func(m map[string]any) { m["client_id_issued_at"] = "2026-01-01T00:00:00Z" }, "AS-DCR-SUCCESS-SHAPE"),
	answering("issued-in-milliseconds", "client_id_issued_at is in milliseconds.", "",
		func(m map[string]any) { m["client_id_issued_at"] = time.Now().UnixMilli() }, "AS-DCR-SUCCESS-SHAPE"),
	{
		Name: "dcr-as-text", Says: "The answer to a registration is text/plain.",
		Bend: behaviour(func(b *idp.Behaviour) { b.RegistrationType = "text/plain" }), Noticed: []string{"AS-DCR-SUCCESS-SHAPE"},
	},
	answering("method-unsaid", "The answer does not say how the client authenticates.", "a loopback redirect URI",
		func(m map[string]any) { delete(m, "token_endpoint_auth_method") }, "AS-DCR-ECHO-METADATA", "AS-DCR-*"),
	answering("types-unsaid", "The answer does not state response_types.", "a loopback redirect URI",
		func(m map[string]any) { delete(m, "response_types") }, "AS-DCR-ECHO-METADATA", "AS-DCR-DEFAULTS", "AS-DCR-CONSISTENT-TYPES"),
	redirecting("adds-slash", "A URI library adds a slash to redirect URIs without a path.", "a redirect URI without a path",
		func(uri string) string {
			if strings.Count(uri, "/") == 2 {
				return uri + "/"
			}
			return uri
		}),
	redirecting("lower-cases", "Redirect URIs are written in lower case.", "an https redirect URI with upper case and a query",
		strings.ToLower),
	redirecting("sorts-query", "The query of a redirect URI is sorted.", "an https redirect URI with upper case and a query",
		func(uri string) string { return strings.Replace(uri, "x=1&a=2", "a=2&x=1", 1) }),
	answering("empty-texts", "Members that are not set are empty texts.", "a public client",
		func(m map[string]any) { m["logo_uri"] = "" }, "AS-DCR-NO-NULLS", "AS-DCR-ECHO-METADATA"),
	answering("null-secret", "A public client's client_secret is null.", "a public client", func(m map[string]any) {
		if m["client_secret"] == nil {
			m["client_secret"] = nil
		}
	}, "AS-DCR-NO-NULLS"),
	answering("null-with-secret", "jwks_uri is null for clients with a secret.", "a client with a secret", func(m map[string]any) {
		if m["client_secret"] != nil {
			m["jwks_uri"] = nil
		}
	}, "AS-DCR-NO-NULLS"),
	expiring("text", "client_secret_expires_at is a text.", "0"),
	expiring("null", "client_secret_expires_at is null.", nil),
	expiring("milliseconds", "client_secret_expires_at is in milliseconds.", time.Now().Add(time.Hour).UnixMilli()),
	expiring("past", "Secrets are over when they are issued.", time.Now().Add(-time.Hour).Unix()),
	{
		Name: "dcr-refuses-resource", Says: "A registration with the member resource is refused.", Row: "resource",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistrationRefuses = []string{"resource"} }),
		Noticed: []string{"AS-DCR-UNKNOWN-IGNORED"},
	},
	withSecrets("secret-of-name", "A secret is a hash of the client's name.", "three identical registrations", func(name string) string {
		sum := sha256.Sum256([]byte(name))
		return hex.EncodeToString(sum[:])
	}, "AS-DCR-IDS-UNIQUE-RANDOM"),
	withSecrets("secret-for-all", "All clients get the secret that the server has at its upstream.", "client_secret",
		func(string) string { return "the-secret-of-the-upstream-client-of-all" }, "AS-DCR-NO-SHARED-UPSTREAM"),
	{
		Name: "dcr-reading-stored", Says: "The answer to a client that reads its registration may be stored.", Row: "reading a registration",
		Bend: behaviour(func(b *idp.Behaviour) { b.StoredReads = true }), Noticed: []string{"AS-DCR-NO-STORE"},
	},
	{
		Name: "dcr-known-by-turns", Says: "One of two processes knows a client.", Row: "do all processes share one store",
		Bend:    behaviour(func(b *idp.Behaviour) { b.ForgetsClient = func(n int) bool { return n%3 == 2 } }),
		Noticed: []string{"AS-DCR-CLIENT-USABLE"}, Also: []string{"AS-*", "RS-*"},
	},
	{
		Name: "as-registration-unchallenged", Says: "Registration needs a token, and the 401 has no challenge.", Row: "no initial access token",
		Bend: behaviour(func(b *idp.Behaviour) { b.Registration = "bare" }), Noticed: []string{"AS-DCR-PROTECTED-401"},
		Also: []string{"AS-DCR-SUPPORTED"},
	},
	{
		Name: "as-any-initial-token", Says: "Any initial access token is good enough.", Row: "a made-up initial access token",
		Bend: behaviour(func(b *idp.Behaviour) { b.Registration = "any-token" }), Noticed: []string{"AS-DCR-PROTECTED-401"},
		Also: []string{"AS-DCR-SUPPORTED"},
	},
	{
		Name: "as-registration-missing", Says: "The registration_endpoint of the metadata does not exist, and there is no other way.",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Missing = append(b.Missing, "/register")
			b.Metadata = func(_ string, d map[string]any) { delete(d, "client_id_metadata_document_supported") }
		}),
		Noticed: []string{"AS-REG-SOME-WAY", "AS-DCR-SUPPORTED"}, Also: []string{"AS-CIMD-*", "AS-META-*"},
	},
}
