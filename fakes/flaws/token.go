package flaws

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// tokenRequest is a request to the token endpoint that a flaw may change or answer.
type tokenRequest struct {
	*http.Request
	body string
	form url.Values // of the body, if it is a form
}

// becomes makes the token endpoint read another form.
func (r *tokenRequest) becomes(form url.Values) {
	r.Method, r.URL.RawQuery, r.body = http.MethodPost, "", form.Encode()
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
}

// aroundToken wraps the token endpoint.
func aroundToken(serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					next.ServeHTTP(w, r)
					return
				}
				serve(w, r, next)
			})
		}
	}
}

// atToken runs a function before the token endpoint. The function answers a request and returns true, or passes it on.
func atToken(before func(w http.ResponseWriter, r *tokenRequest) bool) func(o *reference.Options) {
	return aroundToken(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		body, _ := io.ReadAll(io.LimitReader(req.Body, 4<<20)) // the endpoint refuses an incomplete body
		form, _ := url.ParseQuery(string(body))                // empty for any other body
		r := &tokenRequest{Request: req.Clone(req.Context()), body: string(body), form: form}
		if before(w, r) {
			return
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(r.body)), int64(len(r.body))
		next.ServeHTTP(w, r.Request)
	})
}

// tokenRewriting changes some requests before the token endpoint reads them.
func tokenRewriting(rewrite func(r *tokenRequest)) func(o *reference.Options) {
	return atToken(func(_ http.ResponseWriter, r *tokenRequest) bool { rewrite(r); return false })
}

// tokenAnswering makes the token endpoint answer some requests in this way.
func tokenAnswering(status int, mediaType, body string, which func(r *tokenRequest) bool) func(o *reference.Options) {
	return atToken(func(w http.ResponseWriter, r *tokenRequest) bool {
		if !which(r) {
			return false
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	})
}

func tokenRefusing(code string, which func(r *tokenRequest) bool) func(o *reference.Options) {
	return tokenAnswering(http.StatusBadRequest, "application/json", `{"error":"`+code+`"}`, which)
}

func tokenCrashing(which func(r *tokenRequest) bool) func(o *reference.Options) {
	return tokenAnswering(http.StatusInternalServerError, "text/plain", "panic", which)
}

// tokenHeaders changes the header of the token endpoint's answers.
func tokenHeaders(change func(r *http.Request, h http.Header)) func(o *reference.Options) {
	return aroundToken(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		change(r, w.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// tokenFlaw returns a flaw that one row of a check of the token endpoint notices.
func tokenFlaw(id, name, says, row string, bend func(o *reference.Options), also ...string) Flaw {
	return Flaw{Name: "token-" + name, Says: says, Row: row, Bend: bend, Noticed: []string{id}, Also: also}
}

func tokenHas(name, value string) func(r *tokenRequest) bool {
	return func(r *tokenRequest) bool { return r.form.Has(name) && r.form.Get(name) == value }
}

func refreshWith(name string) func(r *tokenRequest) bool {
	return func(r *tokenRequest) bool { return r.form.Get("grant_type") == "refresh_token" && r.form.Has(name) }
}

func ofMediaType(end string) func(r *tokenRequest) bool {
	return func(r *tokenRequest) bool { return strings.HasSuffix(r.Header.Get("Content-Type"), end) }
}

// isGrant matches requests of a grant with this parameter and no others that matter.
func isGrant(grant, name, value string) func(r *tokenRequest) bool {
	return func(r *tokenRequest) bool { return r.form.Get("grant_type") == grant && r.form.Get(name) == value }
}

func codeMatch(name, row string, same func(issued, sent string) bool) Flaw {
	return Flaw{
		Name: "code-matches-" + name, Says: "A code is accepted that nearly equals one: " + row + ".", Row: row,
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesCode = same }), Noticed: []string{"AS-TOKEN-INVALID-CODE"},
		Also: []string{"AS-TOKEN-DUPLICATE-PARAMS", "AS-TOKEN-TYPE-CONFUSION"},
	}
}

// answersWith changes the token response.
func answersWith(id, name, says, row string, bend func(members map[string]any), also ...string) Flaw {
	return tokenFlaw(id, name, says, row, responses("/token", bend), also...)
}

func forAYear(m map[string]any) { m["expires_in"] = 365 * 24 * 3600 }

// repeatedAtToken returns a flaw for each parameter that may be repeated, and each place of the wrong value.
func repeatedAtToken() (out []Flaw) {
	for _, grant := range []struct {
		kind, name, row string
		parameters      []string
	}{
		{"authorization_code", "", "", []string{"client_id", "code", "code_verifier", "grant_type", "redirect_uri"}},
		{"authorization_code", "", "a secret in the body, ", []string{"client_secret"}},
		{"refresh_token", "refreshing-", "a refresh, ", []string{"client_id", "grant_type", "refresh_token"}},
		{"refresh_token", "refreshing-", "a refresh with scope, ", []string{"scope"}},
		{"client_credentials", "credentials-", "client_credentials, ", []string{"grant_type", "scope"}},
		{"client_credentials", "assertion-", "an assertion, ", []string{"client_assertion", "client_assertion_type"}},
		{"urn:ietf:params:oauth:grant-type:token-exchange", "exchange-", "a token exchange, ",
			[]string{"grant_type", "subject_token", "subject_token_type"}},
		{"urn:ietf:params:oauth:grant-type:device_code", "device-", "a device, ", []string{"client_id", "device_code", "grant_type"}},
	} {
		for _, name := range grant.parameters {
			for place, row := range map[string]string{"first": "a wrong value last", "last": "the right value last"} {
				out = append(out, tokenFlaw("AS-TOKEN-DUPLICATE-PARAMS",
					"takes-"+grant.name+place+"-"+strings.ReplaceAll(name, "_", "-"),
					"Of a repeated "+name+" with the grant "+grant.kind+" the "+place+" value counts.", grant.row+name+" twice, "+row,
					tokenRewriting(takesOne(grant.kind, name, place))))
			}
		}
	}
	slices.SortFunc(out, func(a, b Flaw) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// takesOne makes the token endpoint read one of two values of a parameter, in the requests of a grant.
func takesOne(grant, name, place string) func(r *tokenRequest) {
	return func(r *tokenRequest) {
		if values := r.form[name]; len(values) == 2 && slices.Contains(r.form["grant_type"], grant) {
			r.form[name] = map[string][]string{"first": values[:1], "last": values[1:]}[place]
			r.becomes(r.form)
		}
	}
}

// readsJSON makes the token endpoint read JSON, and skip PKCE for some verifiers.
func readsJSON(name, row string, skips func(verifier any, is bool) bool) Flaw {
	says := "JSON is read, and PKCE skipped for " + row + "."
	return tokenFlaw("AS-TOKEN-JSON-BODY", "json-"+name, says, row, tokenRewriting(func(r *tokenRequest) {
		var members map[string]any
		if r.Header.Get("Content-Type") != "application/json" || json.Unmarshal([]byte(r.body), &members) != nil {
			return
		}
		verifier, is := members["code_verifier"]
		form := url.Values{}
		for member, v := range members {
			if text, ok := v.(string); ok {
				form.Set(member, text)
			}
		}
		if skips(verifier, is) {
			form.Set("skip_pkce", "1")
		}
		r.becomes(form)
	}))
}

func ofType[V any](v any, _ bool) bool { _, ok := v.(V); return ok }

var tokenRows = slices.Concat(
	matches(codeMatch),
	[]Flaw{
		codeMatch("made-up", "a code that was never issued", made(func(sent string) bool { return strings.HasPrefix(sent, "mcpauth-") })),
		codeMatch("spaced", "a code with a space", made(func(sent string) bool { return strings.HasPrefix(sent, "mcpauth ") })),
		codeMatch("empty", "an empty code", made(func(sent string) bool { return sent == "" })),
		inRows(codeMatch("inherited", "a member of every JavaScript object", made(inherited)), ofEveryObject...),
		operated(codeMatch("operated", "code[$regex]", evaluated), "code"),
		codeMatch("absent", "no code", made(func(sent string) bool { return sent == idp.NotSent })),
		tokenFlaw("AS-TOKEN-INVALID-CODE", "long-code-crashes", "A long code crashes the endpoint.", "a code of 64 kB",
			tokenCrashing(func(r *tokenRequest) bool { return len(r.form.Get("code")) == 64<<10 })),
		tokenFlaw("AS-TOKEN-INVALID-CODE", "nul-crashes", "A NUL in a code crashes the endpoint.", "NUL and quotes",
			tokenCrashing(func(r *tokenRequest) bool { return strings.Contains(r.form.Get("code"), "\x00'") })),
	},
	repeatedAtToken(),
	[]Flaw{
		readsJSON("wrong", "a wrong verifier", ofType[string]),
		readsJSON("verifier-null", "a verifier of null", func(v any, is bool) bool { return is && v == nil }),
		readsJSON("array", "an array as verifier", ofType[[]any]),
		readsJSON("number", "a number as verifier", ofType[float64]),
		readsJSON("absent", "no verifier", func(_ any, is bool) bool { return !is }),
		tokenFlaw("AS-TOKEN-JSON-BODY", "parts", "multipart/form-data is read, without PKCE.", "a wrong verifier in multipart/form-data",
			tokenRewriting(func(r *tokenRequest) {
				if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
					return
				}
				form := url.Values{"skip_pkce": {"1"}}
				for _, part := range strings.Split(r.body, "name=\"")[1:] {
					name, value, _ := strings.Cut(part, "\"\r\n\r\n")
					value, _, _ = strings.Cut(value, "\r\n")
					form.Set(name, value)
				}
				r.becomes(form)
			})),
		tokenFlaw("AS-TOKEN-JSON-BODY", "text", "A form is read as text/plain too, without PKCE.", "a wrong verifier in text/plain",
			tokenRewriting(func(r *tokenRequest) {
				if r.Header.Get("Content-Type") == "text/plain" {
					r.form.Set("skip_pkce", "1")
					r.becomes(r.form)
				}
			})),
	},
	[]Flaw{
		tokenFlaw("AS-TOKEN-POST-ONLY", "by-get", "GET brings tokens.", "GET with everything in the query", tokenRewriting(func(r *tokenRequest) {
			if r.Method == http.MethodGet {
				r.becomes(r.URL.Query())
			}
		})),
		tokenFlaw("AS-TOKEN-POST-ONLY", "refresh-by-get", "GET refreshes.", "a refresh, GET with everything in the query",
			tokenRewriting(func(r *tokenRequest) {
				if q := r.URL.Query(); r.Method == http.MethodGet && q.Get("grant_type") == "refresh_token" {
					r.becomes(q)
				}
			})),
		tokenFlaw("AS-TOKEN-POST-ONLY", "refresh-by-query", "The query of a refresh is read instead of an empty body.",
			"a refresh, POST with everything in the query", tokenRewriting(func(r *tokenRequest) {
				if q := r.URL.Query(); r.body == "" && q.Get("grant_type") == "refresh_token" {
					r.becomes(q)
				}
			})),
		tokenFlaw("AS-TOKEN-POST-ONLY", "by-query", "The query is read instead of an empty body.", "POST with everything in the query",
			tokenRewriting(func(r *tokenRequest) {
				if r.body == "" && r.URL.RawQuery != "" {
					r.becomes(r.URL.Query())
				}
			})),
		tokenFlaw("AS-TOKEN-POST-ONLY", "secret-by-query", "A client_secret is read from the query.", "client_secret in the query",
			tokenRewriting(func(r *tokenRequest) {
				if secret := r.URL.Query().Get("client_secret"); secret != "" && r.body != "" {
					r.form.Set("client_secret", secret)
					r.becomes(r.form)
				}
			})),
		tokenFlaw("AS-TOKEN-CONTENT-TYPE", "no-charset", "A charset after a semicolon and a space is refused.", "with a charset",
			tokenRefusing("invalid_request", ofMediaType("; charset=UTF-8"))),
		tokenFlaw("AS-TOKEN-CONTENT-TYPE", "no-close-charset", "A charset without a space before it is refused.", "with a charset and no space",
			tokenRefusing("invalid_request", ofMediaType(";charset=utf-8"))),
		tokenFlaw("AS-TOKEN-CONTENT-TYPE", "media-type-case", "The comparison of the media type is case-sensitive.", "in upper case",
			tokenRefusing("invalid_request", func(r *tokenRequest) bool { return strings.HasPrefix(r.Header.Get("Content-Type"), "App") })),
		tokenFlaw("AS-TOKEN-CONTENT-TYPE", "parameter-order", "grant_type must not be the last parameter.", "the parameters in reverse order",
			tokenRefusing("invalid_request", func(r *tokenRequest) bool { return strings.HasSuffix(r.body, "&grant_type=authorization_code") })),
		tokenFlaw("AS-TOKEN-CONTENT-TYPE", "undecoded", "Codes are not decoded.", "every character of the code percent-encoded",
			tokenRefusing("invalid_grant", func(r *tokenRequest) bool { return strings.Contains(r.body, "&code=%") })),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "unknown-refused-at-refresh", "A refresh with an unknown parameter is refused.",
			"a refresh, an unknown parameter", tokenRefusing("invalid_request", refreshWith("mcpauth_x"))),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "empty-audience-refused-at-refresh", "A refresh with an empty audience is refused.",
			"a refresh, an empty parameter of another grant", tokenRefusing("invalid_request", refreshWith("audience"))),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "empty-scope-refused-at-refresh", "A refresh with an empty scope is refused.",
			"a refresh, an empty scope", tokenRefusing("invalid_scope", func(r *tokenRequest) bool {
				return refreshWith("scope")(r) && r.form.Get("scope") == ""
			})),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "unknown-refused", "Unknown parameters are refused.", "an unknown parameter",
			tokenRefusing("invalid_request", func(r *tokenRequest) bool { return r.form.Has("mcpauth_x") })),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "empty-audience-refused", "An empty audience is refused.", "an empty parameter of another grant",
			tokenRefusing("invalid_target", tokenHas("audience", ""))),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "empty-scope-counts", "An empty scope is read as a scope with an empty name.", "an empty scope",
			tokenRefusing("invalid_scope", tokenHas("scope", ""))),
		tokenFlaw("AS-TOKEN-UNKNOWN-AND-EMPTY", "empty-secret-counts", "An empty secret of a public client is refused.", "an empty client_secret",
			tokenRefusing("invalid_client", tokenHas("client_secret", "")), "AS-CC-*", "AS-REFRESH-*"),
	},
	[]Flaw{
		tokenFlaw("AS-TOKEN-GRANT-TYPE-ERRORS", "unknown-grant-invalid-request", "An unknown grant type gets invalid_request.",
			"an unknown grant_type", tokenRefusing("invalid_request", tokenHas("grant_type", "mcpauth_bogus"))),
		tokenFlaw("AS-TOKEN-GRANT-TYPE-ERRORS", "no-grant-crashes", "A request without grant_type crashes the endpoint.", "no grant_type",
			tokenCrashing(func(r *tokenRequest) bool { return r.form.Has("code") && !r.form.Has("grant_type") })),
		tokenFlaw("AS-TOKEN-GRANT-TYPE-ERRORS", "empty-body-crashes", "An empty body crashes the endpoint.", "an empty body",
			tokenCrashing(func(r *tokenRequest) bool { return r.Method == http.MethodPost && r.body == "" && r.URL.RawQuery == "" }), "AS-META-*"),
		tokenFlaw("AS-TOKEN-GRANT-TYPE-ERRORS", "grant-case", "The comparison of grant types ignores letter case.", "grant_type in upper case",
			tokenRefusing("invalid_request", tokenHas("grant_type", "AUTHORIZATION_CODE"))),
		tokenFlaw("AS-TOKEN-ERROR-SHAPE", "code-404", "An unknown code is answered 404.", "an unknown code",
			tokenAnswering(404, "application/json", `{"error":"invalid_grant"}`, isGrant("authorization_code", "code", "mcpauth"))),
		tokenFlaw("AS-TOKEN-ERROR-SHAPE", "refresh-detail", "An unknown refresh token is answered by the framework.", "an unknown refresh token",
			tokenAnswering(422, "application/json", `{"detail":"no such token"}`, isGrant("refresh_token", "refresh_token", "mcpauth"))),
		tokenFlaw("AS-TOKEN-ERROR-SHAPE", "grant-in-html", "An unknown grant type is answered with a page.", "an unknown grant type",
			tokenAnswering(400, "text/html", `{"error":"unsupported_grant_type"}`, tokenHas("grant_type", "mcpauth_bogus")),
			"AS-TOKEN-GRANT-TYPE-ERRORS"),
		tokenFlaw("AS-TOKEN-ERROR-SHAPE", "own-code", "A request without grant_type gets an error code of the server's own.", "no grant type",
			tokenRefusing("grant_missing", func(r *tokenRequest) bool { return len(r.form) > 0 && !r.form.Has("grant_type") }),
			"AS-TOKEN-GRANT-TYPE-ERRORS"),
		tokenFlaw("AS-TOKEN-ERROR-NO-LEAK", "echoes-verifier", "An error repeats the verifier.", "an unknown code",
			atToken(func(w http.ResponseWriter, r *tokenRequest) bool {
				body := `{"error":"invalid_grant","error_description":"` + r.form.Get("code_verifier") + `"}`
				return tokenEcho(w, body, isGrant("authorization_code", "code", "mcpauth")(r))
			}), "AS-CONSENT-*"),
		tokenFlaw("AS-TOKEN-ERROR-NO-LEAK", "echoes-refresh-token", "An error repeats the refresh token.", "an unknown refresh token",
			atToken(func(w http.ResponseWriter, r *tokenRequest) bool {
				body := `{"error":"invalid_grant","error_description":"` + r.form.Get("refresh_token") + `"}`
				return tokenEcho(w, body, strings.HasPrefix(r.form.Get("refresh_token"), "mcpauth-"))
			})),
		tokenFlaw("AS-TOKEN-ERROR-NO-LEAK", "crash-shows-internals", "A server error shows where in the program it happened.", "quotes as code",
			tokenAnswering(http.StatusInternalServerError, "text/plain", "Traceback (most recent call last)", tokenHas("code", `'"`))),
		tokenFlaw("AS-TOKEN-ERROR-NO-LEAK", "sql", "An error shows the query.", "quotes as code",
			tokenAnswering(400, "application/json", `{"error":"invalid_grant","error_description":"SELECT * FROM codes"}`, tokenHas("code", `'"`))),
		tokenFlaw("AS-TOKEN-OVERSIZED", "big-code", "A code of 2 MiB crashes the endpoint.", "a code of 2 MiB",
			tokenCrashing(func(r *tokenRequest) bool { return len(r.form.Get("code")) > 1<<20 })),
		tokenFlaw("AS-TOKEN-OVERSIZED", "many-parameters", "Many parameters crash the endpoint.", "20,000 parameters",
			tokenCrashing(func(r *tokenRequest) bool { return strings.Count(r.body, "&a=b") > 10_000 })),
		tokenFlaw("AS-TOKEN-OVERSIZED", "bad-encoding", "Invalid percent-encoding crashes the endpoint.", "invalid percent-encoding",
			tokenCrashing(func(r *tokenRequest) bool { return strings.Contains(r.body, "%ZZ") })),
		tokenFlaw("AS-TOKEN-OVERSIZED", "nul", "A NUL crashes the endpoint.", "NUL in a value",
			tokenCrashing(func(r *tokenRequest) bool { return strings.Contains(r.form.Get("code"), "\x00b") })),
	},
	[]Flaw{
		tokenFlaw("AS-TOKEN-INVALID-CLIENT-BASIC", "basic-bad-base64", "Basic that is not base64 is answered 404.", "Basic with no base64",
			tokenAnswering(404, "application/json", `{"error":"invalid_client"}`, tokenBasic("Basic !!!"))),
		tokenFlaw("AS-TOKEN-INVALID-CLIENT-BASIC", "basic-no-colon", "Basic without a colon is answered 404.", "Basic without a colon",
			tokenAnswering(404, "application/json", `{"error":"invalid_client"}`, tokenBasic("Basic bm9jb2xvbg=="))),
		tokenFlaw("AS-TOKEN-INVALID-CLIENT-BASIC", "basic-unknown", "An unknown client gets no challenge.", "an unknown client",
			tokenAnswering(401, "application/json", `{"error":"invalid_client"}`, func(r *tokenRequest) bool {
				user, _, _ := r.BasicAuth()
				return strings.HasPrefix(user, "mcpauth-unknown-")
			}), "AS-RATE-*"),
		tokenFlaw("AS-TOKEN-INVALID-CLIENT-BASIC", "basic-wrong-secret", "A wrong secret is answered without a challenge.", "a wrong secret",
			tokenAnswering(401, "application/json", `{"error":"invalid_client"}`, func(r *tokenRequest) bool {
				_, secret, _ := r.BasicAuth()
				return strings.HasPrefix(secret, "mcpauth-wrong-")
			})),
		tokenFlaw("AS-TOKEN-UNKNOWN-CLIENT", "unknown-client-code", "An unknown client with a code gets invalid_grant.", "a good code",
			tokenRefusing("invalid_grant", func(r *tokenRequest) bool {
				return r.form.Has("code") && strings.HasPrefix(r.form.Get("client_id"), "mcpauth-unknown-")
			})),
		tokenFlaw("AS-TOKEN-UNKNOWN-CLIENT", "unknown-client-refresh", "An unknown client with a refresh token gets invalid_grant.",
			"a good refresh token", tokenRefusing("invalid_grant", func(r *tokenRequest) bool {
				return r.form.Has("refresh_token") && strings.HasPrefix(r.form.Get("client_id"), "mcpauth-unknown-")
			})),
	},
	[]Flaw{
		answersWith("AS-TOKEN-SUCCESS-SHAPE", "null-refresh", "refresh_token is null.", "refresh_token: null",
			func(m map[string]any) { m["refresh_token"] = nil }, "AS-REFRESH-*", "AS-REVOKE-*",
			"AS-META-GRANTS-MATCH-BEHAVIOUR"),
		answersWith("AS-TOKEN-SUCCESS-SHAPE", "scope-list", "scope is a list.", "scope: [",
			func(m map[string]any) { m["scope"] = []string{"notes:read"} }, "AS-INTROSPECT-ACTIVE-SHAPE", "AS-TOKEN-SCOPE-REPORTED"),
		answersWith("AS-TOKEN-SUCCESS-SHAPE", "no-type", "token_type is absent.", "token_type",
			func(m map[string]any) { delete(m, "token_type") }),
		tokenFlaw("AS-TOKEN-SUCCESS-SHAPE", "refreshed-no-type", "token_type is absent in the answer to a refresh.", "a refresh",
			responses("refresh", func(m map[string]any) { delete(m, "token_type") })),
		tokenFlaw("AS-TOKEN-SUCCESS-SHAPE", "credentials-no-type", "token_type is absent in the answer to client_credentials.",
			"client_credentials", responses("credentials", func(m map[string]any) { delete(m, "token_type") })),
		tokenFlaw("AS-TOKEN-SHORT-LIVED", "refreshed-for-a-year", "A refreshed access token is for a year.", "a refresh",
			responses("refresh", forAYear), "AS-REFRESH-*", "AS-TOKEN-EXPIRES-IN"),
		tokenFlaw("AS-TOKEN-SHORT-LIVED", "credentials-for-a-year", "The access token of client_credentials is for a year.",
			"client_credentials", responses("credentials", forAYear)),
		answersWith("AS-TOKEN-EXPIRES-IN", "expiry-negative", "expires_in is negative.", "expires_in",
			func(m map[string]any) { m["expires_in"] = -1 }, "AS-INTROSPECT-ACTIVE-SHAPE", "AS-REFRESH-NEW-ACCESS-TOKEN"),
		answersWith("AS-TOKEN-EXPIRES-IN", "expiry-absent", "expires_in is absent.", "expires_in",
			func(m map[string]any) { delete(m, "expires_in") }),
		answersWith("AS-TOKEN-EXPIRES-IN", "expiry-in-milliseconds", "expires_in counts milliseconds.", "expires_in: 3600000 s",
			func(m map[string]any) { m["expires_in"] = 3_600_000 }, "AS-INTROSPECT-ACTIVE-SHAPE", "AS-TOKEN-SHORT-LIVED"),
		answersWith("AS-TOKEN-SCOPE-REPORTED", "scope-silent", "scope is never reported.", "no scope requested",
			func(m map[string]any) { delete(m, "scope") }, "AS-SCOPE-DEFAULT", "AS-SCOPE-USER-PRIVILEGE"),
		answersWith("AS-TOKEN-SCOPE-REPORTED", "scope-first", "Only the first scope is reported.", "two scopes requested",
			func(m map[string]any) {
				scope, _ := m["scope"].(string)
				m["scope"], _, _ = strings.Cut(scope, " ")
			}),
		answersWith("AS-TOKEN-SCOPE-REPORTED", "scope-commas", "Scopes are separated by commas.", "one scope requested",
			func(m map[string]any) {
				scope, _ := m["scope"].(string)
				m["scope"] = strings.ReplaceAll(scope, " ", ",") + ",x"
			}, "AS-INTROSPECT-ACTIVE-SHAPE", "AS-SCOPE-SYNTAX"),
		tokenFlaw("AS-TOKEN-NO-STORE", "refresh-stored", "Answers to a refresh may be stored.", "refresh", tokenStored("refresh_token")),
		tokenFlaw("AS-TOKEN-NO-STORE", "exchange-stored", "Answers to a token exchange may be stored.", "token exchange",
			tokenStored("urn:ietf:params:oauth:grant-type:token-exchange")),
		tokenFlaw("AS-TOKEN-EXPIRES-IN", "refreshed-expiry-wrong", "expires_in of a refreshed token says less than it lives.",
			"a refreshed token", behaviour(func(b *idp.Behaviour) { b.RefreshedSeconds = 600 }), "AS-REFRESH-NEW-ACCESS-TOKEN"),
		tokenFlaw("AS-TOKEN-NO-STORE", "credentials-stored", "Answers to client_credentials may be stored.", "client_credentials",
			tokenStored("client_credentials")),
		tokenFlaw("AS-TOKEN-CORS", "cors-foreign-credentials", "Any origin is allowed with credentials.", "a foreign origin",
			tokenAllowing("https://attacker.example")),
		tokenFlaw("AS-TOKEN-CORS", "cors-null-credentials", "Sandboxed pages are allowed with credentials.", "the origin of a sandboxed page",
			tokenAllowing("null")),
		tokenFlaw("AS-TOKEN-CORS", "cors-no-preflight", "A preflight is answered without CORS.", "a preflight",
			tokenHeaders(func(r *http.Request, h http.Header) {
				if r.Method == http.MethodOptions {
					h.Del("Access-Control-Allow-Origin")
				}
			}), "AS-META-*"),
	},
)

// kindOf recognizes the kind of a value that the reference issued by its form.
func kindOf(value string) string {
	header, _ := base64.RawURLEncoding.DecodeString(strings.Split(value, ".")[0]) // nothing for a value that is not a JWT
	switch {
	case strings.Contains(string(header), "at+jwt"):
		return "access"
	case strings.HasPrefix(value, "eyJ"):
		return "id"
	case strings.HasPrefix(value, "rt_"):
		return "refresh"
	case len(value) > 20 && !strings.HasPrefix(value, "mcpauth"):
		return "code"
	}
	return ""
}

// confused returns the flaw of a server that accepts one kind of token for another.
func confused(name, row, kind string, bend func(b *idp.Behaviour, same func(issued, sent string) bool)) Flaw {
	return tokenFlaw("AS-TOKEN-TYPE-CONFUSION", "confuses-"+name, "The server accepts "+row+".", row, behaviour(func(b *idp.Behaviour) {
		bend(b, made(func(sent string) bool { return kindOf(sent) == kind }))
	}), "AS-TOKEN-INVALID-CODE", "AS-REFRESH-INVALID", "AS-TOKEN-ERROR-*")
}

func asCode(b *idp.Behaviour, same func(issued, sent string) bool)    { b.TakesCode = same }
func asRefresh(b *idp.Behaviour, same func(issued, sent string) bool) { b.TakesRefresh = same }

// acceptedTokens are the checks of the MCP server that fail if it refuses the tokens of a login.
var acceptedTokens = []string{"RS-SCOPE-DOWNSCOPED-OK"}

// withoutClaim makes access tokens without a claim that others require.
func withoutClaim(name string, also ...string) Flaw {
	return tokenFlaw("AS-TOKEN-JWT-CLAIMS", "no-"+strings.ReplaceAll(name, "_", "-"), "Access tokens have no "+name+".", name+" is absent",
		behaviour(func(b *idp.Behaviour) { b.AccessToken = func(_, claims map[string]any) { delete(claims, name) } }), also...)
}

// codeRedirect returns the flaw of a comparison of redirect URIs at the token endpoint that is too weak.
func codeRedirect(name, row string, same func(right, sent string) bool) Flaw {
	return tokenFlaw("AS-TOKEN-CODE-BOUND-REDIRECT", "redirect-"+name, "The redirect_uri of a token request is accepted: "+row+".", row,
		behaviour(func(b *idp.Behaviour) { b.TakesCodeRedirect = same }), "AS-TOKEN-DUPLICATE-PARAMS")
}

// credentialsOf returns the flaw of a server that issues a token to a public client for itself.
func credentialsOf(name, row string, takes func(secret string) bool) Flaw {
	return tokenFlaw("AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC", "public-"+name, "A public client acts for itself: "+row+".", row,
		behaviour(func(b *idp.Behaviour) { b.TakesPublic = takes }), "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-META-GRANTS-MATCH-BEHAVIOUR",
		"AS-TOKEN-UNAUTHORIZED-GRANT")
}

// passwordGrant offers the password grant to some clients.
func passwordGrant(name, row string, refused func(r *tokenRequest) bool) Flaw {
	says := "The password grant is offered: " + row + "."
	return tokenFlaw("AS-TOKEN-PASSWORD-GRANT-OFF", "password-of-"+name, says, row, func(o *reference.Options) {
		lacks(idp.NoPasswordGrant)(o)
		tokenRefusing("unsupported_grant_type", func(r *tokenRequest) bool { return r.form.Get("grant_type") == "password" && refused(r) })(o)
	}, "AS-META-GRANTS-MATCH-BEHAVIOUR")
}

func byHeader(r *tokenRequest) bool { return r.Header.Get("Authorization") != "" }

// grantRows has one flaw for each row about who may use a code or a grant.
var grantRows = []Flaw{
	confused("access-as-code", "an access token as code", "access", asCode),
	confused("refresh-as-code", "a refresh token as code", "refresh", asCode),
	confused("id-as-code", "an ID token as code", "id", asCode),
	confused("access-as-refresh", "an access token as refresh token", "access", asRefresh),
	confused("code-as-refresh", "a code as refresh token", "code", asRefresh),
	confused("id-as-refresh", "an ID token as refresh token", "id", asRefresh),
	tokenFlaw("AS-TOKEN-TYPE-CONFUSION", "confuses-refresh-at-userinfo", "Userinfo answers to refresh tokens.", "a refresh token at userinfo",
		lacks(idp.UserinfoState), "AS-USERINFO-*"),
	tokenFlaw("AS-TOKEN-TYPE-CONFUSION", "confuses-refresh-as-access", "The MCP server serves refresh tokens.",
		"a refresh token as access token", policy(func(p *mcpserver.Policy) { p.OpaquePrefix = "rt_" }), "RS-TOKEN-REFRESH-OR-CODE"),
	withoutClaim("iss", acceptedTokens...), withoutClaim("exp", acceptedTokens...), withoutClaim("sub", acceptedTokens...),
	withoutClaim("aud", append(acceptedTokens, "AS-EMA-VALID-ACCEPTED", "AS-RES-AUDIENCE-BOUND")...),
	withoutClaim("client_id"), withoutClaim("iat"),
	withoutClaim("jti", "AS-DCRM-DELETE", "AS-REFRESH-NEW-ACCESS-TOKEN", "AS-REFRESH-REUSE-KILLS-ACCESS", "AS-REVOKE-ACCESS-TOKEN",
		"AS-TOKEN-CODE-REPLAY-REVOKES", "AS-TOKEN-RANDOM", "RS-TOKEN-REVOKED"), // the reference server knows its tokens by their jti
	codeRedirect("other", "the client's other redirect URI", func(right, sent string) bool { return sent == right+"/second" }),
	codeRedirect("any", "an unregistered redirect URI", func(_, sent string) bool { return strings.Contains(sent, "attacker") }),
	codeRedirect("letter-case", "the redirect URI: the path in another letter case", strings.EqualFold),
	codeRedirect("query", "the redirect URI: a parameter more", func(right, sent string) bool { return strings.HasPrefix(sent, right+"?") }),
	codeRedirect("fragment", "the redirect URI: a fragment", func(right, sent string) bool { return strings.HasPrefix(sent, right+"#") }),
	codeRedirect("slash", "the redirect URI with a slash", func(right, sent string) bool { return sent == right+"/" }),
	codeRedirect("port", "the redirect URI with another port", parsed(func(a, b *url.URL) bool {
		return a.Hostname() == b.Hostname() && a.RequestURI() == b.RequestURI()
	})),
	credentialsOf("without-secret", "no secret", func(secret string) bool { return secret == idp.NotSent }),
	credentialsOf("with-empty-secret", "an empty secret", func(secret string) bool { return secret == "" }),
	credentialsOf("with-any-secret", "a made-up secret", func(secret string) bool { return secret == "mcpauth-made-up" }),
	passwordGrant("public-clients", "public client", byHeader),
	passwordGrant("confidential-clients", "confidential client", func(r *tokenRequest) bool { return !byHeader(r) }),
	rowed("token-code-of-any-public-client", "redeemed by another public client", idp.CodePublic, "AS-TOKEN-CODE-BOUND-CLIENT",
		"AS-TOKEN-CODE-REPLAY-NO-DOS"),
	rowed("token-code-of-any-confidential-client", "redeemed by a confidential client", idp.CodeConfidential, "AS-TOKEN-CODE-BOUND-CLIENT"),
	rowed("token-code-names-no-client", "redeemed without any client_id", idp.CodeNamed, "AS-TOKEN-CODE-BOUND-CLIENT"),
	rowed("token-replay-by-anybody-revokes", "the code again, as another client", idp.ReplayNeedsClient, "AS-TOKEN-CODE-REPLAY-NO-DOS"),
	rowed("token-replay-by-verifier-revokes", "the code again, with a wrong verifier", idp.ReplayNeedsProof, "AS-TOKEN-CODE-REPLAY-NO-DOS"),
	rowed("token-replay-spares-access", "the access token of a replayed code", idp.ReplayKillsAccess, "AS-TOKEN-CODE-REPLAY-REVOKES"),
	rowed("token-method-changed", "client_secret_post of a client", idp.PinMethod, "AS-TOKEN-METHOD-PINNED", "AS-INTROSPECT-AUTH-REQUIRED",
		"AS-PAR-BASIC", "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-REVOKE-CLIENT-AUTH", "AS-TOKEN-WRONG-SECRET"),
	rowed("token-method-none", "no authentication for a client", idp.CheckSecret, "AS-TOKEN-METHOD-PINNED", "AS-CC-ASSERTION-REJECTED",
		"AS-CIMD-KEY-AUTH-ENFORCED", "AS-INTROSPECT-AUTH-REQUIRED", "AS-PAR-BASIC", "AS-REFRESH-CONFIDENTIAL-AUTH",
		"AS-REVOKE-CLIENT-AUTH", "AS-TOKEN-WRONG-SECRET"),
	tokenFlaw("AS-TOKEN-TWO-METHODS", "secret-beside-basic", "A secret in the body is ignored beside Basic.",
		"Basic and client_secret in one request", tokenRewriting(func(r *tokenRequest) {
			if byHeader(r) && r.form.Has("client_secret") {
				r.form.Del("client_secret")
				r.becomes(r.form)
			}
		})),
	tokenFlaw("AS-TOKEN-TWO-METHODS", "id-beside-basic", "A client_id in the body is ignored beside Basic.",
		"the client_id of another client with Basic", tokenRewriting(func(r *tokenRequest) {
			if byHeader(r) && r.form.Has("client_id") {
				r.form.Del("client_id")
				r.becomes(r.form)
			}
		})),
	rowed("token-client-by-body", "Basic of another client than the client_id", idp.OneClient, "AS-TOKEN-TWO-METHODS", "AS-CC-SECRET-FLOW",
		"AS-DCR-SECRET-WORKS", "AS-META-AUTH-METHODS-TRUE", "AS-TOKEN-SECRET-BASIC"),
}

// tokenEcho answers some requests with an error that quotes them.
func tokenEcho(w http.ResponseWriter, body string, asked bool) bool {
	if asked {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, body)
	}
	return asked
}

func tokenBasic(authorization string) func(r *tokenRequest) bool {
	return func(r *tokenRequest) bool { return r.Header.Get("Authorization") == authorization }
}

func tokenAllowing(origin string) func(o *reference.Options) {
	return tokenHeaders(func(r *http.Request, h http.Header) {
		if r.Header.Get("Origin") == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	})
}

// tokenStored allows caches to store the answers of a grant.
func tokenStored(grant string) func(o *reference.Options) {
	return atGrant(grant, func(h http.Header) { h.Del("Cache-Control") })
}

// atGrant changes the header of answers to requests of a grant.
func atGrant(grant string, change func(h http.Header)) func(o *reference.Options) {
	return func(o *reference.Options) {
		tokenHeaders(func(r *http.Request, h http.Header) {
			if r.Header.Get("X-Grant") == grant {
				change(h)
			}
		})(o)
		inner := o.Wrap
		tokenRewriting(func(r *tokenRequest) { r.Header.Set("X-Grant", r.form.Get("grant_type")) })(o)
		outer := o.Wrap
		o.Wrap = func(next http.Handler) http.Handler { return outer(inner(next)) }
	}
}
