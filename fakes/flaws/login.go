package flaws

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// madeUp is the flaw of a server that signs users in by what a browser makes up.
func madeUp(name, says, row string, bend func(b *idp.Behaviour)) Flaw {
	return Flaw{Name: name, Says: says, Bend: behaviour(bend), Row: row, Noticed: []string{"AS-AUTHZ-USER-AUTHENTICATED"},
		Also: []string{"AS-LOGIN-*"}}
}

func decoded(text string) string {
	b, _ := base64.RawURLEncoding.DecodeString(text)
	return string(b)
}

// subjectOf reads the subject of a JWT, and verifies nothing.
func subjectOf(token string) string {
	var claims struct {
		Sub string `json:"sub"`
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		_ = json.Unmarshal([]byte(decoded(parts[1])), &claims)
	}
	return claims.Sub
}

// rememberName sets a cookie with the user's name at each login, and signs in who sends it.
func rememberName(b *idp.Behaviour) {
	const remembered = "remember_user"
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			a := answer.Of(next, r)
			if strings.Contains(strings.Join(a.Header()["Set-Cookie"], " "), "as_session=") {
				value := base64.RawURLEncoding.EncodeToString([]byte(form.Get("username")))
				a.Header().Add("Set-Cookie", remembered+"="+value+"; Path=/; HttpOnly; SameSite=Lax")
			}
			a.Send(w)
		})
	}
	b.UserOf = func(r *http.Request, _ string) string {
		c, err := r.Cookie(remembered)
		if err != nil {
			return ""
		}
		return decoded(c.Value)
	}
}

// logins are the flaws of how users sign in.
var logins = []Flaw{
	rowOf(one("login-any-password", idp.CheckPassword, "AS-LOGIN-REJECT-WRONG-PASSWORD"), "a wrong password"),
	wrongPassword("login-empty-password", "An empty password is right.", "an empty password",
		func(typed, right string) bool { return typed == "" || typed == right }),
	wrongPassword("login-first-characters", "Eight characters of a password are compared.", "the password without its last character",
		func(typed, right string) bool { return len(typed) >= 8 && strings.HasPrefix(right, typed[:8]) }),
	wrongPassword("login-any-case", "Passwords are compared in lower case.", "the password in other letter case", strings.EqualFold),
	{
		Name: "login-any-name", Says: "The login form accepts any user.", Row: "a name that does not exist",
		Bend: behaviour(func(b *idp.Behaviour) { b.AnyName = true }), Noticed: []string{"AS-LOGIN-REJECT-WRONG-PASSWORD"},
		Also: []string{"AS-RATE-LOGIN"},
	},
	queried("login-queries-password", "password[$ne]", "any password but a wrong one, by [$ne]"),
	queried("login-queries-greater-password", "password[$gt]", "any password, by [$gt]"),
	rowOf(one("login-tells-users", idp.SameLoginError, "AS-LOGIN-REJECT-WRONG-PASSWORD"), "a wrong password, and an unknown name"),
	rowOf(one("login-demo-user", idp.NoDemoCredentials, "AS-LOGIN-NO-DEFAULT-CREDENTIALS"), "the demo user of a guide"),
	demoClient("login-demo-client", "client_secret_basic", "the demo client of a guide, by Basic"),
	demoClient("login-demo-client-in-body", "client_secret_post", "the demo client of a guide, in the body"),
	rowOf(one("login-no-csrf-token", idp.LoginCSRF, "AS-LOGIN-CSRF"), "in a browser that was not shown the form"),
	{
		Name: "login-unbound-form", Says: "A login form works in any browser, and browsers send cookies with forms of other sites.",
		Bend: func(o *reference.Options) {
			lacks(idp.LoginCSRF)(o)
			o.Behaviour.CrossSiteCookies = true
		},
		Noticed: []string{"AS-LOGIN-CSRF"}, Row: "in a browser that was shown another form", Also: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"},
	},
	{
		Name: "login-token-ignored", Says: "The token of the login form is ignored, and browsers send cookies with forms of other sites.",
		Bend: func(o *reference.Options) {
			lacks(idp.LoginCSRF)(o)
			o.Behaviour.CrossSiteCookies = true
		},
		Noticed: []string{"AS-LOGIN-CSRF"}, Row: "without the form's token", Also: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"},
	},
	ofNullOrigin("login", "/login", "AS-LOGIN-CSRF", all(lacks(idp.LoginCSRF), behaviour(func(b *idp.Behaviour) {
		b.CrossSiteCookies = true
	}))),
	madeUp("login-session-names-user", "The session cookie is the user's name in base64.",
		"a session cookie that names another user", func(b *idp.Behaviour) {
			b.SessionOf = func(user string) string { return base64.RawURLEncoding.EncodeToString([]byte(user)) }
			b.UserOf = func(_ *http.Request, session string) string { return decoded(session) }
		}),
	madeUp("login-session-in-form", "The session cookie is percent-encoded base64 of JSON, without a MAC.",
		"a session cookie that names another user", func(b *idp.Behaviour) {
			b.SessionOf = func(user string) string {
				return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(`{"sub":"` + user + `"}`)))
			}
			b.UserOf = func(_ *http.Request, session string) string {
				plain, _ := url.QueryUnescape(session)
				text, _ := base64.StdEncoding.DecodeString(plain)
				return subjectOf("." + b64(text) + ".")
			}
		}),
	madeUp("login-remembers-name", "Beside a random session, a cookie with the user's name signs the browser in.",
		"a session cookie that names another user", rememberName),
	madeUp("login-session-unverified", "The session cookie is a JWT, whose signature is not verified.",
		"a session cookie that names another user", func(b *idp.Behaviour) {
			b.SessionOf = func(user string) string {
				return sealed(b64([]byte(`{"alg":"HS256"}`))+"."+b64([]byte(`{"sub":"`+user+`"}`)), []byte("k"))
			}
			b.UserOf = func(_ *http.Request, session string) string { return subjectOf(session) }
		}),
	madeUp("login-session-counts", "Session cookies are consecutive numbers.", "the session cookies of four logins", func(b *idp.Behaviour) {
		var n atomic.Int64
		b.SessionOf = func(string) string { return strconv.FormatInt(100_000+n.Add(1), 10) }
	}),
	madeUp("login-one-session-counts", "Session cookies are consecutive numbers, and a login ends the session before it.",
		"the session cookies of four logins", func(b *idp.Behaviour) {
			var n atomic.Int64
			b.OneSession = true
			b.SessionOf = func(string) string { return strconv.FormatInt(100_000+n.Add(1), 10) }
		}),
	madeUp("login-user-of-header", "A header field says who the user is.", "header fields that name a user", func(b *idp.Behaviour) {
		b.UserOf = func(r *http.Request, _ string) string { return r.Header.Get("X-Forwarded-User") }
	}),
	rowOf(one("logout-in-the-browser-only", idp.LogoutAtServer, "AS-LOGIN-LOGOUT"), "a copy of the cookies from before"),
	{
		Name: "logout-by-post-without-effect", Says: "A form that signs out gets a page that says so, and the session stays.", Row: "by POST",
		Noticed: []string{"AS-LOGIN-LOGOUT"}, Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/logout") && r.Method == http.MethodPost {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, "<!doctype html><title>Bye</title><p>You have been signed out.</p>"+
					`<form method="post" action="/feedback"><input name="text"><button>Send feedback</button></form>`)
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "logout-by-post-to-anywhere", Says: "A form that signs out sends the browser to any address.", Row: "by POST",
		Noticed: []string{"AS-LOGIN-LOGOUT-REDIRECT"}, Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/logout") && r.Method == http.MethodPost && r.FormValue("post_logout_redirect_uri") != "" {
				http.Redirect(w, r, r.FormValue("post_logout_redirect_uri"), http.StatusSeeOther)
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	rowOf(one("login-session-adopted", idp.OwnSessionIDs, "AS-LOGIN-SESSION-FIXATION"), "a made-up"),
	{
		Name: "login-cookie-for-old-browsers", Says: "A second session cookie has no attributes.", Row: "as_session_old",
		Bend: behaviour(func(b *idp.Behaviour) { b.OldBrowsers = true }), Noticed: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"},
	},
	{
		Name: "login-token-in-cookie", Says: "The tokens of a token response are in a cookie, too.", Row: "auth",
		Noticed: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"}, Also: []string{"AS-TOKEN-*", "AS-REFRESH-*"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answer.Of(next, r)
			if strings.HasSuffix(r.URL.Path, "/token") && a.Status == http.StatusOK {
				http.SetCookie(authAnswer{a}, &http.Cookie{Name: "auth", Value: url.QueryEscape(a.Body.String()), Path: "/", HttpOnly: true})
			}
			a.Send(w)
		}),
	},
	{
		Name: "logout-to-what-resembles", Says: "After signing out, the browser is sent to every address that begins as a registered one.",
		Noticed: []string{"AS-LOGIN-LOGOUT-REDIRECT"}, Row: "the registered address, one letter more at the end of the path",
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			to := r.FormValue("post_logout_redirect_uri")
			if strings.HasSuffix(r.URL.Path, "/logout") && strings.HasPrefix(to, "https://client.example/bye") {
				http.Redirect(w, r, to, http.StatusFound)
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "logout-to-what-begins-alike", Says: "After signing out, the server compares the beginning of an address.",
		Row: "begins as the client's redirect URI", Noticed: []string{"AS-LOGIN-LOGOUT-REDIRECT"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			to := r.URL.Query().Get("post_logout_redirect_uri")
			if strings.HasSuffix(r.URL.Path, "/logout") && strings.HasPrefix(to, "http://127.0.0.1:8765") {
				http.Redirect(w, r, to, http.StatusFound)
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "login-session-kept", Says: "The session id from before the login stays.",
		Bend: lacks(idp.FreshSession), Noticed: []string{"AS-LOGIN-SESSION-FIXATION"},
	},
	rowOf(one("login-bare-cookies", idp.CookieAttributes, "AS-LOGIN-COOKIE-ATTRIBUTES"), "HttpOnly"),
	{
		Name: "login-cross-site-cookies", Says: "Browsers send the cookie of the session with requests of other sites.", Row: "SameSite",
		Bend: behaviour(func(b *idp.Behaviour) { b.CrossSiteCookies = true }), Noticed: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"},
	},
	rowOf(one("login-by-get", idp.LoginByPost, "AS-LOGIN-POST-ONLY", "AS-AUTHZ-NO-TOKEN-FRONT-CHANNEL"), "the login form"),
	rowOf(one("login-open-redirect", idp.FixedReturn, "AS-LOGIN-RETURN-URL"), "the request"),
	goesOn("request", "the request"),
	goesOn("address", "the address of the login page"),
	goesOn("field", "a hidden field"),
	one("login-foreign-script", idp.OwnPagesOnly, "AS-LOGIN-DISCLOSURE"),
}

// rowOf adds to a flaw the row that a finding must name.
func rowOf(f Flaw, row string) Flaw {
	f.Row = row
	return f
}

func wrongPassword(name, says, row string, same func(typed, right string) bool) Flaw {
	return Flaw{Name: name, Says: says, Row: row, Noticed: []string{"AS-LOGIN-REJECT-WRONG-PASSWORD"},
		Bend: behaviour(func(b *idp.Behaviour) { b.SamePassword = same })}
}

func queried(name, field, row string) Flaw {
	return Flaw{Name: name, Says: "The login form has " + field + ", which is a query.", Row: row,
		Noticed: []string{"AS-LOGIN-REJECT-WRONG-PASSWORD"}, Bend: behaviour(func(b *idp.Behaviour) { b.Queries = field })}
}

func demoClient(name, method, row string) Flaw {
	return Flaw{Name: name, Says: "The client of a guide is registered, for " + method + ".", Row: row,
		Bend: behaviour(func(b *idp.Behaviour) { b.DemoClient = method }), Noticed: []string{"AS-LOGIN-NO-DEFAULT-CREDENTIALS"}}
}

func goesOn(where, row string) Flaw {
	return Flaw{Name: "login-goes-on-by-" + where, Says: "After the login, the server goes on at any address in " + row + ".", Row: row,
		Bend: behaviour(func(b *idp.Behaviour) { b.GoesOn = where }), Noticed: []string{"AS-LOGIN-RETURN-URL"}}
}
