package flaws

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// answering changes the answer to a registration.
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

// expiring changes client_secret_expires_at if a secret is issued.
func expiring(name, says string, value any) Flaw {
	return answering("secret-expires-"+name, says, "client_secret_basic", func(m map[string]any) {
		if m["client_secret"] != nil {
			m["client_secret_expires_at"] = value
		}
	}, "AS-DCR-SECRET-EXPIRY", "AS-DCR-SUCCESS-SHAPE", "AS-DCR-NO-NULLS")
}

// redirecting changes the redirect URIs of the answer.
func redirecting(name, says, row string, bend func(uri string) string) Flaw {
	return answering(name, says, row, func(m map[string]any) {
		uris, _ := m["redirect_uris"].([]string)
		out := slices.Clone(uris)
		for i := range out {
			out[i] = bend(out[i])
		}
		m["redirect_uris"] = out
	}, "AS-DCR-ECHO-METADATA")
}

// withSecrets changes how secrets are made.
func withSecrets(name, says, row string, of func(client string) string, noticed ...string) Flaw {
	return Flaw{
		Name: "dcr-" + name, Says: says, Row: row, Noticed: noticed,
		Also: []string{"AS-DCR-IDS-UNIQUE-RANDOM", "AS-TOKEN-*", "AS-REFRESH-*", "AS-PAR-BASIC", "AS-REVOKE-*", "AS-INTROSPECT-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.SecretOf = of }),
	}
}

var registrationAnswers = []Flaw{
	// A client whose client_id is not a string cannot continue.
	answering("numeric-id", "client_id is a number.", "", func(m map[string]any) { m["client_id"] = 4711 },
		"AS-DCR-SUCCESS-SHAPE", "AS-DCR-SUPPORTED"),
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
	expiring("past", "Secrets are expired when they are issued.", time.Now().Add(-time.Hour).Unix()),
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
		Name: "dcr-known-by-turns", Says: "Only one of two processes knows a registered client.", Row: "do all processes share one store",
		Bend:    behaviour(func(b *idp.Behaviour) { b.ForgetsClient = func(n int) bool { return n%3 == 2 } }),
		Noticed: []string{"AS-DCR-CLIENT-USABLE"}, // and no other check: a refusal of the client shows nothing else
	},
	{
		Name: "as-registration-unchallenged", Says: "Registration needs a token, and the 401 has no challenge.", Row: "no initial access token",
		Bend: behaviour(func(b *idp.Behaviour) { b.Registration = "bare" }), Noticed: []string{"AS-DCR-PROTECTED-401"},
		Also: []string{"AS-DCR-SUPPORTED"},
	},
	{
		Name: "as-any-initial-token", Says: "Any initial access token is accepted.", Row: "a made-up initial access token",
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

// redirectTaken registers one redirect URI that must be refused.
func redirectTaken(name, uri, noticed string) Flaw {
	return Flaw{
		Name: "dcr-takes-" + name, Says: fmt.Sprintf("The redirect URI %q is registered.", uri), Row: fmt.Sprintf("%q", uri),
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistersRedirect = func(_ int, sent string) bool { return sent == uri } }),
		Noticed: []string{noticed},
	}
}

// seenIn returns a flaw that shows in another row.
func seenIn(row string, f Flaw) Flaw {
	f.Row = row
	return f
}

// redirectsRead accepts a redirect_uris member that is not a list of redirect URIs.
func redirectsRead(name, says, row, noticed string, read func(v any) any) Flaw {
	return Flaw{
		Name: "dcr-" + name, Says: says, Row: row, Noticed: []string{noticed},
		Also: []string{"AS-DCR-*", "AS-REG-SOME-WAY", "AS-CIMD-REJECT-INVALID-DOC"},
		Bend: behaviour(func(b *idp.Behaviour) { b.ReadsRedirects = read }),
	}
}

const (
	dangerous   = "AS-DCR-REJECT-DANGEROUS-SCHEME"
	plainHTTP   = "AS-DCR-REJECT-PLAIN-HTTP"
	lookalike   = "AS-DCR-REJECT-LOOPBACK-LOOKALIKE"
	nonAbsolute = "AS-DCR-REJECT-NON-ABSOLUTE"
)

// ofNative registers some redirect URIs of native clients that must be refused.
func ofNative(name, noticed string, uris ...string) Flaw {
	f := Flaw{
		Name: "dcr-native-" + name, Says: "Native clients register redirect URIs that others cannot: " + name + ".",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersOfNative = func(sent string) bool { return slices.Contains(uris, sent) }
		}),
		Noticed: []string{noticed}, Also: []string{"AS-DCR-*"},
	}
	for _, uri := range uris {
		f.Rows = append(f.Rows, fmt.Sprintf("a native client: redirect URI %q", uri))
	}
	return f
}

var redirectsTaken = []Flaw{
	ofNative("scripts", dangerous, "javascript:alert(1)//", "data:text/html,x"), ofNative("http", plainHTTP, "http://client.example/cb"),
	ofNative("lookalikes", lookalike, "http://localhost.attacker.example/cb", "http://localhost@attacker.example/cb"),
	redirectTaken("javascript", "javascript:alert(1)//", dangerous),
	redirectTaken("javascript-in-mixed-case", "JavaScript:alert(1)", dangerous),
	redirectTaken("javascript-after-space", " javascript:alert(1)", dangerous),
	redirectTaken("javascript-with-tab", "java\tscript:alert(1)", dangerous),
	redirectTaken("data", "data:text/html,x", dangerous),
	redirectTaken("vbscript", "vbscript:x", dangerous),
	redirectTaken("file", "file:///etc/passwd", dangerous),
	redirectTaken("blob", "blob:https://h/x", dangerous),
	redirectTaken("about", "about:blank", dangerous),
	redirectTaken("view-source", "view-source:https://h/", dangerous),
	{
		Name: "dcr-checks-first-redirect", Says: "Of several redirect URIs the first is checked.", Row: "a javascript: URI after a good one",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistersRedirect = func(i int, _ string) bool { return i > 0 } }),
		Noticed: []string{dangerous},
	},
	{
		Name: "dcr-checks-later-redirects", Says: "The first redirect URI is not checked.", Row: "a javascript: URI before a good one",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersRedirect = func(i int, uri string) bool { return i == 0 && uri == "javascript:alert(1)" }
		}),
		Noticed: []string{dangerous},
	},

	redirectTaken("http", "http://client.example/cb", plainHTTP),
	redirectTaken("http-in-upper-case", "HTTP://client.example/cb", plainHTTP),
	redirectTaken("http-with-port", "http://client.example:8443/cb", plainHTTP),
	redirectTaken("http-address", "http://192.0.2.10/cb", plainHTTP),
	redirectTaken("http-private", "http://10.0.0.5/cb", plainHTTP),
	redirectTaken("http-ipv6", "http://[2001:db8::1]/cb", plainHTTP),

	redirectTaken("another-host", "http://attacker.example/cb", lookalike),
	redirectTaken("another-host-with-port", "http://attacker.example:80/cb", lookalike),
	redirectTaken("loopback-encoded-dot", "http://127.0.0.1%2eattacker.example:80/cb", lookalike),
	redirectTaken("loopback-backslash", `http://127.0.0.1\@attacker.example:80/cb`, lookalike),
	redirectTaken("localhost-in-query", "http://attacker.example/?localhost", lookalike),
	redirectTaken("localhost-prefix", "http://localhostx/cb", lookalike),
	redirectTaken("loopback-in-hex", "http://0x7f000001.attacker.example/cb", lookalike),
	redirectTaken("localhost-domain", "http://localhost.attacker.example/cb", lookalike),
	redirectTaken("localhost-user", "http://localhost@attacker.example/cb", lookalike),
	redirectTaken("localhost-backslash", `http://localhost\@attacker.example/cb`, lookalike),
	redirectTaken("localhost-encoded-dot", "http://localhost%2eattacker.example/cb", lookalike),
	redirectTaken("localhost-suffix", "http://evillocalhost/cb", lookalike),
	redirectTaken("loopback-domain", "http://127.0.0.1.attacker.example:80/cb", lookalike),
	redirectTaken("loopback-user", "http://127.0.0.1:80@attacker.example/cb", lookalike),

	seenIn("an empty fragment", redirectTaken("empty-fragment", "https://client.example/cb#", "AS-DCR-REJECT-FRAGMENT")),
	redirectsRead("cuts-fragment", "The fragment of a redirect URI is cut off.", "#frag", "AS-DCR-REJECT-FRAGMENT",
		eachRedirect(func(uri string) any { before, _, _ := strings.Cut(uri, "#"); return before })),

	redirectTaken("path", "/callback", nonAbsolute),
	redirectTaken("scheme-relative", "//attacker.example/cb", nonAbsolute),
	redirectTaken("name", "callback", nonAbsolute),
	redirectTaken("nothing", "", nonAbsolute),
	redirectTaken("scheme-alone", "https://", nonAbsolute),
	redirectTaken("no-host", "https:///cb", nonAbsolute),
	redirectTaken("host-with-space", "https://a b/cb", nonAbsolute),
	redirectTaken("line-break", "https://client.example/\r\nSet-Cookie:x", nonAbsolute),
	seenIn("port 99999", redirectTaken("port-99999", "http://127.0.0.1:99999/cb", nonAbsolute)),
	redirectsRead("takes-numbers", "A number among the redirect URIs is left out.", "redirect URI 42", nonAbsolute, func(v any) any {
		if list, ok := v.([]any); ok && len(list) == 1 && list[0] == 42.0 {
			return []any{"http://127.0.0.1/42"}
		}
		return v
	}),
	redirectTaken("private-scheme", "myapp:/cb", "AS-DCR-PRIVATE-SCHEME"),
	redirectTaken("private-scheme-with-slashes", "myapp://cb", "AS-DCR-PRIVATE-SCHEME"),

	redirectsRead("without-redirects", "A client without redirect_uris gets http://localhost.", "redirect_uris: absent",
		"AS-DCR-REDIRECTS-REQUIRED",
		func(v any) any {
			if v == nil {
				return []any{"http://localhost"}
			}
			return v
		}),
	redirectsRead("with-empty-redirects", "A client with an empty list gets http://localhost.", "an empty list", "AS-DCR-REDIRECTS-REQUIRED",
		func(v any) any {
			if list, ok := v.([]any); ok && len(list) == 0 {
				return []any{"http://localhost"}
			}
			return v
		}),
	redirectsRead("with-text-for-redirects", "A text is treated as a list of one.", "a string", "AS-DCR-REDIRECTS-REQUIRED", func(v any) any {
		if uri, ok := v.(string); ok && strings.HasPrefix(uri, "http") {
			return []any{uri}
		}
		return v
	}),
	redirectsRead("with-null-for-redirect", "null among the redirect URIs is left out.", "null in the list", "AS-DCR-REDIRECTS-REQUIRED",
		func(v any) any {
			if list, ok := v.([]any); ok && len(list) == 1 && list[0] == nil {
				return []any{"http://localhost"}
			}
			return v
		}),
}

// eachRedirect changes each redirect URI of a list.
func eachRedirect(bend func(uri string) any) func(v any) any {
	return func(v any) any {
		list, _ := v.([]any)
		out := slices.Clone(list)
		for i := range out {
			if uri, ok := out[i].(string); ok {
				out[i] = bend(uri)
			}
		}
		return out
	}
}

// patterned registers a pattern, and sends answers to any URI that matches it.
func patterned(name, says, row, pattern, matched string) Flaw {
	return Flaw{
		Name: "dcr-pattern-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-WILDCARD"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersRedirect = func(_ int, uri string) bool { return uri == pattern }
			b.TakesRedirect = func(registered, sent string) bool { return registered == pattern && sent == matched }
		}),
	}
}

// bodyCrashing answers some bodies with 500.
func bodyCrashing(name, says, row string, on func(mediaType, body string) bool) Flaw {
	return Flaw{
		Name: "dcr-crashes-on-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-MALFORMED-BODY"},
		Bend: behaviour(func(b *idp.Behaviour) { b.CrashesOn = on }),
	}
}

// registering registers a client from a body that is not a registration.
func registering(name, says, row string, of func(mediaType, body string) bool) Flaw {
	return Flaw{
		Name: "dcr-registers-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-MALFORMED-BODY"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersBody = func(mediaType, body string) map[string]any {
				if !of(mediaType, body) {
					return nil
				}
				return map[string]any{"redirect_uris": []any{"http://127.0.0.1/callback"}, "token_endpoint_auth_method": "none"}
			}
		}),
	}
}

func bodyIs(text string) func(mediaType, body string) bool {
	return func(_, body string) bool { return body == text }
}

func bodyOver(size int) func(mediaType, body string) bool {
	return func(_, body string) bool { return len(body) > size }
}

func typeIs(text string) func(mediaType, body string) bool {
	return func(mediaType, _ string) bool { return mediaType == text }
}

// refusingWith changes the answer to a refused registration.
func refusingWith(name, says, row string, bend func(status *int, mediaType *string, members map[string]any)) Flaw {
	return Flaw{
		Name: "dcr-error-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-ERROR-SHAPE"}, Also: []string{"AS-DCR-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.RegistrationError = bend }),
	}
}

// typesTaken confirms grant and response types that do not fit together.
func typesTaken(name, row, grant, response string) Flaw {
	return Flaw{
		Name: "dcr-types-" + name, Says: fmt.Sprintf("grant_types %s is confirmed with response_types %s.", grant, response), Row: row,
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RegistersTypes = func(grants, responses []string) bool {
				return slices.Equal(grants, []string{grant}) && slices.Equal(responses, []string{response})
			}
		}),
		Noticed: []string{"AS-DCR-CONSISTENT-TYPES"},
	}
}

var registrationRows = []Flaw{
	patterned("subdomain", "* stands for any subdomain.", "* for a subdomain", "https://*.client.example/cb",
		"https://evil.client.example/cb"),
	patterned("host", "* stands for any host.", "* for the host", "https://*/cb", "https://attacker.example/cb"),
	patterned("after-host", "* stands for any rest of the host.", "* after the host", "https://client.example*",
		"https://client.example.attacker.example/cb"),
	patterned("path", "* stands for any path.", "* for the path", "https://client.example/*", "https://client.example/evil"),
	patterned("regexp", "Redirect URIs are regular expressions.", "a regular expression", "https://client.example/.*",
		"https://client.example/evil"),

	bodyCrashing("half-an-object", "Half an object crashes the server.", "half an object", bodyIs("{")),
	bodyCrashing("array", "An array crashes the server.", "an array", bodyIs("[]")),
	bodyCrashing("null", "null crashes the server.", "null", bodyIs("null")),
	bodyCrashing("text", "A text crashes the server.", "a text", bodyIs(`"x"`)),
	bodyCrashing("nothing", "An empty body crashes the server.", "nothing", bodyIs("")),
	bodyCrashing("form", "A form crashes the server.", "a form", typeIs("application/x-www-form-urlencoded")),
	bodyCrashing("plain-text", "JSON as text/plain crashes the server.", "JSON as text/plain", typeIs("text/plain")),
	bodyCrashing("long-text", "A text of 1 MiB crashes the server.", "a text of 1 MiB", bodyOver(1<<20)),
	bodyCrashing("many-redirects", "10000 redirect URIs crash the server.", "10000 redirect URIs", func(_, body string) bool {
		return strings.Count(body, "http") > 1000
	}),
	bodyCrashing("nesting", "Deep nesting crashes the server.", "2000 objects in one another", func(_, body string) bool {
		return strings.Count(body, `{"a":`) > 1000
	}),
	bodyCrashing("invalid-utf-8", "Invalid UTF-8 crashes the server.", "invalid UTF-8",
		func(_, body string) bool { return !utf8.ValidString(body) }),
	registering("array", "An array makes a client.", "an array", bodyIs("[]")),
	registering("null", "null makes a client.", "null", bodyIs("null")),
	registering("form", "A form makes a client.", "a form", typeIs("application/x-www-form-urlencoded")),
	registering("plain-text", "JSON as text/plain makes a client.", "JSON as text/plain", typeIs("text/plain")),
	registering("long-text", "A text of 1 MiB is registered.", "a text of 1 MiB", bodyOver(1<<20)),
	registering("many-redirects", "10000 redirect URIs are registered.", "10000 redirect URIs", func(_, body string) bool {
		return strings.Count(body, "http") > 1000
	}),

	refusingWith("status", "Errors have the status 422.", "an unknown grant type",
		func(status *int, _ *string, _ map[string]any) { *status = 422 }),
	refusingWith("media-type", "Errors are text/html.", "an unknown grant type",
		func(_ *int, mediaType *string, _ map[string]any) { *mediaType = "text/html" }),
	refusingWith("unnamed", "Errors have no code.", "an unknown grant type", func(_ *int, _ *string, m map[string]any) { delete(m, "error") }),
	refusingWith("made-up", "Errors have a code of the server's own.", "an unknown token_endpoint_auth_method",
		func(_ *int, _ *string, m map[string]any) { m["error"] = "bad_client" }),
	refusingWith("of-redirects", "Bad redirect URIs are invalid_client_metadata.", "a redirect URI with a fragment",
		func(_ *int, _ *string, m map[string]any) { m["error"] = "invalid_client_metadata" }),
	refusingWith("letters", "error_description has letters beyond ASCII.", "a redirect URI that is not absolute",
		func(_ *int, _ *string, m map[string]any) { m["error_description"] = "ungültig" }),

	typesTaken("token", "authorization_code with token", "authorization_code", "token"),
	typesTaken("implicit", "implicit with code", "implicit", "code"),
	typesTaken("hybrid", "authorization_code with code token", "authorization_code", "code token"),
	typesTaken("refresh-alone", "refresh_token with code", "refresh_token", "code"),
}

// fetching makes a server on the internet fetch the URL in a member, from any address.
func fetching(name, row, scheme string) Flaw {
	return Flaw{
		Name: "dcr-fetches-" + name, Says: "A server on the internet fetches " + row + " from its own machine.", Row: row,
		Bend: func(o *reference.Options) {
			o.Host = Public
			member, _, _ := strings.Cut(row, " ")
			o.Behaviour.Fetches = func(m, uri string) bool { return m == member && strings.HasPrefix(uri, scheme+"://127.0.0.1") }
		},
		Noticed: []string{"AS-DCR-SSRF-METADATA-URLS"},
	}
}

// failing answers with a server error after it has fetched.
func failing(f Flaw) Flaw {
	f.Name, f.Bend = f.Name+"-and-fails", all(f.Bend, wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		names := strings.Contains(string(answer.Peek(r)), `"jwks_uri":"http://127.0.0.1`)
		if a := answer.Of(next, r); names && strings.HasSuffix(r.URL.Path, "/register") {
			http.Error(w, "the key set cannot be read", http.StatusInternalServerError)
		} else {
			a.Send(w)
		}
	}))
	return f
}

// managing accepts another token than the registration's own for its management.
func managing(name, says, row string, with func(method, token, own string) bool) Flaw {
	return Flaw{
		Name: "dcrm-" + name, Says: says, Row: row, Noticed: []string{"AS-DCRM-TOKEN-REQUIRED"},
		Also: []string{"AS-DCR-METHODS", "AS-DCRM-DELETE"},
		Bend: behaviour(func(b *idp.Behaviour) { b.Manages = with }),
	}
}

// derivedToken makes the registration access token from the client_id, which everybody sees in authorization requests.
func derivedToken(name, row string, of func(clientID string) string) Flaw {
	return Flaw{
		Name: "dcrm-token-" + name, Says: "The registration access token is " + row + ".", Row: row, Noticed: []string{"AS-DCRM-TOKEN-REQUIRED"},
		Bend: behaviour(func(b *idp.Behaviour) { b.ManagementTokenOf = of }),
	}
}

// updating stores a member of an update without validation.
func updating(name, says, row, member string) Flaw {
	return Flaw{
		Name: "dcrm-update-" + name, Says: says, Row: row, Noticed: []string{"AS-DCRM-UPDATE-REVALIDATES"},
		Bend: behaviour(func(b *idp.Behaviour) { b.UpdateKeeps = member }),
	}
}

// outliving keeps something of a client valid after the client is deleted.
func outliving(name, says, row string) Flaw {
	return Flaw{
		Name: "dcrm-deleted-" + name, Says: says, Row: row, Noticed: []string{"AS-DCRM-DELETE"},
		Bend: behaviour(func(b *idp.Behaviour) { b.KeepsOfDeleted = name }),
	}
}

// choosing keeps a client's value for a member that the server must choose.
func choosing(name, says, row, member string) Flaw {
	return Flaw{
		Name: "dcr-chosen-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-NO-CLIENT-CHOSEN-IDS"}, Also: []string{"AS-DCRM-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.KeepsChosen = member }),
	}
}

// statementBelieved accepts metadata from an unverified software statement.
func statementBelieved(name, says, row string, of func(header map[string]any, signature string) bool) Flaw {
	return Flaw{
		Name: "dcr-believes-" + name, Says: says, Row: row, Noticed: []string{"AS-DCR-SOFTWARE-STATEMENT"},
		Bend: behaviour(func(b *idp.Behaviour) { b.BelievesStatement = of }),
	}
}

// confirming confirms a grant type that involves no user.
func confirming(name, row, grant string) Flaw {
	return Flaw{
		Name: "dcr-confirms-" + name, Says: "A client that registers itself is confirmed the grant " + grant + ".", Row: row,
		Bend:    behaviour(func(b *idp.Behaviour) { b.ConfirmsGrant = func(g string) bool { return g == grant } }),
		Noticed: []string{"AS-DCR-NO-PRIVILEGED-GRANTS"},
	}
}

var registrationRights = []Flaw{
	confirming("client-credentials", "client_credentials", "client_credentials"),
	confirming("token-exchange", "token exchange", "urn:ietf:params:oauth:grant-type:token-exchange"),
	confirming("password", "password", "password"),
	confirming("jwt-bearer", "jwt-bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
	{
		Name: "dcr-confirms-any-scope", Says: "A scope that does not exist is confirmed.", Row: "an unknown scope",
		Bend:    behaviour(func(b *idp.Behaviour) { b.RegistersScope = func(string) bool { return true } }),
		Noticed: []string{"AS-DCR-SCOPE-LIMITS"}, Also: []string{"AS-SCOPE-*"},
	},
	choosing("new-id", "A client chooses its client_id.", "a client_id that does not exist", "client_id"),
	choosing("secret", "A client chooses its secret.", "a client_secret", "client_secret"),
	choosing("management-token", "A client chooses its registration_access_token.", "a registration_access_token",
		"registration_access_token"),

	statementBelieved("none", "Statements with alg none are accepted.", "an unsigned statement",
		func(h map[string]any, _ string) bool { return h["alg"] == "none" }),
	statementBelieved("key-in-header", "Statements are verified with the key in their header.", "a statement with the key in its header",
		func(h map[string]any, _ string) bool { return h["jwk"] != nil }),
	statementBelieved("any-signature", "Statements with any signature are accepted.", "a statement signed with an unknown key",
		func(h map[string]any, signature string) bool { return h["jwk"] == nil && signature != "" }),
	statementBelieved("no-signature", "Statements without a signature are accepted.", "a statement without its signature",
		func(h map[string]any, signature string) bool { return h["alg"] != "none" && signature == "" }),

	{
		Name: "dcr-tells-by-query", Says: "GET with a client_id in the query tells anybody of that client.",
		Row:  "GET with client_id in the query",
		Bend: behaviour(func(b *idp.Behaviour) { b.TellsOf = "query" }), Noticed: []string{"AS-DCR-METHODS"},
	},
	{
		Name: "dcr-tells-by-path", Says: "GET with a client_id in the path tells anybody of that client.", Row: "GET with client_id in the path",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.TellsOf = "path"
			b.Response = func(_ string, members map[string]any) { // no client configuration endpoint: it would be the same address
				delete(members, "registration_client_uri")
				delete(members, "registration_access_token")
			}
		}),
		Noticed: []string{"AS-DCR-METHODS"},
	},
	{
		Name: "dcr-registers-by-put", Says: "PUT registers a client too.", Row: "PUT",
		Bend: behaviour(func(b *idp.Behaviour) { b.RegistersByPut = true }), Noticed: []string{"AS-DCR-METHODS"},
	},

	failing(fetching("keys", "jwks_uri by http", "http")),
	fetching("keys", "jwks_uri by http", "http"),
	fetching("keys-by-https", "jwks_uri by https", "https"),
	fetching("logo", "logo_uri by http", "http"),
	fetching("logo-by-https", "logo_uri by https", "https"),
	fetching("sector", "sector_identifier_uri by https", "https"),
	fetching("policy", "policy_uri by http", "http"),
	fetching("terms", "tos_uri by http", "http"),
	fetching("requests", "request_uris by https", "https"),
	fetching("sector-by-http", "sector_identifier_uri by http", "http"),
	fetching("policy-by-https", "policy_uri by https", "https"),
	fetching("terms-by-https", "tos_uri by https", "https"),
	fetching("requests-by-http", "request_uris by http", "http"),

	managing("read-by-anybody", "A registration can be read without its token.", "GET, no token",
		func(method, token, _ string) bool { return method == http.MethodGet && token == "" }),
	managing("changed-by-anybody", "A registration can be changed without its token.", "PUT, no token",
		func(method, token, _ string) bool { return method == http.MethodPut && token == "" }),
	managing("deleted-by-anybody", "A registration can be deleted without its token.", "DELETE, no token",
		func(method, token, _ string) bool { return method == http.MethodDelete && token == "" }),
	managing("made-up-token", "A made-up token manages a registration.", "a made-up token",
		func(_, token, own string) bool {
			return strings.Contains(token, "-") && len(token) != len(own) && !strings.Contains(token, ".")
		}),
	managing("access-token", "An access token manages a registration.", "an access token",
		func(_, token, _ string) bool { return strings.Count(token, ".") == 2 }),
	managing("beginning", "A registration token is known by its beginning.", "the last character left out",
		func(_, token, own string) bool { return len(token) > 8 && strings.HasPrefix(own, token) }),
	managing("longer", "What follows a registration token is not compared.", "one character more",
		func(_, token, own string) bool { return strings.HasPrefix(token, own) }),
	managing("letter-case", "Registration tokens are compared without regard to letter case.", "upper and lower case swapped",
		func(_, token, own string) bool { return strings.EqualFold(token, own) }),
	managing("length", "Registration tokens are compared by length.", "the first character changed",
		func(_, token, own string) bool { return len(token) == len(own) && token[1:] == own[1:] }),
	derivedToken("client-id", "the client_id", func(id string) string { return id }),
	derivedToken("base64", "the client_id in base64", func(id string) string { return base64.StdEncoding.EncodeToString([]byte(id)) }),
	derivedToken("base64url", "the client_id in base64url",
		func(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }),
	derivedToken("md5", "the MD5 of the client_id", func(id string) string { return fmt.Sprintf("%x", md5.Sum([]byte(id))) }),
	derivedToken("sha1", "the SHA-1 of the client_id", func(id string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(id))) }),
	derivedToken("sha256", "the SHA-256 of the client_id", func(id string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(id))) }),

	updating("redirects", "An update stores any redirect URI.", "a javascript: redirect URI", "redirect_uris"),
	seenIn("an http redirect URI", updating("http", "An update stores an http redirect URI.", "", "redirect_uris")),
	seenIn("a redirect URI with a fragment", updating("fragment", "An update stores a fragment.", "", "redirect_uris")),
	{
		Name: "dcrm-update-later-redirects", Says: "An update checks the first redirect URI only.",
		Row: "a javascript: redirect URI after a good one", Noticed: []string{"AS-DCRM-UPDATE-REVALIDATES"},
		Bend: behaviour(func(b *idp.Behaviour) { b.UpdateKeeps, b.UpdateChecksFirst = "redirect_uris", true }),
	},
	updating("grants", "An update stores any grant type.", "the grant client_credentials", "grant_types"),
	updating("identifier", "An update changes the client_id.", "another client_id", "client_id"),
	updating("secret", "An update stores a secret of the client's choice.", "a client_secret of its own choice", "client_secret"),

	outliving("client", "A deleted client is still known.", "the authorization endpoint"),
	outliving("refresh", "The refresh token of a deleted client works.", "the refresh token"),
	outliving("access", "The access token of a deleted client works.", "the access token"),
	outliving("registration", "The registration of a deleted client can be read.", "reading the registration"),
}
