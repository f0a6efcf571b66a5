package login

import (
	"net/url"
	"slices"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
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
func signedIn(t *T) (*login.Jar, oauth.Form) {
	jar := login.NewJar()
	g := t.AS.MustAuthorize(InJar(jar))
	mustKeepSession(t, jar)
	f := oauth.Form{{Name: "client_id", Value: g.Client.ID}}
	if tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client); tokens != nil && tokens.ID != "" {
		f.Set("id_token_hint", tokens.ID)
	}
	return jar, f
}

// signOut sends the browser to the logout endpoint. If that refuses the parameters, it sends none: none is required (section 2).
func signOut(t *T, endpoint string, f oauth.Form, jar *login.Jar) *login.Outcome {
	out := t.Pages.Confirm(wire.Request{Method: "GET", URL: oauth.AtQuery(endpoint, f)}, jar)
	if s := expect.Status(out.Exchange); s >= 400 && s <= 499 {
		t.Note("with the client's ID token, signing out is answered with %s", expect.Describe(out.Exchange))
		out = t.Pages.Confirm(wire.Request{Method: "GET", URL: endpoint}, jar)
	}
	if expect.Crashed(out.Exchange) {
		t.Inconclusive("signing out is answered with %s", expect.Describe(out.Exchange))
	}
	return out
}

// Without the user's confirmation, no user is signed out (section 2).
func endsSession(t *T) {
	endpoint := endSession(t)
	jar, f := signedIn(t)
	kept := jar.Copy()
	out := signOut(t, endpoint, f, jar)
	after := next(t, jar)
	if after.inside() && slices.ContainsFunc(after.Hops, func(h login.Hop) bool { return t.Upstream.IsRequest(h.To) }) {
		t.NotApplicable("users sign in at another provider, whose session is its own")
	}
	if p := out.Page(); after.inside() && p != nil && len(p.Forms) > 0 {
		t.Inconclusive("the page %q asks whether to sign out, and what it asks was not understood", p.Title)
	}
	if t.Expect(after, "after signing out").To(askAgain) {
		t.Expect(next(t, kept), "a copy of the cookies from before").Ideally(askAgain)
	}
}

// Section 3: "the OP MUST NOT perform post-logout redirection if the post_logout_redirect_uri value supplied does not exactly match
// one of the previously registered values".
func redirectsToRegisteredAddresses(t *T) {
	endpoint := endSession(t)
	Each(t, Cases[[]string]{
		{"with client_id and id_token_hint", nil},
		{"with client_id alone", []string{"id_token_hint"}},
		{"with neither client_id nor id_token_hint", []string{"id_token_hint", "client_id"}},
	}, func(t *T, absent []string) {
		t.Expect(leaving(t, endpoint, "https://attacker.example/bye", absent...)).To(notLeave)
	})
	if u, err := url.Parse(t.AS.AnyClient().RedirectURI); err == nil && u.Host != "" {
		Each(t, Cases[string]{
			{"an address that begins as the client's redirect URI", u.Scheme + "://" + u.Host + "@attacker.example/bye"},
		}, func(t *T, to string) { t.Expect(leaving(t, endpoint, to)).To(notLeave) })
	}
}

// leaving signs out in a browser in which a user has signed in, and asks to be sent to an address.
func leaving(t *T, endpoint, to string, absent ...string) *entry {
	jar, f := signedIn(t)
	for _, name := range absent {
		f.Del(name)
	}
	f.Set("post_logout_redirect_uri", to)
	f.Set("state", "mcpauth")
	return &entry{t.Pages.Confirm(wire.Request{Method: "GET", URL: oauth.AtQuery(endpoint, f)}, jar), jar}
}

var notLeave = expect.Refusing("no redirect to an address that no client registered", func(e *entry) string {
	for _, hop := range e.Hops {
		if to, err := url.Parse(hop.To); err == nil && leads(hop.To) {
			return "the browser is sent to " + document.Origin(to)
		}
	}
	return ""
})
