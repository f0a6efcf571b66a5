// Package login renders the pages that a fake authorization server shows to users: plain forms, a login in two pages, one made by
// JavaScript, one in a second window, a second factor, and consent.
package login

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"strings"
)

// Page is the content of a page, and the destination of its form.
type Page struct {
	Title, Error                     string
	Action                           string
	Hidden                           map[string]string
	User                             string // prefilled, or the account that has signed in
	Client, ClientURI, RedirectHost  string
	Warning, Upstream                string
	Scopes                           []string
	AskUser, AskPassword, AskOneTime bool
	// Style is plain, javascript, popup, or odd: the page does not say what it is for.
	Style string
	// Unescaped shows Client and Error as markup: a flaw.
	Unescaped bool
	// Foreign loads a script from another host: a flaw.
	Foreign string
	// Raw is markup that a client has registered: a flaw.
	Raw template.HTML
	// Get makes the form send its fields in the URL: a flaw.
	Get bool
}

const layout = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body><main><h1>{{.Title}}</h1>{{with .Foreign}}<script src="{{.}}"></script>{{end}}
{{with .Error}}<p role="alert">{{.}}</p>{{end}}{{block "body" .}}{{end}}</main></body></html>`

var pages = map[string]*template.Template{
	"message": parse(``),
	"login": parse(`{{define "body"}}{{if eq .Style "javascript"}}<div id="app" data-action="{{.Action}}"
{{range $k, $v := .Hidden}} data-{{$k}}="{{$v}}"{{end}}></div>
{{else if eq .Style "odd"}}<div id="app" data-action="{{.Action}}"{{range $k, $v := .Hidden}} data-{{$k}}="{{$v}}"{{end}}></div>
<div id="later" hidden></div>
{{else if eq .Style "popup"}}<button type="button" id="open" data-url="{{.Action}}">Sign in</button>{{else}}
{{.Raw}}<form method="{{if .Get}}get{{else}}post{{end}}" action="{{.Action}}">
{{range $k, $v := .Hidden}}<input type="hidden" name="{{$k}}" value="{{$v}}">{{end}}
{{if .AskUser}}<label>User name <input name="username" autocomplete="username" value="{{.User}}" required></label>{{end}}
{{if .AskPassword}}<label>Password <input name="password" type="password" autocomplete="current-password" required></label>{{end}}
{{if .AskOneTime}}<label>One-time code <input name="otp" inputmode="numeric" autocomplete="one-time-code" required></label>{{end}}
<button type="submit">{{if or .AskPassword .AskOneTime}}Sign in{{else}}Next{{end}}</button></form>{{end}}{{end}}`),
	"consent": parse(`{{define "body"}}<p>{{with .Client}}<strong>{{.}}</strong> asks{{else}}An application asks{{end}}
for access to {{with .User}}the account <strong>{{.}}</strong>{{else}}your account{{end}}.</p>
{{with .ClientURI}}<p><a href="{{.}}" rel="noreferrer noopener">About the application</a></p>{{end}}
{{.Raw}}{{with .Warning}}<p role="note">{{.}}</p>{{end}}
{{with .Upstream}}<p>{{.}}</p>{{end}}
{{with .RedirectHost}}<p>The answer goes to <strong>{{.}}</strong>.</p>{{end}}
<form method="post" action="{{.Action}}">{{range $k, $v := .Hidden}}<input type="hidden" name="{{$k}}" value="{{$v}}">{{end}}
{{range .Scopes}}<label><input type="checkbox" name="scope" value="{{.}}" checked> {{.}}</label>{{end}}
<button id="yes" type="submit" name="decision" value="approve">{{if eq .Style "odd"}}◯{{else}}Allow{{end}}</button>
<button id="no" type="submit" name="decision" value="deny">{{if eq .Style "odd"}}✕{{else}}Deny{{end}}</button></form>{{end}}`),
	"close": parse(`{{define "body"}}<p><a href="{{.Action}}">Go on</a></p>{{end}}`),
	"post": parse(`{{define "body"}}<form method="post" action="{{.Action}}">
{{range $k, $v := .Hidden}}<input type="hidden" name="{{$k}}" value="{{$v}}">{{end}}
<button type="submit">Continue</button></form>{{end}}`),
}

func parse(body string) *template.Template {
	return template.Must(template.Must(template.New("page").Parse(layout)).Parse(body))
}

// The scripts of the pages. They are static, so that the content security policy can name them by their hash.
const (
	javascript = `const app=document.getElementById("app");const d=app.dataset;
const form=document.createElement("form");
form.innerHTML='<label>User name <input id="u" autocomplete="username"></label><label>Password <input id="p" type="password"></label>'+
'<button type="submit">Sign in</button><p role="alert" id="e"></p>';
setTimeout(()=>app.append(form),30);
form.addEventListener("submit",async(ev)=>{ev.preventDefault();
const body=new URLSearchParams({transaction:d.transaction,csrf:d.csrf,username:form.querySelector("#u").value,
password:form.querySelector("#p").value});
const r=await fetch(d.action,{method:"POST",body,headers:{Accept:"application/json"}});const j=await r.json();
if(j.next)location.assign(j.next);else form.querySelector("#e").textContent=j.error;});`
	odd = `const app=document.getElementById("app");const d=app.dataset;
const box=()=>{const e=document.createElement("div");e.contentEditable="plaintext-only";app.append(e);return e;};
const a=box(),b=box(),go=document.createElement("div"),says=document.createElement("p");
a.id="a1";b.id="b2";go.id="go";go.textContent="→";says.role="alert";app.append(go,says);
go.addEventListener("click",async()=>{
const body=new URLSearchParams({transaction:d.transaction,csrf:d.csrf,username:a.textContent,password:b.textContent});
const r=await fetch(d.action,{method:"POST",body,headers:{Accept:"application/json"}});const j=await r.json();
if(j.next)location.assign(j.next);else{b.textContent="";says.textContent=j.error;}});`
	popup      = `document.getElementById("open").addEventListener("click",(ev)=>{window.open(ev.target.dataset.url,"_blank");});`
	autoSubmit = `document.forms[0].submit();`
	closeSelf  = `if(window.opener){window.opener.location.assign(document.querySelector("a").href);window.close();}`
)

// Script returns the script that a page of a kind and style needs, or nothing.
func Script(kind, style string) string {
	switch {
	case kind == "post":
		return autoSubmit
	case kind == "close":
		return closeSelf
	case kind != "login":
		return ""
	case style == "javascript":
		return javascript
	case style == "odd":
		return odd
	case style == "popup":
		return popup
	}
	return ""
}

// ScriptSource returns the script's source expression for a content security policy.
func ScriptSource(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Render makes the page of a kind: login, consent, post, or message.
func Render(kind string, p Page) string {
	var b bytes.Buffer
	if err := pages[kind].Execute(&b, p); err != nil {
		panic(err) // the templates are constant
	}
	out := b.String()
	if p.Unescaped {
		for _, v := range []string{p.Client, p.Error} {
			out = strings.ReplaceAll(out, template.HTMLEscapeString(v), v)
		}
	}
	if s := Script(kind, p.Style); s != "" {
		out = strings.Replace(out, "</body>", "<script>"+s+"</script></body>", 1)
	}
	return out
}
