package suites_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
)

// quotesInJSON refuses a scope with an object in JSON, which no clause describes, instead of an answer to the client.
func quotesInJSON(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := r.URL.Query().Get("scope")
			if !strings.HasSuffix(r.URL.Path, "/authorize") || !strings.Contains(scope, "<script>") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_scope", "error_description": "check " + scope})
		})
	}
}

// One check judges each authorization server that is right and differs from the reference.
func TestFairnessAtTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a user and a client have one code at a time": {behaving(func(b *idp.Behaviour) { b.OneCode = true }), nil, "AS-PKCE-PER-CODE",
			reports.Pass},
		"the last of two methods counts": {lacking(idp.RefuseDuplicates), nil,
			"AS-PKCE-UNKNOWN-METHOD", reports.Pass},
		"any challenge is kept, and compared as a whole": {lacking(idp.CheckChallengeFormat), nil,
			"AS-PKCE-RFC-VECTOR", reports.Pass},
		"a changed challenge of any length is kept": {lacking(idp.CheckChallengeFormat), nil,
			"AS-PKCE-REJECT-WRONG-VERIFIER", reports.Pass},
		"prompt is unknown to a server without OpenID Connect": {behaving(withoutPrompt), nil, "AS-AUTHZ-PROMPT-NONE", reports.Pass},
		"a description quotes markup, with other quotation marks": {behaving(quotesWithApostrophes), nil, "AS-AUTHZ-ERROR-CHARSET",
			reports.Warn},
		"a page in JSON quotes markup":               {behaving(quotesInJSON), nil, "AS-AUTHZ-ERROR-CHARSET", reports.Warn},
		"an unsigned request object may be believed": {behaving(withUnsignedObjects), nil, "AS-AUTHZ-REQUEST-OBJECT", reports.Pass},
		"a transaction belongs to the user who was asked": {behaving(func(b *idp.Behaviour) { b.BindsUser = true }), nil,
			"AS-AUTHZ-TRANSACTION-BINDING", reports.Pass},
		"SameSite cookies keep other sites from sending a form without a token": {behaving(withoutTokens), nil,
			"AS-CONSENT-CSRF", reports.Pass},
		"SameSite cookies keep other sites from sending a form of another browser": {behaving(withoutTokens), nil,
			"AS-AUTHZ-TRANSACTION-BINDING", reports.Pass},
		"a form that only a short id of its transaction protects": {func(o *reference.Options) {
			o.Behaviour.Lacks = []idp.Defence{idp.CheckCSRF}
			namingTheToken(&o.Behaviour)
			o.Behaviour.TransactionBytes = 8
		}, nil, "AS-CONSENT-CSRF", reports.Pass},
		"a form whose token has a name of its own": {behaving(namingTheToken), nil, "AS-CONSENT-CSRF", reports.Pass},
		"metadata that is redirected within the origin, and the flow behind it": {behaving(moved), nil, "AS-PKCE-REQUIRE-CHALLENGE",
			reports.Pass},
		"metadata that is redirected within the origin, and what it says": {behaving(moved), nil, "AS-META-ENDPOINTS-EXIST", reports.Pass},
		"metadata that is redirected within the origin":                   {behaving(moved), nil, "AS-META-NO-REDIRECT", reports.Warn},
		"a form without a token is refused from other origins":            {behaving(comparingOrigin), nil, "AS-CONSENT-CSRF", reports.Pass},
		"a form of another browser is refused from other origins": {behaving(comparingOrigin), nil,
			"AS-AUTHZ-TRANSACTION-BINDING", reports.Pass},
		"a form without a token is approved from other origins": {behaving(unprotected), nil, "AS-CONSENT-CSRF", reports.Warn},
		"a form of another browser is approved from other origins": {behaving(unprotected), nil,
			"AS-AUTHZ-TRANSACTION-BINDING", reports.Warn},
		"an approval counts from then on, and form tokens are bound to it": {behaving(askingOnce), nil, "AS-CONSENT-CSRF", reports.Pass},
		"an approval counts from then on, in one browser": {behaving(askingOnce), nil,
			"AS-AUTHZ-TRANSACTION-BINDING", reports.Pass},
		"an approval counts from then on, of each user": {behaving(askingOnce), nil, "AS-AUTHZ-SUBJECT-CORRECT", reports.Pass},
		"opaque tokens, whose users only a tool tells":  {unseen, nil, "AS-AUTHZ-SUBJECT-CORRECT", reports.Pass},
		"opaque tokens, whose users only a tool tells, of the last user": {func(o *reference.Options) {
			unseen(o)
			o.Behaviour.Lacks = []idp.Defence{idp.UserPerSession}
		}, nil, "AS-AUTHZ-SUBJECT-CORRECT", reports.Fail},
		"an empty scope is refused after the approval":                 {behaving(emptyScopeLater), nil, "AS-AUTHZ-EMPTY-PARAMS", reports.Fail},
		"an approval counts from then on, and a denial until the next": {behaving(askingOnce), nil, "AS-AUTHZ-DENY", reports.Pass},
		"a denial is sent by an address of the server that has the answer": {behaving(denyingBy(byOwnAddress)), nil,
			"AS-AUTHZ-DENY", reports.Pass},
		"a denial ends at the client's home page, without an answer": {behaving(denyingBy(func(*http.Request, *url.URL) string {
			return "https://client.example/"
		})), nil, "AS-AUTHZ-DENY", reports.Warn},
		"a form has the redirect URI, which is not read": {behaving(showingTheRedirectURI), nil, "AS-AUTHZ-PARAM-TAMPERING", reports.Pass},
		"an approval counts until it is withdrawn":       {behaving(askingOnce), nil, "AS-CONSENT-REVOCABLE", reports.Pass},
		"answers come by form": {behaving(func(b *idp.Behaviour) { b.ResponseMode = "form_post" }), nil, "AS-AUTHZ-RESPONSE-MODE",
			reports.Pass},
		"both requests have to name the resource": {behaving(demandsResource), nil, "AS-RES-ACCEPTED", reports.Pass},
		"requests have to name the resource, and nobody can sign in": {behaving(demandsResourceOfNobody), nil, "AS-AUTHZ-UNKNOWN-CLIENT",
			reports.Pass},
		"every token has one audience, and the first request for another fails": {behaving(troubled), nil, "AS-RES-UNKNOWN-TARGET", reports.Warn},
		"an error without a client is a crash": {lacking(idp.RequireClient), nil,
			"AS-AUTHZ-ERROR-STATUS", reports.Inconclusive},
		"an unknown client sees the links by which users sign in": {behaving(withLinks), nil, "AS-AUTHZ-ERROR-STATUS", reports.Inconclusive},
		"an unknown response type ends at a page":                 {behaving(keepsTypeErrors), nil, "AS-AUTHZ-STATE-ON-ERROR", reports.Pass},
		"errors about the response type are in the fragment": {behaving(func(b *idp.Behaviour) { b.FragmentErrors = true }), nil,
			"AS-AUTHZ-STATE-ON-ERROR",
			reports.Pass},
		"an answer that is not a page does not refuse": {behaving(puzzling(func(q url.Values) bool {
			return !strings.HasPrefix(q.Get("redirect_uri"), "http://127.0.0.1:8765/callback")
		})), nil, "AS-AUTHZ-REDIRECT-UNREGISTERED", reports.Inconclusive},
		"a preflight request that fails says nothing of scripts": {behaving(failingPreflights), nil, "AS-AUTHZ-CORS-OFF", reports.Inconclusive},
		"an answer that is not a page does not say that a client is unknown": {behaving(puzzlingForOthers), nil, "AS-DCR-CLIENT-USABLE",
			reports.Inconclusive},
	})
}

// failingPreflights fails at OPTIONS.
func failingPreflights(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// keepsTypeErrors shows a page for an unknown response type, and does not redirect to the client.
func keepsTypeErrors(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if kind := r.URL.Query().Get("response_type"); strings.HasSuffix(r.URL.Path, "/authorize") && kind != "code" {
				http.Error(w, "This application asks for what this server does not know.", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// denyingBy sends a denial to another address first.
func denyingBy(address func(r *http.Request, home *url.URL) string) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if to := r.URL.Query().Get("denied"); to != "" {
					http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusSeeOther)
					return
				}
				a := answer.Of(next, r)
				if home, err := url.Parse(a.Fields.Get("Location")); err == nil && home.Query().Get("error") == "access_denied" {
					a.Fields.Set("Location", address(r, home))
				}
				a.Send(w)
			})
		}
	}
}

// byOwnAddress is an address of the consent page, which redirects to the client.
func byOwnAddress(r *http.Request, home *url.URL) string {
	q := home.Query()
	q.Set("denied", home.Scheme+"://"+home.Host+home.Path)
	return r.URL.Path + "?" + q.Encode()
}

// showingTheRedirectURI puts the redirect URI into the consent form, and does not read it there.
func showingTheRedirectURI(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := answer.Of(next, r)
			a.Say(strings.Replace(a.Body.String(), `/consent"><input`,
				`/consent"><input type="hidden" name="redirect_uri" value="http://127.0.0.1:8765/callback"><input`, 1))
			a.Send(w)
		})
	}
}

// withLinks shows, before the request is looked at, a page whose links lead to other providers.
func withLinks(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/authorize") && strings.HasPrefix(r.URL.Query().Get("client_id"), "mcpauth-unknown-") {
				_, _ = w.Write([]byte(`<title>Example</title><a href="/with/one">Continue with One</a> <a href="/with/two">Continue with Two</a>`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// withoutTokens omits the CSRF token of the consent form.
func withoutTokens(b *idp.Behaviour) { b.BareForms = true }

// unprotected omits the CSRF token, and lets browsers send the cookies with forms of other sites.
func unprotected(b *idp.Behaviour) { b.BareForms, b.CrossSiteCookies = true, true }

// moved redirects each metadata document once, within the origin.
func moved(b *idp.Behaviour) { b.MovedDocuments = true }

// namingTheToken gives the token of a form a name that does not say what it is; only this token protects the form.
func namingTheToken(b *idp.Behaviour) { b.TokenField, b.CrossSiteCookies = "code", true }

// comparingOrigin protects such forms by comparing Origin only.
func comparingOrigin(b *idp.Behaviour) {
	unprotected(b)
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if origin := r.Header.Get("Origin"); strings.HasSuffix(r.URL.Path, "/consent") && origin != "" && origin != "http://"+r.Host {
				http.Error(w, "This form was sent by another site.", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// troubled ignores resource, and fails at the first request for another one.
func troubled(b *idp.Behaviour) {
	b.IgnoresResource = true
	var requests atomic.Int32
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Query().Get("resource"), "https://attacker.example") && requests.Add(1) == 1 {
				http.Error(w, "Unexpected error when handling the request.", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// emptyScopeLater refuses an empty scope when the user has approved.
func emptyScopeLater(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if kept, err := r.Cookie("later"); err == nil && kept.Value != "" && strings.HasSuffix(r.URL.Path, "/consent") && r.Method == "POST" {
				to, _ := url.QueryUnescape(kept.Value)
				http.Redirect(w, r, to, http.StatusSeeOther)
				return
			}
			if strings.HasSuffix(r.URL.Path, "/authorize") {
				later := ""
				if q.Has("scope") && q.Get("scope") == "" {
					later = url.QueryEscape(q.Get("redirect_uri") + "?error=invalid_scope&state=" + url.QueryEscape(q.Get("state")))
				}
				http.SetCookie(w, &http.Cookie{Name: "later", Value: later, Path: "/"})
			}
			next.ServeHTTP(w, r)
		})
	}
}

// askingOnce remembers the clients that a user has approved.
func askingOnce(b *idp.Behaviour) { b.Consent = "once" }

func lacking(d idp.Defence) func(o *reference.Options) {
	return behaving(func(b *idp.Behaviour) { b.Lacks = []idp.Defence{d} })
}

func behaving(bend func(b *idp.Behaviour)) func(o *reference.Options) {
	return func(o *reference.Options) { bend(&o.Behaviour) }
}

// reading makes the authorization endpoint read a changed request.
func reading(b *idp.Behaviour, change func(q url.Values)) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && strings.HasSuffix(r.URL.Path, "/authorize") {
				change(q)
				r.URL.RawQuery = q.Encode()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// demandsResource refuses authorization and token requests without a resource.
func demandsResource(b *idp.Behaviour) {
	reading(b, func(q url.Values) {
		if !q.Has("resource") {
			q.Set("resource", "https://missing.example/")
		}
	})
	authorizing := b.Wrap
	b.Wrap = func(next http.Handler) http.Handler {
		next = authorizing(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			if strings.HasSuffix(r.URL.Path, "/token") && form.Get("grant_type") == "authorization_code" && !form.Has("resource") {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Cache-Control", "no-store")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"invalid_target"}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// demandsResourceOfNobody has an error page after the decision, too.
func demandsResourceOfNobody(b *idp.Behaviour) {
	demandsResource(b)
	demanding := b.Wrap
	b.Wrap = func(next http.Handler) http.Handler {
		next = demanding(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/consent") && r.Method == http.MethodPost {
				http.Error(w, "This page does not exist.", http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// quotesWithApostrophes repeats the scope in error_description, in the characters that OAuth 2.1 section 4.1.2.1 allows.
func quotesWithApostrophes(b *idp.Behaviour) {
	b.Lacks = []idp.Defence{idp.CleanErrorText}
	allowed := strings.NewReplacer(`"`, "'", `\`, "/")
	reading(b, func(q url.Values) { q.Set("scope", allowed.Replace(q.Get("scope"))) })
}

// withoutPrompt does not implement OpenID Connect.
func withoutPrompt(b *idp.Behaviour) {
	b.Metadata = func(_ string, d map[string]any) { d["scopes_supported"] = []string{"notes:read", "notes:write"} }
	reading(b, func(q url.Values) { q.Del("prompt") })
}

// withUnsignedObjects reads the state of an unsigned request object, and announces that it accepts such objects.
func withUnsignedObjects(b *idp.Behaviour) {
	b.Metadata = func(_ string, d map[string]any) {
		d["request_object_signing_alg_values_supported"] = []string{"none", "RS256"}
	}
	reading(b, func(q url.Values) {
		var claims struct {
			State string `json:"state"`
		}
		header, rest, _ := strings.Cut(q.Get("request"), ".")
		body, _, _ := strings.Cut(rest, ".")
		raw, _ := base64.RawURLEncoding.DecodeString(body)
		if json.Unmarshal(raw, &claims) == nil && claims.State != "" && header == base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) {
			q.Del("request")
			q.Set("state", claims.State)
		}
	})
}

// puzzling answers some authorization requests with a text that is not a page, like an overloaded server.
func puzzling(when func(q url.Values) bool) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/authorize") && when(r.URL.Query()) {
					w.Header().Set("Content-Type", "text/plain")
					_, _ = w.Write([]byte("One moment, please."))
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// puzzlingForOthers is puzzling for every client but the first.
func puzzlingForOthers(b *idp.Behaviour) {
	var first atomic.Pointer[string]
	puzzling(func(q url.Values) bool {
		id := q.Get("client_id")
		first.CompareAndSwap(nil, &id)
		return *first.Load() != id
	})(b)
}
