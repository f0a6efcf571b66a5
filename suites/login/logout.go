package login

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// endSession is the endpoint at which users sign out (OpenID Connect RP-Initiated Logout 1.0).
func endSession(t *T) string {
	endpoint := t.AS.Endpoint("end_session_endpoint")
	if _, err := document.ParseURL(endpoint); err != nil {
		t.NotApplicable("the metadata names no end_session_endpoint")
	}
	return endpoint
}

// signedIn is a browser in which a user has signed in, with the parameters that a client sends to sign out there.
func signedIn(t *T, edits ...Edit) (*login.Jar, oauth.Form) {
	jar := login.NewJar()
	g := t.AS.MustAuthorize(append(edits, InJar(jar))...)
	mustKeepSession(t, jar)
	f := oauth.Form{{Name: "client_id", Value: g.Client.ID}}
	if tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client); tokens != nil && tokens.ID != "" {
		f.Set("id_token_hint", tokens.ID)
	}
	return jar, f
}

// exit is the logout endpoint with a method, and whether it is refused.
type exit struct {
	method, endpoint string
	refused          bool
}

// signOut sends the browser to the logout endpoint by GET or POST, both of which "MUST" be supported. If that refuses the parameters, it
// sends none: none is required (section 2). The row does not apply where both are refused.
func (e *exit) signOut(t *T, f oauth.Form, jar *login.Jar) *login.Outcome {
	out := t.Pages.Confirm(toEndSession(e.method, e.endpoint, f), jar)
	if refused(out) {
		t.Note("%s with the client's ID token, signing out is answered with %s", RowOf(t), expect.Describe(out.Exchange))
		out = t.Pages.Confirm(toEndSession(e.method, e.endpoint, nil), jar)
	}
	switch {
	case expect.Crashed(out.Exchange):
		t.Inconclusive("signing out is answered with %s", expect.Describe(out.Exchange))
	case refused(out):
		e.refused = true
		t.NotApplicable("signing out is refused: %s", expect.Describe(out.Exchange))
	}
	return out
}

func refused(out *login.Outcome) bool { s := expect.Status(out.Exchange); return s >= 400 && s <= 499 }

// toEndSession is the request with which a client's page sends the browser to the logout endpoint.
func toEndSession(method, endpoint string, f oauth.Form) wire.Request {
	switch {
	case method == "POST":
		return wire.Request{Method: method, URL: endpoint, Body: f.Encode(), Header: []reports.Field{
			mcp.Field("Content-Type", "application/x-www-form-urlencoded"), mcp.Field("Accept", "text/html"),
		}}
	case len(f) == 0:
		return wire.Request{Method: method, URL: endpoint}
	}
	return wire.Request{Method: method, URL: oauth.AtQuery(endpoint, f)}
}

// A server that refuses to sign anybody out, by both methods, shows nothing of what signing out does.
func endsSession(t *T) {
	endpoint := endSession(t)
	get, post := &exit{method: "GET", endpoint: endpoint}, &exit{method: "POST", endpoint: endpoint}
	Each(t, Cases[*exit]{{"by GET", get}, {"by POST", post}}, func(t *T, e *exit) { e.endsSession(t) })
	if get.refused && post.refused {
		t.Inconclusive("nobody can be signed out: the endpoint refuses GET and POST, with parameters and without")
	}
}

// Without the user's confirmation, no user is signed out (section 2).
func (e *exit) endsSession(t *T) {
	jar, f := signedIn(t)
	kept := jar.Copy()
	out := e.signOut(t, f, jar)
	after := next(t, jar)
	if after.inside() && slices.ContainsFunc(after.Hops, func(h login.Hop) bool { return t.Upstream.IsRequest(h.To) }) {
		t.NotApplicable("users sign in at another provider, whose session is its own")
	}
	if p := out.Page(); after.inside() && p != nil && !goodbye.MatchString(p.Said()) && (out.Stage == login.NeedsScript || len(p.Forms) > 0) {
		t.Inconclusive("the page %q may ask whether to sign out, and what it asks was not understood", p.Title)
	}
	if t.Expect(after, "after signing out").To(askAgain) {
		t.Expect(next(t, kept), "a copy of the cookies from before").Ideally(askAgain)
	}
}

// goodbye is what a page says after signing out. One that asks whether to do so says it in other words.
var goodbye = regexp.MustCompile(`(?i)\b(been|are|are now|were|successfully) (signed|logged) out\b|\bgoodbye\b`)

// Section 3: "the OP MUST NOT perform post-logout redirection if the post_logout_redirect_uri value supplied does not exactly match
// one of the previously registered values".
func redirectsToRegisteredAddresses(t *T) {
	endpoint := endSession(t)
	Each(t, Cases[[]string]{
		{"with client_id and id_token_hint", nil},
		{"with client_id alone", []string{"id_token_hint"}},
		{"with neither client_id nor id_token_hint", []string{"id_token_hint", "client_id"}},
	}, func(t *T, absent []string) {
		t.Expect(leaving(t, "GET", endpoint, "https://attacker.example/bye", absent...)).To(notLeave)
	})
	Each(t, Cases[string]{{"by POST", "https://attacker.example/bye"}}, func(t *T, to string) {
		t.Expect(leaving(t, "POST", endpoint, to)).To(notLeave)
	})
	if u, err := url.Parse(t.AS.AnyClient().RedirectURI); err == nil && u.Host != "" {
		Each(t, Cases[string]{
			{"an address that begins as the client's redirect URI", u.Scheme + "://" + u.Host + "@attacker.example/bye"},
		}, func(t *T, to string) { t.Expect(leaving(t, "GET", endpoint, to)).To(notLeave) })
	}
	comparesRegisteredAddresses(t, endpoint)
}

// comparesRegisteredAddresses signs a client's user out, and asks for near misses of the address that the client registered.
func comparesRegisteredAddresses(t *T, endpoint string) {
	const own, about = "https://client.example/bye", "addresses that resemble a registered one"
	c, _ := t.AS.Register(map[string]any{"post_logout_redirect_uris": []string{own}})
	if c == nil {
		Untried(t, about, "a client that registers post_logout_redirect_uris")
		return
	}
	reached := false
	Each(t, Cases[string]{{"the registered address", own}}, func(t *T, to string) {
		e := leavingBy(t, c, endpoint, to)
		if reached = e.goesTo(to) != ""; expect.Crashed(e.Exchange) {
			t.Inconclusive("signing out is answered with %s", expect.Describe(e.Exchange))
		}
		if !reached {
			t.Note("%s: not tried, since the browser is not sent to the registered one, either: %s", about, expect.Describe(e.Exchange))
		}
	})
	if !reached {
		return
	}
	var rows Cases[string]
	for _, m := range nearmiss.OfURL(own, nearmiss.Host, nearmiss.User, nearmiss.Scheme, nearmiss.Port, nearmiss.Path, nearmiss.Query) {
		rows = rows.And("the registered address, "+m.Name, m.Value)
	}
	Each(t, rows, func(t *T, to string) { t.Expect(leavingBy(t, c, endpoint, to)).To(notGoTo(to)) })
}

// leavingBy signs the user of a client out, and asks to be sent to an address.
func leavingBy(t *T, c *oauth.Client, endpoint, to string) *entry {
	jar, f := signedIn(t, As(c))
	f.Set("post_logout_redirect_uri", to)
	return &entry{t.Pages.Confirm(toEndSession("GET", endpoint, f), jar), jar}
}

// goesTo returns where the browser is sent if that is an address or the attacker; empty if it is sent to neither.
func (e *entry) goesTo(address string) string {
	for _, h := range e.Hops {
		if leads(h.To) || h.To == address || strings.HasPrefix(h.To, address+"?") || strings.HasPrefix(h.To, address+"&") {
			return h.To
		}
	}
	return ""
}

// notGoTo expects no redirect to an address that only resembles a registered one.
var notGoTo = expect.Family("notGoTo", func(address string) expect.Matcher {
	return expect.Refusing("no redirect to an address that no client registered: "+address, func(e *entry) string {
		if to := e.goesTo(address); to != "" {
			return "the browser is sent to " + to
		}
		return ""
	})
})

// leaving signs out in a browser in which a user has signed in, and asks to be sent to an address.
func leaving(t *T, method, endpoint, to string, absent ...string) *entry {
	jar, f := signedIn(t)
	for _, name := range absent {
		f.Del(name)
	}
	f.Set("post_logout_redirect_uri", to)
	f.Set("state", "mcpauth")
	return &entry{t.Pages.Confirm(toEndSession(method, endpoint, f), jar), jar}
}

var notLeave = expect.Refusing("no redirect to an address that no client registered", func(e *entry) string {
	for _, hop := range e.Hops {
		if to, err := url.Parse(hop.To); err == nil && leads(hop.To) {
			return "the browser is sent to " + document.Origin(to)
		}
	}
	return ""
})
