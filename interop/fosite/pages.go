package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
)

// pages sign users in and ask for their consent. A token binds each form to the browser's session. After ten wrong
// passwords in a row a user has to wait for three seconds.
type pages struct {
	users map[string]string
	key   []byte

	mu       sync.Mutex
	sessions map[string]string // the user of each
	failures map[string]failures
}

type failures struct {
	number int
	until  time.Time
}

func newPages() *pages {
	return &pages{key: []byte(rand.Text()), sessions: map[string]string{}, failures: map[string]failures{},
		users: map[string]string{"alice": os.Getenv("ALICE_PASSWORD"), "bob": os.Getenv("BOB_PASSWORD"), "carol": os.Getenv("CAROL_PASSWORD")}}
}

type view struct {
	Title, Problem, Action, Token, Return, User, Client, Redirect string
	Scopes                                                        []string
}

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><title>Notes</title><h1>{{.Title}}</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}<form method="post" action="{{.Action}}">
<input type="hidden" name="form_token" value="{{.Token}}">{{if .Return}}<input type="hidden" name="return" value="{{.Return}}">
<label>Username <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button>{{else}}<p>{{.User}}, the application <b>{{.Client}}</b> at <b>{{.Redirect}}</b> asks for:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul><button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>{{end}}</form></html>`))

func show(w http.ResponseWriter, status int, v view) {
	for name, value := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'", "X-Frame-Options": "DENY",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	_ = page.Execute(w, v)
}

func (p *pages) token(session string) string {
	m := hmac.New(sha256.New, p.key)
	m.Write([]byte(session))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func sessionOf(r *http.Request) string {
	c, err := r.Cookie("session")
	if err != nil {
		return ""
	}
	return c.Value
}

func begin(w http.ResponseWriter) string {
	id := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return id
}

func (p *pages) user(r *http.Request) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[sessionOf(r)]
}

// own reports whether a form was shown to this browser.
func (p *pages) own(r *http.Request) bool {
	id := sessionOf(r)
	return id != "" && subtle.ConstantTimeCompare([]byte(p.token(id)), []byte(r.PostFormValue("form_token"))) == 1
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) {
	back, name := r.PostFormValue("return"), r.PostFormValue("username")
	if !p.own(r) || !strings.HasPrefix(back, "/interaction?") {
		http.Error(w, "this form is not from here", http.StatusForbidden)
		return
	}
	switch password := p.users[name]; {
	case p.limited(name):
		p.askLogin(w, r, http.StatusTooManyRequests, back, "Too many attempts: try again later.")
	case password == "" || subtle.ConstantTimeCompare([]byte(password), []byte(r.PostFormValue("password"))) != 1:
		p.failed(name)
		p.askLogin(w, r, http.StatusUnauthorized, back, "The username or the password is wrong.")
	default:
		id := begin(w)
		p.mu.Lock()
		p.sessions[id], p.failures[name] = name, failures{}
		p.mu.Unlock()
		http.Redirect(w, r, back, http.StatusSeeOther)
	}
}

func (p *pages) limited(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.failures[name].until)
}

func (p *pages) failed(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.failures[name]
	if f.number++; f.number == 10 {
		f = failures{until: time.Now().Add(3 * time.Second)}
	}
	p.failures[name] = f
}

func (p *pages) askLogin(w http.ResponseWriter, r *http.Request, status int, back, problem string) {
	id := sessionOf(r)
	if id == "" {
		id = begin(w)
	}
	show(w, status, view{Title: "Sign in", Problem: problem, Action: "/login", Token: p.token(id), Return: back})
}

// decide returns the user with the decision, or shows the page that asks for it.
func (p *pages) decide(w http.ResponseWriter, r *http.Request, ar fosite.AuthorizeRequester) (user string, allowed, decided bool) {
	user = p.user(r)
	switch decision := r.PostFormValue("decision"); {
	case user == "":
		p.askLogin(w, r, http.StatusOK, r.URL.RequestURI(), "")
	case decision == "":
		to := ar.GetRedirectURI()
		show(w, http.StatusOK, view{Title: "Allow access?", Action: r.URL.RequestURI(), Token: p.token(sessionOf(r)), User: user,
			Client: ar.GetClient().GetID(), Redirect: to.Scheme + "://" + to.Host, Scopes: ar.GetRequestedScopes()})
	case !p.own(r):
		http.Error(w, "this form is not from here", http.StatusForbidden)
	default:
		return user, decision == "allow", true
	}
	return "", false, false
}
