// Package kits imitates the pages of well-known authorization servers and login kits: their structure, names and order, as in their public
// sources, without the functions behind them. Each kit shows another way in which such pages differ.
package kits

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Kit has the pages of one product, from the authorization request to the code.
type Kit struct {
	Name string
	// Says describes its unusual feature in a sentence.
	Says  string
	Steps []Step
	// Scripted says that its pages do nothing without scripts.
	Scripted bool
	// Wrong is the answer to a wrong password.
	Wrong Answer
}

// Step is a page, with the parameters that the client must send from it.
type Step struct {
	Page string
	// Wants are the parameters with their required values; User and Password are placeholders for the user's.
	Wants map[string]string
	// Never are parameters that the client must not send: they belong to another button or form.
	Never []string
	// Consent says that the page asks whether to allow access.
	Consent bool
}

// Answer is the kind of answer to a wrong password.
type Answer int

// The answers.
const (
	Again     Answer = iota // the same page, with 200
	Denied                  // the same page, with 401
	ErrorPage               // a page without a form, with 200
	Elsewhere               // a redirect to the page
)

// The user of every kit, in parameters.
const (
	User     = "{user}"
	Password = "{password}"
)

// All are the kits.
var All = []Kit{
	{Name: "keycloak", Says: "The password has a button to show it, and pages have a base address.", Wrong: Again, Steps: []Step{
		{Page: "keycloak-login", Wants: map[string]string{"username": User, "password": Password, "credentialId": ""}},
		{Page: "keycloak-grant", Wants: map[string]string{"code": "c0de", "accept": "Yes"}, Never: []string{"cancel"}, Consent: true},
	}},
	{Name: "auth0", Says: "The name comes first, beside another provider, and traps for robots.", Wrong: Denied, Steps: []Step{
		{Page: "auth0-identifier", Wants: map[string]string{"username": User, "action": "default"}, Never: []string{"connection"}},
		{Page: "auth0-password", Wants: map[string]string{"username": "alice", "password": Password, "action": "default"}},
		{Page: "auth0-consent", Wants: map[string]string{"action": "accept"}, Consent: true},
	}},
	{Name: "cognito", Says: "The form appears twice, for two sizes of screens.", Wrong: Elsewhere, Steps: []Step{
		{Page: "cognito-login", Wants: map[string]string{"username": User, "password": Password, "signInSubmitButton": "Sign in"}},
	}},
	{Name: "ory", Says: "The first buttons of the form are other providers', and scopes are not ticked.", Wrong: Again, Steps: []Step{
		{Page: "kratos-login", Wants: map[string]string{"identifier": User, "password": Password, "method": "password"},
			Never: []string{"provider", "q"}},
		{Page: "hydra-consent", Wants: map[string]string{"grant_scope": "notes:read", "submit": "Allow access"}, Never: []string{"remember"},
			Consent: true},
	}},
	{Name: "zitadel", Says: "The first button registers, and a second factor is offered on the way.", Wrong: Again, Steps: []Step{
		{Page: "zitadel-name", Wants: map[string]string{"loginName": User}, Never: []string{"register"}},
		{Page: "zitadel-password", Wants: map[string]string{"loginName": "alice", "password": Password}},
		{Page: "zitadel-mfa", Wants: map[string]string{"skip": "true"}, Never: []string{"provider"}},
	}},
	{Name: "oidc-provider", Says: "The button to allow has no name, and denying is a link.", Wrong: Again, Steps: []Step{
		{Page: "oidcprovider-login", Wants: map[string]string{"prompt": "login", "login": User, "password": Password}},
		{Page: "oidcprovider-consent", Wants: map[string]string{"prompt": "consent"}, Consent: true},
	}},
	{Name: "spring", Says: "A form beside it signs in by passkey, and scopes are not ticked.", Wrong: Elsewhere, Steps: []Step{
		{Page: "spring-login", Wants: map[string]string{"username": User, "password": Password, "_csrf": "t0ken"}},
		{Page: "spring-consent", Wants: map[string]string{"scope": "notes:read"}, Consent: true},
	}},
	{Name: "django", Says: "Forms for the language, a newsletter and another provider are around, and the first button cancels.", Wrong: Again,
		Steps: []Step{
			{Page: "allauth-login", Wants: map[string]string{"login": User, "password": Password, "csrfmiddlewaretoken": "t0ken"},
				Never: []string{"language"}},
			{Page: "djangotoolkit-consent", Wants: map[string]string{"allow": "Authorize"}, Consent: true},
		}},
	{Name: "fusionauth", Says: "The button has neither type nor name, and the password any autocompletion.", Wrong: ErrorPage, Steps: []Step{
		{Page: "fusionauth-login", Wants: map[string]string{"loginId": User, "password": Password, "client_id": "c"}},
	}},
	{Name: "untyped", Says: "The password has no type, fields are outside their form, and forms and pages go on by themselves.", Wrong: Again,
		Steps: []Step{
			{Page: "untyped-login", Wants: map[string]string{"member[f1]": User, "member[passwd]": Password, "authenticity_token": "t0ken",
				"website": ""}},
			{Page: "untyped-hop", Wants: map[string]string{"ticket": "t1"}},
			{Page: "untyped-refresh", Wants: map[string]string{"go": "on"}},
		}},
	{Name: "okta", Says: "A script makes the form, and the name comes first.", Scripted: true, Steps: []Step{
		{Page: "okta-login", Wants: map[string]string{"identifier": User, "passcode": Password}},
	}},
	{Name: "entra", Says: "The password waits out of sight, and a page asks whether to stay signed in.", Scripted: true, Steps: []Step{
		{Page: "entra-login", Wants: map[string]string{"loginfmt": User, "passwd": Password}},
		{Page: "entra-stay", Wants: map[string]string{"kmsi": "No"}},
		{Page: "entra-consent", Wants: map[string]string{"acceptConsent": "Accept"}, Consent: true},
	}},
	{Name: "authentik", Says: "The fields are in shadow trees.", Scripted: true, Steps: []Step{
		{Page: "authentik-login", Wants: map[string]string{"uidField": User, "password": Password}},
	}},
	{Name: "logto", Says: "Buttons are outside forms, and a banner asks about cookies.", Scripted: true, Steps: []Step{
		{Page: "logto-login", Wants: map[string]string{"identifier": User, "password": Password}},
		{Page: "logto-consent", Wants: map[string]string{"decision": "authorize"}, Consent: true},
	}},
	{Name: "workos", Says: "The form is there, but only a script can send it.", Scripted: true, Steps: []Step{
		{Page: "workos-login", Wants: map[string]string{"email": User, "password": Password}},
	}},
}

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// Server serves the pages of a kit to one user.
type Server struct {
	Kit
	Name, Password string

	mu       sync.Mutex
	typed    int
	problems []string
	flows    map[string]*flow
}

type flow struct {
	step   int
	failed bool
	query  url.Values
}

// New returns a server for a kit.
func New(k Kit, name, password string) *Server {
	return &Server{Kit: k, Name: name, Password: password, flows: map[string]*flow{}}
}

// Typed returns how many passwords have arrived.
func (s *Server) Typed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.typed
}

// Problems returns the differences between the parameters that were sent and those that the pages require.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm() // the checks below notice unreadable fields
	if r.URL.Path == "/authorize" {
		id := rand.Text()
		s.flows[id] = &flow{query: r.URL.Query()}
		http.SetCookie(w, &http.Cookie{Name: "kit", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		s.show(w, s.flows[id], http.StatusOK)
		return
	}
	c, err := r.Cookie("kit")
	if err != nil || s.flows[c.Value] == nil || !strings.HasPrefix(r.URL.Path, "/step/") {
		if !strings.HasSuffix(r.URL.Path, ".png") && !strings.HasSuffix(r.URL.Path, ".ico") {
			s.problems = append(s.problems, r.Method+" "+r.URL.Path)
		}
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	f := s.flows[c.Value]
	if r.URL.Path == "/step/again" {
		s.show(w, f, http.StatusOK)
		return
	}
	s.take(w, r, f)
}

// take judges the form that a page has sent.
func (s *Server) take(w http.ResponseWriter, r *http.Request, f *flow) {
	step := s.Steps[f.step]
	if r.URL.Path != "/step/"+strconv.Itoa(f.step) {
		s.problems = append(s.problems, "the page "+step.Page+" is left for "+r.URL.Path)
	}
	right := true
	for name, want := range step.Wants {
		got := r.Form.Get(name)
		switch {
		case want == Password:
			s.typed++
			right = right && got == s.Password
		case want == User:
			right = right && got == s.Name
		case got != want || !r.Form.Has(name):
			s.problems = append(s.problems, step.Page+" sends "+name+"="+got)
		}
	}
	for _, name := range step.Never {
		if r.Form.Has(name) {
			s.problems = append(s.problems, step.Page+" sends "+name)
		}
	}
	if f.failed = !right; right {
		f.step++
	}
	s.next(w, r, f)
}

// next shows the next page, or sends the code.
func (s *Server) next(w http.ResponseWriter, r *http.Request, f *flow) {
	to := "/step/again"
	if f.step == len(s.Steps) {
		to = f.query.Get("redirect_uri") + "?" + url.Values{"code": {rand.Text()}, "state": f.query["state"]}.Encode()
	}
	switch {
	case strings.Contains(r.Header.Get("Accept"), "application/json") && f.failed:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"error": wrong}) // the client may have left
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"next": to})
	case f.failed && s.Wrong == ErrorPage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<title>Notes</title><h1>Error</h1><p>" + wrong + "</p><a href=/start>Back</a>"))
	case f.failed && s.Wrong == Denied:
		s.show(w, f, http.StatusUnauthorized)
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

const wrong = "Invalid credentials."

func (s *Server) show(w http.ResponseWriter, f *flow, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	problem := ""
	if f.failed {
		problem = wrong
	}
	err := pages.ExecuteTemplate(w, s.Steps[f.step].Page+".html", map[string]string{"Action": "/step/" + strconv.Itoa(f.step),
		"Error": problem})
	if err != nil {
		s.problems = append(s.problems, err.Error())
	}
}
