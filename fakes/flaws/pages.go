package flaws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// pageRows are the flaws of errors and pages of the authorization endpoint.
var pageRows = []Flaw{
	errorAs("json", "an unknown client", `{"error":"invalid_client"}`, func(q url.Values) bool {
		return strings.HasPrefix(q.Get("client_id"), "mcpauth-unknown")
	}),
	errorAs("json-no-client", "no client_id", `{"error":"invalid_request"}`, func(q url.Values) bool { return !q.Has("client_id") }),
	errorAs("json-redirect", "a redirect_uri that is not registered", `{"error":"invalid_request"}`, func(q url.Values) bool {
		return strings.HasPrefix(q.Get("redirect_uri"), "https://attacker")
	}),
	errorAs("page", "an unknown client", "<!doctype html><title>Error</title><p>That did not work.</p>", func(q url.Values) bool {
		return strings.HasPrefix(q.Get("client_id"), "mcpauth-unknown")
	}),

	crashing("scope", "a scope of 60 kB", func(r *http.Request) bool { return len(r.URL.Query().Get("scope")) > 1<<14 }),
	crashing("redirect", "a redirect_uri of 60 kB", func(r *http.Request) bool { return len(r.URL.Query().Get("redirect_uri")) > 1<<14 }),
	crashing("nul-state", "NUL in state", func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("state"), "\x00") }),
	crashing("nul-challenge", "NUL in code_challenge", func(r *http.Request) bool {
		return strings.Contains(r.URL.Query().Get("code_challenge"), "\x00")
	}),
	crashing("surrogate", "a lone surrogate", func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%ED%A0%80") }),
	crashing("encoding", "invalid percent-encoding", func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%ZZ") }),
	crashing("map", "client_id[a]", func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "client_id[a]") }),
	crashing("inherited", "client_id __proto__", func(r *http.Request) bool { return r.URL.Query().Get("client_id") == "__proto__" }),
	crashing("redirect-bracket", "a redirect_uri with an open bracket", func(r *http.Request) bool {
		return r.URL.Query().Get("redirect_uri") == "http://[::1"
	}),
	crashing("resource-bracket", "a resource with an open bracket", func(r *http.Request) bool {
		return r.URL.Query().Get("resource") == "http://[::1"
	}),
	crashing("cookie", "a made-up cookie", func(r *http.Request) bool { return strings.Contains(r.Header.Get("Cookie"), "../../x") }),
	crashing("language", "an odd Accept-Language", func(r *http.Request) bool {
		return len(strings.Join(r.Header.Values("Accept-Language"), "")) > 500
	}),
	crashing("post", "the request by POST", func(r *http.Request) bool { return r.Method == http.MethodPost }),
	crashing("for-good", "an ordinary request afterwards", afterBadEncoding()),

	at("AS-AUTHZ-ERROR-CHARSET", "error-in-header", "An error sets a header field.", "CR LF in response_type",
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			if strings.Contains(sent.Get("response_type"), "X-Injected") && a.params() != nil {
				a.Fields.Set("X-Injected", "1")
			}
		})),
	errorText("description", "é as code_challenge_method", "error_description"), errorText("code", "é as code_challenge_method", "error"),

	quotes("client_id", ""), quotes("redirect_uri", ""), quotes("scope", ""), quotes("state", ""), quotes("response_type", ""),
	quotes("error", ""), quotes("error_description", ""), quotes("login_hint", ""), quotes("ui_locales", ""), quotes("resource", ""),
	quotes("state", signedIn), quotes("error", signedIn), quotes("error_description", signedIn), quotes("login_hint", signedIn),
	quotes("ui_locales", signedIn),
	quotes("nonce", ""), quotes("acr_values", ""), quotes("prompt", ""), quotes("response_mode", ""), quotes("code_challenge", ""),
	quotes("code_challenge_method", ""), quotes("nonce", signedIn), quotes("acr_values", signedIn), quotes("prompt", signedIn),
	quotesRefused("response_mode"), quotesRefused("code_challenge"), quotesRefused("code_challenge_method"),
	quotesAfterFailure("state"), quotesAfterFailure("nonce"), quotesAfterFailure("login_hint"),
	at("AS-AUTHZ-REFLECTED-XSS", "quotes-attribute", "The value of a field ends at a quotation mark of the request.", "login_hint",
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			v := strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(sent.Get("login_hint"))
			a.insert(`<input value="` + v + `">`)
		}), "AS-CONSENT-*", "AS-CIMD-*"),
	at("AS-AUTHZ-REFLECTED-XSS", "evaluates", "A page is made from a template that holds the request.", "login_hint",
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			a.insert(strings.ReplaceAll(sent.Get("login_hint")[max(0, strings.IndexByte(sent.Get("login_hint"), '\'')):], "{{7*7}}", "49"))
		}), "AS-CONSENT-*", "AS-CIMD-*"),
	at("AS-AUTHZ-REFLECTED-XSS", "links-script", "An error page links to the redirect URI that it refuses.", "a script as redirect_uri",
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			a.insert(`<a href="` + sent.Get("redirect_uri") + `">Back</a>`)
		}), "AS-CONSENT-*"),

	cors("preflight", "a preflight request", func(r *http.Request, _ authAnswer) bool { return r.Method == http.MethodOptions }),
	cors("request", "the authorization request", func(r *http.Request, _ authAnswer) bool { return atAuthorization(r) }),
	at("AS-AUTHZ-CORS-OFF", "cors-for-clients", "Scripts at the origin of a client may read the endpoint.", "the origin of the redirect URI",
		pageAnswers(func(r *http.Request, _ url.Values, a authAnswer) {
			if origin := r.Header.Get("Origin"); atAuthorization(r) && origin == "http://127.0.0.1:8765" {
				a.Fields.Set("Access-Control-Allow-Origin", origin)
			}
		})),
	cors("login", `the page "Sign in"`, func(_ *http.Request, a authAnswer) bool { return a.shows("Sign in") }),
	cors("consent", `the page "Allow access?"`, func(_ *http.Request, a authAnswer) bool { return a.shows("Allow access?") }),
	without("AS-AUTHZ-NO-STORE", "stores-login", "Cache-Control", `the page "Sign in"`, "Sign in"),
	without("AS-AUTHZ-NO-STORE", "stores-consent", "Cache-Control", `the page "Allow access?"`, "Allow access?"),
	failedLogin("AS-AUTHZ-NO-STORE", "stores", "Cache-Control"),
	without("AS-AUTHZ-NO-STORE", "referrer-of-login", "Referrer-Policy", `the page "Sign in"`, "Sign in"),
	at("AS-AUTHZ-NO-STORE", "stores-code", "The redirect with the code may be stored.", "the redirect with the code",
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if a.params() != nil {
				a.Fields.Set("Cache-Control", "max-age=300")
			}
		})),
	without("AS-AUTHZ-CLICKJACKING", "frames-login", "Content-Security-Policy", `the page "Sign in"`, "Sign in"),
	without("AS-AUTHZ-CLICKJACKING", "frames-consent", "Content-Security-Policy", `the page "Allow access?"`, "Allow access?"),
	failedLogin("AS-AUTHZ-CLICKJACKING", "frames", "Content-Security-Policy"),
	failedLogin("AS-AUTHZ-CSP", "no-csp-for", "Content-Security-Policy"),
	at("AS-AUTHZ-CSP", "no-csp-for-error", "Error pages lack Content-Security-Policy.", "an error page",
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if a.Status >= http.StatusBadRequest && !failed(a) {
				a.Fields.Del("Content-Security-Policy")
			}
		})),
	without("AS-AUTHZ-CSP", "no-csp-for-login", "Content-Security-Policy", `the page "Sign in"`, "Sign in"),
	without("AS-AUTHZ-CSP", "no-csp-for-consent", "Content-Security-Policy", `the page "Allow access?"`, "Allow access?"),
	at("AS-AUTHZ-CLICKJACKING", "frames-redirect", "A client that was approved before gets a code in a frame.", "the authorization endpoint",
		all(behaviour(func(b *idp.Behaviour) { b.Consent = "never" }), pageAnswers(func(r *http.Request, _ url.Values, a authAnswer) {
			a.Fields.Del("Content-Security-Policy")
		}), lacks(idp.AuthenticateUser)), withoutSignIn...),
	rowNamed("authorize-early-redirect-type", one("", idp.NoEarlyRedirect, "AS-AUTHZ-OPEN-REDIRECT-PRELOGIN"), "an unknown response_type"),
	{
		Name: "authorize-transaction-of-anybody", Says: "A consent form works in any browser, signed in or not.",
		Row:  "a browser without cookies",
		Bend: lacks(idp.BindTransaction, idp.UserPerSession), Noticed: []string{"AS-AUTHZ-TRANSACTION-BINDING"},
		Also: []string{"AS-AUTHZ-SUBJECT-CORRECT", "AS-CONSENT-CSRF", "AS-LOGIN-CSRF", "AS-SCOPE-USER-PRIVILEGE"},
	},
	formHolds("code_challenge", func(f *form) func(o *reference.Options) {
		return behaviour(func(b *idp.Behaviour) {
			b.TakesVerifier = func(_, _ string, sent url.Values) bool { return f.was(s256(sent.Get("code_verifier"))) }
		})
	}),
	formHolds("client_id", func(*form) func(o *reference.Options) { return lacks(idp.CodeClient) }),
	formHolds("resource", func(f *form) func(o *reference.Options) {
		return behaviour(func(b *idp.Behaviour) {
			b.AccessToken = func(_, claims map[string]any) {
				if f.was("https://attacker.example/mcp") {
					claims["aud"] = "https://attacker.example/mcp"
				}
			}
		})
	}),
	at("AS-AUTHZ-PARAM-TAMPERING", "form-holds-the-request", "The consent form has the request in base64, not signed, and it decides.",
		"redirect_uri", decidedByForm(), "AS-LOGIN-*"),
	at("AS-AUTHZ-PARAM-TAMPERING", "form-decides-on-denials", "A denial is sent to the redirect URI of the form.",
		"a denial, with another redirect URI in the form", formDecidesOnDenials(), "AS-LOGIN-*"),
	at("AS-AUTHZ-PARAM-TAMPERING", "form-address-decides", "The address of the form has the redirect URI, and decides.", "redirect_uri",
		pageAnswers(func(r *http.Request, sent url.Values, a authAnswer) {
			a.replace(`/consent"><input`, `/consent?redirect_uri=`+url.QueryEscape(sent.Get("redirect_uri"))+`"><input`)
			if to := r.URL.Query().Get("redirect_uri"); strings.HasSuffix(r.URL.Path, "/consent") && to != "" && a.params() != nil {
				a.Fields.Set("Location", to+"?"+a.params().Encode())
			}
		}), "AS-LOGIN-*"),
}

const signedIn = " of a signed-in user"

// shows reports whether an answer is the page with this title.
func (a authAnswer) shows(title string) bool {
	return bytes.Contains(a.Body.Bytes(), []byte("<title>"+title+"</title>"))
}

// insert adds markup to a page.
func (a authAnswer) insert(markup string) { a.replace("</main>", markup+"</main>") }

func (a authAnswer) replace(old, new string) {
	changed := strings.Replace(a.Body.String(), old, new, 1)
	a.Say(changed)
}

// errorAs answers one bad request with status 200.
func errorAs(name, row, body string, when func(q url.Values) bool) Flaw {
	return at("AS-AUTHZ-ERROR-STATUS", "error-as-"+name, "An error has the status 200: "+row+".", row,
		pageAnswers(func(r *http.Request, sent url.Values, a authAnswer) {
			if a.Status != http.StatusBadRequest || !when(r.URL.Query()) {
				return
			}
			a.Status = http.StatusOK
			if a.Body.Reset(); strings.HasPrefix(body, "{") {
				a.Fields.Set("Content-Type", "application/json")
			}
			a.Body.WriteString(body)
		}))
}

func crashing(name, row string, when func(r *http.Request) bool) Flaw {
	return at("AS-AUTHZ-NO-SERVER-ERROR", "crash-"+name, "The authorization endpoint answers 500: "+row+".", row,
		crashes(when))
}

// afterBadEncoding fails for good after the first request that is not encoded well.
func afterBadEncoding() func(r *http.Request) bool {
	var mu sync.Mutex
	broken := false
	return func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		was := broken
		broken = broken || strings.Contains(r.URL.RawQuery, "%ZZ")
		return was
	}
}

// errorText quotes a non-ASCII character in an error.
func errorText(name, row, parameter string) Flaw {
	return at("AS-AUTHZ-ERROR-CHARSET", "error-text-in-"+name, "An error contains é.", row, toClient(func(sent, params url.Values) {
		if sent.Get("code_challenge_method") == "é" && params.Has("error") {
			params.Set(parameter, params.Get(parameter)+" é")
		}
	}))
}

// quotes shows a parameter of the request without escaping, on the page before the login or on the consent page.
func quotes(parameter, who string) Flaw {
	name := "quotes-" + parameter + strings.ReplaceAll(who, " ", "-")
	return at("AS-AUTHZ-REFLECTED-XSS", name, "A page shows "+parameter+who+" as markup.", parameter+who,
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			if v := sent.Get(parameter); a.shows("Allow access?") == (who != "") && strings.Contains(v, "<svg") {
				a.insert(v)
			}
		}), "AS-CONSENT-*", "AS-CIMD-*")
}

// quotesAfterFailure shows a parameter of the request without escaping, on the page of a login that fails only.
func quotesAfterFailure(parameter string) Flaw {
	return at("AS-AUTHZ-REFLECTED-XSS", "quotes-"+parameter+"-after-failure", "The page of a failed login shows "+parameter+" as markup.",
		"the request, on the page of a login that fails", pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			if v := sent.Get(parameter); failed(a) && strings.Contains(v, "<svg") {
				a.insert(v)
			}
		}))
}

// failed reports whether an answer is the page of a failed login.
func failed(a authAnswer) bool {
	return a.shows("Sign in") && bytes.Contains(a.Body.Bytes(), []byte(`role="alert"`))
}

// failedLogin leaves a header field out of the page of a failed login.
func failedLogin(check, name, field string) Flaw {
	return at(check, name+"-failed-login", "The page of a failed login lacks "+field+".", "the page of a login that fails",
		pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if failed(a) {
				a.Fields.Del(field)
			}
		}))
}

func cors(name, row string, when func(r *http.Request, a authAnswer) bool) Flaw {
	return at("AS-AUTHZ-CORS-OFF", "cors-"+name, "Scripts of other origins may read this: "+row+".", row,
		pageAnswers(func(r *http.Request, _ url.Values, a authAnswer) {
			if when(r, a) {
				a.Fields.Set("Access-Control-Allow-Origin", "*")
			}
		}))
}

// without leaves a header field out of one page.
func without(check, name, field, row, title string) Flaw {
	return at(check, name, row+" lacks "+field+".", row, pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
		if a.shows(title) {
			a.Fields.Del(field)
		}
	}))
}

// form remembers the value of a hidden field of the consent form.
type form struct {
	mu   sync.Mutex
	sent []string
}

func (f *form) was(value string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.sent {
		if v == value {
			return true
		}
	}
	return false
}

// formHolds puts a parameter of the request into the consent form, and trusts the value that the form sends.
func formHolds(parameter string, believes func(f *form) func(o *reference.Options)) Flaw {
	name := "form-holds-" + strings.ReplaceAll(parameter, "_", "-")
	return at("AS-AUTHZ-PARAM-TAMPERING", name, "The consent form decides on "+parameter+".", parameter,
		func(o *reference.Options) {
			f := &form{}
			believes(f)(o)
			remembers := pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
				a.replace(`/consent"><input`, fmt.Sprintf(`/consent"><input type="hidden" name=%q value=%q><input`, parameter, sent.Get(parameter)))
			})
			remembers(o)
			next := o.Behaviour.Wrap
			o.Behaviour.Wrap = func(h http.Handler) http.Handler {
				return next(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if q, err := url.ParseQuery(string(answer.Peek(r))); err == nil && strings.HasSuffix(r.URL.Path, "/consent") {
						f.mu.Lock()
						f.sent = append(f.sent, q.Get(parameter))
						f.mu.Unlock()
					}
					h.ServeHTTP(w, r)
				}))
			}
		}, "AS-PKCE-*", "AS-TOKEN-*") // concurrent requests get each other's values
}

// formDecidesOnDenials sends a denial to the redirect URI of the form; a code goes to the one of the request.
func formDecidesOnDenials() func(o *reference.Options) {
	return func(o *reference.Options) {
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			field := fmt.Sprintf(`<input type="hidden" name="redirect_uri" value=%q>`, sent.Get("redirect_uri"))
			a.replace(`/consent"><input`, `/consent">`+field+`<input`)
		})(o)
		next := o.Behaviour.Wrap
		o.Behaviour.Wrap = func(h http.Handler) http.Handler {
			h = next(h)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				form, _ := url.ParseQuery(string(answer.Peek(r))) // an incomplete form is enough
				a := authAnswer{answer.Of(h, r)}
				if form.Has("redirect_uri") && a.params().Get("error") == "access_denied" {
					a.Fields.Set("Location", form.Get("redirect_uri")+"?"+a.params().Encode())
				}
				a.Send(w)
			})
		}
	}
}

// decidedByForm sends the answer to the redirect URI of the request that the consent form contains in base64.
func decidedByForm() func(o *reference.Options) {
	return func(o *reference.Options) {
		pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
			request, _ := json.Marshal(map[string]any{"request": map[string]any{"redirectUri": sent.Get("redirect_uri")}})
			a.replace(`/consent"><input`, `/consent"><input type="hidden" name="state" value="`+
				base64.StdEncoding.EncodeToString(request)+`"><input`)
		})(o)
		next := o.Behaviour.Wrap
		o.Behaviour.Wrap = func(h http.Handler) http.Handler {
			h = next(h)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				form, _ := url.ParseQuery(string(answer.Peek(r))) // an incomplete form is enough
				plain, _ := base64.StdEncoding.DecodeString(form.Get("state"))
				var state struct{ Request struct{ RedirectURI string } }
				a := authAnswer{answer.Of(h, r)}
				if json.Unmarshal(plain, &state) == nil && strings.HasSuffix(r.URL.Path, "/consent") && a.params() != nil {
					a.Fields.Set("Location", state.Request.RedirectURI+"?"+a.params().Encode())
				}
				a.Send(w)
			})
		}
	}
}

// parts returns the header and the claims of a JWT.
func parts(jwt string) (header, claims map[string]any) {
	segments := strings.Split(jwt, ".")
	if len(segments) != 3 {
		return nil, nil
	}
	for i, to := range []*map[string]any{&header, &claims} {
		raw, _ := base64.RawURLEncoding.DecodeString(segments[i])
		_ = json.Unmarshal(raw, to) // nil for anything else
	}
	return header, claims
}
