package flaws

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// issuedRows are authorization servers without one defence. Each turns one row of a table, as in wholeTables.
var issuedRows = []Flaw{
	follows(anyOf("assertion-believed-always", "Any assertion is accepted.", behaviour(func(b *idp.Behaviour) {
		b.Believes = func(_, _ map[string]any) bool { return true }
	}), "AS-EMA-CLAIMS-REJECTED", "AS-EMA-SIGNATURE-REJECTED", "AS-CC-ASSERTION-REJECTED", "AS-TOKEN-WRONG-SECRET"),
		"AS-CIMD-KEY-AUTH-ENFORCED"),
	follows(anyOf("assertion-broken", "Any text, or an assertion without a type, authenticates its client.", behaviour(func(b *idp.Behaviour) {
		b.TakesAssertion = func(form url.Values) bool {
			return strings.Count(form.Get("client_assertion"), ".") != 2 || len(form.Get("client_assertion_type")) != assertionTypeLength
		}
	}), "AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-TOKEN-WRONG-SECRET"),
		"AS-CC-SECRET-FLOW", "AS-DCR-SECRET-WORKS", "AS-DEVICE-GRANT", "AS-INTROSPECT-*", "AS-PAR-BASIC", "AS-REFRESH-CONFIDENTIAL-AUTH",
		"AS-REVOKE-CLIENT-AUTH", "AS-TOKEN-*", "AS-TX-VALIDATION"),
	follows(anyOf("exchange-of-anything", "A subject token is not looked at.", behaviour(func(b *idp.Behaviour) {
		b.TakesSubject = func(string) bool { return true }
	}), "AS-TX-VALIDATION")),
	{
		Name: "dcrm-nearly", Says: "A registration can be managed with a token that resembles its own.",
		Noticed: []string{"AS-DCRM-TOKEN-REQUIRED"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Manages = func(_, token, own string) bool { return token != "" && resembles(own, token) }
		}),
		Also: []string{"AS-DCR-METHODS", "AS-DCRM-DELETE"},
		Rows: []string{
			"PUT, the client's token, the first character changed",
			"PUT, the client's token, upper and lower case swapped",
			"DELETE, the client's token, the first character changed",
			"DELETE, the client's token, the middle character changed",
			"DELETE, the client's token, the last character changed",
			"DELETE, the client's token, the last character left out",
			"DELETE, the client's token, the first character left out",
			"DELETE, the client's token, one character more",
			"DELETE, the client's token, one character before it",
			"DELETE, the client's token, upper and lower case swapped",
		},
	},
	follows(anyOf("introspect-all-active", "Introspection calls every token active.", responses("/introspect", func(m map[string]any) {
		m["active"] = true
	}), "AS-INTROSPECT-INACTIVE"), "AS-INTROSPECT-OTHER-CLIENT", "AS-TOKEN-EXPIRY-ENFORCED"),
	follows(anyOf("introspect-tells-all", "Introspection names the user of an inactive token.",
		responses("/introspect", func(m map[string]any) {
			if m["active"] == false {
				m["sub"] = "alice"
			}
		}), "AS-INTROSPECT-NO-LEAK"), "AS-INTROSPECT-OTHER-CLIENT"),
	follows(anyOf("introspect-knows-all-hints", "With an unknown hint, introspection finds no token.", atEndpoint("/introspect",
		func(form url.Values, _ *http.Request) {
			if hint := form.Get("token_type_hint"); hint != "" && hint != "access_token" && hint != "refresh_token" {
				form.Set("token", "unknown")
			}
		}), "AS-INTROSPECT-REQUEST-FORM")),
	follows(anyOf("userinfo-of-anybody", "Userinfo answers to any credential.", wrapping(
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/userinfo") && r.Header.Get("Authorization") != "" {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"sub":"alice"}`))
				return
			}
			next.ServeHTTP(w, r)
		}), "AS-USERINFO-UNAUTHENTICATED", "AS-USERINFO-TOKEN-STATE", "AS-TOKEN-TYPE-CONFUSION"),
		"AS-CC-SUBJECT-DISTINCT", "AS-TOKEN-EXPIRY-ENFORCED", "AS-USERINFO-*"),
	follows(anyOf("userinfo-phone-and-address", "Userinfo shows the phone number and the address without their scopes.",
		all(metadata(func(d map[string]any) {
			listed, _ := d["scopes_supported"].([]string)
			d["scopes_supported"] = append(slices.Clone(listed), "phone", "address")
		}), responses("/userinfo", func(m map[string]any) {
			m["phone_number"], m["address"] = "+1 202 555 0100", map[string]any{"formatted": "1 Main Street"}
		})), "AS-USERINFO-SCOPES")),
	follows(anyOf("any-opaque-token", "The MCP server accepts any text as a token.", lacks(mcpserver.VerifyTokens),
		"AS-TOKEN-TYPE-CONFUSION", "RS-TOKEN-REFRESH-OR-CODE"),
		"AS-DCRM-DELETE", "AS-REFRESH-*", "AS-REVOKE-*", "AS-TOKEN-*", "RS-APIKEY-REJECTED", "RS-AUD-*", "RS-CHALLENGE-*", "RS-DPOP-*",
		"RS-ELICIT-*", "RS-EXT-*", "RS-MULTI-*", "RS-PASS-*", "RS-SCOPE-*", "RS-SESSION-*", "RS-STATIC-*", "RS-TOKEN-*",
		"RS-TRANSPORT-CONNECTION-IDENTITY"),
	follows(anyOf("revoke-from-query", "A token is read from the query of a revocation.", atEndpoint("/revoke",
		func(form url.Values, r *http.Request) {
			maps.Copy(form, r.URL.Query())
		}), "AS-REVOKE-REQUEST-FORM")),
	follows(anyOf("revoke-needs-hint", "Without a hint, nothing is revoked.", atEndpoint("/revoke", func(form url.Values, _ *http.Request) {
		if !form.Has("token_type_hint") {
			form.Set("token", "unknown")
		}
	}), "AS-REVOKE-HINTS"), "AS-INTROSPECT-INACTIVE", "AS-REFRESH-REVOKED", "AS-REVOKE-*", "AS-USERINFO-TOKEN-STATE", "RS-TOKEN-REVOKED"),
	follows(anyOf("cimd-takes-any-redirect", "Any redirect URI is accepted.", behaviour(func(b *idp.Behaviour) {
		b.TakesRedirect = func(_, _ string) bool { return true }
	}), "AS-CIMD-REDIRECT-LISTED"), "AS-AUTHZ-LOOPBACK-STRICT", "AS-AUTHZ-REDIRECT-*", "AS-PAR-BASIC"),
	follows(anyOf("keys-without-material", "Each published key lacks its numbers.", eachKey(func(k map[string]any) {
		delete(k, "n")
		delete(k, "x")
	}), "AS-KEYS-JWKS-SHAPE"), "AS-KEYS-JWT-SIGNATURE", "AS-META-SIGNED-METADATA"),
	follows(anyOf("keys-on-weak-curves", "Each published key is on a curve of 192 bits.",
		eachKey(func(k map[string]any) { k["crv"] = "P-192" }),
		"AS-KEYS-STRENGTH"), "AS-KEYS-JWT-SIGNATURE"),
	follows(anyOf("id-token-weak-secret", "ID tokens are signed with the secret of an example.",
		answers(reseal("id_token", `{"alg":"HS256"}`, []byte("your-jwt-secret-key"))), "AS-KEYS-NO-WEAK-HMAC"), "AS-KEYS-JWT-SIGNATURE"),
	weaklySealed("refresh", "a refresh", "AS-REFRESH-*", "AS-REVOKE-*"), weaklySealed("credentials", "client_credentials", "AS-CC-*"),
	{
		Name: "scope-before-revocation", Says: "A revoked token that lacks the scope, too, is answered 403.", Row: "a revoked token at",
		Bend: lacks(mcpserver.RevocationFirst), Noticed: []string{"RS-TOKEN-REVOKED"}, Also: []string{"AS-REVOKE-*"},
	},
	nowhere("token_endpoint", "AS-CC-*", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-PKCE-S256-ACCEPTED", "AS-TOKEN-*"),
	nowhere("revocation_endpoint", "AS-REVOKE-*"), nowhere("introspection_endpoint", "AS-INTROSPECT-*"),
	follows(anyOf("revoke-once", "A second revocation of a token is an error.", wrapping(revokingOnce()), "AS-REVOKE-UNKNOWN-200")),
	follows(anyOf("revoke-for-public-clients", "Confidential clients cannot revoke.", wrapping(
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body := string(answer.Peek(r))
			if strings.HasSuffix(r.URL.Path, "/revoke") && (r.Header.Get("Authorization") != "" || strings.Contains(body, "client_secret=")) {
				http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		}), "AS-REVOKE-CLIENT-AUTH"), "AS-REVOKE-*"),
	follows(anyOf("resource-of-any-form", "Any requested resource becomes the audience.", all(
		lacks(idp.ResourceForm, idp.KnownResources, idp.WholeResource), lacks(mcpserver.CheckAudience)), "AS-RES-MALFORMED"),
		"AS-RES-*", "AS-TOKEN-AUD-NOT-UNIVERSAL", "RS-AUD-*", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-HMAC-MODE",
		"RS-TOKEN-ID-TOKEN"),
	follows(anyOf("resource-of-any-request", "A token request brings a token for whatever resource it names.",
		lacks(idp.CodeResources, idp.KnownResourceAtToken, idp.KnownResources), "AS-RES-SWITCH-AT-TOKEN"),
		"AS-CC-SECRET-FLOW", "AS-RES-UNKNOWN-TARGET"),
	follows(anyOf("dcr-errors-everywhere", "Every refused registration is answered 422.", wrapping(
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/register") {
				next.ServeHTTP(w, r)
				return
			}
			a := answer.Of(next, r)
			if a.Status >= 400 {
				a.Status = http.StatusUnprocessableEntity
			}
			a.Send(w)
		}), "AS-DCR-ERROR-SHAPE"), "AS-DCR-*"),
	deletedBy("middle-character", "the client's token, the middle character changed", weakComparisons[1].same),
	deletedBy("last-character", "the client's token, the last character changed", weakComparisons[2].same),
	deletedBy("end", "the client's token, the first character left out", weakComparisons[4].same),
	deletedBy("preceded", "the client's token, one character before it", weakComparisons[6].same),
	deletedBy("another", "the token of another client", func(own, token string) bool {
		return len(own) == len(token) && !resembles(own, token)
	}),
	fetchedNowhere("ftp"), fetchedNowhere("file"), fetchedNowhere("data"),
	quotesRefused("scope"), quotesRefused("response_type"), quotesInCrash("response_type"), quotesRefused("resource"),
	crashesOnScope("quotation-mark", "a quotation mark", func(scope string) bool { return strings.Contains(scope, `"`) }),
	crashesOnScope("backslash", "a backslash", func(scope string) bool { return strings.Contains(scope, `\`) }),
	crashesOnScope("two-spaces", "two spaces", func(scope string) bool { return strings.Contains(scope, "  ") }),
	crashesOnScope("long", "2,000 scopes", func(scope string) bool { return len(scope) > 3000 }),
	{
		Name: "scope-tabs", Says: "Scopes may be separated by tabs.", Row: "a tab",
		Bend:    reads(func(q url.Values) { q.Set("scope", strings.ReplaceAll(q.Get("scope"), "\t", " ")) }),
		Noticed: []string{"AS-SCOPE-SYNTAX"}, Also: []string{"AS-AUTHZ-EMPTY-PARAMS", "AS-SCOPE-*"},
	},
}

const assertionTypeLength = len("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")

func anyOf(name, says string, bend func(o *reference.Options), noticed ...string) Flaw {
	return Flaw{Name: name, Says: says, Bend: bend, Noticed: noticed}
}

// follows narrows who else may notice a flaw to what a whole run has shown.
func follows(f Flaw, also ...string) Flaw {
	f.Also = also
	return f
}

// weaklySealed signs the access tokens of one grant with the secret of an example.
func weaklySealed(grant, row string, also ...string) Flaw {
	return Flaw{
		Name: "token-weak-secret-of-" + grant, Says: "The access tokens of one grant are signed with the secret of an example: " + row + ".",
		Row: row, Noticed: []string{"AS-KEYS-NO-WEAK-HMAC", "AS-KEYS-JWT-SIGNATURE"}, Also: also,
		Bend: responses(grant, reseal("access_token", `{"alg":"HS256"}`, []byte("your-jwt-secret-key"))),
	}
}

// deletedBy lets the bearer of a token that resembles a client's own token delete the client.
func deletedBy(name, row string, same func(own, token string) bool) Flaw {
	return managing("delete-by-"+name, "A client is deleted by who has another token than its own: "+name+".", "DELETE, "+row,
		func(method, token, own string) bool {
			return method == http.MethodDelete && token != own && same(own, token)
		})
}

// eachKey changes each published key.
func eachKey(bend func(k map[string]any)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) {
		b.JWKS = func(d map[string]any) {
			for _, k := range d["keys"].([]any) {
				bend(k.(map[string]any))
			}
		}
	})
}

// nowhere is dangling for an endpoint that everything else needs.
func nowhere(member string, also ...string) Flaw { return follows(dangling(member, ""), also...) }

// revokingOnce refuses to revoke a token that it has seen.
func revokingOnce() func(w http.ResponseWriter, r *http.Request, next http.Handler) {
	var seen sync.Map
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/revoke") {
			form, _ := url.ParseQuery(string(answer.Peek(r))) // an incomplete form is enough
			if _, again := seen.LoadOrStore(form.Get("token"), true); again && form.Has("token") {
				http.Error(w, `{"error":"invalid_token"}`, http.StatusBadRequest)
				return
			}
		}
		next.ServeHTTP(w, r)
	}
}

// atEndpoint changes the form of a request to an endpoint.
func atEndpoint(path string, change func(form url.Values, r *http.Request)) func(o *reference.Options) {
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, path) && r.Method == http.MethodPost {
			form, err := url.ParseQuery(string(answer.Peek(r)))
			if err == nil {
				change(form, r)
				replaceBody(r, form.Encode())
			}
		}
		next.ServeHTTP(w, r)
	})
}

// fetchedNowhere accepts an address with another scheme as a client, whether or not a document is there.
func fetchedNowhere(scheme string) Flaw {
	return Flaw{
		Name: "cimd-address-" + scheme, Says: "A client is known by an address of the scheme " + scheme + ".", Row: scheme,
		Noticed: []string{"AS-CIMD-REJECT-BAD-URL"}, Also: []string{"AS-CIMD-*"},
		Bend: all(lacks(idp.DocumentFailures), behaviour(func(b *idp.Behaviour) {
			b.TakesDocumentURL = func(id string) bool { return strings.HasPrefix(id, scheme+":") }
		})),
	}
}

// quotesRefused shows a signed-in user a refused parameter without escaping.
func quotesRefused(parameter string) Flaw {
	return quotesWith(http.StatusBadRequest, "quotes-refused-"+parameter, "The refusal of "+parameter+" shows it as markup.", parameter)
}

// quotesInCrash shows a signed-in user a parameter without escaping, in a server error.
func quotesInCrash(parameter string) Flaw {
	return quotesWith(http.StatusInternalServerError, "quotes-in-crash-"+parameter, "A server error shows "+parameter+" as markup.", parameter)
}

func quotesWith(status int, name, says, parameter string) Flaw {
	return at("AS-AUTHZ-REFLECTED-XSS", name, says,
		parameter+" of a signed-in user", wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			v := r.URL.Query().Get(parameter)
			if !atAuthorization(r) || r.Header.Get("Cookie") == "" || !strings.Contains(v, "<svg") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<!doctype html><title>Error</title><p>This is not known: " + v))
		}))
}

func crashesOnScope(name, row string, on func(scope string) bool) Flaw {
	return Flaw{
		Name: "scope-crash-" + name, Says: "A scope crashes the server: " + row + ".", Row: row,
		Bend:    crashes(func(r *http.Request) bool { return on(r.URL.Query().Get("scope")) }),
		Noticed: []string{"AS-SCOPE-SYNTAX"}, Also: []string{"AS-AUTHZ-*"},
	}
}
