package suites_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// offlineOnly issues refresh tokens only for offline_access with prompt=consent.
func offlineOnly(o *reference.Options) { o.Behaviour.OfflineOnly = true }

// forTheScopeAlone issues refresh tokens for offline_access, without a further consent.
func forTheScopeAlone(o *reference.Options) {
	offlineOnly(o)
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); strings.Contains(q.Get("scope"), "offline_access") && !q.Has("prompt") {
				q.Set("prompt", "consent")
				r.URL.RawQuery = q.Encode()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// requestsOffline declares a request for offline_access.
func requestsOffline(c *suites.Config) { c.Scopes = append(slices.Clone(c.Scopes), "offline_access") }

// asksToSignOut shows a page with a button before it ends the session; its other button stays signed in.
func asksToSignOut(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/logout") && r.Method == http.MethodGet {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write([]byte(`<!doctype html><title>Sign out?</title><form method="post" action="` + r.URL.Path + `">
<p>Do you want to sign out?</p><button name="logout" value="yes">Yes, sign me out</button></form>
<form method="get" action="/"><button>No, stay signed in</button></form>`))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// byEmail has users sign in with their e-mail address, and says so to whoever types something else.
func byEmail(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/login") {
				name, _, address := strings.Cut(r.PostFormValue("username"), "@")
				if !address {
					page(`<p>Type an e-mail address.</p><form method="post"><input name="username">
<input name="password" type="password"><button>Sign in</button></form>`)(w)
					return
				}
				r.PostForm.Set("username", name)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// emailed are the users with their e-mail addresses.
func emailed(c *suites.Config) {
	c.Users = slices.Clone(c.Users)
	for i := range c.Users {
		c.Users[i].Name += "@users.example"
	}
}

// answersLogout answers some requests to sign out in another way.
func answersLogout(which func(r *http.Request) bool, with func(w http.ResponseWriter)) func(o *reference.Options) {
	return behaving(func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/logout") && which(r) {
					with(w)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
}

func byGet(r *http.Request) bool    { return r.Method == http.MethodGet }
func anyRequest(*http.Request) bool { return true }

func wrongMethod(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) }

// page answers with a page.
func page(body string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Notes</title>"+body)
	}
}

func pagesOf(kind string) func(o *reference.Options) {
	return func(o *reference.Options) { o.Behaviour.Pages = kind }
}

func noSacrificial(c *suites.Config) {
	c.Users = slices.DeleteFunc(slices.Clone(c.Users), func(u suites.User) bool { return u.Sacrificial })
}

// failsAuthorizing fails at some of the chosen authorization requests, by their number, from 1, at a server that lacks a defence.
func failsAuthorizing(fail func(w http.ResponseWriter), chosen func(r *http.Request) bool, numbers func(n int32) bool,
	lacks ...idp.Defence) func(o *reference.Options) {
	return behaving(func(b *idp.Behaviour) {
		var asked atomic.Int32
		b.Lacks = append(b.Lacks, lacks...)
		inner := b.Wrap
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/authorize") && chosen(r) && numbers(asked.Add(1)) {
					fail(w)
					return
				}
				if inner != nil {
					inner(next).ServeHTTP(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
}

func posted(r *http.Request) bool { return r.Method == http.MethodPost }

// onLoopback matches the good request of a client whose document lists a loopback address.
func onLoopback(r *http.Request) bool {
	return r.URL.Query().Get("redirect_uri") == "http://127.0.0.1/callback"
}

func each(int32) bool     { return true }
func first(n int32) bool  { return n == 1 }
func second(n int32) bool { return n == 2 }
func later(n int32) bool  { return n > 1 }

func serverError(w http.ResponseWriter) { http.Error(w, "", http.StatusInternalServerError) }

func badRequest(w http.ResponseWriter) { http.Error(w, "Try again later.", http.StatusBadRequest) }

// unknownPage is neither a login page, nor a consent page, nor an error.
func unknownPage(w http.ResponseWriter) { page("<p>Welcome.")(w) }

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// onItsOwnHost accepts redirect URIs of documents on the documents' own host only, which is loopback, with any port.
func onItsOwnHost(b *idp.Behaviour) {
	hostOf := func(uri string) string {
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "https" {
			return ""
		}
		return u.Hostname()
	}
	b.TakesRedirect = func(registered, uri string) bool {
		rest := func(s string) string { _, path, _ := strings.Cut(strings.TrimPrefix(s, "https://"), "/"); return path }
		return hostOf(uri) != "" && hostOf(uri) == hostOf(registered) && rest(uri) == rest(registered)
	}
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/authorize", func(r *http.Request, a *answer.Answer) {
			q := r.URL.Query()
			if strings.HasPrefix(q.Get("client_id"), "https://") && hostOf(q.Get("client_id")) != hostOf(q.Get("redirect_uri")) {
				*a = *answer.Of(http.NotFoundHandler(), r)
			}
		})
	}
}

// A user can sign out where one method works, and a page that asks is not a refusal.
func TestFairnessOfSigningOut(t *testing.T) {
	t.Parallel()
	const id = "AS-LOGIN-LOGOUT"
	const signInAgain = `<p>You have been logged out.</p><form method="post" action="/again"><button>Sign in again</button></form>`
	const question = `<form action="/x"><input name="captcha">Are you a robot?<button>Go</button></form>`
	const script = `<div id="app"></div><script src="/app.js"></script>`
	expectFairness(t, map[string]fairness{
		"by POST alone":                 {answersLogout(byGet, wrongMethod), nil, id, reports.Pass},
		"by GET alone":                  {answersLogout(posted, wrongMethod), nil, id, reports.Pass},
		"never":                         {answersLogout(anyRequest, wrongMethod), nil, id, reports.Inconclusive},
		"after a page with a question":  {behaving(asksToSignOut), nil, id, reports.Pass},
		"with the login page after it":  {behaving(loginAnywhere), nil, id, reports.Pass},
		"by a script":                   {answersLogout(anyRequest, page(script)), nil, id, reports.Inconclusive},
		"after an unknown question":     {answersLogout(anyRequest, page(question)), nil, id, reports.Inconclusive},
		"with a goodbye alone":          {answersLogout(anyRequest, page(signInAgain)), nil, id, reports.Warn},
		"by POST, with a goodbye alone": {answersLogout(posted, page(signInAgain)), nil, id, reports.Warn},
	})
}

// A server may refuse these requests always, and one failure does not show that it does.
func TestFairnessOfWhatMayBeRefused(t *testing.T) {
	t.Parallel()
	const redirect, challenge, document = "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-PKCE-REQUIRE-CHALLENGE", "AS-CIMD-REDIRECT-LISTED"
	expectFairness(t, map[string]fairness{
		"POST fails once, redirects":     {failsAuthorizing(serverError, posted, first, idp.PostedRedirect), nil, redirect, reports.Fail},
		"POST fails always, redirects":   {failsAuthorizing(serverError, posted, each), nil, redirect, reports.Pass},
		"POST gets no answer, redirects": {failsAuthorizing(hangUp, posted, each), nil, redirect, reports.Inconclusive},
		"POST fails once, challenge": {func(o *reference.Options) {
			flawed("pkce-not-of-posted-requests")(o)
			failsAuthorizing(serverError, posted, first)(o)
		}, nil, challenge, reports.Fail},
		"POST fails always, challenge":           {failsAuthorizing(serverError, posted, each), nil, challenge, reports.Pass},
		"POST gets no answer, challenge":         {failsAuthorizing(hangUp, posted, each), nil, challenge, reports.Inconclusive},
		"POST is refused, redirects":             {failsAuthorizing(badRequest, posted, each), nil, redirect, reports.Pass},
		"POST gets an unknown page, redirects":   {failsAuthorizing(unknownPage, posted, each), nil, redirect, reports.Inconclusive},
		"POST gets an unknown page, challenge":   {failsAuthorizing(unknownPage, posted, each), nil, challenge, reports.Inconclusive},
		"loopback is refused later, not fetched": {failsAuthorizing(badRequest, onLoopback, later), nil, document, reports.Inconclusive},
		"loopback fails once": {
			failsAuthorizing(serverError, onLoopback, second, idp.LoopbackOnlyPort), nil, document, reports.Fail},
		"documents on loopback":         {behaving(onItsOwnHost), nil, document, reports.Pass},
		"loopback gets no answer later": {failsAuthorizing(hangUp, onLoopback, later), nil, document, reports.Inconclusive},
	})
}

func scriptCookie(o *reference.Options) { o.Behaviour.ScriptCookie = true }
func crossSite(o *reference.Options)    { o.Behaviour.CrossSiteCookies = true }
func codeFirst(o *reference.Options)    { o.Behaviour.CodeFirst = true }

// atProvider has users sign in at another provider, and asks nothing itself.
func atProvider(o *reference.Options) {
	o.Proxy, o.Behaviour.Lacks = true, []idp.Defence{idp.ProxyConsent}
}

// redirectsBy307 sends browsers on with 307, as some frameworks do where nothing else is said. A GET stays a GET then.
func redirectsBy307(o *reference.Options) {
	atProvider(o)
	o.Behaviour.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := answer.Of(next, r)
			if r.Method == http.MethodGet && (a.Status == http.StatusFound || a.Status == http.StatusSeeOther) {
				a.Status = http.StatusTemporaryRedirect
			}
			a.Send(w)
		})
	}
}

// goesOnAtHome makes the login page keep the address for after the login, and accept only its own paths.
func goesOnAtHome(o *reference.Options) { o.Behaviour.GoesOn, o.Behaviour.OwnPaths = "address", true }

// namesUserBesideSession writes the user's name before the identifier of the session, and does not read it.
func namesUserBesideSession(b *idp.Behaviour) {
	var users sync.Map
	b.SessionOf = func(user string) string {
		id := rand.Text()
		users.Store(id, user)
		return user + "." + id
	}
	b.UserOf = func(_ *http.Request, session string) string {
		_, id, _ := strings.Cut(session, ".")
		user, _ := users.Load(id)
		name, _ := user.(string)
		return name
	}
}

// signsSession keeps sessions in cookies alone, with a MAC.
func signsSession(b *idp.Behaviour) {
	mac := func(user string) string {
		m := hmac.New(sha256.New, []byte("a secret of the server"))
		m.Write([]byte(user))
		return user + "." + hex.EncodeToString(m.Sum(nil))
	}
	b.SessionOf = mac
	b.UserOf = func(_ *http.Request, session string) string {
		if user, _, _ := strings.Cut(session, "."); session == mac(user) {
			return user
		}
		return ""
	}
}

// signsInAnotherCookie numbers sessions, and has the MAC of the number in a cookie of its own.
func signsInAnotherCookie(b *idp.Behaviour) {
	var n atomic.Int64
	key := []byte(rand.Text())
	mac := func(id string) string {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(id))
		return hex.EncodeToString(m.Sum(nil))
	}
	b.SessionOf = func(string) string { return strconv.FormatInt(100_000+n.Add(1), 10) }
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := r.Cookie("as_session")
			if sig, missing := r.Cookie("as_session.sig"); err == nil && (missing != nil || sig.Value != mac(id.Value)) {
				r.Header.Del("Cookie")
			}
			a := answer.Of(next, r)
			for _, c := range (&http.Response{Header: a.Header()}).Cookies() {
				if c.Name == "as_session" {
					a.Header().Add("Set-Cookie", "as_session.sig="+mac(c.Value)+"; Path=/; HttpOnly; SameSite=Lax")
				}
			}
			a.Send(w)
		})
	}
}

// One check judges the login of each authorization server that is right and differs from the reference.
func TestFairnessOfLogins(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a refresh token for offline_access, used":       {offlineOnly, nil, "AS-REFRESH-WORKS", reports.Pass},
		"a refresh token for offline_access, used again": {offlineOnly, nil, "AS-REFRESH-OLD-DIES", reports.Pass},
		"a refresh token for offline_access, revoked":    {offlineOnly, nil, "AS-REVOKE-REFRESH-TOKEN", reports.Pass},
		"offline_access in the request, a wider refresh": {forTheScopeAlone, requestsOffline, "AS-REFRESH-SCOPE-WIDEN", reports.Pass},
		"offline_access in the request, a narrower one":  {forTheScopeAlone, requestsOffline, "AS-REFRESH-SCOPE-NARROW", reports.Pass},
		"a server error at a password that is an object": {behaving(failsAtObjects), nil, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.Pass},
		"the name on a page of its own, wrong passwords": {pagesOf("two-pages"), nil, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.Pass},
		"the name on a page of its own, other sites":     {pagesOf("two-pages"), nil, "AS-LOGIN-CSRF", reports.Pass},
		"users who sign in with their e-mail address":    {behaving(byEmail), emailed, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.Pass},
		"a password, and no name":                        {pagesOf("password"), nil, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.Pass},
		"a password, no name, and no account to lock": {
			pagesOf("password"), noSacrificial, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.NotTested},
		"no account that may be locked": {nil, noSacrificial, "AS-LOGIN-REJECT-WRONG-PASSWORD", reports.NotTested},
		"a name beside an identifier": {behaving(namesUserBesideSession), nil,
			"AS-AUTHZ-USER-AUTHENTICATED", reports.Pass},
		"a number and its MAC in another cookie":             {behaving(signsInAnotherCookie), nil, "AS-AUTHZ-USER-AUTHENTICATED", reports.Pass},
		"a name that is signed":                              {behaving(signsSession), nil, "AS-AUTHZ-USER-AUTHENTICATED", reports.Pass},
		"a cookie for scripts":                               {scriptCookie, nil, "AS-LOGIN-COOKIE-ATTRIBUTES", reports.Pass},
		"a token instead of SameSite":                        {crossSite, nil, "AS-LOGIN-CSRF", reports.Pass},
		"a code that is looked at before its client":         {codeFirst, nil, "AS-LOGIN-NO-DEFAULT-CREDENTIALS", reports.Pass},
		"a login at another provider, and no page before it": {atProvider, nil, "AS-LOGIN-DISCLOSURE", reports.NotApplicable},
		"a login at another provider, where 307 leads":       {redirectsBy307, nil, "AS-PKCE-REJECT-WRONG-VERIFIER", reports.Pass},
		"a login page that goes on at its own page":          {goesOnAtHome, nil, "AS-LOGIN-RETURN-URL", reports.Pass},
	})
}

// A user who is locked out for longer than a run waits costs no other check its verdict.
func TestFairnessOfLongLocks(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Behaviour.LockTime = time.Hour
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Skip, cfg.Only = nil, []string{"AS-LOGIN-REJECT-WRONG-PASSWORD", "AS-RATE-LOGIN", "AS-RATE-LOGIN-RECOVERY"}
	cfg.Patience = 10 * time.Millisecond
	run, err := against.Evaluate(t, cfg)
	require.NoError(t, err)
	verdicts := map[string]reports.Verdict{}
	for _, r := range run.Results {
		verdicts[r.ID] = r.Verdict
	}
	assert.Equal(t, map[string]reports.Verdict{"AS-LOGIN-REJECT-WRONG-PASSWORD": reports.Pass, "AS-RATE-LOGIN": reports.Pass,
		"AS-RATE-LOGIN-RECOVERY": reports.Inconclusive}, verdicts)
}

// failsAtObjects reads password[$ne] as an object, which its comparison of passwords cannot compare.
func failsAtObjects(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if form, _ := url.ParseQuery(string(answer.Peek(r))); form.Has("password[$ne]") || form.Has("password[$gt]") {
				http.Error(w, "Illegal arguments: object, string", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
